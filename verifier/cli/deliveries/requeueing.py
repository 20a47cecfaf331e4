"""`flask deliveries requeue`: some by their ids, or all that match, spread over time.

A dead code is never mailed, whoever asks for it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from verifier.cli.arguments import DurationType, Name, NameType
from verifier.cli.deliveries.context import CommandContext, command_context
from verifier.cli.deliveries.filters import filter_of, filter_options
from verifier.cli.deliveries.tables import span
from verifier.domain.verifications import DeliveryStatus
from verifier.store.dead_letters import ON_ITS_WAY, why_not_revived
from verifier.store.delivery_reports import DeliveryReport, Filter
from verifier.store.delivery_search import find_all

# How many mails a second a relay gets that has just come back, beside its usual ones, unless it is asked otherwise.
USUAL_RATE = 10
BATCH = 100
MOST_REPLIES = 5
_SUPERSEDED = "the person asked for the mail again, and a later delivery took its place"


@click.command("requeue")
@click.argument("names", metavar="[ID...]", nargs=-1, type=NameType())
@click.option(
    "--all", "everything", is_flag=True, help="All deferred mails and dead letters that the filters match."
)
@filter_options
@click.option(
    "--over",
    type=DurationType(),
    help=f"With --all: spread them over this time, such as 10m; by default {USUAL_RATE} are tried a second.",
)
@click.option("--dry-run", is_flag=True, help="With --all: say what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
def requeue_command(
    *, names: tuple[Name, ...], everything: bool, over: float | None, dry_run: bool, yes: bool, **filters: Any
) -> None:
    """Have deferred mails and dead letters tried again, as long as their codes live: ids now, --all one by one.

    A dead code is never mailed, whoever asks for it.
    """
    wanted = filter_of(**filters)
    if bool(names) == everything:
        raise click.UsageError("Pass either ids, or --all, which the filters narrow down.")
    if not everything and (wanted != Filter() or over is not None or dry_run):
        raise click.UsageError("The filters, --over and --dry-run go with --all.")
    with command_context() as context:
        if everything:
            _requeue_all(context, wanted, over, dry_run=dry_run, yes=yes)
        elif sum(not _requeue(context, name) for name in names):
            sys.exit(1)


def _requeue_all(
    context: CommandContext, wanted: Filter, over_s: float | None, *, dry_run: bool, yes: bool
) -> None:
    now = time.time()
    found = context.link.run(lambda client: list(find_all(client, wanted, now)))
    tried_again = [
        report for report in found if report.is_dead_letter or report.status is DeliveryStatus.DEFERRED
    ]
    living = sorted(
        (each for each in tried_again if _life_s(each, now) >= context.deliveries.least_life_s),
        key=lambda each: each.expires_at or 0.0,
    )
    over_s = len(living) / USUAL_RATE if over_s is None else over_s
    _preview(context, living, len(tried_again) - len(living), over_s)
    if not living or dry_run:
        return
    if not yes:
        click.confirm("Have them tried again?", abort=True)
    came_of = Counter(_revive(context, living, over_s))
    done = sum(came_of.pop(what, 0) for what in ON_ITS_WAY)
    click.echo(f"{done} of {len(living)} are on their way, the last within {span(over_s)}.")
    for what, count in came_of.most_common():
        why = (
            _SUPERSEDED if what == "superseded" else why_not_revived(what, 0, context.deliveries.least_life_s)
        )
        click.echo(f"{count} were not requeued: {why}.", err=True)
    click.echo("Watch them with: flask deliveries queue")


def _preview(context: CommandContext, living: Sequence[DeliveryReport], too_late: int, over_s: float) -> None:
    """Say what would be tried again, by what the relays said last, and what can't be."""
    dead = sum(report.is_dead_letter for report in living)
    click.echo(
        f"{dead} dead letters and {len(living) - dead} deferred mails would be tried again, over {span(over_s)}."
    )
    replies = Counter(context.discreet(report.relay_reply) or "(no reply)" for report in living)
    for reply, count in replies.most_common(MOST_REPLIES):
        click.echo(f"  {count:6}  {reply}")
    if len(replies) > MOST_REPLIES:
        click.echo(f"          and {len(replies) - MOST_REPLIES} other replies")
    if too_late:
        click.echo(
            f"{too_late} more match, and their codes are dead or nearly: those people have to start again."
        )


def _revive(context: CommandContext, living: Sequence[DeliveryReport], over_s: float) -> list[str]:
    """Make each due at its turn, the codes that die first at first; return what came of each."""
    turns = [
        (report.verification_id, report.number, over_s * place / len(living))
        for place, report in enumerate(living)
    ]
    came_of: list[str] = []
    for start in range(0, len(turns), BATCH):
        batch = turns[start : start + BATCH]
        came_of += context.link.run(lambda client, batch=batch: context.deliveries.revive_all(client, batch))  # type: ignore[misc] # mypy has no types for lambdas' defaults
    return came_of


def _life_s(report: DeliveryReport, now: float) -> float:
    # What is owed has no time of its end in its listing; the script judges it.
    return (report.expires_at - now) if report.expires_at is not None else float("inf")


def _requeue(context: CommandContext, name: Name) -> bool:
    """Requeue one and say what came of it; return whether its mail is on its way."""
    what, number = context.link.run(
        lambda client: context.deliveries.revive(client, name.verification_id, name.number)
    )
    if what in ON_ITS_WAY:
        click.echo(f"Delivery {name.verification_id}-{number} {ON_ITS_WAY[what]}")
        return True
    why = why_not_revived(what, number, context.deliveries.least_life_s)
    click.echo(f"{name} was not requeued: {why}.", err=True)
    return False
