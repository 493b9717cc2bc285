"""Moments in innovations: lags, gradients, and estimates of autocorrelation; tests/parity has PyBLP's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.innovations import Differencing
from blpsim.estimate.objective import Objective
from blpsim.estimate.solve import first_step
from blpsim.model.lags import Lags, lags_of
from blpsim.model.layout import layout
from blpsim.status import Status
from tests.simulate.scenarios import PARTS, scenario

from .nested import model, tables

BOTH = {"demand_moment_types": "innovations", "supply_moment_types": "innovations"}
DIFFERENCED = {"demand_moment_types": "differenced_innovations", "supply_moment_types": "innovations"}


def columns():
    """Return a nested problem's products as a panel in which some products are missing at times."""
    found = tables()
    ids = np.arange(found["x"].size) % 7
    ids[[8, 16]] = [20, 21]
    return {**found, "product_ids": ids, "clustering_ids": ids}


def objective_of(types, phi, **changes) -> Objective:
    made = dataclasses.replace(model(), **{"linear": "0 + x + prices", **changes})
    setting = bs.Problem(made, columns(), integration=bs.Integration("product", 5)).setting
    given = {"beta": [np.nan, -1.0], "sigma": [[0.8]], "phi": phi}
    given |= {"rho": 0.4} if made.nests else {}
    bound = layout(bs.Parameters(**given), setting.columns, True)
    return first_step(setting, bound, bs.GMM(**types))


MODELS = {
    "nests": {},
    "plain": {"nests": None},
    "scaled": {"nests": None, "epsilon_scale": 0.5},
    "nests, log costs": {"costs": "log"},
}


@pytest.mark.parametrize("types", [BOTH, DIFFERENCED], ids=["innovations", "differenced"])
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS)
def test_the_gradient_is_that_of_the_objective_by_phi_as_well(types, changes):
    """Central differences of fourth order have an error near 1e-9 relative at this step, also of logs."""
    objective = objective_of(types, [0.4, 0.3], **changes)
    theta = objective.layout.theta0
    assert objective.layout.theta_names[-2:] == ("phi[xi]", "phi[omega]")
    gradient = objective(theta)[1].copy()
    for k in range(theta.size):
        step = np.zeros(theta.size)
        step[k] = 4e-4
        ends = [objective(theta + m * step)[0] for m in (1, -1, 2, -2)]
        difference = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * step[k])
        assert gradient[k] == pytest.approx(difference, rel=1e-6, abs=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize("types", [BOTH, DIFFERENCED], ids=["innovations", "differenced"])
def test_averages_of_innovations_times_instruments_are_the_moments(types):
    objective = objective_of(types, [0.4, 0.3])
    objective(objective.layout.theta0)
    setting, (xi, omega) = objective.setting, objective.moment_residuals()
    products = (setting.demand_instruments @ xi, setting.supply_instruments @ omega)
    np.testing.assert_allclose(np.concatenate(products) / xi.size, objective.state.moments, atol=1e-14)
    jacobian = objective.moment_jacobian()
    g = np.vstack((setting.demand_instruments @ jacobian.xi, setting.supply_instruments @ jacobian.omega))
    composed = 2 * objective.moments.scale * (g / xi.size).T @ objective.state.weighted
    gradient = objective(objective.layout.theta0)[1]
    at = objective.layout.theta_positions
    np.testing.assert_allclose(composed[at], gradient, rtol=1e-8, atol=1e-9 * np.abs(gradient).max())


@pytest.mark.parametrize("kind", ["innovations", "differenced_innovations"])
def test_instruments_are_the_adjoint_of_what_makes_innovations(kind):
    objective = objective_of(BOTH, [0.4, 0.3])
    lags = lags_of(objective.setting.products)
    made, rng = Differencing(lags, (kind, kind)), np.random.default_rng(0)
    z, xi = rng.normal(size=(3, lags.once.size)), rng.normal(size=lags.once.size)
    np.testing.assert_allclose(made.instruments(0, z, 0.7) @ xi, z @ made.residual(0, xi, 0.7), rtol=1e-10)
    change = (made.residual(0, xi, 0.7 + 1e-6) - made.residual(0, xi, 0.7 - 1e-6)) / 2e-6
    np.testing.assert_allclose(made.d_phi(0, xi), change, atol=1e-8)


def test_lags_are_the_same_products_in_the_market_before():
    objective = objective_of(BOTH, [0.4, 0.3])
    products, (previous, once, twice) = objective.setting.products, lags_of(objective.setting.products)
    markets, ids = products.columns["market_ids"], products.columns["product_ids"]
    rows = dict(zip(zip(markets.tolist(), ids.tolist(), strict=True), range(ids.size), strict=True))
    for row, (market, product) in enumerate(zip(markets.tolist(), ids.tolist(), strict=True)):
        before, twice_before = rows.get((market - 1, product)), rows.get((market - 2, product))
        assert previous[row] == (row if before is None else before)
        assert once[row] == (before is not None)
        assert twice[row] == (before is not None and twice_before is not None)
    assert twice.any()
    assert not once[markets > 0].all()
    assert isinstance(lags_of(products), Lags)


def read(**changes):
    given = {**columns(), **changes}
    given = {name: column for name, column in given.items() if column is not None}
    return bs.Problem(model(nests=None), given, integration=bs.Integration("product", 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"product_ids": None}, "products = no lag_indices: expected lag_indices, or product_ids"),
        ({"product_ids": np.zeros(35, int)}, r"products\['product_ids'\] = one twice in a market"),
        ({"market_ids": np.repeat(list("abcde"), 7)}, r"products\['market_ids'\] = markets named as a"),
        ({"lag_indices": np.arange(35) - 1}, r"products\['lag_indices'\] = -1 to 33: expected rows 0 to 34"),
        ({"lag_indices": np.full(35, 0.5)}, r"products\['lag_indices'\] = 0.5 to 0.5: expected rows 0 to 34"),
        ({"lag_indices": np.zeros(35, int)}, r"products\['lag_indices'\] = 0 twice: expected a row at most"),
    ],
)
def test_data_that_do_not_say_where_products_were_before_are_refused(changes, message):
    problem = read(**changes)
    with pytest.raises(bs.DataError, match=message):
        problem.evaluate(
            bs.Parameters(beta=[np.nan, np.nan, -1], sigma=[[1.0]], phi=[0.4, 0.3]), bs.GMM(**BOTH)
        )


@pytest.mark.parametrize(
    ("phi", "types", "model_changes", "message"),
    [
        (None, BOTH, {}, r"GMM.demand_moment_types = innovations: expected 'levels' without phi\[xi\]"),
        (0.4, BOTH, {}, r"GMM.supply_moment_types = innovations: expected 'levels' without phi\[omega\]"),
        (0.4, {}, {}, r"GMM.demand_moment_types = levels: expected innovations, or no phi\[xi\]"),
        (
            [0.4, 0.3],
            BOTH,
            {"absorb_demand": "C(product_ids)"},
            "GMM.demand_moment_types = innovations: expected 'levels' with absorbed fixed effects",
        ),
    ],
)
def test_phi_and_moments_that_do_not_belong_together_are_refused(phi, types, model_changes, message):
    made = dataclasses.replace(model(nests=None), **{"linear": "0 + x + prices", **model_changes})
    problem = bs.Problem(made, columns(), integration=bs.Integration("product", 3))
    with pytest.raises(bs.ConfigurationError, match=message):
        problem.evaluate(bs.Parameters(beta=[np.nan, -1], sigma=[[1.0]], phi=phi), bs.GMM(**types))


@pytest.mark.parametrize(
    ("phi", "message"),
    [
        ([[0.4, 0.1], [0.0, 0.3]], "Parameters.phi = .*: expected a diagonal matrix"),
        ([0.4, 0.3, 0.2], "Parameters.phi = shape"),
        ({"eta": 0.4}, "Parameters.phi = eta: expected one of"),
        ([np.inf, 0.1], "Parameters.phi = inf: expected finite numbers"),
    ],
)
def test_autocorrelations_that_are_none_are_refused(phi, message):
    with pytest.raises(bs.ParameterError, match=message):
        read().evaluate(bs.Parameters(beta=[np.nan, np.nan, -1], sigma=[[1.0]], phi=phi), bs.GMM(**BOTH))


@pytest.mark.parametrize("phi", [[0.4, 0.3], [[0.4, 0], [0, 0.3]], {"xi": 0.4, "phi[omega]": 0.3}], ids=str)
def test_autocorrelations_are_written_as_a_vector_a_matrix_or_by_name(phi):
    given = bs.Parameters(beta=[np.nan, np.nan, -1], sigma=[[1.0]], phi=phi)
    found = read().evaluate(given, bs.GMM(**BOTH))
    assert found.status is Status.EVALUATED
    assert np.array(found.parameters.phi).tolist() == [0.4, 0.3]


PANEL = {
    "consumers": bs.Integration("product", 7),
    "markets": bs.Markets(number=40, firms=4, products_per_firm=4, panel=True),
    "errors": bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1, phi=0.6),
    "truth": bs.Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 1], phi=[0.6, 0.6]),
}


def estimator(**changes):
    given = {
        "instruments": bs.instruments.Lagged(base=bs.instruments.Local()),
        "integration": bs.Integration("product", 7),
        "starts": bs.Starts(1, width=0.2),
        "gmm": bs.GMM(method="2s", **BOTH),
    }
    return bs.Estimator(**{**given, **changes})


def test_autocorrelation_is_recovered_with_standard_errors():
    """Within four errors of a mean of six; consumers are those of the data, whose error has no memory."""
    made = scenario(**PANEL)
    estimators = {"innovations": estimator(), "levels": estimator(gmm=bs.GMM())}
    names = estimators["innovations"].names(made)
    assert names[-2:] == ("phi[xi]", "phi[omega]")
    assert "phi[xi]" not in estimators["levels"].names(made)
    found = []
    for replication in range(6):
        streams = bs.Streams(seed=1, replication=replication)
        dataset = made.generate(streams)
        found.append(estimators["innovations"].estimate(dataset, streams))
    assert all(estimate.status.is_usable for estimate in found)
    values, errors = (np.array([getattr(e, f) for e in found]) for f in ("values", "standard_errors"))
    truth = np.array([made.truth_by_name()[name] for name in names])
    assert (np.abs(values.mean(axis=0) - truth) < 4 * np.sqrt((errors**2).mean(axis=0) / 6)).all()
    assert (errors[:, -2:] < 0.2).all()


def test_results_have_the_uses_of_others():
    made = scenario(**PANEL)
    streams = bs.Streams(seed=1, replication=0)
    gmm = bs.GMM(method="1s", resample_agents=2, bounds={"phi[xi]": (0.1, 0.9)}, **BOTH)
    rule = bs.Integration("monte_carlo", 30)
    estimate = estimator(gmm=gmm, integration=rule).estimate(made.generate(streams), streams)
    result = estimate.result
    assert 0.1 < np.array(result.parameters.phi)[0] < 0.9
    assert np.isfinite(
        estimate.delta_method(lambda economy: economy.own_elasticities().mean()).standard_errors
    )
    assert result.bootstrap(2).values.shape == (2, len(result.names))
    assert list(result.table().index)[-2:] == ["phi[xi]", "phi[omega]"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: estimator(instruments=bs.instruments.Optimal(first=estimator(gmm=bs.GMM()))),
            "Estimator.instruments = Optimal: expected others with innovations",
        ),
        (
            lambda: estimator(instruments=bs.instruments.Optimal(first=estimator()), gmm=bs.GMM(method="1s")),
            "Estimator.instruments = Optimal: expected others with innovations",
        ),
        (
            lambda: estimator(model=PARTS["model"]).names(scenario(**PANEL)),
            r"Estimator.parameters.phi = None: expected a phi\[omega\] that is not zero",
        ),
        (
            lambda: estimator().names(scenario()),
            r"Scenario.truth.phi = None: expected a phi\[omega\] that is not zero",
        ),
        (
            lambda: scenario(**{**PANEL, "errors": bs.Errors(phi=0.5)}),
            r"Scenario.truth.phi = \[0.6, 0.6\]: expected Scenario.errors.phi",
        ),
    ],
)
def test_innovations_that_nothing_has_are_refused(make, message):
    with pytest.raises(bs.ConfigurationError, match=message):
        make()


def test_levels_leave_the_content_of_a_gmm_alone():
    from blpsim.fingerprint import fingerprint

    assert fingerprint(bs.GMM()) == fingerprint(bs.GMM(demand_moment_types="levels"))
    assert fingerprint(bs.GMM()) != fingerprint(bs.GMM(demand_moment_types="innovations"))
    assert scenario(truth=dataclasses.replace(PARTS["truth"], phi=None)).stream_key == scenario().stream_key


def test_lagged_instruments_are_what_products_had_in_the_market_before():
    dataset = scenario(**PANEL).generate(bs.Streams(seed=1, replication=0))
    streams = bs.Streams(seed=1, replication=0)
    setting = estimator().solution(dataset, streams).setting
    plain = estimator(instruments=bs.instruments.Local()).solution(dataset, streams).setting
    products, extra = dataset.measured, plain.demand_instruments.shape[0] - 2
    for side, first in (("demand_instruments", extra), ("supply_instruments", None)):
        ours, theirs = getattr(setting, side), getattr(plain, side)
        assert len(ours) == len(theirs) + 2
        start = len(theirs) - 3 if first is None else first
        for row, name in zip(ours[start : start + 2], ("prices", "shares"), strict=True):
            by_market = products.columns[name].reshape(40, 16)
            assert np.array_equal(row.reshape(40, 16)[1:], by_market[:-1])
            assert (row.reshape(40, 16)[0] == 0).all()


def test_lags_of_columns_that_do_not_exist_are_refused():
    made = estimator(instruments=bs.instruments.Lagged(columns=("quantities",)))
    streams = bs.Streams(seed=1, replication=0)
    with pytest.raises(bs.DataError, match=r"Lagged.columns = quantities: expected one of"):
        made.estimate(scenario(**PANEL).generate(streams), streams)


def test_a_model_of_ones_own_starts_at_autocorrelations_that_are_given():
    made, streams = scenario(**PANEL), bs.Streams(seed=1, replication=0)
    own = estimator(model=PARTS["model"], parameters=bs.Parameters(phi=[0.5, 0.5]))
    assert own.names(made) == estimator().names(made)
    ours, theirs = (each.estimate(made.generate(streams), streams) for each in (own, estimator()))
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-3, atol=1e-4)


def test_optimal_instruments_of_innovations_are_refused():
    found = read()
    start = bs.Parameters(beta=[np.nan, np.nan, -1], sigma=[[1.0]], phi=[0.4, 0.3])
    result = found.solve(start, bs.GMM(optimizer=bs.Optimizer("return"), method="1s", **BOTH))
    with pytest.raises(bs.ConfigurationError, match=r"compute_optimal_instruments = innovations: expected"):
        result.compute_optimal_instruments()
