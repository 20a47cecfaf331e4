"""A running system: one gunicorn and some workers, as processes that may be harmed."""

from __future__ import annotations

import itertools
import struct
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from sentinel import PortReservation, wait_for
from verifier.drill.rig.process import STOP_TIMEOUT_S, RigProcess
from verifier.drill.rig.systems import SystemUnderTest

START_TIMEOUT_S = 60.0
RETIRE_TIMEOUT_S = 30.0
KEYS = "VERIFIER_SECRET_KEYS"
ADJUSTABLE_CLOCK = Path(__file__).parent / "adjustable_clock"


class Service(AbstractContextManager["Service"]):
    """Web and workers of one system; a `with` block stops at its end what was started in it."""

    def __init__(self, system: SystemUnderTest, environment: Mapping[str, str], directory: Path) -> None:
        """Plan it. `directory` is its working directory, away from anybody's .env file."""
        self.system = system
        self.workers: list[RigProcess] = []
        self._numbers = itertools.count(1)  # so that each worker gets a name and a log of its own
        self._environment = dict(environment)
        self._directory = directory
        self._web: RigProcess | None = None
        self._servers = 0
        self._ports = PortReservation()
        self.port = self._ports.reserve().port
        # In a file, as a deployment's secrets are: a process that reloads can't be given another environment.
        self._keys_file = directory / f"secret-keys-{self.port}"
        if keys := self._environment.pop(KEYS, ""):
            self.set_keys(keys)
            self._environment[f"{KEYS}_FILE"] = str(self._keys_file)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._ports.release()

    @property
    def web(self) -> RigProcess:
        """The gunicorn, which was started."""
        assert self._web is not None  # noqa: S101 - for the type checker
        return self._web

    @property
    def ended_workers(self) -> list[RigProcess]:
        """Those that ended without having been killed by the drill."""
        return [each for each in self.workers if each.exit_code is not None]

    def start(self, workers: int) -> None:
        """Start web and workers and wait until they work. Raises RigError where one does not."""
        self._web = self._process("web", self.system.web_command(self.port))
        for _ in range(workers):
            self.add_worker()
        for worker in self.workers:
            self.await_worker(worker)
        wait_for(lambda: self._answers() or self.web.exit_code is not None, START_TIMEOUT_S)
        if self.web.exit_code is not None or not self._answers():
            raise self.web.failure("does not answer")
        self._servers = len(self.serving())

    def add_worker(self) -> RigProcess:
        """Start one more worker without waiting for it."""
        worker = self._process(f"worker-{next(self._numbers)}", self.system.command(*self.system.worker))
        self.workers.append(worker)
        return worker

    def replace_worker(self, worker: RigProcess) -> int | None:
        """Start another worker, wait until it takes jobs, then have this one end (SIGTERM); return its exit code.

        Raises:
            RigError: the new one does not start.
        """
        self.await_worker(self.add_worker())
        self.workers.remove(worker)
        worker.terminate()
        worker.wait_until_ended(time.monotonic() + RETIRE_TIMEOUT_S)
        return worker.exit_code

    def reload_web(self) -> None:
        """Have gunicorn replace its processes (SIGHUP). Raises RigError where it does not."""
        before = set(self.serving())
        self.web.reload()
        if not wait_for(lambda: self.is_whole() and not before & set(self.serving()), START_TIMEOUT_S):
            raise self.web.failure("did not replace its processes")

    @property
    def keys(self) -> str:
        """The secret keys, the current one first, as the setting holds them; a peer has none."""
        return self._keys_file.read_text() if self._keys_file.exists() else ""

    def set_keys(self, keys: str) -> None:
        """Change the secret keys of whoever starts or reloads from now on."""
        self._keys_file.write_text(keys)

    def make_clocks_adjustable(self) -> None:
        """Start everything anew, with wall clocks that `shift_clock` moves."""
        path = f"{ADJUSTABLE_CLOCK}:{self._environment['PYTHONPATH']}"
        clocks = {"PYTHONPATH": path, "DRILL_CLOCKS": str(self._directory)}
        plain, self._environment = self._environment, self._environment | clocks
        try:
            self.start_afresh()
        finally:
            self._environment = plain

    def shift_clock(self, process: RigProcess, shift_s: float) -> None:
        """Have the wall clock of a process and of those it forked differ from the machine's by so much."""
        with (self._directory / f"clock-{process.pid}").open("r+b") as file:
            file.write(struct.pack("d", shift_s))

    def kill_worker(self) -> None:
        """Kill the first worker with -9."""
        self.workers.pop(0).kill()

    def await_worker(self, worker: RigProcess) -> None:
        """Wait until a worker takes jobs. Raises RigError where it does not."""
        worker.wait_for_output(self.system.worker_says, START_TIMEOUT_S)

    def start_afresh(self) -> None:
        """End everything and start it again, as it was in the beginning."""
        workers = len(self.workers)
        self.stop()
        self.workers.clear()
        self.start(workers)

    def replace_ended(self) -> None:
        """Start a new worker for each that ended by itself, so that the next fault finds a whole service."""
        for ended in self.ended_workers:
            self.workers.remove(ended)
            self.await_worker(self.add_worker())

    def serving(self) -> list[int]:
        """Return the ids of the processes that serve requests."""
        return self.web.children()

    def is_whole(self) -> bool:
        """Return whether as many processes serve as in the beginning."""
        return self.web.exit_code is None and len(self.serving()) >= self._servers

    def processes(self) -> dict[str, int]:
        """Return name and id of every process that works with Redis, except gunicorn's own parent process."""
        web = {f"web-{pid}": pid for pid in self.serving()}
        return web | {each.name: each.pid for each in self.workers if each.exit_code is None}

    def stop(self) -> None:
        """End everything."""
        processes = [*self.workers, *([self._web] if self._web else [])]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in processes:
            process.wait_until_ended(deadline)

    def _process(self, name: str, command: tuple[str, ...]) -> RigProcess:
        return RigProcess(name, command, self._environment, self._directory)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                return True
        except OSError:
            return False
