"""Tables of R-ANODE: on LHC Olympics events, size of its likelihood ratio, speed; for tables.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def ranode_lhco(data: dict[str, Any]) -> Iterator[str]:
    runs = data["runs"]
    columns = list(runs[0]["sic"])
    yield "## LHC Olympics events, without ΔR\n"
    yield f"Five folds, SIGMA's density as background, of a training of {data['settings']['steps']:,} steps instead of its default."
    yield "The options of R-ANODE's training were chosen by looking at the signal efficiencies of seed 0, so its rows flatter the"
    yield "default; seed 1 played no part in that."
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


def ranode_size(data: dict[str, Any]) -> Iterator[str]:
    null, signal = data["summary"]["null"], data["summary"]["signal"]
    yield "## Size of the likelihood ratio\n"
    used = data["settings"]["config"]
    guard = f"guard {used['guard']:g}" if used["guard"] else "no guard"
    small = f"{used['layers']} layers of {used['hidden']}, {used['members']} members, {used['epochs']} epochs, {guard}"
    yield f"{null['toys']} toys of {data['settings']['events']:,} background events whose density is exact, a small R-ANODE ({small})"
    yield "trained anew for each in five folds. Share of toys below each p-value; ± is the statistical error of a right test.\n"
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


def ranode_speed(data: dict[str, Any]) -> Iterator[str]:
    yield "## Speed\n"
    yield f"Forward, backward and optimiser step in {data['dimensions']} dimensions, batches of {data['batch']} unless said; one process,"
    yield "one thread, side by side."
    yield "CPU time per step and member, median and range of rounds.\n"
    yield "| | ms | times faster | parameters |"
    yield "|---|---|---|---|"
    for name, row in data["cases"].items():
        lo, hi = row["range"]
        yield f"| {name} | {row['ms_per_step_and_member']:.1f} ({lo:.1f} to {hi:.1f}) | {row['times_faster']:.1f} | {row['parameters']:,} |"
    yield f"\n```console\n$ {data['command']}\n```\n"
