"""One process of the rig: started in a session of its own, logged, signalled, and stopped with all it started.

The kernel kills it when the thread that started it ends, so nothing outlives a drill or a benchmark.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import psutil

from sentinel import tied_to_this_process, wait_for

STOP_TIMEOUT_S = 8.0
_EVERYTHING = 2**40


class RigError(Exception):
    """A process did not start or did not do its work; the sentence says which one, and how its log ends."""


class RigProcess(AbstractContextManager["RigProcess"]):
    """One child; a `with` block stops it at its end."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path
    ) -> None:
        """Start it in `directory`, where its log is kept too; processes of one name share a log."""
        self.name = name
        self.log = directory / f"{name.replace(' ', '-')}.log"
        self._started: list[psutil.Process] = []
        with self.log.open("ab") as output:
            self._log_starts_at = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                tied_to_this_process(command),
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __exit__(self, *_: object) -> None:
        self.terminate()
        self.wait_until_ended(time.monotonic() + STOP_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def children(self) -> list[int]:
        """Return the ids of the processes it started itself, which for gunicorn are those that serve."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.pid).children()]
        return []

    def pause(self) -> None:
        """Pause it and its group (SIGSTOP)."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal_group(signal.SIGCONT)

    def reload(self) -> None:
        """Ask it to read its settings anew (SIGHUP)."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it and everything it started at once (SIGKILL)."""
        for process in [*self._started, *process_tree(self.pid)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._signal_group(signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), without waiting."""
        self._started = process_tree(self.pid)
        self._process.terminate()
        self.resume()

    def wait_until_ended(self, deadline: float) -> None:
        """Wait until the monotonic `deadline`, then kill whatever is left of it and of what it started."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def wait_for_success(self, timeout_s: float) -> None:
        """Wait for its end. Raises RigError where it takes too long or ends with an error."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise RigError(f"{self.name} took longer than {timeout_s:.0f} s.") from None
        if code:
            raise self.failure(f"ended with code {code}")

    def wait_for_output(self, words: str, timeout_s: float) -> None:
        """Wait until its output holds these words. Raises RigError where it ends or takes too long."""
        wait_for(lambda: words in self.output() or self.exit_code is not None, timeout_s)
        if self.exit_code is not None or words not in self.output():
            raise self.failure(f"did not write {words!r} within {timeout_s:.0f} s")

    def output(self, last_bytes: int = _EVERYTHING) -> str:
        """Return what it has written so far, or the last bytes of that."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_starts_at, end - last_bytes))
            return log.read().decode(errors="replace")

    def failure(self, what: str) -> RigError:
        """Return an error that says what it failed at, with the end of its log."""
        tail = "\n".join(self.output().splitlines()[-15:])
        return RigError(f"{self.name} {what}; the end of its log:\n{tail}")

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and all below it; nothing where it is gone."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
