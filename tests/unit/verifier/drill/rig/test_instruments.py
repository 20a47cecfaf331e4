"""The drill's instruments: load, recording mail server, attempts to connect, alarms, usage."""

from __future__ import annotations

import asyncio
import os
import smtplib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import psutil
import pytest

from sentinel import Endpoint, wait_for
from tests.bench.memory import cpu_seconds_of_tree, memory_of_tree
from verifier.drill.rig.connection_attempts import ConnectionAttempts
from verifier.drill.rig.log_alarm import LogAlarm
from verifier.drill.rig.loop_thread import loop_in_a_thread
from verifier.drill.rig.mail_sink import MailSink
from verifier.drill.rig.measurement import usage_of
from verifier.drill.rig.open_load import OpenLoad, Submission
from verifier.drill.rig.process import RigError, RigProcess


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with loop_in_a_thread() as running:
        yield running


@pytest.fixture
def sink(loop: asyncio.AbstractEventLoop) -> Iterator[MailSink]:
    with MailSink(loop) as listening:
        yield listening


class _Web(BaseHTTPRequestHandler):
    """Accepts a few, then refuses clearly, then hangs up without a word."""

    protocol_version = "HTTP/1.1"
    asked = count(1)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        number = next(_Web.asked)
        if number > 8:
            self.close_connection = True
            return
        status = 201 if number <= 4 else 503
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if status == 503:
            self.send_header("Retry-After", "3")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def web() -> Iterator[int]:
    _Web.asked = count(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _sent(loop: asyncio.AbstractEventLoop, port: int, number: int) -> list[Submission]:
    load = OpenLoad(port, "test", rate=100)
    sending = asyncio.run_coroutine_threadsafe(load.run(), loop)
    assert wait_for(lambda: len(load.submissions) >= number, 30)
    load.stop()
    sending.result(timeout=30)
    return load.submissions


def test_load_tells_accepted_refused_and_cut_off_apart(loop: asyncio.AbstractEventLoop, web: int) -> None:
    """Each request's answer is kept, or how it failed; a connection that ends without one was cut off."""
    submissions = _sent(loop, web, 12)
    assert sum(each.accepted for each in submissions) == 4
    assert sum(each.status == 503 and each.retry_after == "3" for each in submissions) == 4
    assert [each.failure for each in submissions if not each.status] == ["cut off"] * (len(submissions) - 8)
    assert len({each.recipient for each in submissions}) == len(submissions) >= 12


def test_load_goes_on_where_nobody_listens(loop: asyncio.AbstractEventLoop) -> None:
    """A refused connection is a failure with a name, and ends nothing."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        submissions = _sent(loop, unused.getsockname()[1], 3)
    assert all(each.failure.startswith("ConnectionRefusedError") for each in submissions)


def test_paused_load_starts_nothing(loop: asyncio.AbstractEventLoop, web: int) -> None:
    """While it is paused there are no requests; afterwards the schedule goes on from there."""
    load = OpenLoad(web, "test", rate=100)
    load.pause()
    sending = asyncio.run_coroutine_threadsafe(load.run(), loop)
    time.sleep(0.1)
    assert load.submissions == []
    load.resume()
    assert wait_for(lambda: len(load.submissions) > 1, 30)
    load.stop()
    sending.result(timeout=30)
    assert all(each.waited_s < 30 for each in load.submissions)


def test_sink_keeps_recipient_id_and_code(sink: MailSink) -> None:
    """Two mails in one session, as smtplib sends them, with dots at the beginning of a line."""
    message = EmailMessage()
    message["Subject"], message["Message-ID"] = "012345 is your code", "<1@example.org>"
    message.set_content("..\n.\nThe end.\n")
    with smtplib.SMTP("127.0.0.1", sink.port, local_hostname="localhost", timeout=30) as relay:
        for recipient in ("a@example.org", "b@example.org"):
            relay.send_message(message, "sender@example.org", [recipient])
    assert [(each.recipient, each.message_id, each.code) for each in sink.mails] == [
        ("a@example.org", "<1@example.org>", "012345"),
        ("b@example.org", "<1@example.org>", "012345"),
    ]


def test_sink_understands_pipelining(sink: MailSink) -> None:
    """Commands that come in one packet are all obeyed, and those it does not know are refused."""
    with socket.create_connection(("127.0.0.1", sink.port), timeout=30) as client:
        client.sendall(b"EHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n")
        client.sendall(b"Subject: 7 is\r\n\r\nHello\r\n.\r\nVRFY a\r\nQUIT\r\n")
        replies = b"".join(iter(lambda: client.recv(4096), b""))
    codes = [line[:3] for line in replies.splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"502", b"221"]
    assert [each.code for each in sink.mails] == ["7"]


def test_attempts_are_counted_for_the_process_that_makes_them() -> None:
    """Who tries to connect with a dead server is found by the socket it holds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", free.getsockname()[1])
    with ConnectionAttempts([endpoint], lambda: {"us": os.getpid()}) as attempts:
        for _ in range(3):
            with socket.create_connection(endpoint, timeout=30) as client:
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
    alarm_s = alarm.first_after(began)
    assert alarm_s is not None
    assert 0 <= alarm_s < 30


def test_usage_of_a_living_and_of_a_dead_process() -> None:
    """CPU time and memory are read while there is a process, and nothing afterwards."""
    usage = usage_of({"us": os.getpid(), "gone": 2**22 + 1})
    assert list(usage) == ["us"]
    assert usage["us"].cpu_s > 0
    assert usage["us"].memory_bytes > 1024 * 1024


def test_cost_of_a_process_includes_what_it_started() -> None:
    """Memory is measured process by process, the peak too; of one that is gone there is nothing."""
    with subprocess.Popen(["sleep", "60"]) as child:
        memories = memory_of_tree(os.getpid())
        child.kill()
    assert [each.pid for each in memories[:1]] == [os.getpid()]
    assert "sleep 60" in [each.name for each in memories]
    assert all(each.peak_mb >= each.rss_mb >= each.pss_mb > 0 for each in memories)
    assert cpu_seconds_of_tree(os.getpid()) > 0
    assert memory_of_tree(2**22 + 1) == []


def test_process_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    """Also what went into a session of its own; its output is its own although the log is shared."""
    (tmp_path / "shell.log").write_text("of an earlier process\n")
    command = ["/bin/sh", "-c", "setsid sleep 60 & echo $!; wait"]
    with RigProcess("shell", command, {"PATH": os.environ["PATH"]}, tmp_path) as process:
        process.wait_for_output("\n", 30)
        child = int(process.output())
        assert psutil.pid_exists(child)
    assert process.exit_code is not None
    assert wait_for(lambda: not psutil.pid_exists(child) or _is_zombie(child), 30)


def test_failed_process_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """The error names the process and says how it ended."""
    with (
        RigProcess("shell", ["/bin/sh", "-c", "echo sorry; exit 3"], {}, tmp_path) as process,
        pytest.raises(RigError, match=r"(?s)shell ended with code 3.*sorry"),
    ):
        process.wait_for_success(30)


def _is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
