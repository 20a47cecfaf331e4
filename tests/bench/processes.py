"""Processes of the bench: they end with it, and tell what they cost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sentinel import tied_to_this_process, wait_for

STOP_TIMEOUT_S = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something did not start or did not do its work; the sentence says what."""


class Child:
    """One process in a session of its own, with a log; ends, children included, when the `with` block does."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], room: Path) -> None:
        """Plan it: it runs in the directory `room`, where its output goes too."""
        self.name = name
        self.log = room / f"{name.replace(' ', '-').replace('/', '-')}.log"
        self._command = tied_to_this_process(command)
        self._environment = dict(environment)
        self._room = room
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.log.write_bytes(b"")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._room,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask it to end, wait, and kill whatever is left of its session."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            for pid in [self._process.pid, *descendants(self._process.pid)]:
                _kill_session(pid)
            self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def wait_until_it_says(self, words: str, timeout_s: float = 30) -> None:
        """Wait until its output holds these words. Raises BenchError with the output's end."""
        said = wait_for(lambda: words in self.said() or not self.running, timeout_s)
        if not said or words not in self.said():
            raise BenchError(f"{self.name} never said {words!r}:\n{self.last_words()}")

    def said(self) -> str:
        """Give its output so far."""
        return self.log.read_text(errors="replace")

    def last_words(self) -> str:
        """Give the end of its output."""
        return "\n".join(self.said().splitlines()[-15:])

    def wait_for_success(self, timeout_s: float) -> None:
        """Wait for its end. Raises BenchError where it does not end well."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.name} took longer than {timeout_s:.0f} s.") from None
        if code:
            raise BenchError(f"{self.name} ended with code {code}:\n{self.last_words()}")


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def descendants(pid: int) -> list[int]:
    """Give the ids of all processes below one, itself left out."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


@dataclass(frozen=True)
class Memory:
    """What one process holds, in MB: resident now, resident at most, and its share where pages are shared."""

    pid: int
    name: str
    rss_mb: float
    peak_mb: float
    pss_mb: float


def memory_of(pid: int) -> Memory | None:
    """Measure one process; None where it has gone."""
    try:
        status = _fields(Path(f"/proc/{pid}/status").read_text())
        rollup = _fields(Path(f"/proc/{pid}/smaps_rollup").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    if "VmRSS" not in status:
        return None
    return Memory(pid, command.strip(), status["VmRSS"], status["VmHWM"], rollup.get("Pss", 0.0))


def memory_of_tree(pid: int) -> list[Memory]:
    """Measure a process and all below it."""
    return [memory for each in [pid, *descendants(pid)] if (memory := memory_of(each)) is not None]


def cpu_seconds_of_tree(pid: int) -> float:
    """Give the processor time of a process, of all below it, and of those of them that have ended."""
    return sum(_cpu_seconds(each) for each in [pid, *descendants(pid)])


def _cpu_seconds(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in after_name[11:15]) / _TICKS


def _fields(text: str) -> dict[str, float]:
    """Read lines of `Name:  123 kB`, in MB of a million bytes."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024 / 1e6
    return found
