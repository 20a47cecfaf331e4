"""An open load: numbered submissions on a fixed schedule, whether or not earlier ones were answered.

A request's wait counts from when the schedule wanted it to start: whoever is late because everybody else is
stuck has waited too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)

CLIENT_TIMEOUT_S = 20.0
MOST_AT_ONCE = 5000
# Far below gunicorn's two seconds, so that we are never writing while it closes: on a busy machine a request may be
# written more than a second after its connection was taken.
IDLE_LIMIT_S = 0.25
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
    sent_at: float = 0.0
    location: str = ""
    proxy_status: str = ""
    """What a proxy says of an answer that is its own (RFC 9209)."""

    @property
    def accepted(self) -> bool:
        """Whether the service said yes."""
        return self.status == 201

    @property
    def waited_s(self) -> float:
        """How long the person waited for any answer."""
        return self.ended_at - self.due_at


def client_session() -> ClientSession:
    """Return what requests are sent with; each has its own time limit."""
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE_LIMIT_S),
        timeout=ClientTimeout(total=CLIENT_TIMEOUT_S),
        cookie_jar=DummyCookieJar(),
    )


class OpenLoad:
    """Sends until it is stopped; `run` in the loop, the rest from anywhere."""

    def __init__(self, port: int, name: str, rate: float, *, at_most: int | None = None) -> None:
        """Plan `rate` submissions a second, `at_most` so many; their addresses bear the name."""
        self.submissions: list[Submission] = []
        self.origin = f"http://127.0.0.1:{port}"
        self._name = name
        self._interval_s = 1.0 / rate
        self._at_most = at_most
        self.stopped = False
        self.paused = False
        self._in_flight: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answer."""
        return len(self._in_flight)

    def pause(self) -> None:
        """Start no more requests for now."""
        self.paused = True

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self.paused = False

    def stop(self) -> None:
        """Start no more requests; those on their way are still answered."""
        self.stopped = True

    async def run(self) -> None:
        """Send until stopped, then wait for the last answers, each of which has its own time limit."""
        async with client_session() as session:
            await self._send_on_schedule(session)
            if self._in_flight:
                await asyncio.wait(self._in_flight)

    async def _send_on_schedule(self, session: ClientSession) -> None:
        due_at = time.monotonic()
        while not self.stopped and len(self.submissions) != self._at_most:
            if (early_s := due_at - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            if self.paused or self.in_flight >= MOST_AT_ONCE:
                due_at = time.monotonic() + 0.01
                continue
            self._start(session, due_at)
            due_at += self._interval_s

    def _start(self, session: ClientSession, due_at: float) -> None:
        recipient = f"{self._name}-{len(self.submissions)}@example.org"
        submission = Submission(recipient, due_at, sent_at=time.monotonic())
        self.submissions.append(submission)
        task = asyncio.get_running_loop().create_task(self._submit(session, submission))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _submit(self, session: ClientSession, submission: Submission) -> None:
        try:
            async with session.post(self.origin + PATH, json={"to": submission.recipient}) as reply:
                await reply.read()
            submission.status = reply.status
            submission.retry_after = reply.headers.get("Retry-After", "")
            submission.proxy_status = reply.headers.get("Proxy-Status", "")
            submission.location = reply.headers.get("Location", "")
        except TimeoutError:
            submission.failure = "no answer in time"
        except ClientConnectorError as error:
            submission.failure = f"{type(error.os_error).__name__}: {error.os_error}"
        except (ClientConnectionError, ClientPayloadError, ConnectionError):
            submission.failure = "cut off"
        except ClientError as error:
            submission.failure = f"{type(error).__name__}: {error}"
        submission.ended_at = time.monotonic()
