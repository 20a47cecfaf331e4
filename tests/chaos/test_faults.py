"""Each fault once, small, on real processes: no accepted mail is lost, and none goes out twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from verifier.drill.faults import FAULTS
from verifier.drill.outcome import Outcome

pytestmark = pytest.mark.chaos

# On a busy machine a few seconds tell little about these; the long run judges them.
FOR_THE_LONG_RUN = {"cpu", "memory", "connects", "log_lines", "alarm_s"}

# A short run of it proves little, since the relay has to be slower than any impatient sender; `make chaos` runs it.
ONLY_LONG = {"relay-hang"}


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ONLY_LONG])
def test_service_keeps_its_promises(drill: Callable[..., Outcome], fault: str) -> None:
    """Nothing is lost, refused or repeated, no worker ends, and whatever else was promised holds."""
    _assert_kept(drill(fault), fault)


@pytest.mark.long
def test_the_key_may_be_rotated_in_either_order(drill: Callable[..., Outcome]) -> None:
    """Web first, and workers first."""
    _assert_kept(drill("key-rotation", rotations=2), "key-rotation")


def _assert_kept(outcome: Outcome, fault: str) -> None:
    counts = outcome.counts
    assert counts.accepted > 0
    assert (counts.lost, outcome.worker_exits, counts.differing) == (0, 0, 0), outcome
    assert [each.sentence for each in outcome.breaches if each.figure not in FOR_THE_LONG_RUN] == []
    if FAULTS[fault].promise.accepts_all:
        assert counts.refused == 0, counts.answers


def test_the_log_warns_of_a_rogue_master(drill: Callable[..., Outcome]) -> None:
    """Somebody's REPLICAOF shows in the logs long before Sentinel mends it."""
    alarm_s = drill("rogue").alarm_s
    assert alarm_s is not None
    assert alarm_s < 5
