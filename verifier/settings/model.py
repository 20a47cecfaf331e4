"""The settings of a process as frozen values, with their defaults; nothing in here reads anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sentinel import Endpoint, Login, Tls
from verifier.domain.api_keys import ApiKeys
from verifier.domain.keys import KeyRing
from verifier.domain.limits import Limits
from verifier.domain.rules import Rules
from verifier.loglines import LogSettings
from verifier.settings.alerts import AlertSettings
from verifier.settings.brand import Brand
from verifier.settings.metrics import MetricsSettings
from verifier.settings.relays import MailRelay


@dataclass(frozen=True)
class RedisSettings:
    """Where the sentinels are and how to log in; no login is an empty one."""

    sentinels: tuple[Endpoint, ...] = ()
    master_name: str = "mymaster"
    login: Login = field(default_factory=Login)
    sentinel_login: Login = field(default_factory=Login)
    ops_login: Login = field(default_factory=Login)
    sentinel_ops_login: Login = field(default_factory=Login)
    tls: Tls | None = None
    replicas_to_acknowledge: int = 1
    acknowledge_timeout_ms: int = 500
    request_deadline_s: float = 10
    repair_rogue_master: bool = False
    """Whether a worker gives a master its role back that somebody took from it with REPLICAOF."""


@dataclass(frozen=True)
class MailSettings:
    """The relays and what the mails say of themselves."""

    relays: tuple[MailRelay, ...] = (MailRelay(),)
    default_sender: str = "verifier@localhost"
    verify_certificates: bool = True
    ca_file: Path | None = None
    connect_timeout_s: float = 5
    command_timeout_s: float = 15
    answer_timeout_s: float = 300
    connections: int = 8


@dataclass(frozen=True)
class Settings:
    """All settings of one process."""

    keys: KeyRing
    name: str = "Verifier"
    brand: Brand = field(default_factory=Brand)
    api_keys: ApiKeys = field(default_factory=ApiKeys)
    api_open: bool = False
    ops_password: str = field(default="", repr=False)
    """What opens the operators' page; without one there is none."""
    unsafe_for_tests: bool = False
    rules: Rules = field(default_factory=Rules)
    limits: Limits = field(default_factory=Limits)
    retention_s: float = 600
    max_owed_mails: int = 100_000
    hosts: tuple[str, ...] = ()
    public_url: str = ""
    """Where people reach the pages, without a slash at the end; empty where mails should lead nowhere."""
    trusted_proxies: int = 0
    queue: str = "verifier-mail"
    oldest_owed_limit_s: float = 120
    no_success_limit_s: float = 30
    redis: RedisSettings = RedisSettings()
    mail: MailSettings = MailSettings()
    alerts: AlertSettings = field(default_factory=AlertSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    development: bool = False
    """Whether these are the surroundings that `flask run` brings."""
