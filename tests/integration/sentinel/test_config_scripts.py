"""The deployment's own files with real processes: names instead of addresses, health checks, wrong secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel import LocalNode, LocalOptions, LocalTopology, wait_for
from sentinel.local.binary import find_redis_server

CONFIG = Path(__file__).parents[3] / "sentinel" / "config"


def _check_health(topology: LocalTopology, process: LocalNode, secret: str) -> int:
    """Run the health check as a container would, with the redis-cli that is at hand."""
    path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    return subprocess.run(
        ["/bin/sh", CONFIG / "check-health.sh", str(process.endpoint.port), secret],
        env={"PATH": path, "REDIS_SECRETS": str(topology.directory / "secrets")},
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode


def _run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", CONFIG / script, *arguments],
        env={"PATH": os.environ["PATH"], "REDIS_SERVER": "/bin/true", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Secrets as the documented command makes them."""
    directory = tmp_path / "secrets"
    subprocess.run(["/bin/sh", CONFIG / "make-secrets.sh", directory], check=True)
    return directory


@pytest.mark.chaos
def test_names_are_used_everywhere_as_containers_need() -> None:
    """With a host name instead of addresses, sentinels name the master by it, and a failover works."""
    with LocalTopology(LocalOptions(hostname="localhost", down_after_ms=1000)) as named:
        old = named.current_master()
        assert old.endpoint.host == "localhost"
        old.kill()
        named.heal()
        assert wait_for(named.is_healthy, 60, interval_s=0.1)
        sentinels = named.snapshot().sentinels
        hosts = {known.endpoint.host for each in sentinels for known in (*each.replicas, *each.peers)}
        assert hosts == {"localhost"}


def test_health_check_tells_a_node_that_answers(topology: LocalTopology) -> None:
    """The check is green on data nodes and sentinels that answer PING."""
    assert _check_health(topology, topology.nodes[0], "redis_health_password") == 0
    assert _check_health(topology, topology.sentinel_nodes[0], "sentinel_health_password") == 0


def test_health_check_is_red_without_access(topology: LocalTopology) -> None:
    """A wrong password is no health, although redis-cli itself would exit with 0."""
    assert _check_health(topology, topology.nodes[0], "sentinel_health_password") != 0


def test_health_check_is_red_when_nobody_listens(topology: LocalTopology) -> None:
    """A node that is gone is not healthy."""
    stranger = topology.start_stranger()
    stranger.kill()
    assert _check_health(topology, stranger, "redis_health_password") != 0


def test_missing_secret_is_named(tmp_path: Path, secrets: Path) -> None:
    """A node without one of its passwords does not start, and says which file and what to do."""
    (secrets / "redis_ops_password").unlink()
    refused = _run("start-redis.sh", REDIS_DATA=str(tmp_path), REDIS_SECRETS=str(secrets))
    assert refused.returncode != 0
    assert f"{secrets}/redis_ops_password cannot be read: create the secrets with" in refused.stderr


@pytest.mark.parametrize(
    ("password", "reason"), [("", "is empty"), ('two" words', "holds a character other than")]
)
def test_unusable_secret_is_named(tmp_path: Path, secrets: Path, password: str, reason: str) -> None:
    """An empty password, or one that would break the configuration's syntax, stops the start."""
    (secrets / "sentinel_peer_password").write_text(password)
    settings = {"REDIS_DATA": str(tmp_path), "REDIS_SECRETS": str(secrets), "SENTINEL_MASTER": "redis-1 6379"}
    refused = _run("start-sentinel.sh", **settings)
    assert refused.returncode != 0
    assert reason in refused.stderr
    assert "two" not in refused.stderr


def test_sentinel_without_a_master_to_watch_says_so(tmp_path: Path, secrets: Path) -> None:
    """The one variable without a default is asked for by its name."""
    refused = _run("start-sentinel.sh", REDIS_DATA=str(tmp_path), REDIS_SECRETS=str(secrets))
    assert refused.returncode != 0
    assert "SENTINEL_MASTER" in refused.stderr


def test_order_to_be_the_first_master_is_given_once(tmp_path: Path, secrets: Path) -> None:
    """It makes an empty data set and no replica, is refused where there are data, and misspelt orders are named."""
    settings = {"REDIS_DATA": str(tmp_path), "REDIS_SECRETS": str(secrets), "REDIS_REPLICAOF": "redis-1 6379"}
    assert "knows no 'frist-master'" in _run("start-redis.sh", "frist-master", **settings).stderr
    _run("start-redis.sh", "first-master", **settings).check_returncode()
    _run("start-redis.sh", **settings).check_returncode()
    assert "\nreplicaof" not in (tmp_path / "redis.conf").read_text()
    again = _run("start-redis.sh", "first-master", **settings)
    assert again.returncode != 0
    assert f"This node has data in {tmp_path}: start it without an order." in again.stderr


def test_no_command_line_client_is_named(tmp_path: Path, secrets: Path) -> None:
    """A node without data that cannot ask anybody does not start, and says what is missing."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sha256sum", "mv", "cat", "grep"):
        (tools / name).symlink_to(shutil.which(name) or name)
    settings = {
        "REDIS_DATA": str(tmp_path),
        "REDIS_SECRETS": str(secrets),
        "REDIS_SERVER": "/nowhere/redis-server",
    }
    refused = _run("start-redis.sh", PATH=str(tools), **settings)
    assert refused.returncode != 0
    assert "There is no redis-cli beside /nowhere/redis-server or on PATH" in refused.stderr


def test_a_server_with_only_valkeys_names_beside_it_is_enough(tmp_path: Path) -> None:
    """A node without data asks through Valkey's client, where that is what came with the server."""
    server = find_redis_server(os.environ)
    beside = server.with_name("redis-cli")
    client = beside if beside.exists() else shutil.which("redis-cli")
    (tmp_path / "valkey-server").symlink_to(server)
    asked = tmp_path / "asked"
    (tmp_path / "valkey-cli").write_text(f'#!/bin/sh\necho >>{asked}\nexec {client} "$@"\n')
    (tmp_path / "valkey-cli").chmod(0o755)
    with LocalTopology(LocalOptions(redis_server=tmp_path / "valkey-server", sentinels=1)) as own:
        assert own.is_healthy()
    assert asked.exists()


def test_changed_password_and_limit_count_after_a_restart(tmp_path: Path, secrets: Path) -> None:
    """Files are rendered anew at each start: a new password or limit is taken over, the role is kept."""
    settings = {"REDIS_DATA": str(tmp_path), "REDIS_SECRETS": str(secrets), "REDIS_REPLICAOF": "redis-1 6379"}
    (tmp_path / "appendonly.aof").write_text("what a node that ran before left")
    _run("start-redis.sh", **settings).check_returncode()
    users = (tmp_path / "users.acl").read_text()
    rendered = tmp_path / "redis.conf"
    rendered.write_text(rendered.read_text().replace("replicaof redis-1 6379", "replicaof redis-3 6379"))
    (secrets / "redis_app_password").write_text("another\n")
    _run("start-redis.sh", **settings, REDIS_MAXMEMORY="99mb").check_returncode()
    assert (tmp_path / "users.acl").read_text() != users
    lines = rendered.read_text().splitlines()
    assert "maxmemory 99mb" in lines
    assert [line for line in lines if line.startswith("replicaof")] == ["replicaof redis-3 6379"]


@pytest.mark.parametrize(
    ("announced", "by_names"),
    [("10.1.2.21", False), ("fd00::21", False), ("sentinel-1", True), ("s1.10.example", True), ("", False)],
)
def test_sentinel_looks_up_names_only_where_it_is_known_by_one(
    tmp_path: Path, secrets: Path, announced: str, *, by_names: bool
) -> None:
    """An announced address turns nothing on: look-ups would hold up Sentinel's only thread."""
    settings = {
        "REDIS_DATA": str(tmp_path),
        "REDIS_SECRETS": str(secrets),
        "SENTINEL_MASTER": "10.1.2.11 6379",
    }
    _run("start-sentinel.sh", REDIS_ANNOUNCE_HOST=announced, **settings).check_returncode()
    lines = (tmp_path / "sentinel.conf").read_text().splitlines()
    assert ("sentinel resolve-hostnames yes" in lines) is by_names
    assert ("sentinel announce-hostnames yes" in lines) is by_names
    assert (f"sentinel announce-ip {announced}" in lines) is bool(announced)


def _change_passwords(step: str, secrets: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", CONFIG / "change-passwords.sh", step, secrets],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _passwords_accepted(directory: Path, user: str) -> int:
    (line,) = [
        line
        for line in (directory / "users.acl").read_text().splitlines()
        if line.startswith(f"user {user} ")
    ]
    return sum(word.startswith("#") for word in line.split())


def test_every_password_of_a_secret_is_accepted_and_the_first_is_used(tmp_path: Path, secrets: Path) -> None:
    """A file with two lines lets both in, and a replica logs in with the first; so does the health check."""
    first = (secrets / "redis_replica_password").read_text().strip()
    _change_passwords("add", secrets).check_returncode()
    _run("start-redis.sh", "first-master", REDIS_DATA=str(tmp_path), REDIS_SECRETS=str(secrets))
    _run("start-redis.sh", REDIS_DATA=str(tmp_path), REDIS_SECRETS=str(secrets)).check_returncode()
    assert _passwords_accepted(tmp_path, "app") == 2
    assert f"\nmasterauth {first}\n" in (tmp_path / "redis.conf").read_text()


def test_passwords_are_changed_in_three_steps(secrets: Path) -> None:
    """The old one, both, the new one first, the new one alone; modes and the relay's password stay."""
    file = secrets / "redis_app_password"
    old = file.read_text()
    (secrets / "mail_password").write_text("of the relay\n")
    _change_passwords("add", secrets).check_returncode()
    both = file.read_text()
    new = both.removeprefix(old)
    assert both != old
    assert len(new.strip()) == 64
    _change_passwords("use", secrets).check_returncode()
    assert file.read_text() == new + old
    _change_passwords("drop", secrets).check_returncode()
    assert file.read_text() == new
    assert file.stat().st_mode & 0o777 == 0o644
    assert (secrets / "mail_password").read_text() == "of the relay\n"


def test_a_step_out_of_order_changes_nothing(secrets: Path) -> None:
    """It says which file is not as it should be; an unknown step and a directory without secrets are named."""
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    for step in ("use", "drop"):
        refused = _change_passwords(step, secrets)
        assert refused.returncode == 1
        assert f"holds 1 passwords, and the step '{step}' wants 2" in refused.stderr
    assert "Name the step" in _change_passwords("new", secrets).stderr
    assert "There are no secrets in" in _change_passwords("add", secrets / "nowhere").stderr
    assert {file.name: file.read_text() for file in secrets.iterdir()} == before


@pytest.mark.parametrize("script", ["start-redis.sh", "start-sentinel.sh"])
@pytest.mark.parametrize("version", ["Redis server v=6.0.16", "Redis server v=5.0.3"])
def test_a_redis_that_is_too_old_is_refused(tmp_path: Path, secrets: Path, script: str, version: str) -> None:
    """Before anything is written, with the version found and the one that is wanted."""
    binary, data = tmp_path / "redis-server", tmp_path / "data"
    data.mkdir()
    binary.write_text(f"#!/bin/sh\necho '{version} sha=00000000:0 malloc=jemalloc-5.2.1 bits=64'\n")
    binary.chmod(0o755)
    settings = {"REDIS_DATA": str(data), "REDIS_SECRETS": str(secrets), "SENTINEL_MASTER": "redis-1 6379"}
    refused = _run(script, **settings, REDIS_SERVER=str(binary))
    assert refused.returncode == 1
    assert f"is version {version.partition('v=')[2]}, and 6.2 is the oldest that works" in refused.stderr
    assert list(data.iterdir()) == []


@pytest.mark.parametrize(
    "version", ["Redis server v=6.2.14", "Redis server v=8.0.2", "Valkey server v=8.1.1", "something else"]
)
def test_a_redis_that_is_new_enough_is_started(tmp_path: Path, secrets: Path, version: str) -> None:
    """Valkey as well; what tells no version is left to fail by itself."""
    binary, data = tmp_path / "redis-server", tmp_path / "data"
    data.mkdir()
    binary.write_text(f"#!/bin/sh\necho '{version} sha=00000000:0'\n")
    binary.chmod(0o755)
    settings = {"REDIS_DATA": str(data), "REDIS_SECRETS": str(secrets), "SENTINEL_MASTER": "redis-1 6379"}
    _run("start-sentinel.sh", **settings, REDIS_SERVER=str(binary)).check_returncode()
    assert (data / "sentinel.conf").exists()
