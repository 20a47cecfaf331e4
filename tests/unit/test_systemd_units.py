"""The units of deploy/systemd, read as files: what each must have, and that whatever it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.units import (
    UNITS,
    Unit,
    command_of,
    environment_of,
    read_environment_file,
    read_unit,
    services,
)
from verifier.settings import known_names
from workers.worker import ANSWERS_WITHIN_S, STOP_GRACE_S

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "sentinel" / "config"
ALL = services()
NODES = [unit for unit in ALL if "redis@" in unit.name]
SENTINELS = [unit for unit in ALL if "sentinel@" in unit.name]
PROXIES = [unit for unit in ALL if "proxy" in unit.name]
APPS = [unit for unit in ALL if unit not in NODES + SENTINELS + PROXIES]


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
class TestEveryService:
    """What all of them share."""

    def test_starts_again_for_ever(self, unit: Unit) -> None:
        """No number of failures makes systemd give up, and the pause keeps them from costing much."""
        assert unit.one("Restart") == "always"
        assert unit.one("StartLimitIntervalSec") == "0"
        assert unit.seconds("RestartSec") >= 1

    def test_ends_as_a_whole(self, unit: Unit) -> None:
        """The main process is asked, and what is left at the end is killed."""
        assert unit.one("KillMode") == "mixed"
        assert unit.one("PartOf") == unit.one("WantedBy") == "verifier.target"

    def test_has_no_rights_to_spare(self, unit: Unit) -> None:
        """Neither root nor a writable system, no capability, and a bound to its memory."""
        for setting in (
            "NoNewPrivileges",
            "PrivateTmp",
            "PrivateDevices",
            "ProtectHome",
            "RestrictNamespaces",
        ):
            assert unit.one(setting) == "yes"
        assert unit.one("ProtectSystem") == "strict"
        wanted = "CAP_NET_BIND_SERVICE" if unit in PROXIES else ""
        assert unit.one("CapabilityBoundingSet") == wanted
        assert unit.all("DynamicUser") == ("yes",) or unit.one("User") == "redis"
        assert unit.one("MemoryMax").endswith("M")

    def test_holds_the_secrets_that_it_reads_and_no_other(self, unit: Unit) -> None:
        """As credentials under their own names, from one directory that root alone reads."""
        given = {}
        for line in unit.all("LoadCredential"):
            name, _, path = line.partition(":")
            given[name] = path
        assert all(path == f"/etc/verifier/secrets/{name}" for name, path in given.items())
        assert given.keys() == _secrets_read_by(unit)

    def test_passes_no_password_by_itself(self, unit: Unit) -> None:
        """The environment of a process can be looked at; files are named in it."""
        for name in environment_of(unit, {}):
            assert not re.search(r"(PASSWORD|KEYS)$", name)


def _secrets_read_by(unit: Unit) -> set[str]:
    if unit in PROXIES:  # its certificate is a drop-in's: without one it starts, too
        return set()
    if unit in APPS:
        return {value[3:] for value in environment_of(unit, {}).values() if value.startswith("%d/")}
    users, script = "redis-users.acl", "start-redis.sh"
    if unit in SENTINELS:
        users, script = "sentinel-users.acl", "start-sentinel.sh"
    in_users = re.findall(r"<(\w+)>", (CONFIG / users).read_text())
    for_tls = re.findall(r"\$REDIS_SECRETS/(redis_tls_\w+)", (CONFIG / "render.sh").read_text())
    assert for_tls
    return {*in_users, *for_tls, *re.findall(r"\$\(secret (\w+)\)", (CONFIG / script).read_text())}


def test_there_is_a_unit_for_each_part() -> None:
    """Web, worker, data node, sentinel, proxy, and a target for all of them."""
    assert [len(NODES), len(SENTINELS), len(PROXIES), len(APPS)] == [1, 1, 1, 2]
    assert (UNITS / "verifier.target").exists()


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
def test_commands_name_what_exists(unit: Unit) -> None:
    """Below the directory that the project is put in, but for what `make install` brings."""
    for word in command_of(unit):
        if word.startswith("/opt/verifier/") and "/.venv/" not in word:
            assert (ROOT / word.removeprefix("/opt/verifier/")).is_file()


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
def test_there_is_an_example_of_each_environment_file(unit: Unit) -> None:
    """Beside the units, under the same name; a file of one instance is optional."""
    for line in unit.all("EnvironmentFile"):
        assert line.startswith("-") or (UNITS / Path(line).name).is_file()


def test_the_app_reads_all_that_it_is_given() -> None:
    """Every variable is a setting of it, or of Python."""
    for unit in APPS:
        given = environment_of(unit, {}) | read_environment_file(UNITS / "verifier.env")
        ours = {name for name in given if not name.startswith("PYTHON")}
        assert {name for name in ours if not {name, name.removesuffix("_FILE")} & known_names()} == set()


@pytest.mark.parametrize(
    ("unit", "file", "script"),
    [
        (NODES[0], "redis.env", CONFIG / "start-redis.sh"),
        (SENTINELS[0], "sentinel.env", CONFIG / "start-sentinel.sh"),
        (PROXIES[0], "proxy.env", ROOT / "deploy" / "proxy" / "start-proxy.sh"),
    ],
    ids=["redis", "sentinel", "proxy"],
)
def test_the_start_scripts_read_all_that_they_are_given(unit: Unit, file: str, script: Path) -> None:
    """A variable that the script does not read would be without effect."""
    read = set(re.findall(r'^: "\$\{(\w+):', script.read_text(), re.MULTILINE))
    assert (environment_of(unit, {}) | read_environment_file(UNITS / file)).keys() <= read


def test_stopping_is_given_the_time_it_takes() -> None:
    """Of the worker's mails, of gunicorn's requests, of a master's replicas."""
    by_name = {unit.name: unit.seconds("TimeoutStopSec") for unit in ALL}
    gunicorn = re.search(r"^graceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert gunicorn is not None
    assert by_name["verifier-web.service"] > int(gunicorn[1])
    assert by_name["verifier-worker.service"] > STOP_GRACE_S + ANSWERS_WITHIN_S
    assert by_name["verifier-redis@.service"] > 10


def test_a_node_has_room_for_its_copies() -> None:
    """Redis's own limit is at most half of the service's."""
    (node,) = NODES
    maxmemory = int(environment_of(node, {})["REDIS_MAXMEMORY"].removesuffix("mb"))
    assert maxmemory <= int(node.one("MemoryMax").removesuffix("M")) / 2


def test_a_node_may_wait_for_as_long_as_it_takes() -> None:
    """One without data does not listen before there is a master to join; its end by SIGTERM is no failure."""
    (node,) = NODES
    assert node.one("TimeoutStartSec") == "infinity"
    assert node.one("SuccessExitStatus") == "143"


def test_the_first_master_is_ordered_as_the_node_that_it_is() -> None:
    """With the same user, state, environment and hardening, and the documented command."""
    (node,), order = NODES, read_unit(UNITS / "verifier-first-master@.service")
    own = {"Type", "Description", "ExecStart", "LoadCredential", "TimeoutStartSec"}
    assert {name: order.all(name) for name in order.settings.keys() - own} == {
        name: node.all(name) for name in order.settings.keys() - own
    }
    assert set(order.all("LoadCredential")) < set(node.all("LoadCredential"))
    assert command_of(order) == [*command_of(node), "first-master"]
    assert "systemctl start verifier-first-master@6379" in (ROOT / "docs" / "deploy.md").read_text()
