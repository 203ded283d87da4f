"""RAD-OT: sideband events paired by optimal transport and moved into the window along the line of their pair (arXiv:2407.19818)."""
