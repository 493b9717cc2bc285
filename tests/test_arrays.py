import numpy as np
import pytest

from blpsim.arrays import rows_on_lines


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 8), (5, 9), (2, 0), (0, 4), (111, 200)])
def test_rows_start_on_cache_lines_and_lie_one_after_the_other(rows, columns):
    matrix = rows_on_lines(rows, columns)
    assert len(matrix) == rows
    assert columns <= matrix.shape[1] < columns + 8
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous
    assert matrix.flags.writeable
    assert all(row.ctypes.data % 64 == 0 for row in matrix if row.size)
