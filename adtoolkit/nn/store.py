"""Tensors on disk: safetensors, written atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from adtoolkit.errors import CacheError


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors (a ``state_dict``) to a safetensors file; never a torn one.

    Raises:
        CacheError: if the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        save_file({name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}, part)
        os.replace(part, path)  # noqa: PTH105 - the atomic one
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CacheError(f"Cannot write {path}: {error}.", "Check the space and the permissions of that folder.") from error


def load_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read what `save_tensors` wrote.

    Raises:
        CacheError: if the file is missing or damaged.
    """
    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise CacheError(f"Cannot read {path}: {error}.", "Delete that folder; it will be made again.") from error
