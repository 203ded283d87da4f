"""Between numpy and torch: devices, random generators, tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adtoolkit.errors import DeviceError
from adtoolkit.types import Array

#: Events times weights of a training step that keep one more thread busy.
_WORK_OF_A_THREAD = 2e8


def torch_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        DeviceError: if it is unknown or not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"There is no kind of device called '{name}'.", "Use cpu, cuda or mps.") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False):
        raise DeviceError(
            f"The device '{name}' was asked for, but this machine has only: {', '.join(k for k, v in there.items() if v)}.",
            "Use --device auto.",
        )
    return device


def seed_from(rng: np.random.Generator) -> int:
    """A 63-bit seed for torch, drawn from a numpy generator (which moves on by one draw)."""
    return int(rng.integers(2**63 - 1))


def generator(rng: np.random.Generator | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator of its own: seeded by one draw from a numpy generator, or by a number."""
    seed = rng if isinstance(rng, int) else seed_from(rng)
    return torch.Generator(device=device).manual_seed(seed)


@cache
def index_on(index: tuple[int, ...], device: torch.device) -> Tensor:
    """[K] an index on the device, made once: a tuple or a list would be copied there at every use."""
    return torch.tensor(index, device=device)


@contextmanager
def isolated_rng(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Run code that only knows torch's default generator (layers' initialisation, dropout) with a seed, and leave no trace.

    The state of the default generator is put back on leaving, so that nobody else's random numbers depend on it.
    """
    where = torch.device(device)
    on_mps = torch.mps.get_rng_state() if where.type == "mps" else None
    index: Any = where.index
    gpus = [torch.cuda.current_device() if index is None else index] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        if gpus:
            torch.cuda.default_generators[gpus[0]].manual_seed(seed)
        elif where.type == "mps":
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if on_mps is not None:
                torch.mps.set_rng_state(on_mps)


@contextmanager
def cpu_threads(work: float) -> Iterator[None]:
    """Run code with as many threads as its work per step pays for, and put the number back.

    Small steps gain little from a second thread, and where cores are shared the threads wait for each other: many
    times per step, each time until the scheduler lets the other one run, which can cost many times the step. The
    number depends on the work alone, never on how busy the machine is, so that results keep their bits.

    Args:
        work: Events times weights of a step.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, int(work / _WORK_OF_A_THREAD))))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def to_tensor(array: Any, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """A copy of an array as a tensor on a device; the array may be read-only."""
    return torch.as_tensor(np.array(array, copy=True)).to(device=device, dtype=dtype)


def to_numpy(tensor: Tensor) -> Array:
    """A tensor as a float32 array of its own."""
    return tensor.detach().to("cpu", torch.float32).numpy()


def chunk_size(device: torch.device | str) -> int:
    """Events to carry through a network at once: so many that a layer's activations stay in a core's cache, or fill a GPU."""
    return 4096 if torch.device(device).type == "cpu" else 131_072
