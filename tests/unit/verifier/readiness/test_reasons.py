"""What was seen, judged: a code a reason, and the words of the link and of Redis."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel import (
    AccessRefused,
    CircuitOpen,
    Endpoint,
    Refusal,
    RogueMaster,
    TransientError,
    UnknownMasterName,
    WriteAnswer,
)
from verifier.readiness import Limits, Look, SentinelsSeen, Verdict, judge
from verifier.store.facts import Facts, WorkerReport

NODE = Endpoint("127.0.0.1", 6379)
SENTINELS = tuple(Endpoint("127.0.0.1", 26379 + each) for each in range(3))
WORKER = WorkerReport("one")
TAKEN = WriteAnswer(NODE, 0.01, needed=1, acknowledged=1)


def _facts(*workers: WorkerReport, memory_share: float = 0.1) -> Facts:
    return Facts(0, 0.0, 1.0, workers, replicas=2, memory_share=memory_share)


def _verdict(
    facts: Facts | None = None,
    write: WriteAnswer | None = TAKEN,
    failure: Exception | None = None,
    silent: int = 0,
) -> Verdict:
    seen = SentinelsSeen(3, SENTINELS[:silent])
    return judge(Look(facts, failure, write, seen, NODE), Limits(replicas=1))


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (RogueMaster("a was made a replica of b, which Sentinel does not know."), "rogue_master"),
        (UnknownMasterName("Sentinel s watches no master named 'x'."), "unknown_master_name"),
        (AccessRefused("n refuses us: WRONGPASS invalid username-password pair."), "access_refused"),
        (TransientError("n does not answer: no route. The next attempt is in 1.0 s."), "no_master"),
        (CircuitOpen("Redis has not answered for 12 s. a was made a replica of b."), "rogue_master"),
        (CircuitOpen("Redis has not answered for 12 s. n refuses us: NOAUTH."), "access_refused"),
    ],
)
def test_why_redis_tells_nothing_is_said_in_the_links_words(failure: Exception, code: str) -> None:
    """Also where they come through a cooldown or an open circuit."""
    [reason] = _verdict(failure=failure, write=None).reasons
    assert (reason.code, str(failure) in reason.sentence) == (code, True)


@pytest.mark.parametrize(
    ("refusal", "words", "code"),
    [
        (Refusal.MEMORY, "n accepts no writes: OOM command not allowed", "redis_full"),
        (Refusal.DISK, "n accepts no writes: MISCONF Errors writing to the AOF file", "disk_error"),
        (Refusal.REPLICAS, "n is not ready: NOREPLICAS Not enough good replicas", "no_replica"),
        (Refusal.ACCESS, "n refuses us: NOPERM", "access_refused"),
        (Refusal.NOT_READY, "n is not ready: BUSY", "master_not_ready"),
    ],
)
def test_a_refused_write_is_a_reason_in_rediss_words(refusal: Refusal, words: str, code: str) -> None:
    """Though everything else is well."""
    [reason] = _verdict(_facts(WORKER), WriteAnswer(NODE, 0.1, refusal, words)).reasons
    assert (reason.code, words in reason.sentence) == (code, True)


def test_held_writes_are_told_from_a_silent_redis() -> None:
    """A hold lets nothing through that might write, the facts neither."""
    held = WriteAnswer(NODE, 2.0, Refusal.HELD, "n does not answer: Timeout")
    [reason] = _verdict(failure=TransientError("n does not answer"), write=held).reasons
    assert (reason.code, "CLIENT PAUSE" in reason.sentence) == ("writes_held", True)


def test_a_write_that_no_replica_confirms_does_not_count() -> None:
    """Submissions are answered with 503 then."""
    short = WriteAnswer(NODE, 1.0, needed=1, acknowledged=0)
    assert [each.code for each in _verdict(_facts(WORKER), short).reasons] == ["writes_not_confirmed"]


def test_one_thing_is_said_once() -> None:
    """The memory, for one: Redis refuses writes some time after we refuse submissions."""
    full = WriteAnswer(NODE, 0.1, Refusal.MEMORY, "OOM")
    assert [each.code for each in _verdict(_facts(WORKER, memory_share=1.0), full).reasons] == ["redis_full"]


def test_a_lost_quorum_is_a_warning() -> None:
    """Mail goes out as long as the master lives; the sentinels that are silent are named."""
    verdict = _verdict(_facts(WORKER), silent=2)
    assert (verdict.status, verdict.reasons) == ("warning", ())
    assert str(SENTINELS[1]) in verdict.warnings[0].sentence
    assert _verdict(_facts(WORKER), silent=1).status == "ok"


def test_a_relay_that_refuses_us_has_a_code_of_its_own() -> None:
    """Other troubles of a worker keep theirs."""
    worker = WorkerReport("one", ("Relay r failed: 535.", "Work is suspended."), 0, ("Relay r failed: 535.",))
    codes = [each.code for each in _verdict(_facts(worker)).reasons]
    assert codes == ["relay_refuses_us", "worker_trouble"]


def test_sentinels_that_are_locked_out_are_a_warning() -> None:
    """Where most of them see no master though it takes our writes; in a failover it takes none."""
    facts = _facts(WORKER)
    for without, codes in ((1, []), (2, ["sentinels_locked_out"]), (3, ["sentinels_locked_out"])):
        seen = SentinelsSeen(3, (), SENTINELS[:without])
        verdict = judge(Look(facts, None, TAKEN, seen, NODE), Limits(replicas=1))
        assert [each.code for each in verdict.warnings] == codes
        assert verdict.reasons == ()
    seen = SentinelsSeen(3, (), SENTINELS)
    assert judge(Look(None, TransientError("away"), None, seen, None), Limits(replicas=1)).warnings == ()


def test_a_late_canary_is_the_last_word() -> None:
    """Whatever else is well; where none is sent, what is known of an old one says nothing."""
    facts = replace(_facts(WORKER), canary_age_s=200, canary_reply="relay: 550 no such mailbox")
    look = Look(facts, None, TAKEN, SentinelsSeen(3), NODE)
    assert judge(look, Limits(replicas=1)).reasons == ()
    assert judge(look, Limits(replicas=1, canary_s=210)).reasons == ()
    [reason] = judge(look, Limits(replicas=1, canary_s=150)).reasons
    assert (reason.code, "relay: 550 no such mailbox" in reason.sentence) == ("canary_late", True)
