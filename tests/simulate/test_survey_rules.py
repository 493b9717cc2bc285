"""Streams of surveys, answers that are not the truth, and surveys that cannot be done."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import BlpsimError
from blpsim.status import Status
from blpsim.study.replication import run_replication

from .micro_data import INCOMES, STREAMS, made

BUYERS = bs.MicroDataset("buyers", observations=400)
SWITCHERS = bs.MicroDataset("switchers", observations=300, second_choices=True)
INCOME = bs.MicroPart("income", BUYERS, agent="income")


def survey(dataset=BUYERS, **changes):
    return bs.Survey(dataset=dataset, **changes)


def answers(*surveys, streams=STREAMS, **changes):
    return {name: each.frame() for name, each in made(surveys, **changes).generate(streams).surveys.items()}


def test_a_survey_changes_no_other_number():
    plain, alone, both = made(), made((BUYERS,)), made((SWITCHERS, survey()))
    assert plain.stream_key == alone.stream_key == both.stream_key
    streams = dataclasses.replace(STREAMS, stream_key="")
    datasets = [each.generate(streams) for each in (plain, alone, both)]
    for dataset in datasets[1:]:
        assert dataset.products.equals(datasets[0].products)
        assert dataset.agents.equals(datasets[0].agents)
    assert datasets[1].surveys["buyers"].frame().equals(datasets[2].surveys["buyers"].frame())


def test_respondents_are_a_function_of_the_streams():
    first, again = (answers(BUYERS, SWITCHERS) for _ in range(2))
    for name, frame in first.items():
        assert frame.equals(again[name])
    other = answers(BUYERS, SWITCHERS, streams=dataclasses.replace(STREAMS, replication=9))
    assert not any(frame.equals(other[name]) for name, frame in first.items())
    renamed = answers(dataclasses.replace(BUYERS, name="others"))["others"]
    assert not renamed.equals(first["buyers"])


def test_new_people_are_not_the_consumers_who_made_the_shares():
    drawn = {"income": bs.Lognormal(0, 0.5)}
    for respondents, same in (("population", False), ("consumers", True)):
        dataset = made((survey(respondents=respondents),), demographics=drawn).generate(STREAMS)
        known = np.isin(dataset.surveys["buyers"].frame()["income"], dataset.agents["income"])
        assert known.all() == known.any() == same
    assert dataset.surveys["buyers"].frame()["income"].nunique() <= 4 * 30


def test_new_people_live_where_the_consumers_do():
    drawn = {"income": bs.OneOf(*(bs.Normal(float(mean), 0.01) for mean in range(4)))}
    dataset = made((BUYERS,), demographics=drawn).generate(STREAMS)
    lived = dataset.agents.groupby("market_ids")["income"].mean().round()
    said = dataset.surveys["buyers"].frame().groupby("market_ids")["income"].mean().round()
    assert lived.nunique() > 1
    assert lived.loc[said.index].equals(said)


def test_a_model_without_random_coefficients_has_respondents():
    model = bs.Model(linear="1 + x + prices", supply="1 + x + w")
    truth = bs.Parameters(beta=[-1, 2, -1], gamma=[2, 1, 0.2])
    frame = answers(BUYERS, model=model, truth=truth, demographics=None, consumers=None)["buyers"]
    assert len(frame) == 400
    assert (frame["choice_indices"] > 0).all()


def test_demographics_are_reported_as_said_and_respondents_are_drawn_by_the_truth():
    true = answers(survey())["buyers"]
    told = answers(survey(reports={"income": bs.Misreport(formula="2 * income + 1")}))["buyers"]
    assert np.array_equal(told["income"], 2 * true["income"] + 1)
    assert told.drop(columns="income").equals(true.drop(columns="income"))
    noisy = answers(survey(reports={"income": bs.Misreport(noise=bs.Uniform(-0.1, 0.1))}))["buyers"]
    errors = noisy["income"] - true["income"]
    assert 0 < errors.abs().min() < errors.abs().max() < 0.1


@pytest.mark.parametrize(
    ("how", "codes"),
    [
        ({"edges": (0.5, 2)}, {0.0: 0.5, 1.0: 1.25, 2.5: 2.0}),
        ({"edges": (1.0,), "values": (0.0, 7.0)}, {0.0: 0.0, 1.0: 7.0, 2.5: 7.0}),
        ({"formula": "income - 1", "edges": (0.0,), "values": (-1.0, 1.0)}, {0.0: -1.0, 1.0: 1.0, 2.5: 1.0}),
    ],
    ids=["middles", "an edge belongs above", "a formula first"],
)
def test_demographics_are_coarsened(how, codes):
    true, told = (
        answers(survey(reports=reports))["buyers"]["income"]
        for reports in ({}, {"income": bs.Misreport(**how)})
    )
    assert set(true) == set(INCOMES)
    assert np.array_equal(told, true.map(codes))


def test_demographics_that_are_made_of_others_follow_what_is_said_of_these():
    model = bs.Model(
        linear="1 + x + prices",
        nonlinear="0 + x",
        demographics="0 + income + I(income**2)",
        supply="1 + x + w",
    )
    truth = bs.Parameters(beta=[-1, 2, -1], sigma=[[0.0]], pi=[[1.5, 0.1]], gamma=[2, 1, 0.2])
    how = {"income": bs.Misreport(formula="income + 3")}
    frame = answers(survey(reports=how), model=model, truth=truth)["buyers"]
    assert frame["income"].min() == 3
    np.testing.assert_allclose(frame["income**2"], frame["income"] ** 2)


def test_values_of_moments_are_those_of_their_surveys_or_given():
    switchers = bs.MicroPart("x x'", SWITCHERS, first="x", second="x")
    ratio = bs.MicroMoment("a / b", None, parts=(switchers, INCOME), function=lambda v: v[0] / v[1])
    moments = [bs.MicroMoment("income", None, parts=INCOME), bs.MicroMoment("said", 7.0, parts=INCOME), ratio]
    dataset = made((BUYERS, SWITCHERS)).generate(STREAMS)
    income = dataset.surveys["buyers"].frame()["income"]
    frame, x = dataset.surveys["switchers"].frame(), dataset.products["x"].to_numpy()
    inside = [np.where(frame[name] < 0, 0, x[frame[name]]) for name in ("choices", "second_choices")]
    products = inside[0] * inside[1]
    found = dataset.micro_values(moments)
    np.testing.assert_allclose(found, [income.mean(), 7.0, products.mean() / income.mean()], rtol=1e-12)
    with pytest.raises(
        BlpsimError, match=r"^MicroMoment.value = None, of the survey 'buyers': expected one of sw"
    ):
        made((SWITCHERS,)).generate(STREAMS).micro_values(moments)


def nobody(_, products, agents):
    return np.zeros((agents["income"].size, products["x"].size))


def nobody_twice(_, products, agents):
    return np.zeros((agents["income"].size, products["x"].size, products["x"].size))


@pytest.mark.parametrize("respondents", ["population", "consumers"])
@pytest.mark.parametrize("second", [False, True])
def test_a_survey_that_asks_nobody_is_a_status(respondents, second):
    weights = nobody_twice if second else nobody
    dataset = bs.MicroDataset("nobody", observations=20, weights=weights, second_choices=second)
    scenario = made((survey(dataset, respondents=respondents), SWITCHERS))
    drawn = scenario.generate(STREAMS)
    assert drawn.status is Status.NO_RESPONDENTS
    assert list(drawn.surveys) == ["switchers"]
    assert drawn.equilibrium_residual < 1e-8


def test_a_study_remembers_that_nobody_was_asked():
    dataset = bs.MicroDataset("nobody", observations=20, weights=nobody)
    estimator = bs.Estimator(integration=bs.Integration("monte_carlo", 10), supply=False)
    design = bs.Design(
        name="nobody",
        seed=1,
        replications=1,
        scenarios={"asked": made((dataset,))},
        estimators={"any": estimator},
    )
    found = run_replication(design, "asked", 0, ["any"])
    assert found.drawing.status is Status.NO_RESPONDENTS
    assert found.outcomes[0].status is Status.NO_DATA
    assert [failure.status for failure in found.failures] == [Status.NO_RESPONDENTS]


def test_scenarios_with_surveys_pickle_and_count_in_hashes():
    scenario = made((BUYERS, survey(SWITCHERS, reports={"income": bs.Misreport(edges=(1.0,))})))
    again = pickle.loads(pickle.dumps(scenario))
    assert again.generate(STREAMS).surveys["buyers"].frame().equals(answers(BUYERS)["buyers"])
    hashes = {
        bs.Design(
            name="a",
            seed=1,
            replications=1,
            scenarios={"a": each},
            estimators={"a": bs.Estimator(integration="generator", supply=False)},
        ).fingerprint
        for each in (scenario, made((BUYERS,)), made())
    }
    assert len(hashes) == 3


def test_markets_that_are_redrawn_are_surveyed_too():
    """Taken from given agents, whose answers are theirs or those of people like them."""
    economy = made(consumers=bs.Integration("monte_carlo", 20)).generate(STREAMS).economy
    for redraw, markets in (("errors", None), ("markets", 6)):
        asked = (survey(respondents="consumers"), survey(SWITCHERS))
        process = bs.Scenario.from_economy(economy, redraw, markets=markets, surveys=asked)
        plain = bs.Scenario.from_economy(economy, redraw, markets=markets)
        assert process.stream_key == plain.stream_key
        dataset = process.generate(bs.Streams(seed=1, replication=0))
        assert dataset.products.equals(plain.generate(bs.Streams(seed=1, replication=0)).products)
        frames = {name: each.frame() for name, each in dataset.surveys.items()}
        assert {name: len(frame) for name, frame in frames.items()} == {"buyers": 400, "switchers": 300}
        for frame in frames.values():
            assert frame["market_ids"].nunique() == (markets or 4)
            known = dataset.agents.groupby("market_ids")["income"].agg(set)
            assert all(income in known[name] for name, income in frame[["market_ids", "income"]].to_numpy())


@pytest.mark.parametrize("nested", [False, True])
def test_nobody_chooses_what_is_not_available(nested):
    available = bs.Bernoulli(0.5)
    asked = dataclasses.replace(SWITCHERS, observations=5_000)
    dataset = made((survey(asked, respondents="consumers"),), nested, availability=available).generate(
        STREAMS
    )
    found, agents = dataset.surveys["switchers"], dataset.economy.agents
    # Nodes tell consumers apart.
    order = np.argsort(agents.nodes[0])
    who = order[np.searchsorted(agents.nodes[0], found.people.nodes[0], sorter=order)]
    assert np.array_equal(agents.nodes[0, who], found.people.nodes[0])
    availability = agents.specific.availability
    assert 0.3 < (availability == 0).mean() < 0.7
    for chosen in (found.first, found.second):
        assert (chosen > 0).all()
        assert (availability[chosen - 1, who] > 0).all()


REFUSED = {
    "a demographic that differs by product": (
        lambda: made((BUYERS,), demographics={"income": bs.PerAgentAndProduct(bs.Normal())}),
        "Scenario.surveys = demographics that differ by product",
    ),
    "a market that is not redrawn": (
        lambda: bs.Scenario.from_economy(
            made().generate(STREAMS).economy,
            "markets",
            markets=2,
            surveys=(dataclasses.replace(BUYERS, markets=(3,)),),
        ),
        "MicroDataset.markets = 3",
    ),
    "two of one name": (lambda: made((BUYERS, survey())), "Scenario.surveys"),
    "no survey": (lambda: made((3,)), "Scenario.surveys"),
    "no market": (lambda: made((dataclasses.replace(BUYERS, markets=(1, 9)),)), "MicroDataset.markets = 9"),
    "no demographic": (
        lambda: made((survey(reports={"age": bs.Misreport(edges=(1.0,))}),)),
        "Survey.reports = age: expected demographics among income",
    ),
    "no column": (
        lambda: made((dataclasses.replace(SWITCHERS, without="maker"),)),
        "MicroDataset.without = maker",
    ),
    "numbers of another sum": (lambda: survey(numbers=(100, 200, 0, 99)), "Survey.numbers = 399"),
    "numbers of other markets": (lambda: made((survey(numbers=(200, 200)),)), "Survey.numbers"),
    "a negative number": (lambda: survey(numbers=(-1, 401, 0, 0)), "Survey.numbers = -1"),
    "nodes with weights below zero": (
        lambda: made(
            (survey(respondents="consumers"),),
            model=bs.Model(linear="1 + x + prices", nonlinear="1 + x", supply="1 + x + w"),
            truth=bs.Parameters(beta=[-1, 2, -1], sigma=np.eye(2), gamma=[2, 1, 0.2]),
            demographics=None,
            consumers=bs.Integration("grid", 3),
        ),
        "Survey.respondents = consumers: expected population",
    ),
    "the truth as a misreport": (lambda: bs.Misreport(), "Misreport = nothing"),
    "edges that cross": (lambda: bs.Misreport(edges=(2.0, 1.0)), "Misreport.edges"),
    "no edges": (lambda: bs.Misreport(edges=()), "Misreport.edges"),
    "values without bins": (lambda: bs.Misreport(formula="2 * income", values=(1.0,)), "Misreport.values"),
    "too few values": (lambda: bs.Misreport(edges=(1.0,), values=(1.0,)), "Misreport.values"),
    "a formula that is none": (lambda: bs.Misreport(formula="2 +"), "Misreport.formula"),
    "noise that is none": (lambda: bs.Misreport(noise=2.0), "Misreport.noise"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_surveys_that_cannot_be_done_are_refused(kind):
    make, said = REFUSED[kind]
    with pytest.raises(BlpsimError) as refused:
        make()
    assert str(refused.value).startswith(said)


def test_groups_that_cut_through_nests_are_refused():
    """Products of a brand are in both nests, and others are, too."""
    with pytest.raises(BlpsimError, match=r"^MicroDataset.without = brand: expected groups within"):
        made((dataclasses.replace(SWITCHERS, without="brand"),), True)
    made((dataclasses.replace(SWITCHERS, without="market_ids"),), True)
