"""The project's worker in a thread of the tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self
from unittest import mock

from sentinel import wait_for
from verifier.settings import Settings
from workers import worker as worker_module
from workers.container import WorkerContainer, make_worker_container
from workers.worker import MailWorker

# An idle worker looks whether it should stop each time it has waited for a job for this long.
BLOCK_S = 0.1


class RunningWorker:
    """A context manager: the worker works from entry to exit, and must not have ended by itself before."""

    def __init__(
        self, settings: Settings, *, name: str | None = None, burst: bool = False, may_end: bool = False
    ) -> None:
        self.container: WorkerContainer = make_worker_container(settings)
        self.worker = MailWorker(self.container, name=name)
        # Signals are the main thread's.
        self.worker._install_signal_handlers = lambda: None  # type: ignore[method-assign]
        self._burst = burst
        self._may_end = may_end or burst
        self._errors: list[BaseException] = []
        self._impatience = mock.patch.object(worker_module, "BLOCK_S", BLOCK_S)
        self._thread = threading.Thread(target=self._work, name="worker-under-test", daemon=True)

    def __enter__(self) -> Self:
        self._impatience.start()
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        alive = self.is_alive
        self.worker._request_stop()
        self._thread.join(60)
        self._impatience.stop()
        if kind is None:
            assert not self._errors, self._errors
            assert alive or self._may_end, "the worker ended by itself"
            assert not self.is_alive, "the worker does not stop"

    @property
    def is_alive(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    def wait(self, condition: Callable[[], bool], timeout: float = 60) -> None:
        """Wait for something the worker should bring about; it must not end meanwhile."""
        answers: list[bool] = []

        def settled() -> bool:
            answers.append(condition())
            return answers[-1] or not self.is_alive

        assert wait_for(settled, timeout), f"nothing in {timeout} s"
        assert answers[-1], "the worker ended"

    def ended(self, timeout: float = 60) -> bool:
        """Wait until it has ended."""
        self._thread.join(timeout)
        return not self.is_alive

    def _work(self) -> None:
        try:
            self.worker.work(burst=self._burst)
        except BaseException as error:
            self._errors.append(error)
            raise
