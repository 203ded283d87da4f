"""Matrix files and their cells: what is multiplied, what is not, what is refused."""

from functools import partial
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.benches import HEAD, cells_of

from adtoolkit.bench import graph
from adtoolkit.bench.matrix import read_matrix
from adtoolkit.cli import cli
from adtoolkit.errors import AdtoolError, ConfigError
from adtoolkit.mix import Blocked, Plan
from adtoolkit.plugin import Region


@pytest.fixture
def cells(tmp_path):
    """From the text of a matrix to its cells."""
    return partial(cells_of, tmp_path)


def test_the_product_is_that_of_the_axes(cells):
    text = (
        '[matrix]\n"data.n_signal" = [0, 60, 120]\nwindow = [[3.2, 3.6], [3.3, 3.7]]\n'
        'scorer = ["cathode", "likelihood"]\n"mass.name" = ["kde", "histogram"]'
    )
    found = cells(text).cells
    brute = set(product([3, 4], [0, 60, 120], [(3.2, 3.6), (3.3, 3.7)], ["cathode", "likelihood"], ["kde", "histogram"]))

    made = [
        (c.seed, c.config.data.options.n_signal, (c.config.window.lo, c.config.window.hi), c.config.scorer.name, c.config.mass.name)
        for c in found
    ]
    assert len(made) == len(brute) == 48
    assert set(made) == brute
    assert len({c.digest for c in found}) == len({c.run for c in found}) == 48
    assert {c.config.estimator.options.steps for c in found} == {300}, "the preset reaches all cells"


def test_unquoted_keys_and_name_keys_mean_the_same(cells):
    one = cells('[matrix]\n"estimator.steps" = [5, 6]\nscorer = ["cathode"]').cells
    two = cells('[matrix]\nestimator.steps = [5, 6]\nscorer.name = ["cathode"]').cells

    assert [c.digest for c in one] == [c.digest for c in two]


def test_a_scorer_without_a_model_is_run_once_with_no_estimator(cells):
    made = cells(
        '[matrix]\nestimator = ["sigma", "cathode"]\ninterpolator = ["context", "direct"]\nscorer = ["supervised", "random"]\n'
        '"estimator.steps" = [7, 8]\n"template.oversample" = [2, 3]'
    )

    assert sorted((c.axes["estimator"], c.axes["interpolator"], c.axes["scorer"], c.seed) for c in made.cells) == [
        ("none", None, scorer, seed) for scorer in ("random", "supervised") for seed in (3, 4)
    ]
    assert all(isinstance(c.outcome, Plan) for c in made.cells)
    assert any("'random' uses no background model" in note for note in made.notes)


def test_without_estimator_a_cell_has_the_one_that_its_run_would_have(cells):
    """The scorer's own; one that the base names goes before it."""
    text = '[matrix]\nscorer = ["cathode", "anode", "random"]'

    found = {c.config.scorer.name: c.config.estimator.name for c in cells(text).cells}
    fixed = {c.config.scorer.name: c.config.estimator.name for c in cells('[estimator]\nname = "sigma"\n' + text).cells}

    assert found == {"cathode": "sigma", "anode": "cathode", "random": "none"}
    assert fixed == {"cathode": "sigma", "anode": "sigma", "random": "none"}


def test_an_axis_multiplies_only_what_knows_it(cells):
    made = cells(
        '[matrix]\nestimator = ["sigma"]\ninterpolator = ["context", "direct"]\nscorer = ["cathode"]\n"interpolator.margin" = [0.1, 0.2]'
    )

    assert sorted(c.name for c in made.cells if c.seed == 3) == [
        "sigma+context+cathode margin=0.1",
        "sigma+context+cathode margin=0.2",
        "sigma+direct+cathode",
    ]
    assert any("'interpolator.margin' means nothing to 'direct'" in note for note in made.notes)


def test_options_of_one_component_leave_the_others_alone(cells):
    text = (
        '[estimator.sigma]\nsteps = 11\n[scorer]\nfolds = 3\n[matrix]\nestimator = ["sigma", "cathode"]\n'
        'scorer = ["cathode"]\n"estimator.sigma.hidden" = [16, 32]'
    )
    made = [c for c in cells(text).cells if c.seed == 3]

    assert [c.name for c in made] == [
        "sigma+context+cathode sigma.hidden=16",
        "sigma+context+cathode sigma.hidden=32",
        "cathode+direct+cathode",
    ]
    assert {c.config.scorer.folds for c in made} == {3}
    assert {c.config.estimator.options.steps for c in made[:2]} == {11}


def test_illegal_cells_are_blocked_with_their_reason(cells):
    made = cells('[matrix]\nestimator = ["sigma"]\ninterpolator = ["displacement"]\nscorer = ["cathode", "likelihood"]').cells
    blocked = [c for c in made if isinstance(c.outcome, Blocked)]

    assert [c.config.scorer.name for c in made if c not in blocked] == ["cathode", "cathode"]
    assert [(c.config.scorer.name, "log-prob" in c.outcome.reason) for c in blocked] == [("likelihood", True)] * 2


@pytest.mark.parametrize("below", ["", "[window]\nnone = true\n", "[window]\nlo = 3.0\nhi = 3.4\n"])
@pytest.mark.parametrize("head", [HEAD, 'base = "base.toml"\n'], ids=["alone", "on a base without a window"])
def test_no_window_may_be_one_of_the_windows(cells, tmp_path, below, head):
    (tmp_path / "base.toml").write_text('seed = 3\npreset = "smoke"\n[data]\nname = "toy-bump"\n[window]\nnone = true\n')
    text = below + '[matrix]\nestimator = ["cathode"]\nscorer = ["cathode", "cwola"]\n"window" = ["none", [3.3, 3.7]]\n'
    made = [c for c in cells(text + '[[only]]\nscorer = "random"\nwindow = "none"', head=head).cells if c.seed == 3]
    region = {c.name: getattr(c.outcome, "region", None) for c in made}

    assert {c.name: c.axes["window"] for c in made} == {
        "cathode+direct+cathode no-window": None,
        "cathode+direct+cathode 3.3-3.7": [3.3, 3.7],
        "cwola no-window": None,
        "cwola 3.3-3.7": [3.3, 3.7],
        "random no-window": None,
    }
    assert all((c.config.window is None) == ("no-window" in c.name) for c in made)
    assert [c.name for c in made if isinstance(c.outcome, Blocked)] == ["cwola no-window"]
    assert (region["cathode+direct+cathode no-window"], region["cathode+direct+cathode 3.3-3.7"]) == (Region.REFERENCE, Region.SIDEBAND)
    assert len({c.digest for c in made}) == len({c.run for c in made}) == 5
    assert len({task.id for task in graph.build((c for c in made if isinstance(c.outcome, Plan)), lambda _: ()) if task.kind == "fit"}) == 2


@pytest.mark.parametrize("base", ["none = true\n", "lo = 3.0\nhi = 3.4\n"])
def test_without_a_window_axis_the_window_is_that_of_the_base(cells, tmp_path, base):
    (tmp_path / "base.toml").write_text(f'[data]\nname = "toy-bump"\n[window]\n{base}')
    (cell,) = cells('[matrix]\nscorer = ["random"]', head='base = "base.toml"\n').cells

    assert (cell.config.window and cell.config.window.label) == (None if "none" in base else "3-3.4")


def test_cells_of_other_options_have_other_names(cells):
    only = "".join(f'[[only]]\nestimator = "sigma"\nscorer = "anode"\n"{axis}" = {value}\n' for axis, value in (
        ("estimator.hidden", 24), ("scorer.hidden", 24), ("estimator.lr", 0.00123456), ("estimator.lr", 0.001234561), ("scorer.bins", 6),
    ))  # fmt: skip
    names = [cell.name for cell in cells(only).cells if cell.seed == 3]

    assert [name.partition(" ")[2] for name in names] == [
        "estimator.hidden=24", "scorer.hidden=24", "lr=0.00123456", "lr=0.001234561", "bins=6",
    ]  # fmt: skip


def test_extra_cells_are_multiplied_by_everything_but_the_method(cells):
    text = '[matrix]\nestimator = ["sigma"]\nscorer = ["cathode"]\nwindow = [[3.2, 3.6], [3.3, 3.7]]\n"data.n_signal" = [0, 60]\n'
    made = cells(text + '[[only]]\nscorer = "supervised"\n"data.n_signal" = 120\n[[only]]\nscorer = "random"').cells
    shown = sorted((c.config.scorer.name, c.config.data.options.n_signal, c.config.window.lo) for c in made if c.seed == 3)

    assert shown == sorted(
        [*product(["cathode", "random"], [0, 60], [3.2, 3.3]), ("supervised", 120, 3.2), ("supervised", 120, 3.3)],
    )


def test_extra_cells_may_stand_alone_and_repeat_nothing(cells):
    made = cells('[[only]]\nscorer = "supervised"\n[[only]]\nestimator = "none"\nscorer = "supervised"').cells

    assert [(c.config.scorer.name, c.seed) for c in made] == [("supervised", 3), ("supervised", 4)]


def test_a_base_lies_below_and_lends_its_interpolator_to_its_own_estimator_alone(cells, tmp_path):
    (tmp_path / "base.toml").write_text(
        'seed = 9\n[data]\nname = "toy-bump"\nn_signal = 77\n[estimator]\nname = "sigma"\nsteps = 5\n'
        '[interpolator]\nname = "linear"\n[scorer]\nname = "likelihood"\n'
    )
    made = cells('[matrix]\nestimator = ["sigma", "cathode"]\n"data.n_signal" = [77, 78]', head='base = "base.toml"\n').cells

    assert {c.seed for c in made} == {9}
    assert [(c.name, c.config.data.options.n_signal) for c in made] == [
        ("sigma+linear+likelihood n_signal=77", 77),
        ("sigma+linear+likelihood n_signal=78", 78),
        ("cathode+direct+likelihood n_signal=77", 77),
        ("cathode+direct+likelihood n_signal=78", 78),
    ]
    assert {c.config.estimator.options.steps for c in made if c.config.estimator.name == "sigma"} == {5}


def test_many_cells_must_be_confirmed_before_they_are_made(cells):
    text = f'[matrix]\n"data.n_signal" = {list(range(5001))}\nscorer = ["random"]'

    with pytest.raises(ConfigError, match=r"10,002 cells.*--yes"):
        cells(text)


def test_an_axis_of_very_many_values_is_refused_at_once(cells):
    """Looking for a value that stands twice must not take time that grows with the square of their number."""
    with pytest.raises(ConfigError, match=r"200,000 cells.*--yes"):
        cells(f'[matrix]\n"data.n_signal" = {list(range(100_000))}\nscorer = ["random"]')


def test_a_base_whose_part_is_no_table_is_refused(cells, tmp_path):
    (tmp_path / "base.toml").write_text('scorer = "random"\n')

    with pytest.raises(ConfigError, match=r"'scorer' must be a table"):
        cells('[matrix]\n"data.n_signal" = [0]', head='base = "base.toml"\n')


REFUSED = {
    "empty": ("", "has no cells"),
    "empty axis": ("[matrix]\nscorer = []", "at least one value"),
    "axis that is no list": ('[matrix]\nscorer = "cathode"', "must be a list"),
    "misspelt table": ('[metrix]\nscorer = ["cathode"]', "Did you mean 'matrix'"),
    "misspelt axis": ('[matrix]\nestimater = ["sigma"]', "Did you mean 'estimator'"),
    "misspelt component": ('[matrix]\nestimator = ["sigmo"]', "Did you mean 'sigma'"),
    "misspelt component of an extra cell": ('[[only]]\nscorer = "supervized"', "Did you mean 'supervised'"),
    "misspelt option": ('[matrix]\n"estimator.stepz" = [1]', "Did you mean 'steps'"),
    "misspelt option of one component": ('[matrix]\n"estimator.sigma.stepz" = [1]', "Did you mean 'steps'"),
    "misspelt fixed option": ('[estimator]\nstepz = 3\n[matrix]\nscorer = ["cathode"]', "Did you mean 'steps'"),
    "misspelt option of another table": ('[matrix]\n"mass.nam" = ["kde"]', "Did you mean 'name'"),
    "misspelt option of a table that no cell uses": (
        '[matrix]\nscorer = ["random"]\n"template.oversampel" = [1, 2]',
        "Did you mean 'oversample'",
    ),
    "misspelt option of the mass that no cell uses": ('[matrix]\nscorer = ["random"]\n"mass.nam" = ["kde"]', "Did you mean 'name'"),
    "extra cell without keys": ("[[only]]", "A table [[only]] is empty"),
    "option of a part that an extra cell lacks": ('[[only]]\nscorer = "random"\n"scorer.members" = 3', "members"),
    "value of a wrong type": ('[matrix]\n"estimator.steps" = ["many"]', "steps"),
    "window that is no pair": ("[matrix]\nwindow = [3.3, 3.7]", 'two numbers, its ends, or "none"'),
    "window that is no interval": ("[matrix]\nwindow = [[3.7, 3.3]]", "3.7"),
    "value twice": ('[matrix]\nscorer = ["cathode", "cathode"]', "twice"),
    "name twice": ('[estimator]\nname = "sigma"\n[matrix]\nestimator = ["sigma"]', "gives its name too"),
    "a list in an extra cell": ('[[only]]\nscorer = ["random", "cwola"]', "another table for each"),
    "seed as an axis": ("[matrix]\nseed = [1, 2]", "seeds = [0, 1, 2]"),
    "folder as an axis": ('[matrix]\n"run.out" = ["a"]', "--out"),
    "unknown preset": ('[matrix]\n"estimator.preset" = ["smok"]', "Did you mean 'smoke'"),
    "unknown expectation": ('[matrix]\nscorer = ["random"]\n[expect]\nblock = 0', "Did you mean 'blocked'"),
    "blocked cells against the expectation": (
        '[matrix]\ninterpolator = ["displacement"]\nscorer = ["likelihood", "cathode"]\n[expect]\nblocked = 0',
        "2 of 4 cells are blocked where 0 are expected",
    ),
    "all cells blocked": ('[matrix]\ninterpolator = ["displacement"]\nscorer = ["likelihood"]', "All 2 cells are blocked"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_bad_files_are_one_line_and_exit_code_2(tmp_path, text):
    (tmp_path / "m.toml").write_text(HEAD + text[0])
    done = CliRunner().invoke(cli, ["bench", str(tmp_path / "m.toml"), "--out", str(tmp_path / "out")])

    assert done.exit_code == 2, done.output
    assert text[1] in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


def test_a_missing_file_or_a_seed_for_seeds_is_refused(tmp_path):
    (tmp_path / "m.toml").write_text('seed = 1\n[matrix]\nscorer = ["random"]')

    with pytest.raises(AdtoolError, match="cannot be read"):
        read_matrix(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="a list of them"):
        read_matrix(tmp_path / "m.toml")


FLAGS = {
    "slice without number": (["--index", "0"], "belong together"),
    "slice out of range": (["--index", "2", "--of", "2"], "from 0 to 1"),
    "two questions": (["--plan", "--collect"], "ask one of them"),
    "dask without scheduler": (["--executor", "dask"], "--scheduler"),
    "scheduler without dask": (["--scheduler", "tcp://127.0.0.1:1"], "--executor dask"),
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_contradictory_flags_are_refused(tmp_path, flags):
    (tmp_path / "m.toml").write_text(HEAD + '[matrix]\nscorer = ["random"]')
    done = CliRunner().invoke(cli, ["bench", str(tmp_path / "m.toml"), "--out", str(tmp_path / "out"), *flags[0]])

    assert done.exit_code == 2, done.output
    assert flags[1] in done.stderr


def test_the_example_is_a_bench(tmp_path):
    example = Path(__file__).parents[2] / "examples" / "bench_smoke.toml"
    plan = CliRunner().invoke(cli, ["bench", str(example), "--plan", "--out", str(tmp_path / "out")])

    assert plan.exit_code == 0, plan.output
    assert "8 cells: 8 to run" in plan.output
