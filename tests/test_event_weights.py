"""Event weights in what is measured: events of weight w stand for w events of weight 1."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.mass import MassConfig, fit_mass
from adtoolkit.metrics.closure import Closure, pulls
from adtoolkit.metrics.config import ClosureConfig, ExcessConfig, SculptingConfig
from adtoolkit.metrics.excess import Excess, bias_of, cut_at, effective_weight
from adtoolkit.metrics.sculpting import Sculpting, chi2_per_degree
from adtoolkit.plots.mass import draw_mass
from adtoolkit.scored import Control, Scored
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)


def masses(n, seed=0):
    return (2.5 + np.random.default_rng(seed).exponential(0.6, n)).astype(np.float32)


@pytest.mark.parametrize("name", ["kde", "histogram", "sideband-fit"])
def test_a_spectrum_of_weights_is_that_of_repeated_events(name):
    m = masses(20_000)
    weight = np.random.default_rng(1).integers(0, 4, len(m)).astype(np.float32)
    at = np.linspace(3.31, 3.69, 50).astype(np.float32)

    weighted = fit_mass(MassConfig(name=name), m, WINDOW, weight).log_prob(at)
    repeated = fit_mass(MassConfig(name=name), np.repeat(m, weight.astype(int)), WINDOW).log_prob(at)

    # the fine bins of the KDE reach from the lowest event to the highest, of weight 0 or not; the histogram adds one event to both
    tolerance = {"kde": 1e-2, "histogram": 1e-3, "sideband-fit": 1e-4}[name]
    assert weighted == pytest.approx(repeated, abs=tolerance)


def test_without_a_window_masses_are_drawn_by_weight():
    model = fit_mass(MassConfig(), np.float32([1, 2, 3]), None, np.float32([0, 1, 3]))
    drawn = model.sample(20_000, np.random.default_rng(0))

    assert (drawn == 1).sum() == 0
    assert (drawn == 3).mean() == pytest.approx(0.75, abs=0.02)


def test_further_conditions_are_drawn_by_weight():
    class Echo:
        def sample(self, cond, rng):
            return cond

    rows = np.float32([[3.4, 0], [3.5, 1], [3.6, 2]])
    drawn = Background(Echo(), mass=None, conditions=rows, weights=np.float32([0, 1, 3])).sample(20_000, np.random.default_rng(0))
    plain = Background(Echo(), mass=None, conditions=rows).sample(20_000, np.random.default_rng(0))

    assert np.bincount(drawn.context[:, 0].astype(int)) / 20_000 == pytest.approx([0, 0.25, 0.75], abs=0.02)
    assert np.bincount(plain.context[:, 0].astype(int)) / 20_000 == pytest.approx(1 / 3, abs=0.02)
    assert np.array_equal(drawn.m, drawn.x[:, 0])


def scored(x, m, template, score, weight=None):
    """Background of the window as the only events, one fold."""
    truth = np.zeros(len(x), np.int8)
    events = Sample(x, m, truth=truth, weight=weight)
    none = Sample(np.zeros((0, x.shape[1])), np.zeros(0), truth=np.zeros(0, np.int8))
    return Scored(
        events,
        score.astype(np.float32),
        np.zeros(len(x), np.int8),
        none,
        np.zeros((0, 1), np.float32),
        ("a", "b"),
        WINDOW,
        Sample(template, np.full(len(template), 3.5)),
        np.linspace(0, 1, len(template), dtype=np.float32),
        np.zeros(len(template), np.int8),
    )


def test_closure_compares_the_template_with_weighted_background():
    """The background is uniform; weights proportional to x0 make it what the template follows, the density 2 x0."""
    rng = np.random.default_rng(0)
    x = rng.random((6000, 2))
    template = np.column_stack([np.sqrt(rng.random(6000)), rng.random(6000)])
    m = rng.uniform(3.31, 3.69, 6000)
    metric = Closure(ClosureConfig(members=1, replicas=20, moments=True))

    flat = scored(x, m, template, np.zeros(6000))
    plain = metric.compute(flat, RunContext())
    weighted = metric.compute(replace(flat, events=replace(flat.events, weight=2 * flat.events.x[:, 0])), RunContext())

    assert plain["closure-auc"] > 0.65
    assert weighted["closure-auc"] == pytest.approx(0.5, abs=0.02)
    assert weighted["closure-pull-a"] < 4 < plain["closure-pull-a"]
    assert weighted["closure-shift-a"] == pytest.approx(0, abs=0.05)
    assert weighted["closure-width-a"] == pytest.approx(1, abs=0.03)


def test_pulls_of_weighted_events_scatter_by_one():
    rng = np.random.default_rng(2)
    weight = rng.uniform(0.2, 3, 50_000)
    values = pulls(rng.random(50_000), rng.random(100_000), np.linspace(0, 1, 201), weight)

    assert values.std() == pytest.approx(1, abs=0.15)


def test_sculpting_counts_weights():
    """The cut keeps a tenth at every m; weights that fall with m among the kept alone tilt the weighted share."""
    rng = np.random.default_rng(3)
    m, score = masses(20_000), rng.random(20_000)
    x = rng.random((20_000, 2))
    metric = Sculpting(SculptingConfig(at=0.1, bins=20, trials=50))
    even = rng.uniform(0.5, 1.5, 20_000).astype(np.float32)
    tilted = np.where(score > 0.9, np.exp(-(m - 2.5)), even).astype(np.float32)

    fair = metric.compute(scored(x, m, x[:200], score, even), RunContext())
    unfair = metric.compute(scored(x, m, x[:200], score, tilted), RunContext())

    assert fair["sculpting-chi2"] < 2
    assert fair["sculpting-p"] > 0.02
    assert unfair["sculpting-chi2"] > 3 * fair["sculpting-chi2"]


def test_weights_of_one_change_no_chi2():
    everything, kept = np.array([100, 200, 150]), np.array([10, 25, 12])

    assert chi2_per_degree(everything, kept, everything) == pytest.approx(chi2_per_degree(everything, kept))


def counted(weight, n=4000, seed=0, repeat=False):
    """Data like the template, but their weights grow with the score; or the same data repeated so often, in no order."""
    rng = np.random.default_rng(seed)
    score, template = (rng.normal(size=k).astype(np.float32) for k in (n, 4 * n))
    weight = weight(score, rng).astype(np.float32)
    if repeat:
        score, weight = np.repeat(score, weight.astype(int)), None
    m = np.full(len(score), 3.5)
    found = scored(np.zeros((len(score), 2)), m, np.zeros((4 * n, 2)), score, weight)
    fold = np.zeros(len(score), np.int8)
    control = Control((WINDOW,), m, score, fold, template, template, np.zeros(4 * n, np.int8), 1, weight=weight)
    return replace(found, template_score=template, control=control)


def test_excess_and_bias_count_weights():
    def often(score, rng):
        return rng.poisson(1 + 0.5 * (score > 1.2))

    weighted, repeated = counted(often), counted(often, repeat=True)

    assert cut_at(weighted, 0.1).observed == cut_at(repeated, 0.1).observed
    assert cut_at(weighted, 0.1).expected == pytest.approx(cut_at(repeated, 0.1).expected)
    assert bias_of(weighted, 0.1).value == pytest.approx(bias_of(repeated, 0.1).value)
    assert bias_of(weighted, 0.1).error > 1.2 * bias_of(repeated, 0.1).error, "events of one origin are not independent"


WEIGHTS = {
    "of no relation to the score": lambda score, rng: rng.exponential(3.0, len(score)),
    "larger behind the cut": lambda score, rng: np.where(score > 1.28, 5.0, 0.5) * rng.uniform(0.8, 1.2, len(score)),
    "smaller behind the cut": lambda score, rng: np.where(score > 1.28, 0.2, 2.0) * rng.uniform(0.8, 1.2, len(score)),
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_an_excess_of_weighted_events_has_the_right_significance(weights):
    """The template follows the weighted data, as a model of weighted events does."""
    z, pulls_of_bias = [], []
    for seed in range(300):
        found = counted(weights, seed=seed)
        rng = np.random.default_rng(seed + 1000)
        many = rng.normal(size=200_000)
        template = rng.choice(many, 16_000, p=(w := weights(many, rng)) / w.sum()).astype(np.float32)
        control = replace(found.control, template_score=template)
        found = replace(found, template_score=template, control=control)
        z.append(cut_at(found, 0.1).significance)
        bias = bias_of(found, 0.1)
        pulls_of_bias.append(bias.value / bias.error)

    for values in (z, pulls_of_bias):
        assert np.mean(values) == pytest.approx(0, abs=0.3)
        assert np.std(values) == pytest.approx(1, abs=0.2)


def test_few_events_behind_a_cut_weigh_what_all_do():
    assert effective_weight(np.ones(5), np.full(100, 3.0)) == 3
    assert effective_weight(np.ones(20), np.full(100, 3.0)) == 1
    assert effective_weight(np.zeros(0), np.zeros(4)) == 1


def test_the_mass_spectrum_is_that_of_repeated_events():
    rng = np.random.default_rng(4)
    m, score, weight = masses(3000), rng.random(3000), rng.integers(0, 4, 3000)
    none = np.zeros((3000, 2))
    weighted = draw_mass(scored(none, m, none, score, weight.astype(np.float32)))
    repeated = draw_mass(scored(np.repeat(none, weight, 0), np.repeat(m, weight), none, np.repeat(score, weight)))

    def spectrum(picture):
        stairs = next(patch for patch in picture.axes[0].patches if hasattr(patch, "get_data")).get_data()
        return dict(zip(np.round(stairs.edges[:-1], 3), stairs.values, strict=True))

    one, other = spectrum(weighted), spectrum(repeated)
    common = sorted(one.keys() & other.keys())
    assert len(common) > 40
    assert [one[edge] for edge in common] == [other[edge] for edge in common]
    assert weighted.axes[0].get_ylabel() == "weighted events / bin"


def test_the_mass_spectrum_tells_counts_of_small_weights():
    rng = np.random.default_rng(5)
    m = masses(3000)
    drawn = draw_mass(scored(np.zeros((3000, 2)), m, np.zeros((3000, 2)), rng.random(3000), np.full(3000, 1e-4, np.float32)))
    texts = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]

    counts = [re.search(r"([\d.]+) ± ([\d.]+) \(stat.\) expected, ([\d.]+) observed", text) for text in texts]
    assert [float(one[2]) > 0 for one in counts if one] == [True, True]


def test_a_common_factor_of_weights_changes_no_significance():
    plain, heavy = (counted(lambda score, rng, w=w: np.full(len(score), w)) for w in (1.0, 2.5))
    numbers = [Excess(ExcessConfig(at=(0.1,))).compute(one, RunContext()) for one in (plain, heavy)]

    assert numbers[1]["observed@1e-1"] == pytest.approx(2.5 * numbers[0]["observed@1e-1"])
    for name in ("excess-z@1e-1", "control-bias@1e-1", "control-bias@1e-1-hi", "excess-z-corrected@1e-1"):
        assert numbers[1][name] == pytest.approx(numbers[0][name], rel=1e-6)
