"""The relays of the bench: postfix's smtp-sink that counts, a proxy that is 20 ms away, one that takes notes."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentinel import PortReservation, wait_for
from tests.bench.processes import BenchError, Child

_HERE = Path(__file__).parent
_LAST_NOTE_BYTES = 200


class CountingSink:
    """A running smtp-sink; it rewrites one line of counts after each mail (`-c`), which costs it little."""

    def __init__(self, child: Child, port: int) -> None:
        self._child = child
        self.port = port

    def mails(self) -> int:
        """Give how many mails it has taken."""
        with self._child.log.open("rb") as notes:
            size = notes.seek(0, os.SEEK_END)
            notes.seek(max(0, size - _LAST_NOTE_BYTES))
            # Each note ends with \r; what stands behind the last one is not whole yet.
            whole = notes.read().rpartition(b"\r")[0]
        count = whole.rpartition(b"mesg=")[2].split(maxsplit=1)
        return int(count[0]) if count and count[0].isdigit() else 0


@contextmanager
def counting_sink(room: Path) -> Iterator[CountingSink]:
    """Run postfix's smtp-sink on loopback."""
    as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()  # smtp-sink binds without SO_REUSEADDR
    command = [_postfix("smtp-sink"), "-c", *as_nobody, f"127.0.0.1:{port}", "100"]
    with Child("smtp-sink", command, _bare_environment(), room) as child:
        wait_until_listening(port, child)
        yield CountingSink(child, port)


@contextmanager
def far_away(port: int, delay_ms: int, room: Path) -> Iterator[int]:
    """Give the port of a relay whose every reply comes `delay_ms` late; the relay itself where that is 0."""
    if not delay_ms:
        yield port
        return
    command = [sys.executable, str(_HERE / "delaying_proxy.py"), str(port), str(delay_ms)]
    with Child("delaying-proxy", command, _bare_environment(), room) as child:
        yield _told_port(child)


class RecordingSink:
    """Knows when each mail came, by recipient, in seconds of the monotonic clock."""

    def __init__(self, port: int, notes: Path) -> None:
        self.port = port
        self._notes = notes

    def arrivals(self) -> dict[str, float]:
        """Give the first arrival of each recipient's mail."""
        found: dict[str, float] = {}
        for line in self._notes.read_text().splitlines():
            recipient, _, at = line.partition(" ")
            if at:
                found.setdefault(recipient, float(at))
        return found


@contextmanager
def recording_sink(room: Path) -> Iterator[RecordingSink]:
    """Run our own sink that takes notes."""
    notes = room / "arrivals.txt"
    command = [sys.executable, str(_HERE / "recording_sink.py"), str(notes)]
    with Child("recording-sink", command, _bare_environment(), room) as child:
        yield RecordingSink(_told_port(child), notes)


def smtp_source(port: int, mails: int, mail_bytes: int, room: Path) -> None:
    """Have postfix's smtp-source hand over mails in one persistent session; returns when it is through."""
    command = [
        *(_postfix("smtp-source"), "-d", "-s", "1", "-m", str(mails), "-l", str(mail_bytes)),
        *("-f", "verifier@localhost", "-t", "user000001@example.org", f"127.0.0.1:{port}"),
    ]
    with Child("smtp-source", command, _bare_environment(), room) as child:
        child.wait_for_success(timeout_s=120)


def reply_delay_ms(port: int, samples: int = 20) -> float:
    """Measure how long a relay takes to answer NOOP, in milliseconds: the median."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.recv(1000)
        taken = []
        for _ in range(samples):
            began = time.perf_counter()
            client.sendall(b"NOOP\r\n")
            client.recv(1000)
            taken.append(time.perf_counter() - began)
        client.sendall(b"QUIT\r\n")
    return sorted(taken)[samples // 2] * 1000


def wait_until_listening(port: int, child: Child, timeout_s: float = 30) -> None:
    """Wait until a child takes connections. Raises BenchError."""
    if not wait_for(lambda: _listens(port) or not child.running, timeout_s) or not child.running:
        raise BenchError(f"{child.name} does not listen:\n{child.last_words()}")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _told_port(child: Child) -> int:
    child.wait_until_it_says("\n", timeout_s=10)
    return int(child.said().split()[0])


def _bare_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "")}


def _postfix(name: str) -> str:
    found = shutil.which(name, path=f"/usr/sbin:/sbin:{os.environ.get('PATH', '')}")
    if found is None:
        raise BenchError(f"No {name} found: install postfix (Debian and Ubuntu: apt install postfix).")
    return found
