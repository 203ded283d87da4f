"""The torch toolbox of the methods: one training loop, flow matching, ODE solvers, random numbers and tensors on disk."""

from adtoolkit.nn.store import load_tensors, save_tensors
from adtoolkit.nn.tools import chunk_size, generator, index_on, isolated_rng, seed_from, to_numpy, to_tensor, torch_device

__all__ = [
    "chunk_size",
    "generator",
    "index_on",
    "isolated_rng",
    "load_tensors",
    "save_tensors",
    "seed_from",
    "to_numpy",
    "to_tensor",
    "torch_device",
]
