"""One server process of the embedded topology, and the faults it can be given.

A process runs in a session of its own, so that Ctrl-C in the terminal reaches us and not the servers. It is
killed by the kernel when the thread that started it ends; therefore a `Spawner` starts all of them in one
thread, which lives as long as the topology. Nothing is left behind even when the parent is killed with -9.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from sentinel.endpoints import Endpoint
from sentinel.local.child import tied_to_this_process
from sentinel.local.waiting import is_listening, wait_for

START_TIMEOUT_S = 20.0
"""How long a server may take to listen; generous, since it counts only when something is wrong."""

STOP_TIMEOUT_S = 3.0
"""The time between SIGTERM and SIGKILL."""


class LocalStartError(Exception):
    """A server of the embedded topology did not start; the message holds the end of its log."""


class Spawner:
    """A thread that starts processes; they live as long as it does."""

    def __init__(self) -> None:
        """Start the thread."""
        self._closed = False
        self._orders: queue.SimpleQueue[
            tuple[Path, Mapping[str, str], Path, Future[subprocess.Popen[bytes]]] | None
        ]
        self._orders = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="topology-spawner", daemon=True)
        self._thread.start()

    def spawn(self, script: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Run a shell script, its output appended to the log.

        Raises:
            LocalStartError: the topology was stopped, or the script cannot be run.
        """
        if self._closed:
            raise LocalStartError("The embedded topology was stopped: start another one.")
        started: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((script, environment, log, started))
        try:
            return started.result()
        except OSError as error:
            raise LocalStartError(f"{script} cannot be run: {error}") from error

    def close(self) -> None:
        """End the thread; whatever it started and still runs is killed by the kernel."""
        self._closed = True
        self._orders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while order := self._orders.get():
            script, environment, log, started = order
            try:
                started.set_result(_spawn(script, environment, log))
            except OSError as error:
                started.set_exception(error)


def _spawn(script: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own script with our own settings
            tied_to_this_process(["/bin/sh", str(script)]),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class LocalNode:
    """A data node or sentinel on loopback: its address, its process, and the faults it can be given."""

    def __init__(
        self, name: str, endpoint: Endpoint, directory: Path, script: Path, environment: Mapping[str, str]
    ) -> None:
        """Describe the server; `spawn` starts it."""
        self.name = name
        self.endpoint = endpoint
        self.directory = directory
        self.log = directory / "log"
        self._script = script
        self._environment = dict(environment)
        self._spawner: Spawner | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        """Name it and its address."""
        return f"<{self.name} at {self.endpoint}>"

    @property
    def pid(self) -> int:
        """The process id; 0 when it does not run."""
        return self._process.pid if self._process is not None and self.running else 0

    @property
    def running(self) -> bool:
        """Whether there is a process, hung ones included."""
        return self._process is not None and self._process.poll() is None

    def spawn(self, spawner: Spawner) -> None:
        """Start the process without waiting for it to listen."""
        self._spawner = spawner
        self._process = spawner.spawn(self._script, self._environment, self.log)

    def order_first_master(self) -> None:
        """Order, once, that a data node without data starts as the first master (see start-redis.sh).

        Raises:
            LocalStartError: the script refuses; the message is its own.
        """
        command = ["/bin/sh", str(self._script), "first-master"]
        ordered = subprocess.run(  # noqa: S603 - our own script with our own settings
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        if ordered.returncode:
            raise LocalStartError(f"{self.name} cannot be the first master: {ordered.stderr.strip()}")

    def wait_until_listening(self) -> None:
        """Wait until connections are accepted.

        Raises:
            LocalStartError: the process ended, or does not listen after START_TIMEOUT_S seconds.
        """
        if not wait_for(
            lambda: not self.running or is_listening(self.endpoint), START_TIMEOUT_S, interval_s=0.005
        ):
            raise LocalStartError(self._complaint(f"does not listen after {START_TIMEOUT_S:.0f} s"))
        if not self.running:
            raise LocalStartError(self._complaint("ended while starting"))

    def kill(self) -> None:
        """End it at once, as `kill -9` or the loss of its machine would."""
        self._signal(signal.SIGKILL)
        self._reap()

    def pause(self) -> None:
        """Hang it: its sockets stay open, nothing is answered (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue it after `pause` (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def shutdown_gracefully(self, timeout_s: float = 15.0) -> None:
        """Ask it to end, as a service manager does (SIGTERM), and wait `timeout_s` seconds before killing it.

        From Redis 7 on, a master waits up to ten seconds for its replicas to catch up.
        """
        self.terminate()
        self.wait_until_ended(time.monotonic() + timeout_s)

    def lose_disk(self) -> None:
        """Kill it and remove all that it wrote, as a machine with a new disk; our log of it stays."""
        self.kill()
        for entry in self.directory.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry != self.log:
                entry.unlink()

    def restart(self, *, wait: bool = True) -> None:
        """Start it again at its port with its data, killing it before when it still runs.

        With `wait=False` it is not waited for: a node without data does not listen before it can join a master.

        Raises:
            LocalStartError: it does not start.
        """
        if self._spawner is None:
            raise LocalStartError(f"{self.name} was never started: start the topology first.")
        if self.running:
            self.kill()
        self.spawn(self._spawner)
        if wait:
            self.wait_until_listening()

    def terminate(self) -> None:
        """Ask it to end without waiting; a hung one is continued, or it would not react."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def wait_until_ended(self, deadline: float) -> None:
        """Wait until the monotonic `deadline`, then kill whatever is left."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Signal the whole session, so that a child rewriting the AOF ends or hangs with its parent."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)

    def _complaint(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"{self.name} at {self.endpoint} {what}; the end of its log:", *lines[-12:]])
