"""What the checks look at from outside: global state, inputs before and after, files, tensors inside an object."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

#: Suffixes of formats that are pickles.
PICKLE_SUFFIXES: Final = frozenset({".pkl", ".pickle", ".joblib", ".dill"})

#: Attributes deeper than this are not looked into for tensors.
_DEPTH: Final = 8


def global_state() -> dict[str, Any]:
    """A snapshot of what a component must leave alone: random generators and settings of python, numpy and torch."""
    import torch

    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  (the global state is what is watched)
    return {
        "the random state of python": random.getstate(),
        "the random state of numpy": (kind, np.asarray(keys).tobytes(), *rest),
        "the error handling of numpy": tuple(sorted(np.geterr().items())),
        "the random state of torch": torch.get_rng_state().numpy().tobytes(),
        "the default dtype of torch": torch.get_default_dtype(),
        "the number of threads of torch": torch.get_num_threads(),
        "the gradient mode of torch": torch.is_grad_enabled(),
        "the deterministic mode of torch": torch.are_deterministic_algorithms_enabled(),
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of the entries that differ."""
    return [name for name in before if before[name] != after[name]]


class OtherGlobalSeeds:
    """Within this block the global generators stand somewhere else; afterwards they are as they were.

    Two calls of which one runs in here agree only if neither draws from a global generator.
    """

    def __enter__(self) -> None:
        import torch

        self._saved = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
        seed = random.getrandbits(31)  # from where they stand, so that it is elsewhere inside another such block too
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)

    def __exit__(self, *_: object) -> None:
        import torch

        random.setstate(self._saved[0])
        np.random.set_state(self._saved[1])  # noqa: NPY002
        torch.set_rng_state(self._saved[2])


def fingerprint(value: Any) -> dict[str, bytes]:
    """Every array inside a (nested) dataclass, by name, as bytes: equal before and after unless something was written."""
    found: dict[str, bytes] = {}
    for name, array in _arrays(value, ""):
        found[name] = array.dtype.str.encode() + str(array.shape).encode() + array.tobytes()
    return found


def _arrays(value: Any, name: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if isinstance(value, np.ndarray):
        yield name, value
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from _arrays(getattr(value, f.name), f"{name}.{f.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _arrays(item, f"{name}.{key}".lstrip("."))


def misfit(method: Callable[..., Any], wanted: Callable[..., Any], *, bound: bool = False) -> str:
    """Empty if a method takes the arguments of ``wanted``, that of an interface, in their order; else how it must be written.

    Args:
        method: As found on a class, or (``bound``) on an object.
        wanted: As found on the class that declares it.
        bound: Whether ``self`` is filled in already.
    """
    names = list(inspect.signature(wanted).parameters)
    found = inspect.signature(method)
    try:
        found.bind(*names[bound:])
    except TypeError:
        return f"{method.__qualname__}{found} does not fit: write def {wanted.__name__}({', '.join(names)})."
    return ""


def pickles(directory: Path) -> list[str]:
    """Files below a folder that can only be read by unpickling, each with why."""
    import torch

    bad = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        where = path.relative_to(directory).as_posix()
        head = path.read_bytes()[:2]
        if path.suffix in PICKLE_SUFFIXES:
            bad.append(f"{where} (named like a pickle)")
        elif path.suffix in {".npy", ".npz"}:
            try:
                loaded = np.load(path, allow_pickle=False)
                for key in getattr(loaded, "files", ()):
                    loaded[key]
            except ValueError:
                bad.append(f"{where} (an array of objects)")
        elif path.suffix in {".pt", ".pth", ".ckpt"}:
            try:
                torch.load(path, weights_only=True, map_location="cpu")
            except Exception:  # noqa: BLE001  (torch raises several kinds; each means that it cannot be read safely)
                bad.append(f"{where} (torch.load(weights_only=True) refuses it)")
        elif len(head) == 2 and head[0] == 0x80 and head[1] <= 5:
            bad.append(f"{where} (starts like a pickle)")
    return bad


def tensors(value: Any, name: str = "model", depth: int = _DEPTH, seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Every torch tensor reachable through attributes, mappings and sequences, with where it was found."""
    import torch

    seen = set() if seen is None else seen
    if id(value) in seen or depth == 0 or isinstance(value, (str, bytes, int, float, np.ndarray, type, Path)) or value is None:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield name, value
        return
    children: list[tuple[str, Any]] = []
    if isinstance(value, torch.nn.Module):
        children += [(f"{name}.{key}", item) for key, item in (*value.named_parameters(), *value.named_buffers())]
    elif isinstance(value, Mapping):
        children += [(f"{name}[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        children += [(f"{name}[{i}]", item) for i, item in enumerate(value)]
    attributes = dict(getattr(value, "__dict__", {}))
    attributes.update({key: getattr(value, key) for key in getattr(type(value), "__slots__", ()) if hasattr(value, key)})
    children += [(f"{name}.{key}", item) for key, item in attributes.items() if not key.startswith("__")]
    for where, item in children:
        yield from tensors(item, where, depth - 1, seen)
