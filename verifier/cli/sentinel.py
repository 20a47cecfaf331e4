"""`flask sentinel`: the operators' view of the topology, and the planned switchover.

They work with the operators' users of the settings; where those are empty, with the app's.
"""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress

import click
from rich.console import Console, Group
from rich.text import Text

from sentinel import (
    HOLD_AT_MOST_S,
    NothingToRepair,
    Progress,
    RepairError,
    Step,
    SwitchoverError,
    SwitchoverRefused,
    Topology,
    findings_of,
    plan_repair,
    refusals_of,
    repair,
    survey,
    switch_over,
)
from verifier.cli.history import history_command
from verifier.cli.operators import queue, settings_of_redis, who, write_down
from verifier.cli.sheets import console_for_operators
from verifier.cli.status import Status, take_status
from verifier.cli.topology_tables import as_sentences, as_tables
from verifier.store.history import EventKind, HistoryEvent
from verifier.wiring import access_of_operators


@click.group("sentinel")
def sentinel_group() -> None:
    """Look at the Redis topology, move its master, and repair it."""


sentinel_group.add_command(history_command)


@sentinel_group.command("status")
@click.option(
    "--json", "wants_json", is_flag=True, help="Print JSON for programs; with --watch one line each time."
)
@click.option(
    "--watch",
    "watch_every_s",
    type=click.FloatRange(0.2, 3600),
    is_flag=False,
    flag_value="2",
    metavar="[SECONDS]",
    help="Look again and again, each 2 seconds unless said otherwise, until Ctrl-C.",
)
def status_command(*, wants_json: bool, watch_every_s: float | None) -> None:
    """Show who is master, who follows, what each sentinel believes, and how the service fares.

    Exits with 1 when something is critical: writes fail now, or the next failover would; with 2 when there are only
    warnings; with 0 when nothing is wrong. After --watch it is the last look that counts.
    """
    redis, jobs = settings_of_redis(), queue()
    status = take_status(redis, jobs)
    _print_status(status, wants_json=wants_json, watches=watch_every_s is not None)
    with suppress(KeyboardInterrupt):
        while watch_every_s is not None:
            time.sleep(watch_every_s)
            status = take_status(redis, jobs)
            _print_status(status, wants_json=wants_json, watches=True)
    raise SystemExit(status.exit_code)


def _print_status(status: Status, *, wants_json: bool, watches: bool) -> None:
    if wants_json:
        click.echo(json.dumps(status.for_programs(), indent=None if watches else 2))
        return
    console = console_for_operators()
    if watches:
        console.clear()  # nothing, where it is no terminal
    console.print(status.for_people())
    if watches and not console.is_terminal:
        console.print()


@sentinel_group.command("switchover")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(2, 60),
    default=HOLD_AT_MOST_S,
    show_default=True,
    help="For how many seconds writes may be held in all before the switchover is given up.",
)
def switchover_command(*, yes: bool, timeout_s: float) -> None:
    """Have a replica take over from the master without losing a write.

    Writes wait for one to two seconds meanwhile. Whatever goes wrong, and Ctrl-C, lets them go on.
    """
    redis, console = settings_of_redis(), console_for_operators()
    access = access_of_operators(redis)
    planned = survey(access)
    _preview(planned, console)
    if not yes:
        click.confirm("Shall a replica take over?", abort=True)
    # A terminal that is closed, or a service manager, ends it as cleanly as Ctrl-C does.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)
    try:
        result = switch_over(
            access, report=lambda progress: _print_step(progress, console), hold_at_most_s=timeout_s
        )
    except SwitchoverRefused as error:
        raise click.ClickException(str(error)) from None
    except SwitchoverError as error:
        failed = HistoryEvent(
            EventKind.SWITCHOVER_FAILED, planned.named_master, None, why=str(error), by=who()
        )
        write_down(redis, failed)
        raise click.ClickException(str(error)) from None
    decided_s_ago = result.steps[-1].elapsed_s - result.at_s(Step.DECIDED)
    after = survey(access)
    moved = HistoryEvent(
        EventKind.SWITCHOVER,
        result.old,
        result.new,
        why="ordered with `flask sentinel switchover`",
        by=who(),
        epoch=after.epoch if after.named_master == result.new else None,
    )
    unwritten = write_down(redis, moved, age_s=decided_s_ago)
    console.print(f"\n{result.new} took over from {result.old}; writes were held for {result.held_s:.2f} s.")
    told = [*result.notes, unwritten] if unwritten else result.notes
    notes = [Text(f"NOTE: {note}", style="yellow") for note in told]
    console.print(Group(*notes, as_tables(after), as_sentences(findings_of(after))))
    if not result.proved:
        raise click.ClickException(
            "The master moved, but nothing shows that it takes writes: see the notes above."
        )


@sentinel_group.command("repair")
@click.option("--yes", is_flag=True, help="Do not ask.")
def repair_command(*, yes: bool) -> None:
    """Give the master its role back that somebody took from it with REPLICAOF.

    Changes nothing unless a majority of the sentinels names that node, no failover is under way, nobody else is a
    master, and its data are still its own.
    """
    redis, console = settings_of_redis(), console_for_operators()
    access = access_of_operators(redis)
    topology = survey(access)
    console.print(as_tables(topology))
    try:
        plan = plan_repair(topology)
        console.print(
            f"{plan.node} follows {plan.follows}, though the sentinels name it as the master. REPLICAOF NO ONE will be run "
            "on it; then a write shows whether it takes any."
        )
        if not yes:
            click.confirm("Shall it be the master again?", abort=True)
        result = repair(access)
    except NothingToRepair as nothing:
        console.print(str(nothing))
        return
    except RepairError as error:
        raise click.ClickException(str(error)) from None
    why = "given its role back with `flask sentinel repair`"
    repaired = HistoryEvent(EventKind.REPAIR, plan.follows, result.node, why=why, by=who())
    unwritten = write_down(redis, repaired, age_s=result.took_s)
    for note in [*result.notes, unwritten] if unwritten else result.notes:
        console.print(Text(f"NOTE: {note}", style="yellow"))
    if not result.proved:
        raise click.ClickException(
            f"{result.node} is a master again, but has taken no write within {result.took_s:.0f} s: look at "
            "`flask sentinel status`."
        )
    console.print(
        f"{result.node} is the master again, and took a write {result.took_s:.2f} s after the order."
    )


def _preview(topology: Topology, console: Console) -> None:
    """Show what would be moved. Raises ClickException where it must not be."""
    console.print(as_tables(topology))
    if refusals := refusals_of(topology):
        console.print(as_sentences(refusals))
        raise click.ClickException("No switchover was begun: see above.")
    candidates = " or ".join(str(node.endpoint) for node in topology.candidates)
    console.print(
        f"\n{topology.named_master} will be a replica; Sentinel will choose {candidates} as the new master."
    )


def _print_step(progress: Progress, console: Console) -> None:
    console.print(f"{progress.elapsed_s:6.2f} s  {progress.step:<9} {progress.message}")
