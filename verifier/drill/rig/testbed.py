"""The testbed: a private topology and a directory for logs; on it the systems under test run."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from sentinel import LocalOptions, LocalTopology
from verifier.drill.rig.conditions import Conditions, conditions_of
from verifier.drill.rig.loop_thread import loop_in_a_thread
from verifier.drill.rig.mail_sink import MailSink
from verifier.drill.rig.service import Service
from verifier.drill.rig.systems import SystemUnderTest, bare_environment


class Testbed:
    """Runs the topology while it is entered; `forget_logs` removes what it leaves."""

    def __init__(self, name: str, options: LocalOptions) -> None:
        """Plan it; `name` goes into that of its directory."""
        self.directory = Path(tempfile.mkdtemp(prefix=f"verifier-{name}-"))
        self.topology = LocalTopology(replace(options, superuser=True, directory=self.directory / "topology"))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            RedisServerMissing, LocalStartError, TopologyError, RigError: something does not start.
        """
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything; the logs stay."""
        self._stack.close()

    def plan_service(self, system: SystemUnderTest, smtp_port: int) -> Service:
        """Return a service that mails to this port of loopback; its processes are still to be started."""
        return Service(system, self.environment(system, smtp_port), self.directory)

    def environment(self, system: SystemUnderTest, smtp_port: int) -> dict[str, str]:
        """Return the environment of a system's processes."""
        users = self.topology.credentials
        assert users is not None  # noqa: S101 - a testbed always has users
        superuser = {
            "VERIFIER_REDIS_USERNAME": users.redis_drill.username,
            "VERIFIER_REDIS_PASSWORD": users.redis_drill.password,
        }
        return {
            **bare_environment(),
            "PYTHONPATH": system.import_path,
            **self.topology.environment(),
            **(superuser if system.is_peer else {}),
            "VERIFIER_MAIL_SERVER": "127.0.0.1",
            "VERIFIER_MAIL_PORT": str(smtp_port),
            **system.settings,
        }

    def forget_logs(self) -> None:
        """Remove the logs, which nobody needs once all went well."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self, stack: ExitStack) -> None:
        stack.enter_context(self.topology)


class DrillTestbed(Testbed):
    """A testbed with one service, and a mail server that keeps what it gets."""

    def __init__(self, system: SystemUnderTest, *, workers: int, down_after_ms: int | None = None) -> None:
        """Plan it; without `down_after_ms` Sentinel's times are the shipped ones."""
        super().__init__(f"drill-{system.name}", LocalOptions(down_after_ms=down_after_ms))
        self.system = system
        self.loop: asyncio.AbstractEventLoop
        self.mail_sink: MailSink
        self.service: Service
        self._workers = workers

    def conditions(self) -> Conditions:
        """Return what it runs on, as servers and sentinels say themselves; raises TopologyError as they do not."""
        return conditions_of(self.topology.snapshot())

    def make_whole(self) -> None:
        """Set everything right before the next fault.

        Raises:
            TopologyError, RigError: it does not become whole.
        """
        self.topology.heal()
        if not self.system.is_peer:
            self.service.replace_ended()
            return
        with self.topology.admin(self.topology.current_master()) as client:
            client.flushall()
        self.service.start_afresh()

    def _start(self, stack: ExitStack) -> None:
        self.loop = stack.enter_context(loop_in_a_thread())
        self.mail_sink = stack.enter_context(MailSink(self.loop))
        super()._start(stack)
        self.service = stack.enter_context(self.plan_service(self.system, self.mail_sink.port))
        self.service.start(self._workers)
