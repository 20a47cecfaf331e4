"""The service under drill: one gunicorn and some workers, as processes that may be harmed."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from sentinel import wait_for
from verifier.drill.rig.process import STOP_TIMEOUT_S, DrillProcess
from verifier.drill.rig.systems import PROJECT, SystemUnderTest

START_TIMEOUT_S = 60.0
_NOT_HANDED_ON = ("VERIFIER_", "FLASK_", "WERKZEUG_", "PYTEST_")


class ServiceStartError(Exception):
    """The service under drill did not start; the message holds the end of a log."""


class Service:
    """Web and workers of one contestant."""

    def __init__(
        self, contestant: SystemUnderTest, settings: Mapping[str, str], room: Path, port: int
    ) -> None:
        """Plan it; `start` starts it. `room` is its working directory, away from anybody's .env file."""
        self.contestant = contestant
        self.port = port
        self.workers: list[DrillProcess] = []
        self.killed: list[DrillProcess] = []
        self._room = room
        self._web: DrillProcess | None = None
        self._servers = 0
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
        self._environment = {
            **inherited,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            **settings,
            **contestant.settings,
        }

    @property
    def web(self) -> DrillProcess:
        """The gunicorn, which was started."""
        assert self._web is not None  # noqa: S101 - for the type checker
        return self._web

    @property
    def ended_workers(self) -> list[DrillProcess]:
        """Those that ended without having been killed by the drill."""
        return [each for each in self.workers if each.exit_code is not None]

    def start(self, workers: int) -> None:
        """Start everything and wait until it works.

        Raises:
            ServiceStartError: something did not start.
        """
        command = self.contestant.web(self.port)
        self._web = DrillProcess("web", command, self._environment, self._room)
        for _ in range(workers):
            self.add_worker()
        for worker in self.workers:
            self.await_worker(worker)
        self._require(self.web, self._answers)
        self._servers = len(self.serving())

    def add_worker(self) -> DrillProcess:
        """Start one more worker without waiting for it."""
        name = f"worker-{len(self.workers) + len(self.killed) + 1}"
        worker = DrillProcess(name, self.contestant.worker, self._environment, self._room)
        self.workers.append(worker)
        return worker

    def kill_worker(self) -> DrillProcess:
        """Kill the first worker with -9."""
        worker = self.workers.pop(0)
        worker.kill()
        self.killed.append(worker)
        return worker

    def await_worker(self, worker: DrillProcess) -> None:
        """Wait until a worker takes jobs. Raises ServiceStartError."""
        says = self.contestant.worker_says
        self._require(worker, lambda: says in worker.log.read_text(errors="replace"))

    def start_afresh(self) -> None:
        """End everything and start it again, as it was in the beginning."""
        workers = len(self.workers)
        self.stop()
        self.killed.extend(self.workers)  # so that the new ones get names and logs of their own
        self.workers.clear()
        self.start(workers)

    def replace_ended(self) -> None:
        """Start a new worker for each that ended by itself, so that the next fault finds a whole service."""
        for ended in self.ended_workers:
            self.workers.remove(ended)
            self.killed.append(ended)
            self.await_worker(self.add_worker())

    def serving(self) -> list[int]:
        """Give the ids of the processes that serve requests."""
        return self.web.children()

    def is_whole(self) -> bool:
        """Tell whether as many processes serve as in the beginning."""
        return self.web.exit_code is None and len(self.serving()) >= self._servers

    def processes(self) -> dict[str, int]:
        """Give name and id of every process that works with Redis, except gunicorn's own parent process."""
        web = {f"web-{pid}": pid for pid in self.serving()}
        return web | {each.name: each.pid for each in self.workers if each.exit_code is None}

    def stop(self) -> None:
        """End everything."""
        mine = [*self.workers, *([self._web] if self._web else [])]
        for process in mine:
            process.ask_to_end()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in mine:
            process.wait_until_ended(deadline)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    @staticmethod
    def _require(process: DrillProcess, works: Callable[[], bool]) -> None:
        wait_for(lambda: process.exit_code is not None or works(), START_TIMEOUT_S)
        if process.exit_code is not None or not works():
            tail = "\n".join(process.log.read_text(errors="replace").splitlines()[-15:])
            raise ServiceStartError(f"{process.name} did not start; the end of its log:\n{tail}")
