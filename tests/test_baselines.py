"""The reference scorers on every data source with a mass: each runs or is refused, rightly, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.data.config import ToyBumpConfig
from adtoolkit.data.kinematics import JET_COLUMNS, dijet_mass
from adtoolkit.data.readers import read_columns
from adtoolkit.data.toy_bump import ToyBump
from adtoolkit.errors import AdtoolError, DataError
from adtoolkit.preparation import prepare
from adtoolkit.registry import default_registry
from adtoolkit.resolving import plan_of, resolve_config
from adtoolkit.runner import Run
from adtoolkit.scorers.baselines import Cwola
from adtoolkit.scorers.config import CwolaConfig
from adtoolkit.store import Store
from adtoolkit.types import Sample, Window

REAL = Path(__file__).parents[2] / "shared" / "data" / "lhco_rnd_v1_100k.features.h5"
SCORERS = ("supervised", "idealised", "cwola", "random")
NO_REFERENCE = "idealised' needs reference"
NO_TRUTH = "supervised' needs truth"

#: Source and options -> the scorers that are refused, and a piece of the reason.
CASES: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "dijets": ({}, {}),
    "dijets, all in the data": ({"n_background": None, "n_signal": None}, {"idealised": NO_REFERENCE}),
    "dijets, little left over": (
        {"n_background": 20_000, "n_reference": 300},
        {"idealised": "reference events in the window; at least 100"},
    ),
    "toy-bump": ({}, {}),
    "toy-bump, nothing else": ({"n_reference": 0, "n_test": 0}, {"idealised": NO_REFERENCE}),
    "toy-bump, no signal at all": (
        {"n_signal": 0, "n_test": 0},
        {"supervised": "0 truth-labelled signal events in the window"},
    ),
    "table": ({"path": "TOY"}, {"idealised": NO_REFERENCE, "supervised": NO_TRUTH}),
    "table, with truth": ({"path": "TOY", "truth": "truth"}, {"idealised": NO_REFERENCE}),
    "table, with spare background": ({"path": "TOY", "truth": "truth", "n_background": 5000}, {}),
    "lhco": ({"path": "REAL"}, {}),
    "lhco, all in the data": ({"path": "REAL", "n_background": None}, {"idealised": NO_REFERENCE}),
    "lhco, with a file of extra background": ({"path": "REAL", "n_background": None, "extra": "EXTRA"}, {}),
    "lhco, arrays": ({"path": "ARRAYS", "n_background": None, "n_signal": None}, {}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small files of every layout."""
    folder = tmp_path_factory.mktemp("data")
    toy = ToyBump(ToyBumpConfig(n_background=8000, n_signal=500, n_features=4)).load(RunContext(seed=3))
    columns = {f"x{i}": toy.events.x[:, i] for i in range(4)}
    np.savez(folder / "toy.npz", m=toy.events.m, truth=toy.events.truth, **columns)
    inside = (toy.events.m > 3.3) & (toy.events.m < 3.7)
    rows = np.column_stack([toy.events.m, toy.events.x, toy.events.truth]).astype(float)
    spare = toy.reference[(toy.reference.m > 3.3) & (toy.reference.m < 3.7)]
    extra = np.column_stack([spare.m, spare.x, np.zeros(len(spare))]).astype(float)
    arrays = folder / "arrays"
    arrays.mkdir()
    for name, part in (("outerdata_train", rows[~inside]), ("innerdata_train", rows[inside]), ("innerdata_extrabkg_train", extra)):
        np.save(arrays / f"{name}.npy", part)
    found = {"TOY": folder / "toy.npz", "ARRAYS": arrays, "REAL": REAL, "EXTRA": folder / "extra.npz"}
    if REAL.exists():
        jets = read_columns(REAL, choose=lambda names: [*JET_COLUMNS, "label"])
        m = dijet_mass(jets)
        kept = np.flatnonzero((m > 3.3) & (m < 3.7) & (jets["label"] == 0))[-4000:]
        np.savez(found["EXTRA"], **{name: jets[name][kept] for name in JET_COLUMNS})
    return found


def configuration(case, scorer, files, **tables):
    """Resolved, and what the run would do."""
    options, refused = CASES[case]
    if options.get("path") == "REAL" and not REAL.exists():
        pytest.skip(f"{REAL.name} is not beside the checkout")
    name = case.partition(",")[0]
    if name == "table":
        options = {"mass": "m", "features": ("x0", "x1"), **options}
    given = {"name": name, **{k: str(files.get(v, v)) if isinstance(v, str) else v for k, v in options.items()}}
    flags = {"data": given, "estimator": {"name": "none"}, "scorer": {"name": scorer}, "window": {"lo": 3.3, "hi": 3.7}, **tables}
    config = resolve_config(default_registry(), None, flags, "smoke")
    return config, refused.get(scorer)


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("case", CASES)
def test_each_source_serves_a_scorer_or_says_what_it_lacks(case, scorer, files):
    config, reason = configuration(case, scorer, files)

    def start():
        plan = plan_of(config, default_registry())
        return prepare(config, plan, default_registry(), "cpu", lambda event: None)

    if reason is None:
        assert start().counts["data in window"] > 100
        return
    with pytest.raises(AdtoolError) as refused:
        start()
    assert reason in " ".join(str(refused.value).split())
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("case", ["dijets", "table, with truth", "lhco, with a file of extra background"])
def test_what_is_not_refused_runs(case, scorer, files, tmp_path):
    config, reason = configuration(case, scorer, files, metrics={"names": ["auc"]}, run={"out": str(tmp_path)})
    if reason is not None:
        pytest.skip("is refused")
    store = Store(tmp_path / "cache")
    done = Run(config, plan_of(config, default_registry()), default_registry(), "cpu", store, pictures=False).execute()

    assert done.status == "done"
    assert done.metrics["auc"] > (0.4 if scorer == "random" else 0.6)


def test_cwola_asks_for_as_many_events_as_are_left_by_any_folds():
    """With 20 on a side before the folds, a fold may be left with 10: refused before training, not in the middle of it."""
    rng = np.random.default_rng(0)

    def sideband(n):
        m = np.concatenate([rng.uniform(3.1, 3.3, n), rng.uniform(3.7, 3.9, n)])
        return Sample(rng.standard_normal((2 * n, 2)), m)

    scorer, window = Cwola(CwolaConfig()), Window(3.3, 3.7)
    scorer.check(sideband(64), window)
    with pytest.raises(DataError, match=r"finds 40 events within 0\.2 below the window; it needs at least 64"):
        scorer.check(sideband(40), window)


def test_cwola_as_published_has_sidebands_of_200_gev_and_the_network_of_cathode():
    options = CwolaConfig.preset("paper")

    assert (options.sideband, options.classifier, options.epochs, options.best_epochs) == (0.2, "mlp", 100, 10)
