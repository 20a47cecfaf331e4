"""From a plan to what people see: progress, table, sentences, files."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console

from sentinel import LocalStartError, RedisServerMissing, TopologyError
from verifier.drill import game_day
from verifier.drill.game_day import Plan, Results, is_ours
from verifier.drill.outcome import Outcome
from verifier.drill.report.files import html_report, json_report
from verifier.drill.report.progress import ProgressDisplay
from verifier.drill.report.table import legend, seconds, tables
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
    # Without a highlighter, which has colours of its own: red is for what is broken.
    console = Console(highlight=False)
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
    if json_file is not None:
        json_file.write_text(json_report(plan, results))
    if html_file is not None:
        html_file.write_text(html_report(plan, results))
    _present(console, results)
    for line in what_to_look_at(plan, results, [each for each in (html_file, json_file) if each is not None]):
        console.print(line, soft_wrap=True, markup=False)
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
    console.print("The columns; what breaks a promise is red, and nothing else is:", style="dim")
    for line in legend():
        console.print(f"  {line}", style="dim", soft_wrap=True, markup=False)
    console.print()
    for outcome in results.outcomes:
        for breach in outcome.breaches:
            console.print(f"[red]{outcome.system} {outcome.fault}[/]: {breach.sentence}")
    for breach in results.together:
        console.print(f"[red]verifier[/]: {breach.sentence}")
    for logs in results.logs:
        console.print(f"Logs are kept in {logs}", soft_wrap=True)
    if results.kept:
        console.print(f"[green]Every promise was kept[/], on {results.conditions}", soft_wrap=True)
    else:
        console.print(f"[red]A promise was broken[/], on {results.conditions}", soft_wrap=True)


def what_to_look_at(plan: Plan, results: Results, files: Sequence[Path]) -> Iterator[str]:
    """Say which rows to read first, where the report is, and which command comes next."""
    ours = [each for each in results.outcomes if is_ours(each)]
    broken = [each.fault for each in ours if each.breaches]
    if broken:
        yield f"Read first: {', '.join(broken)}; the red figure, and its sentence above."
    elif ours:
        slowest = max(ours, key=lambda each: each.counts.longest_wait_s)
        latest = max(ours, key=lambda each: each.counts.longest_mail_delay_s)
        yield (
            f"Read first: {slowest.fault}, where somebody waited longest ({seconds(slowest.counts.longest_wait_s)}), and "
            f"{latest.fault}, where a mail took longest ({seconds(latest.counts.longest_mail_delay_s)})."
        )
    for file in files:
        yield f"The report: {file.absolute()}"
    yield f"Next: {_next_command(plan, results, broken, has_page=any(each.suffix == '.html' for each in files))}"


def _next_command(plan: Plan, results: Results, broken: Sequence[str], *, has_page: bool) -> str:
    again = "".join(f" --fault {name}" for name in broken)
    if broken:
        return f"flask drill{again} --html drill-report.html, to see it second by second; docs/drill.md has each fault"
    if not results.conditions.are_shipped:
        return "flask drill --shipped, with the times of a deployment"
    if not has_page:
        return "flask drill --shipped --html drill-report.html, to see it second by second"
    return f"flask drill --shipped --rate {plan.rate * 2:g}, with twice the load"
