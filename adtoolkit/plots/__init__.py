"""The pictures of a run, drawn from its scored events: one figure per file, PNG, no global matplotlib state."""

from adtoolkit.plots.draw import draw_all

__all__ = ["draw_all"]
