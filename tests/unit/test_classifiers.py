"""The classifiers behind the scorers: weights, storage, determinism, batches, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from adtoolkit.context import RunContext
from adtoolkit.errors import DataError
from adtoolkit.nn.classifier import fit_mlp
from adtoolkit.scorers.config import ClassifierConfig
from adtoolkit.scorers.contrast import ContrastScorer, contrast, equal_total
from adtoolkit.scorers.hgb import bin_edges, fit_hgb
from adtoolkit.types import Sample

SMALL = {"hgb": {"members": 2, "iterations": 30}, "mlp": {"classifier": "mlp", "members": 2, "epochs": 6, "best_epochs": 3, "batch": 128}}


def config(kind, **more):
    return ClassifierConfig(**{**SMALL[kind], **more})


def gaussian(n, shift, seed, weight=None, dims=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dims))
    x[:, 0] += shift
    return Sample(x, rng.uniform(3.3, 3.7, n), weight=weight)


@pytest.fixture(scope="module", params=["hgb", "mlp"])
def fitted(request):
    return contrast(gaussian(2000, 1.5, 0), gaussian(5000, 0.0, 1), config(request.param), RunContext(seed=5))


def test_separates_two_gaussians_nearly_as_well_as_theory(fitted):
    s, b = fitted.score(gaussian(4000, 1.5, 2)), fitted.score(gaussian(4000, 0.0, 3))

    auc = roc_auc_score(np.r_[np.ones(4000), np.zeros(4000)], np.r_[s, b])

    assert 0.835 < auc < 0.87  # Phi(1.5 / sqrt 2) = 0.8556


@pytest.mark.parametrize("n", [0, 1, 7, 256, 1001])
def test_scores_do_not_depend_on_the_batch(fitted, n):
    events = gaussian(1001, 0.5, 4)
    expected = fitted.score(events)[:n]

    actual = fitted.score(events[:n])

    assert actual.shape == (n,)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


def test_stored_classifier_gives_identical_scores(fitted, tmp_path):
    fitted.save(tmp_path)
    events = gaussian(500, 0.5, 6)

    again = ContrastScorer.load(tmp_path, "cpu")

    np.testing.assert_array_equal(again.score(events), fitted.score(events))
    assert dict(again.summary()) == dict(fitted.summary())
    assert not [p for p in tmp_path.iterdir() if p.suffix not in {".json", ".safetensors"}]


@pytest.mark.parametrize("kind", ["hgb", "mlp"])
def test_same_seed_same_scores_other_seed_other_scores(kind):
    def scores(seed):
        return contrast(gaussian(300, 1, 0), gaussian(600, 0, 1), config(kind), RunContext(seed=seed)).score(gaussian(200, 0.5, 2))

    np.testing.assert_array_equal(scores(1), scores(1))
    assert not np.array_equal(scores(1), scores(2))


@pytest.mark.parametrize("kind", ["hgb", "mlp"])
def test_event_weights_reach_the_classifier(kind):
    """Half of the background is signal-like but weighs nothing: it must not count."""
    n = 2000
    polluted = Sample.concat(gaussian(n, 0, 1), gaussian(n, 2, 2))
    weighted = Sample(polluted.x, polluted.m, weight=np.r_[np.ones(n), np.full(n, 1e-6)])
    s, b = gaussian(3000, 2, 7), gaussian(3000, 0, 8)

    def separation(negative):
        model = contrast(gaussian(n, 2, 0), negative, config(kind), RunContext(seed=3))
        return np.median(model.score(s)) - np.median(model.score(b))

    unweighted = contrast(gaussian(n, 2, 0), polluted, config(kind), RunContext(seed=3))

    assert separation(weighted) > 1.3 * (np.median(unweighted.score(s)) - np.median(unweighted.score(b)))


@pytest.mark.parametrize("kind", ["hgb", "mlp"])
def test_classes_are_balanced_in_total(kind):
    """Ten times as much background, same density ratio: log-odds stay centred on log ratio 0 where both densities agree."""
    model = contrast(gaussian(1000, 0, 0), gaussian(10_000, 0, 1), config(kind), RunContext(seed=3))

    assert abs(np.mean(model.score(gaussian(2000, 0, 2)))) < 0.15


@pytest.mark.parametrize("kind", ["hgb", "mlp"])
def test_no_weights_needed(kind):
    model = contrast(gaussian(100, 1, 0), gaussian(101, 0, 1), config(kind), RunContext())

    assert np.isfinite(model.score(gaussian(3, 0, 2))).all()


def numbers_of_bins(x, weight):
    """Bin edges by their definition, one after the other: the smallest value below which lies at least that share of the weight."""
    order = np.argsort(x)
    total = np.cumsum(weight[order])
    edges = np.unique([x[order][np.flatnonzero(total >= k / 127 * total[-1])[0]] for k in range(1, 127)])
    return (x[:, None] > edges).sum(1)


@pytest.mark.parametrize("values", ["few", "many"])
def test_trees_equal_those_of_scikit_learn(values):
    """Between few values scikit-learn's own bins are the same; for many it is given the numbers of bins of equal weight."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 4))
    y = (x[:, 0] + rng.normal(size=3000) > 0).astype(float)
    w = rng.uniform(0.5, 1.5, 3000)
    x = np.round(x * 5) if values == "few" else x
    given = x if values == "few" else np.stack([numbers_of_bins(column, w) for column in x.T], 1)
    options = config("hgb", members=3, best_iteration=False)
    ours = fit_hgb(x, y, w, options, np.random.default_rng(1)).predict(x)

    expected = np.zeros(3000)
    for seed in np.random.default_rng(1).integers(2**31, size=3):
        theirs = HistGradientBoostingClassifier(
            max_iter=30, max_bins=127, early_stopping=True, validation_fraction=0.5, n_iter_no_change=10, random_state=int(seed)
        ).fit(given, y, sample_weight=w)
        expected += theirs.predict_proba(given)[:, 1] / 3

    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-15)


def test_bins_have_equal_weight_or_lie_between_few_values():
    assert bin_edges(np.ones(10), np.ones(10), 5).size == 0
    assert bin_edges(np.arange(10.0), np.ones(10), 10).tolist() == [k + 0.5 for k in range(9)]
    assert bin_edges(np.arange(100.0), np.ones(100), 4).tolist() == [24.0, 49.0, 74.0]
    assert bin_edges(np.arange(100.0), np.r_[np.zeros(50), np.ones(50)], 2).tolist() == [74.0]


def test_trees_equal_a_walk_through_the_nodes():
    """The slow reference: follow each event down each tree."""
    x = np.random.default_rng(0).normal(size=(400, 3))
    ensemble = fit_hgb(x, (x[:, 0] > 0).astype(float), np.ones(400), config("hgb", members=1, iterations=3), np.random.default_rng(1))

    def walk(event):
        raw = ensemble.baseline[0]
        for lo, hi in zip(ensemble.trees[:-1], ensemble.trees[1:], strict=True):
            nodes, i = ensemble.nodes[lo:hi], 0
            while not nodes[i]["is_leaf"]:
                i = nodes[i]["left"] if event[nodes[i]["feature_idx"]] <= nodes[i]["num_threshold"] else nodes[i]["right"]
            raw += nodes[i]["value"]
        return expit(raw)

    np.testing.assert_allclose(ensemble.predict(x[:50]), [walk(event) for event in x[:50]], atol=1e-15)


def test_best_iteration_drops_the_trees_after_the_lowest_validation_loss():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    y = (x[:, 0] + np.random.default_rng(1).normal(size=2000) > 0).astype(float)

    best, every = (
        fit_hgb(x, y, np.ones(2000), config("hgb", members=1, iterations=200, best_iteration=b), np.random.default_rng(2))
        for b in (True, False)
    )

    assert len(every.trees) - len(best.trees) == 10  # the patience


def test_network_with_one_member_equals_a_plain_forward_pass():
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    net = fit_mlp(x, (x[:, 0] > 0).astype(float), np.ones(300), config("mlp", members=1, epochs=1, best_epochs=1), np.random.default_rng(1))
    h = (x - net.mean.numpy()) / net.scale.numpy()
    parameters = [p[0].detach().numpy() for p in net.parameters]
    for weight, bias in list(zip(parameters[::2], parameters[1::2], strict=True))[:-1]:
        h = np.maximum(h @ weight + bias, 0)

    expected = expit(h @ parameters[-2] + parameters[-1])[:, 0]

    np.testing.assert_allclose(net.predict(x), expected, atol=1e-6)


def test_network_averages_its_best_epochs_of_every_member():
    net = fit_mlp(
        np.zeros((50, 1)), np.tile([0.0, 1.0], 25), np.ones(50), config("mlp", members=3, epochs=5, best_epochs=4), np.random.default_rng(1)
    )

    assert {len(p) for p in net.parameters} == {12}


def test_network_takes_the_epoch_of_lowest_validation_loss_itself_not_its_neighbour():
    """Stopping right after that epoch gives the same network."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    y = (x[:, 0] + 2 * rng.normal(size=120) > 0).astype(float)

    def fit(epochs):
        losses = []
        options = config("mlp", members=1, epochs=epochs, best_epochs=1, batch=16, rate=1e-2)
        return fit_mlp(x, y, np.ones(120), options, np.random.default_rng(1), log=lambda _, loss: losses.append(loss)), losses

    long, losses = fit(30)
    best = int(np.argmin(losses))
    short, _ = fit(best + 1)

    assert 0 < best < 29
    np.testing.assert_array_equal(long.predict(x), short.predict(x))


def test_mass_is_an_input_only_on_request():
    s, b = Sample(np.zeros((200, 1)), np.full(200, 3.6)), Sample(np.zeros((200, 1)), np.full(200, 3.4))
    blind = contrast(s, b, config("hgb"), RunContext())
    seeing = contrast(s, b, config("hgb", mass_input=True), RunContext())

    assert blind.score(s)[0] == blind.score(b)[0]
    assert seeing.score(s)[0] > seeing.score(b)[0] + 1


def test_equal_total_gives_each_sample_the_same_weight():
    both = equal_total(gaussian(10, 0, 0), gaussian(30, 0, 1))

    assert both.weights[:10].sum() == pytest.approx(both.weights[10:].sum()) == pytest.approx(20)


@pytest.mark.parametrize(
    ("positive", "negative", "says"),
    [
        (gaussian(5, 0, 0), gaussian(100, 0, 0), "positive class of the classifier has 5 events"),
        (gaussian(100, 0, 0), gaussian(0, 0, 0), "negative class of the classifier has 0 events"),
        (gaussian(100, np.nan, 0), gaussian(100, 0, 0), "not finite"),
        (gaussian(100, 0, 0, weight=np.zeros(100)), gaussian(100, 0, 0), "all zero"),
        (gaussian(100, 0, 0, weight=-np.ones(100)), gaussian(100, 0, 0), "negative"),
    ],
)
def test_bad_input_is_refused_before_training(positive, negative, says):
    with pytest.raises(DataError, match=says):
        contrast(positive, negative, config("hgb"), RunContext())


def test_presets_exist():
    assert ClassifierConfig.preset("smoke").members == 2
    assert ClassifierConfig.preset("paper").classifier == "mlp"
