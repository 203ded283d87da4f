"""Conformance: the toys are tiny, so one OpenMP thread is faster than several and does not wait for a busy core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_openmp_thread() -> Iterator[None]:
    import sklearn.ensemble  # noqa: F401  (threadpoolctl limits the libraries that are loaded)
    import torch  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        yield
