"""From a plan to what people see: progress, table, sentences, files."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from sentinel import LocalStartError, RedisServerMissing, TopologyError
from verifier.drill import game_day
from verifier.drill.game_day import Plan, Results
from verifier.drill.outcome import Outcome
from verifier.drill.report.html_report import html_report
from verifier.drill.report.json_report import json_report
from verifier.drill.report.progress import ProgressDisplay
from verifier.drill.report.table import tables
from verifier.drill.rig.service import ServiceStartError
from verifier.drill.rig.systems import SystemUnderTest, verifier

CANNOT_START = (RedisServerMissing, LocalStartError, TopologyError, ServiceStartError)


def contestants(peers: str) -> tuple[SystemUnderTest, ...]:
    """Give the project and the named peers. Raises click.BadParameter for one that is unknown."""
    from verifier.drill.rig.peers import find_peer  # noqa: PLC0415 - most drills have none

    names = [part.strip() for part in peers.split(",") if part.strip()]
    return verifier(), *(peer for name in names if (peer := find_peer(name)))


def run_and_present(plan: Plan, json_file: Path | None, html_file: Path | None) -> bool:
    """Run the plan, show and write what came of it; tell whether every promise was kept.

    Raises:
        click.ClickException: something could not be started.
    """
    console = Console()
    show = ProgressDisplay(console, len(plan.faults) * len(plan.contestants))
    try:
        with show.shown():
            results = game_day.run(plan, show, lambda outcome: _tell(console, outcome))
    except CANNOT_START as error:
        raise click.ClickException(str(error)) from error
    _present(console, results)
    if json_file is not None:
        json_file.write_text(json_report(plan, results))
    if html_file is not None:
        html_file.write_text(html_report(plan, results))
    return results.kept


def _tell(console: Console, outcome: Outcome) -> None:
    mark = "[red]broken[/]" if outcome.breaches else "[green]kept[/]  "
    counts = outcome.counts
    console.print(
        f"{mark} {outcome.contestant} {outcome.fault}: {counts.accepted} accepted, {counts.refused} refused, "
        f"{counts.lost} lost, {counts.twice} twice"
    )


def _present(console: Console, results: Results) -> None:
    for each in tables(results.outcomes):
        console.print(each)
    for outcome in results.outcomes:
        for breach in outcome.breaches:
            console.print(f"[red]{outcome.contestant} {outcome.fault}[/]: {breach.sentence}")
    for breach in results.together:
        console.print(f"[red]verifier[/]: {breach.sentence}")
    for logs in results.logs:
        console.print(f"Logs are kept in {logs}", soft_wrap=True)
    if results.kept:
        console.print("[green]Every promise was kept.[/]")
