"""Our SMTP side against relays of every temper: the outcome, the tries, and how many mails arrived."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import flask
import flask_mail
import pytest

from sentinel import wait_for
from tests.integration.workers.certificates import Authority
from tests.integration.workers.relay_server import (
    EVERYTHING,
    Action,
    Babble,
    Drop,
    FakeRelay,
    Hang,
    Read,
    Say,
    Slowly,
)
from tests.support.clock import Clock
from workers.smtp.answers import Kind, Stage
from workers.smtp.connection import RelayConnection
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.relay_state import Recovered
from workers.smtp.relays import Relays

ONE_BY_ONE = tuple(offer for offer in EVERYTHING if offer != "PIPELINING")
BODY = b"Subject: 123456 is your Test code\r\n\r\nYour code is 123456.\r\n"
IMPATIENT = {"command_timeout_s": 0.8, "answer_timeout_s": 0.8}
BOTH_WAYS = pytest.mark.parametrize("offers", [EVERYTHING, ONE_BY_ONE], ids=["pipelining", "one by one"])


def mail(
    recipient: str = "someone@example.com", payload: bytes = BODY, *, utf8: bool = False
) -> OutgoingMail:
    return OutgoingMail("us@example.org", recipient, "<v.1@example.org>", payload, utf8, code="123456")


def settings(relay: FakeRelay, **changes: object) -> RelaySettings:
    patient = RelaySettings(
        name=f"relay {relay.port}",
        host="127.0.0.1",
        port=relay.port,
        connect_timeout_s=20.0,
        command_timeout_s=20.0,
        answer_timeout_s=20.0,
        total_timeout_s=60.0,
    )
    return replace(patient, **changes)


OpenRelays = Callable[..., Relays]


@pytest.fixture
def open_relays() -> Iterator[OpenRelays]:
    """Make `Relays` that are closed after the test."""
    made: list[Relays] = []

    def make(*relays: FakeRelay, clock: Callable[[], float] = time.monotonic, **changes: object) -> Relays:
        made.append(Relays([settings(relay, **changes) for relay in relays], clock=clock, jitter=lambda: 0.0))
        return made[-1]

    yield make
    for relays in made:
        relays.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "theirs")


# The relay answers.


@BOTH_WAYS
def test_a_mail_arrives_once_and_byte_for_byte(open_relays: OpenRelays, offers: tuple[str, ...]) -> None:
    """A 250 is "sent", with the relay's reply kept."""
    with FakeRelay(offers=offers) as relay:
        outcome = open_relays(relay).send(mail())
    assert (outcome.kind, outcome.stage, outcome.code) == (Kind.SENT, Stage.BODY, 250)
    assert outcome.reply == "2.0.0 queued as 4FAKE"
    assert [m.payload for m in relay.mails] == [BODY]
    assert relay.mails[0].rcpt_to == b"RCPT TO:<someone@example.com>\r\n"
    assert relay.mails[0].mail_from.startswith(b"MAIL FROM:<us@example.org> SIZE=")


@BOTH_WAYS
@pytest.mark.parametrize(
    ("step", "reply", "kind"),
    [
        ("mail", "451 4.3.0 later", Kind.DEFERRED),
        ("mail", "553 5.1.8 your sender is not welcome", Kind.RELAY_REFUSES_US),
        ("rcpt", "450 4.2.1 mailbox busy", Kind.DEFERRED),
        ("rcpt", "550 5.1.1 no such person", Kind.REJECTED),
        ("rcpt", "552 5.2.2 mailbox full", Kind.REJECTED),
        ("rcpt", "530 5.7.0 log in first", Kind.RELAY_REFUSES_US),
        ("rcpt", "554 5.7.1 <someone@example.com>: Relay access denied", Kind.RELAY_REFUSES_US),
        ("data", "451 4.3.0 later", Kind.DEFERRED),
        ("data", "554 5.5.0 no", Kind.REJECTED),
        ("dot", "450 4.7.1 come back", Kind.DEFERRED),
        ("dot", "552 5.3.4 too big", Kind.REJECTED),
        ("dot", "554 5.7.1 looks like spam", Kind.REJECTED),
    ],
)
def test_a_refusal_is_read_and_the_connection_goes_on(
    open_relays: OpenRelays, offers: tuple[str, ...], step: str, reply: str, kind: Kind
) -> None:
    """After any 4xx or 5xx nothing arrived, and the next mail goes through on the same connection."""
    clock = Clock()
    with FakeRelay({step: [Say(reply)]}, offers) as relay:
        relays = open_relays(relay, clock=clock)
        refused = relays.send(mail())
        arrived = len(relay.mails)
        clock.now += 60  # past any cooldown
        then = relays.send(mail("other@example.com"))
    assert (refused.kind, refused.code, refused.ambiguous) == (kind, int(reply[:3]), False)
    assert refused.stage is (Stage.BODY if step == "dot" else Stage(step))
    assert arrived == 0
    assert then.kind is Kind.SENT
    assert [m.rcpt_to for m in relay.mails] == [b"RCPT TO:<other@example.com>\r\n"]
    assert relay.counts["session"] == 1


def test_greylisting_is_waited_for_at_the_same_relay(open_relays: OpenRelays) -> None:
    """A 451 for the recipient neither counts as its failure nor begins anew at the second one."""
    with FakeRelay({"rcpt": [Say("451 4.7.1 greylisted, come back")]}) as first, FakeRelay() as second:
        relays = open_relays(first, second)
        deferred, sent = relays.send(mail()), relays.send(mail())
        cooldown_left_s = relays._relays[0].cooldown_left_s()
    assert (deferred.kind, deferred.code, deferred.stage) == (Kind.DEFERRED, 451, Stage.RCPT)
    assert sent.kind is Kind.SENT
    assert (first.counts["rcpt"], len(first.mails), second.counts["session"]) == (2, 1, 0)
    assert cooldown_left_s == 0


@BOTH_WAYS
@pytest.mark.parametrize("step", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_a_421_and_close_is_seen_as_421(open_relays: OpenRelays, offers: tuple[str, ...], step: str) -> None:
    """The code is not hidden behind the lost connection, and the relay gets a cooldown."""
    leaving = Say("421 4.3.2 shutting down", close=True)
    with FakeRelay({step: [leaving, leaving]}, offers) as relay:
        relays = open_relays(relay)
        outcome = relays.send(mail())
        cooldown_left_s = relays._relays[0].cooldown_left_s()
    assert (outcome.kind, outcome.code, outcome.ambiguous) == (Kind.DEFERRED, 421, False)
    assert outcome.reply == "4.3.2 shutting down"
    assert cooldown_left_s > 0
    assert relay.mails == []


def test_a_recipient_refused_by_a_relay_that_wants_data_gets_no_mail(open_relays: OpenRelays) -> None:
    """550 at RCPT and yet 354 at DATA: the lone dot ends it, and the session stays usable."""
    script: dict[str, list[Action]] = {
        "rcpt": [Say("550 5.1.1 nobody")],
        "data": [Say("354 well then")],
    }
    with FakeRelay(script) as relay:
        relays = open_relays(relay)
        refused, sent = relays.send(mail()), relays.send(mail())
    assert (refused.kind, refused.stage, refused.code) == (Kind.REJECTED, Stage.RCPT, 550)
    assert sent.kind is Kind.SENT
    assert (len(relay.mails), relay.counts["session"], relay.counts["dot"]) == (1, 1, 2)


def test_a_relay_confused_about_the_recipient_gets_no_empty_mail(open_relays: OpenRelays) -> None:
    """MAIL refused, RCPT and DATA taken: the connection is dropped instead of ended with a dot."""
    script = {"mail": [Say("550 5.1.8 no")], "rcpt": [Say("250 ok")], "data": [Say("354 go")]}
    with FakeRelay(script) as relay:
        outcome = open_relays(relay).send(mail())
    assert (outcome.kind, outcome.stage) == (Kind.RELAY_REFUSES_US, Stage.MAIL)
    assert (relay.mails, relay.counts["dot"]) == ([], 0)


def test_a_refusal_counts_although_the_connection_breaks_behind_it(open_relays: OpenRelays) -> None:
    """550 at RCPT, then the relay hangs up before it answers DATA."""
    with FakeRelay({"rcpt": [Say("550 5.1.1 nobody", close=True)]}) as relay:
        outcome = open_relays(relay).send(mail())
    assert (outcome.kind, outcome.stage, outcome.code) == (Kind.REJECTED, Stage.RCPT, 550)


def test_a_relay_that_quotes_the_mail_does_not_keep_the_code(open_relays: OpenRelays) -> None:
    """The code is blanked out of the reply."""
    with FakeRelay({"dot": [Say("554 5.7.1 spam: 123456 is your Test code")]}) as relay:
        outcome = open_relays(relay).send(mail())
    assert outcome.reply == "5.7.1 spam: ****** is your Test code"


def test_nonsense_instead_of_an_answer_is_deferred(open_relays: OpenRelays) -> None:
    """What is no SMTP reply is neither a yes nor a no; after the dot it may have been a yes."""
    with FakeRelay({"mail": [Say("<html>")], "dot": [Say("thanks!")]}) as relay:
        relays = open_relays(relay, clock=(clock := Clock()))
        first = relays.send(mail())
        clock.now += 60
        second = relays.send(mail())
    assert (first.kind, first.stage, first.ambiguous) == (Kind.DEFERRED, Stage.MAIL, False)
    assert (second.kind, second.stage, second.ambiguous) == (Kind.DEFERRED, Stage.BODY, True)


# The relay is gone, silent or slow.


def test_a_refused_connection_is_deferred(open_relays: OpenRelays) -> None:
    """Nobody listens: deferred at connect, and the relay gets a cooldown."""
    with FakeRelay() as relay:
        pass
    relays = open_relays(relay)
    outcome = relays.send(mail())
    assert (outcome.kind, outcome.stage, outcome.reply) == (
        Kind.DEFERRED,
        Stage.CONNECT,
        "connection refused",
    )
    again = relays.send(mail())
    assert again.cooldown_left_s is not None
    assert (again.kind, again.reply) == (Kind.DEFERRED, "connection refused")


def test_a_name_that_does_not_resolve_is_deferred() -> None:
    """DNS trouble is deferred, in words."""
    relays = Relays(
        [RelaySettings("lost", "no-such-host.invalid", 25, connect_timeout_s=5.0, command_timeout_s=5.0)]
    )
    outcome = relays.send(mail())
    assert (outcome.kind, outcome.stage) == (Kind.DEFERRED, Stage.CONNECT)
    assert outcome.reply == "the relay's name could not be resolved"


@BOTH_WAYS
@pytest.mark.parametrize("step", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("action", [Hang(), Babble()], ids=["hangs", "babbles"])
def test_silence_ends_at_the_timeout(
    open_relays: OpenRelays, offers: tuple[str, ...], step: str, action: Action
) -> None:
    """Whether it says nothing or never ends, the wait does; only after the dot it is ambiguous."""
    began = time.monotonic()
    with FakeRelay({step: [action]}, offers) as relay:
        outcome = open_relays(relay, **IMPATIENT).send(mail())
        took = time.monotonic() - began
    assert (outcome.kind, outcome.code) == (Kind.DEFERRED, None)
    assert outcome.ambiguous is (step == "dot")
    assert took < 15
    assert (relay.mails, relay.counts["session"]) == ([], 1)


@BOTH_WAYS
@pytest.mark.parametrize("step", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_a_dropped_connection_is_deferred(
    open_relays: OpenRelays, offers: tuple[str, ...], step: str
) -> None:
    """Dropped at any step: no mail arrived, and only after the dot it is ambiguous."""
    with FakeRelay({step: [Drop(), Drop()]}, offers) as relay:
        outcome = open_relays(relay).send(mail())
    assert (outcome.kind, outcome.code) == (Kind.DEFERRED, None)
    assert outcome.ambiguous is (step == "dot")
    assert relay.mails == []


def test_a_relay_that_drips_is_cut_off_by_the_whole_replys_deadline(open_relays: OpenRelays) -> None:
    """A byte now and then does not start the timeout anew."""
    with FakeRelay({"mail": [Slowly("250 " + "ok " * 40, 0.2)]}) as relay:
        began = time.monotonic()
        outcome = open_relays(relay, **IMPATIENT).send(mail())
        took = time.monotonic() - began
    assert (outcome.kind, outcome.stage, outcome.reply) == (Kind.DEFERRED, Stage.MAIL, "no answer in time")
    # The whole reply would take 25 s.
    assert took < 15


def test_a_slow_relay_within_its_time_is_waited_for(open_relays: OpenRelays) -> None:
    """Slow is not broken."""
    slow = {"banner": [Slowly("220 hi", 0.02)], "dot": [Slowly("250 ok", 0.02)]}
    with FakeRelay(slow) as relay:
        assert open_relays(relay).send(mail()).kind is Kind.SENT
    assert len(relay.mails) == 1


def test_the_whole_attempt_has_an_end(open_relays: OpenRelays) -> None:
    """A relay that is slow at each step, but never too slow, is cut off by the total."""
    script = {step: [Slowly("250 " + "y" * 16, 0.02)] for step in ("mail", "rcpt", "data")}
    with FakeRelay(script, ONE_BY_ONE) as relay:
        outcome = open_relays(relay, total_timeout_s=0.6).send(mail())
        dots = relay.counts["dot"]
    assert (outcome.kind, outcome.reply, dots) == (Kind.DEFERRED, "no answer in time", 0)


# The second relay.


@pytest.mark.parametrize(
    "script",
    [
        {"banner": [Say("554 5.7.1 go away")]},
        {"banner": [Hang()]},
        {"mail": [Drop(), Drop()]},
        {"rcpt": [Drop()]},
        {"mail": [Say("421 4.3.2 bye", close=True)]},
        {"mail": [Say("553 5.1.8 not you")]},
        {"rcpt": [Say("452 4.3.1 disk full")]},
        {"rcpt": [Say("550 5.7.1 unable to relay")]},
        {"data": [Hang()]},
    ],
    ids=str,
)
def test_the_second_relay_takes_over_in_the_same_call(
    open_relays: OpenRelays, script: dict[str, list[Action]]
) -> None:
    """A relay that fails costs the person nothing: the mail arrives once, through the other."""
    with FakeRelay(script) as first, FakeRelay() as second:
        outcome = open_relays(first, second, **IMPATIENT).send(mail())
    assert (outcome.kind, outcome.relay) == (Kind.SENT, f"relay {second.port}")
    assert (len(first.mails), len(second.mails)) == (0, 1)


@pytest.mark.parametrize("keep", [True, False])
def test_a_mail_lost_after_its_dot_is_not_given_to_the_second_relay(
    open_relays: OpenRelays, keep: bool
) -> None:
    """It may have arrived: it is deferred, marked ambiguous, and at most one copy exists."""
    with FakeRelay({"dot": [Drop(keep=keep)]}) as first, FakeRelay() as second:
        outcome = open_relays(first, second).send(mail())
    assert (outcome.kind, outcome.stage, outcome.ambiguous) == (Kind.DEFERRED, Stage.BODY, True)
    assert (len(first.mails), len(second.mails)) == (int(keep), 0)


def test_a_rejected_recipient_is_not_shown_to_the_second_relay(open_relays: OpenRelays) -> None:
    """A 550 is an answer, not a failure."""
    with FakeRelay({"rcpt": [Say("550 5.1.1 nobody")]}) as first, FakeRelay() as second:
        outcome = open_relays(first, second).send(mail())
    assert (outcome.kind, outcome.code) == (Kind.REJECTED, 550)
    assert second.counts["session"] == 0


def test_a_failed_relay_is_left_alone_probed_and_used_again(
    open_relays: OpenRelays, caplog: pytest.LogCaptureFixture
) -> None:
    """In its cooldown nobody asks it; after that one mail probes it, and it takes over again."""
    clock = Clock()
    with FakeRelay({"banner": [Say("421 busy"), Say("421 busy")]}) as first, FakeRelay() as second:
        relays = open_relays(first, second, clock=clock)
        for at in (0.0, 4.0, 5.1, 9.0, 15.2, 15.3):
            clock.now = 1000.0 + at
            assert relays.send(mail()).kind is Kind.SENT
    assert (first.counts["banner"], len(first.mails), len(second.mails)) == (3, 2, 4)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert all("failed at connect with 421;" in record.getMessage() for record in caplog.records)


# The sender's own end.


@pytest.mark.parametrize("security", ["none", "tls"])
def test_no_dot_leaves_after_the_end_however_slowly_the_message_is_read(
    open_relays: OpenRelays, authority: Authority, security: str
) -> None:
    """What the kernel still holds at the end is never sent: the relay that reads on finds no whole mail."""
    payload = b"x" * 70 * 1024 + b"\r\n"
    tls = authority.server_context("127.0.0.1") if security == "tls" else None
    with FakeRelay(
        {"body": [Read(1024, 0.1)]}, receive_buffer=2048, tls=tls, implicit_tls=security == "tls"
    ) as relay:
        relays = open_relays(relay, security=security, ca_file=authority.ca_file)
        began = time.monotonic()
        outcome = relays.send(mail(payload=payload), ends_at=began + 1.5)
        took = time.monotonic() - began
        assert wait_for(lambda: relay.active == 0, 30)
    assert (outcome.kind, outcome.stage, outcome.ambiguous) == (Kind.DEFERRED, Stage.BODY, False)
    # Reading the whole mail would take 7 s.
    assert took < 5
    assert (relay.mails, relay.counts["dot"]) == ([], 0)


def test_a_slow_reader_within_its_time_gets_the_whole_mail(open_relays: OpenRelays) -> None:
    """Slow is not broken."""
    payload = b"x" * 20 * 1024 + b"\r\n"
    with FakeRelay({"body": [Read(1024, 0.02)]}, receive_buffer=2048) as relay:
        outcome = open_relays(relay).send(mail(payload=payload))
    assert (outcome.kind, [m.payload for m in relay.mails]) == (Kind.SENT, [payload])


def test_a_mail_whose_time_is_over_is_not_begun_and_no_relay_is_blamed(open_relays: OpenRelays) -> None:
    """Nobody connects, and the next mail goes out."""
    with FakeRelay() as relay:
        relays = open_relays(relay)
        late = relays.send(mail(), ends_at=time.monotonic() - 1)
        sessions = relay.counts["session"]
        then = relays.send(mail())
    assert (late.kind, late.relay_failed, sessions) == (Kind.DEFERRED, False, 0)
    assert (then.kind, len(relay.mails)) == (Kind.SENT, 1)


@pytest.mark.parametrize("step", ["banner", "mail", "data"])
def test_a_relay_that_had_little_time_is_not_blamed(open_relays: OpenRelays, step: str) -> None:
    """It would have answered; the mail's time was shorter than one reply may take."""
    with FakeRelay({step: [Hang()]}) as relay:
        relays = open_relays(relay)
        began = time.monotonic()
        outcome = relays.send(mail(), ends_at=began + 1)
        took = time.monotonic() - began
        assert relays.troubles() == []
        assert relays.send(mail()).kind is Kind.SENT
    assert (outcome.kind, outcome.cut_short) == (Kind.DEFERRED, True)
    assert took < 10


def test_a_relay_that_had_time_enough_is_blamed(open_relays: OpenRelays) -> None:
    """A short life of the mails must not keep a dead relay in use."""
    with FakeRelay({"banner": [Hang()]}) as relay:
        relays = open_relays(relay, **IMPATIENT)
        outcome = relays.send(mail(), ends_at=time.monotonic() + 3)
        assert len(relays.troubles()) == 1
    assert (outcome.kind, outcome.cut_short) == (Kind.DEFERRED, False)


@BOTH_WAYS
def test_a_mail_that_nobody_wants_any_more_is_withdrawn(
    open_relays: OpenRelays, offers: tuple[str, ...]
) -> None:
    """Asked when the relay waits for the message: nothing of it leaves, no other relay gets it, none is blamed."""
    asked: list[int] = []
    with FakeRelay(offers=offers) as first, FakeRelay() as second:
        relays = open_relays(first, second)

        def may_send() -> bool:
            asked.append(first.counts["data"])
            return False

        withdrawn = relays.send(mail(), may_send=may_send)
        assert wait_for(lambda: first.active == 0, 30)
        then = relays.send(mail("other@example.com"), may_send=lambda: True)
        assert relays.troubles() == []
    assert (withdrawn.kind, withdrawn.relay_failed, asked) == (Kind.WITHDRAWN, False, [1])
    assert (then.kind, then.relay) == (Kind.SENT, f"relay {first.port}")
    assert first.overheard.count(b"Your code is") == 1
    assert ([m.rcpt_to for m in first.mails], second.counts["session"]) == (
        [b"RCPT TO:<other@example.com>\r\n"],
        0,
    )


def test_a_mistake_while_it_is_asked_leaves_no_half_mail_behind(open_relays: OpenRelays) -> None:
    """The exception passes through, and the next mail does not end up in the message of this one."""
    with FakeRelay() as relay:
        relays = open_relays(relay)
        with pytest.raises(RuntimeError):
            relays.send(mail(), may_send=_mistake)
        assert relays.send(mail()).kind is Kind.SENT
    assert [m.payload for m in relay.mails] == [BODY]


def _mistake() -> bool:
    raise RuntimeError("a mistake of ours")


def test_the_answer_to_the_dot_is_waited_for_beyond_every_other_end(open_relays: OpenRelays) -> None:
    """A relay that takes its time over a whole mail gets one copy."""
    with FakeRelay({"dot": [Slowly("250 " + "ok" * 20, 0.05)]}) as relay:
        outcome = open_relays(relay, command_timeout_s=1.5, total_timeout_s=1.5).send(
            mail(), ends_at=time.monotonic() + 1.5
        )
    assert (outcome.kind, len(relay.mails)) == (Kind.SENT, 1)


@pytest.mark.parametrize("step", ["banner", "rcpt", "dot"])
def test_a_worker_that_stops_cuts_the_waits_short(open_relays: OpenRelays, step: str) -> None:
    """Those under way within a second, with no relay blamed; after the dot it stays ambiguous."""
    outcomes = []
    with FakeRelay({step: [Hang()]}) as relay:
        relays = open_relays(relay, command_timeout_s=60.0, answer_timeout_s=60.0)
        sender = threading.Thread(target=lambda: outcomes.append(relays.send(mail())))
        sender.start()
        assert wait_for(lambda: relay.counts[step] == 1, 30)
        relays.hurry(time.monotonic() + 0.2)
        sender.join(30)
        assert not sender.is_alive()
        assert relays.troubles() == []
    [outcome] = outcomes
    assert (outcome.kind, outcome.ambiguous) == (Kind.DEFERRED, step == "dot")


# One slow recipient.


@BOTH_WAYS
@pytest.mark.parametrize("step", ["rcpt", "data", "dot"])
def test_one_slow_recipient_keeps_no_relay_from_the_others(
    open_relays: OpenRelays, offers: tuple[str, ...], step: str
) -> None:
    """However often the same domain is slow, the next mail goes out at once."""
    with FakeRelay({step: [Hang(), Hang()]}, offers) as relay:
        relays = open_relays(relay, **IMPATIENT)
        slow = [relays.send(mail(f"{name}@slow.example")).kind for name in "ab"]
        assert relays.troubles() == []
        assert relays.send(mail()).kind is Kind.SENT
    assert slow == [Kind.DEFERRED] * 2


def test_a_reply_to_mail_held_back_for_the_recipient_is_the_recipients(open_relays: OpenRelays) -> None:
    """With PIPELINING relays answer in one go: the silence begins at MAIL."""
    with FakeRelay({"mail": [Hang()]}) as relay:
        relays = open_relays(relay, **IMPATIENT)
        assert relays.send(mail("a@slow.example")).stage is Stage.MAIL
        assert relays.troubles() == []
    with FakeRelay({"mail": [Hang()]}, ONE_BY_ONE) as relay:
        relays = open_relays(relay, **IMPATIENT)
        relays.send(mail("a@slow.example"))
        assert len(relays.troubles()) == 1


@pytest.mark.parametrize("step", ["rcpt", "data", "dot"])
def test_a_silence_that_different_recipients_meet_is_the_relays(open_relays: OpenRelays, step: str) -> None:
    """Two domains within a minute: the relay gets its cooldown."""
    with FakeRelay({step: [Hang(), Hang()]}) as relay:
        relays = open_relays(relay, **IMPATIENT)
        relays.send(mail("a@slow.example"))
        relays.send(mail("b@other.example"))
        assert relays._relays[0].cooldown_left_s() > 0
        assert len(relays.troubles()) == 1


# A relay comes back.


def test_a_cooldown_does_not_follow_the_wall_clock() -> None:
    """A step of it must not keep a relay unused for an hour."""
    relays = Relays([RelaySettings("main", "127.0.0.1", 25, connect_timeout_s=5.0, command_timeout_s=5.0)])
    assert relays._relays[0]._clock is time.monotonic


def test_the_last_reply_stays_visible_through_a_cooldown(open_relays: OpenRelays) -> None:
    """A mail that met only cooldowns carries the 535 that began them, and the trouble names it."""
    clock = Clock()
    with FakeRelay({"auth": [Say("535 5.7.8 wrong password")] * 3}, (*EVERYTHING, "AUTH LOGIN")) as relay:
        relays = open_relays(relay, clock=clock, username="us", password="pw")
        first = relays.send(mail())
        clock.now += 2
        then = relays.send(mail())
        [trouble] = relays.troubles()
    assert (first.kind, first.code) == (Kind.RELAY_REFUSES_US, 535)
    assert (then.kind, then.code, then.reply, then.cooldown_left_s) == (
        Kind.RELAY_REFUSES_US,
        535,
        "5.7.8 wrong password",
        3.0,
    )
    assert trouble == (
        f"Relay relay {relay.port} has failed for 2 s, last at connect with: 535 5.7.8 wrong password. "
        "It is asked again in 3 s."
    )


def test_a_probe_finds_a_relay_that_is_back_and_keeps_the_connection(open_relays: OpenRelays) -> None:
    """Not before its cooldown is over; the next mail needs no connection of its own."""
    clock = Clock()
    with FakeRelay({"banner": [Say("421 busy", close=True)] * 2}) as relay:
        relays = open_relays(relay, clock=clock)
        relays.send(mail())
        relays.probe()
        assert (relay.counts["session"], relays.take_recovered()) == (1, None)
        clock.now += 5.1
        relays.probe()  # still busy: a longer cooldown
        clock.now += 5.1
        relays.probe()
        assert (relay.counts["session"], relays.take_recovered(), len(relays.troubles())) == (2, None, 1)
        clock.now += 5
        relays.probe()
        assert (relays.take_recovered(), relays.take_recovered()) == (Recovered.WORKS, None)
        assert relays.troubles() == []
        relays.probe()
        assert relays.send(mail()).kind is Kind.SENT
    assert relay.counts["session"] == 3


def test_a_probe_proves_the_login_and_nothing_more(open_relays: OpenRelays) -> None:
    """A relay that failed at the message is PROBED, and works again once a mail went through."""
    clock = Clock()
    with FakeRelay({"dot": [Say("452 4.3.1 disk full")]}) as relay:
        relays = open_relays(relay, clock=clock)
        relays.send(mail())
        clock.now += 5.1
        relays.probe()
        assert (relays.take_recovered(), relays.take_recovered()) == (Recovered.PROBED, None)
        assert len(relays.troubles()) == 1
        relays.probe()  # a moment later there is nothing more to learn
        assert relays.take_recovered() is None
        assert relays.send(mail()).kind is Kind.SENT
        assert (relays.take_recovered(), relays.troubles()) == (Recovered.WORKS, [])


def test_a_relay_that_fails_in_front_of_a_probe_is_not_asked_beside_a_mail(open_relays: OpenRelays) -> None:
    """While a mail is trying, its result is waited for."""
    clock = Clock()
    with FakeRelay({"banner": [Say("421 busy", close=True)], "rcpt": [Slowly("250 ok", 0.2)]}) as relay:
        relays = open_relays(relay, clock=clock)
        relays.send(mail())
        clock.now += 5.1
        sender = threading.Thread(target=relays.send, args=(mail(),))
        sender.start()
        assert wait_for(lambda: relay.counts["rcpt"] == 1, 30)
        relays.probe()
        assert relay.counts["session"] == 2
        sender.join()
        assert relays.take_recovered() is Recovered.WORKS


def test_a_slow_probe_keeps_nobody_waiting(open_relays: OpenRelays) -> None:
    """It goes on by itself, once; its result is there when it is."""
    clock = Clock()
    with FakeRelay({"banner": [Say("421 busy", close=True), Slowly("220 " + "x" * 30, 0.1)]}) as relay:
        relays = open_relays(relay, clock=clock)
        relays.send(mail())
        clock.now += 5.1
        began = time.monotonic()
        relays.probe()
        relays.probe()
        assert time.monotonic() - began < 3
        assert wait_for(lambda: relays.take_recovered() is Recovered.WORKS, 30)
    assert relay.counts["session"] == 2


# TLS and login.


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_private_authority_is_trusted_when_set(
    open_relays: OpenRelays, authority: Authority, security: str
) -> None:
    """The right CA file and the right name: sent, logged in, nothing in the clear."""
    tls = authority.server_context("127.0.0.1")
    with FakeRelay(offers=(*EVERYTHING, "AUTH PLAIN"), tls=tls, implicit_tls=security == "tls") as relay:
        relays = open_relays(
            relay, security=security, ca_file=authority.ca_file, username="us", password="pw"
        )
        outcomes = [relays.send(mail()) for _ in range(3)]
    assert [outcome.kind for outcome in outcomes] == [Kind.SENT] * 3
    assert (relay.counts["auth"], relay.counts["session"], len(relay.mails)) == (1, 1, 3)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["authority", "host"])
def test_a_certificate_that_is_not_ours_gets_nothing(
    open_relays: OpenRelays, authority: Authority, stranger: Authority, security: str, wrong: str
) -> None:
    """A strange authority or another host's certificate: the relay refuses us, no login is sent."""
    tls = (
        stranger.server_context("127.0.0.1")
        if wrong == "authority"
        else authority.server_context("mail.example.com")
    )
    with FakeRelay(offers=(*EVERYTHING, "AUTH PLAIN"), tls=tls, implicit_tls=security == "tls") as relay:
        outcome = open_relays(
            relay, security=security, ca_file=authority.ca_file, username="us", password="pw"
        ).send(mail())
    assert (outcome.kind, outcome.stage) == (Kind.RELAY_REFUSES_US, Stage.CONNECT)
    assert outcome.reply.startswith("the relay's certificate was not accepted")
    assert (relay.counts["auth"], relay.mails) == (0, [])


def test_verification_can_be_turned_off_but_not_quietly(
    open_relays: OpenRelays, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """It works, and says so once."""
    with FakeRelay(tls=stranger.server_context("127.0.0.1")) as relay:
        relays = open_relays(relay, security="starttls", verify_certificates=False)
        assert [relays.send(mail()).kind for _ in range(2)] == [Kind.SENT] * 2
    assert caplog.text.count("certificate verification is OFF") == 1


def test_a_relay_without_starttls_gets_no_password_in_the_clear(
    open_relays: OpenRelays, authority: Authority
) -> None:
    """Somebody on the way may have struck STARTTLS out: no mail, no login."""
    with FakeRelay(offers=(*EVERYTHING, "AUTH PLAIN")) as relay:
        outcome = open_relays(
            relay, security="starttls", ca_file=authority.ca_file, username="us", password="pw"
        ).send(mail())
    assert (outcome.kind, outcome.stage) == (Kind.RELAY_REFUSES_US, Stage.CONNECT)
    assert relay.counts["auth"] == 0
    assert b"AUTH" not in relay.overheard


def test_words_slipped_in_behind_starttls_are_not_believed(
    open_relays: OpenRelays, authority: Authority
) -> None:
    """A reply injected in the clear before TLS is dropped."""
    injected = Say("220 go ahead\r\n250-mitm\r\n250 AUTH PLAIN")
    with FakeRelay({"starttls": [injected]}, tls=authority.server_context("127.0.0.1")) as relay:
        outcome = open_relays(relay, security="starttls", ca_file=authority.ca_file).send(mail())
    assert outcome.kind is Kind.SENT
    assert relay.counts["ehlo"] == 2


@pytest.mark.parametrize(
    ("offers", "script", "kind", "code"),
    [
        (("AUTH PLAIN LOGIN",), [Say("535 5.7.8 wrong"), Say("535 5.7.8 wrong")], Kind.RELAY_REFUSES_US, 535),
        (("AUTH PLAIN",), [Say("454 4.7.0 try later")], Kind.DEFERRED, 454),
        (("AUTH PLAIN",), [Say("421 4.7.0 too many", close=True)], Kind.DEFERRED, 421),
        (("AUTH NTLM",), [], Kind.RELAY_REFUSES_US, None),
        ((), [], Kind.RELAY_REFUSES_US, None),
    ],
    ids=["535", "454", "421", "no common mechanism", "no AUTH"],
)
def test_a_login_that_fails_is_our_fault_or_passing(
    open_relays: OpenRelays, offers: tuple[str, ...], script: list[Action], kind: Kind, code: int | None
) -> None:
    """Never the person's: a mail is retried, and nothing is sent without the login."""
    with FakeRelay({"auth": script}, offers) as relay:
        outcome = open_relays(relay, username="us", password="secret").send(mail())
    assert (outcome.kind, outcome.stage, outcome.code) == (kind, Stage.CONNECT, code)
    assert relay.counts["mail"] == 0


# What the message holds.


def test_dots_long_lines_and_eight_bits_arrive_unchanged(open_relays: OpenRelays) -> None:
    """Whatever stands in the message stands in the mailbox."""
    payload = b".first\r\n..two\r\n.\r\n" + b"x" * 5000 + b"\r\n" + "Grüße\r\n.end\r\n".encode()
    with FakeRelay() as relay:
        assert open_relays(relay).send(mail(payload=payload)).kind is Kind.SENT
    assert [m.payload for m in relay.mails] == [payload]
    assert b"BODY=8BITMIME" in relay.mails[0].mail_from


def test_a_second_mail_cannot_be_smuggled_behind_a_lone_line_end(open_relays: OpenRelays) -> None:
    """Lone CR and LF become CRLF, so that no server sees an end where we see none."""
    payload = b"a\n.\nMAIL FROM:<evil@example.com>\r.\rb"
    with FakeRelay() as relay:
        assert open_relays(relay).send(mail(payload=payload)).kind is Kind.SENT
    expected = b"a\r\n.\r\nMAIL FROM:<evil@example.com>\r\n.\r\nb\r\n"
    assert [m.payload for m in relay.mails] == [expected]


def test_an_internationalised_address_goes_out_where_smtputf8_is_offered(open_relays: OpenRelays) -> None:
    """The envelope is UTF-8 and says so."""
    with FakeRelay() as relay:
        assert open_relays(relay).send(mail("jürgen@example.com", utf8=True)).kind is Kind.SENT
    assert relay.mails[0].rcpt_to == "RCPT TO:<jürgen@example.com>\r\n".encode()
    assert b" SMTPUTF8" in relay.mails[0].mail_from


def test_an_internationalised_address_is_rejected_clearly_where_it_is_not(open_relays: OpenRelays) -> None:
    """Nothing is sent, the reason is plain, and it is not the relay's failure."""
    with FakeRelay(offers=("PIPELINING",)) as relay:
        relays = open_relays(relay)
        outcome = relays.send(mail("jürgen@example.com", utf8=True))
        cooldown_left_s = relays._relays[0].cooldown_left_s()
    assert (outcome.kind, outcome.code) == (Kind.REJECTED, None)
    assert "SMTPUTF8" in outcome.reply
    assert (relay.counts["mail"], cooldown_left_s) == (0, 0)


def test_the_second_relay_is_asked_when_the_first_lacks_smtputf8(open_relays: OpenRelays) -> None:
    """Another relay may be able to."""
    with FakeRelay(offers=()) as first, FakeRelay() as second:
        outcome = open_relays(first, second).send(mail("jürgen@example.com", utf8=True))
    assert (outcome.kind, len(second.mails)) == (Kind.SENT, 1)


def test_a_resting_relay_may_yet_take_what_the_other_cannot(open_relays: OpenRelays) -> None:
    """With the SMTPUTF8 relay away the mail is deferred, not rejected."""
    with FakeRelay() as gone:
        pass
    with FakeRelay(offers=()) as second:
        outcome = open_relays(gone, second).send(mail("jürgen@example.com", utf8=True))
    assert outcome.kind is Kind.DEFERRED


# Connections that stay.


@pytest.mark.parametrize(("offers", "turns"), [(EVERYTHING, 2), (ONE_BY_ONE, 4)])
def test_a_mail_costs_two_round_trips_with_pipelining_and_four_without(
    open_relays: OpenRelays, offers: tuple[str, ...], turns: int
) -> None:
    """Counted at the relay, on a connection that is open."""
    with FakeRelay(offers=offers) as relay:
        relays = open_relays(relay)
        relays.send(mail())
        before = relay.turns
        for _ in range(10):
            assert relays.send(mail()).kind is Kind.SENT
    assert relay.turns - before <= 10 * turns + 1
    assert (relay.counts["session"], relay.counts["noop"], relay.counts["rset"]) == (1, 0, 0)


def test_a_relay_that_closes_after_its_250_has_the_mail(open_relays: OpenRelays) -> None:
    """Accepted stays accepted, and the next mail opens a new connection without a word about it."""
    with FakeRelay({"dot": [Say("250 ok", close=True), Say("250 ok", close=True)]}) as relay:
        relays = open_relays(relay)
        kinds = [relays.send(mail()).kind for _ in range(3)]
    assert kinds == [Kind.SENT] * 3
    assert (len(relay.mails), relay.counts["session"]) == (3, 3)
    assert relays.troubles() == []


@pytest.mark.parametrize("quits", [Drop(), Say("500 what?"), Hang()], ids=["drops", "500", "hangs"])
def test_a_quit_that_fails_changes_nothing_and_takes_no_time(open_relays: OpenRelays, quits: Action) -> None:
    """The mails were sent; the goodbye is only manners."""
    with FakeRelay({"quit": [quits]}) as relay:
        relays = open_relays(relay)
        assert relays.send(mail()).kind is Kind.SENT
        began = time.monotonic()
        relays.close()
        assert time.monotonic() - began < 10
    assert len(relay.mails) == 1


def test_a_connection_is_renewed_after_its_share_of_mails(open_relays: OpenRelays) -> None:
    """Seven mails at three a connection are three connections, each but the last ended with QUIT."""
    with FakeRelay() as relay:
        relays = open_relays(relay, max_mails_per_connection=3)
        assert {relays.send(mail()).kind for _ in range(7)} == {Kind.SENT}
        assert (relay.counts["session"], relay.counts["quit"]) == (3, 2)
    assert len(relay.mails) == 7


def test_a_connection_in_doubt_is_asked_and_replaced_when_silent(open_relays: OpenRelays) -> None:
    """NOOP answered: it is used on; not answered: a new one takes the mail."""
    with FakeRelay({"noop": [Say("250 ok"), Hang()]}) as relay:
        relays = open_relays(relay, noop_after_s=0.0, connect_timeout_s=2.0)
        assert [relays.send(mail()).kind for _ in range(3)] == [Kind.SENT] * 3
    assert (relay.counts["noop"], relay.counts["session"], len(relay.mails)) == (2, 2, 3)


def test_an_idle_connection_is_replaced(open_relays: OpenRelays) -> None:
    """Past its idle time it is closed politely, before the relay does it."""
    with FakeRelay() as relay:
        relays = open_relays(relay, max_idle_s=0.0)
        assert [relays.send(mail()).kind for _ in range(2)] == [Kind.SENT] * 2
        relays.close_idle()
        assert (relay.counts["session"], relay.counts["quit"]) == (2, 2)
        assert wait_for(lambda: relay.active == 0, 30)


def test_a_relay_that_does_not_answer_quit_does_not_hold_up_whoever_closes_idle_connections(
    open_relays: OpenRelays,
) -> None:
    """A worker has leases to renew meanwhile; what is left is closed by the next calls."""
    with FakeRelay({"quit": [Hang()] * 4}) as relay:
        relays = open_relays(relay, max_idle_s=0.0)
        pool = relays._relays[0].connections
        taken = [pool.take() for _ in range(4)]
        for connection in taken:
            assert connection is not None
            assert connection.deliver(mail()).kind is Kind.SENT
            pool.put_back(connection)
        began = time.monotonic()
        relays.close_idle()
        assert time.monotonic() - began < 10
        assert 1 <= relay.counts["quit"] < 4
        while pool._idle:
            relays.close_idle()
        assert relay.counts["quit"] == 4


def test_eight_threads_send_each_mail_once_over_at_most_eight_connections(open_relays: OpenRelays) -> None:
    """Concurrent senders share relays, not connections."""
    outcomes: list[Kind] = []
    with FakeRelay() as relay:
        relays = open_relays(relay)

        def send(thread: int) -> None:
            outcomes.extend(relays.send(mail(f"p{thread}.{n}@example.com")).kind for n in range(25))

        threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == [Kind.SENT] * 200
    assert len({m.rcpt_to for m in relay.mails}) == len(relay.mails) == 200
    assert relay.counts["session"] <= 8


def test_a_relay_that_takes_few_connections_is_used_with_those(open_relays: OpenRelays) -> None:
    """Eight threads, three connections allowed: every mail is sent, none deferred, no cooldown."""
    outcomes: list[Kind] = []
    with FakeRelay(most_sessions=3, reply_delay_s=0.002) as relay:
        relays = open_relays(relay)

        def send() -> None:
            outcomes.extend(relays.send(mail()).kind for _ in range(10))

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wait_for(lambda: relay.active == 3, 30)
    assert outcomes == [Kind.SENT] * 80
    assert len(relay.mails) == 80
    assert relays.troubles() == []


def test_nothing_of_the_dialogue_is_logged_or_printed(
    open_relays: OpenRelays, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither code, address, password nor reply appears, whatever happens."""
    caplog.set_level(logging.DEBUG)
    clock = Clock()
    script: dict[str, list[Action]] = {
        "dot": [Say("554 5.7.1 spam: 123456 someone@example.com"), Drop(), Hang()],
        "mail": [Say("553 5.1.8 us@example.org is not welcome")],
    }
    with FakeRelay(script, (*EVERYTHING, "AUTH PLAIN")) as relay:
        relays = open_relays(relay, clock=clock, username="us", password="secret-pw", **IMPATIENT)
        for _ in range(4):
            clock.now += 100
            relays.send(mail())
        shown = repr(mail()) + repr(settings(relay, password="secret-pw"))
    said = caplog.text + "".join(capfd.readouterr()) + shown.replace("recipient='someone@example.com'", "")
    said = said.replace("sender='us@example.org'", "")
    assert "it is not used for" in said
    for secret in ("123456", "someone@example.com", "secret-pw", "us@example.org", "spam"):
        assert secret not in said


def test_flask_mails_own_send_works_over_our_connection() -> None:
    """`with connection: connection.send(message)`, as Flask-Mail documents it."""
    app = flask.Flask("test")
    flask_mail.Mail(app)
    with FakeRelay({"quit": [Drop()]}) as relay, app.app_context():
        with RelayConnection(settings(relay)) as connection:
            connection.send(
                flask_mail.Message("Hi", ["someone@example.com"], "Hello.", sender="us@example.org")
            )
        assert len(relay.mails) == 1
