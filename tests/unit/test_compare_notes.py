"""What a comparison says of the ends of its metrics, of cells that came to nothing, and of what its runs noted."""

from dataclasses import replace

import pytest

from adtoolkit.compare import Records, RunRecord, summarise
from adtoolkit.compare.gist import gist
from adtoolkit.compare.tables import footnotes, heading, overall, tables
from adtoolkit.errors import ConfigError

NOTE = (
    "sic@1e-2, sic@1e-3 left out: with {:,} background events, 6.25 pass only from eps_B = {:.2g} on "
    "(relative error of the SIC at most 0.2)."
)


def run(scorer="cathode", seed=0, window="3.3-3.7", metrics=None, **more):
    config = {"data.name": "toy", "window": window, "estimator.name": "none", "scorer.name": scorer}
    values = {"sic@1e-1": 2.0, "auc": 0.9} if metrics is None else metrics
    digests = {"events": str(seed), "test": "t"}
    defaults = {"config": config, "metrics": values, "data_seed": seed, "digests": digests}
    return RunRecord(f"{scorer} {window} {seed}", seed=seed, **{**defaults, **more})


def failed(scorer, seed, window):
    """As of a cell of a benchmark that was refused before it had a folder: only its axes are known."""
    axes = {"data.name": "toy", "window": window, "estimator.name": "none", "scorer.name": scorer}
    told = {"status": "failed", "reason": "DataError: 15 events", "whole": False, "metrics": {}, "digests": {}}
    return replace(run(scorer, seed), name="cell", config=axes, **told)


def compare(*runs, **more):
    return summarise(Records(tuple(runs)), **more)


def test_a_window_of_which_every_cell_failed_is_a_condition_of_its_own():
    summary = compare(*(run(s, k) for s in "ab" for k in (0, 1)), *(failed(s, k, "4.8-4.9") for s in "ab" for k in (0, 1)))

    told = {c.label: {g.label: (g.n_ok, g.n_seeds) for g in c.groups} for c in summary.conditions}
    assert told == {"window 3.3-3.7": {"a": (2, 2), "b": (2, 2)}, "window 4.8-4.9": {"a": (0, 2), "b": (0, 2)}}
    assert "a, not ok: seed 0: failed: DataError: 15 events" in footnotes(summary.conditions[1])


def test_a_cell_whose_axis_is_written_as_a_whole_number_joins_its_group():
    whole = run("a", 0, config={**run("a").config, "scorer.lr": 1.0})
    cell = failed("a", 1, "3.3-3.7")
    summary = compare(whole, replace(cell, config={**cell.config, "scorer.lr": 1}))

    assert [(g.n_ok, g.n_seeds) for c in summary.conditions for g in c.groups] == [(1, 2)]


def test_without_truth_nothing_is_said_of_a_floor():
    needs = dict.fromkeys(("sic@1e-1", "sic@1e-2", "sic@1e-3"), "needs truth")
    summary = compare(*(run(seed=k, metrics={"excess-z@1e-1": 3.0}, skipped=needs) for k in (0, 1)))

    assert not any("floor" in note for note in overall(summary))


def test_what_was_searched_is_said_of_those_alone_that_searched_it():
    other = run("b", window="9.2-9.7", config={**run("b", window="9.2-9.7").config, "data.name": "table"})
    summary = compare(run("a", config={**run("a").config, "data.n_signal": 500}), other)

    assert not any("500" in heading(summary, condition) for condition in summary.conditions if "table" in condition.label)


def test_a_column_below_the_floor_of_all_runs_is_said_to_be_so():
    runs = [run(seed=0, notes=(NOTE.format(494, 0.01265),)), run(seed=1, notes=(NOTE.format(1545, 0.004),))]
    floor = (
        "with 494 to 1,545 background events {} below the statistical floor "
        "(6.25 of them pass from eps_B = 0.004 to 0.013 on; relative error of the SIC at most 0.2)"
    )

    with pytest.raises(ConfigError, match="No run has sic@1e-2") as refused:
        compare(*runs, metrics=["sic@1e-2"])
    assert floor.format("it lies") in refused.value.message
    told = f"No run has sic@1e-2, sic@1e-3: {floor.format('they lie')}. More test events lower the floor. The sentences are about sic@1e-1."
    assert told in overall(compare(*runs))
    assert not any("left out" in text for text in overall(compare(*runs))), "said once"
    assert not any("No run has" in text for text in overall(compare(*runs, metrics=["auc"])))


def test_a_metric_that_was_skipped_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="No run has closure-auc: skipped: needs template"):
        compare(run(skipped={"closure": "needs template"}), metrics=["closure-auc"])


def test_a_column_at_its_bound_is_said_to_be_so():
    summary = compare(run("a", metrics={"sic@1e-1": 3.1}), run("b", metrics={"sic@1e-1": 3.01}), run("c", metrics={"sic@1e-1": 3.0}))
    (note,) = [note for note in footnotes(summary.conditions[0]) if "bound" in note]

    assert note.startswith("a, b reach the bound of sic@1e-1, 1/sqrt(eps_B) = 3.16, within 5 %")


def test_a_ceiling_below_other_methods_is_named():
    numbers = {"supervised": (2.0, 0.9), "idealised": (4.0, 0.8), "cathode": (3.0, 0.7), "random": (0.3, 0.5)}
    summary = compare(*(run(name, metrics={"sic@1e-2": sic, "auc": auc}) for name, (sic, auc) in numbers.items()))
    (note,) = [note for note in footnotes(summary.conditions[0]) if "ceiling" in note]

    assert note.startswith("The median of supervised (ceiling) lies below that of cathode in sic@1e-2: ")


def test_columns_that_take_the_background_for_exact_carry_the_caveat():
    summary = compare(run(metrics={"q0@exact-background": 9.0, "auc": 0.9}), metrics=["q0@exact-background", "auc"])

    assert footnotes(summary.conditions[0])[-1] == (
        "q0@exact-background: takes the background density for exact; what it gets wrong counts as signal."
    )
    assert not any("exact" in text for text in footnotes(compare(run()).conditions[0]))


def test_notes_of_runs_are_counted_and_each_is_shown_once():
    notes = [["r-anode: 12 events are too few.", "z: goes on from its checkpoint after epoch 3."], ["r-anode: 7 events are too few."], []]

    told = (
        "Notes of 2 runs, see their manifest.json: r-anode: 12 events are too few (2 runs); "
        "z: goes on from its checkpoint after epoch 3 (1 run)."
    )
    assert gist(notes) == told
    assert told in overall(compare(*(run(seed=k, notes=tuple(own)) for k, own in enumerate(notes))))
    assert gist([["abcdefg"[k] for k in range(7)]]).endswith("e (1 run); and 2 more.")
    assert gist([[], []]) == ""


def test_columns_of_costs_are_named_for_what_they_are():
    runs = [run(seed=k, stages={"fit/one": 10.0, f"score/{k}": 2.0 + k}, cpu={"fit/one": 9.0, f"score/{k}": 1.0}) for k in range(3)]
    summary = compare(*runs)
    *_, table = tables(summary, summary.conditions[0])

    assert table.columns == ("", "fit s/run", "score s/run", "total s", "total CPU s", "fits", "scorer fits", "runs")
    assert table.rows[0][1:] == (["10"], ["3"], ["19"], ["12"], ["1"], ["3"], ["3"])


def test_a_misspelt_key_is_refused_with_those_close_to_it():
    with pytest.raises(ConfigError, match=r"There is no key 'scoer' in .*\. Did you mean scorer\? See"):
        compare(run(), by=["scoer"])


def test_a_baseline_that_fits_several_methods_is_refused_with_them():
    runs = [run("a", config={**run().config, "scorer.name": "a", "scorer.lr": lr}) for lr in (1, 2)]

    with pytest.raises(ConfigError, match=r"'a' fits 2 methods: .*\. Name one of them"):
        compare(*runs, baseline="a")


@pytest.mark.parametrize(("seeds", "decided"), [(2, False), (5, True)])
def test_decisions_by_chance_are_counted_where_there_can_be_any(seeds, decided):
    methods = [run(f"m{i}", s, metrics={"sic@1e-1": 2 + 0.1 * i + 0.01 * s}) for i in range(8) for s in range(seeds)]

    assert any("would be decided by chance" in text for text in overall(compare(*methods))) == decided


def test_bounds_alone_are_compared_with_the_first_of_them():
    (condition,) = compare(*(run(s, k) for s in ("cwola", "random") for k in range(3))).conditions

    assert condition.baseline == "cwola"
    assert [g.cells["auc"].versus is not None for g in condition.groups] == [False, True]
