"""What one app is made of, kept as a Flask extension: settings, the link to Redis, the service."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from sentinel import Access, Login, MasterLink
from verifier.service import VerificationService
from verifier.settings import RedisSettings, Settings
from verifier.store.scripts import Acknowledgement
from verifier.store.verifications import VerificationStore

_EXTENSION = "verifier"


@dataclass(frozen=True)
class Container:
    """The parts of one app."""

    settings: Settings
    link: MasterLink
    service: VerificationService


def access_of(redis: RedisSettings) -> Access:
    """Give what the link needs of the settings."""
    return Access(
        sentinels=redis.sentinels,
        master_name=redis.master_name,
        node_login=Login(redis.username, redis.password),
        sentinel_login=Login(redis.sentinel_username, redis.sentinel_password),
    )


def acknowledgement_of(redis: RedisSettings) -> Acknowledgement:
    """Give how many replicas must have a write before it counts."""
    return Acknowledgement(redis.replicas_to_acknowledge, redis.acknowledge_timeout_ms)


def make_container(settings: Settings) -> Container:
    """Wire the parts; nothing connects before the first request."""
    link = MasterLink(access_of(settings.redis), deadline_s=settings.redis.request_deadline_s)
    store = VerificationStore(
        link,
        acknowledgement_of(settings.redis),
        retention_s=settings.retention_s,
        max_owed_mails=settings.max_owed_mails,
    )
    return Container(settings, link, VerificationService(store, settings.keys, settings.rules))


def install(app: Flask, container: Container) -> None:
    """Keep the parts in the app."""
    app.extensions[_EXTENSION] = container


def current_container() -> Container:
    """Give the parts of the app that serves this request."""
    parts = current_app.extensions[_EXTENSION]
    assert isinstance(parts, Container)  # noqa: S101 - said for the type checker: `install` put it there
    return parts


def current_service() -> VerificationService:
    """Give the service of the app that serves this request."""
    return current_container().service
