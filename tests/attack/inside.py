"""What somebody does who has come further: to a port of Redis or Sentinel, to one user's password, or to weak settings."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from sentinel import Endpoint, Login
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target
from verifier.drill.rig.systems import PROJECT

HELLO = "PUBLISH __sentinel__:hello 127.0.0.1,1,0123456789012345678901234567890123456789,1,verifier,127.0.0.1,1,99"
NOBODY = Login("", "")
# Each of them read addresses, told a password, or moved the master where it was obeyed.
AT_REDIS = {
    "nobody": (
        "PING",
        "KEYS *",
        "CONFIG GET masterauth",
        "REPLICAOF NO ONE",
        "PSYNC ? -1",
        HELLO,
        "FLUSHALL",
    ),
    "redis_app": (
        "KEYS *",
        "CONFIG GET masterauth",
        "ACL LIST",
        "REPLICAOF NO ONE",
        "PSYNC ? -1",
        HELLO,
        "FLUSHALL",
    ),
    "redis_ops": ("KEYS *", "CONFIG GET masterauth", "ACL LIST", "SLOWLOG GET", "PSYNC ? -1", "SYNC", HELLO),
    "redis_health": ("KEYS *", "CONFIG GET masterauth", "INFO", "PSYNC ? -1", HELLO),
}
AT_SENTINEL = {
    "nobody": ("SENTINEL MASTERS", "SENTINEL FAILOVER verifier", "SENTINEL REMOVE verifier", HELLO),
    "sentinel_app": (
        "SENTINEL FAILOVER verifier",
        "SENTINEL SET verifier quorum 1",
        "SENTINEL REMOVE verifier",
        HELLO,
    ),
    "sentinel_ops": ("SENTINEL CONFIG GET *", "ACL SETUSER x on nopass allcommands", "ACL LIST", HELLO),
}
WEAK = (
    {"VERIFIER_SECRET_KEYS": "k1:sunshine"},
    {"VERIFIER_LIMIT_WRONG_CODES_PER_ADDRESS": "off"},
    {"VERIFIER_CODE_DIGITS": "4"},
    {"VERIFIER_MAX_CHECK_ATTEMPTS": "1000"},
    {"VERIFIER_API_KEYS": "shop:sunshine"},
)


def misuse_redis_users(target: Target, scale: Scale) -> Outcome:
    """Read passwords and data, copy all of it, and name another master: as nobody and with each user's password."""
    nodes = [
        (target.topology.current_master().endpoint, AT_REDIS),
        (target.topology.sentinels[0], AT_SENTINEL),
    ]
    tried, obeyed = 0, []
    for endpoint, commands in nodes:
        for user, lines in commands.items():
            login = NOBODY if user == "nobody" else getattr(target.topology.credentials, user)
            tried += len(lines)
            obeyed += [f"{user}: {line}" for line in lines if not _is_refused(endpoint, login, line)]
    return Outcome(
        "each refused",
        f"{tried} commands of {len(AT_REDIS) + len(AT_SENTINEL)} users, {len(obeyed)} obeyed {obeyed or ''}".rstrip(),
        not obeyed,
    )


def _is_refused(endpoint: Endpoint, login: Login, line: str) -> bool:
    with Redis(
        endpoint.host,
        endpoint.port,
        username=login.username or None,
        password=login.password or None,
        socket_timeout=60,
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            client.execute_command(*line.split(" "))
        except (NoPermissionError, AuthenticationError):
            return True
        except ResponseError as error:
            return str(error).startswith("NOPERM")
        except RedisError:
            return False
    return False


def start_with_weak_settings(target: Target, scale: Scale) -> Outcome:
    """Start with a key that is found by trying words, and with codes and limits that let a code be guessed."""
    weak = WEAK if scale.simulated_hours else WEAK[:1]
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda changed: _exit_code(target, changed), ({}, *weak)))
    return Outcome(
        "each is refused before anything starts",
        f"{sum(bool(each) for each in ends[1:])} of {len(weak)} refused; the right ones "
        + ("are refused" if ends[0] else "start"),
        ends[0] == 0 and all(ends[1:]),
    )


def _exit_code(target: Target, changed: dict[str, str]) -> int:
    command = [sys.executable, "-m", "flask", "--app", os.fspath(PROJECT / "wsgi.py"), "check-settings"]
    environment = {**target.settings, **changed}
    return subprocess.run(
        command, env=environment, cwd=target.directory, capture_output=True, check=False, timeout=120
    ).returncode
