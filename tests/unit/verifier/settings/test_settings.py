"""Every setting: how it is read, and how a wrong one is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from sentinel import Endpoint, Tls
from verifier.domain.api_keys import ApiKeys
from verifier.domain.limits import Limit, parse_limit
from verifier.settings import Settings, SettingsError, known_names, load_settings
from verifier.settings.loading import OTHER_NAMES

GOOD = "cde0fb0dec1400c54a0f7e7eafa73624c53e4da258bbd34b3380a0defeba95c1"
KEYS = f"k:{GOOD}"
SECRET = "hunter2-never-shown"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An environment with the secret keys only, in an empty directory; what a test loads is undone."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("VERIFIER_")]:
        del os.environ[name]
    os.environ["VERIFIER_SECRET_KEYS"] = KEYS
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


def _load(**values: str) -> Settings:
    os.environ.update({f"VERIFIER_{name}": value for name, value in values.items()})
    return load_settings()


SENTINELS = (Endpoint("a", 26379), Endpoint("b", 1), Endpoint("::1", 2))


def _limit(name: str, text: str, usual: str) -> tuple[str, Limit, Limit]:
    return f"limits.{name}", parse_limit(text), parse_limit(usual)


# setting, text, where it ends up, value, default
READ = [
    ("API_KEYS", f"shop:{'0a' * 32}", "api_keys", ApiKeys((("shop", b"\n" * 32),)), ApiKeys()),
    ("UNSAFE_FOR_TESTS", "true", "unsafe_for_tests", True, False),
    ("API_OPEN", "true", "api_open", True, False),
    ("OPS_PASSWORD", "9vX-hb3Kq_Zt7wLr", "ops_password", "9vX-hb3Kq_Zt7wLr", ""),
    ("NAME", "Example Shop", "name", "Example Shop", "Verifier"),
    ("CODE_DIGITS", "8", "rules.code_digits", 8, 6),
    ("CODE_LIFETIME", "120", "rules.lifetime_s", 120, 600),
    ("MAX_CHECK_ATTEMPTS", "3", "rules.max_check_attempts", 3, 5),
    ("RATE_LIMITS_ENABLED", "false", "limits.enabled", False, True),
    ("LIMIT_MAILS_PER_ADDRESS", "3/10m", *_limit("mails_per_address", "3/10m", "15/10m, 50/1d")),
    (
        "LIMIT_MAILS_PER_ADDRESS_AND_NETWORK",
        " 1/30s ,2/7d ",
        *_limit("mails_per_address_and_network", "1/30s, 2/7d", "5/10m, 15/1d"),
    ),
    ("LIMIT_MAILS_PER_NETWORK", "9/1h", *_limit("mails_per_network", "9/1h", "200/10m, 2000/1d")),
    ("LIMIT_MAILS_PER_API_KEY", "off", *_limit("mails_per_api_key", "off", "10000/10m")),
    ("LIMIT_MAILS_PER_DOMAIN", "50/1h", *_limit("mails_per_domain", "50/1h", "off")),
    ("LIMIT_MAILS", "90/90m", *_limit("mails", "90/90m", "20000/10m")),
    (
        "LIMIT_WRONG_CODES_PER_ADDRESS",
        "60/1d",
        *_limit("wrong_codes_per_address", "60/1d", "100/1h, 200/1d"),
    ),
    (
        "LIMIT_WRONG_CODES_PER_ADDRESS_AND_NETWORK",
        "7/1h",
        *_limit("wrong_codes_per_address_and_network", "7/1h", "20/1h, 50/1d"),
    ),
    (
        "LIMIT_WRONG_CODES_PER_NETWORK",
        "8/1h",
        *_limit("wrong_codes_per_network", "8/1h", "100/10m, 1000/1d"),
    ),
    ("LIMIT_IPV4_PREFIX", "32", "limits.ipv4_prefix", 32, 24),
    ("LIMIT_IPV6_PREFIX", "48", "limits.ipv6_prefix", 48, 64),
    ("RESEND_AFTER", "1.5", "rules.resend_after_s", 1.5, 30),
    ("RESEND_GROWTH", "1", "rules.resend_growth", 1, 2),
    ("MAX_SENDS", "2", "rules.max_sends", 2, 5),
    ("RETENTION", "0", "retention_s", 0, 600),
    ("MAX_OWED_MAILS", "10", "max_owed_mails", 10, 100_000),
    ("HOSTS", "Verify.Example.org., [::1]", "hosts", ("verify.example.org", "[::1]"), ()),
    ("PUBLIC_URL", "https://verify.example.org/", "public_url", "https://verify.example.org", ""),
    ("TRUSTED_PROXIES", "1", "trusted_proxies", 1, 0),
    ("SENTINELS", " a , b:1,[::1]:2 ", "redis.sentinels", SENTINELS, ()),
    ("SENTINEL_MASTER", "main", "redis.master_name", "main", "mymaster"),
    ("REDIS_USERNAME", "app", "redis.login.username", "app", ""),
    ("REDIS_PASSWORD", SECRET, "redis.login.password", SECRET, ""),
    ("SENTINEL_USERNAME", "sapp", "redis.sentinel_login.username", "sapp", ""),
    ("SENTINEL_PASSWORD", SECRET, "redis.sentinel_login.password", SECRET, ""),
    ("REDIS_OPS_USERNAME", "ops", "redis.ops_login.username", "ops", ""),
    ("REDIS_OPS_PASSWORD", SECRET, "redis.ops_login.password", SECRET, ""),
    ("SENTINEL_OPS_USERNAME", "sops", "redis.sentinel_ops_login.username", "sops", ""),
    ("SENTINEL_OPS_PASSWORD", SECRET, "redis.sentinel_ops_login.password", SECRET, ""),
    ("REDIS_TLS", "yes", "redis.tls", Tls(), None),
    ("REPLICAS_TO_ACKNOWLEDGE", "0", "redis.replicas_to_acknowledge", 0, 1),
    ("ACKNOWLEDGE_TIMEOUT_MS", "100", "redis.acknowledge_timeout_ms", 100, 500),
    ("REQUEST_DEADLINE", "2.5", "redis.request_deadline_s", 2.5, 10),
    ("REPAIR_ROGUE_MASTER", "true", "redis.repair_rogue_master", True, False),
    ("MAIL_SERVER", "smtp.example.org", "mail.relays.host", "smtp.example.org", "127.0.0.1"),
    ("MAIL_PORT", "2525", "mail.relays.port", 2525, 25),
    ("MAIL_USERNAME", "us", "mail.relays.username", "us", ""),
    ("MAIL_PASSWORD", SECRET, "mail.relays.password", SECRET, ""),
    ("MAIL_USE_TLS", "true", "mail.relays.security", "starttls", "none"),
    ("MAIL_USE_SSL", "yes", "mail.relays.security", "tls", "none"),
    (
        "MAIL_DEFAULT_SENDER",
        "Example <verify@example.org>",
        "mail.default_sender",
        "Example <verify@example.org>",
        "verifier@localhost",
    ),
    ("MAIL_VERIFY_CERTIFICATES", "False", "mail.verify_certificates", False, True),
    ("MAIL_CONNECT_TIMEOUT", "0.5", "mail.connect_timeout_s", 0.5, 5),
    ("MAIL_COMMAND_TIMEOUT", "20", "mail.command_timeout_s", 20, 15),
    ("MAIL_ANSWER_TIMEOUT", "600", "mail.answer_timeout_s", 600, 300),
    ("MAIL_CONNECTIONS", "2", "mail.connections", 2, 8),
    ("QUEUE", "other-mail", "queue", "other-mail", "verifier-mail"),
    ("OLDEST_OWED_LIMIT", "300", "oldest_owed_limit_s", 300, 120),
    ("NO_SUCCESS_LIMIT", "60", "no_success_limit_s", 60, 30),
    ("ALERT_WEBHOOK", "https://hooks.example.org/a", "alerts.webhook", "https://hooks.example.org/a", ""),
    ("CANARY_ADDRESS", "Canary@Example.org", "alerts.canary_address", "Canary@example.org", ""),
    ("CANARY_INTERVAL", "30", "alerts.canary_interval_s", 30, 60),
    ("METRICS_TOKEN", GOOD, "metrics.token", GOOD, ""),
    ("WORKER_METRICS_PORT", "9187", "metrics.worker_port", 9187, 0),
    ("WORKER_METRICS_HOST", "127.0.0.2", "metrics.worker_host", "127.0.0.2", "127.0.0.1"),
    ("LOG_FORMAT", "JSON", "logs.format", "json", "auto"),
    ("LOG_LEVEL", "debug", "logs.level", logging.DEBUG, logging.INFO),
    ("LOG_ADDRESSES", "full", "logs.shows_addresses", True, False),
]


def _found(settings: Settings, place: str) -> object:
    if place.startswith("mail.relays."):
        return getattr(settings.mail.relays[0], place.removeprefix("mail.relays."))
    return attrgetter(place)(settings)


@pytest.mark.parametrize(("name", "text", "place", "value", "default"), READ, ids=[each[0] for each in READ])
def test_a_setting_is_read_and_has_its_default(
    name: str, text: str, place: str, value: object, default: object
) -> None:
    """What stands in the environment ends up in its place; without it, the documented default does."""
    assert _found(_load(), place) == default
    assert _found(_load(**{name: text}), place) == value


def test_no_setting_is_missing_in_these_tests() -> None:
    """A new setting needs a row above."""
    rows = {f"VERIFIER_{each[0]}" for each in READ}
    tested_below = {
        "VERIFIER_SECRET_KEYS",
        "VERIFIER_MAIL_CA_FILE",
        "VERIFIER_MAIL_RELAYS",
        "VERIFIER_ALERT_WEBHOOK_PLAIN",
        "VERIFIER_ACCENT_COLOR",
        "VERIFIER_LOGO",
    }
    # In tests/unit/sentinel/test_tls.py, where there are files; verification right below.
    of_tls = {f"VERIFIER_REDIS_TLS_{each}" for each in ("CA_FILE", "CERT_FILE", "KEY_FILE", "VERIFY")}
    assert rows | tested_below | of_tls == known_names() - OTHER_NAMES


def test_unverified_tls_is_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody turned it off for a try, and forgot it."""
    assert _load(REDIS_TLS="true", REDIS_TLS_VERIFY="false").redis.tls == Tls(verify=False)
    assert "VERIFIER_REDIS_TLS_VERIFY is off" in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5", "::"])  # noqa: S104 - it is refused
def test_metrics_that_others_reach_want_a_token(host: str) -> None:
    """Without one nobody else could read them; a host without a port is none."""
    assert _load(WORKER_METRICS_HOST=host).metrics.worker_port == 0
    with pytest.raises(SettingsError, match=r"VERIFIER_WORKER_METRICS_HOST: .* Set VERIFIER_METRICS_TOKEN"):
        _load(WORKER_METRICS_PORT="9187")
    assert _load(METRICS_TOKEN=GOOD).metrics.worker_host == host


def test_secret_keys_are_read_in_their_order() -> None:
    """The first one makes new codes."""
    settings = _load(SECRET_KEYS=f"new:{GOOD},old:{GOOD[::-1]}")
    assert settings.keys.current == "new"
    assert settings.keys.secrets["old"] == GOOD[::-1].encode()


def test_secret_keys_are_required() -> None:
    """There is no default secret."""
    del os.environ["VERIFIER_SECRET_KEYS"]
    with pytest.raises(SettingsError, match="VERIFIER_SECRET_KEYS: It is not set"):
        load_settings()


def test_a_list_of_relays_takes_the_place_of_the_single_one() -> None:
    """Order, encryption, logins and ports are read from the URLs."""
    text = f"smtp+starttls://us:{SECRET}@one.example, smtps://two.example:4465,smtp://[::1]"
    first, second, third = _load(MAIL_RELAYS=text, MAIL_SERVER="other.example").mail.relays
    assert (first.host, first.port, first.security) == ("one.example", 587, "starttls")
    assert (first.username, first.password) == ("us", SECRET)
    assert (second.host, second.port, second.security) == ("two.example", 4465, "tls")
    assert (third.host, third.port, third.security, third.weight) == ("::1", 25, "none", None)


def test_relays_may_have_weights() -> None:
    """A weight on each spreads the mails over them; letters in a login may be written as %XX."""
    relays = _load(
        MAIL_RELAYS="smtps://a%40b:c%2Cd@one.example?weight=3,smtp://two.example?weight=1"
    ).mail.relays
    assert [relay.weight for relay in relays] == [3, 1]
    assert (relays[0].username, relays[0].password) == ("a@b", "c,d")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"imap://us:{SECRET}@one.example", "relay 1 must be smtp://"),
        (f"smtp://one.example,smtp://us:{SECRET}@", "relay 2 must be smtp://"),
        (f"smtp://us:{SECRET}@one.example:99999", "relay 1 is not a URL with a port"),
        ("smtp://one.example?weight=3,smtp://two.example", "either each relay a weight or none"),
        ("smtp://one.example?weight=0", "relay 1 needs a weight greater than 0"),
        ("smtp://one.example?wait=1", "relay 1 has an unknown option: wait"),
        ("smtp://one.example,smtp://one.example:25", "the same host and port are there twice"),
    ],
)
def test_a_wrong_relay_is_told_without_its_password(text: str, reason: str) -> None:
    """The message says which relay is wrong and why."""
    with pytest.raises(SettingsError, match=reason) as caught:
        _load(MAIL_RELAYS=text)
    assert "VERIFIER_MAIL_RELAYS" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_ca_file_must_be_there(tmp_path: Path) -> None:
    """A path is read; one that leads nowhere is told. Its own name ends in _FILE and means no indirection."""
    authority = tmp_path / "ca.pem"
    authority.touch()
    assert _load(MAIL_CA_FILE=str(authority)).mail.ca_file == authority
    with pytest.raises(SettingsError, match="VERIFIER_MAIL_CA_FILE: there is no file /nowhere"):
        _load(MAIL_CA_FILE="/nowhere/ca.pem")


def test_the_pages_own_logo_and_colour(tmp_path: Path) -> None:
    """A wrong one stops the start with its name; what is wrong with which is in test_brand.py."""
    logo = tmp_path / "logo.svg"
    logo.touch()
    brand = _load(LOGO=str(logo), ACCENT_COLOR="#7A2048").brand
    assert brand.logo == logo
    assert brand.accent is not None
    assert brand.accent.light == "#7a2048"
    with pytest.raises(SettingsError) as refusal:
        _load(LOGO="/nowhere/logo.svg", ACCENT_COLOR="#ffcc00")
    assert "VERIFIER_LOGO: there is no file /nowhere/logo.svg." in str(refusal.value)
    assert "VERIFIER_ACCENT_COLOR: #ffcc00 is too light to be read on the pages" in str(refusal.value)


@pytest.mark.parametrize(
    ("use_tls", "use_ssl", "port"), [("0", "0", 25), ("1", "0", 587), ("0", "1", 465), ("1", "1", 465)]
)
def test_the_mail_port_follows_the_kind_of_encryption(use_tls: str, use_ssl: str, port: int) -> None:
    """Unless it is set."""
    assert _load(MAIL_USE_TLS=use_tls, MAIL_USE_SSL=use_ssl).mail.relays[0].port == port
    assert _load(MAIL_PORT="2525").mail.relays[0].port == 2525


@pytest.mark.parametrize("text", ["False", "false", "0", "no", "off", "f", "n", "FALSE"])
def test_false_is_false(text: str) -> None:
    """Not a string that counts as true."""
    assert _load(MAIL_VERIFY_CERTIFICATES=text).mail.verify_certificates is False


@pytest.mark.parametrize("text", ["True", "true", "1", "yes", "on"])
def test_true_is_true(text: str) -> None:
    """In the words people use."""
    assert _load(MAIL_USE_TLS=text).mail.relays[0].security == "starttls"


def test_digits_stay_text_where_text_is_wanted() -> None:
    """A password of digits is no number, and neither is a name."""
    settings = _load(REDIS_PASSWORD="0012345", NAME="4711")
    assert settings.redis.login.password == "0012345"
    assert settings.name == "4711"


WRONG = [
    ("NAME", "two\nlines", "one line"),
    ("NAME", "x" * 101, "one line"),
    ("SECRET_KEYS", SECRET, "entry 1 is not id:secret"),
    ("SECRET_KEYS", "k:hunter2", "can be guessed"),
    ("SECRET_KEYS", "k:" + "hunter2" * 20, "can be guessed"),
    ("SECRET_KEYS", f"k:{GOOD},old:hunter2", "The secret of key 'old' can be guessed"),
    ("CODE_DIGITS", "5", "the least is 6"),
    ("CODE_LIFETIME", "601", "the most is 600"),
    ("MAX_CHECK_ATTEMPTS", "11", "the most is 10"),
    ("API_KEYS", "shop", "entry 1 is not name:sha256"),
    ("API_KEYS", "shop:hunter2", "entry 1 (shop) has no SHA-256"),
    ("API_OPEN", "perhaps", "Not a valid boolean"),
    ("UNSAFE_FOR_TESTS", "2", "Not a valid boolean"),
    ("LIMIT_MAILS", "0/10m", "would let nobody in; write off"),
    ("LIMIT_MAILS", "5", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "5/10", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "5/10m,", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "-5/10m", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "5 / 10m", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "five a day", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "\u0665/10m", "write a number and a time with its unit"),
    ("LIMIT_MAILS", "5/0m", "from 1s to 7d"),
    ("LIMIT_MAILS", "5/8d", "from 1s to 7d"),
    ("LIMIT_MAILS", "5/60s, 9/1m", "have the same window"),
    ("LIMIT_MAILS", "1/1s, 2/2s, 3/3s, 4/4s", "at most 3 rates"),
    ("LIMIT_WRONG_CODES_PER_ADDRESS", "off", "Without this limit a code can be guessed"),
    ("LIMIT_WRONG_CODES_PER_ADDRESS", "500/1d", "a chance of 1 in 500"),
    ("LIMIT_WRONG_CODES_PER_ADDRESS", "100/1h", "5000 codes be tried"),
    ("LIMIT_IPV4_PREFIX", "8", "greater than or equal to 16"),
    ("LIMIT_IPV6_PREFIX", "129", "less than or equal to 128"),
    ("RATE_LIMITS_ENABLED", "sometimes", "Not a valid boolean"),
    ("CODE_DIGITS", "six", "Not a valid integer"),
    ("CODE_DIGITS", "3", "greater than or equal to 4"),
    ("CODE_DIGITS", "11", "less than or equal to 10"),
    ("CODE_LIFETIME", "0", "greater than or equal to 1"),
    ("CODE_LIFETIME", "ten minutes", "Not a valid number"),
    ("CODE_LIFETIME", "nan", "not permitted"),
    ("RETENTION", "inf", "not permitted"),
    ("RETENTION", "-1", "greater than or equal to 0"),
    ("MAX_CHECK_ATTEMPTS", "0", "greater than or equal to 1"),
    ("MAX_CHECK_ATTEMPTS", "5.5", "Not a valid integer"),
    ("RESEND_AFTER", "-1", "greater than or equal to 0"),
    ("RESEND_GROWTH", "0.5", "greater than or equal to 1"),
    ("MAX_SENDS", "0", "greater than or equal to 1"),
    ("MAX_OWED_MAILS", "0", "greater than or equal to 1"),
    ("HOSTS", "verify.example.org:8000", "is not a host's name"),
    ("HOSTS", "https://verify.example.org", "is not a host's name"),
    ("HOSTS", "a,*.b", "is not a host's name"),
    ("PUBLIC_URL", "verify.example.org", "must be the address of the pages alone"),
    ("PUBLIC_URL", "https://verify.example.org/app", "must be the address of the pages alone"),
    ("PUBLIC_URL", "https://ada@verify.example.org", "must be the address of the pages alone"),
    ("PUBLIC_URL", "https://[::1", "must be the address of the pages alone"),
    ("PUBLIC_URL", "javascript://verify.example.org", "must be the address of the pages alone"),
    ("PUBLIC_URL", "http://verify.example.org", "must begin with https://"),
    ("TRUSTED_PROXIES", "-1", "greater than or equal to 0"),
    ("SENTINELS", "a:b", "not host:port"),
    ("SENTINELS", "a:0", "not host:port"),
    ("SENTINELS", "a:65536", "not host:port"),
    ("SENTINELS", ":26379", "names no host"),
    ("SENTINELS", "redis://a", "an endpoint is host:port"),
    ("SENTINELS", f"redis://user:{SECRET}@a:26379", "an endpoint is host:port"),
    ("SENTINELS", f"user:{SECRET}@a", "an endpoint is host:port"),
    ("SENTINELS", "a b:26379", "an endpoint is host:port"),
    ("SENTINEL_MASTER", "my\tmaster", "one line"),
    ("REPLICAS_TO_ACKNOWLEDGE", "-1", "greater than or equal to 0"),
    ("ACKNOWLEDGE_TIMEOUT_MS", "5", "greater than or equal to 10"),
    ("REQUEST_DEADLINE", "0", "greater than or equal to 0.5"),
    ("REPAIR_ROGUE_MASTER", "perhaps", "Not a valid boolean"),
    ("MAIL_SERVER", "smtp\n", "one line"),
    ("MAIL_PORT", "0", "greater than or equal to 1"),
    ("MAIL_PORT", "smtp", "Not a valid integer"),
    ("MAIL_USE_TLS", "maybe", "Not a valid boolean"),
    ("MAIL_USE_SSL", "2", "Not a valid boolean"),
    ("MAIL_VERIFY_CERTIFICATES", "nope", "Not a valid boolean"),
    ("MAIL_DEFAULT_SENDER", "nobody", "must be an address"),
    ("MAIL_DEFAULT_SENDER", "a@b.org\nBcc: c@d.org", "must be an address"),
    ("MAIL_CONNECT_TIMEOUT", "0", "greater than or equal to 0.1"),
    ("MAIL_COMMAND_TIMEOUT", "3600", "less than or equal to 300"),
    ("MAIL_ANSWER_TIMEOUT", "3601", "less than or equal to 3600"),
    ("MAIL_CONNECTIONS", "0", "greater than or equal to 1"),
    ("METRICS_TOKEN", SECRET, "32 to 200 letters"),
    ("METRICS_TOKEN", f"{SECRET} and some more of it, with spaces", "32 to 200 letters"),
    ("METRICS_TOKEN", f"{SECRET * 2}é", "32 to 200 letters"),
    ("WORKER_METRICS_PORT", "65536", "less than or equal to 65535"),
    ("WORKER_METRICS_PORT", "-1", "greater than or equal to 0"),
    ("WORKER_METRICS_PORT", "on", "Not a valid integer"),
    ("WORKER_METRICS_HOST", "two\nlines", "one line"),
    ("LOG_FORMAT", "xml", "must be json, text or auto"),
    ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
    ("LOG_ADDRESSES", "hidden", "must be masked or full"),
]


@pytest.mark.parametrize(
    ("name", "text", "reason"), WRONG, ids=[f"{each[0]}-{each[1]!r:.20}" for each in WRONG]
)
def test_a_wrong_setting_is_named_with_the_reason(name: str, text: str, reason: str) -> None:
    """One sentence, which begins with the full name and holds no secret."""
    with pytest.raises(SettingsError) as refusal:
        _load(**{name: text})
    sentence = str(refusal.value)
    assert sentence.startswith(f"VERIFIER_{name}: ")
    assert reason in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "hunter2" not in sentence


def test_an_open_api_has_no_keys() -> None:
    """Whoever sets both has forgotten one of them."""
    with pytest.raises(SettingsError, match="VERIFIER_API_OPEN: It can't be true while VERIFIER_API_KEYS"):
        _load(API_OPEN="true", API_KEYS=f"shop:{'0a' * 32}")


def test_only_flask_runs_own_surroundings_are_development() -> None:
    """They say so to the processes that they start."""
    assert _load().development is False
    assert _load(EMBEDDED_MAILBOX="mails").development is True


def test_all_wrong_settings_are_told_at_once() -> None:
    """Nobody wants to start five times to find five mistakes."""
    with pytest.raises(SettingsError) as refusal:
        _load(CODE_DIGITS="x", MAIL_PORT="y", SENTINELS="z:z", SECRET_KEYS="w")
    names = [line.partition(":")[0] for line in str(refusal.value).splitlines()]
    assert sorted(names) == [
        "VERIFIER_CODE_DIGITS",
        "VERIFIER_MAIL_PORT",
        "VERIFIER_SECRET_KEYS",
        "VERIFIER_SENTINELS",
    ]


@pytest.mark.parametrize("name", ["MAX_SENDS", "SENTINELS", "REDIS_PASSWORD", "MAIL_USE_TLS", "NAME"])
@pytest.mark.parametrize("nothing", ["", "  "])
def test_empty_means_not_set(name: str, nothing: str) -> None:
    """`NAME=` in a file is how people clear a value: the default counts."""
    default = _load()
    assert _load(**{name: nothing}) == default


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    """As container secrets do; the line break at its end is not part of it."""
    secret, port = tmp_path / "secret", tmp_path / "port"
    secret.write_text(f"{SECRET}\n")
    port.write_text("2525\n")
    settings = _load(REDIS_PASSWORD_FILE=str(secret), MAIL_PORT_FILE=str(port))
    assert settings.redis.login.password == SECRET
    assert settings.mail.relays[0].port == 2525


def test_the_secret_keys_may_come_from_a_file(tmp_path: Path) -> None:
    """And a wrong one there is told as if it stood in the environment."""
    del os.environ["VERIFIER_SECRET_KEYS"]
    file = tmp_path / "keys"
    file.write_text(f"{KEYS}\n")
    assert _load(SECRET_KEYS_FILE=str(file)).keys.current == "k"
    file.write_text(f"{SECRET}\n")
    with pytest.raises(SettingsError, match="VERIFIER_SECRET_KEYS: entry 1") as refusal:
        _load(SECRET_KEYS_FILE=str(file))
    assert "hunter2" not in str(refusal.value)


def test_a_file_that_can_not_be_read_is_told() -> None:
    """With the name of its setting."""
    with pytest.raises(SettingsError, match="VERIFIER_REDIS_PASSWORD_FILE must be a readable file"):
        _load(REDIS_PASSWORD_FILE="/nowhere/secret")


def test_dotenv_fills_in_what_the_environment_leaves_open(tmp_path: Path) -> None:
    """The environment wins; an empty line in the file means not set."""
    Path(".env").write_text("VERIFIER_NAME=From the file\nVERIFIER_MAX_SENDS=2\nVERIFIER_CODE_DIGITS=\n")
    settings = _load(NAME="From outside")
    assert settings.name == "From outside"
    assert settings.rules.max_sends == 2
    assert settings.rules.code_digits == 6


def test_dotenv_is_read_from_the_current_directory_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a directory above is somebody else's."""
    Path(".env").write_text("VERIFIER_NAME=From above\n")
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert _load().name == "Verifier"


def test_a_setting_of_the_environment_wins_over_a_file_named_in_dotenv(tmp_path: Path) -> None:
    """And a file named in the environment over a value in `.env`: both are the same setting."""
    file = tmp_path / "password"
    file.write_text("from a file\n")
    Path(".env").write_text(f"VERIFIER_REDIS_PASSWORD_FILE={file}\n")
    assert _load(REDIS_PASSWORD="from outside").redis.login.password == "from outside"
    del os.environ["VERIFIER_REDIS_PASSWORD"]
    assert _load().redis.login.password == "from a file"
    Path(".env").write_text("VERIFIER_REDIS_PASSWORD=from dotenv\n")
    assert _load().redis.login.password == "from a file"


def test_an_unknown_name_in_dotenv_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Names of other programs are none of our business."""
    Path(".env").write_text("VERIFIER_MAX_SEND=2\nPORT=9000\n")
    load_settings()
    assert [each.getMessage() for each in caplog.records] == [
        "VERIFIER_MAX_SEND is not a setting; did you mean VERIFIER_MAX_SENDS?"
    ]
    assert "PORT" not in os.environ


def test_a_wrong_value_in_dotenv_is_named_too() -> None:
    """As from the environment."""
    Path(".env").write_text("VERIFIER_MAX_SENDS=lots\n")
    with pytest.raises(SettingsError, match="VERIFIER_MAX_SENDS: Not a valid integer"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("VERIFIER_MAIL_SEVER", "did you mean VERIFIER_MAIL_SERVER?"),
        ("VERIFIER_REDIS_PASWORD_FILE", "did you mean VERIFIER_REDIS_PASSWORD?"),
        ("VERIFIER_QQQQQQQQQQQQ", "is not a setting."),
    ],
)
def test_an_unknown_name_is_warned_of(name: str, near: str, caplog: pytest.LogCaptureFixture) -> None:
    """With the setting that was probably meant; its value is not shown."""
    os.environ[name] = SECRET
    if name.endswith("_FILE"):
        os.environ[name] = __file__
    load_settings()
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{name} is not a setting")
    assert warnings[0].endswith(near)
    assert "hunter2" not in caplog.text


def test_known_names_and_their_files_are_not_warned_of(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Nor those of other parts of the project."""
    file = tmp_path / "file"
    file.write_text("x\n")
    _load(
        REDIS_SERVER="/usr/bin/redis-server",
        REDIS_PASSWORD_FILE=str(file),
        MAIL_CA_FILE=str(file),
        MAIL_SERVER="127.0.0.1",
    )
    assert caplog.records == []


def test_what_is_too_weak_passes_in_tests_and_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """Each of it is in the log; the secret itself is not shown."""
    settings = _load(
        SECRET_KEYS=f"weak:{SECRET}", CODE_DIGITS="4", CODE_LIFETIME="3600", UNSAFE_FOR_TESTS="true"
    )
    assert settings.rules.code_digits == 4
    [warning] = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    for said in ("UNSAFE_FOR_TESTS is true", "key 'weak' can be guessed", "4 digits", "3600 seconds"):
        assert said in warning
    assert "hunter2" not in caplog.text


def test_limits_that_are_off_are_loud(caplog: pytest.LogCaptureFixture) -> None:
    """They stop nobody, since load tests need them off; and no other limit is complained of."""
    settings = _load(RATE_LIMITS_ENABLED="false", LIMIT_WRONG_CODES_PER_ADDRESS="off")
    assert not settings.limits.enabled
    [warning] = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warning.startswith("VERIFIER_RATE_LIMITS_ENABLED is false: nothing bounds")


@pytest.mark.parametrize(
    ("name", "text", "share"),
    [
        ("LIMIT_MAILS_PER_ADDRESS", "9/10m, 50/1d", "LIMIT_MAILS_PER_ADDRESS_AND_NETWORK"),
        ("LIMIT_MAILS_PER_ADDRESS", "15/10m, 29/1d", "LIMIT_MAILS_PER_ADDRESS_AND_NETWORK"),
        ("LIMIT_WRONG_CODES_PER_ADDRESS", "90/1d", "LIMIT_WRONG_CODES_PER_ADDRESS_AND_NETWORK"),
        ("LIMIT_MAILS", "399/10m", "LIMIT_MAILS_PER_NETWORK"),
    ],
)
def test_a_share_that_leaves_no_room_is_warned_of(
    name: str, text: str, share: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Both limits are named."""
    _load(**{name: text})
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert any(f"VERIFIER_{share} allows more than half of VERIFIER_{name}," in each for each in warnings)


def test_the_override_is_loud_where_nothing_is_weak(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody should forget it in a deployment."""
    _load(UNSAFE_FOR_TESTS="true")
    assert "VERIFIER_UNSAFE_FOR_TESTS is true: this service proves nothing" in caplog.text


def test_all_weaknesses_are_told_at_once() -> None:
    """As all wrong settings are."""
    with pytest.raises(SettingsError) as refusal:
        _load(SECRET_KEYS="a:b,c:d", CODE_DIGITS="5", MAX_CHECK_ATTEMPTS="50")
    names = [line.partition(":")[0] for line in str(refusal.value).splitlines()]
    assert names == [
        "VERIFIER_SECRET_KEYS",
        "VERIFIER_SECRET_KEYS",
        "VERIFIER_CODE_DIGITS",
        "VERIFIER_MAX_CHECK_ATTEMPTS",
    ]


@pytest.mark.parametrize("host", ["smtp.example.org", "10.0.0.1", "localhost.example.org"])
def test_a_login_is_not_sent_in_the_clear(host: str) -> None:
    """Neither with the single settings nor with one of several relays."""
    for values in (
        {"MAIL_SERVER": host, "MAIL_USERNAME": "us", "MAIL_PASSWORD": SECRET},
        {"MAIL_RELAYS": f"smtps://us:{SECRET}@a.example,smtp://us:{SECRET}@{host}"},
    ):
        with pytest.raises(SettingsError, match=f"login at the relay {host} would be sent") as refusal:
            _load(**values)
        assert SECRET not in str(refusal.value)
        for name in values:
            del os.environ[f"VERIFIER_{name}"]


@pytest.mark.parametrize(
    "values",
    [
        {"MAIL_SERVER": "smtp.example.org", "MAIL_USERNAME": "us", "MAIL_USE_TLS": "true"},
        {"MAIL_SERVER": "smtp.example.org", "MAIL_USERNAME": "us", "MAIL_USE_SSL": "true"},
        {"MAIL_SERVER": "smtp.example.org"},
        {"MAIL_SERVER": "127.0.0.1", "MAIL_USERNAME": "us"},
        {"MAIL_SERVER": "localhost", "MAIL_USERNAME": "us"},
        {"MAIL_RELAYS": "smtp://us:them@[::1]"},
    ],
)
def test_other_logins_are_fine(values: dict[str, str]) -> None:
    """With TLS, on this host, or none at all."""
    assert _load(**values).mail.relays


@pytest.mark.parametrize("password", ["hunter2", "correct horse", "a" * 64, "0123456789abcdef"])
def test_a_password_of_the_operators_page_that_can_be_guessed_stops_the_start(password: str) -> None:
    """Whoever knows it sees how the service is built, and discards mails."""
    with pytest.raises(SettingsError, match="VERIFIER_OPS_PASSWORD: It can be guessed") as refusal:
        _load(OPS_PASSWORD=password)
    assert password not in str(refusal.value)


def test_settings_show_no_secret() -> None:
    """They may end up in a traceback."""
    settings = _load(
        SECRET_KEYS=f"k:{SECRET}{GOOD}",
        REDIS_PASSWORD=SECRET,
        SENTINEL_PASSWORD=SECRET,
        REDIS_OPS_PASSWORD=SECRET,
        SENTINEL_OPS_PASSWORD=SECRET,
        MAIL_PASSWORD=SECRET,
        MAIL_SERVER="localhost",
        ALERT_WEBHOOK=f"https://hooks.example.org/{SECRET}",
        OPS_PASSWORD=f"{SECRET} 9vX-hb3Kq_Zt7wLr",
    )
    assert "hunter2" not in repr(settings)
    assert settings.redis.login.password == SECRET


def test_known_names_are_read_without_an_environment() -> None:
    """They are the same whatever is set, right or wrong."""
    names = known_names()
    os.environ["VERIFIER_CODE_DIGITS"] = "wrong"
    assert known_names() == names
    assert names > OTHER_NAMES
    assert all(name.startswith("VERIFIER_") and not name.endswith("_FILE_FILE") for name in names)


def test_the_first_line_of_a_password_file_is_used(tmp_path: Path) -> None:
    """While a password is being changed, its file has two lines."""
    file = tmp_path / "password"
    file.write_text("new\nold\n")
    assert _load(REDIS_PASSWORD_FILE=str(file)).redis.login.password == "new"
    file.write_text("9vX-hb3Kq_Zt7wLr\nold\n")
    assert _load(OPS_PASSWORD_FILE=str(file)).ops_password == "9vX-hb3Kq_Zt7wLr"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("hooks.example.org/hunter2", "must be a URL"),
        ("ftp://hooks.example.org/hunter2", "must be a URL"),
        ("https:///hunter2", "must be a URL"),
        ("https://hooks.example.org:port/hunter2", "must be a URL"),
        ("https://hooks.example.org/hun ter2", "must be a URL"),
        ("https://user:hunter2@hooks.example.org/", "must not hold a user"),
        ("http://hooks.example.org/hunter2", "must be https"),
    ],
)
def test_a_webhook_that_can_not_be_is_named_without_its_url(url: str, reason: str) -> None:
    """It is a secret."""
    with pytest.raises(SettingsError) as error:
        _load(ALERT_WEBHOOK=url)
    assert str(error.value).startswith(f"VERIFIER_ALERT_WEBHOOK: {reason}")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"ALERT_WEBHOOK": "https://hooks.example.org/a/b?c=d"},
        {"ALERT_WEBHOOK": "http://127.0.0.1:9000/a"},
        {"ALERT_WEBHOOK": "http://hooks.example.org/a", "ALERT_WEBHOOK_PLAIN": "true"},
    ],
)
def test_other_webhooks_are_fine(values: dict[str, str]) -> None:
    """Encrypted, on this machine, or plain where somebody says that it may be."""
    assert _load(**values).alerts.webhook == values["ALERT_WEBHOOK"]


@pytest.mark.parametrize("values", [{"CANARY_ADDRESS": "nobody"}, {"CANARY_INTERVAL": "9"}])
def test_a_canary_that_can_not_be_is_named(values: dict[str, str]) -> None:
    """An address that no mail can reach, or one that would be written to too often."""
    with pytest.raises(SettingsError, match=f"VERIFIER_{next(iter(values))}"):
        _load(**values)


def test_a_canary_is_late_after_two_intervals() -> None:
    """And half a minute; without an address there is none."""
    assert _load().alerts.canary_late_s is None
    assert _load(CANARY_ADDRESS="canary@example.org", CANARY_INTERVAL="60").alerts.canary_late_s == 150
