"""The code is nowhere but in the mail: not in Redis, not in its files, not on the wire to it, not in the logs."""

from __future__ import annotations

import logging
import re
import socket
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import pytest
from redis import Redis

from sentinel import LocalNode, LocalTopology, wait_for
from tests.support.apps import container_of
from tests.support.sink import MailSink
from tests.support.workers import RunningWorker
from verifier import create_app
from verifier.settings import Settings
from verifier.store import keyspace


class Wire:
    """What a node is told, from entry to exit: the commands of everybody, and those within scripts."""

    def __init__(self, topology: LocalTopology, node: LocalNode) -> None:
        assert topology.credentials is not None
        drill = topology.credentials.redis_drill
        self._login = f"AUTH {drill.username} {drill.password}\r\nMONITOR\r\n".encode()
        self._socket = socket.create_connection(node.endpoint, timeout=30)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.heard = b""

    def __enter__(self) -> Self:
        self._socket.sendall(self._login)
        self._thread.start()
        assert wait_for(lambda: self.heard.count(b"+OK") == 2, 60)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._socket.close()

    def _listen(self) -> None:
        while heard := self._socket.recv(65536):
            self.heard += heard


def _holds(data: bytes, code: str) -> bool:
    """Return whether the code stands in data, compressed or not; not as a part of a longer number."""
    number = re.compile(rb"(?<![0-9.])" + code.encode() + rb"(?![0-9])")
    if number.search(data):
        return True
    try:
        return number.search(zlib.decompress(data)) is not None
    except zlib.error:
        return False


def _values(client: Redis, key: bytes) -> Iterator[bytes]:
    readers: dict[str, Any] = {
        "none": list,  # gone since it was listed
        "string": lambda: [client.get(key)],
        "hash": lambda: [text for pair in client.hgetall(key).items() for text in pair],
        "list": lambda: client.lrange(key, 0, -1),
        "set": lambda: client.smembers(key),
        "zset": lambda: [text for pair in client.zrange(key, 0, -1, withscores=True) for text in pair],
        "stream": lambda: [
            text for _, fields in client.xrange(key) for pair in fields.items() for text in pair
        ],
    }
    kind: Any = client.type(key)
    for value in readers[kind.decode()]():
        yield value if isinstance(value, bytes) else repr(value).encode()


def _keys_with(code: str, client: Redis) -> list[bytes]:
    """Return the keys that hold a code, in their name or anywhere in their value."""
    keys: Any = client.keys("*")
    return [
        key for key in keys if _holds(key, code) or any(_holds(value, code) for value in _values(client, key))
    ]


def _files_with(code: str, topology: LocalTopology) -> list[str]:
    """Return the files of all nodes that hold a code."""
    files = [file for node in topology.nodes for file in node.directory.rglob("*") if file.is_file()]
    assert any("appendonly" in file.name for file in files)
    return [str(file) for file in files if _holds(file.read_bytes(), code)]


@pytest.fixture
def binary(topology: LocalTopology, master: Redis) -> Iterator[Redis]:
    """The superuser's client with values as they are."""
    assert topology.credentials is not None
    drill = topology.credentials.redis_drill
    endpoint = topology.current_master().endpoint
    with Redis(
        endpoint.host,
        endpoint.port,
        username=drill.username,
        password=drill.password,
        driver_info=None,
        protocol=2,
    ) as client:
        yield client


PLACES = {
    "string": lambda client, code: client.set("x", f"code {code}."),
    "key": lambda client, code: client.set(f"code:{code}", ""),
    "field": lambda client, code: client.hset("x", code, ""),
    "value": lambda client, code: client.hset("x", "y", code),
    "compressed": lambda client, code: client.hset("x", "data", zlib.compress(f'["{code}"]'.encode())),
    "list": lambda client, code: client.rpush("x", "y", code),
    "set": lambda client, code: client.sadd("x", code),
    "member": lambda client, code: client.zadd("x", {code: 1}),
    "score": lambda client, code: client.zadd("x", {"y": int(code)}),
    "stream": lambda client, code: client.xadd("x", {"y": code}),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_code_would_be_found(
    place: str, topology: LocalTopology, binary: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it were written: the searches of the next test can fail."""
    code = "314159"
    caplog.set_level(logging.DEBUG)
    with Wire(topology, topology.current_master()) as wire:
        assert _keys_with(code, binary) == []
        PLACES[place](binary, code)
        assert len(_keys_with(code, binary)) == 1
        assert wait_for(lambda: _holds(wire.heard, code) or place == "compressed", 60)
    if place != "compressed":
        assert wait_for(lambda: bool(_files_with(code, topology)), 60)
    logging.getLogger("anything").debug("The code is %s", code)
    assert _holds(caplog.text.encode(), code)


@pytest.mark.parametrize("digits", [6, 10])
def test_the_code_is_in_the_mail_only(
    *,
    digits: int,
    topology: LocalTopology,
    mailing: Settings,
    sink: MailSink,
    binary: Redis,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Through a whole life: started, mailed, typed wrong, resent, typed right; with a retry by recovery."""
    caplog.set_level(logging.DEBUG)
    sink.replies = ["451 4.7.1 not now"]
    settings = replace(
        mailing, rules=replace(mailing.rules, code_digits=digits, resend_after_s=0, max_check_attempts=5)
    )
    app = create_app(settings)
    api = app.test_client()
    address = f"secret-{digits}@example.org"
    found_meanwhile: list[bytes] = []
    with Wire(topology, topology.current_master()) as wire, RunningWorker(settings) as running:
        verification_id = (api.post("/v1/verifications", json={"to": address}).json or {})["id"]
        running.wait(
            lambda: (api.get(f"/v1/verifications/{verification_id}").json or {})["delivery"]["next_try_at"]
        )
        assert binary.zadd(keyspace.DUE, {verification_id: 1}, xx=True, ch=True) == 1
        code = re.findall(r"\d+", str(sink.wait_for_mail(address)["Subject"]))[0]
        assert len(code) == digits
        found_meanwhile += _keys_with(code, binary)
        wrong = str((int(code) + 1) % 10**digits).zfill(digits)
        url = f"/v1/verifications/{verification_id}"
        assert (api.post(f"{url}/check", json={"code": wrong}).json or {})["valid"] is False
        assert api.post(f"{url}/resend").status_code == 200
        found_meanwhile += _keys_with(code, binary)
        running.wait(lambda: len(sink.sent_to(address)) == 2)
        assert code in str(sink.sent_to(address)[-1]["Subject"])
        assert api.get(f"/verify/{verification_id}").status_code == 404  # no page's
        assert (api.post(f"{url}/check", json={"code": code}).json or {})["valid"] is True
        assert api.get(f"/verify/{verification_id}").status_code == 404  # no page's
        found_meanwhile += _keys_with(code, binary)
    container_of(app).link.close()
    assert verification_id.encode() in wire.heard
    assert verification_id in caplog.text
    assert found_meanwhile == []
    assert _files_with(code, topology) == []
    assert not _holds(wire.heard, code)
    assert not _holds(caplog.text.encode(), code)
    output = capfd.readouterr()
    assert not _holds(f"{output.out}{output.err}".encode(), code)
