"""deploy/check.sh: each thing that would keep compose.yaml from starting is told, all at once, with its remedy.

It runs on a copy of the project's files, beside an engine that answers like Docker's. Its image finds nothing wrong with
the settings at once; where the settings, the secrets or the whole matter, it runs their check with this Python in place of
the image's, which takes a second each time.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COPIED = ("compose.yaml", ".env.example", "deploy/check.sh", "sentinel/config/make-secrets.sh")
ENGINE = """\
#!/bin/sh
case "$*" in
    "compose version --short") echo "${FAKE_COMPOSE:-2.29.1}" ;;
    "version --format"*) [ "${FAKE_SERVER:-27.1}" != none ] && echo "${FAKE_SERVER:-27.1}" ;;
    "ps "*) echo "${FAKE_RUNNING:-}" ;;
    "network ls"*) [ -z "${FAKE_SUBNETS:-}" ] || echo shop_default ;;
    "network inspect"*shop_default) echo "$FAKE_SUBNETS" ;;
    "network inspect"*) [ -n "${FAKE_NETWORK:-}" ] ;;
    "image inspect"*) [ -z "${FAKE_NO_IMAGE:-}" ] ;;
    "run "*) exec "${0%/*}/image" "$@" ;;
esac
"""
RUNS_THE_CHECK = """\
#!/bin/sh
# The settings that the script hands over with -e, then the command of the image.
for word do
    case $word in
        VERIFIER_*=/run/secrets/*) export "${{word%%=*}}={secrets}/${{word##*/}}" ;;
        VERIFIER_*=*) export "$word" ;;
    esac
done
exec {python} -m flask --app {root}/wsgi.py check-settings --file -
"""
FINDS_NOTHING = """\
#!/bin/sh
cat >/dev/null
"""
NO_ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


class Machine:
    """A copy of the deployment's files, an engine, and what the kernel tells."""

    def __init__(self, path: Path, project: Path) -> None:
        self.project, self.tools, self.proc = path / "project", path / "tools", path / "proc"
        shutil.copytree(project, self.project)
        self.secrets = self.project / "secrets"
        self.tools.mkdir()
        self._write_tool("docker", ENGINE)
        self._write_tool("image", FINDS_NOTHING)
        (self.proc / "sys/vm").mkdir(parents=True)
        (self.proc / "net").mkdir()
        (self.proc / "sys/vm/overcommit_memory").write_text("1\n")
        (self.proc / "net/route").write_text(NO_ROUTES)
        self.listen_as_here()

    def _write_tool(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def listen_as_here(self) -> None:
        """Copy who listens on this machine, but on the default ports."""
        for name in ("tcp", "tcp6"):
            path = Path("/proc/net", name)
            lines = path.read_text().splitlines(keepends=True) if path.exists() else []
            default_ports = (":1F40 ", ":1F59 ")
            kept = (line for line in lines if not any(port in line for port in default_ports))
            (self.proc / "net" / name).write_text("".join(kept))

    def judge_settings(self) -> None:
        """Have the image judge the settings from now on, as the real one does."""
        image = RUNS_THE_CHECK.format(secrets=self.secrets, python=sys.executable, root=ROOT)
        self._write_tool("image", image)

    def settings(self, text: str) -> None:
        """Write .env."""
        (self.project / ".env").write_text(text)

    def check(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run the check; return its exit code and what it said."""
        done = subprocess.run(
            ["/bin/sh", self.project / "deploy/check.sh", *arguments],
            env={
                "PATH": f"{self.tools}:/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "CHECK_PROC": str(self.proc),
                **environment,
            },
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    def problem(self, *arguments: str, **environment: str) -> str:
        """Run the check, which finds one problem; return its sentence."""
        code, said = self.check(*arguments, **environment)
        assert code == 1
        (sentence, summary) = said.splitlines()
        assert summary == "Problems found: 1. Nothing was started."
        return sentence


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment's files with secrets made as the documents say; each test gets a copy of it."""
    made = tmp_path_factory.mktemp("made") / "project"
    for name in COPIED:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made / name)
    subprocess.run(
        ["/bin/sh", "sentinel/config/make-secrets.sh", "secrets"],
        env={"PATH": os.environ["PATH"]},
        cwd=made,
        check=True,
    )
    return made


@pytest.fixture
def machine(tmp_path: Path, project: Path) -> Machine:
    """One on which nothing is in the way, whatever the settings are."""
    return Machine(tmp_path, project)


@pytest.fixture
def judged(machine: Machine) -> None:
    """The settings are judged by the service's own parser."""
    machine.judge_settings()


@pytest.mark.usefixtures("judged")
def test_nothing_in_the_way_is_said(machine: Machine) -> None:
    """With the defaults, right after the secrets were made, and with settings that are right."""
    assert machine.check() == (0, "Nothing is in the way of docker compose up.\n")
    machine.settings(
        "VERIFIER_NAME='My Shop'\nPORT=8001\nREDIS_NETWORK_PREFIX=10.9.8\nREDIS_TLS=no\n"
        "REDIS_TLS_AUTH_CLIENTS=yes\nPROXY_SCHEME=https\nPROXY_REAL_IP_FROM=10.0.0.0/24,10.0.1.5\n"
    )
    assert machine.check("--mail") == (0, "Nothing is in the way of docker compose up.\n")


def test_no_engine_is_told(machine: Machine) -> None:
    """With what to install."""
    shutil.move(machine.tools / "docker", machine.tools / "elsewhere")
    if shutil.which("docker", path="/usr/bin:/bin") or shutil.which("podman-compose", path="/usr/bin:/bin"):
        pytest.skip("This machine has an engine in /usr/bin.")
    code, said = machine.check()
    assert code == 1
    assert "- No container engine was found: install Docker" in said


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"FAKE_COMPOSE": "v2.5.1"}, "docker compose is version 2.5.1, and 2.24 is the oldest"),
        ({"FAKE_SERVER": "19.03.1"}, "Docker is version 19.03.1, and 20.10 is the oldest"),
        ({"FAKE_SERVER": "none"}, "Docker's engine does not answer: start it"),
    ],
)
def test_an_unfit_engine_is_told(machine: Machine, environment: dict[str, str], sentence: str) -> None:
    """Too old, or not running."""
    shutil.copytree(ROOT / "sentinel", machine.project / "sentinel", dirs_exist_ok=True)
    code, said = machine.check(**environment)
    assert code == 1
    assert f"- {sentence}" in said


@pytest.mark.usefixtures("judged")
def test_a_missing_secret_is_told(machine: Machine) -> None:
    """With the command that makes it."""
    (machine.secrets / "redis_app_password").unlink()
    assert machine.problem() == (
        "- The secret secrets/redis_app_password is missing: "
        "sh sentinel/config/make-secrets.sh creates what is not there."
    )


@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize("name", ["redis_ops_password", "verifier_secret_keys"])
def test_an_empty_secret_is_told(machine: Machine, name: str) -> None:
    """The relay's password alone may be empty."""
    (machine.secrets / name).write_text("\n")
    assert f"- The secret secrets/{name} is empty: remove it, and sh " in machine.check()[1]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("REDIS_TLS=on", "REDIS_TLS=on in .env is none of yes, no, true, false: write one of these."),
        (
            "REDIS_TLS_AUTH_CLIENTS=always",
            "REDIS_TLS_AUTH_CLIENTS=always in .env is none of optional, yes, no:",
        ),
        ("PROXY_SCHEME=htps", "PROXY_SCHEME=htps in .env is none of https, http: write one of these."),
        ("PROXY_REAL_IP_FROM=10.0.0.0/24 10.0.1.5", "PROXY_REAL_IP_FROM in .env is no list of networks: "),
        ("PROXY_REAL_IP_FROM=my-proxy", "PROXY_REAL_IP_FROM in .env is no list of networks: "),
    ],
)
def test_a_wrong_word_for_compose_is_told(machine: Machine, line: str, sentence: str) -> None:
    """The containers would refuse it one after the other, and be started again and again."""
    machine.settings(f"{line}\n")
    assert machine.problem().startswith(f"- {sentence}")


def test_a_secret_that_containers_cannot_read_is_told(machine: Machine) -> None:
    """Their users are others than the owner here."""
    (machine.secrets / "redis_ops_password").chmod(0o600)
    assert "can't be read by the containers' users: chmod 644 secrets/redis_ops_password" in machine.problem()


def test_a_password_that_breaks_the_syntax_is_told(machine: Machine) -> None:
    """Without showing it."""
    (machine.secrets / "redis_ops_password").write_text('pass"word hunter2\n')
    sentence = machine.problem()
    assert "holds a character other than" in sentence
    assert "hunter2" not in sentence


@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_an_unusable_certificate_is_told(machine: Machine, content: str | None) -> None:
    """It is missing, or is none."""
    machine.settings("VERIFIER_MAIL_CA_FILE=/run/secrets/relay_ca.pem\n")
    if content is not None:
        (machine.secrets / "relay_ca.pem").write_text(content)
    code, said = machine.check()
    assert code == 1
    assert "relay_ca.pem" in said
    assert ("can't be read" if content is None else "in PEM format") in said


TLS_FILES = ("redis_tls_ca", "redis_tls_cert", "redis_tls_key", "verifier_tls_cert", "verifier_tls_key")


@pytest.mark.usefixtures("judged")
def test_without_tls_nobody_wants_certificates(machine: Machine) -> None:
    """make-secrets.sh leaves the files empty where there is no openssl."""
    for name in TLS_FILES:
        (machine.secrets / name).write_text("")
    assert machine.check()[0] == 0
    machine.settings("REDIS_TLS=yes\n")
    sentence = machine.problem()
    assert sentence.startswith("- REDIS_TLS is on, and secrets/redis_tls_ca holds no certificate")
    assert sentence.endswith("make-secrets.sh tls makes it.")


def test_a_certificate_for_another_network_is_told(machine: Machine) -> None:
    """The prefix was changed after the certificates were made; the remedy that is named reads the new one from .env."""
    machine.settings("REDIS_TLS=yes\n")
    assert machine.check()[0] == 0
    machine.settings("REDIS_TLS=yes\nREDIS_NETWORK_PREFIX='10.1.2'\n")
    assert "redis_tls_cert is not for 10.1.2.11" in machine.problem()
    renew = ["/bin/sh", "sentinel/config/make-secrets.sh", "renew-tls"]
    subprocess.run(renew, cwd=machine.project, check=True)
    assert machine.check()[0] == 0


def test_an_expired_certificate_is_told(machine: Machine) -> None:
    """openssl looks at it where there is one."""
    machine.settings("REDIS_TLS=yes\n")
    renew = ["/bin/sh", "sentinel/config/make-secrets.sh", "renew-tls"]
    environment = {"PATH": "/usr/bin:/bin", "REDIS_TLS_DAYS": "-1"}
    subprocess.run(renew, cwd=machine.project, env=environment, check=True)
    assert "redis_tls_cert has expired" in machine.problem()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of loopback somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_told(machine: Machine, taken_port: int) -> None:
    """Unless it is this very service that listens there; another address of the machine does not matter."""
    machine.settings(f"PORT={taken_port}\n")
    machine.listen_as_here()
    assert machine.problem().startswith(
        f"- Port {taken_port} of 127.0.0.1 is taken by another program: end it"
    )
    assert machine.check(FAKE_RUNNING="a1b2")[0] == 0


def test_the_mail_catchers_port_counts_when_it_is_wanted(machine: Machine) -> None:
    """With --mail only."""
    line = "   0: 00000000:1F59 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
    with (machine.proc / "net/tcp").open("a") as file:
        file.write(line)
    assert machine.check()[0] == 0
    assert machine.problem("--mail").startswith("- Port 8025 of 127.0.0.1 is taken")


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_port_that_is_none_is_told(machine: Machine, port: str) -> None:
    """From .env; the environment goes before it."""
    machine.settings(f"PORT={port}\n")
    assert machine.problem().startswith(f"- PORT={port} is no port")
    assert machine.check(PORT="8001")[0] == 0


@pytest.mark.parametrize(
    ("destination", "mask", "collides"),
    [
        ("004D1DAC", "00FFFFFF", True),  # 172.29.77.0/24
        ("00001DAC", "0000FFFF", True),  # 172.29.0.0/16
        ("104D1DAC", "F0FFFFFF", True),  # 172.29.77.16/28
        ("0A4D1DAC", "FFFFFFFF", True),  # 172.29.77.10
        ("004E1DAC", "00FFFFFF", False),  # 172.29.78.0/24
        ("004C1DAC", "00FFFFFF", False),  # 172.29.76.0/24
        ("00000000", "00000000", False),  # the default route
    ],
)
def test_a_network_that_is_in_use_is_told(
    machine: Machine, destination: str, mask: str, *, collides: bool
) -> None:
    """A route that overlaps with the network's, unless it is the one of an earlier start."""
    with (machine.proc / "net/route").open("a") as file:
        file.write(f"eth7\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n")
    if collides:
        assert machine.problem().startswith(
            "- The network 172.29.77.0/24 is in use on this machine (by eth7): write another REDIS_NETWORK_PREFIX"
        )
        assert machine.check(FAKE_NETWORK="verifier_redis")[0] == 0
        machine.settings("REDIS_NETWORK_PREFIX=10.11.12\n")
    assert machine.check()[0] == 0


@pytest.mark.parametrize(
    ("subnets", "collides"),
    [("10.1.0.0/16 172.29.77.0/25", True), ("172.16.0.0/12", True), ("172.29.78.0/24 fd00::/64", False)],
)
def test_a_network_of_the_engine_that_is_in_use_is_told(
    machine: Machine, subnets: str, *, collides: bool
) -> None:
    """Also while none of its containers runs, so that no route leads there."""
    if collides:
        assert "172.29.77.0/24 is in use on this machine (by shop_default):" in machine.problem(
            FAKE_SUBNETS=subnets
        )
    else:
        assert machine.check(FAKE_SUBNETS=subnets)[0] == 0


@pytest.mark.parametrize("prefix", ["172.29", "172.29.300", "172.29.77.0", "ten.1.2"])
def test_a_prefix_that_is_none_is_told(machine: Machine, prefix: str) -> None:
    """Three numbers are wanted."""
    machine.settings(f"REDIS_NETWORK_PREFIX={prefix}\n")
    assert machine.problem().startswith(f"- REDIS_NETWORK_PREFIX={prefix} is not the beginning of a network")


@pytest.mark.usefixtures("judged")
def test_wrong_settings_are_told_by_the_services_own_parser(machine: Machine) -> None:
    """Values and names, each in a sentence."""
    machine.settings("VERIFIER_CODE_DIGITS=many\nVERIFIER_MAIL_SERVR=relay\n")
    code, said = machine.check()
    assert code == 1
    assert "- VERIFIER_CODE_DIGITS: " in said
    assert "- VERIFIER_MAIL_SERVR is not a setting; did you mean VERIFIER_MAIL_SERVER?" in said
    assert "Problems found: 2." in said


def test_names_are_checked_before_there_is_an_image(machine: Machine) -> None:
    """And it is said that values were not."""
    machine.settings("VERIFIER_MAIL_SERVR=relay\nVERIFIER_MAIL_PASSWORD_FILE=/run/secrets/mail_password\n")
    code, said = machine.check(FAKE_NO_IMAGE="yes")
    assert code == 1
    assert "- VERIFIER_MAIL_SERVR in .env is not a setting" in said
    assert "Note: the values in .env were not checked" in said
    assert "Problems found: 1." in said


def test_the_kernels_setting_is_told(machine: Machine) -> None:
    """Redis forks whatever its size."""
    (machine.proc / "sys/vm/overcommit_memory").write_text("0\n")
    assert "sysctl -w vm.overcommit_memory=1" in machine.problem()


@pytest.mark.usefixtures("judged")
def test_all_problems_are_told_at_once(machine: Machine) -> None:
    """Nobody mends one to learn of the next."""
    (machine.secrets / "redis_app_password").unlink()
    (machine.proc / "sys/vm/overcommit_memory").write_text("0\n")
    machine.settings("PORT=many\nREDIS_NETWORK_PREFIX=1\nVERIFIER_MAIL_PORT=many\n")
    code, said = machine.check(FAKE_COMPOSE="2.1")
    assert code == 1
    assert "Problems found: 6." in said


def test_an_unknown_option_is_told(machine: Machine) -> None:
    """By its name."""
    done = subprocess.run(
        ["/bin/sh", ROOT / "deploy/check.sh", "--mial"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "knows no '--mial'" in done.stderr


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("podman-compose version 1.6.0", ""),
        ("podman-compose version: 1.0.3", "podman-compose is version 1.0.3, and 1.2 is the oldest"),
    ],
)
def test_podman_will_do(machine: Machine, answer: str, sentence: str) -> None:
    """In place of Docker, with podman-compose."""
    shutil.move(machine.tools / "docker", machine.tools / "podman")
    if shutil.which("docker", path="/usr/bin:/bin"):
        pytest.skip("This machine has Docker in /usr/bin.")
    (machine.tools / "podman-compose").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (machine.tools / "podman-compose").chmod(0o755)
    if sentence:
        assert machine.problem().startswith(f"- {sentence}")
    else:
        assert machine.check()[0] == 0
