import numpy as np
import pytest

from blpsim.errors import StoreError
from blpsim.status import Status
from blpsim.summary.diagnostics import DIAGNOSTICS, diagnose
from tests.summary.made import results

RANDOM = np.random.default_rng(4)
ENDED = RANDOM.choice([1, 1, 1, 4, 6, 8, 14, 0, 2], size=(2, 3, 60))
DIMS = ("scenario", "estimator", "replication")


@pytest.fixture
def made():
    found = results(np.zeros((2, 3, 60, 1)), status=ENDED)
    for name in ("seconds", "objective", "gradient_norm", "inversion_failures"):
        found[name] = (DIMS, RANDOM.lognormal(size=ENDED.shape))
    found["objective_evaluations"] = (DIMS, RANDOM.integers(5, 20, ENDED.shape).astype(float))
    found["inversion_evaluations"] = (DIMS, RANDOM.integers(50, 200, ENDED.shape).astype(float))
    found["hessian_min_eigenvalue"] = (DIMS, RANDOM.normal(size=ENDED.shape))
    found["hessian_min_eigenvalue"][0, 0, ::2] = np.nan
    return found


def number(diagnosis, name, statistic="mean", variable="value"):
    cell = diagnosis.dataset[variable].sel(diagnostic=name, statistic=statistic)
    return cell.isel(scenario=0, estimator=0).item()


def test_all_attempted_replications_enter_and_no_other(made):
    diagnosis, tried = diagnose(made), ~np.isin(ENDED[0, 0], (Status.PENDING, Status.NOT_PLANNED))
    for name in ("seconds", "objective", "gradient_norm", "objective_evaluations", "inversion_failures"):
        values = made[name].to_numpy()[0, 0, tried]
        assert number(diagnosis, name) == pytest.approx(values.mean())
        assert number(diagnosis, name, variable="mcse") == pytest.approx(
            values.std(ddof=1) / np.sqrt(values.size)
        )
        assert number(diagnosis, name, "median") == pytest.approx(np.median(values))
        assert number(diagnosis, name, variable="used") == tried.sum()


def test_shares_are_of_what_converged_and_of_the_hessians_that_were_computed(made):
    diagnosis, tried = diagnose(made), ~np.isin(ENDED[0, 0], (Status.PENDING, Status.NOT_PLANNED))
    assert number(diagnosis, "converged") == pytest.approx((ENDED[0, 0, tried] == Status.CONVERGED).mean())
    eigenvalues = made["hessian_min_eigenvalue"].to_numpy()[0, 0, tried]
    known = eigenvalues[~np.isnan(eigenvalues)]
    assert number(diagnosis, "positive_hessian") == pytest.approx((known >= 0).mean())
    assert number(diagnosis, "positive_hessian", variable="used") == known.size < tried.sum()
    assert np.isnan(number(diagnosis, "converged", "median"))


def test_evaluations_of_the_inversion_are_also_told_per_evaluation_of_the_objective(made):
    made["objective_evaluations"][0, 0, 3] = 0
    tried = ~np.isin(ENDED[0, 0], (Status.PENDING, Status.NOT_PLANNED))
    tried[3] = False
    each = (made["inversion_evaluations"] / made["objective_evaluations"]).to_numpy()[0, 0, tried]
    assert number(diagnose(made), "inversion_evaluations_each") == pytest.approx(each.mean())


def test_the_table_has_a_row_for_each_number_that_there_is(made):
    table = diagnose(made.drop_vars("inversion_failures").assign(hansen_p=made["objective"])).table
    assert table.columns.tolist() == [
        "scenario",
        "estimator",
        "diagnostic",
        "statistic",
        "value",
        "mcse",
        "used",
    ]
    shares = sum(diagnostic.is_proportion for diagnostic in DIAGNOSTICS)
    assert len(table) == 2 * 3 * (2 * (len(DIAGNOSTICS) - 1) - shares)
    assert (table["diagnostic"] != "inversion_failures").all()
    assert table["value"].notna().all()


def test_a_dataset_without_statuses_is_refused(made):
    with pytest.raises(StoreError, match="expected a variable status"):
        diagnose(made.drop_vars("status"))


def test_hansens_test_rejects_at_five_percent_over_usable_replications(made):
    p = RANDOM.random(ENDED.shape) / 10
    made["hansen_p"] = (DIMS, np.where(np.arange(60) % 4 == 0, np.nan, p))
    enters = np.isin(ENDED[0, 0], (1, 3, 4)) & (np.arange(60) % 4 != 0)
    diagnosis = diagnose(made)
    assert number(diagnosis, "hansen_rejection") == pytest.approx((p[0, 0, enters] < 0.05).mean())
    assert number(diagnosis, "hansen_rejection", variable="used") == enters.sum()
