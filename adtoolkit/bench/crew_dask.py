"""Workers of a Dask scheduler: on this machine or many others, which share a file system."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import adtoolkit
from adtoolkit.bench.crews import Crew, perform_there
from adtoolkit.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from adtoolkit.bench.graph import Task
    from adtoolkit.bench.work import Outcome, Site

#: Seconds that a scheduler has to answer.
PATIENCE: Final = 10.0
#: Bytes; a longer greeting is none of a scheduler.
_GREETING: Final = 1 << 20


class DaskCrew(Crew):
    """Hands tasks to a scheduler, which moves those of a worker that died to another.

    Args:
        address: Of the scheduler, for example ``tcp://127.0.0.1:8786``.

    Raises:
        MissingExtraError: if distributed is not installed.
        ConfigError: if no scheduler answers, or a worker has another version of adtoolkit.
    """

    slots = None

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as error:
            raise MissingExtraError("--executor dask", "dask") from error
        _ask(address)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a scheduler that is lost is told of by the driver
        try:
            self.client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except Exception as error:
            raise _no_answer(address, error) from error
        try:
            self.workers = _check_versions(self.client)
        except BaseException:
            self.client.close()
            raise
        self.pool = self.client.get_executor(pure=False)

    def submit(self, task: Task, site: Site) -> Future[Outcome]:
        future: Future[Outcome] = self.pool.submit(perform_there, task, site)
        return future

    def revive(self) -> None:
        """The scheduler's business."""

    def close(self, *, now: bool) -> None:
        if self.client.status == "running":
            self.pool.shutdown(wait=not now)
        self.client.close()


def _ask(address: str) -> None:
    """Whether a scheduler answers at all; a client that does not find one keeps trying, and talks about it."""
    core: Any = import_module("distributed.core")
    _knock(address)

    async def identity() -> Any:
        async with core.rpc(address, timeout=PATIENCE) as remote:
            return await remote.identity()

    async def in_time() -> Any:
        return await asyncio.wait_for(identity(), PATIENCE)

    try:
        told = asyncio.run(in_time())
    except Exception as error:
        raise _no_answer(address, error) from error
    if not isinstance(told, dict) or told.get("type") != "Scheduler":
        raise ConfigError(
            f"What answers at {address} is no scheduler but a {told.get('type', 'stranger')}.", "Give the scheduler's address."
        )


def _knock(address: str) -> None:
    """Refuse, by its cause, an address where nobody listens, or whoever does is no scheduler.

    One that is about to start is waited for. A scheduler speaks first: 8 bytes, the size of what follows, which is small. What other
    servers send is not to be taken for a size.
    """
    found = re.fullmatch(r"(?:tcp://)?\[?([^/\s]+?)\]?:(\d+)", address)
    if not found:
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection((found[1], int(found[2])), max(0.1, deadline - time.monotonic())) as line:
                size = line.recv(8)
            break
        except ConnectionRefusedError as error:
            if time.monotonic() > deadline:
                raise _no_answer(address, error) from error
            time.sleep(0.2)
        except OSError as error:
            raise _no_answer(address, error) from error
    if len(size) == 8 and int.from_bytes(size, "little") > _GREETING:
        raise ConfigError(f"What answers at {address} is no Dask scheduler.", "Give the scheduler's address.")


def _no_answer(address: str, error: Exception) -> ConfigError:
    why = f"no answer within {PATIENCE:.0f} s" if isinstance(error, TimeoutError) else " ".join(str(error).split()) or type(error).__name__
    return ConfigError(f"No Dask scheduler answers at {address}: {why.rstrip('.')}.", _how(address))


def _how(address: str) -> str:
    """What to do where nobody answers."""
    if not re.fullmatch(r"(\w+://)?[^/\s]+:\d+", address):
        return "That is no address: write tcp://HOST:PORT"
    if not re.match(r"(tcp|tls|ucx|ucxx|ws|wss|inproc)://", address) and "://" in address:
        return "Schedulers do not speak this protocol: write tcp://HOST:PORT"
    return "Start one: dask scheduler"


def _check_versions(client: Any) -> int:
    """How many workers there are; all must have the same adtoolkit.

    Raises:
        ConfigError: naming both versions.
    """

    def version() -> str:  # inside a function: it travels by value, so that it runs where adtoolkit is not installed
        try:
            import adtoolkit
        except ImportError:
            return ""
        return adtoolkit.__version__

    there = client.run(version, on_error="return")
    for worker, found in there.items():
        if found != adtoolkit.__version__:
            has = f"has adtoolkit {found}" if isinstance(found, str) and found else "has no adtoolkit"
            what = f"The worker {worker} {has}, but the bench is started with {adtoolkit.__version__}."
            raise ConfigError(what, "Install the same version everywhere.")
    return len(there)
