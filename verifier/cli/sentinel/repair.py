"""`flask sentinel repair`: giving a master its role back that somebody took from it with REPLICAOF."""

from __future__ import annotations

import click
from rich.text import Text

from sentinel import NothingToRepair, RepairError, plan_repair, repair, survey
from verifier.cli.sentinel.operators import ask, settings_of_redis, who, write_down
from verifier.cli.sentinel.topology_tables import as_tables
from verifier.cli.sheets import console_for_operators
from verifier.store.history import EventKind, HistoryEvent
from verifier.wiring import access_of_operators


@click.command("repair")
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
        ask("Shall it be the master again?", yes=yes)
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
