"""Tables of trainings and their speed: flows, flow matching, classifiers, a scan of windows; for tables.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def cfm_training(data: dict[str, Any]) -> Iterator[str]:
    """Likelihood and closure per variant of the training."""
    yield "## Training of the flow-matching networks\n"
    yield f"LHC Olympics events with {data['signal']} injected signal events, five features, one training per row (seed {data['seed']});"
    yield "`masked-cfm` directly, `sigma` through `context`. Negative log-likelihood and closure of the background in the"
    yield "window, which the training of `masked-cfm` has not seen. The defaults were chosen by such numbers, which flatter them.\n"
    yield "| | | weights | CPU time | negative log-likelihood | closure |"
    yield "|---|---|---|---|---|---|"
    for method, rows in data["rows"].items():
        for name, row in rows.items():
            cells = f"{row['parameters']:,} | {row['cpu_s']:.0f} s | {row['nll']:.3f} | {row['closure']:.4f}"
            yield f"| {method} | {name} | {cells} |"
    yield f"\n```console\n$ {data['command']}\n```\n"


def cathode_flow(data: dict[str, Any]) -> Iterator[str]:
    flows, same = data["flows"], data["same likelihood"]
    yield "## The flow of CATHODE\n"
    counts, published = data["events"], flows["published"]
    yield f"LHC Olympics sidebands, {counts['training']:,} events, five features; both flows in one process on one thread. The"
    yield f"published one did {published['epochs']} of its 100 epochs, as the time of a benchmark allows. Mean negative log-likelihoods: of"
    yield f"{counts['validation']:,} validation events, and of the {counts['window']:,} background events of the window. Rates are events"
    yield "per second.\n"
    columns = ["parameters", "CPU time", "validation", "window", "training", "density", "draws", f"CPU time to {same['validation']:.4f}"]
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name, row in flows.items():
        rate = row["events per s"]
        reached = "not reached" if same[name] is None else f"{same[name]:.0f} s"
        cells = [f"{row['parameters']:,}", f"{row['cpu_s']:.0f} s", f"{row['validation']:.4f}", f"{row['window']:.4f}"]
        cells += [f"{rate[key]:,}" for key in ("training", "density", "draws")]
        yield f"| {name} | {' | '.join([*cells, reached])} |"
    yield f"\nLikelihoods are those of the final models: the published one is a mixture of its best {published['members']} epochs;"
    yield "the last column compares weights at single looks. Density is that of one member.\n"
    yield f"```console\n$ {data['command']}\n```\n"


def speed(data: dict[str, Any]) -> Iterator[str]:
    yield "## Speed of SIGMA\n"
    yield f"All in one process, side by side, on {data['device']}.\n"
    yield "| | events per second | |"
    yield "|---|---|---|"
    for name, row in data["training"].items():
        yield f"| training, {name} | {row['events_per_s']:,} | {row['parameters']:,} parameters, batches of {row['batch']:,} |"
    for name, row in data["template"].items():
        yield f"| template, {name} | {row['events_per_s']:,} | {row['evaluations']} evaluations of the field |"
    windows = ", ".join(f"{n} in {row['cpu_s']:.0f} s" for n, row in data["windows from one training"].items())
    size = data["template"]["midpoint"]["events"]
    yield f"\nOne training takes {data['one training']['cpu_s']:.0f} s of CPU; templates of {size:,} events"
    yield f"for more windows follow from it: {windows}.\n"
    yield f"```console\n$ {data['command']}\n```\n"


def window_scan(data: dict[str, Any]) -> Iterator[str]:
    n, events = len(data["windows"]), next(iter(data["templates"].values()))["events"]
    yield f"## A scan of {n} windows\n"
    yield f"The {data['events']:,} dijets of the package, one process, one thread. SIGMA is trained once, the masked model once per window,"
    steps = data["default network"]["sigma"]["default_steps"]
    yield f"one after another or as one stack of parameters. Steps were timed and totals are scaled to the {steps:,} of the default,"
    yield f"with a template of {events:,} events per window; nothing was trained to its end. A stack is meant for devices that one small"
    yield "network leaves idle, such as a GPU; none was measured. On a CPU `adtool bench` stacks only if asked (`--stack`), and where"
    yield "steps are small: there it pays.\n"
    yield "| CPU minutes | training | templates | scan |"
    yield "|---|---|---|---|"
    for name, row in data["scan"].items():
        yield f"| {name} | {row['training_min']} | {row['templates_min']} | {row['total_min']} |"
    yield "\n| CPU milliseconds per step and window | weights | batch | SIGMA | masked, one by one | masked, one stack |"
    yield "|---|---|---|---|---|---|"
    for name in ("default network", "small network"):
        row = data[name]
        times = " | ".join(f"{row[kind]['ms_per_step']:.1f}" for kind in ("sigma", "masked, one by one", "masked, one stack"))
        yield f"| {name} | {row['parameters']:,} | {row['batch']:,} | {times} |"
    yield "\n| template | events per CPU second |"
    yield "|---|---|"
    for name, row in data["templates"].items():
        yield f"| {name} | {row['events_per_cpu_s']:,} |"
    yield f"\n```console\n$ {data['command']}\n```\n"


def classifiers(data: dict[str, Any]) -> Iterator[str]:
    eps = " | ".join(f"{e:g}" for e in data["eps"])
    yield "## How many classifiers\n"
    yield "LHC Olympics events, half of the true background as data with 500 injected signal events, the other half as template; five"
    yield f"folds, one core; median over {data['seeds']} draws of signal, halves and splits, and their standard deviation.\n"
    yield f"| members | CPU time | SIC at {eps} |"
    yield f"|---|---|{'---|' * len(data['eps'])}"
    for name, row in data["members"].items():
        values = " | ".join(f"{v:.2f} ± {s:.2f}" for v, s in zip(row["median"], row["spread"], strict=True))
        yield f"| {name} | {row['cpu_s']:.1f} s | {values} |"
    yield "\n## Bias of the SIC by folds\n"
    yield f"Two normal distributions, {data['samples']} samples, thresholds per fold: bias and standard deviation of the SIC in per cent.\n"
    rows = data["bias of folds"]
    yield f"| background events | folds | SIC at {' | '.join(f'{e:g}' for e in rows[0]['eps'])} |"
    yield f"|---|---|{'---|' * len(rows[0]['eps'])}"
    for row in rows:
        values = " | ".join(f"{m:+.1f} ± {s:.1f}" for m, s in zip(row["mean_%"], row["std_%"], strict=True))
        yield f"| {row['backgrounds']:,} | {row['folds']} | {values} |"
    yield f"\n```console\n$ {data['command']}\n```\n"


def simulation(data: dict[str, Any]) -> Iterator[str]:
    yield "## Simulated dijets against those of the LHC Olympics\n"
    yield "Two-sample AUC of boosted trees on background events: 0.5 means that they cannot be told apart. Features are those of 3.3 to"
    yield "3.7 TeV, of events whose jets both have |phi| < 2.4: beyond, the taus of the LHC Olympics file are wrong. Mean and standard"
    yield "deviation over repetitions of the folds. The package's own dijets are those that `adtool data simulate dijets` makes; those of"
    yield "the [comparison of methods](methods.md) are of an earlier generator.\n"
    samples = {"the package's dijets": data["background"]}
    samples |= {f"those of the comparison (`{name}`)": row for name, row in data.items() if name.endswith(".npz")}
    yield f"| AUC against the LHC Olympics | {' | '.join(samples)} |"
    yield f"|---|{'---|' * len(samples)}"
    for key in (key for key in data["background"] if key.startswith("auc, ")):
        found = (row[key] for row in samples.values())
        cells = [f"{mean:.4f}{f' ± {error:.4f}' if error else ''}" for mean, error in found]
        yield f"| {key.removeprefix('auc, ')} | {' | '.join(cells)} |"
    mine, theirs = data["signal"]["share in the window"]
    yield f"\nOf the package's signal {100 * mine:.1f} % lie in 3.3 to 3.7 TeV, in the LHC Olympics {100 * theirs:.1f} %."
    rates = data["accepted events per second of CPU, one process"]
    yield f"Speed: {rates['qcd']:.0f} accepted QCD and {rates['wprime']:.0f} signal events per second of CPU.\n"
    yield f"```console\n$ {data['command']}\n```\n"
