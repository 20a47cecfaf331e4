"""People who type their codes: some of the mails' codes are checked, right as they are, while a drill goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import ClientConnectionError, ClientError, ClientSession

from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import OpenLoad, client_session

EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """One right code that was typed; `status` is 0 where there was no answer."""

    status: int
    valid: bool
    waited_s: float
    cut_off: bool = False


class CodeChecks:
    """Checks five codes a second until the load ends; those of the newest mails first."""

    def __init__(self, load: OpenLoad, mails: Callable[[], Sequence[RecordedMail]]) -> None:
        """`mails` returns those that came so far."""
        self.done: list[CodeCheck] = []
        self._load = load
        self._mails = mails
        self._seen = 0
        self._codes: dict[str, str] = {}

    async def run(self) -> None:
        """Check until the load was stopped; what is on its way is still answered."""
        async with client_session() as session, asyncio.TaskGroup() as checks:
            while not self._load.stopped:
                await asyncio.sleep(EVERY_S)
                if not self._load.paused and (found := self._next()):
                    checks.create_task(self._check(session, *found))

    def _next(self) -> tuple[str, str] | None:
        """Return the URL and the code of the newest submission that was mailed and is not checked yet."""
        mails = self._mails()
        for mail in mails[self._seen :]:
            self._codes.setdefault(mail.recipient, mail.code)
        self._seen = len(mails)
        for submission in reversed(self._load.submissions):
            if submission.accepted and (code := self._codes.get(submission.recipient)):
                self._codes[submission.recipient] = ""
                return f"{self._load.origin}{submission.location}/check", code
        return None

    async def _check(self, session: ClientSession, url: str, code: str) -> None:
        began_at = time.monotonic()
        status, valid, cut_off = 0, False, False
        try:
            async with session.post(url, json={"code": code}) as reply:
                valid = (await reply.json(content_type=None)).get("valid") is True
                status = reply.status
        except (ClientConnectionError, ConnectionError):
            cut_off = True
        except (TimeoutError, ClientError, ValueError):
            pass
        self.done.append(CodeCheck(status, valid, time.monotonic() - began_at, cut_off=cut_off))
