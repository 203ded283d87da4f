"""Closure: can the template be told from true background of the window?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from adtoolkit.folds import assign_grouped
from adtoolkit.interfaces import Context, Metric
from adtoolkit.metrics.config import ClosureConfig
from adtoolkit.metrics.curves import Ranking, auc, bootstrap, interval
from adtoolkit.metrics.selection import truth_is
from adtoolkit.scored import Scored
from adtoolkit.scorers.config import ClassifierConfig
from adtoolkit.scorers.hgb import fit_hgb
from adtoolkit.types import Sample

#: Fewer background events than this make no two-sample test.
LEAST = 100

#: With more features than this (calorimeter cells), only the largest pull of all is reported.
LISTED = 32

#: The two-sample test of so many features: events per class at most, and one small classifier per fold. Seconds instead of minutes.
MANY_EVENTS, MANY_TREES = 3000, 60


def true_background(scored: Scored) -> Sample:
    """Events of the window that truth calls background: those of the data and those kept for tests."""
    parts = (sample[scored.inside(sample) & truth_is(sample, 0)] for sample in (scored.events, scored.test))
    return Sample.concat(*(part.blind() for part in parts))


def pulls(
    background: NDArray[np.floating],
    template: NDArray[np.floating],
    edges: NDArray[np.floating],
    weight: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """[n], [t] values of one feature -> [bins] (template - background) / error, the template scaled to the background.

    ``weight`` [n] is that of the background's events; the template's are all 1.
    """
    w = np.ones(len(background)) if weight is None else weight.astype(np.float64)
    b, square = (np.histogram(background, edges, weights=values)[0] for values in (w, w**2))
    t = np.histogram(template, edges)[0].astype(np.float64)
    scale = w.sum() / max(len(template), 1)
    return np.asarray((t * scale - b) / np.sqrt(np.maximum(square + scale**2 * t, 1e-9)))


def equal_edges(values: NDArray[np.floating], bins: int) -> NDArray[np.float64]:
    """Edges of bins equally filled by the values, open at both ends; fewer bins where values repeat."""
    inner = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    return np.concatenate([[-np.inf], inner, [np.inf]])


def two_sample(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    folds: int,
    members: int,
    rng: np.random.Generator,
    b_weight: NDArray[np.floating] | None = None,
    *,
    a_group: NDArray[np.integer] | None = None,
    trees: int = 200,
) -> Ranking:
    """Held-out scores of [N, D] a against [M, D] b: boosted trees, each event scored by the fold that did not train on it.

    ``b_weight`` [M] counts in the training and in the ranking; the events of a weigh the same. Events of one ``a_group`` [N] are not
    independent of each other and stay in one fold.
    """
    x = np.concatenate([a, b])
    y = np.repeat([1.0, 0.0], [len(a), len(b)])
    own = np.ones(len(b)) if b_weight is None else b_weight.astype(np.float64)
    weight = np.concatenate([np.full(len(a), len(x) / (2 * len(a))), own * len(x) / (2 * own.sum())])
    fold_a = rng.permutation(len(a)) % folds if a_group is None else assign_grouped(a_group, folds, rng)
    fold = np.concatenate([fold_a, rng.permutation(len(b)) % folds])
    scores = np.full((len(x), folds), np.nan)
    # Less is kept for validation than in a search: this classifier need not be unbiased, only sharp.
    options = ClassifierConfig(members=members, iterations=trees, validation=0.3)
    for k in range(folds):
        model = fit_hgb(x[fold != k], y[fold != k], weight[fold != k], options, rng)
        scores[fold == k, k] = model.predict(x[fold == k])
    return Ranking.of(scores[y == 1], scores[y == 0], None, b_weight)


class Closure(Metric[ClosureConfig]):
    """Two-sample test of the template against true background: ``closure-auc`` is 0.5 for a perfect template.

    Equal numbers of both, boosted trees in folds, mean AUC of the folds. The interval is that of the events drawn; with n events per
    class and a perfect template the AUC scatters by sqrt((2 n + 1) / (12 n^2)) or more. ``closure-pull-FEATURE`` is the largest pull
    over bins equally filled by background; among 30 bins about 2.3 is expected of a perfect template. With more than 32 features
    there is one number instead, ``closure-pull-largest``, and the test is a smaller one: 3,000 events per class, 60 trees.
    Weights of the background's events count; the template has none.

    References:
        Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", arXiv:1610.06545.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"truth", "template"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        background, template = true_background(scored), scored.template
        if template is None or min(len(background), len(template)) < LEAST:
            ctx.note(f"closure: not computed, since it needs at least {LEAST} events of template and of true background in the window.")
            return {}
        numbers: dict[str, float] = {}
        many = len(scored.features) > LISTED
        n = min(len(background), len(template), self.config.limit, *([MANY_EVENTS] if many else []))
        if scored.window is None:
            ctx.note(
                "closure: draws against true background; scores from densities use no draws, and may be right where it is far from 0.5."
            )
        rng = ctx.rng("closure")
        a, b = (sample[rng.permutation(len(sample))[:n]] for sample in (template, background))
        members, trees = (1, MANY_TREES) if many else (self.config.members, 200)
        folds = self.config.folds if a.group is None else min(self.config.folds, len(np.unique(a.group)))
        ranking = two_sample(a.x, b.x, folds, members, rng, b.weight, a_group=a.group, trees=trees)
        numbers["closure-auc"] = auc(ranking)
        lo, hi = interval(bootstrap(ranking, auc, ctx.rng("bootstrap"), self.config.replicas), numbers["closure-auc"])
        numbers |= {"closure-auc-lo": float(lo), "closure-auc-hi": float(hi)}
        largest = {
            name: float(np.abs(pulls(true, drawn, equal_edges(true, self.config.bins), background.weight)).max())
            for name, true, drawn in zip(scored.features, background.x.T, template.x.T, strict=True)
        }
        if many:
            worst = max(largest, key=largest.__getitem__)
            ctx.note(f"closure: of {len(largest)} features '{worst}' has the largest pull.")
            return numbers | {"closure-pull-largest": largest[worst]}
        labels = [name.replace(" ", "-") for name in scored.features]
        if len(set(labels)) < len(labels):  # 'a b' beside 'a-b'
            labels = list(scored.features)
        for i, (name, label) in enumerate(zip(scored.features, labels, strict=True)):
            true, drawn = background.x[:, i], template.x[:, i]
            numbers[f"closure-pull-{label}"] = largest[name]
            if self.config.moments:
                mean = np.average(true.astype(np.float64), weights=background.weight)
                spread = max(float(np.sqrt(np.average((true - mean) ** 2, weights=background.weight))), 1e-30)
                numbers[f"closure-shift-{label}"] = float(drawn.mean(dtype=np.float64) - mean) / spread
                numbers[f"closure-width-{label}"] = float(drawn.std(dtype=np.float64)) / spread
        return numbers
