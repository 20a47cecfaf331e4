"""compose.yaml, checked without an engine: its form, its doors, and that whatever it names exists."""

from __future__ import annotations

import ipaddress
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentinel import parse_endpoint
from verifier.settings import known_names

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
CONFIG = ROOT / "sentinel" / "config"
DATA_NODES = ("redis-1", "redis-2", "redis-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
SECRET_PATH = re.compile(r"/run/secrets/(\w+)")
FIXED = dict(zip((*DATA_NODES, *SENTINELS), (11, 12, 13, 21, 22, 23), strict=True))
VARIABLE = re.compile(
    r"\b(?:VERIFIER_[A-Z_]+|PORT|(?:REDIS|APP|PYTHON|PROXY)_IMAGE|PROXY_(?:SCHEME|REAL_IP_FROM)|REDIS_NETWORK_PREFIX|REDIS_TLS(?:_AUTH_CLIENTS)?)\b"
)
SUBSTITUTED = re.compile(r"\$\{(\w+):-([^}]*)\}")
PREFIX = "10.1.2"
MOUNTED = {"./sentinel/config": ("/config", ["ro"]), "./deploy/proxy": ("/proxy", ["ro"])}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as an engine would read it, merges resolved, with a network of one's own and defaults elsewhere."""
    loaded = _substituted(yaml.safe_load(COMPOSE.read_text()))
    assert isinstance(loaded, dict)
    return loaded


def _substituted(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _substituted(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_substituted(each) for each in part]
    given = {"REDIS_NETWORK_PREFIX": PREFIX}
    return (
        SUBSTITUTED.sub(lambda found: given.get(found[1], found[2]), part) if isinstance(part, str) else part
    )


def _address(name: str) -> str:
    return f"{PREFIX}.{FIXED[name]}"


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    """The services by name."""
    found = compose["services"]
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def made_secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as the documented command makes it."""
    directory = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run(["/bin/sh", CONFIG / "make-secrets.sh", directory], check=True)
    return directory


def test_follows_the_compose_specification() -> None:
    """The file validates against the specification's own schema."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_has_every_part_of_the_service(services: dict[str, Any]) -> None:
    """Proxy, web, worker, three data nodes and three sentinels start by default, the mail catcher only on demand."""
    by_default = {name for name, service in services.items() if "profiles" not in service}
    assert by_default == {"proxy", "web", "worker", *DATA_NODES, *SENTINELS}
    assert services["mailpit"]["profiles"] == ["mail"]
    assert services["ops"]["profiles"] == ["ops"]


def test_no_redis_or_sentinel_port_is_published(compose: dict[str, Any], services: dict[str, Any]) -> None:
    """Redis and its sentinels are on an internal network only, with no port to the outside."""
    assert compose["networks"]["redis"]["internal"] is True
    for name in (*DATA_NODES, *SENTINELS):
        assert "ports" not in services[name]
        assert "network_mode" not in services[name]
        assert list(services[name]["networks"]) == ["redis"]


def test_redis_and_sentinel_have_fixed_addresses_from_one_setting(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    """Each announces the one it has, all lie in the network, and nobody else is ever given one of them."""
    (settings,) = compose["networks"]["redis"]["ipam"]["config"]
    network = ipaddress.ip_network(settings["subnet"])
    for name, number in FIXED.items():
        given = services[name]["networks"]["redis"]["ipv4_address"]
        assert given == services[name]["environment"]["REDIS_ANNOUNCE_HOST"] == _address(name)
        assert ipaddress.ip_address(given) in network
        assert ipaddress.ip_address(given) not in ipaddress.ip_network(settings["ip_range"])
        assert services[name]["networks"]["redis"]["mac_address"] == f"02:00:00:00:00:{number}"
    assert "172." not in "".join(str(service) for service in services.values())


def test_no_program_is_given_a_name_of_redis_or_sentinel(services: dict[str, Any]) -> None:
    """Names are for people: each container has them in its hosts file, and no variable or command holds one."""
    for name, service in services.items():
        values = " ".join([*service.get("environment", {}).values(), *service.get("command", [])])
        assert not re.search(r"\b(?:redis|sentinel)-\d", values)
        if name not in {"mailpit", "proxy"}:
            assert service["extra_hosts"] == [f"{each}:{_address(each)}" for each in FIXED]


def test_published_ports_are_on_loopback(services: dict[str, Any]) -> None:
    """Only the proxy and the mail catcher can be reached, and from this machine alone."""
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy", "mailpit"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_every_mounted_file_exists(services: dict[str, Any]) -> None:
    """What is mounted from the source tree is there, read-only, and scripts named in commands are in it."""
    for service in services.values():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("."):
                assert (ROOT / source).exists()
                assert (target, mode) == MOUNTED[source]
        for word in [*service.get("entrypoint", []), *service.get("healthcheck", {}).get("test", [])]:
            for source, (target, _) in MOUNTED.items():
                if word.startswith(f"{target}/"):
                    assert (ROOT / source / word.removeprefix(f"{target}/")).is_file()


def test_every_named_volume_is_declared_and_used_once(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    """Each data node and sentinel has a writable volume of its own for its data and rewritten files."""
    used = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    ]
    assert sorted(used) == sorted(compose["volumes"]) == sorted([*DATA_NODES, *SENTINELS])


def test_the_documented_command_makes_every_secret(compose: dict[str, Any], made_secrets: Path) -> None:
    """Each secret's file is created by make-secrets.sh, and it creates no other."""
    declared = {secret["file"] for secret in compose["secrets"].values()}
    # The authority signs new certificates, and no container needs it for that.
    made = {file.name for file in made_secrets.iterdir()} - {"redis_tls_ca_key"}
    assert declared == {f"./secrets/{name}" for name in made}
    assert all(secret["file"] == f"./secrets/{name}" for name, secret in compose["secrets"].items())


def test_secrets_are_kept_when_made_again_and_closed_to_others(made_secrets: Path) -> None:
    """A second run changes no password, and nobody else can enter the directory."""
    before = {file.name: file.read_text() for file in made_secrets.iterdir()}
    subprocess.run(["/bin/sh", CONFIG / "make-secrets.sh", made_secrets], check=True)
    assert {file.name: file.read_text() for file in made_secrets.iterdir()} == before
    assert made_secrets.stat().st_mode & 0o777 == 0o700
    assert before["mail_password"].strip() == before["verifier_ops_password"].strip() == ""
    passwords = [text.strip() for name, text in before.items() if name.endswith("_password") and text.strip()]
    assert len(set(passwords)) == len(passwords) == 9
    assert all(len(password) == 64 for password in passwords)


def test_each_service_gets_the_secrets_it_reads_and_no_other(services: dict[str, Any]) -> None:
    """A container holds no password that nothing in it uses."""
    for name, service in services.items():
        read = set(SECRET_PATH.findall(" ".join(service.get("environment", {}).values())))
        if name in DATA_NODES:
            read = _secrets_in("redis-users.acl", "start-redis.sh")
        if name in SENTINELS:
            read = _secrets_in("sentinel-users.acl", "start-sentinel.sh")
        assert set(service.get("secrets", [])) == read


def _secrets_in(users: str, script: str) -> set[str]:
    in_users = re.findall(r"<(\w+)>", (CONFIG / users).read_text())
    in_script = re.findall(r"\$\(secret (\w+)\)", (CONFIG / script).read_text())
    for_tls = re.findall(r"\$REDIS_SECRETS/(redis_tls_\w+)", (CONFIG / "render.sh").read_text())
    assert len(for_tls) == 3
    return {*in_users, *in_script, *for_tls}


def test_what_the_world_reaches_holds_no_operators_password(services: dict[str, Any]) -> None:
    """Nor does the worker; Redis and its sentinels have to know whom they let in, and operators' commands are one-off."""
    assert services["ops"]["networks"] == ["redis"]
    assert "ports" not in services["ops"]
    for name, service in services.items():
        if name not in {*DATA_NODES, *SENTINELS, "ops"}:
            assert not {"redis_ops_password", "sentinel_ops_password"} & set(service.get("secrets", []))
            variables = set(service.get("environment", {})) - {"VERIFIER_OPS_PASSWORD_FILE"}
            assert not any("_OPS_" in variable for variable in variables)


def test_the_operators_page_is_off_until_somebody_sets_its_password(services: dict[str, Any]) -> None:
    """Its file is made empty, and only web reads it."""
    given = [
        name for name, service in services.items() if "verifier_ops_password" in service.get("secrets", [])
    ]
    assert given == ["web"]


def test_no_password_stands_in_the_file_or_in_arguments(services: dict[str, Any]) -> None:
    """Passwords come from files; no command or health check carries one."""
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "SECRET" in variable:
                assert variable.endswith("_FILE")
                assert SECRET_PATH.fullmatch(value)
        words = [*service.get("command", []), *service.get("entrypoint", [])]
        words += service.get("healthcheck", {}).get("test", [])
        assert not any(word in {"-a", "--pass", "--requirepass"} for word in words)


def test_nobody_deploys_the_drills_user() -> None:
    """The user with every right is for throw-away topologies only."""
    assert "drill" not in COMPOSE.read_text()
    assert "EXTRA_USERS" not in COMPOSE.read_text()


def test_data_nodes_differ_in_their_address_only(services: dict[str, Any]) -> None:
    """Equal limits on all; the first is the master at the first start, the others follow it."""
    environments = [dict(services[name]["environment"]) for name in DATA_NODES]
    assert [one.pop("REDIS_ANNOUNCE_HOST") for one in environments] == [_address(each) for each in DATA_NODES]
    assert [one.pop("REDIS_REPLICAOF", None) for one in environments] == [
        None,
        f"{_address('redis-1')} 6379",
        f"{_address('redis-1')} 6379",
    ]
    assert environments[0] == environments[1] == environments[2]


def test_sentinels_watch_the_first_master_with_a_majority(services: dict[str, Any]) -> None:
    """Three sentinels, a quorum of two, and the times that the start script ships."""
    environments = [dict(services[name]["environment"]) for name in SENTINELS]
    assert [one.pop("REDIS_ANNOUNCE_HOST") for one in environments] == [_address(each) for each in SENTINELS]
    assert environments[0] == environments[1] == environments[2]
    assert environments[0]["SENTINEL_MASTER"] == f"{_address('redis-1')} 6379"
    assert environments[0]["SENTINEL_QUORUM"] == "2"
    assert not {"SENTINEL_DOWN_AFTER_MS", "SENTINEL_FAILOVER_TIMEOUT_MS"} & environments[0].keys()


def test_data_nodes_know_whom_to_ask_for_the_master(services: dict[str, Any]) -> None:
    """They are given every sentinel, and the name under which these watch the master."""
    environment = services["redis-1"]["environment"]
    sentinels = [parse_endpoint(text, 0) for text in environment["REDIS_SENTINELS"].split(",")]
    assert sentinels == [(_address(sentinel), 26379) for sentinel in SENTINELS]
    watched = services["sentinel-1"]["environment"]["SENTINEL_MASTER_NAME"]
    assert environment["SENTINEL_MASTER_NAME"] == watched


def test_the_first_master_is_ordered_by_a_documented_command(services: dict[str, Any]) -> None:
    """The script takes the order that the file's head and the README name."""
    command = "docker compose run --rm --no-deps redis-1 first-master"
    assert command in COMPOSE.read_text()
    assert command in (ROOT / "README.md").read_text()
    script = Path(services["redis-1"]["entrypoint"][-1]).name
    assert "\n    first-master)\n" in (CONFIG / script).read_text()


def test_scripts_know_every_variable_they_are_given(services: dict[str, Any]) -> None:
    """A variable for a start script that the script does not read would be a setting without effect."""
    for name in (*DATA_NODES, *SENTINELS):
        script = CONFIG / Path(services[name]["entrypoint"][-1]).name
        read = set(re.findall(r'^: "\$\{(\w+):', script.read_text(), re.MULTILINE))
        assert set(services[name]["environment"]) <= read


def test_app_is_led_to_every_sentinel(services: dict[str, Any]) -> None:
    """Web and worker know all sentinels and the name these give the master."""
    for name in ("web", "worker"):
        environment = services[name]["environment"]
        sentinels = [parse_endpoint(text, 26379) for text in environment["VERIFIER_SENTINELS"].split(",")]
        assert sentinels == [(_address(sentinel), 26379) for sentinel in SENTINELS]
        assert (
            environment["VERIFIER_SENTINEL_MASTER"]
            == services["sentinel-1"]["environment"]["SENTINEL_MASTER_NAME"]
        )


def test_every_variable_of_the_app_is_a_setting(services: dict[str, Any]) -> None:
    """The app reads whatever compose hands it; `_FILE` names a file with the value."""
    for name in ("web", "worker"):
        given, known = set(services[name]["environment"]), known_names()
        assert {each for each in given if each.removesuffix("_FILE") not in known} <= known


def test_every_variable_is_documented() -> None:
    """What can be set for compose, and what compose sets, stands in .env.example."""
    text = "\n".join(line for line in COMPOSE.read_text().splitlines() if not line.lstrip().startswith("#"))
    used = {variable.removesuffix("_FILE") for variable in VARIABLE.findall(text)}
    documented = set(VARIABLE.findall((ROOT / ".env.example").read_text()))
    assert used - documented - {name.removesuffix("_FILE") for name in documented} == set()


def test_the_app_starts_last(services: dict[str, Any]) -> None:
    """It waits for healthy sentinels; nodes and sentinels start in any order, and find each other."""
    for name in FIXED:
        assert "depends_on" not in services[name]
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {one: {"condition": "service_healthy"} for one in SENTINELS}
    for name in ("web", *DATA_NODES, *SENTINELS):
        assert services[name]["healthcheck"]["test"]


def test_fits_the_small_host(services: dict[str, Any]) -> None:
    """All memory limits together stay within 1 GiB, and Redis's own limit leaves room for its copies."""
    limits = {name: int(service["mem_limit"].removesuffix("m")) for name, service in services.items()}
    del limits["ops"]  # there for the length of a command
    assert sum(limits.values()) <= 1024
    for node in DATA_NODES:
        assert int(services[node]["environment"]["REDIS_MAXMEMORY"].removesuffix("mb")) <= limits[node] / 2


def test_containers_have_no_rights_to_spare(services: dict[str, Any]) -> None:
    """No container runs as root, writes its image, or gains privileges; each starts again after a crash."""
    for name, service in services.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == ("no" if name == "ops" else "unless-stopped")
        assert service.get("user") or service.get("build")


def test_image_runs_without_root_and_copies_only_what_exists() -> None:
    """The Dockerfile ends as another user, and what it copies is there and let through by .dockerignore."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER verifier" in lines
    copied = [word for line in lines if re.match(r"COPY (?!--from)", line) for word in line.split()[1:-1]]
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in let_through


def test_web_is_reached_through_the_proxy_alone(services: dict[str, Any], compose: dict[str, Any]) -> None:
    """It has no port and no way out; the proxy knows its address, and web believes exactly one proxy."""
    web, proxy = services["web"], services["proxy"]
    assert "ports" not in web
    assert all(compose["networks"][name].get("internal") for name in web["networks"])
    address = web["networks"]["front"]["ipv4_address"]
    assert proxy["environment"]["PROXY_UPSTREAM"] == f"{address}:8000"
    assert web["environment"]["VERIFIER_TRUSTED_PROXIES"] == "1"
    (front,) = compose["networks"]["front"]["ipam"]["config"]
    (redis,) = compose["networks"]["redis"]["ipam"]["config"]
    (outside,) = compose["networks"]["outside"]["ipam"]["config"]
    subnets = [ipaddress.ip_network(each["subnet"]) for each in (redis, front, outside)]
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    published = ipaddress.ip_address(proxy["networks"]["outside"]["ipv4_address"])
    assert published in ipaddress.ip_network(outside["subnet"])
    assert published not in ipaddress.ip_network(outside["ip_range"])
    for service in (web, proxy):
        given = ipaddress.ip_address(service["networks"]["front"]["ipv4_address"])
        assert given in ipaddress.ip_network(front["subnet"])
        assert given not in ipaddress.ip_network(front["ip_range"])


def test_the_proxys_certificate_is_an_addition_to_the_file() -> None:
    """It only adds to the proxy, and every variable of it is documented."""
    text = (ROOT / "deploy" / "proxy" / "tls.compose.yaml").read_text()
    added = yaml.safe_load(text)
    assert set(added) == {"services"}
    assert set(added["services"]) == {"proxy"}
    assert added["services"]["proxy"]["environment"]["PROXY_TLS"] == "yes"
    documented = (ROOT / ".env.example").read_text()
    assert all(f"#{name}=" in documented for name, _ in SUBSTITUTED.findall(text))


def test_the_alerts_are_an_addition_to_the_file() -> None:
    """Whoever tells has the URL, as a secret, and a way out, which web has not without it."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    added = yaml.safe_load((ROOT / "deploy" / "alerts.compose.yaml").read_text())
    assert set(added["services"]) == {"web", "worker", "ops"}
    for name, service in added["services"].items():
        networks = {*compose["services"][name]["networks"], *service.get("networks", ())}
        assert "outside" in networks
        file = service["environment"]["VERIFIER_ALERT_WEBHOOK_FILE"]
        assert file == f"/run/secrets/{service['secrets'][0]}"
    assert added["secrets"] == {"alert_webhook": {"file": "./secrets/alert_webhook"}}
