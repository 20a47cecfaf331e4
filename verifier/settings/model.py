"""The settings of a process as frozen values; nothing in here reads anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sentinel import Endpoint
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.settings.relays import MailRelay


@dataclass(frozen=True)
class RedisSettings:
    """Where the sentinels are and how to log in; empty names and passwords mean no login."""

    sentinels: tuple[Endpoint, ...]
    master_name: str
    username: str
    password: str = field(repr=False)
    sentinel_username: str
    sentinel_password: str = field(repr=False)
    ops_username: str
    ops_password: str = field(repr=False)
    sentinel_ops_username: str
    sentinel_ops_password: str = field(repr=False)
    replicas_to_acknowledge: int
    acknowledge_timeout_ms: int
    request_deadline_s: float


@dataclass(frozen=True)
class MailSettings:
    """The relays and what the mails say of themselves."""

    relays: tuple[MailRelay, ...]
    default_sender: str
    verify_certificates: bool
    ca_file: Path | None
    connect_timeout_s: float
    command_timeout_s: float
    connections: int


@dataclass(frozen=True)
class Settings:
    """All settings of one process."""

    name: str
    keys: KeyRing
    rules: Rules
    retention_s: float
    max_owed_mails: int
    trusted_proxies: int
    redis: RedisSettings
    mail: MailSettings
