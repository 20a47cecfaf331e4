"""What the outcomes at one relay say of it."""

from __future__ import annotations

import pytest

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.relay_breaker import Pass
from workers.smtp.relay_state import Recovered, RelayState

SENT = Outcome(Kind.SENT, Stage.BODY, "main", 250)
REFUSED = Outcome(Kind.DEFERRED, Stage.CONNECT, "main", None, "connection refused")
DISK_FULL = Outcome(Kind.DEFERRED, Stage.BODY, "main", 452, "4.3.1 <ann@example.org>: disk full")
SILENT = Outcome(Kind.DEFERRED, Stage.RCPT, "main", None, "no answer in time", recipient_may_be_why=True)


def state() -> RelayState:
    return RelayState(jitter=lambda: 0.0)


@pytest.mark.parametrize(
    ("first", "second", "after_s", "fails"),
    [
        ("slow.example", "other.example", 1, True),
        ("slow.example", "other.example", 60, True),
        ("slow.example", "other.example", 61, False),
        ("slow.example", "slow.example", 1, False),
    ],
)
def test_a_silence_is_the_relays_when_two_domains_meet_it_within_a_minute(
    first: str, second: str, after_s: float, fails: bool
) -> None:
    """One domain may be slow as often as it likes."""
    ours = state()
    assert not ours.note(SILENT, first, Pass.FREE, 100)
    assert ours.note(SILENT, second, Pass.FREE, 100 + after_s) is fails
    assert (ours.trouble("main", 200) is not None) is fails


def test_a_mail_that_went_through_in_between_speaks_for_the_relay() -> None:
    """Two slow domains in a minute are not rare at a busy relay."""
    ours = state()
    ours.note(SILENT, "slow.example", Pass.FREE, 0)
    ours.note(SENT, "example.org", Pass.FREE, 1)
    assert not ours.note(SILENT, "other.example", Pass.FREE, 2)


def test_a_silence_without_a_proof_leaves_the_probe_to_the_next_mail() -> None:
    """It neither mends nor lengthens the cooldown."""
    ours = state()
    ours.note(DISK_FULL, "example.org", Pass.FREE, 0)
    assert ours.admit(5) is Pass.PROBE
    ours.note(SILENT, "slow.example", Pass.PROBE, 20)
    assert (ours.admit(20), ours.take_recovered()) == (Pass.PROBE, None)


@pytest.mark.parametrize(
    ("outcome", "recovered"),
    [
        (SENT, Recovered.WORKS),
        (Outcome(Kind.REJECTED, Stage.BODY, "main", 554, "5.7.1 spam"), Recovered.WORKS),
        (Outcome(Kind.REJECTED, Stage.RCPT, "main", 550, "5.1.1 nobody"), None),
        (Outcome(Kind.WITHDRAWN, Stage.BODY, "main"), None),
        (Outcome(Kind.DEFERRED, Stage.BODY, "main", cut_short=True), None),
    ],
)
def test_what_proves_that_a_relay_works_again(outcome: Outcome, recovered: Recovered | None) -> None:
    """An answer at the stage where it had failed, or a later one; nothing earlier."""
    ours = state()
    ours.note(DISK_FULL, "example.org", Pass.FREE, 0)
    ours.note(outcome, "example.org", ours.admit(5) or Pass.FREE, 6)
    assert ours.take_recovered() is recovered
    assert (ours.trouble("main", 7) is None) is (recovered is not None)
    assert ours.admit(7) is (Pass.FREE if recovered else Pass.PROBE)


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.BODY])
def test_a_withdrawn_mail_proves_that_an_unreachable_relay_is_back(stage: Stage) -> None:
    """It came past the login."""
    ours = state()
    ours.note(REFUSED, "example.org", Pass.FREE, 0)
    ours.admit(5)
    ours.note(Outcome(Kind.WITHDRAWN, stage, "main"), "example.org", Pass.PROBE, 6)
    assert ours.take_recovered() is Recovered.WORKS


def test_a_probe_that_could_prove_no_more_is_repeated_after_ten_seconds() -> None:
    """The mail that was woken for it may have been withdrawn."""
    ours = state()
    ours.note(DISK_FULL, "example.org", Pass.FREE, 0)
    assert [ours.probe_is_due(now) for now in (4, 5)] == [False, True]
    ours.admit(5)
    assert not ours.probe_is_due(6)
    ours.note_answered_probe(6)
    assert [ours.probe_is_due(now) for now in (15, 16)] == [False, True]
    assert ours.take_recovered() is Recovered.PROBED


def test_a_relay_that_fails_again_has_not_recovered() -> None:
    """Whoever asks late is not misled."""
    ours = state()
    ours.note(REFUSED, "example.org", Pass.FREE, 0)
    ours.note(SENT, "example.org", Pass.FREE, 1)
    ours.note(REFUSED, "example.org", Pass.FREE, 2)
    assert ours.take_recovered() is None


def test_a_trouble_is_told_from_its_beginning_and_without_addresses() -> None:
    """Replies quote people; the sentence stands in health reports, the outcome beside other mails."""
    ours = state()
    ours.note(REFUSED, "example.org", Pass.FREE, 0)
    ours.note(DISK_FULL, "example.org", ours.admit(5) or Pass.FREE, 6)
    trouble = ours.trouble("main", 30)
    assert trouble is not None
    assert trouble.sentence == (
        "Relay main has failed for 30 s, last at body with: 452 4.3.1 <(address)>: disk full. "
        "It is asked again now."
    )
    assert ours.last_failure is not None
    assert "ann" not in ours.last_failure.reply
