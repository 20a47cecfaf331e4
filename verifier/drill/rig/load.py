"""The load: numbered submissions on a fixed schedule, whether or not earlier ones were answered.

A request's wait counts from when the schedule wanted it to start: whoever is late because everybody else is
stuck has waited too.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from verifier.drill.rig.http_client import CutOff, HttpClient

CLIENT_TIMEOUT_S = 20.0
MOST_AT_ONCE = 5000
PATH = "/v1/verifications"


@dataclass(slots=True)
class Submission:
    """One request and what came of it; times in monotonic seconds, `status` 0 where there was no answer."""

    recipient: str
    due_at: float
    ended_at: float = 0.0
    status: int = 0
    retry_after: str = ""
    failure: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the service said yes."""
        return self.status == 201

    @property
    def waited_s(self) -> float:
        """How long the person waited for any answer."""
        return self.ended_at - self.due_at


class Load:
    """Sends until it is stopped; `run` in the loop, the rest from anywhere."""

    def __init__(self, port: int, run: str, rate: float) -> None:
        self.submissions: list[Submission] = []
        self._run_name = run
        self._interval_s = 1.0 / rate
        self._client = HttpClient(port)
        self._stopped = False
        self._paused = False
        self._in_flight: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answer."""
        return len(self._in_flight)

    def pause(self) -> None:
        """Start no more requests for now."""
        self._paused = True

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self._paused = False

    def stop(self) -> None:
        """Start no more requests; those on their way are still answered."""
        self._stopped = True

    async def run(self) -> None:
        """Send until stopped, then wait for the last answers, each of which has its own time limit."""
        due_at = time.monotonic()
        while not self._stopped:
            if (early_s := due_at - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            if self._paused or self.in_flight >= MOST_AT_ONCE:
                due_at = time.monotonic() + 0.01
                continue
            self._start(due_at)
            due_at += self._interval_s
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        self._client.close()

    def _start(self, due_at: float) -> None:
        submission = Submission(f"drill-{self._run_name}-{len(self.submissions)}@example.org", due_at)
        self.submissions.append(submission)
        task = asyncio.get_running_loop().create_task(self._submit(submission))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _submit(self, submission: Submission) -> None:
        body = json.dumps({"to": submission.recipient}).encode()
        try:
            async with asyncio.timeout(CLIENT_TIMEOUT_S):
                reply = await self._client.post(PATH, body)
            submission.status, submission.retry_after = reply.status, reply.retry_after
        except TimeoutError:
            submission.failure = "no answer in time"
        except CutOff:
            submission.failure = "cut off"
        except (OSError, ValueError) as error:
            submission.failure = f"{type(error).__name__}: {error}"
        submission.ended_at = time.monotonic()
