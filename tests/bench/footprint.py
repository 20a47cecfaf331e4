"""What the whole service holds in memory after its first verifications: `python -m tests.bench.footprint`.

It is the service of `flask run` as anybody starts it: app, worker, mailbox, three Redis and three Sentinels.
Each verification goes all the way: posted, mailed, its code read from the mailbox and checked.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sentinel import PortReservation
from tests.bench.memory import Memory, memory_of_tree
from tests.bench.sinks import wait_until_listening
from tests.bench.sizes import FULL, Sizes
from verifier.drill.rig.process import RigError, RigProcess
from verifier.drill.rig.systems import PROJECT, bare_environment

BATCH = 50
MAIL_TIMEOUT_S = 30.0
GOAL_MB = 250
_HEADER = re.compile(rb"^(Subject|To): *(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Footprint:
    """Each process of the service."""

    verifications: int
    processes: list[Memory]

    @property
    def rss_mb(self) -> float:
        """The sum of what is resident; pages that processes share are counted for each of them."""
        return sum(memory.rss_mb for memory in self.processes)

    @property
    def pss_mb(self) -> float:
        """The same with shared pages counted once: what the machine gives for it."""
        return sum(memory.pss_mb for memory in self.processes)


def measure_footprint(sizes: Sizes) -> Footprint:
    """Start the service, verify, measure, stop it."""
    with _service() as (process, port, directory):
        _verify_all(port, directory, sizes.footprint_verifications)
        time.sleep(1.0)  # the last settlement
        memories = memory_of_tree(process.pid)
    return Footprint(sizes.footprint_verifications, [_named(memory) for memory in memories])


@contextmanager
def _service() -> Iterator[tuple[RigProcess, int, Path]]:
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    with tempfile.TemporaryDirectory(prefix="verifier-footprint-") as name:
        directory = Path(name)
        environment = {
            **bare_environment(),
            "PYTHONPATH": str(PROJECT),
            # All comes from one client.
            "VERIFIER_RATE_LIMITS_ENABLED": "false",
            # Its mailbox is made there, where we find it.
            "TMPDIR": name,
        }
        command = [
            sys.executable,
            "-m",
            "flask",
            "--app",
            str(PROJECT / "wsgi.py"),
            "run",
            "--port",
            str(port),
        ]
        with RigProcess("flask-run", command, environment, directory) as process:
            wait_until_listening(port, process)
            yield process, port, directory


def _verify_all(port: int, directory: Path, how_many: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    mailbox = Mailbox(directory)
    for start in range(0, how_many, BATCH):
        ids = {}
        for number in range(start, min(start + BATCH, how_many)):
            address = f"user{number:06d}@example.org"
            ids[address] = _post(connection, "", {"to": address})["id"]
        for address, code in mailbox.codes(set(ids)).items():
            if _post(connection, f"/{ids[address]}/check", {"code": code})["valid"] is not True:
                raise RigError(f"The code in the mail to {address} was refused.")
    connection.close()


def _post(connection: http.client.HTTPConnection, path: str, body: dict[str, str]) -> dict[str, object]:
    head = {"Content-Type": "application/json"}
    connection.request("POST", f"/v1/verifications{path}", json.dumps(body), head)
    response = connection.getresponse()
    answer: dict[str, object] = json.loads(response.read())
    if response.status not in {200, 201}:
        raise RigError(f"POST {path or '/'} was answered with {response.status}: {answer}")
    return answer


class Mailbox:
    """The codes in the development mailbox, a Maildir; each file is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: set[Path] = set()

    def codes(self, addresses: set[str]) -> dict[str, str]:
        """Wait for a mail to each address; return the codes by address."""
        found: dict[str, str] = {}
        deadline = time.monotonic() + MAIL_TIMEOUT_S
        while addresses - found.keys():
            if time.monotonic() > deadline:
                raise RigError(f"{len(addresses - found.keys())} mails did not come.")
            for path in set(self._directory.glob("verifier-mailbox-*/mails/new/*")) - self._read:
                self._read.add(path)
                headers = dict(_HEADER.findall(path.read_bytes()))
                found[headers[b"To"].decode()] = headers[b"Subject"].decode()
            time.sleep(0.01)
        return found


def _named(memory: Memory) -> Memory:
    """Name it for people in place of its command line."""
    words = memory.name
    if "redis-server" in words:
        name = "Sentinel" if "[sentinel]" in words or "sentinel.conf" in words else "Redis"
    elif " worker" in words:
        name = "worker"
    else:
        name = "web, with the development mailbox" if " run" in words else words[:40]
    return Memory(memory.pid, name, memory.rss_mb, memory.peak_mb, memory.pss_mb)


def table(found: Footprint) -> str:
    """Return the table for people."""
    lines = ["| process | RSS, MB | PSS, MB |", "|---|--:|--:|"]
    lines += [f"| {each.name} | {each.rss_mb:.1f} | {each.pss_mb:.1f} |" for each in found.processes]
    lines.append(f"| **all {len(found.processes)}** | **{found.rss_mb:.0f}** | **{found.pss_mb:.0f}** |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print; the exit code is 1 where the goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--verifications", type=int, default=FULL.footprint_verifications)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure_footprint(Sizes(footprint_verifications=options.verifications))
    if options.json:
        print(json.dumps({"rss_mb": found.rss_mb, "pss_mb": found.pss_mb}))
    else:
        print(f"After {found.verifications} verifications:\n\n{table(found)}\n")
        print(f"Goal: {GOAL_MB} MB in all, {'met' if found.rss_mb <= GOAL_MB else 'NOT met'} (by RSS).")
    sys.exit(found.rss_mb > GOAL_MB)


if __name__ == "__main__":
    main()
