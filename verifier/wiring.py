"""The parts that app, worker and commands have in common, made from the settings: the one place of that wiring.

`container.py` puts an app together from them, `workers/container.py` a worker, `cli/` a command.
"""

from __future__ import annotations

from sentinel import Access, Login, MasterLink
from verifier.settings import RedisSettings, Settings, SettingsError
from verifier.store.deliveries import Deliveries
from verifier.store.scripts import Acknowledgement
from verifier.store.verifications import VerificationStore


def access_of(redis: RedisSettings) -> Access:
    """Return the app's way to sentinels and nodes. Raises SettingsError where no sentinel is named."""
    return _access(
        redis,
        Login(redis.username, redis.password),
        Login(redis.sentinel_username, redis.sentinel_password),
    )


def access_of_operators(redis: RedisSettings) -> Access:
    """Return the operators' way to sentinels and nodes; the app's where they have no users of their own.

    Raises:
        SettingsError: no sentinel is named.
    """
    app = access_of(redis)
    return _access(
        redis,
        _login_of(redis.ops_username, redis.ops_password) or app.node_login,
        _login_of(redis.sentinel_ops_username, redis.sentinel_ops_password) or app.sentinel_login,
    )


def link_of(settings: Settings, *, watch: bool = True) -> MasterLink:
    """Make the link to the master; nothing connects before its first use. Raises as `access_of` does."""
    redis = settings.redis
    return MasterLink(access_of(redis), deadline_s=redis.request_deadline_s, watch=watch)


def store_of(settings: Settings, link: MasterLink) -> VerificationStore:
    """Make the app's store behind a link."""
    return VerificationStore(
        link,
        acknowledgement_of(settings.redis),
        retention_s=settings.retention_s,
        max_owed_mails=settings.max_owed_mails,
    )


def deliveries_of(settings: Settings) -> Deliveries:
    """Make the workers' and operators' steps."""
    return Deliveries(acknowledgement_of(settings.redis), settings.rules)


def acknowledgement_of(redis: RedisSettings) -> Acknowledgement:
    """Return how many replicas must have a write before it counts."""
    return Acknowledgement(redis.replicas_to_acknowledge, redis.acknowledge_timeout_ms)


def _access(redis: RedisSettings, node_login: Login, sentinel_login: Login) -> Access:
    if not redis.sentinels:
        raise SettingsError(
            "VERIFIER_SENTINELS: It is not set. Name the sentinels as host:port,host:port,... "
            "(`flask run` and `make run` bring their own where it is not set)."
        )
    return Access(redis.sentinels, redis.master_name, node_login, sentinel_login)


def _login_of(username: str, password: str) -> Login | None:
    return Login(username, password) if username or password else None
