"""The example of sentinel/README.md, run as it stands: a Flask view and an RQ worker that survive a failover."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import pytest

from sentinel import (
    LocalNode,
    LocalOptions,
    LocalTopology,
    PortReservation,
    TopologyError,
    tied_to_this_process,
    wait_for,
)
from tests.support.topologies import FAILOVER_WITHIN_S

ROOT = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", flags=re.DOTALL)
# RQ looks after a job that was taken off the queue at the wrong moment a minute later.
DEADLINE_S = 150


class Example:
    """The files of the page in a folder, and what is started there; ends it all on exit."""

    def __init__(self, folder: Path, topology: LocalTopology, port: int) -> None:
        self._folder = folder
        self._port = port
        self._environ = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "SENTINELS": ",".join(str(sentinel) for sentinel in topology.sentinels),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        for name, text in BLOCK.findall((ROOT / "sentinel" / "README.md").read_text(encoding="utf-8")):
            (folder / name).write_text(text, encoding="utf-8")
        self.web = self._start("web", "-m", "flask", "--app", "web", "run", "--port", str(port))
        self.worker = self._start("worker", "worker.py")

    def _start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                tied_to_this_process([sys.executable, *words]),
                cwd=self._folder,
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait(60)

    def log(self, name: str) -> str:
        """What a process has written so far."""
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")

    def enqueue(self, name: str) -> int:
        """Ask the view for a greeting; return the status of the answer."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("POST", f"/greetings/{name}")
            return connection.getresponse().status
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether the view does its work by now."""
        try:
            return self.enqueue("first") == 202
        except OSError:
            return False

    def greeted(self) -> set[str]:
        """Who was greeted by the worker so far."""
        found = self._folder / "greetings.txt"
        return set(found.read_text(encoding="utf-8").split()) if found.exists() else set()


class Caller:
    """Asks for one greeting after the other until it is told to stop."""

    def __init__(self, example: Example) -> None:
        self._example = example
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.accepted: list[str] = []
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _ask(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            name = f"person-{number}"
            try:
                assert self._example.enqueue(name) == 202
            except Exception as error:  # noqa: BLE001 - the test looks at them
                self.errors.append(error)
            else:
                self.accepted.append(name)
            number += 1


def has_moved(topology: LocalTopology, before: LocalNode) -> bool:
    """Whether another node is the master; for a moment, nobody is."""
    try:
        return topology.current_master() is not before
    except TopologyError:
        return False


@pytest.fixture
def plain_topology() -> Iterator[LocalTopology]:
    """One without users, under the master name that the page names."""
    with LocalTopology(LocalOptions(acl=False, master_name="mymaster", down_after_ms=1000)) as running:
        yield running


@pytest.fixture
def example(tmp_path: Path, plain_topology: LocalTopology) -> Iterator[Example]:
    """The page's app and worker, at work."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    with Example(tmp_path, plain_topology, port) as running:
        assert wait_for(running.answers, 60), running.log("web")
        assert wait_for(lambda: "first" in running.greeted(), 60), running.log("worker")
        yield running


def test_the_example_survives_a_failover(example: Example, plain_topology: LocalTopology) -> None:
    """What was accepted before, during and after it is done, no request is refused, and the worker is the same."""
    before = plain_topology.current_master()
    with Caller(example) as caller:
        assert wait_for(lambda: len(caller.accepted) > 10, 60)
        plain_topology.failover()
        assert wait_for(lambda: has_moved(plain_topology, before), FAILOVER_WITHIN_S)
        at_the_move = len(caller.accepted)
        assert wait_for(lambda: len(caller.accepted) > at_the_move + 20, FAILOVER_WITHIN_S), example.log(
            "web"
        )
    assert caller.errors == []
    assert wait_for(lambda: set(caller.accepted) <= example.greeted(), DEADLINE_S), example.log("worker")
    assert plain_topology.current_master() is not before
    assert example.worker.poll() is None
    example.worker.send_signal(signal.SIGTERM)
    assert example.worker.wait(60) == 0, example.log("worker")


def test_the_example_is_complete() -> None:
    """The page shows each file once, and each is short."""
    blocks = BLOCK.findall((ROOT / "sentinel" / "README.md").read_text(encoding="utf-8"))
    assert [name for name, _ in blocks] == ["jobs.py", "web.py", "worker.py"]
    assert all(len([line for line in text.splitlines() if line.strip()]) <= 22 for _, text in blocks)
