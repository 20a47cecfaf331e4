"""When the logs alarm an operator: the first line that is more than information."""

from __future__ import annotations

import re
import time
from pathlib import Path

# As `logging` and its formatters write it, for the peers; as verifier/loglines/ does, in text and in JSON.
_ALARM = re.compile(
    rb''' (?:WARNING|ERROR|CRITICAL) | \[(?:warning|error|critical) *\]|"level": "(?:warning|error|critical)"'''
)


class LogAlarm:
    """Reads what is new in each log whenever it is asked to look."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._read: dict[Path, int] = {}
        self._raised: list[float] = []
        self.look()
        self._raised.clear()

    def look(self) -> None:
        """Note whether there are new lines that alarm an operator."""
        for log in self._logs.glob("*.log"):
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                if _ALARM.search(file.read()):
                    self._raised.append(time.monotonic())
                self._read[log] = file.tell()

    def first_after(self, since: float) -> float | None:
        """Return after how many seconds there was the first such line; None where there was none."""
        return min((at - since for at in self._raised if at >= since), default=None)
