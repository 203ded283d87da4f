"""A whole simulation: chunks in several processes, kept until all are there, then merged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from adtoolkit.errors import ConfigError, MissingExtraError
from adtoolkit.simulate.chunk import Chunk, simulate_chunk
from adtoolkit.simulate.files import describe, read_events, read_manifest, round_mantissa, write_events, write_manifest
from adtoolkit.simulate.settings import DijetSettings

CHUNK: Final = 2000
"""Accepted events per chunk: seconds of work, so that little is lost when a run is stopped."""
PACKAGES: Final = ("pythia8mc", "fastjet", "awkward", "vector")


def simulate_dijets(
    settings: DijetSettings,
    n_events: int,
    out: Path,
    *,
    seed: int = 1,
    jobs: int = 1,
    chunk: int = CHUNK,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Simulate dijets into the HDF5 file ``out`` and write its manifest beside it.

    Finished chunks lie in ``OUT.parts`` until the end: a run that was stopped goes on when it is called again with the same
    arguments, or with another number of events. The events depend on settings, seed and ``chunk``, not on ``jobs`` or on
    interruptions; asking for more events adds to those of the smaller number.

    Args:
        settings: The process, the detector and the jets.
        n_events: How many events to accept.
        out: File to write.
        seed: Seed of all random numbers.
        jobs: Number of processes.
        chunk: Accepted events per chunk.
        force: Replace ``out`` if it exists.
        progress: Called with the number of events that became ready.

    Returns:
        The manifest.

    Raises:
        ConfigError: if a number makes no sense, ``out`` exists, or ``OUT.parts`` belongs to another run.
        MissingExtraError: if the optional packages are not installed.
        RunError: if Pythia fails or no event passes the cuts.
    """
    require_packages()
    if min(n_events, jobs, chunk) < 1 or seed < 0:
        message = f"Cannot simulate {n_events} events in chunks of {chunk} with {jobs} jobs and seed {seed}."
        raise ConfigError(message, "Give positive numbers, and a seed of 0 or more.")
    if out.exists() and not force:
        message = f"{out} exists."
        raise ConfigError(message, "Choose another --out, or replace it with --force.")

    plan = {"settings": settings.to_dict(), "seed": seed, "chunk": chunk, "versions": versions()}
    parts = out.with_name(out.name + ".parts")
    _claim(parts, plan)
    sizes = [min(chunk, n_events - first) for first in range(0, n_events, chunk)]
    paths = [parts / f"part-{number:05d}.npz" for number in range(len(sizes))]
    missing = [number for number, path in enumerate(paths) if not (path.exists() and len(_load(path).features) == sizes[number])]
    if progress is not None:
        progress(sum(sizes) - sum(sizes[number] for number in missing))
    for number in _work(settings, seed, [(number, sizes[number], paths[number]) for number in missing], jobs):
        if progress is not None:
            progress(sizes[number])

    chunks = [_load(path) for path in paths]
    features = np.concatenate([part.features for part in chunks]).astype(np.float32)
    events = np.column_stack([features, np.full(len(features), settings.label, np.float32)])
    write_events(out, events)
    n_generated = sum(part.n_generated for part in chunks)
    manifest = {
        **describe(out, round_mantissa(events)),
        "command": command(settings, n_events, seed, out.name),
        **plan,
        "n_events": n_events,
        "n_generated": n_generated,
        "acceptance": round(n_events / n_generated, 4),
        "cross_section_pb": float(f"{np.mean([part.cross_section for part in chunks]):.4g}"),
    }
    write_manifest(out, manifest)
    shutil.rmtree(parts)
    return manifest


def bundle(files: Sequence[Path], out: Path, *, force: bool = False) -> dict[str, Any]:
    """Put several files of `simulate_dijets` one behind the other; the manifest of the new file keeps theirs.

    Raises:
        ConfigError: if ``out`` exists.
        DataError: if a file or its manifest cannot be read.
    """
    if out.exists() and not force:
        message = f"{out} exists."
        raise ConfigError(message, "Choose another --out, or replace it with --force.")
    events = np.concatenate([read_events(path) for path in files])
    made_of = [read_manifest(path) for path in files]
    write_events(out, events)
    made_by = " ".join(["adtool data simulate bundle", *(path.name for path in files), f"--out {out.name}"])
    manifest = {**describe(out, events), "command": made_by, "made_of": made_of}
    write_manifest(out, manifest)
    return manifest


def command(settings: DijetSettings, n_events: int, seed: int, out: str) -> str:
    """The command line that makes these events.

    Example:
        >>> command(DijetSettings(process="wprime", mass_x=300.0), 1000, 7, "x.h5")
        'adtool data simulate dijets --process wprime --events 1000 --seed 7 --out x.h5 --mass-x 300.0'
    """
    words = [f"adtool data simulate dijets --process {settings.process} --events {n_events} --seed {seed} --out {out}"]
    default = DijetSettings(process=settings.process).to_dict()
    for name, value in settings.to_dict().items():
        if value != default[name]:
            flag = "--" + name.replace("_", "-")
            words.append(flag if value is True else f"{flag} {value!r}")
    return " ".join(words)


def require_packages() -> None:
    """Refuse to start without the optional packages.

    Raises:
        MissingExtraError: if one is missing.
    """
    if any(find_spec(name) is None for name in PACKAGES):
        raise MissingExtraError("Simulating collisions", "simulate")


def versions() -> dict[str, str]:
    """Installed versions of what makes the events."""
    return {name: version(name) for name in (*PACKAGES, "numpy")}


def _claim(parts: Path, plan: dict[str, Any]) -> None:
    """Make the folder of a run, or check that it is this run's."""
    parts.mkdir(parents=True, exist_ok=True)
    file = parts / "plan.json"
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        differing = ", ".join(key for key in plan if found.get(key) != plan[key])
        if differing:
            message = f"{parts} holds a stopped run that differs in: {differing}."
            raise ConfigError(message, "Call with the same options to go on, or remove the folder to begin anew.")
        return
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(plan, indent=2), encoding="utf-8")
    temporary.replace(file)


def _work(settings: DijetSettings, seed: int, tasks: Sequence[tuple[int, int, Path]], jobs: int) -> Iterator[int]:
    """Do the tasks (number, events, file), in this process or in several; yield the numbers as they get ready."""
    if jobs == 1 or len(tasks) < 2:
        for number, n_events, path in tasks:
            yield _make(settings, seed, number, n_events, path)
        return
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        waiting: set[Future[int]] = {pool.submit(_make, settings, seed, *task) for task in tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _make(settings: DijetSettings, seed: int, number: int, n_events: int, path: Path) -> int:
    """Simulate one chunk into its file, whole or not at all; return its number."""
    part = simulate_chunk(settings, seed, number, n_events)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, features=part.features, n_generated=part.n_generated, cross_section=part.cross_section)
    temporary.replace(path)
    return number


def _load(path: Path) -> Chunk:
    with np.load(path, allow_pickle=False) as part:
        return Chunk(part["features"], int(part["n_generated"]), float(part["cross_section"]))
