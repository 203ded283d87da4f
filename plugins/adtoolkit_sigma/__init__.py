"""SIGMA: one flow-matching model of all events, interpolated into any window (arXiv:2410.20537)."""
