"""What the cells of a bench share, as tasks: trainings, templates, slices."""

from functools import partial

import pytest
from support.benches import beside, cells_of

from adtoolkit.bench import graph


@pytest.fixture
def cells(tmp_path):
    """From the text of a matrix to its cells."""
    return partial(cells_of, tmp_path)


def test_one_training_is_planned_for_all_windows_of_sigma_and_one_per_window_of_a_sideband_model(cells):
    text = '[matrix]\nestimator = ["sigma", "cathode"]\nscorer = ["cathode", "likelihood"]\nwindow = [[3.1, 3.5], [3.2, 3.6], [3.3, 3.7]]'
    tasks = graph.build((c for c in cells(text).cells if c.seed == 3), lambda _: ())
    kinds = [(task.kind, task.estimator) for task in tasks]

    assert kinds.count(("fit", "sigma")) == 1
    assert kinds.count(("fit", "cathode")) == 3
    assert kinds.count(("template", "sigma")) == kinds.count(("template", "cathode")) == 3
    assert len([task for task in tasks if task.kind == "cell"]) == 12
    assert all(before in [other.id for other in tasks[:n]] for n, task in enumerate(tasks) for before in task.after)


def test_a_model_of_the_sidebands_is_planned_once_more_for_each_control_region(cells):
    text = """
[matrix]
estimator = ["sigma", "cathode"]
scorer = ["cathode", "likelihood", "anode", "supervised"]
window = [[3.1, 3.5], [3.3, 3.7]]
[[only]]
estimator = "cathode"
scorer = "cathode"
"template.refit" = false
[[only]]
estimator = "cathode"
scorer = "anode"
"template.control" = 0.5
"""
    tasks = graph.build((c for c in cells(text).cells if c.seed == 3), beside)
    fits = {task.id: task for task in tasks if task.kind == "fit"}
    waits = {task.name: [fits[name].name for name in task.after if name in fits] for task in tasks if task.kind != "fit"}
    own, wide = "cathode 3.3-3.7 seed 3", [f"cathode 3.3-3.7 control region {region} seed 3" for region in ("2.8-3.2", "3.8-4.2")]

    assert [task.name for task in fits.values()].count("sigma seed 3") == 1
    assert len([task for task in fits.values() if task.estimator == "cathode"]) == 2 * (1 + 2) + 2 * 2
    assert waits["cathode+direct+cathode 3.3-3.7 seed 3"] == waits["cathode+direct+likelihood 3.3-3.7 seed 3"] == [own, *wide]
    assert waits["cathode+direct+anode 3.3-3.7 seed 3"] == [own], "it has no control regions by default"
    assert waits["cathode+direct+cathode 3.3-3.7 refit=False seed 3"] == [own]
    narrow = [f"cathode 3.3-3.7 control region {region} seed 3" for region in ("3-3.2", "3.8-4")]
    assert waits["cathode+direct+anode 3.3-3.7 control=0.5 seed 3"] == [own, *narrow]
    assert waits["sigma+context+cathode 3.3-3.7 seed 3"] == ["sigma seed 3"], "it is never evaluated in the region"


def test_a_control_region_that_is_the_window_of_another_cell_needs_the_same_training(cells):
    text = '[matrix]\nestimator = ["cathode"]\nscorer = ["cathode"]\nwindow = [[2.7, 3.1], [3.2, 3.6]]\n'
    tasks = graph.build((c for c in cells(text).cells if c.seed == 3), beside)

    assert [task.name for task in tasks if task.kind == "fit"] == [
        "cathode 2.7-3.1 seed 3",
        "cathode 2.7-3.1 control region 2.2-2.6 seed 3",
        "cathode 3.2-3.6 seed 3",
        "cathode 3.2-3.6 control region 3.7-4.1 seed 3",
    ]


def test_trainings_may_be_done_together(cells):
    text = '[matrix]\nestimator = ["sigma"]\nscorer = ["cathode"]\n"data.n_signal" = [0, 50, 60]\n"estimator.steps" = [7, 8]'
    fits = [task for task in graph.build(cells(text).cells, beside, lambda _: 4) if task.kind == "fit"]

    assert sorted(len(task.keys) for task in fits) == [2, 2, 4, 4]
    assert all(len({work.config["estimator"]["steps"] for work in task.work}) == 1 for task in fits)


@pytest.mark.parametrize("of", [1, 2, 3, 7, 40])
def test_slices_hold_every_cell_once_and_keep_a_training_together(cells, of):
    text = (
        '[matrix]\nestimator = ["sigma", "masked-cfm"]\nscorer = ["cathode", "likelihood", "random"]\n'
        'window = [[3.1, 3.5], [3.2, 3.6], [3.3, 3.7]]\n"data.n_signal" = [0, 60]'
    )
    found = cells(text).cells
    slices = [graph.slice_of(found, index, of, beside) for index in range(of)]

    assert sorted(c.digest for part in slices for c in part) == sorted(c.digest for c in found)
    fits = [{graph.fit_key(c) for c in part} - {None} for part in slices]
    assert sum(map(len, fits)) == len(set[str]().union(*fits)) == 4 + 12
