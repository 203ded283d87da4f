"""Tables of CaloFlow on simulated photons; for tables.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SCORES = {"likelihood": "as published", "matched": "matched", "parts": "`shower-parts`", "gaussian": "eight numbers", "published": "paper"}
TAUGHT = {
    "likelihood": "as published",
    "supervised on 5 GeV": "supervised on 5 GeV",
    "supervised on 5 MeV": "supervised on 5 MeV",
    "matched": "matched",
    "supervised on 5 GeV, matched": "on 5 GeV, matched",
    "supervised on 5 MeV, matched": "on 5 MeV, matched",
}


def _cell(auc: float, sic: float) -> str:
    return f"{auc:.3f} / {sic:.1f}"


def caloflow(data: dict[str, Any]) -> Iterator[str]:
    """Lines of the section."""
    training, quality = data["training"], data["quality"]
    counts = training["parameters"]
    yield "## CaloFlow on simulated photons\n"
    rate = quality["showers per CPU second"]
    yield f"108 voxels; {training['showers']:,} photons of 1 to 100 GeV to train on, {training['cpu_s']:.0f} s of CPU for both flows,"
    yield f"{counts['energies']:,} and {counts['voxels']:,} parameters. Showers per second of CPU: {rate['scored']:,} scored,"
    yield f"{rate['drawn']:,} drawn; the machine had other work (load {data['machine']['load']}).\n"
    yield f"Of {quality['photons']:,} photons that the training has not seen, at their true energy:\n"
    yield "| mean squared latent noise per coordinate | " + " | ".join(quality["latent"]) + " |"
    yield f"|---|{'---|' * len(quality['latent'])}"
    yield "| 1 for a perfect flow | " + " | ".join(f"{value:.2f}" for value in quality["latent"].values()) + " |\n"
    yield "| | shares of the layers | deposited / incident energy (16, 50, 84 %) | voxels above 10 keV |"
    yield "|---|---|---|---|"
    for name in ("photons", "drawn"):
        shares = ", ".join(f"{value:.4f}" for value in quality["shares"][name])
        response = ", ".join(f"{value:.3f}" for value in quality["response"][name])
        yield f"| {name} | {shares} | {response} | {100 * quality['occupancy'][name]:.1f} % |"
    told = ", ".join(f"{value:.3f} by {name}" for name, value in quality["two-sample AUC"].items())
    yield "\nTwo-sample AUC of boosted trees between photons and draws at the same energies:"
    yield f"{told}. The simulation deposits energy in spots of about"
    yield "10 MeV; faint voxels hold one or two of them, steps that the flow smooths over.\n"
    yield "AUC / largest SIC of chi -> photon photon of 50 GeV. All but `as published` are ranks among photons of like energy: `matched`"
    yield "of the same likelihood, `eight numbers` of a Gaussian of [eight quantities of a shower](../explanation/showers.md). The SIC is"
    yield "that with 10 test photons or more behind the cut. The paper's values are of 504 voxels simulated with Geant4, with 100,000 test"
    yield "photons and no least number behind the cut; with them a SIC of 316 is the largest possible.\n"
    yield f"| mass, place of the decay | median E | {' | '.join(SCORES.values())} |"
    yield f"|---|---|{'---|' * len(SCORES)}"
    for name, row in data["grid"].items():
        mass, place = name.split()
        cells = " | ".join(_cell(*row[score]) for score in SCORES)
        yield f"| {mass} GeV, {place} m | {row['median energy, GeV']:.0f} GeV | {cells} |"
    yield from _supervised(data)
    yield f"\n```console\n$ {data['command']}\n```\n"


def _supervised(data: dict[str, Any]) -> Iterator[str]:
    """The likelihood beside classifiers that have seen a signal."""
    cost = list(data["supervised"].values())
    seen, seconds = cost[0]["of each class"], max(row["cpu_s"] for row in cost)
    yield f"\nBeside it classifiers that have seen a signal: {seen:,} chi of one mass and a lifetime of 1 ns, against as many"
    yield f"photons, {seconds:.0f} s of CPU or less to train. Their inputs are log10 E and the voxels over E. All chi have 50 GeV, so"
    yield "that E alone tells much; `matched` are ranks among photons of like energy, in bins of about 5 GeV. AUC / largest SIC; of the"
    yield "paper the AUC alone:\n"
    yield f"| mass, lifetime or place of the decay | {' | '.join(TAUGHT.values())} |"
    yield f"|---|{'---|' * len(TAUGHT)}"
    for mass, row in data["lifetime"].items():
        yield f"| {mass} GeV, 1 ns | {' | '.join(_cell(*row[score]) for score in TAUGHT)} |"
        paper = (f"{row['published'][score]:.3f}" if score in row["published"] else "" for score in TAUGHT)
        yield f"| the same, paper | {' | '.join(paper)} |"
    for name, row in data["grid"].items():
        mass, place = name.split()
        yield f"| {mass} GeV, {place} m | {' | '.join(_cell(*row[score]) for score in TAUGHT)} |"
