"""The drill's instruments: load, recording mail server, attempts to connect, alarms, usage."""

from __future__ import annotations

import os
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentinel import Endpoint, wait_for
from verifier.drill.rig.connection_attempts import ConnectionAttempts
from verifier.drill.rig.load import Load, Submission
from verifier.drill.rig.log_alarm import LogAlarm
from verifier.drill.rig.loop_thread import LoopThread
from verifier.drill.rig.mail_sink import MailSink
from verifier.drill.rig.usage import read_process, read_processes


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    with LoopThread() as running:
        yield running


@pytest.fixture
def recorder(loop: LoopThread) -> Iterator[MailSink]:
    with MailSink(loop) as listening:
        yield listening


class _Web(BaseHTTPRequestHandler):
    """Accepts a few, then refuses clearly, then hangs up without a word."""

    protocol_version = "HTTP/1.1"
    answered = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        _Web.answered += 1
        if _Web.answered > 8:
            self.close_connection = True
            return
        status = 201 if _Web.answered <= 4 else 503
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if status == 503:
            self.send_header("Retry-After", "3")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[int]:
    _Web.answered = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _sent(loop: LoopThread, port: int, number: int) -> list[Submission]:
    load = Load(port, "test", rate=100)
    sending = loop.start(load.run())
    assert wait_for(lambda: len(load.submissions) >= number, 10)
    load.stop()
    sending.result(timeout=10)
    return load.submissions[:number]


def test_load_tells_accepted_refused_and_cut_off_apart(loop: LoopThread, web: int) -> None:
    """Each request's answer is kept, or how it failed; a connection that ends without one was cut off."""
    submissions = _sent(loop, web, 12)
    assert sum(each.accepted for each in submissions) == 4
    assert sum(each.status == 503 and each.retry_after == "3" for each in submissions) == 4
    assert [each.failure for each in submissions if not each.status] == ["cut off"] * 4
    assert len({each.recipient for each in submissions}) == 12


def test_load_goes_on_where_nobody_listens(loop: LoopThread) -> None:
    """A refused connection is a failure with a name, and ends nothing."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        submissions = _sent(loop, unused.getsockname()[1], 3)
    assert all(each.failure.startswith("ConnectionRefusedError") for each in submissions)


def test_paused_load_starts_nothing(loop: LoopThread, web: int) -> None:
    """While it is paused there are no requests; afterwards the schedule goes on from there."""
    load = Load(web, "test", rate=100)
    load.pause()
    sending = loop.start(load.run())
    time.sleep(0.1)
    assert load.submissions == []
    load.resume()
    assert wait_for(lambda: len(load.submissions) > 1, 10)
    load.stop()
    sending.result(timeout=10)
    assert all(each.waited_s < 5 for each in load.submissions)


def test_recorder_keeps_recipient_id_and_code(recorder: MailSink) -> None:
    """Two mails in one session, as smtplib sends them, with dots at the beginning of a line."""
    message = EmailMessage()
    message["Subject"], message["Message-ID"] = "012345 is your code", "<1@example.org>"
    message.set_content("..\n.\nThe end.\n")
    with smtplib.SMTP("127.0.0.1", recorder.port, local_hostname="localhost", timeout=5) as relay:
        for recipient in ("a@example.org", "b@example.org"):
            relay.send_message(message, "sender@example.org", [recipient])
    assert [(each.recipient, each.message_id, each.code) for each in recorder.mails] == [
        ("a@example.org", "<1@example.org>", "012345"),
        ("b@example.org", "<1@example.org>", "012345"),
    ]


def test_recorder_understands_pipelining(recorder: MailSink) -> None:
    """Commands that come in one packet are all obeyed, and those it does not know are refused."""
    with socket.create_connection(("127.0.0.1", recorder.port), timeout=5) as client:
        client.sendall(b"EHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n")
        client.sendall(b"Subject: 7 is\r\n\r\nHello\r\n.\r\nVRFY a\r\nQUIT\r\n")
        replies = b"".join(iter(lambda: client.recv(4096), b""))
    codes = [line[:3] for line in replies.splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"502", b"221"]
    assert [each.code for each in recorder.mails] == ["7"]


def test_attempts_are_counted_for_the_process_that_makes_them() -> None:
    """Who knocks at a dead server's door is found by the socket it holds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", free.getsockname()[1])
    with ConnectionAttempts([endpoint], lambda: {"us": os.getpid()}) as attempts:
        for _ in range(3):
            with socket.create_connection(endpoint, timeout=5) as client:
                assert client.recv(1) == b""
    assert attempts.counts == {("us", endpoint): 3}


def test_alarm_is_the_first_line_that_is_more_than_information(tmp_path: Path) -> None:
    """Old lines and information do not count; a new warning does, from when it was seen."""
    log = tmp_path / "worker-1.log"
    log.write_text("2026-11-22T15:00:00Z ERROR old: trouble\n")
    alarm = LogAlarm(tmp_path)
    began = time.monotonic()
    with log.open("a") as file:
        file.write("2026-11-22T15:00:01Z INFO all: is well\n")
    alarm.look()
    assert alarm.first_after(began) is None
    with log.open("a") as file:
        file.write("2026-11-22T15:00:02Z WARNING now: look\n")
    alarm.look()
    told_s = alarm.first_after(began)
    assert told_s is not None
    assert 0 <= told_s < 5


def test_usage_of_a_living_and_of_a_dead_process() -> None:
    """CPU time and memory are read while there is a process, and nothing afterwards."""
    reading = read_process(os.getpid())
    assert reading is not None
    assert reading.cpu_s > 0
    assert reading.memory_bytes > 1024 * 1024
    assert read_process(2**22 + 1) is None
    assert list(read_processes({"us": os.getpid(), "gone": 2**22 + 1})) == ["us"]
