import numpy as np
import pytest
from matplotlib.axes import Axes

from blpsim.report import figures, plots
from blpsim.summary.sample import sample
from blpsim.summary.summarize import samples, summarize
from tests.summary.made import results


@pytest.fixture(scope="module")
def made():
    random = np.random.default_rng(41)
    found = results(
        random.normal(size=(2, 3, 60, 2)) + 0.3,
        random.uniform(0.7, 1.4, (2, 3, 60, 2)),
        0.1,
        scenario=["few markets", "many"],
        estimator=["one", "two", "three"],
    )
    found["estimate"][:, 0, :, 1] = np.nan
    found["status"][0, 1, :6] = 6
    for name in ("seconds", "objective_evaluations", "inversion_evaluations"):
        found[name] = found["status"].copy(data=random.lognormal(size=(2, 3, 60)))
    return found.assign_coords(markets=("scenario", [20, 100]))


def drawn_points(axes):
    """Where an errorbar's markers are, and how far its bars reach, by the ordinate."""
    return {
        container.lines[0].get_ydata()[0]: (
            container.lines[0].get_xdata()[0],
            container.lines[2][0].get_segments()[0][:, 0],
        )
        for container in axes.containers
    }


@pytest.mark.parametrize("measure", ["bias", "rmse", "coverage"])
def test_points_are_measures_and_bars_their_monte_carlo_intervals(made, measure):
    summary = summarize(made)
    axes = plots.performance(summary, measure, "few markets", "beta[x1]")
    here = summary.dataset.sel(scenario="few markets", parameter="beta[x1]", measure=measure)
    points = drawn_points(axes)
    assert sorted(points) == [1, 2]  # the first estimator does not have this parameter
    for place, (value, bar) in points.items():
        scale = 100 if measure == "coverage" else 1
        assert value == pytest.approx(scale * float(here["value"][place]))
        half = 1.959963984540054 * float(here["mcse"][place])
        expected = [float(here[end][place]) for end in ("lower", "upper")]
        if measure != "coverage":
            expected = [value - half, value + half]
        np.testing.assert_allclose(bar, scale * np.array(expected), rtol=1e-9)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["one", "two", "three"]


def test_the_ideal_of_coverage_is_the_level(made):
    axes = plots.performance(summarize(made, level=0.9), "coverage", "many", "beta[x0]")
    assert axes.lines[0].get_xdata()[0] == 90
    assert plots.performance(summarize(made), "bias", "many", "beta[x0]").lines[0].get_xdata()[0] == 0


def test_a_zip_colours_exactly_the_intervals_that_miss():
    random = np.random.default_rng(42)
    error = random.normal(size=200)
    error[5] = np.nan
    cells = sample(error, np.full(200, 0.7), np.zeros(200))
    (drawn,) = plots.intervals({"a": cells, "b": cells}).collections
    segments, colours = np.array(drawn.get_segments()), drawn.get_colors()
    assert len(segments) == 2 * 199
    far = np.abs(segments[:, :, 0].mean(axis=1)) > cells.critical * 0.7
    assert far.sum() == 2 * (np.abs(error) > cells.critical * 0.7).sum()
    assert len({tuple(colour) for colour in colours[far]}) == len({tuple(c) for c in colours[~far]}) == 1
    assert not (colours[far][0] == colours[~far][0]).all()
    for place in (slice(199), slice(199, None)):  # upwards, where ordinates are smaller
        assert segments[place][far[place], 0, 1].max() < segments[place][~far[place], 0, 1].min()


def test_densities_integrate_to_about_one_and_outliers_do_not_stretch_the_panel():
    random = np.random.default_rng(43)
    error = random.normal(size=500)
    error[0] = 1e6
    cells = {"a": sample(error, np.ones(500), np.zeros(500))}
    axes = plots.densities(cells)
    grid, density = next(line for line in axes.lines if line.get_label() == "a").get_data()
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=0.03)
    assert axes.get_xlim()[1] < 10


def test_quantiles_of_normal_statistics_lie_on_the_line():
    random = np.random.default_rng(44)
    own = random.uniform(0.5, 2, 5_000)
    cells = {"a": sample(own * random.normal(size=5_000), own, np.zeros(5_000))}
    normal, statistic = next(
        line for line in plots.quantiles(cells).lines if line.get_label() == "a"
    ).get_data()
    inside = np.abs(normal) < 2  # where a quantile's standard deviation is below 0.04
    np.testing.assert_allclose(statistic[inside], normal[inside], atol=0.16)


def test_nested_loops_step_through_scenarios_in_the_order_of_their_factors(made):
    summary = summarize(made.isel(scenario=[1, 0]))
    axes = plots.nested_loop(summary, "bias", "beta[x1]")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["few markets", "many"]
    assert any("markets: 20, 100" in text.get_text() for text in axes.texts)
    values = summary.dataset["value"].sel(measure="bias", parameter="beta[x1]", estimator="two")
    drawn = [patch for patch in axes.patches if patch.get_label() == "two"]
    np.testing.assert_allclose(drawn[0].get_data().values, values.sel(scenario=["few markets", "many"]))


def test_the_map_of_convergence_writes_out_every_share(made):
    axes = plots.convergence_map(summarize(made))
    assert [text.get_text() for text in axes.texts] == ["100", "90.0", "100", "100", "100", "100"]
    made["status"][1, 2] = 2
    assert len(plots.convergence_map(summarize(made)).texts) == 5
    made["status"][1, 2] = 1


@pytest.mark.filterwarnings("error")
def test_every_figure_of_a_study_is_drawn_and_written(made, tmp_path):
    found = list(figures.drawings(made))
    assert len({drawing.name for drawing in found}) == len(found) == 2 * 6 + 3 + 2
    paths = figures.save(made, tmp_path / "figures", ("svg",))
    assert [path.stem for path in paths] == [drawing.name for drawing in found]
    assert all(b"<svg" in path.read_bytes() for path in paths)
    convergence = found[-1].draw()
    assert figures.written(convergence, "pdf").startswith(b"%PDF")
    assert figures.written(convergence, "png").startswith(b"\x89PNG")
    assert figures.written(found[-1].draw(), "svg") == figures.written(found[-1].draw(), "svg")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("replications", [0, 1, 2])
def test_a_study_with_next_to_nothing_in_it_has_figures(replications):
    made = results(np.zeros((1, 2, replications, 1)), np.nan)
    for drawing in figures.drawings(made):
        assert figures.written(drawing.draw(), "svg")


def test_plots_draw_on_the_axes_that_they_are_given(made):
    cells = {(row, column): cell for row, column, cell in samples(made, 0.95)}
    one = figures.one(cells[0, 1], 0)
    axes = plots.own(None)
    assert isinstance(axes, Axes)
    for drawn in (
        plots.performance(summarize(made), "bias", "many", "beta[x0]", axes),
        plots.intervals({"a": one}, axes),
        plots.densities({"a": one}, axes),
        plots.quantiles({"a": one}, axes),
        plots.nested_loop(summarize(made), "bias", "beta[x0]", axes),
        plots.distributions({"a": np.ones(3)}, axes),
        plots.convergence_map(summarize(made), axes),
    ):
        assert drawn is axes
