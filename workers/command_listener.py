"""RQ's commands to a worker (`rq.command.send_shutdown_command`), read by a thread that outlives any Redis.

RQ's own thread ends at the first error that is no ConnectionError, and waits forever on a hung master. This
one reads with a short timeout, sends a PING in between, and subscribes again after any error.
Only `shutdown` means something here: a mail on its way can't be stopped.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from workers.container import WorkerContainer
from workers.retry_policy import STATES_OF_REDIS, Stopping

log = logging.getLogger(__name__)

PING_AFTER_S = 5.0
RESUBSCRIBE_AFTER_S = 0.5


class CommandListener:
    """One thread that listens on the worker's channel."""

    def __init__(self, container: WorkerContainer, channel: str, shut_down: Callable[[], None]) -> None:
        self._retry_policy = container.retry_policy
        self._channel = channel
        self._shut_down = shut_down
        self._pool = container.link.redis.connection_pool
        self._thread = threading.Thread(target=self._run, name="command-listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping():
            try:
                self._listen(self._retry_policy.until_it_works(self._subscribe))
            except Stopping:
                return
            except STATES_OF_REDIS as error:
                self._retry_policy.outage.failed(error)
                self._retry_policy.pause(RESUBSCRIBE_AFTER_S)
            except Exception:
                if self._stopping():  # the link is being closed under us
                    return
                # A mistake of ours, or a foreign message; the worker goes on without this command.
                log.exception("A command from RQ could not be read; it is left out.")
                self._retry_policy.pause(RESUBSCRIBE_AFTER_S)

    def _stopping(self) -> bool:
        return self._retry_policy.stopping

    def _subscribe(self) -> Any:
        connection = self._pool.get_connection()
        try:
            connection.send_command("SUBSCRIBE", self._channel)
            connection.read_response()
        except BaseException:
            self._release(connection)
            raise
        return connection

    def _listen(self, connection: Any) -> None:
        try:
            while not self._stopping():
                self._handle(self._next_message(connection))
        finally:
            self._release(connection)

    def _release(self, connection: Any) -> None:
        # It is subscribed, so nobody else can use it as it is.
        connection.disconnect()
        self._pool.release(connection)

    @staticmethod
    def _next_message(connection: Any) -> Any:
        if not connection.can_read(timeout=PING_AFTER_S):
            # A master that hangs would be quiet too, so ask; a message in between is answered first.
            connection.send_command("PING")
        return connection.read_response()

    def _handle(self, message: Any) -> None:
        if not isinstance(message, list) or len(message) != 3 or message[0] != b"message":
            return
        try:
            command = json.loads(message[2])["command"]
        except (ValueError, KeyError, TypeError):
            return
        if command == "shutdown":
            log.info("A command of RQ asks this worker to shut down.")
            self._shut_down()
