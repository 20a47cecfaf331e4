"""`flask sentinel doctor`: what would go wrong, why it matters, and the exact fix; for people and for programs.

The JSON has a schema, docs/doctor.schema.json, which a test holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Group
from rich.text import Text

from sentinel import Diagnosis, Severity, diagnose, why_of
from verifier.cli.sentinel.operators import settings_of_redis
from verifier.cli.sentinel.topology_tables import plain
from verifier.cli.sheets import console_for_operators
from verifier.wiring import access_of_operators, deadline_of

OK, CRITICAL, WARNING = 0, 1, 2
_VERDICTS = {OK: "ok", CRITICAL: "critical", WARNING: "warning"}
_COLOURS = {OK: "bold green", CRITICAL: "bold red", WARNING: "bold yellow"}
_STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow"}


@click.command("doctor")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def doctor_command(*, wants_json: bool) -> None:
    """Look for what is wrong, and for what would go wrong: in the next failover, after a restart, with full memory.

    Reads only, apart from one small write that shows whether the master takes any. Exits with 1 when something is
    critical, with 2 when there are only warnings, with 0 when nothing was found. What it could not see it names.
    """
    redis = settings_of_redis()
    diagnosis = diagnose(access_of_operators(redis), deadline_of(redis), _quorum_on_file())
    if wants_json:
        click.echo(json.dumps(for_programs(diagnosis), indent=2))
    else:
        console_for_operators().print(_for_people(diagnosis))
    raise SystemExit(exit_code_of(diagnosis))


def exit_code_of(diagnosis: Diagnosis) -> int:
    """Return 1 when something is critical, 2 when there are only warnings, 0 when nothing was found."""
    severities = {each.severity for each in diagnosis.findings}
    if Severity.CRITICAL in severities:
        return CRITICAL
    return WARNING if severities else OK


def for_programs(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return everything as `json` can write it."""
    topology = diagnosis.topology
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "master_name": topology.master_name,
        "master": plain(topology.named_master),
        "verdict": _VERDICTS[exit_code_of(diagnosis)],
        "users": _has_users(diagnosis),
        "tls": diagnosis.examination.uses_tls,
        "findings": [{**plain(each), "why": why_of(each)} for each in diagnosis.findings],
        "unseen": list(diagnosis.unseen),
    }


def _for_people(diagnosis: Diagnosis) -> Group:
    return Group(*_header(diagnosis), *_findings(diagnosis), *_unseen(diagnosis))


def _header(diagnosis: Diagnosis) -> Iterator[Text]:
    code, topology = exit_code_of(diagnosis), diagnosis.topology
    counted = f"{len(topology.nodes)} nodes, {topology.sentinel_count} sentinels"
    servers = ", ".join(sorted({node.server for node in topology.nodes if node.server})) or "unknown version"
    users = {
        True: "users",
        False: "NO users: a plain deployment, open to whoever reaches it",
        None: "users unknown",
    }
    encrypted = "TLS" if diagnosis.examination.uses_tls else "no TLS"
    yield Text.assemble(
        (f"{topology.master_name}: {_VERDICTS[code].upper()}", _COLOURS[code]),
        f"  master {topology.named_master or 'unknown'}; {counted}; {servers}; {users[_has_users(diagnosis)]}; {encrypted}",
    )
    yield Text("")


def _findings(diagnosis: Diagnosis) -> Iterator[Text]:
    for finding in diagnosis.findings:
        label = f"{finding.severity.upper()}: "
        yield Text.assemble((label, _STYLES[finding.severity]), finding.message, f"  [{finding.code}]")
        yield Text.assemble(("    why  ", "bold"), why_of(finding))
        yield Text.assemble(("    fix  ", "bold"), finding.remedy)
    if not diagnosis.findings:
        yield Text("Nothing is wrong, as far as could be seen.", style="green")


def _unseen(diagnosis: Diagnosis) -> Iterator[Text]:
    yield Text("")
    yield Text("Not seen:", style="bold")
    for sentence in diagnosis.unseen:
        yield Text(f"    {sentence}")


def _has_users(diagnosis: Diagnosis) -> bool | None:
    """Return whether everybody wants a name; None where nobody answered."""
    opened = [node.is_open for node in diagnosis.topology.nodes]
    opened += [sentinel.is_open for sentinel in diagnosis.topology.sentinels]
    opened = [each for each in opened if each is not None]
    return not any(opened) if opened else None


def _quorum_on_file() -> int | None:
    """Return what the deployment's environment says, where this command runs in it."""
    text = os.environ.get("SENTINEL_QUORUM", "")
    return int(text) if text.isascii() and text.isdigit() else None
