"""The worker that follows the master: an RQ worker in everything RQ shows, and in nothing that can end it.

It announces itself to RQ, waits for the queue to have jobs, claims as many as may be in flight, lets sender
threads mail them, and settles. What it claims, renews, settles and recovers is done in atomic steps
(verifier/store/deliveries.py), each repeated until Redis lets it work; no state of Redis ends any of its loops.
A signal only sets a flag: the mails on their way are finished, the other claims are released. The threads are
listed in `workers/__init__.py`.
"""

from __future__ import annotations

import logging
import os
import time
from types import FrameType
from typing import Any

from redis import Redis
from rq import worker_registration
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now as rq_now
from rq.utils import utcformat
from rq.worker import Worker, WorkerStatus

from sentinel import Backpressure
from verifier.alerts.wiring import monitor_of
from verifier.store import keyspace
from verifier.store.deliveries import Claim, Skipped
from verifier.time_check import check_time_budget
from workers.command_listener import CommandListener
from workers.container import WorkerContainer
from workers.in_flight import InFlight
from workers.maintenance import Maintenance
from workers.retry_policy import Stopping
from workers.senders import Senders
from workers.settler import Settler

log = logging.getLogger(__name__)

BLOCK_S = 1.0
IN_FLIGHT_PER_CONNECTION = 8
# How long a stopping worker tries to write down what became of its last mails while Redis is away.
STOP_GRACE_S = 30.0
# How long a stopping worker waits for the relays, for the answers to the mails on their way.
ANSWERS_WITHIN_S = 20.0
ONE_ORDER_S = 1.0
FOREIGN = "foreign"
# RQ forgets a worker that has not been heard of for this long.
WORKER_TTL_S = 60


class MailWorker(Worker):
    """Works on the mail queue until it is asked to stop."""

    def __init__(self, container: WorkerContainer, name: str | None = None) -> None:
        """Make a worker; nothing connects before `work`."""
        self._container = container
        self._retry_policy = container.retry_policy
        self._suspended = container.suspended
        self._queue = keyspace.Queue(container.settings.queue)
        node_timeout_s = container.link.access.node_timeout_s
        self._blocking: Redis = container.link.client(timeout_s=BLOCK_S + node_timeout_s, max_connections=1)
        super().__init__(
            [self._queue.name],
            name=name,
            # A pool of its own, whatever RQ does with its settings: see _set_connection.
            connection=container.link.client(timeout_s=node_timeout_s, max_connections=2),
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_S,
        )
        self.birth_date = rq_now()
        connections = container.settings.mail.connections
        self._in_flight = InFlight(connections * IN_FLIGHT_PER_CONNECTION)
        self._settler = Settler(container, self._in_flight)
        self._senders = Senders(
            container.deliverer,
            container.relays,
            settle=self._settler.put,
            may_send=self._in_flight.may_send,
            connections=connections,
        )
        self._maintenance = Maintenance(
            container,
            self._in_flight,
            self.name,
            self.announce,
            sent=lambda: self._settler.sent,
            tally=self._settler.tally,
        )
        self._monitor = monitor_of(container.settings, container.link)
        self._command_listener = CommandListener(container, self.pubsub_channel_name, self._request_stop)
        self._asked_to_stop_at = 0.0
        self._foreign_in_a_row = 0

    def work(self, *_: object, burst: bool = False, **__: object) -> bool:
        """Work until asked to stop, or with `burst` until the queue is empty; return whether a mail was sent."""
        self._install_signal_handlers()
        self._retry_policy.pulse.watch_this_thread()
        log.info("Worker %s starts on queue %s with pid %d.", self.name, self._queue.name, os.getpid())
        check_time_budget(self._container.link, self._container.settings.redis)
        self._settler.start()
        self._senders.start()
        self._maintenance.start()
        self._command_listener.start()
        if self._monitor is not None and not burst:
            self._monitor.start()
        try:
            self._claim_until_asked_to_stop(burst=burst)
        except Stopping:
            pass
        finally:
            self._wind_up()
        return self._settler.sent > 0

    def _claim_until_asked_to_stop(self, *, burst: bool) -> None:
        while not self._stop_requested:
            self._retry_policy.pulse.moves()
            try:
                if burst and self._suspended.is_set():
                    log.warning(
                        "Work is suspended, so nothing was sent: run `rq resume -c verifier.cli.rq_config`."
                    )
                    return
                if not self._claim_some() and burst:
                    self._in_flight.wait_until_empty(timeout_s=3600)
                    return
            except Stopping:
                raise
            except Exception:
                # A mistake of ours; ending the worker would turn one mail's trouble into everybody's.
                log.exception("The worker could not claim because of an error; it tries again.")
                self._retry_policy.pause(1.0)

    def _claim_some(self) -> bool:
        """Wait for capacity and for jobs, claim, and leave the claims to the senders; return whether to go on."""
        if self._suspended.is_set():
            self._retry_policy.pause(BLOCK_S)
            return True
        capacity = self._in_flight.wait_for_capacity(BLOCK_S)
        if capacity == 0 or self._stop_requested:
            return True
        found = self._container.claiming.claim(capacity)
        if not found:
            return self._wait_for_jobs()
        claims = [each for each in found if isinstance(each, Claim)]
        self._in_flight.add(claims)
        for claim in claims:
            self._senders.send(claim)
        skipped = [each for each in found if isinstance(each, Skipped)]
        _report(skipped)
        if claims or any(each.reason != FOREIGN for each in skipped):
            self._foreign_in_a_row = 0
            return True
        self._foreign_in_a_row += len(skipped)
        return self._wait_for_others()

    def _wait_for_others(self) -> bool:
        """Wait a little where only foreign jobs were found; return whether the queue may have others behind them."""
        self._retry_policy.pause(BLOCK_S)  # those were put back, so that the queue is never empty
        in_queue: Any = self._retry_policy.until_it_works(
            lambda: self._container.link.redis.llen(self._queue.key)
        )
        return bool(self._foreign_in_a_row < in_queue)

    def _wait_for_jobs(self) -> bool:
        """Block until the queue has a job; return whether it has.

        The job stays where it is: moving the head of a list onto its head is BLMOVE's way of waiting for
        something without taking it, so a worker or a master that dies meanwhile loses nothing.
        """

        def wait() -> Any:
            if self._stop_requested:
                raise Stopping
            try:
                return self._blocking.blmove(self._queue.key, self._queue.key, BLOCK_S, "LEFT", "LEFT")  # type: ignore[arg-type] # Redis takes fractions
            except Backpressure:
                # BLMOVE counts as a command that needs memory, and a full Redis refuses it. Claiming works.
                self._retry_policy.pause(BLOCK_S)
                return self._blocking.llen(self._queue.key) or None

        return self._retry_policy.until_it_works(wait) is not None

    def _wind_up(self) -> None:
        """Finish the mails on their way, release the other claims, take leave of RQ."""
        log.info("Worker %s stops; %d deliveries are in flight.", self.name, len(self._in_flight))
        self._retry_policy.stop(STOP_GRACE_S)
        self._senders.stop()
        self._container.relays.hurry(time.monotonic() + ANSWERS_WITHIN_S)
        self._in_flight.wait_until_empty(ANSWERS_WITHIN_S + STOP_GRACE_S)
        self._settler.stop(timeout_s=1.0)
        # Otherwise it might announce the worker again after it has taken leave.
        self._maintenance.stop(timeout_s=1.0)
        self._retry_policy.pulse.remove()
        self._container.relays.close()
        if self._monitor is not None:
            self._monitor.stop()
        self._leave_rq()
        self._container.link.close()
        log.info(
            "Worker %s has stopped: %d mails sent, %d given up.",
            self.name,
            self._settler.sent,
            self._settler.failed,
        )

    def _leave_rq(self) -> None:
        try:
            self._retry_policy.until_it_works(self.register_death)
        except Stopping:
            log.info("Redis is away, so RQ goes on listing this worker for up to %d s.", WORKER_TTL_S)

    def announce(self) -> None:
        """Write the worker's record as RQ's tools read it, all of it each time, and read `rq suspend`'s flag.

        So a worker is visible again at once after Redis lost what it knew, and no order of events matters.
        """
        self._state = self._current_state()
        self.last_heartbeat = rq_now()
        self.successful_job_count, self.failed_job_count = self._settler.sent, self._settler.failed
        with self.connection.pipeline() as pipeline:
            pipeline.hset(
                self.key,
                mapping={
                    **self.serialize(),
                    "state": self._state,
                    "last_heartbeat": utcformat(self.last_heartbeat),
                    "successful_job_count": self.successful_job_count,
                    "failed_job_count": self.failed_job_count,
                },
            )
            pipeline.expire(self.key, WORKER_TTL_S)
            worker_registration.register(self, pipeline)
            pipeline.exists(WORKERS_SUSPENDED)
            self._note_suspension(suspended=bool(pipeline.execute()[-1]))

    def _current_state(self) -> str:
        if self._suspended.is_set():
            return WorkerStatus.SUSPENDED.value
        return WorkerStatus.BUSY.value if len(self._in_flight) else WorkerStatus.IDLE.value

    def _note_suspension(self, *, suspended: bool) -> None:
        if suspended != self._suspended.is_set():
            log.warning(
                "Work is suspended: run `rq resume -c verifier.cli.rq_config`."
                if suspended
                else "Work is resumed."
            )
        (self._suspended.set if suspended else self._suspended.clear)()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the mails on their way; a second order ends the process at once.

        Signals that come within a second are one order: systemd sends one to every process of a service, and the parent
        of several workers passes its own on. A handler that talked to Redis or raised, as RQ's does, could end up
        anywhere in the loop.
        """
        now = time.monotonic()
        if self._asked_to_stop_at and now - self._asked_to_stop_at > ONE_ORDER_S:
            self.request_force_stop(signum, frame)
        self._asked_to_stop_at = self._asked_to_stop_at or now
        self._request_stop()

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """End the process; what is in flight is sent again by another worker."""
        os._exit(128 + signum)

    def _request_stop(self) -> None:
        self._stop_requested = True
        self._retry_policy.ask_to_stop()

    def _set_connection(self, connection: Redis) -> Redis:
        """Leave the connection as it is: RQ would raise the pool's socket timeout to `worker_ttl` minus five seconds.

        Then whatever goes through that pool would stand still for as long behind a connection that was dropped silently.
        """
        return connection

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002 - RQ's signature
        """Leave it open: RQ would ask Redis here, which may not be there yet."""
        self.ip_address = "unknown"


def _report(skipped: list[Skipped]) -> None:
    for each in skipped:
        level = logging.WARNING if each.reason in {FOREIGN, "malformed"} else logging.DEBUG
        # As somebody else's program may have written it, so not as it is.
        log.log(level, "Job %.80r gets no mail: %s", each.job_id, each.reason)
