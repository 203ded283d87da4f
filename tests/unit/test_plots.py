"""Pictures: which are drawn, that they are PNGs with something on them, that odd inputs do not stop them."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.metrics.closure import Closure
from adtoolkit.metrics.config import ClosureConfig
from adtoolkit.metrics.excess import cut_at
from adtoolkit.metrics.selection import judge
from adtoolkit.plots import draw_all
from adtoolkit.plots.curves import draw_roc, draw_sic
from adtoolkit.plots.features import draw_features
from adtoolkit.plots.mass import draw_mass, mass_edges
from adtoolkit.plots.scores import draw_scores
from adtoolkit.plots.style import clipped_edges, counted, figure, save, skewed_edges
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window

ALL = ["features.png", "mass.png", "roc.png", "scores.png", "sic.png"]
METRICS = {"auc": 0.87, "max-sic": 3.1, "max-sic-at": 0.01, "closure-auc": 0.51}


@pytest.fixture(autouse=True, scope="module")
def small_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adtoolkit.plots.style.DPI", 75)
        yield


def sample(n, seed, truth=0.0, lo=3.0, hi=4.0):
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(truth * 2, 1, (n, 4)), rng.uniform(lo, hi, n), truth=np.full(n, truth))


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    data = Sample.concat(sample(3000, 1), sample(60, 2, 1, 3.4, 3.6))
    test = sample(400, 3, 1, 3.4, 3.6)
    template = sample(2400, 4, 0, 3.3001, 3.6999).blind()
    return Scored(
        events=data,
        score=data.x[:, 0],
        fold=rng.integers(0, 3, len(data)).astype(np.int8),
        test=test,
        test_score=np.repeat(test.x[:, :1], 3, 1),
        features=("a", "b", "c", "d"),
        window=Window(3.3, 3.7),
        template=template,
        template_score=template.x[:, 0],
        template_fold=rng.integers(0, 3, 2400).astype(np.int8),
        mass="m_jj",
        unit="TeV",
    )


def names(paths):
    return sorted(p.name for p in paths)


@pytest.fixture(scope="module")
def drawn(scored, tmp_path_factory):
    """Pictures of the same events, twice, and what became of matplotlib's global state."""
    before = dict(mpl.rcParams)
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    return [draw_all(scored, METRICS, folder) for folder in folders], before == dict(mpl.rcParams)


def test_all_pictures_are_drawn_and_nothing_else_is_left(drawn):
    paths = drawn[0][0]

    assert names(paths) == names(paths[0].parent.iterdir()) == ALL
    for path in paths:
        pixels = mpl.image.imread(path)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05


def test_same_events_same_files(drawn):
    one, two = ([path.read_bytes() for path in paths] for paths in drawn[0])

    assert one == two


def test_drawing_leaves_matplotlibs_global_state_alone(drawn):
    assert drawn[1]


def test_without_truth_there_are_no_curves_but_the_rest(scored, tmp_path):
    blind = replace(scored, events=scored.events.blind(), test=scored.test[:0], test_score=scored.test_score[:0])

    assert names(draw_all(blind, {}, tmp_path)) == ["features.png", "mass.png", "scores.png"]


def test_without_a_template_the_rest_is_drawn(scored, tmp_path):
    bare = replace(scored, template=None, template_score=None, template_fold=None)

    assert names(draw_all(bare, {}, tmp_path)) == ["mass.png", "roc.png", "scores.png", "sic.png"]


def test_without_a_window_everything_is_drawn(scored, tmp_path):
    assert names(draw_all(replace(scored, window=None), METRICS, tmp_path)) == ALL


@pytest.mark.parametrize("odd", ["constant score", "constant feature", "few events", "scores by one fold each"])
def test_odd_events_do_not_stop_the_pictures(scored, tmp_path, odd):
    if odd == "constant score":
        scored = replace(scored, score=0 * scored.score, test_score=0 * scored.test_score, template_score=0 * scored.template_score)
    if odd == "constant feature":
        events, template = (replace(part, x=np.ones_like(part.x)) for part in (scored.events, scored.template))
        scored = replace(scored, events=events, template=template)
    if odd == "few events":
        keep = np.r_[0:12, 3000:3003]
        scored = replace(scored, events=scored.events[keep], score=scored.score[keep], fold=scored.fold[keep])
    if odd == "scores by one fold each":
        own = np.arange(400)[:, None] % 3 == np.arange(3)
        scored = replace(scored, test_score=np.where(own, scored.test_score, np.nan))

    assert names(draw_all(scored, {}, tmp_path)) == ALL


def test_axes_say_what_they_show(scored):
    (ax,) = draw_sic(judge(scored), METRICS).axes
    panels = draw_features(scored, METRICS).axes

    assert "background efficiency" in ax.get_xlabel()
    assert "max SIC 3.10" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert [p.get_xlabel() for p in panels if p.get_xlabel()] == ["a", "b", "c", "d"]


def test_energies_of_cells_that_are_mostly_zero_get_bins_of_equal_ratio():
    rng = np.random.default_rng(0)
    energy = np.where(rng.random(4000) < 0.7, 0, rng.lognormal(0, 2, 4000))
    edges, scale = skewed_edges(energy)
    count = counted(energy, edges)

    assert scale == "symlog"
    assert count.sum() == 4000
    assert count[0] == pytest.approx((energy == 0).sum(), abs=20)
    assert (count[1:] > 0).sum() > 30
    assert np.allclose(edges[2:] / edges[1:-1], edges[2] / edges[1])


@pytest.mark.parametrize("values", ["normal", "negative", "constant", "zero"])
def test_other_features_keep_equal_bins(values):
    rng = np.random.default_rng(0)
    x = {"normal": rng.normal(size=500), "negative": rng.lognormal(0, 3, 500) - 5, "constant": np.ones(500), "zero": np.zeros(500)}[values]
    edges, scale = skewed_edges(x)

    assert scale == "linear"
    assert np.array_equal(edges, clipped_edges(x))


def test_panels_of_skewed_features_have_logarithmic_axes(scored):
    x = [np.where(part.x > 0.5, np.exp(3 * part.x), 0) for part in (scored.events, scored.template)]
    skewed = replace(scored, events=replace(scored.events, x=x[0]), template=replace(scored.template, x=x[1]))
    panels = draw_features(skewed, METRICS).axes

    assert {panel.get_xscale() for panel in panels} == {"symlog"}


def heights(fig):
    """What is drawn as steps, and as points with errors, panel by panel."""
    stairs = [patch.get_data().values for ax in fig.axes for patch in ax.patches if hasattr(patch, "get_data")]
    points = [line.get_ydata() for ax in fig.axes for line in ax.lines if line.get_marker() == "."]
    bars = [segment[:, 1] for ax in fig.axes for container in ax.containers for segment in container[2][0].get_segments()]
    return [*stairs, *points, np.ravel(bars)]


@pytest.mark.parametrize("draw", [lambda scored: draw_features(scored, METRICS), draw_scores])
def test_events_of_weight_two_stand_for_two_and_scatter_like_one(scored, draw):
    few = replace(scored, test=scored.test[:0], test_score=scored.test_score[:0])
    twice = replace(few, events=replace(few.events, weight=np.full(len(few.events), 2, np.float32)))
    one, two = heights(draw(few)), heights(draw(twice))
    factor = 1 if draw is draw_scores else 2

    assert len(one) == len(two) > 2
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, factor * a, rtol=1e-6)


def test_nothing_that_is_drawn_leaves_its_panel(scored):
    background = np.r_[np.zeros(200), np.linspace(-1, 1, 200)]
    test = Sample(np.repeat(background[:, None], 4, 1), np.full(400, 3.5), truth=np.zeros(400))
    panels = draw_features(replace(scored, test=test, test_score=test.x[:, :3]), METRICS).axes[::2]

    for panel in panels:
        steps = [patch.get_data().values for patch in panel.patches if hasattr(patch, "get_data")]
        assert panel.get_ylim()[1] > max(float(step.max()) for step in steps)


@pytest.mark.parametrize("weighted", [False, True])
def test_pulls_are_those_of_the_closure_metric(scored, weighted):
    if weighted:
        weight = np.random.default_rng(5).uniform(0.5, 2, len(scored.events))
        scored = replace(scored, events=replace(scored.events, weight=weight), test=scored.test[:0], test_score=scored.test_score[:0])
    told = Closure(ClosureConfig(replicas=1, members=1, limit=200)).compute(scored, RunContext())
    panels = draw_features(scored, METRICS).axes[1::2]

    for panel, feature in zip(panels, scored.features, strict=True):
        (lines,) = panel.collections
        heights = [line[0][1] for line in lines.get_segments()]
        assert len(heights) == 30
        assert np.abs(heights).max() == pytest.approx(told[f"closure-pull-{feature}"])


def test_the_legend_of_the_roc_is_outside_of_its_axes_and_names_the_floor(scored):
    fig = draw_roc(judge(scored), METRICS)
    fig.draw_without_rendering()
    (box,) = (legend.get_window_extent() for legend in fig.legends)

    assert box.y1 < fig.axes[0].get_window_extent().y0
    assert not fig.axes[0].texts
    assert "beyond the statistical floor" in [text.get_text() for text in fig.legends[0].get_texts()]


def test_scores_that_are_log_ratios_are_named_so(scored):
    assert draw_scores(scored).axes[0].get_xlabel() == "score"
    assert draw_scores(replace(scored, log_ratio=True)).axes[0].get_xlabel() == "log p(signal) / p(background)"


def test_cut_counts_what_the_template_lets_expect_whatever_the_scales_of_the_folds(scored):
    inside = scored.inside(scored.events)
    shift = np.array([0, 100, -30])
    shifted = replace(scored, score=scored.score + shift[scored.fold], template_score=scored.template_score + shift[scored.template_fold])

    cut = cut_at(shifted, 0.1)

    assert cut.expected == pytest.approx(0.1 * inside.sum())
    assert cut.error == pytest.approx((cut.expected + cut.expected**2 / 240) ** 0.5)
    np.testing.assert_array_equal(cut.passed, cut_at(scored, 0.1).passed)
    background = (cut.passed & inside & (scored.events.truth == 0)).sum()
    assert background == pytest.approx(0.1 * (inside & (scored.events.truth == 0)).sum(), rel=0.25)
    assert cut.observed > background + 30


def test_bins_of_the_mass_meet_the_ends_of_the_window(scored):
    edges = mass_edges(scored.events.m, scored)

    assert np.isclose(edges, 3.3).any()
    assert np.isclose(edges, 3.7).any()
    assert edges[0] <= np.quantile(scored.events.m, 0.002)


def test_without_a_window_the_mass_spectrum_expects_nothing(scored):
    picture = draw_mass(replace(scored, window=None))
    said = [text.get_text() for text in picture.axes[0].get_legend().get_texts()]

    assert not any("expected" in text for text in said)
    counts = [int(text.rpartition(" ")[2]) for text in said if text.startswith("highest")]
    assert counts == [pytest.approx(share * len(scored.events), abs=3) for share in (0.1, 0.01)]


def test_histograms_lose_no_finite_event():
    values = np.r_[np.random.default_rng(0).normal(size=1000), 1e9, -1e9, np.nan]

    assert counted(values, clipped_edges(values)).sum() == 1002


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    fig = figure()
    monkeypatch.setattr(fig, "savefig", lambda part, **_: (part.write_bytes(b"half"), 1 / 0))

    with pytest.raises(ZeroDivisionError):
        save(fig, path)

    assert path.read_bytes() == b"old"
    assert names(tmp_path.iterdir()) == ["a.png"]
