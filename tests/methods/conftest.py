"""Trainings whose context has no folder of its own put their checkpoints into the current one: never the project's."""

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)
