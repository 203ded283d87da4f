"""Tables and the picture of Flux+Mutability.

python benchmarks/flux_tables.py docs/explanation/flux-mutability.png
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"


def flux(data: dict[str, Any], title: str) -> Iterator[str]:
    """Per run: every score at every working point, then what concerns the p-values and speed."""
    yield f"## Flux+Mutability: {title}\n"
    counts = data["runs"][0]["events"]
    yield f"Trained on {counts['reference']:,} reference events; judged: {counts['test reference']:,} further ones and"
    yield f"{counts['test anomalies']:,} anomalies. Columns at a working point q: TPR (accepted reference) / TNR (rejected anomalies) / F1"
    yield "of the reference. Other scores are cut at their quantile q of a tenth of the reference that no model was trained on. The"
    yield "supervised classifier alone has seen anomalies.\n"
    points = [name for name in next(iter(data["runs"][0]["scores"].values())) if name != "AUC"]
    yield f"| space | seed | score | AUC | {' | '.join(f'q = {q}' for q in points)} |"
    yield f"|---|---|---|---|{'---|' * len(points)}"
    for run in data["runs"]:
        for name, row in run["scores"].items():
            cells = " | ".join(f"{row[q]['TPR']:.3f} / {row[q]['TNR']:.3f} / {row[q]['F1']:.3f}" for q in points)
            yield f"| {run['space']} | {run['seed']} | {name} | {row['AUC']:.3f} | {cells} |"
    yield "\np-values: Kolmogorov-Smirnov distance of those of 2,000 reference events from a uniform distribution, and its p; coverage at"
    yield "0.95 of draws of the model itself. `exact`: 200 objects of each kind clustered anew, against the same objects added to the table"
    yield "of populations; the difference is the median of |p - p'|. Times are of one core, training not included; `cached` has the making"
    yield "of the populations in it.\n"
    yield "| space | seed | KS | its p | own draws | AUC exact | AUC cached | difference | training | ms per object, exact | cached |"
    yield f"|{'---|' * 11}"
    for run in data["runs"]:
        p, exact, cpu = run["p-values of the reference"], run["exact"], run["cpu"]
        own = run["coverage of the model's own draws"]
        yield (
            f"| {run['space']} | {run['seed']} | {p['KS']:.3f} | {p['KS p']:.3f} | {own:.3f} "
            f"| {exact['AUC']:.3f} | {exact['AUC cached, same objects']:.3f} | {exact['median difference of p']:.3f} "
            f"| {cpu['training_s']:.0f} s | {cpu['exact_ms_per_object']:.1f} | {cpu['cached_ms_per_object']:.2f} |"
        )
    yield "\n```console"
    yield from (f"$ {command}" for command in data["commands"])
    yield "```\n"


def draw(path: Path) -> None:
    """Accepted share of reference photons in bins of both conditions, all seeds of the default space together."""
    from adtoolkit.plots.style import figure

    runs = [run for run in json.loads((RESULTS / "flux_bcal.json").read_text())["runs"] if run["space"] == "residual"]
    n, kept = (np.sum([run["grid"][name] for run in runs], 0) for name in ("n", "accepted"))
    size = round(len(n) ** 0.5)
    share, error = (v.reshape(size, size) for v in (kept / n, np.sqrt(0.95 * 0.05 / n)))
    edges = np.mean([run["grid"]["edges"] for run in runs], 0)
    fig = figure(6.4, 4.4)
    ax = fig.subplots()
    # the range of colours is wider than the shares, so that numbers can be read on all of them
    image = ax.pcolormesh(edges[0], edges[1], share.T, cmap="RdBu", vmin=0.85, vmax=1.05, edgecolors="white", linewidth=1)
    for i in range(size):
        for j in range(size):
            place = edges[0][i : i + 2].mean(), edges[1][j : j + 2].mean()
            ax.text(*place, f"{share[i, j]:.3f}\n±{error[i, j]:.3f}", ha="center", va="center", fontsize=8)
    ax.set(xlabel="E [GeV]", ylabel="z [cm]", title=f"Reference photons accepted at q = 0.95 ({int(n.sum()):,} events)")
    fig.colorbar(image, ax=ax, label="accepted share").ax.set_ylim(0.9, 1.0)
    fig.savefig(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
