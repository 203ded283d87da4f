"""Which runs are repetitions of each other, which are compared, and what is said of those that came to nothing."""

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.compare import Records, RunRecord, summarise
from adtoolkit.compare.grouping import full_key
from adtoolkit.compare.tables import as_json, footnotes, markdown, overall, to_csv, words_of
from adtoolkit.errors import AdtoolError, ConfigError

NOISE = np.random.default_rng(0).normal(0, 0.05, 100)


def run(scorer="cathode", seed=0, sic=2.0, n_signal=500, window="3.3-3.7", estimator="sigma", **more):
    """A record; ``config`` in ``more`` adds options."""
    config = {
        "data.name": "toy",
        "data.n_signal": n_signal,
        "window": window,
        "estimator.name": estimator,
        "scorer.name": scorer,
        **({} if estimator == "none" else {"interpolator.name": "context"}),
        **more.pop("config", {}),
    }
    defaults = {
        "name": f"{estimator}+{scorer} n{n_signal} {window} s{seed}",
        "data_seed": seed,
        "metrics": {"sic@1e-2": sic, "sic@1e-2-lo": sic - 1, "sic@1e-2-hi": sic + 1, "auc": 0.9},
        "digests": {"events": f"{n_signal}-{seed}", "test": str(seed)},
        "events": {"data in window": 10_000 + n_signal, "signal in window": n_signal},
        "stages": {f"fit/{estimator}{seed}": 10.0, f"score/{scorer}{seed}": 2.0},
    }
    return RunRecord(**{"config": config, "seed": seed, **defaults, **more})


def several(seeds=5, **more):
    sic = more.pop("sic", 2.0)
    start = more.pop("noise", 0)
    return [run(seed=s, sic=sic + NOISE[start + s], **more) for s in range(seeds)]


def compare(*runs, **more):
    return summarise(Records(tuple(runs)), **more)


def labels(condition):
    return [group.label for group in condition.groups]


def group(condition, label):
    return next(group for group in condition.groups if group.label == label)


@pytest.fixture
def three():
    return [
        *several(scorer="cathode", sic=3.0),
        *several(scorer="anode", sic=2.0, noise=10),
        *several(scorer="random", estimator="none", sic=0.1, noise=20),
    ]


def test_seeds_are_repetitions_and_what_differs_tells_groups_apart(three):
    summary = compare(*three)
    (condition,) = summary.conditions

    assert labels(condition) == ["sigma+cathode", "sigma+anode", "random"]
    assert summary.by == ("estimator", "scorer")
    assert [(g.n_ok, g.n_seeds) for g in condition.groups] == [(5, 5)] * 3
    assert group(condition, "random").role == "floor"
    assert summary.common == {"data": "toy", "window": "3.3-3.7", "n_signal": "500", "interpolator": "context"}


def test_numbers_are_those_of_numpy(three):
    (condition,) = compare(*three, baseline="sigma+anode").conditions
    a, b = ([r.metrics["sic@1e-2"] for r in three if r.config["scorer.name"] == name] for name in ("cathode", "anode"))

    cell = group(condition, "sigma+cathode").cells["sic@1e-2"]

    assert (cell.spread.median, cell.spread.lo, cell.spread.hi) == (np.median(a), *np.percentile(a, [16, 84]))
    assert cell.versus.mean == pytest.approx(np.mean(np.subtract(a, b)))
    assert (cell.versus.n, cell.versus.won) == (5, 5)


def test_words_say_who_is_better_by_how_much(three):
    summary = compare(*three, baseline="sigma+anode", metrics=["sic@1e-2"])
    better, random = words_of(summary, summary.conditions[0])

    cell = group(summary.conditions[0], "sigma+cathode").cells["sic@1e-2"].versus

    assert better.startswith(f"sigma+cathode is better than sigma+anode by {cell.mean:.3f} [{cell.lo:.3f}, {cell.hi:.3f}]")
    assert better.endswith("in sic@1e-2 (n=5 paired seeds).")
    assert random.startswith("sigma+anode is better than random by 1.8")


def test_words_say_when_methods_cannot_be_told_apart():
    summary = compare(*several(scorer="a", sic=2.0), *several(scorer="b", sic=2.0, noise=10))

    assert "b and a cannot be told apart in sic@1e-2" in words_of(summary, summary.conditions[0])[0]


def test_two_seeds_give_no_interval():
    summary = compare(*several(2, scorer="a", sic=2.0), *several(2, scorer="b", sic=9.0))
    (condition,) = summary.conditions

    assert "with 2 paired seeds no interval can be given" in words_of(summary, condition)[0]
    assert group(condition, "a").cells["sic@1e-2"].spread.lo is None
    assert "fewer than 3 seeds" in " ".join(footnotes(condition))


def test_a_metric_with_its_best_value_in_the_middle_is_compared_by_distance():
    def closure(scorer, value):
        return [replace(r, metrics={"closure-auc": value + 0.001 * (-1) ** r.seed}) for r in several(scorer=scorer)]

    summary = compare(*closure("a", 0.55), *closure("b", 0.48), baseline="a")

    assert words_of(summary, summary.conditions[0])[0].startswith("b is better than a by 0.03")
    assert "|closure-auc - 0.5|" in words_of(summary, summary.conditions[0])[0]


def test_failed_runs_count_and_are_named(three):
    failed = replace(three[0], status="failed", reason="OverflowError: too large", metrics={})
    summary = compare(failed, *three[1:], baseline="sigma+anode", metrics=["sic@1e-2"])
    (condition,) = summary.conditions

    assert (group(condition, "sigma+cathode").n_ok, group(condition, "sigma+cathode").n_seeds) == (4, 5)
    assert group(condition, "sigma+cathode").cells["sic@1e-2"].versus.n == 4
    assert "1 of 5 runs of sigma+cathode did not end well" in words_of(summary, condition)[0]
    assert "sigma+cathode, not ok: seed 0: failed: OverflowError: too large" in footnotes(condition)
    assert "| sigma+cathode | 4/5 |" in markdown(summary)


def test_a_missing_metric_is_shown_with_its_reason(three):
    told = "sic@1e-2, sic@1e-3 left out: with 100 background events, 6 pass only from 0.06 on."
    runs = [replace(three[0], metrics={"auc": 0.9}, notes=(told,)), *three[1:10]]
    runs += [replace(r, metrics={"auc": 0.5}, skipped={"sic": "needs truth"}) for r in three[10:]]
    summary = compare(*runs, baseline="sigma+anode")
    (condition,) = summary.conditions

    notes = " ".join(footnotes(condition))
    assert "random: no sic@1e-2: skipped: needs truth" in notes
    assert "sigma+cathode: no sic@1e-2 (1 of 5 runs): left out: with 100 background events" in notes
    assert "(4 of 5)" in markdown(summary)
    assert any("cannot be compared" in text and "needs truth" in text for text in words_of(summary, condition))


@pytest.mark.parametrize("differs", [{"n_signal": 100}, {"window": "3.5-3.9"}, {"config": {"data.features": ["a", "b"]}}])
def test_what_was_searched_is_never_mixed(differs):
    """Other data, window or features: another condition, with a baseline of its own, whatever --by says."""
    summary = compare(*several(scorer="a"), *several(scorer="b"), *several(scorer="b", **differs), by=["scorer"], baseline="a")

    assert len(summary.conditions) == 2
    assert [c.baseline for c in summary.conditions].count("a") == 1
    assert any(text.startswith("Groups are split by") for text in summary.notes)
    assert any("There is no a here" in text for c in summary.conditions for text in c.notes)


def test_options_that_differ_split_groups_and_name_them():
    summary = compare(*several(scorer="a", config={"scorer.members": 1}), *several(scorer="a", config={"scorer.members": 5}))

    assert labels(summary.conditions[0]) == ["sigma+context+a, scorer.members=1", "sigma+context+a, scorer.members=5"]


def test_options_of_different_methods_do_not_split():
    a = several(scorer="a", config={"scorer.members": 1, "scorer.preset": "paper"})
    b = several(scorer="b", config={"scorer.depth": 3, "scorer.preset": "smoke"})

    assert labels(compare(*a, *b).conditions[0]) == ["a", "b"]


def test_a_preset_stands_for_the_options_that_it_sets():
    smoke = several(scorer="a", config={"scorer.preset": "smoke", "scorer.members": 1, "scorer.depth": 1})
    paper = several(scorer="a", config={"scorer.preset": "paper", "scorer.members": 9, "scorer.depth": 9})
    empty = several(scorer="a", config={"scorer.preset": "paper", "scorer.members": 1, "scorer.depth": 1})

    assert compare(*smoke, *paper).by == ("scorer.preset",)
    assert compare(*smoke, *[replace(r, seed=r.seed + 9) for r in empty]).by == ()


def test_options_of_a_metric_split_only_runs_that_have_it():
    """Options that change the number: its error's do not."""

    def closure(scorer, **options):
        return several(scorer=scorer, config={f"metrics.closure.{name}": value for name, value in options.items()})

    same = compare(*closure("a", members=1, replicas=20), *closure("b", members=1, replicas=200), *several(scorer="c"))
    other = compare(*closure("a", members=1), *closure("b", members=2))

    assert [sorted(labels(c)) for c in same.conditions] == [["a", "b", "c"]]
    assert [c.label for c in other.conditions] == ["metrics.closure.members 1", "metrics.closure.members 2"]


def test_numbers_at_different_cuts_are_pooled_only_if_their_names_say_the_cut():
    runs = {name: [r for at in (0.01, 0.1) for r in several(config={f"metrics.{name}.at": at})] for name in ("sculpting", "sic")}

    assert [c.label for c in compare(*runs["sculpting"]).conditions] == ["metrics.sculpting.at 0.01", "metrics.sculpting.at 0.1"]
    assert [c.label for c in compare(*runs["sic"]).conditions] == [""]


def test_conditions_are_in_the_order_of_numbers():
    runs = [r for n in (1000, 50, 250) for r in several(n_signal=n)]

    assert [c.label for c in compare(*runs).conditions] == ["n_signal 50", "n_signal 250", "n_signal 1000"]


def test_other_events_at_the_same_seed_are_never_paired():
    other = [replace(r, digests={"events": "changed", "test": str(r.seed)}) for r in several(scorer="b")]
    summary = compare(*several(scorer="a"), *other)

    assert [labels(c) for c in summary.conditions] == [["a"], ["b"]]
    assert "searched different events" in " ".join(summary.notes)


def test_other_events_inside_one_group_split_it():
    new = [replace(r, name="new", digests={"events": f"new {r.seed}", "test": "x"}) for r in several(scorer="a")]
    summary = compare(*several(scorer="a"), *new)

    assert [c.label for c in summary.conditions] == ["events 1", "events 2"]
    assert [c.groups[0].n_seeds for c in summary.conditions] == [5, 5]


def test_counts_tell_events_apart_where_no_digest_was_recorded():
    a = [replace(r, digests={}) for r in several(scorer="a")]
    b = [replace(r, digests={}, events={**r.events, "signal in window": 7}) for r in several(scorer="b")]

    assert len(compare(*a, *b).conditions) == 2
    assert len(compare(*a, *several(scorer="b")).conditions) == 1


def test_runs_on_the_same_events_are_no_independent_pairs():
    """Two runs for each of three data seeds: three pairs. One data seed for all: said."""

    def twice(scorer):
        return [replace(run(scorer=scorer, seed=10 * d + k, sic=2 + NOISE[d + k]), data_seed=d) for d in range(3) for k in range(2)]

    def once(scorer):
        return [replace(r, data_seed=0, digests={"events": "0"}) for r in several(scorer=scorer)]

    assert group(compare(*twice("a"), *twice("b"), baseline="a").conditions[0], "b").cells["sic@1e-2"].versus.n == 3
    (condition,) = compare(*once("a"), *once("b"), baseline="a").conditions
    assert group(condition, "b").cells["sic@1e-2"].versus.n == 5
    assert any("noise of training" in text for text in condition.notes)


def test_of_repeated_runs_the_last_counts_and_a_difference_is_said():
    old = replace(run(sic=1.0), started="2026-01-01", name="old")
    new = replace(run(sic=2.0), started="2026-01-02", name="new")
    (condition,) = compare(new, old).conditions

    assert condition.groups[0].cells["sic@1e-2"].spread.median == 2.0
    assert condition.groups[0].n_seeds == 1
    assert "new counts" in condition.notes[0]
    assert compare(new, replace(new, name="copy")).conditions[0].notes == ()


def test_cells_that_never_ran_join_their_group_or_are_listed():
    waiting = replace(run(seed=5), status="waiting", reason="it was not run yet", whole=False, metrics={}, digests={}, events={})
    part = {"estimator.name": "sigma", "scorer.name": "cathode"}
    blocked = replace(waiting, status="blocked", reason="'x' needs log-prob", config={"scorer.name": "x"})
    alone = replace(waiting, name="alone", config={"scorer.name": "never", "estimator.name": "sigma"})
    summary = compare(*several(scorer="cathode"), *several(scorer="anode"), replace(waiting, config=part), blocked, alone)
    (condition,) = summary.conditions

    assert (group(condition, "cathode").n_ok, group(condition, "cathode").n_seeds) == (5, 6)
    assert (group(condition, "never").n_ok, group(condition, "never").n_seeds) == (0, 1)
    assert "Blocked, and so in no table: x: 'x' needs log-prob" in overall(summary)


def test_unreadable_runs_are_listed(three):
    summary = compare(*three, RunRecord("broken", "unreadable", "config.toml is missing", whole=False))

    assert overall(summary)[0] == "Not in any table: broken: config.toml is missing"


def test_trainings_that_runs_share_are_counted_once():
    runs = [r for window in ("3.1-3.5", "3.3-3.7", "3.5-3.9") for r in several(2, window=window)]
    runs = [replace(r, stages={**r.stages, f"score/{r.name}": 2.0}) for r in runs]
    summary = compare(*runs)

    assert [c.groups[0].costs.fits for c in summary.conditions] == [2, 2, 2]
    ((_, costs),) = summary.costs.items()
    assert (costs.fits, costs.runs) == (2, 6)
    assert costs.per_run == {"fit": 10.0, "score": 4.0}


@pytest.mark.parametrize("name", ["sigma+cathode", "sigma+context+cathode", "cathode"])
def test_baseline_by_label_by_name_or_by_part(three, name):
    assert compare(*three, baseline=name).conditions[0].baseline == "sigma+cathode"


@pytest.mark.parametrize("more", [{"baseline": "nobody"}, {"metrics": ["sic@1e-9"]}, {"by": ["colour"]}])
def test_unknown_names_are_refused_with_those_there_are(three, more):
    with pytest.raises(AdtoolError, match=r"There is no .*[Tt]here is: "):
        compare(*three, **more)


def test_short_names_of_keys():
    runs = [run(config={"scorer.members": 1, "estimator.epochs": 2, "estimator.depth": 1, "scorer.depth": 1})]

    assert [full_key(name, runs) for name in ("scorer", "n_signal", "epochs", "scorer.members")] == [
        "scorer.name",
        "data.n_signal",
        "estimator.epochs",
        "scorer.members",
    ]
    with pytest.raises(ConfigError, match=r"estimator\.depth, scorer\.depth"):
        full_key("depth", runs)


def test_nothing_readable_is_refused():
    with pytest.raises(ConfigError, match="None of the 1 runs can be read"):
        compare(RunRecord("broken", "unreadable", "no file", whole=False))
    with pytest.raises(ConfigError, match="All 1 cells are blocked"):
        compare(RunRecord("x", "blocked", "no", {"scorer.name": "x"}, whole=False))


def test_many_comparisons_are_said_to_be_many():
    runs = [r for i in range(8) for r in several(scorer=f"m{i}", noise=i)]

    assert any("7 comparisons at 95 %" in text for text in overall(compare(*runs)))


def test_csv_has_a_row_for_each_group_and_metric(three):
    rows = [line.split(",") for line in to_csv(compare(*three)).splitlines()]

    assert {len(row) for row in rows} == {17}
    assert [row[1] for row in rows if row[3] == "sic@1e-2"] == ["sigma+cathode", "sigma+anode", "random"]


def test_records_survive_json(three):
    from json import dumps, loads
    from pathlib import Path

    summary = compare(*three)
    again = Records.from_list(loads(dumps(as_json(summary)))["records"], Path("x.json"))

    assert again.runs == tuple(three)
    assert as_json(summarise(again)) == as_json(summary)
    assert {row["metric"] for row in again.long()} == {"sic@1e-2", "sic@1e-2-lo", "sic@1e-2-hi", "auc"}
    assert again.metrics == ["sic@1e-2", "auc"]
