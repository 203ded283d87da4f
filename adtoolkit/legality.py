"""The table of all mixes: which can run, trained on what, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from adtoolkit.capabilities import Cap, Caps
from adtoolkit.mix import CODES, Blocked, resolve
from adtoolkit.plugin import Region
from adtoolkit.registry import Registry

#: What data may offer: a search with ever more known about its events, and one-class work without a window, of features or of cells.
OFFERS: Final[tuple[Caps, ...]] = (
    frozenset({Cap.WINDOW}),
    frozenset({Cap.WINDOW, Cap.REFERENCE}),
    frozenset({Cap.WINDOW, Cap.REFERENCE, Cap.TRUTH}),
    frozenset({Cap.REFERENCE}),
    frozenset({Cap.REFERENCE, Cap.CELLS}),
)

_RUNS: Final = {Region.ALL: "A", Region.SIDEBAND: "S", Region.REFERENCE: "R", None: "+"}


def legality_table(registry: Registry, offers: Iterable[Caps] = OFFERS) -> str:
    """Every estimator and interpolator (rows) with every scorer (columns), for data that offer this or that.

    A capital letter is the region that the estimator is trained on, ``+`` a mix without a background model; small letters
    are the reasons why a mix cannot run.
    """
    legend = [f"{letter}  runs; {f'trained on {region.meaning}' if region else 'no background model'}" for region, letter in _RUNS.items()]
    legend += [f"{letter}  cannot run: {text}" for letter, text in CODES.items()]
    return "\n".join([*legend, *(line for have in offers for line in _block(registry, have))]) + "\n"


def _block(registry: Registry, have: Caps) -> Iterator[str]:
    source, scorers = registry.names("data")[0], registry.names("scorer")
    rows = list(product(registry.names("estimator"), registry.names("interpolator")))
    width = max(len(f"{estimator} {interpolator}") for estimator, interpolator in rows)
    yield ""
    yield f"data offer {', '.join(sorted(have)) or 'nothing'}"
    yield f"{'':<{width}}  {' '.join(scorers)}"
    for estimator, interpolator in rows:
        cells = (_cell(registry, source, estimator, interpolator, scorer, have).ljust(len(scorer)) for scorer in scorers)
        yield f"{f'{estimator} {interpolator}':<{width}}  {' '.join(cells)}".rstrip()


def _cell(registry: Registry, source: str, estimator: str, interpolator: str, scorer: str, have: Caps) -> str:
    outcome = resolve(registry, source, estimator, interpolator, scorer, have, advise=False)
    if isinstance(outcome, Blocked):
        return "".join(dict.fromkeys(fault.code for fault in outcome.faults))
    return _RUNS[outcome.region]
