"""From a claim to its settlement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from verifier.domain.codes import code_of
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.domain.verifications import Delivery, DeliveryStatus, Verification
from verifier.store.deliveries import Claim, Settlement
from workers.delivery import Deliverer
from workers.mail.mailer import Mailer
from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.outgoing_mail import OutgoingMail

START = 1_000_000.0
KEYS = KeyRing("new", {"new": b"n" * 32, "old": b"o" * 32})
RULES = Rules()
VERIFICATION = Verification(
    id="0123456789abcdef" * 2,
    address="ann@example.org",
    key_id="new",
    created_at=START,
    expires_at=START + 600,
    delivery=Delivery(2, DeliveryStatus.SENDING, tries=1, queued_at=START),
)
CLAIM = Claim(VERIFICATION, 2, "lease")


class Relays:
    """Takes every mail, and says what it was told to."""

    def __init__(self) -> None:
        self.mails: list[OutgoingMail] = []
        self.outcome = _outcome(Kind.SENT)

    def send(self, mail: OutgoingMail, **_conditions: object) -> Outcome:
        """Keep a mail."""
        self.mails.append(mail)
        return self.outcome


def _outcome(kind: Kind, reply: str = "words") -> Outcome:
    return Outcome(kind=kind, stage=next(iter(Stage)), relay="relay-1", reply=reply)


class Bench:
    """Delivering at a time of the test's choice."""

    def __init__(self) -> None:
        self.relays = Relays()
        self.now = START + 1
        mailer = Mailer("Example <verify@example.org>", "Example")
        self.deliverer = Deliverer(
            mailer, self.relays, KEYS, RULES, least_life_s=60.0, clock=lambda: self.now
        )

    def deliver(self, claim: Claim = CLAIM) -> Settlement:
        """Deliver a claim."""
        return self.deliverer.deliver(claim)


@pytest.fixture
def bench() -> Bench:
    """A relay that takes everything."""
    return Bench()


def _expected_code(verification: Verification) -> str:
    code = code_of(verification.id, verification.address, verification.key_id, KEYS, RULES)
    assert code is not None
    return code


def test_a_mail_carries_the_code_to_its_address(bench: Bench) -> None:
    """And is settled as sent, with the relay's words."""
    settlement = bench.deliver()
    assert settlement == Settlement(CLAIM, DeliveryStatus.SENT, relay_reply="relay-1: words")
    [mail] = bench.relays.mails
    assert mail.recipient == "ann@example.org"
    assert mail.code == _expected_code(VERIFICATION)
    assert mail.code.encode() in mail.payload


def test_a_repeat_is_the_same_mail(bench: Bench) -> None:
    """The same code, the same Message-ID, in which nobody finds the id."""
    bench.deliver()
    bench.now += 100
    bench.deliver(replace(CLAIM, lease="another"))
    first, second = bench.relays.mails
    assert (first.code, first.message_id) == (second.code, second.message_id)
    assert VERIFICATION.id.encode() not in first.payload
    assert VERIFICATION.id not in first.message_id


def test_a_resend_is_another_mail(bench: Bench) -> None:
    """With the same code; mailboxes must not fold it into the first."""
    bench.deliver()
    bench.deliver(replace(CLAIM, number=3))
    first, resend = bench.relays.mails
    assert first.code == resend.code
    assert first.message_id != resend.message_id


@pytest.mark.parametrize(
    ("started_by", "site"), [("key:shop", "shop"), ("page:0a", "Example"), ("", "Example")]
)
def test_a_mail_names_who_asked(bench: Bench, started_by: str, site: str) -> None:
    """The name of the API key, where it was one."""
    bench.deliver(replace(CLAIM, verification=replace(VERIFICATION, started_by=started_by)))
    [mail] = bench.relays.mails
    assert f"at {site}.".encode() in mail.payload


def test_a_code_of_an_older_key_is_still_mailed(bench: Bench) -> None:
    """While the key stands in the settings."""
    older = replace(VERIFICATION, key_id="old")
    bench.deliver(replace(CLAIM, verification=older))
    [mail] = bench.relays.mails
    assert mail.code == _expected_code(older)


def test_without_its_key_a_mail_waits(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Which keys a process has is a state of the deployment; the operators are told what to do."""
    settlement = bench.deliver(replace(CLAIM, verification=replace(VERIFICATION, key_id="retired")))
    assert settlement.outcome is DeliveryStatus.DEFERRED
    assert not settlement.tried
    assert settlement.next_try_in_s < 10
    assert "'retired'" in bench.deliverer.troubles()[0]
    bench.now += 61
    assert bench.deliverer.troubles() == []
    assert bench.relays.mails == []
    assert "'retired'" in caplog.text
    assert "VERIFIER_SECRET_KEYS" in caplog.text


def test_a_rejected_mail_is_settled_as_such(bench: Bench) -> None:
    """With the relay's words."""
    bench.relays.outcome = _outcome(Kind.REJECTED, "550 5.1.1 no such mailbox")
    settlement = bench.deliver()
    assert settlement.outcome is DeliveryStatus.REJECTED
    assert settlement.relay_reply == "relay-1: 550 5.1.1 no such mailbox"


@pytest.mark.parametrize(
    "kind", [kind for kind in Kind if kind not in {Kind.SENT, Kind.REJECTED, Kind.WITHDRAWN}]
)
def test_whatever_else_happens_is_tried_again(bench: Bench, kind: Kind) -> None:
    """Soon for the first time, later for the next ones."""
    bench.relays.outcome = _outcome(kind)
    first = bench.deliver()
    assert first.outcome is DeliveryStatus.DEFERRED
    assert 1 <= first.next_try_in_s <= 10
    tried = replace(VERIFICATION, delivery=replace(VERIFICATION.delivery, tries=4))
    bench.now = START + 50
    fourth = bench.deliver(replace(CLAIM, verification=tried))
    assert fourth.outcome is DeliveryStatus.DEFERRED
    assert 45 <= fourth.next_try_in_s <= 75


def test_no_retry_is_planned_for_a_dead_code(bench: Bench) -> None:
    """It is given up instead."""
    bench.relays.outcome = _outcome(Kind.DEFERRED)
    bench.now = START + 538
    tried = replace(VERIFICATION, delivery=replace(VERIFICATION.delivery, tries=6))
    settlement = bench.deliver(replace(CLAIM, verification=tried))
    assert settlement.outcome is DeliveryStatus.ABANDONED
    assert settlement.relay_reply == "relay-1: words"


def test_a_mail_that_can_not_be_made_is_rejected(bench: Bench) -> None:
    """Instead of failing at it again and again."""
    broken = replace(VERIFICATION, address="no address\n")
    settlement = bench.deliver(replace(CLAIM, verification=broken))
    assert settlement.outcome is DeliveryStatus.REJECTED
    assert bench.relays.mails == []


@pytest.mark.parametrize("after_s", [541.0, 700.0])
def test_a_dying_code_is_not_mailed(bench: Bench, after_s: float) -> None:
    """However long the claim waited for a sender: it is given back, and recovery gives it up."""
    bench.now = START + after_s
    assert bench.deliver().outcome is DeliveryStatus.QUEUED
    assert bench.relays.mails == []


def test_redis_says_how_long_a_code_lives(bench: Bench) -> None:
    """Its clock may be far ahead of this host's."""
    bench.now = 5.0
    ahead = replace(CLAIM, redis_ahead_s=START + 550)
    assert bench.deliver(ahead).outcome is DeliveryStatus.QUEUED
    assert bench.deliver(replace(CLAIM, redis_ahead_s=START)).outcome is DeliveryStatus.SENT


def test_nothing_leaves_without_a_lease(bench: Bench) -> None:
    """A worker that stood still for longer than its lease gives its claims back."""
    settlement = bench.deliverer.deliver(CLAIM, lambda: False)
    assert settlement == Settlement(CLAIM, DeliveryStatus.QUEUED, tried=False)
    assert bench.relays.mails == []


def test_a_withdrawn_mail_is_given_back(bench: Bench) -> None:
    """The lease ran out, or the verification ended, while the relay was being talked to."""
    bench.relays.outcome = _outcome(Kind.WITHDRAWN)
    assert bench.deliver() == Settlement(CLAIM, DeliveryStatus.QUEUED, tried=False)


def test_a_relay_that_gives_no_answer_gets_three_copies_at_the_most(bench: Bench) -> None:
    """It may have taken each of them."""
    bench.relays.outcome = replace(_outcome(Kind.DEFERRED), ambiguous=True)
    first = bench.deliver()
    assert (first.outcome, first.ambiguous) == (DeliveryStatus.DEFERRED, True)
    assert 1 <= first.next_try_in_s <= 10
    once = replace(VERIFICATION, delivery=replace(VERIFICATION.delivery, ambiguous=2))
    second = bench.deliver(replace(CLAIM, verification=once))
    assert second.outcome is DeliveryStatus.ABANDONED
    assert "may have taken it" in second.relay_reply


def _deferred_after(reply: str) -> Claim:
    """Claim a mail for which a relay was asked before."""
    before = replace(VERIFICATION.delivery, relay_reply=reply)
    return replace(CLAIM, verification=replace(VERIFICATION, delivery=before))


@pytest.mark.parametrize("kind", [Kind.DEFERRED, Kind.RELAY_REFUSES_US])
def test_what_a_relay_answered_last_is_kept_beside_what_is_no_answer(bench: Bench, kind: Kind) -> None:
    """A cooldown or a refused connection does not take its place, however often; the next answer does."""
    answer = "relay-1: 535 5.7.8 wrong password (really)"
    bench.relays.outcome = replace(_outcome(kind, "connection refused"), cooldown_left_s=5.0)
    kept = f"relay-1: connection refused (before: {answer})"
    assert bench.deliver(_deferred_after(answer)).relay_reply == kept
    assert bench.deliver(_deferred_after(kept)).relay_reply == kept
    bench.relays.outcome = replace(_outcome(kind, "5.7.0 try later"), code=454)
    assert bench.deliver(_deferred_after(kept)).relay_reply == "relay-1: 454 5.7.0 try later"


def test_without_an_answer_before_there_is_nothing_to_keep(bench: Bench) -> None:
    """Neither of nothing nor of a silence."""
    bench.relays.outcome = _outcome(Kind.DEFERRED, "no answer in time")
    for before in ("", "relay-1: connection refused"):
        assert bench.deliver(_deferred_after(before)).relay_reply == "relay-1: no answer in time"


def test_each_relays_refusal_is_logged_with_its_words(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Once a minute for each of them, and without the addresses that it quotes."""
    for relay in ("first", "second", "first"):
        refused = _outcome(Kind.RELAY_REFUSES_US, "5.7.8 <ann@example.org> may not")
        bench.relays.outcome = replace(refused, relay=relay, code=535)
        bench.deliver()
    said = [record.getMessage() for record in caplog.records if "refuses this service" in record.getMessage()]
    assert [line.split()[1] for line in said] == ["first", "second"]
    assert "535" in said[0]
    assert "5.7.8 <(address)> may not" in said[0]
    assert "ann@example.org" not in caplog.text
    bench.relays.outcome = replace(bench.relays.outcome, stage=Stage.MAIL, code=550)
    bench.deliver()
    assert "550 at mail" in caplog.records[-1].getMessage()
