"""Codes are checked as people would: once, the newest first, those of mails that came."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from aiohttp import web

from sentinel import wait_for
from verifier.drill.rig.code_checks import CodeChecks
from verifier.drill.rig.loop_thread import loop_in_a_thread
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import OpenLoad, Submission

Result = TypeVar("Result")


def _start(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Future[Result]:
    return asyncio.run_coroutine_threadsafe(work, loop)


class _Web:
    """Accepts everything; a code is right when it is the number of the verification."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self._numbers = 0

    async def serve(self) -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_post("/v1/verifications", self._start)
        app.router.add_post("/v1/verifications/{number}/check", self._check)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    async def _start(self, _: web.Request) -> web.Response:
        self._numbers += 1
        return web.Response(status=201, headers={"Location": f"/v1/verifications/{self._numbers}"})

    async def _check(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        self.checked.append(number)
        if number == "2":
            return web.json_response({"title": "Try again"}, status=503)
        return web.json_response({"valid": (await request.json())["code"] == number})


def test_each_code_is_checked_once_and_judged() -> None:
    """The first is right, the second refused, the third wrong; the fourth has no mail yet."""
    server = _Web()
    with loop_in_a_thread() as loop:
        runner, port = _start(loop, server.serve()).result(timeout=30)
        load = OpenLoad(port, "test", rate=100, at_most=4)
        _start(loop, load.run()).result(timeout=30)
        mails = [
            RecordedMail(0.0, f"test-{number}@example.org", "<1@x>", code)
            for number, code in enumerate("129")
        ]
        mails.append(mails[0])
        checks = CodeChecks(load, lambda: mails)
        checking = _start(loop, checks.run())
        assert wait_for(lambda: len(checks.done) == 3, 30)
        _start(loop, asyncio.sleep(0.5)).result(timeout=30)
        load.stop()
        checking.result(timeout=30)
        _start(loop, runner.cleanup()).result(timeout=30)
    assert server.checked == ["3", "2", "1"]
    assert [(each.status, each.valid) for each in checks.done] == [(200, False), (503, False), (200, True)]


def test_check_without_an_answer_is_cut_off() -> None:
    """A server that hangs up is told apart from one that refuses."""
    with loop_in_a_thread() as loop, socket.create_server(("127.0.0.1", 0)) as server:
        load = OpenLoad(server.getsockname()[1], "test", rate=100)
        load.submissions.append(Submission("a@example.org", 0.0, 0.1, 201, location="/v1/verifications/1"))
        checks = CodeChecks(load, lambda: [RecordedMail(0.0, "a@example.org", "<1@x>", "123456")])
        checking = _start(loop, checks.run())
        server.accept()[0].close()
        load.stop()
        checking.result(timeout=30)
    (check,) = checks.done
    assert (check.status, check.valid, check.cut_off) == (0, False, True)
