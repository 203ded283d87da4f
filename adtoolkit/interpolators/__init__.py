"""Interpolators of the core: rules that carry a model into the window."""
