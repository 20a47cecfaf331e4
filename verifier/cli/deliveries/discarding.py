"""`flask deliveries discard`: dead letters, and with --owed what is still owed, each named beforehand."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from verifier.cli.arguments import DurationType, Name, NameType
from verifier.cli.deliveries.context import CommandContext, command_context
from verifier.cli.deliveries.tables import moment
from verifier.domain.verifications import OWED
from verifier.store.dead_letters import dead_letters_of, discard_dead_letters
from verifier.store.delivery_reports import DeliveryReport, Filter
from verifier.store.delivery_search import find_dead_letters, find_details

MOST_DESCRIBED = 20
_WHAT_PEOPLE_SEE = (
    "The person's page will say that the email could not be sent in time, and offer a new code. "
    "It was promised to them: discard only what must not go out."
)


@click.command("discard")
@click.argument("names", metavar="[ID...]", nargs=-1, type=NameType())
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--older-than", type=DurationType(), help="With --all: only what has been dead for longer.")
@click.option("--owed", "also_owed", is_flag=True, help="With ids: also mails that are still owed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard_command(
    *, names: tuple[Name, ...], everything: bool, older_than: float | None, also_owed: bool, yes: bool
) -> None:
    """Forget dead letters for good. What is still owed was promised, and is discarded only with --owed."""
    if bool(names) == everything or (older_than is not None and not everything):
        raise click.UsageError("Pass either ids, or --all, which --older-than narrows down.")
    if also_owed and everything:
        raise click.UsageError("--owed goes with ids: nobody discards all that is owed at once.")
    with command_context() as context:
        letters, owed, unknown = _to_discard(context, names, older_than or 0.0)
        kept = [] if also_owed else owed
        owed = owed if also_owed else []
        _describe(context, letters, owed)
        if (letters or owed) and not yes:
            click.confirm(f"Discard {_counted(letters, owed)} for good?", abort=True)
        context.link.run(lambda client: discard_dead_letters(client, [each.name for each in letters]))
        failed = [each for each in owed if not _abandon(context, each)]
    if letters or not (unknown or kept or owed):
        click.echo(f"Discarded {_counted(letters, [])}.")
    for name in unknown:
        click.echo(f"There is no dead letter of {name}.", err=True)
    for each in kept:
        click.echo(
            f"There is no dead letter of {each.verification_id}; its delivery {each.number} is still owed, and is "
            "discarded only with --owed.",
            err=True,
        )
    if unknown or kept or failed:
        sys.exit(1)


def _to_discard(
    context: CommandContext, names: Sequence[Name], older_than_s: float
) -> tuple[list[DeliveryReport], list[DeliveryReport], list[Name]]:
    """Return the dead letters that are meant, what is owed of the others, and which names mean neither."""
    if not names:
        wanted, now = Filter(older_than_s=older_than_s), time.time()
        return context.link.run(lambda client: list(find_dead_letters(client, wanted, now))), [], []
    letters: dict[str, DeliveryReport] = {}
    owed: dict[str, DeliveryReport] = {}
    unknown: list[Name] = []
    for name in dict.fromkeys(names):
        found = _letters_of(context, name)
        letters |= {letter.name: letter for letter in found}
        newest = None if found else _owed_of(context, name)
        if newest is not None:
            owed[newest.name] = newest
        elif not found:
            unknown.append(name)
    return list(letters.values()), list(owed.values()), unknown


def _letters_of(context: CommandContext, name: Name) -> list[DeliveryReport]:
    most = context.settings.rules.max_sends
    return context.link.run(lambda client: dead_letters_of(client, name.verification_id, most, name.number))


def _owed_of(context: CommandContext, name: Name) -> DeliveryReport | None:
    rules = context.settings.rules
    details = context.link.run(lambda client: find_details(client, name.verification_id, name.number, rules))
    return details.newest if details.newest is not None and details.newest.status in OWED else None


def _abandon(context: CommandContext, report: DeliveryReport) -> bool:
    """Discard what is owed, and say what came of it; return whether it will not go out."""
    what = context.link.run(
        lambda client: context.deliveries.abandon(client, report.verification_id, report.number)
    )
    if what == "discarded":
        click.echo(f"Delivery {report.name} is discarded, and will not go out.")
        return True
    why = {
        "sending": "it is being handed to a relay at this moment, so try again in some seconds",
        "changed": "it is not owed any more, or the person asked for another mail",
    }[what]
    click.echo(f"Delivery {report.name} was not discarded: {why}.", err=True)
    return False


def _describe(
    context: CommandContext, letters: Sequence[DeliveryReport], owed: Sequence[DeliveryReport]
) -> None:
    now = time.time()
    for report in (*letters, *owed)[:MOST_DESCRIBED]:
        since = (
            f"given up {moment(report.given_up_at, now)}"
            if report.is_dead_letter
            else f"still owed, accepted {moment(report.queued_at, now)}"
        )
        reply = f"; the relay's last reply: {report.relay_reply}" if report.relay_reply else ""
        tries = "1 try" if report.tries == 1 else f"{report.tries} tries"
        address = report.address or "(forgotten)"
        click.echo(
            context.discreet(
                f"{report.name} to {address}: {report.status.value} after {tries}, {since}{reply}"
            ),
            err=True,
        )
    if (more := len(letters) + len(owed) - MOST_DESCRIBED) > 0:
        click.echo(f"... and {more} more", err=True)
    if owed:
        click.echo(_WHAT_PEOPLE_SEE, err=True)


def _counted(letters: Sequence[DeliveryReport], owed: Sequence[DeliveryReport]) -> str:
    dead = "1 dead letter" if len(letters) == 1 else f"{len(letters)} dead letters"
    mails = "1 mail that is owed" if len(owed) == 1 else f"{len(owed)} mails that are owed"
    return " and ".join([*([dead] if letters or not owed else []), *([mails] if owed else [])])
