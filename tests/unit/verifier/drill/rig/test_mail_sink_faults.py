"""What the mail sink does to senders when it is told to: late answers, slow ones, none at all."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Iterator

import pytest

from sentinel import wait_for
from verifier.drill.rig.loop_thread import loop_in_a_thread
from verifier.drill.rig.mail_sink import MailSink

MAIL = ("s@example.org", ["a@example.org"], "Subject: 1 is\r\n\r\nHello\r\n")


@pytest.fixture
def sink() -> Iterator[MailSink]:
    with loop_in_a_thread() as loop, MailSink(loop) as listening:
        yield listening


def _connect(sink: MailSink) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", sink.port, local_hostname="localhost", timeout=30)


def test_late_answer_is_to_a_mail_that_was_taken(sink: MailSink) -> None:
    """The mail is counted when its last line came, while its sender still waits; the next one is answered at once."""
    sink.answer_late(1, 2.0)
    with _connect(sink) as relay:
        began = time.monotonic()
        relay.sendmail(*MAIL)
        answered = time.monotonic()
        assert answered - began > 1.9
        assert sink.mails[0].at - began < 1.9
        relay.sendmail(*MAIL)
        assert time.monotonic() - answered < 1.9


def test_slow_sink_lets_mails_wait_before_their_body(sink: MailSink) -> None:
    """A sender has its mail in hand for so long."""
    sink.slow_s = 0.4
    with _connect(sink) as relay:
        began = time.monotonic()
        relay.sendmail(*MAIL)
    assert sink.mails[0].at - began > 0.3


def test_sink_that_goes_away_hangs_up_refuses_and_returns_to_its_port(sink: MailSink) -> None:
    """A session without a mail on its way ends cleanly, and nobody else gets the port meanwhile."""
    relay = _connect(sink)
    port = sink.port
    sink.go_away()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        relay.sendmail(*MAIL)
    with pytest.raises(ConnectionRefusedError):
        _connect(sink)
    sink.come_back()
    assert sink.port == port
    with _connect(sink) as again:
        again.sendmail(*MAIL)
    assert len(sink.mails) == 1


def test_late_answer_to_a_sender_that_hung_up_harms_nobody(sink: MailSink) -> None:
    """Others are served meanwhile and afterwards."""
    sink.answer_late(1, 0.3)
    with socket.create_connection(("127.0.0.1", sink.port), timeout=30) as impatient:
        impatient.sendall(b"EHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n\r\nHello\r\n.\r\n")
        assert wait_for(lambda: len(sink.mails) == 1, 30)
    time.sleep(0.4)
    with _connect(sink) as relay:
        relay.sendmail(*MAIL)
    assert len(sink.mails) == 2
