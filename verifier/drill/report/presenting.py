"""From a plan to what people see: progress, table, sentences, files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click
from rich.console import Console

from sentinel import LocalStartError, RedisServerMissing, TopologyError
from verifier.drill import game_day
from verifier.drill.game_day import Plan, Results
from verifier.drill.outcome import Outcome
from verifier.drill.report.files import html_report, json_report
from verifier.drill.report.progress import ProgressDisplay
from verifier.drill.report.table import tables
from verifier.drill.rig.process import RigError
from verifier.drill.rig.systems import CELERY, RQ, SystemUnderTest, verifier

CANNOT_START = (RedisServerMissing, LocalStartError, TopologyError, RigError)
PEERS = {each.name: each for each in (RQ, CELERY)}


def systems_under_test(peers: str) -> tuple[SystemUnderTest, ...]:
    """Return the project and the named peers; one that is not installed is left out, with a sentence.

    Raises:
        click.BadParameter: there is no such peer.
    """
    names = [part.strip() for part in peers.split(",") if part.strip()]
    if unknown := [name for name in names if name not in PEERS]:
        raise click.BadParameter(f"{unknown[0]} is none of {', '.join(PEERS)}", param_hint="--peers")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    for name in missing:
        click.echo(f"{name} is not installed, so it is left out: `pip install {name}` brings it.")
    return verifier(), *(PEERS[name] for name in names if name not in missing)


def run_and_present(plan: Plan, json_file: Path | None, html_file: Path | None) -> bool:
    """Run the plan, present and write what came of it; return whether every promise was kept.

    Raises:
        click.ClickException: something could not be started.
    """
    console = Console()
    console.print(
        "Limits are off (VERIFIER_RATE_LIMITS_ENABLED=false), since all the load comes from one client."
    )
    progress = ProgressDisplay(console, len(plan.faults) * len(plan.systems))
    try:
        with progress:
            results = game_day.run(
                plan,
                progress,
                lambda conditions: console.print(f"On {conditions}", soft_wrap=True),
                lambda outcome: _present_one(console, outcome),
            )
    except CANNOT_START as error:
        raise click.ClickException(str(error)) from error
    _present(console, results)
    if json_file is not None:
        json_file.write_text(json_report(plan, results))
    if html_file is not None:
        html_file.write_text(html_report(plan, results))
    return results.kept


def _present_one(console: Console, outcome: Outcome) -> None:
    mark = "[red]broken[/]" if outcome.breaches else "[green]kept[/]  "
    counts = outcome.counts
    console.print(
        f"{mark} {outcome.system} {outcome.fault}: {counts.accepted} accepted, {counts.refused} refused, "
        f"{counts.lost} lost, {counts.twice} twice"
    )


def _present(console: Console, results: Results) -> None:
    for each in tables(results.outcomes):
        console.print(each)
    for outcome in results.outcomes:
        for breach in outcome.breaches:
            console.print(f"[red]{outcome.system} {outcome.fault}[/]: {breach.sentence}")
    for breach in results.together:
        console.print(f"[red]verifier[/]: {breach.sentence}")
    for logs in results.logs:
        console.print(f"Logs are kept in {logs}", soft_wrap=True)
    if results.kept:
        console.print("[green]Every promise was kept.[/]")
