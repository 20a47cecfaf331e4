"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinel.local import LocalOptions, LocalTopology


@pytest.fixture(scope="session")
def topology() -> Iterator[LocalTopology]:
    """One embedded topology for the whole session; a test that disturbs it calls `heal` afterwards."""
    with LocalTopology(LocalOptions(down_after_ms=1000, superuser=True)) as running:
        yield running
