"""Writes docs/explanation/benchmarks.md from benchmarks/results, so that no number in it is typed by hand.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caloflow_tables import caloflow
from expectations import draw, expectations
from flux_tables import flux
from matrix_tables import matrix
from study_tables import cfm_training, no_signal, no_signal_matrices, octaves, octaves_of_few

from adtoolkit.cfm_config import CfmConfig
from adtoolkit.nn.velocity import build
from adtoolkit_masked_cfm.config import MaskedCfmConfig
from adtoolkit_sigma.config import SigmaConfig

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "explanation" / "benchmarks.md"

MATRICES = (
    (
        "matrix_lhco",
        "Every method on LHC Olympics events",
        (
            "60,000 background events of which 8,500 lie in the window, five features; the test background is that of the data, "
            "cross-fitted, so the SIC at 0.001 rests on 8.5 events and has a statistical error of 17 %. They are of the first release, "
            "whose taus are wrong in jets with |phi| > 2.4, for signal and background alike; the file that `adtool data fetch lhco` brings "
            "has others, and will give other numbers."
        ),
    ),
    (
        "matrix_lhco_4features",
        "LHC Olympics events without ΔR",
        "As above, with the four features that move little with m.",
    ),
    (
        "matrix_dijets",
        "Every method on simulated dijets",
        (
            "150,000 background events of which 21,000 lie in the window, five features; 25,800 test background events in the window, "
            "so that the SIC at 0.001 rests on 26 events. They are not those of the package, but of an earlier generator: another "
            "detector, and a narrower W' of which 89.5 % lie in the window."
        ),
    ),
)


def result(name: str) -> dict[str, Any] | None:
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def outdated(weights: int, config: CfmConfig) -> str:
    """A sentence where the default network is not the recorded one any more."""
    now = sum(p.numel() for p in build(config.network(5, 8)).parameters())
    return "" if weights == now else f" The default network had {weights:,} weights then; it now has {now:,}."


def simulation() -> Iterator[str]:
    data = result("dijets_vs_lhco")
    if data is None:
        return
    yield "## Simulated dijets against those of the LHC Olympics\n"
    yield "Two-sample AUC of boosted trees on background events: 0.5 means that they cannot be told apart. Features are those of 3.3 to"
    yield "3.7 TeV, of events whose jets both have |phi| < 2.4: beyond, the taus of the LHC Olympics file are wrong. Mean and standard"
    yield "deviation over repetitions of the folds. The file is that of the comparison of methods above, the package's own dijets are those"
    yield "that `adtool data simulate dijets` makes.\n"
    samples = {"the package's dijets": data["background"]} | {f"`{name}`": row for name, row in data.items() if name.endswith(".npz")}
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


def classifiers() -> Iterator[str]:
    data = result("classifiers")
    if data is None:
        return
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


def speed() -> Iterator[str]:
    data = result("sigma_speed")
    if data is None:
        return
    yield "## Speed of SIGMA\n"
    yield f"All in one process, side by side, on {data['device']}.{outdated(data['training']['default']['parameters'], SigmaConfig())}\n"
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


def window_scan() -> Iterator[str]:
    data = result("window_scan")
    if data is None:
        return
    n, events = len(data["windows"]), next(iter(data["templates"].values()))["events"]
    yield f"## A scan of {n} windows\n"
    yield f"The {data['events']:,} dijets of the package, one process, one thread. SIGMA is trained once, the masked model once per window,"
    steps = data["default network"]["sigma"]["default_steps"]
    now = "" if steps == SigmaConfig().steps else f" then (now {SigmaConfig().steps:,})"
    yield f"one after another or as one stack of parameters. Steps were timed and totals are scaled to the {steps:,} of the default{now},"
    yield f"with a template of {events:,} events per window; nothing was trained to its end. A stack is meant for devices that one small"
    yield "network leaves idle, such as a GPU; none was measured. On a CPU, trainings are stacked by default only where the steps are"
    yield f"small: there it pays.{outdated(data['default network']['parameters'], MaskedCfmConfig())}\n"
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


def cathode_flow() -> Iterator[str]:
    data = result("cathode_flow")
    if data is None:
        return
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


def ranode() -> Iterator[str]:
    yield from ranode_lhco()
    yield from ranode_size()
    yield from ranode_speed()


def ranode_lhco() -> Iterator[str]:
    data = result("ranode_lhco")
    if data is None:
        return
    runs = data["runs"]
    columns = list(runs[0]["sic"])
    yield "## R-ANODE on LHC Olympics events, without ΔR\n"
    yield "Five folds, SIGMA's density as background. The options of training were chosen by looking at the signal efficiencies of"
    yield "seed 0, so its rows flatter the default; seed 1 played no part in that."
    yield "`w`: cross-fitted signal fraction with its 68 % interval (for an exact background density). Time: of all five folds."
    yield "Rows without injected signal show what an imperfect background density alone brings about.\n"
    yield f"| injected | seed | | {' | '.join(f'SIC at {c}' for c in columns)} | w | true w | q0 | dead members | CPU |"
    yield f"|---|---|{'---|' * (len(columns) + 6)}"
    for run in sorted(runs, key=lambda run: (-run["signal"], run["seed"])):
        sic = " | ".join(f"{run['sic'][c]:.2f}" if run["signal"] else "-" for c in columns)
        w, lo, hi = run["w"]
        yield (
            f"| {run['signal']} | {run['seed']} | {run['case']} | {sic} | {w:.4f} ({lo:.4f} to {hi:.4f}) | {run['true w']:.4f} "
            f"| {run['q0']:.0f} | {run['dead members']} of {5 * data['settings']['config']['members']} | {run['cpu_s']:.0f} s |"
        )
    yield f"\n```console\n$ {data['command']}\n```\n"


def ranode_size() -> Iterator[str]:
    data = result("ranode_size")
    if data is None:
        return
    null, signal = data["summary"]["null"], data["summary"]["signal"]
    yield "## Size of the likelihood ratio of R-ANODE\n"
    yield f"{null['toys']} toys of {data['settings']['events']:,} background events whose density is exact, R-ANODE trained anew for each"
    yield "in five folds."
    yield "Share of toys below each p-value; ± is the statistical error of a right test.\n"
    yield "| nominal | cross-fitted | on the training events |"
    yield "|---|---|---|"
    for level, (share, error) in null["cross-fitted"].items():
        same = null["on the training events"][level]
        yield f"| {100 * float(level):g} % | {100 * share:.1f} ± {100 * error:.1f} % | {100 * same:.1f} % |"
    yield f"\nMean e-value {null['mean e-value']:.2f}, {100 * null['e-values above 20']:.1f} % above 20."
    yield f"q0 is zero in {100 * null['q0 is zero']:.0f} %. Median w without signal: {null['median w']:.4f} cross-fitted,"
    yield f"{null['median w of the training events']:.4f} on the training events."
    yield f"With a share of {data['settings']['share']:g} signal ({signal['toys']} toys): mean w {signal['mean w']:.4f}, p below 5 % in"
    yield f"{100 * signal['power at 0.05']:.0f} %. All toys: {data['cpu_s']:.0f} s of CPU.\n"
    yield f"```console\n$ {data['command']}\n```\n"


def ranode_speed() -> Iterator[str]:
    data = result("ranode_speed")
    if data is None:
        return
    yield "## Speed of R-ANODE\n"
    yield f"Forward, backward and optimiser step in {data['dimensions']} dimensions, batches of {data['batch']} unless said; one process,"
    yield "one thread, side by side."
    yield "CPU time per step and member, median and range of rounds.\n"
    yield "| | ms | times faster | parameters |"
    yield "|---|---|---|---|"
    for name, row in data["cases"].items():
        lo, hi = row["range"]
        yield f"| {name} | {row['ms_per_step_and_member']:.1f} ({lo:.1f} to {hi:.1f}) | {row['times_faster']:.1f} | {row['parameters']:,} |"
    yield f"\n```console\n$ {data['command']}\n```\n"


def matrices() -> dict[str, dict[str, Any] | None]:
    """Data -> every method on them."""
    return {"LHC Olympics events": result("matrix_lhco"), "Simulated dijets": result("matrix_dijets")}


def page() -> str:
    lines = [
        "# Measured\n",
        "Every number here is in `benchmarks/results`, with the command that made it. This page is written by",
        "`python benchmarks/tables.py`, and a test compares the two.",
        "Times are CPU seconds of machines with two cores that are shared with other work. There were several kinds; what takes a second",
        "on one may take two and a half on another, so times are to be compared within a section, not between sections.\n",
    ]
    lines += expectations(matrices(), result("matrix_lhco_4features"))
    for name, title, remark in MATRICES:
        lines += matrix(result(name), title, remark)
    lines += octaves(result("matrix_lhco"), result("matrix_lhco_8octaves"))
    lines += octaves_of_few(result("no_signal_toy"), result("no_signal_8octaves"))
    lines += no_signal(result("no_signal_toy"), "the toy in closed form")
    lines += no_signal(result("no_signal_dijets"), "simulated dijets")
    lines += no_signal_matrices(matrices())
    lines += cfm_training(result("cfm_training"))
    lines += [*classifiers(), *cathode_flow(), *simulation(), *speed(), *window_scan(), *ranode()]
    if (found := result("caloflow_grid")) is not None:
        lines += caloflow(found)
    lines += flux(result("flux_bcal"), "photons and neutrons")
    lines += flux(result("flux_dijets"), "simulated dijets")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    draw(matrices(), PAGE.with_name("methods.png"))
