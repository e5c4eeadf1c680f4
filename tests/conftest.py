"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of small real data files; skips where SKYLOOM_REALDATA is unset."""
    folder = os.environ.get("SKYLOOM_REALDATA")
    if not folder:
        pytest.skip("SKYLOOM_REALDATA is unset: it names the folder of small real data files")
    return Path(folder)
