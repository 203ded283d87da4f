"""Flow matching of the sidebands alone, evaluated in the window: the baseline of SIGMA (arXiv:2410.20537)."""
