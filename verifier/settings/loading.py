"""Every setting, parsed once at the start; a wrong one stops the start with its name and the reason.

Settings come from the environment, then from a `.env` file in the current directory, all with the prefix
`VERIFIER_`. Each may also be given as `VERIFIER_<NAME>_FILE`, the path of a file that holds the value, as
container secrets are. Nothing reads the environment after the start.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from environs import EnvValidationError, FileAwareEnv, validate

from sentinel import Login, Tls
from verifier.domain.api_keys import parse_api_keys
from verifier.domain.hosts import parse_hosts
from verifier.domain.keys import parse_keys
from verifier.domain.limits import Limit, Limits, parse_limit
from verifier.domain.rules import Rules
from verifier.loglines import LogSettings, log_format, log_level, shows_addresses
from verifier.settings.alerts import AlertSettings, canary_address, webhook_url
from verifier.settings.brand import read_brand
from verifier.settings.metrics import read_metrics
from verifier.settings.model import MailSettings, RedisSettings, Settings
from verifier.settings.parsers import (
    endpoints,
    existing_file,
    is_on,
    one_line,
    parsed,
    path,
    public_url,
    queue_name,
    sender,
    service_name,
    usable_tls,
)
from verifier.settings.relays import SCHEMES, MailRelay, parse_relays
from verifier.settings.weaknesses import weaknesses_of

PREFIX = "VERIFIER_"
# Read by other parts before or beside the settings: the binary of the embedded topology, compose's own.
EMBEDDED_MAILBOX = "VERIFIER_EMBEDDED_MAILBOX"
OTHER_NAMES = frozenset({"VERIFIER_REDIS_SERVER", "VERIFIER_RUN", EMBEDDED_MAILBOX})

_NOT_SET = {"VERIFIER_SECRET_KEYS": "It is not set. Make a key with: flask secret-keys new"}

log = logging.getLogger(__name__)

Range = validate.Range
Read = TypeVar("Read")


class SettingsError(Exception):
    """One or more settings are wrong; the message has a sentence for each, with its name."""


def load_settings(dotenv: Path | None = Path(".env"), *, warn: bool = True) -> Settings:
    """Read the settings from the environment, and from the `.env` file where the environment is silent.

    With `warn` the log says what is not wrong but questionable.

    Raises:
        SettingsError: a setting is missing or wrong, or too weak (settings/weaknesses.py).
    """
    settings = _load(_read, dotenv)
    if settings.api_keys and settings.api_open:
        raise SettingsError(
            "VERIFIER_API_OPEN: It can't be true while VERIFIER_API_KEYS has keys. Remove one of the two."
        )
    if settings.metrics.is_closed_to_others:
        raise SettingsError(
            "VERIFIER_WORKER_METRICS_HOST: Other machines reach it, and none may read metrics without a token. Set "
            "VERIFIER_METRICS_TOKEN, or leave the host out."
        )
    weaknesses = weaknesses_of(settings)
    if weaknesses and not settings.unsafe_for_tests:
        raise SettingsError("\n".join(weaknesses))
    if warn:
        _warn_of(settings, weaknesses)
    return settings


def load_redis_settings(dotenv: Path | None = Path(".env")) -> RedisSettings:
    """Read only what leads to Redis: who operates it need not hold the keys that codes are made with.

    Raises:
        SettingsError: a setting is wrong.
    """
    return _load(_read_redis, dotenv)


def _load(read: Callable[[FileAwareEnv], Read], dotenv: Path | None) -> Read:
    _forget_empty_values()
    if dotenv is not None and dotenv.is_file():
        _fill_in_from(dotenv)
    env = FileAwareEnv(eager=False, prefix=PREFIX, strip_whitespace=True)
    with _errors_as_sentences():
        settings = read(env)
        env.seal()
    return settings


def _forget_empty_values() -> None:
    """Treat `NAME=` as not set, which is what people mean who clear a value in a file."""
    for name in [name for name, value in os.environ.items() if name.startswith(PREFIX) and not value.strip()]:
        del os.environ[name]


def _fill_in_from(dotenv: Path) -> None:
    """Take what the environment leaves open from a file; a setting and its `_FILE` form are one."""
    before = set(os.environ)
    for name, value in dotenv_values(dotenv).items():
        other = name.removesuffix("_FILE") if name.endswith("_FILE") else f"{name}_FILE"
        if name.startswith(PREFIX) and value and value.strip() and not before & {name, other}:
            os.environ[name] = value


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    try:
        yield
    except EnvValidationError as error:
        messages: Any = error.error_messages  # by name, since `seal` raises them together
        raise SettingsError("\n".join(_sentences(messages))) from None
    except ValueError as error:  # an unreadable VERIFIER_..._FILE; the message names it
        raise SettingsError(str(error)) from None


def _sentences(messages: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, reasons in messages.items():
        for reason in reasons:
            text = _NOT_SET.get(name, "It is not set.") if "not set" in reason else reason
            yield f"{name}: {text.removesuffix('.')}."


def _read(env: FileAwareEnv) -> Settings:
    return Settings(
        name=parsed(env, "NAME", service_name, Settings.name),
        brand=read_brand(env),
        api_keys=parsed(env, "API_KEYS", parse_api_keys, ""),
        api_open=env.bool("API_OPEN", Settings.api_open),
        ops_password=_first_line(env.str("OPS_PASSWORD", "")),
        unsafe_for_tests=env.bool("UNSAFE_FOR_TESTS", Settings.unsafe_for_tests),
        keys=parsed(env, "SECRET_KEYS", parse_keys),
        rules=_read_rules(env),
        limits=_read_limits(env),
        retention_s=env.float("RETENTION", Settings.retention_s, validate=Range(0, 30 * 86400)),
        max_owed_mails=env.int("MAX_OWED_MAILS", Settings.max_owed_mails, validate=Range(1)),
        queue=parsed(env, "QUEUE", queue_name, Settings.queue),
        oldest_owed_limit_s=env.float(
            "OLDEST_OWED_LIMIT", Settings.oldest_owed_limit_s, validate=Range(1, 86400)
        ),
        no_success_limit_s=env.float(
            "NO_SUCCESS_LIMIT", Settings.no_success_limit_s, validate=Range(1, 86400)
        ),
        hosts=parsed(env, "HOSTS", parse_hosts, ""),
        public_url=parsed(env, "PUBLIC_URL", public_url, ""),
        trusted_proxies=env.int("TRUSTED_PROXIES", Settings.trusted_proxies, validate=Range(0, 10)),
        redis=_read_redis(env),
        mail=_read_mail(env),
        alerts=_read_alerts(env),
        metrics=read_metrics(env),
        logs=_read_logs(env),
        development=EMBEDDED_MAILBOX in os.environ,
    )


def _read_rules(env: FileAwareEnv) -> Rules:
    return Rules(
        code_digits=env.int("CODE_DIGITS", Rules.code_digits, validate=Range(4, 10)),
        lifetime_s=env.float("CODE_LIFETIME", Rules.lifetime_s, validate=Range(1, 86400)),
        max_check_attempts=env.int("MAX_CHECK_ATTEMPTS", Rules.max_check_attempts, validate=Range(1, 100)),
        resend_after_s=env.float("RESEND_AFTER", Rules.resend_after_s, validate=Range(0, 86400)),
        resend_growth=env.float("RESEND_GROWTH", Rules.resend_growth, validate=Range(1, 10)),
        max_sends=env.int("MAX_SENDS", Rules.max_sends, validate=Range(1, 100)),
    )


def _read_limits(env: FileAwareEnv) -> Limits:
    """Read each limit by its name: `VERIFIER_LIMIT_MAILS_PER_ADDRESS` is `mails_per_address`."""
    usual = Limits()
    read = {
        each.name: parsed(env, f"LIMIT_{each.name.upper()}", parse_limit, str(getattr(usual, each.name)))
        for each in fields(Limits)
        if isinstance(getattr(usual, each.name), Limit)
    }
    return Limits(
        **read,
        ipv4_prefix=env.int("LIMIT_IPV4_PREFIX", usual.ipv4_prefix, validate=Range(16, 32)),
        ipv6_prefix=env.int("LIMIT_IPV6_PREFIX", usual.ipv6_prefix, validate=Range(32, 128)),
        enabled=env.bool("RATE_LIMITS_ENABLED", usual.enabled),
    )


def _read_redis(env: FileAwareEnv) -> RedisSettings:
    usual = RedisSettings
    return RedisSettings(
        sentinels=parsed(env, "SENTINELS", endpoints, ""),
        master_name=parsed(env, "SENTINEL_MASTER", one_line, usual.master_name),
        login=_read_login(env, "REDIS"),
        sentinel_login=_read_login(env, "SENTINEL"),
        ops_login=_read_login(env, "REDIS_OPS"),
        sentinel_ops_login=_read_login(env, "SENTINEL_OPS"),
        tls=_read_tls(env),
        replicas_to_acknowledge=env.int(
            "REPLICAS_TO_ACKNOWLEDGE", usual.replicas_to_acknowledge, validate=Range(0, 10)
        ),
        acknowledge_timeout_ms=env.int(
            "ACKNOWLEDGE_TIMEOUT_MS", usual.acknowledge_timeout_ms, validate=Range(10, 10_000)
        ),
        request_deadline_s=env.float("REQUEST_DEADLINE", usual.request_deadline_s, validate=Range(0.5, 60)),
        repair_rogue_master=env.bool("REPAIR_ROGUE_MASTER", usual.repair_rogue_master),
    )


def _read_tls(env: FileAwareEnv) -> Tls | None:
    """Read how connections are encrypted; files count only where they are, and are tried right away."""
    tls = Tls(
        ca_file=parsed(env, "REDIS_TLS_CA_FILE", path, ""),
        certificate_file=parsed(env, "REDIS_TLS_CERT_FILE", path, ""),
        key_file=parsed(env, "REDIS_TLS_KEY_FILE", path, ""),
        verify=env.bool("REDIS_TLS_VERIFY", Tls.verify),
    )
    wanted: Tls | None = parsed(env, "REDIS_TLS", lambda text: usable_tls(tls) if is_on(text) else None, "")
    return wanted


def _read_login(env: FileAwareEnv, user: str) -> Login:
    """Read a user; while a password is being changed its file has two lines, and the first is to be used."""
    return Login(env.str(f"{user}_USERNAME", ""), _first_line(env.str(f"{user}_PASSWORD", "")))


def _first_line(password: str) -> str:
    lines = password.splitlines()
    return lines[0].strip() if lines else ""


def _read_mail(env: FileAwareEnv) -> MailSettings:
    usual = MailSettings
    return MailSettings(
        relays=parsed(env, "MAIL_RELAYS", parse_relays, "") or (_read_relay(env),),
        default_sender=parsed(env, "MAIL_DEFAULT_SENDER", sender, usual.default_sender),
        verify_certificates=env.bool("MAIL_VERIFY_CERTIFICATES", usual.verify_certificates),
        ca_file=parsed(env, "MAIL_CA_FILE", existing_file, ""),
        connect_timeout_s=env.float("MAIL_CONNECT_TIMEOUT", usual.connect_timeout_s, validate=Range(0.1, 60)),
        command_timeout_s=env.float(
            "MAIL_COMMAND_TIMEOUT", usual.command_timeout_s, validate=Range(0.1, 300)
        ),
        answer_timeout_s=env.float("MAIL_ANSWER_TIMEOUT", usual.answer_timeout_s, validate=Range(1, 3600)),
        connections=env.int("MAIL_CONNECTIONS", usual.connections, validate=Range(1, 100)),
    )


def _read_alerts(env: FileAwareEnv) -> AlertSettings:
    plain_allowed = env.bool("ALERT_WEBHOOK_PLAIN", False)
    return AlertSettings(
        webhook=parsed(env, "ALERT_WEBHOOK", lambda text: webhook_url(text, plain_allowed=plain_allowed), ""),
        canary_address=parsed(env, "CANARY_ADDRESS", canary_address, ""),
        canary_interval_s=env.float(
            "CANARY_INTERVAL", AlertSettings.canary_interval_s, validate=Range(10, 3600)
        ),
    )


def _read_logs(env: FileAwareEnv) -> LogSettings:
    """Read how the log is written once more, to name what is wrong: `verifier.loglines.early_settings` takes the usual instead."""
    return LogSettings(
        format=parsed(env, "LOG_FORMAT", log_format, "auto"),
        level=parsed(env, "LOG_LEVEL", log_level, "info"),
        shows_addresses=parsed(env, "LOG_ADDRESSES", shows_addresses, "masked"),
    )


def _read_relay(env: FileAwareEnv) -> MailRelay:
    """Read the one relay of the single settings."""
    scheme = "smtp"
    if env.bool("MAIL_USE_TLS", False):
        scheme = "smtp+starttls"
    if env.bool("MAIL_USE_SSL", False):
        scheme = "smtps"
    security, usual_port = SCHEMES[scheme]
    return MailRelay(
        host=parsed(env, "MAIL_SERVER", one_line, MailRelay.host),
        port=env.int("MAIL_PORT", usual_port, validate=Range(1, 65535)),
        username=env.str("MAIL_USERNAME", ""),
        password=env.str("MAIL_PASSWORD", ""),
        security=security,
    )


def _warn_of(settings: Settings, weaknesses: Sequence[str]) -> None:
    if settings.unsafe_for_tests:
        log.warning(
            "VERIFIER_UNSAFE_FOR_TESTS is true: this service proves nothing, and is for tests only. %s",
            " ".join(weaknesses) or "No other setting makes use of it.",
        )
    if settings.redis.tls is not None and not settings.redis.tls.verify:
        log.warning(
            "VERIFIER_REDIS_TLS_VERIFY is off: whoever stands between us and Redis can read and change everything."
        )
    if not settings.limits.enabled:
        log.warning(
            "VERIFIER_RATE_LIMITS_ENABLED is false: nothing bounds how many mails somebody asks for, nor how many codes "
            "somebody tries, so codes can be guessed. This is for load tests only."
        )
    else:
        for total, share in settings.limits.without_room():
            log.warning(
                "VERIFIER_LIMIT_%s allows more than half of VERIFIER_LIMIT_%s, so a single client may keep all others out. "
                "Lower the first, or raise the second.",
                share.upper(),
                total.upper(),
            )
    for sentence in unknown_names(os.environ):
        log.warning("%s", sentence)


def unknown_names(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each name that looks like a setting and is none."""
    known = known_names()
    for name in names:
        bare = name.removesuffix("_FILE")
        if name.startswith(PREFIX) and bare not in known and name not in known:
            near = difflib.get_close_matches(bare, known, n=1)
            yield f"{name} is not a setting{f'; did you mean {near[0]}?' if near else '.'}"


def known_names() -> frozenset[str]:
    """Return the names of all settings, with their prefix."""
    names: set[str] = set()

    class Recorder(FileAwareEnv):
        def _get_value(self, env_key: str, default: Any) -> Any:
            names.add(env_key)
            return default  # nothing is read: a file that is named may be missing

    _read(Recorder(eager=False, prefix=PREFIX))
    return frozenset(names) | OTHER_NAMES
