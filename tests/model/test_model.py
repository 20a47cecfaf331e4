"""Random orders of everything that can happen, on real Redis processes. A short run here; `make model` for minutes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import StoreMachine
from tests.model.redis_pair import RedisPair

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
SHORT = settings(
    max_examples=EXAMPLES or 25,
    stateful_step_count=60 if EXAMPLES else 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisPair]:
    """A master and its replica."""
    with RedisPair(tmp_path_factory.mktemp("model")) as running:
        yield running


def test_promises_are_kept_in_every_order(pair: RedisPair) -> None:
    """Whatever happens and in which order: nothing accepted is lost, and nothing is held by two."""
    StoreMachine.pair = pair
    StoreMachine.ran.clear()
    began_at = time.monotonic()
    try:
        run_state_machine_as_test(StoreMachine, settings=SHORT)
    finally:
        ran, seconds = StoreMachine.ran, time.monotonic() - began_at
        print(
            f"{ran.pop('examples', 0)} examples with {ran.pop('steps', 0)} steps ran in {seconds:.0f} s; of these:"
        )
        print("\n".join(f"{count:8} {what}" for what, count in sorted(ran.items())))
    assert ran["granted"]
    assert ran["sent at the end"]
