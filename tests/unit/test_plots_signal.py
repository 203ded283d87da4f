"""Pictures of a learnt signal: drawn where there is one, whatever else is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.plots import draw_all
from adtoolkit.plots.scan import draw_scan
from adtoolkit.plots.signal import draw_signal
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window


def sample(n, seed, truth=0.0):
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(truth * 2, 1, (n, 3)), rng.uniform(3.301, 3.699, n), truth=np.full(n, truth))


@pytest.fixture
def scored():
    data = Sample.concat(sample(1500, 1), sample(60, 2, 1))
    curve = np.column_stack([np.linspace(0, 0.1, 11), -((np.linspace(0, 0.1, 11) - 0.04) ** 2) * 1e3])
    return Scored(
        events=data,
        score=(2 * data.x[:, 0] - 2).astype(np.float32),
        fold=(np.arange(len(data)) % 2).astype(np.int8),
        test=sample(200, 3, 1),
        test_score=np.zeros((200, 2)),
        features=("a", "b", "c"),
        window=Window(3.3, 3.7),
        template=sample(3000, 4).blind(),
        log_ratio=True,
        fits=({"w": 0.04},) * 2,
        curves={"profile": (curve, curve), "scan": (curve[1:4], curve[1:4])},
        signal=sample(500, 5, 1).blind(),
    )


def test_signal_has_a_panel_for_the_mass_and_one_per_feature(scored):
    fig = draw_signal(scored)

    assert [ax.get_xlabel() for ax in fig.axes] == ["m", "a", "b", "c"]
    assert len(fig.legends[0].get_texts()) == 4
    assert "(500 draws of all folds) against" in fig.get_suptitle()
    assert "template (3,000), true signal of the test events (200); each to area 1" in fig.get_suptitle()


def test_four_panels_leave_no_place_empty(scored):
    fig = draw_signal(scored)

    assert {ax.get_subplotspec().get_gridspec().get_geometry() for ax in fig.axes} == {(2, 2)}
    assert not fig.axes[0].get_legend()


def test_scan_shows_the_folds_the_cross_fitted_likelihood_and_the_trained_fractions(scored):
    fig = draw_scan(scored)

    assert len(fig.axes) == 2
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert any("cross-fitted" in text for text in texts)
    assert any(f"true signal fraction {60 / 1560:.4f}" in text for text in texts)


def test_scan_says_how_many_events_each_likelihood_is_of(scored):
    fits = ({"w": 0.04, "held-out-events": 300.0}, {"w": 0.04, "held-out-events": 280.0})
    texts = [text.get_text() for text in draw_scan(replace(scored, fits=fits)).legends[0].get_texts()]

    assert "events held out by the members of a fold, n = 280 to 300" in texts
    assert any(text.startswith("all 1,560 data") for text in texts)


def test_the_scan_reaches_below_zero_as_far_as_its_curves_and_no_farther(scored):
    flat = np.column_stack([np.linspace(0, 0.1, 11), np.zeros(11)])
    rising = replace(scored, score=np.full(1560, 2.0, np.float32), curves={"profile": (flat, flat)})
    lo, hi = draw_scan(rising).axes[0].get_ylim()

    assert -0.05 * hi < lo < 0


def test_pictures_need_a_scorer_that_learns_them(scored):
    assert draw_signal(replace(scored, signal=None)) is None
    assert draw_scan(replace(scored, log_ratio=False)) is None


@pytest.mark.parametrize("score", [np.full(1560, -500.0), np.full(1560, 500.0), np.zeros(1560)])
def test_scores_of_all_kinds_are_drawn_without_truth_curves_and_template(scored, score, tmp_path):
    bare = replace(
        scored,
        events=scored.events.blind(),
        test=scored.test[:0],
        test_score=np.zeros((0, 2)),
        template=None,
        curves={},
        score=score.astype(np.float32),
    )

    names = {path.name for path in draw_all(bare, {}, tmp_path)}

    assert {"signal.png", "scan.png"} <= names
