"""Which device a run uses."""

from __future__ import annotations

from adtoolkit.errors import DeviceError


def resolve_device(name: str) -> str:
    """``auto`` is CUDA where there is one, else the CPU (Apple's GPU lacks float64, so it must be asked for).

    Raises:
        DeviceError: if the device asked for is not there.
    """
    if name == "cpu":
        return "cpu"
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there.get(name, False):
        available = ", ".join(device for device, yes in there.items() if yes)
        raise DeviceError(f"The device '{name}' is not there; this machine has: {available}.", "Use --device auto.")
    return name


def describe_device(device: str) -> str:
    """For the report: ``cpu (2 threads)`` or the name of the GPU."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    n = torch.get_num_threads()
    return f"{device} ({n} thread{'s' if n > 1 else ''})"
