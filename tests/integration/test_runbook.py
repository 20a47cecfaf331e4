"""Every command of the operators' pages: run as it stands, or held against what there is and tried in a test that is named.

Whoever writes a new command there has to say here which of the two it is.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping

import click
import pytest
from flask import Flask

from sentinel import LocalTopology, wait_for
from tests.support.mending import MendingTestbed, wait_until_whole
from tests.support.ops import runbook
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier import cli

TEXT = runbook.text_of_pages()
COMMANDS = runbook.commands(TEXT)

# Each with what it exits with: 0, where all is well and with the deployment's own times.
RUN: Mapping[str, frozenset[int]] = {
    "flask sentinel status": frozenset({0}),
    "flask sentinel status --json": frozenset({0}),
    "flask sentinel history": frozenset({0}),
    "flask sentinel history -n 100": frozenset({0}),
    "flask sentinel history --json": frozenset({0}),
    # The doctor may warn of this machine: its memory, its kernel's settings.
    "flask sentinel doctor": frozenset({0, 2}),
    "flask sentinel doctor --json": frozenset({0, 2}),
    "flask sentinel switchover --dry-run": frozenset({0}),
    "flask sentinel switchover --yes --json": frozenset({0}),
    "flask deliveries queue": frozenset({0}),
    "flask deliveries list": frozenset({0}),
    "flask deliveries list --status rejected": frozenset({0}),
    "flask deliveries requeue --all --reply 451 --since 2h --dry-run": frozenset({0}),
    "flask deliveries list --status deferred --address example.org --older-than 5m --json": frozenset({0}),
    "flask check-settings": frozenset({0}),
    "flask secret-keys new k2": frozenset({0}),
}
"""In this process, on a service that runs."""

BY_SHELL = (
    "ask_node NODE bgrewriteaof",
    "ask_node NODE info persistence",
    "ask_sentinel SENTINEL sentinel master verifier",
    "ask_sentinel SENTINEL sentinel ckquorum verifier",
    "ask_sentinel SENTINEL sentinel reset verifier",
)
"""With the page's own functions and the files of the operators' passwords."""

_SWITCHOVER = "tests/integration/sentinel/test_switchover.py"
_CHOICE = "tests/integration/sentinel/test_choice.py"
_SCRIPTS = "tests/integration/sentinel/test_config_scripts.py"
_DELIVERIES = "tests/integration/verifier/test_delivery_commands.py"
_RQ = "tests/integration/workers/test_rq_commands.py::test_rq_lists_the_workers_and_suspends_them"
_COMPOSE = "tests/unit/test_compose.py::test_the_first_master_is_ordered_by_a_documented_command"
_DRILL = "tests/chaos/test_faults.py::test_service_keeps_its_promises"
_UNITS = "tests/integration/deploy/test_systemd_units.py::test_the_commands_make_a_service_that_mails"
_WRITES = (
    "tests/integration/sentinel/status/test_writes_refused.py"
    "::test_writes_that_fail_are_critical_and_forbid_a_switchover"
)
_REPAIR = "tests/integration/sentinel/status/test_repair.py::test_it_gives_the_role_back_and_proves_it"
_LOST_DISKS = "tests/integration/sentinel/test_lost_disks.py"
_PASSWORDS = "tests/integration/sentinel/test_mending.py::test_every_password_is_changed"
_QUORUM = "tests/integration/sentinel/test_mending.py::test_a_sentinel_is_replaced"

ELSEWHERE: Mapping[str, str] = {
    "flask sentinel status --watch 0.5": "tests/integration/sentinel/status/test_status.py::test_it_watches_until_ctrl_c",
    "flask sentinel status --watch": "tests/integration/sentinel/status/test_status.py::test_it_watches_until_ctrl_c",
    "flask sentinel switchover": f"{_SWITCHOVER}::test_failover_asks_first",
    "flask sentinel switchover --to HOST:PORT": f"{_CHOICE}::test_the_master_goes_where_it_is_sent",
    "flask sentinel repair": _REPAIR,
    "flask sentinel repair --yes": _REPAIR,
    "flask worker": "tests/integration/workers/test_processes.py::test_sigterm_ends_parent_and_children",
    "flask run": "tests/integration/deploy/test_without_development.py::test_flask_run_works_where_the_sentinels_are_named",
    "flask alerts test": "tests/integration/verifier/alerts/test_processes.py::test_flask_alerts_test_says_what_came_back",
    "flask drill": _DRILL,
    "flask drill --shipped": _DRILL,
    "flask drill --fault redis-full": _DRILL,
    "flask drill --fault rolling-restart": _DRILL,
    "flask drill --fault key-rotation": _DRILL,
    "flask deliveries show ID": f"{_DELIVERIES}::test_show_tells_everything_but_the_code",
    "flask deliveries requeue ID": f"{_DELIVERIES}::test_requeued_mails_are_due_now",
    "flask deliveries discard --all --older-than 1d": f"{_DELIVERIES}::test_all_or_the_old_ones_are_discarded",
    "flask deliveries requeue": f"{_DELIVERIES}::test_requeued_mails_are_due_now",
    "flask deliveries requeue --all --reply 451 --since 2h": f"{_DELIVERIES}::test_many_are_requeued_one_after_the_other",
    "flask deliveries requeue --all --reply 451 --since 2h --over 10m": f"{_DELIVERIES}::test_many_are_requeued_one_after_the_other",
    "flask deliveries discard ID --owed": (
        f"{_DELIVERIES}::test_an_owed_mail_is_discarded_only_by_who_has_read_what_it_is"
    ),
    "rq info -c verifier.cli.rq_config": _RQ,
    "rq info": _RQ,
    "rq suspend": _RQ,
    "rq resume": _RQ,
    "python -m workers.health": (
        "tests/integration/workers/test_health.py::test_green_while_it_works_and_red_when_it_hangs_or_is_gone"
    ),
    "sh deploy/check.sh": "tests/integration/deploy/test_deploy_check.py::test_nothing_in_the_way_is_said",
    "sh sentinel/config/start-redis.sh first-master": f"{_LOST_DISKS}::test_order_counts_once_and_is_heard_while_the_node_waits",
    "sh sentinel/config/start-redis.sh first-master --force": f"{_LOST_DISKS}::test_order_is_refused_while_others_may_have_data",
    "sh sentinel/config/make-secrets.sh renew-tls": (
        "tests/integration/sentinel/test_tls.py::test_renewed_certificates_cost_no_mail"
    ),
    "sh sentinel/config/change-passwords.sh add": _PASSWORDS,
    "sh sentinel/config/change-passwords.sh use": _PASSWORDS,
    "sh sentinel/config/change-passwords.sh drop": _PASSWORDS,
    "sentinel ckquorum verifier": f"{_SWITCHOVER}::test_lost_quorum_refuses_it",
    "sentinel master verifier": _QUORUM,
    "CLIENT UNPAUSE": _WRITES,
    "REPLICAOF NO ONE": _REPAIR,
    "CONFIG REWRITE": _REPAIR,
    "SENTINEL RESET": _QUORUM,
    "SENTINEL FAILOVER": "tests/integration/sentinel/test_local_faults.py::test_bare_failover_moves_the_master",
    "SENTINEL SET": "tests/integration/sentinel/test_rights.py::test_each_user_has_its_rights_and_no_other",
}
"""What a test of its own tries, since it breaks something, asks a person, or does not end by itself."""

FORM_ONLY = (
    "docker compose --profile ops run --rm ops sentinel status",
    "docker compose --profile ops run --rm --entrypoint rq ops info -c verifier.cli.rq_config",
    "docker compose logs --no-log-prefix web worker | grep ID | sort",
    "docker compose run --rm --no-deps redis-1 first-master",
    "docker compose up -d --no-deps --force-recreate NAME",
    "docker compose stop",
    "docker compose build",
    "docker compose up -d --no-deps worker",
    "docker compose up -d --no-deps web",
    "systemctl restart UNIT",
    "systemctl restart verifier-web",
    "systemctl restart verifier-worker",
    "systemctl reload verifier-web",
    "systemctl stop",
    "make run",
    "redis-check-aof --fix",
)
"""What wants a container engine, an init system or damaged files: its parts must be there."""


@pytest.fixture(scope="module")
def testbed() -> Iterator[MendingTestbed]:
    """A service with its worker, as deployed, whose passwords are in files."""
    with MendingTestbed() as running:
        wait_until_whole(running.topology)
        yield running
    running.forget_logs()


def test_every_command_is_covered_once() -> None:
    """And nothing is listed here that the pages do not have any more."""
    listed = [*RUN, *BY_SHELL, *ELSEWHERE, *FORM_ONLY]
    assert [command for command in COMMANDS if "..." not in command and command not in listed] == []
    assert [command for command in listed if command not in COMMANDS] == []
    assert len(set(listed)) == len(listed)


def test_a_new_command_would_be_found() -> None:
    """In a block and in a sentence, also where the line breaks within it; what is no command is left alone."""
    text = "# Page\n\n    reboot now    # at last\n    {}\n\nRun `flask sentinel\nstatus`, not `restart`.\n"
    assert runbook.commands(text) == ["reboot now", "{}", "flask sentinel status"]
    with pytest.raises(click.UsageError, match="no command stats"):
        runbook.parse_flask("flask sentinel stats")
    with pytest.raises(click.UsageError, match="--wach"):
        runbook.parse_flask("flask sentinel status --wach")
    with pytest.raises(AssertionError):
        runbook.parse_compose("docker compose up -d wep")


_PARSERS: Mapping[str, Callable[[str], None]] = {
    "flask": runbook.parse_flask,
    "docker": runbook.parse_compose,
    "sh": runbook.parse_script,
    "systemctl": runbook.parse_systemctl,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_its_parts_exist(command: str) -> None:
    """Commands and options for click, services and profiles in compose.yaml, scripts, units and targets in the repository."""
    parse = _PARSERS.get(command.split(maxsplit=1)[0])
    if parse is not None:
        parse(command)
    elif command.startswith("rq ") and "-c" in command:
        runbook.parse_rq(command)
    elif command.startswith("make "):
        assert f"\n{command.split()[1]}:" in (runbook.ROOT / "Makefile").read_text(encoding="utf-8")
    else:
        assert command in {*BY_SHELL, *ELSEWHERE, *FORM_ONLY}


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_what_is_tried_elsewhere_is_tried(test: str) -> None:
    """The test that is named is there."""
    path, _, name = test.partition("::")
    assert name in runbook.names_of_tests(path)


@pytest.mark.chaos
@pytest.mark.parametrize("command", RUN)
def test_it_runs_as_it_stands(testbed: MendingTestbed, command: str) -> None:
    """And ends as the page says."""
    app = Flask("verifier")
    cli.add_commands(app)
    environment = testbed.environment(testbed.system, testbed.mail_sink.port)
    for name in [name for name in os.environ if name.startswith("VERIFIER_")]:
        environment.setdefault(name, "")
    told = app.test_cli_runner().invoke(args=shlex.split(command)[1:], env=environment)
    assert told.exit_code in RUN[command], told.output
    wait_until_whole(testbed.topology)


@pytest.mark.chaos
def test_the_pages_functions_reach_nodes_and_sentinels(testbed: MendingTestbed) -> None:
    """With redis-cli and the operators' passwords; the sentinel that was reset knows everybody again."""
    topology = testbed.topology
    told = {command: _by_shell(topology, command) for command in BY_SHELL}
    assert "Background append only file rewriting" in told["ask_node NODE bgrewriteaof"]
    assert "aof_rewrite_in_progress:" in told["ask_node NODE info persistence"]
    assert "num-other-sentinels\n2\n" in told["ask_sentinel SENTINEL sentinel master verifier"]
    assert told["ask_sentinel SENTINEL sentinel ckquorum verifier"].startswith("OK 3")
    assert told["ask_sentinel SENTINEL sentinel reset verifier"] == "1\n"
    assert wait_for(
        lambda: _by_shell(topology, "ask_sentinel SENTINEL sentinel ckquorum verifier").startswith("OK 3"),
        FAILOVER_WITHIN_S,
        interval_s=0.2,
    )


def _by_shell(topology: LocalTopology, command: str) -> str:
    """Run it in a shell that read the page's functions, beside the secrets; return what it says."""
    words = command.replace("SENTINEL", str(topology.sentinels[0])).replace(
        "NODE", str(topology.replicas()[0].endpoint)
    )
    words = words.replace("verifier", topology.master_name)
    told = subprocess.run(
        ["sh", "-euc", f"{runbook.functions(TEXT)}\n{words}"],
        cwd=topology.directory,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return told.stdout
