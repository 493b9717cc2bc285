"""blpsim computes what PyBLP computes, on forty random problems that change every day.

``BLPSIM_PARITY_FIRST`` repeats a day's problems: it is the first seed, which every test's name shows.
"""

import datetime
import os

import pytest

from .compare import differences, excessive
from .problems import random_case

NUMBER = 40
TODAY = NUMBER * (datetime.datetime.now(datetime.UTC).date().toordinal() % 2_500)
FIRST = int(os.environ.get("BLPSIM_PARITY_FIRST", TODAY))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + NUMBER))
def test_every_quantity_equals_pyblp_on_a_random_problem(seed):
    case = random_case(seed)
    assert excessive(differences(case)) == {}, case.features
