"""The parts that app, worker and commands have in common, made from the settings: the one place of that wiring.

`container.py` puts an app together from them, `workers/container.py` a worker, `cli/` a command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from sentinel import Access, LinkObserver, Login, MasterLink, RequestDeadline, WriteProbe
from verifier.readiness import Lookout
from verifier.settings import RedisSettings, Settings, SettingsError
from verifier.store import keyspace
from verifier.store.deliveries import Deliveries
from verifier.store.keyspace import Queue
from verifier.store.scripts import Acknowledgement
from verifier.store.verifications import VerificationStore

Result = TypeVar("Result")


def access_of(redis: RedisSettings) -> Access:
    """Return the app's way to sentinels and nodes. Raises SettingsError where no sentinel is named."""
    if not redis.sentinels:
        raise SettingsError(
            "VERIFIER_SENTINELS: It is not set. Name the sentinels as host:port,host:port,... "
            "(`flask run` and `make run` bring their own where it is not set)."
        )
    return Access(redis.sentinels, redis.master_name, redis.login, redis.sentinel_login, tls=redis.tls)


def access_of_operators(redis: RedisSettings) -> Access:
    """Return the operators' way to sentinels and nodes; the app's where they have no users of their own.

    Whether the master takes writes is tried with the app's login, as the app writes.

    Raises:
        SettingsError: no sentinel is named.
    """
    app, nobody = access_of(redis), Login()
    return replace(
        app,
        node_login=app.node_login if redis.ops_login == nobody else redis.ops_login,
        sentinel_login=app.sentinel_login if redis.sentinel_ops_login == nobody else redis.sentinel_ops_login,
        probe=WriteProbe(app.node_login, keyspace.PROBE, redis.replicas_to_acknowledge),
    )


def deadline_of(redis: RedisSettings) -> RequestDeadline:
    """Return for how long a request waits, and which setting says so."""
    return RequestDeadline(redis.request_deadline_s, "VERIFIER_REQUEST_DEADLINE")


def ask_as_app(redis: RedisSettings, operation: Callable[[Any], Result], *, within_s: float) -> Result:
    """Do something on the master that is safe to repeat, with the app's login, and return its result.

    Raises:
        TransientError, PermanentError, Backpressure: Redis does not let us.
    """
    link = MasterLink(access_of(redis), deadline_s=within_s, watch=False)
    try:
        return link.run(operation)
    finally:
        link.close()


def link_of(settings: Settings, *, watch: bool = True, observer: LinkObserver | None = None) -> MasterLink:
    """Make the link to the master; nothing connects before its first use. Raises as `access_of` does."""
    redis = settings.redis
    return MasterLink(access_of(redis), deadline_s=redis.request_deadline_s, watch=watch, observer=observer)


def store_of(settings: Settings, link: MasterLink) -> VerificationStore:
    """Make the app's store behind a link."""
    return VerificationStore(
        link,
        acknowledgement_of(settings.redis),
        retention_s=settings.retention_s,
        max_owed_mails=settings.max_owed_mails,
        queue=Queue(settings.queue),
    )


def lookout_of(settings: Settings, link: MasterLink) -> Lookout:
    """Make what looks whether mail goes out."""
    return Lookout(link, Queue(settings.queue), settings.redis.replicas_to_acknowledge)


def deliveries_of(settings: Settings) -> Deliveries:
    """Make the workers' and operators' steps."""
    return Deliveries(acknowledgement_of(settings.redis), settings.rules, queue=Queue(settings.queue))


def acknowledgement_of(redis: RedisSettings) -> Acknowledgement:
    """Return how many replicas must have a write before it counts."""
    return Acknowledgement(redis.replicas_to_acknowledge, redis.acknowledge_timeout_ms)
