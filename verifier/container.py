"""The wiring, in one place: what is made of the settings, for the app, the commands and the workers alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Flask, current_app

from sentinel import Access, Login, MasterLink
from verifier.service import VerificationService
from verifier.settings import RedisSettings, Settings, SettingsError
from verifier.store.deliveries import Deliveries
from verifier.store.scripts import Acknowledgement
from verifier.store.verifications import VerificationStore

_EXTENSION = "verifier"


@dataclass(frozen=True)
class Container:
    """What one app is made of, kept as a Flask extension."""

    settings: Settings
    link: MasterLink
    service: VerificationService


def access_of(redis: RedisSettings) -> Access:
    """Return the app's way to sentinels and nodes. Raises SettingsError where no sentinels are named."""
    if not redis.sentinels:
        raise SettingsError(
            "VERIFIER_SENTINELS is not set: name the sentinels as host:port,host:port,... "
            "(`flask run` and `make run` bring their own where it is not set)."
        )
    return Access(redis.sentinels, redis.master_name, redis.login, redis.sentinel_login)


def access_of_operators(redis: RedisSettings) -> Access:
    """Return the operators' way; the app's where they have no users of their own. Raises SettingsError."""
    app, nobody = access_of(redis), Login()
    return replace(
        app,
        node_login=app.node_login if redis.ops_login == nobody else redis.ops_login,
        sentinel_login=app.sentinel_login if redis.sentinel_ops_login == nobody else redis.sentinel_ops_login,
    )


def acknowledgement_of(redis: RedisSettings) -> Acknowledgement:
    """Return how many replicas must have a write before it counts."""
    return Acknowledgement(redis.replicas_to_acknowledge, redis.acknowledge_timeout_ms)


def make_link(redis: RedisSettings, *, watch: bool = True) -> MasterLink:
    """Make the link to the master, which connects at its first use. Raises SettingsError."""
    return MasterLink(access_of(redis), deadline_s=redis.request_deadline_s, watch=watch)


def make_deliveries(settings: Settings) -> Deliveries:
    """Make the steps that workers and operators do with deliveries."""
    return Deliveries(acknowledgement_of(settings.redis), settings.rules)


def make_container(settings: Settings) -> Container:
    """Wire one app; nothing connects before the first request. Raises SettingsError."""
    link = make_link(settings.redis)
    store = VerificationStore(
        link,
        acknowledgement_of(settings.redis),
        retention_s=settings.retention_s,
        max_owed_mails=settings.max_owed_mails,
    )
    return Container(settings, link, VerificationService(store, settings.keys, settings.rules))


def install(app: Flask, container: Container) -> None:
    """Keep the container in the app."""
    app.extensions[_EXTENSION] = container


def current_container() -> Container:
    """Return the container of the app that serves this request."""
    container = current_app.extensions[_EXTENSION]
    assert isinstance(container, Container)  # noqa: S101 - for the type checker: `install` put it there
    return container


def current_service() -> VerificationService:
    """Return the service of the app that serves this request."""
    return current_container().service
