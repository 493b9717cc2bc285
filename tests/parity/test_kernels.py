"""The kernels and the model's floor, put together by hand, compute what PyBLP computes."""

import numpy as np
import pytest

from .assembled import kernel_quantities
from .compare import TOLERANCE, distance, peer_quantities
from .problems import EARLIER, random_case


@pytest.mark.parametrize("seed", range(EARLIER))
def test_kernels_compute_what_pyblp_computes(seed):
    case = random_case(seed)
    ours, theirs = kernel_quantities(case), peer_quantities(case)
    theirs["standard errors"] = np.sort(theirs["standard errors"][~np.isnan(theirs["standard errors"])])
    ours["standard errors"] = np.sort(ours["standard errors"])
    found = {name: distance(ours[name], theirs[name]) for name in theirs if name != "prices"}
    assert {name: value for name, value in found.items() if not value <= TOLERANCE} == {}, case.features
