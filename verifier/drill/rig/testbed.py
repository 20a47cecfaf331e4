"""The testbed: everything that runs during a drill, started in order and ended in reverse."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sentinel import LocalOptions, LocalTopology, PortReservation
from verifier.drill.rig.loop_thread import LoopThread
from verifier.drill.rig.mail_sink import MailSink
from verifier.drill.rig.service import Service
from verifier.drill.rig.systems import SystemUnderTest


class Testbed:
    """A private topology, a recording mail server and the service between them."""

    def __init__(self, contestant: SystemUnderTest, *, workers: int, down_after_ms: int) -> None:
        """Plan it; entering it starts it."""
        self.contestant = contestant
        self.logs = Path(tempfile.mkdtemp(prefix=f"verifier-drill-{contestant.name}-"))
        directory = self.logs / "topology"
        self.topology = LocalTopology(
            LocalOptions(down_after_ms=down_after_ms, superuser=True, directory=directory)
        )
        self.loop = LoopThread()
        self.recorder = MailSink(self.loop)
        self.service: Service
        self._workers = workers
        self._ports = PortReservation()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            RedisServerMissing, LocalStartError, TopologyError, ServiceStartError: something does not start.
        """
        with ExitStack() as stack:
            stack.callback(self._ports.release)
            stack.enter_context(self.loop)
            stack.enter_context(self.recorder)
            stack.enter_context(self.topology)
            self.service = Service(self.contestant, self._settings(), self.logs, self._ports.reserve().port)
            stack.callback(self.service.stop)
            self.service.start(self._workers)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything; the logs stay until `forget_logs`."""
        self._stack.close()

    def make_whole(self) -> None:
        """Set everything right before the next round.

        Raises:
            TopologyError, ServiceStartError: it does not become whole.
        """
        self.topology.heal()
        if not self.contestant.starts_afresh:
            self.service.replace_ended()
            return
        with self.topology.admin(self.topology.current_master()) as client:
            client.flushall()
        self.service.start_afresh()

    def forget_logs(self) -> None:
        """Remove the logs, which nobody needs once every promise was kept."""
        shutil.rmtree(self.logs, ignore_errors=True)

    def _settings(self) -> dict[str, str]:
        return {
            **self.topology.environment(),
            **(self._superuser() if self.contestant.superuser else {}),
            "VERIFIER_MAIL_SERVER": "127.0.0.1",
            "VERIFIER_MAIL_PORT": str(self.recorder.port),
        }

    def _superuser(self) -> dict[str, str]:
        users = self.topology.credentials
        assert users is not None  # noqa: S101 - a stage always has users
        return {
            "VERIFIER_REDIS_USERNAME": users.redis_drill.username,
            "VERIFIER_REDIS_PASSWORD": users.redis_drill.password,
        }
