"""Flux+Mutability: one-class classification by clustering an object with a population generated at its conditions (arXiv:2204.08609)."""
