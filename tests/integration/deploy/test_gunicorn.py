"""gunicorn with our settings: wrong settings do not end what runs, and neither HUP nor TERM loses a request."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest
from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.support.web import Web

REFUSED = "refused"


@pytest.fixture(scope="module")
def lasting(topology: LocalTopology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A gunicorn for all tests that leave it running."""
    topology.heal()
    with Web(topology, tmp_path_factory.mktemp("web")) as running:
        running.wait_until_it_answers()
        yield running


@pytest.fixture
def web(lasting: Web, master: Redis) -> Web:
    """One with right settings, both of whose processes serve; its output is what it writes from here on."""
    assert master.ping()
    lasting.dotenv.write_text("")
    assert wait_for(lasting.all_serve, 60), lasting.output()
    lasting.forget_output()
    return lasting


@pytest.fixture
def ending_web(topology: LocalTopology, master: Redis, tmp_path: Path) -> Iterator[Web]:
    """A gunicorn of the test's own."""
    assert master.ping()
    with Web(topology, tmp_path) as running:
        running.wait_until_it_answers()
        yield running


class Visitors:
    """Post addresses without a pause, each visitor over a connection that is kept while it is open."""

    def __init__(self, web: Web, count: int = 8) -> None:
        self._web = web
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._visit, args=(each,), daemon=True) for each in range(count)
        ]
        self.answers: list[int | str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert wait_for(lambda: len(self.answers) > 20, 60), self.answers
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)

    def go_on(self) -> bool:
        """Return whether more is answered from now on."""
        before = self.answers.count(201)
        return wait_for(lambda: self.answers.count(201) > before + 20, 30)

    def _visit(self, visitor: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._web.port, timeout=60)
        number = 0
        while not self._stop.wait(0.1):
            number += 1
            self.answers.append(_submit(connection, f"visitor-{visitor}-{number}@example.com"))
        connection.close()


def _submit(connection: http.client.HTTPConnection, address: str) -> int | str:
    """Post an address over a connection that may be open; return the status, or what happened instead."""
    try:
        if connection.sock is None:
            connection.connect()
    except ConnectionRefusedError:
        return REFUSED
    body = json.dumps({"to": address})
    try:
        connection.request("POST", "/v1/verifications", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return repr(error)
    return response.status


def test_a_worker_process_that_cannot_boot_does_not_end_the_service(web: Web) -> None:
    """It is killed while the settings are wrong: the other one serves, and it comes back once they are right."""
    first, second = web.children()
    web.dotenv.write_text("VERIFIER_CODE_LIFETIME=soon\n")
    os.kill(first, signal.SIGKILL)
    web.wait_for_output("could not boot", 30)
    assert "VERIFIER_CODE_LIFETIME" in web.output()
    assert second in web.children()
    assert web.answers()
    os.kill(second, signal.SIGKILL)
    assert wait_for(lambda: web.output().count("could not boot") >= 3, 60), web.output()
    web.dotenv.write_text("")
    assert wait_for(web.answers, 60), web.output()
    assert web.exit_code is None


def test_wrong_settings_at_the_first_start_end_it_with_the_sentence(
    topology: LocalTopology, tmp_path: Path
) -> None:
    """Nobody waits for a service that never was."""
    with Web(topology, tmp_path, VERIFIER_CODE_LIFETIME="soon") as web:
        assert wait_for(lambda: web.exit_code is not None, 30), web.output()
        assert web.exit_code == 3
    assert "Verifier can't start:\nVERIFIER_CODE_LIFETIME: " in web.output()
    assert "Traceback" not in web.output()


def test_a_reload_with_wrong_settings_changes_nothing(web: Web) -> None:
    """The processes that run go on, and the log says what is wrong."""
    before = web.children()
    web.dotenv.write_text("VERIFIER_CODE_LIFETIME=soon\n")
    with Visitors(web) as visitors:
        web.reload()
        web.wait_for_output("Nothing is reloaded", 30)
        assert visitors.go_on()
    assert set(visitors.answers) == {201}
    assert web.children() == before
    assert "VERIFIER_CODE_LIFETIME" in web.output()


def test_a_reload_loses_no_request(web: Web) -> None:
    """All processes are replaced three times while visitors post; nobody is refused or cut off."""
    with Visitors(web) as visitors:
        for _ in range(3):
            before = set(web.children())
            web.reload()
            assert wait_for(lambda before=before: not before & set(web.children()), 60), web.output()
            assert visitors.go_on()
    assert set(visitors.answers) == {201}


def test_a_stop_answers_what_was_sent_and_refuses_the_rest_at_once(ending_web: Web) -> None:
    """Whoever connects later is refused at once, rather than left in a queue that nobody serves."""
    with Visitors(ending_web) as visitors:
        ending_web.terminate()
        assert wait_for(lambda: ending_web.exit_code is not None, 60), ending_web.output()
        assert wait_for(lambda: REFUSED in visitors.answers, 60)
    assert set(visitors.answers) == {201, REFUSED}
    assert ending_web.exit_code == 0


def test_a_stop_waits_for_the_request_in_hand_and_lets_nobody_wait_behind_it(
    ending_web: Web, topology: LocalTopology
) -> None:
    """The master hangs, so a request waits: it is answered in the end, while a new connection is refused meanwhile."""
    answers: list[int | str] = []
    connection = http.client.HTTPConnection("127.0.0.1", ending_web.port, timeout=30)
    assert ending_web.answers()
    topology.current_master().pause()
    try:
        visitor = threading.Thread(
            target=lambda: answers.append(_submit(connection, "waits@example.com")), daemon=True
        )
        visitor.start()
        assert wait_for(lambda: _is_served(ending_web), 60)
        ending_web.terminate()
        assert wait_for(lambda: _refuses(ending_web), 60)
        refused_at = time.monotonic()
        visitor.join(40)
        assert time.monotonic() >= refused_at
    finally:
        topology.heal()
        connection.close()
    assert answers in ([201], [503])
    assert wait_for(lambda: ending_web.exit_code == 0, 40), ending_web.output()


@pytest.mark.parametrize(
    ("request_line", "status", "ends_with"),
    [
        ("GET /livez", b"200", b"}\n"),
        ("HEAD /livez", b"200", b"\r\n\r\n"),
        ("GET /", b"200", b"</html>"),
        ("GET /nowhere", b"404", b"</html>"),
        ("GET /static/verifier.css", b"200", b"}\n"),
    ],
)
def test_an_answer_is_whole_and_its_head_does_not_come_before_its_body(
    web: Web, request_line: str, status: bytes, ends_with: bytes
) -> None:
    """Also one without a body, and a file, which the system sends; on a connection that goes on."""
    with socket.create_connection(("127.0.0.1", web.port), 30) as sock:
        for _ in range(5):
            sock.sendall(f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            first = sock.recv(1 << 20)
            head, _, body = first.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 " + status)
            told = re.search(rb"(?i)content-length: (\d+)", head)
            assert told is not None
            length = int(told[1])
            is_file = b"/static/" in request_line.encode()
            if request_line.startswith("GET"):
                assert body or is_file
                while len(body) < length:
                    more = sock.recv(1 << 20)
                    assert more
                    body += more
                assert len(body) == length
            assert (head + b"\r\n\r\n" + body).rstrip(b" ").endswith(ends_with)


def _is_served(web: Web) -> bool:
    """Return whether somebody's connection is open in one of the processes that serve."""
    return any(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port == web.port
        for pid in web.children()
        for each in psutil.Process(pid).net_connections("tcp")
    )


def _refuses(web: Web) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return True
    finally:
        connection.close()
    return False


@pytest.mark.parametrize(
    ("header", "value"),
    [("X-Forwarded-Proto", "https"), ("Script-Name", "/elsewhere"), ("SCRIPT_NAME", "/elsewhere")],
)
def test_nobody_is_believed_for_coming_from_loopback(web: Web, header: str, value: str) -> None:
    """Without a proxy in the settings these headers change nothing: no secure cookie, no other address in a link."""
    plain, pretended = web.get("/"), web.get("/", {header: value})
    assert pretended.status == plain.status == 200
    assert "Secure" not in (pretended.getheader("Set-Cookie") or "")
    assert "Strict-Transport-Security" not in pretended.headers
    created = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    body = json.dumps({"to": "somebody@example.com"})
    created.request("POST", "/v1/verifications", body, {"Content-Type": "application/json", header: value})
    response = created.getresponse()
    response.read()
    created.close()
    assert response.status == 201
    assert (response.getheader("Location") or "").startswith("/v1/verifications/")


@pytest.mark.parametrize("path", ["/v1/verifications", "/verify"])
@pytest.mark.parametrize(
    "body",
    ["zz\r\n\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n", "2\r\n{}\r\n0\r\n:a\r\n\r\n"],
    ids=["size", "end", "trailer"],
)
def test_chunks_that_cannot_be_read_are_the_clients_fault(web: Web, path: str, body: str) -> None:
    """400, and no traceback for whoever sends them."""
    kind = "application/json" if path.startswith("/v1") else "application/x-www-form-urlencoded"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=60) as connection:
        connection.sendall(f"{head}{body}".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
    assert response.status == 400
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert "Traceback" not in web.output()


def test_chunks_are_read(web: Web) -> None:
    """A body that says its length as it goes is like any other."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    body = iter([b'{"to": "a@exa', b'mple.org"}'])
    connection.request(
        "POST", "/v1/verifications", body, {"Content-Type": "application/json"}, encode_chunked=True
    )
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["to"]) == (201, "a@example.org")
    connection.close()
