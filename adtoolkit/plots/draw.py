"""All pictures of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from adtoolkit.metrics.selection import judge
from adtoolkit.plots.curves import draw_roc, draw_sic
from adtoolkit.plots.features import draw_features
from adtoolkit.plots.mass import draw_mass
from adtoolkit.plots.scan import draw_scan
from adtoolkit.plots.scores import draw_scores
from adtoolkit.plots.signal import draw_signal
from adtoolkit.plots.style import headed, save
from adtoolkit.scored import Scored


def draw_all(
    scored: Scored,
    metrics: Mapping[str, float],
    directory: Path,
    title: str = "",
    lost: Callable[[str, Exception], None] | None = None,
) -> list[Path]:
    """Draw what the scored events allow: SIC and ROC need truth, features need a template, signal and scan a scorer that learns them.

    Args:
        scored: The run's events with their scores.
        metrics: The run's numbers, some of which are written into the pictures.
        directory: Where to write ``sic.png``, ``roc.png``, ``features.png``, ``mass.png``, ``scores.png``,
            ``signal.png``, ``scan.png``.
        title: What was searched, and how; written above each picture.
        lost: Called with the name of a picture that could not be drawn (a feature's name that is no valid formula, a full disk)
            and why; None: the error is raised.

    Returns:
        The files written.
    """
    judged = judge(scored)
    figures: dict[str, Callable[[], Figure | None]] = {
        "sic": lambda: None if judged is None else draw_sic(judged, metrics),
        "roc": lambda: None if judged is None else draw_roc(judged, metrics),
        "features": lambda: draw_features(scored, metrics),
        "mass": lambda: draw_mass(scored),
        "scores": lambda: draw_scores(scored),
        "signal": lambda: draw_signal(scored),
        "scan": lambda: draw_scan(scored),
    }
    files = []
    for name, draw in figures.items():
        try:
            if (figure := draw()) is not None:
                files.append(save(headed(figure, title), directory / f"{name}.png"))
        except Exception as error:
            if lost is None:
                raise
            lost(f"{name}.png", error)
    return files
