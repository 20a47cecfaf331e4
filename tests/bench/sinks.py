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

from sentinel import Endpoint, PortReservation, is_listening, wait_for
from verifier.drill.rig.process import RigError, RigProcess
from verifier.drill.rig.systems import PROJECT, bare_environment

_PROXY = Path(__file__).with_name("programs") / "delaying_proxy.py"
_LAST_NOTE_BYTES = 200


class CountingSink:
    """A running smtp-sink; it rewrites one line of counts after each mail (`-c`), which costs it little."""

    def __init__(self, process: RigProcess, port: int) -> None:
        self._process = process
        self.port = port

    def mails(self) -> int:
        """Return how many mails it has taken."""
        # Each note ends with \r; what stands behind the last one is not whole yet.
        whole = self._process.output(_LAST_NOTE_BYTES).rpartition("\r")[0]
        count = whole.rpartition("mesg=")[2].split(maxsplit=1)
        return int(count[0]) if count and count[0].isdigit() else 0


@contextmanager
def counting_sink(directory: Path) -> Iterator[CountingSink]:
    """Run postfix's smtp-sink on loopback."""
    as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()  # smtp-sink binds without SO_REUSEADDR
    command = [_postfix("smtp-sink"), "-c", *as_nobody, f"127.0.0.1:{port}", "100"]
    with RigProcess("smtp-sink", command, bare_environment(), directory) as process:
        wait_until_listening(port, process)
        yield CountingSink(process, port)


@contextmanager
def far_away(port: int, delay_ms: int, directory: Path) -> Iterator[int]:
    """Return the port of a relay whose every reply comes `delay_ms` late; the relay itself where that is 0."""
    if not delay_ms:
        yield port
        return
    command = [sys.executable, str(_PROXY), str(port), str(delay_ms)]
    with RigProcess("delaying-proxy", command, bare_environment(), directory) as process:
        yield _port_from(process)


class RecordingSink:
    """Knows when each mail came, by recipient, in seconds of the monotonic clock."""

    def __init__(self, port: int, notes: Path) -> None:
        self.port = port
        self._notes = notes

    def arrivals(self) -> dict[str, float]:
        """Return the first arrival of each recipient's mail."""
        found: dict[str, float] = {}
        for line in self._notes.read_text().splitlines():
            recipient, _, at = line.partition(" ")
            if at:
                found.setdefault(recipient, float(at))
        return found


@contextmanager
def recording_sink(directory: Path) -> Iterator[RecordingSink]:
    """Run the rig's mail sink as a process of its own, which takes notes."""
    notes = directory / "arrivals.txt"
    command = [sys.executable, "-m", "verifier.drill.rig.mail_sink", str(notes)]
    environment = bare_environment() | {"PYTHONPATH": str(PROJECT)}
    with RigProcess("recording-sink", command, environment, directory) as process:
        yield RecordingSink(_port_from(process), notes)


def smtp_source(port: int, mails: int, mail_bytes: int, directory: Path) -> None:
    """Have postfix's smtp-source hand over mails in one persistent session; returns when it is through."""
    command = [
        *(_postfix("smtp-source"), "-d", "-s", "1", "-m", str(mails), "-l", str(mail_bytes)),
        *("-f", "verifier@localhost", "-t", "user000001@example.org", f"127.0.0.1:{port}"),
    ]
    with RigProcess("smtp-source", command, bare_environment(), directory) as process:
        process.wait_for_success(timeout_s=120)


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


def wait_until_listening(port: int, process: RigProcess, timeout_s: float = 30) -> None:
    """Wait until a process takes connections. Raises RigError."""
    endpoint = Endpoint("127.0.0.1", port)
    wait_for(lambda: is_listening(endpoint) or process.exit_code is not None, timeout_s)
    if process.exit_code is not None or not is_listening(endpoint):
        raise process.failure("does not listen")


def _port_from(process: RigProcess) -> int:
    process.wait_for_output("\n", timeout_s=10)
    return int(process.output().split()[0])


def _postfix(name: str) -> str:
    found = shutil.which(name, path=f"/usr/sbin:/sbin:{os.environ.get('PATH', '')}")
    if found is None:
        raise RigError(f"No {name} found: install postfix (Debian and Ubuntu: apt install postfix).")
    return found
