"""`flask deliveries`: what is owed, what was given up, and what an operator can do about it.

Exact where the public pages are coarse: addresses and the relay's own words are shown, the code never is.
Exits with 0 when all was done, with 1 when something could not be done, with 2 when it was asked wrongly.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.cli.arguments import DurationType, Name, NameType
from verifier.cli.delivery_tables import (
    details_as_json,
    details_as_text,
    listing_as_json,
    listing_for_people,
)
from verifier.cli.second_terminal import find_running
from verifier.domain.revivals import ON_ITS_WAY, why_not_revived
from verifier.domain.verifications import DeliveryStatus
from verifier.settings import Settings, SettingsError, load_settings
from verifier.store.dead_letters import dead_letters_of, discard_dead_letters
from verifier.store.deliveries import Deliveries
from verifier.store.delivery_reports import Filter
from verifier.store.delivery_search import find_dead_letters, find_details, find_listing
from verifier.wiring import deliveries_of, link_of

_WIDTH_OF_FILES = 220


@dataclass(frozen=True)
class CommandContext:
    """What a command works with."""

    settings: Settings
    link: MasterLink
    deliveries: Deliveries


@click.group("deliveries")
def deliveries_group() -> None:
    """Look after mails that are owed, and after dead letters."""
    find_running()


@deliveries_group.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in DeliveryStatus]),
    help="Only these; repeat it for several. Sent ones are in no index.",
)
@click.option("--address", default="", help="Only addresses that have this in them.")
@click.option(
    "--older-than", type=DurationType(), default=0.0, help="Only what has been owed, or dead, for longer."
)
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many of each kind."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def list_command(
    *, statuses: tuple[str, ...], address: str, older_than: float, limit: int, wants_json: bool
) -> None:
    """List what is owed, by when it is looked after next, and dead letters, the newest first.

    Mails that were sent are not listed: `show` has them as long as their verification is kept.
    """
    if DeliveryStatus.SENT in statuses:
        raise click.BadParameter(
            "sent deliveries are in no index; `flask deliveries show ID` shows one", param_hint="--status"
        )
    wanted = Filter(frozenset(map(DeliveryStatus, statuses)), address, older_than)
    now = time.time()
    with _command_context() as context:
        listing = context.link.run(lambda client: find_listing(client, wanted, limit, now))
    if wants_json:
        click.echo(json.dumps(listing_as_json(listing), indent=2))
    else:
        console = _console()
        console.print(listing_for_people(listing, now, console.width))
    if listing.more:
        click.echo(f"There are more than {limit} of a kind: filter them, or pass a higher --limit.", err=True)


@deliveries_group.command("show")
@click.argument("name", metavar="ID", type=NameType())
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def show_command(*, name: Name, wants_json: bool) -> None:
    """Show all that is known of a verification's newest delivery and of its dead letters, but the code."""
    with _command_context() as context:
        rules = context.settings.rules
        details = context.link.run(
            lambda client: find_details(client, name.verification_id, name.number, rules)
        )
    if details.newest is None and not details.dead_letters:
        raise click.ClickException(f"Nothing is known of {name}, or it was forgotten some time ago.")
    now = time.time()
    if wants_json:
        click.echo(json.dumps(details_as_json(details, now, rules), indent=2))
    else:
        _console().print(details_as_text(details, now, rules))


@deliveries_group.command("requeue")
@click.argument("names", metavar="ID...", nargs=-1, required=True, type=NameType())
def requeue_command(*, names: tuple[Name, ...]) -> None:
    """Have deferred mails and dead letters tried now, as long as their codes live.

    A dead code is never mailed, whoever asks for it.
    """
    refused = 0
    with _command_context() as context:
        for name in names:
            refused += not _requeue(context, name)
    if refused:
        sys.exit(1)


@deliveries_group.command("discard")
@click.argument("names", metavar="[ID...]", nargs=-1, type=NameType())
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--older-than", type=DurationType(), help="With --all: only what has been dead for longer.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard_command(
    *, names: tuple[Name, ...], everything: bool, older_than: float | None, yes: bool
) -> None:
    """Forget dead letters for good. What is still owed can't be discarded: it was promised."""
    if bool(names) == everything or (older_than is not None and not everything):
        raise click.UsageError("Pass either ids, or --all, which --older-than narrows down.")
    with _command_context() as context:
        found, unknown = _to_discard(context, names, older_than or 0.0)
        if found and not yes:
            click.confirm(f"Discard {_counted(found)} for good?", abort=True)
        context.link.run(lambda client: discard_dead_letters(client, found))
    if found or not unknown:
        click.echo(f"Discarded {_counted(found)}.")
    for name in unknown:
        click.echo(f"There is no dead letter of {name}.", err=True)
    if unknown:
        sys.exit(1)


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


def _to_discard(
    context: CommandContext, names: Sequence[Name], older_than_s: float
) -> tuple[list[str], list[Name]]:
    """Return the dead letters that are meant, and which names mean none."""
    if not names:
        wanted, now = Filter(older_than_s=older_than_s), time.time()
        return context.link.run(
            lambda client: [letter.name for letter in find_dead_letters(client, wanted, now)]
        ), []
    found = {name: _letters_of(context, name) for name in names}
    letters = [letter for some in found.values() for letter in some]
    return list(dict.fromkeys(letters)), [name for name, some in found.items() if not some]


def _letters_of(context: CommandContext, name: Name) -> list[str]:
    letters = context.link.run(
        lambda client: dead_letters_of(
            client, name.verification_id, context.settings.rules.max_sends, name.number
        )
    )
    return [letter.name for letter in letters]


@contextmanager
def _command_context() -> Iterator[CommandContext]:
    """Make a context from the environment, and close its link in the end. Raises ClickException."""
    try:
        settings = load_settings()
        link = link_of(settings, watch=False)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield CommandContext(settings, link, deliveries_of(settings))
    except Backpressure as error:
        raise click.ClickException(f"Redis has no memory left for it: {error}") from None
    except PermanentError as error:
        raise click.ClickException(f"Redis can't be used: {error}") from None
    except TRANSIENT as error:
        raise click.ClickException(f"Redis can't be reached at the moment, try again: {error}") from None
    finally:
        link.close()


def _console() -> Console:
    """Return where to print: as wide as the terminal is, wide enough for all where there is none."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    return console


def _counted(names: Sequence[str]) -> str:
    return "1 dead letter" if len(names) == 1 else f"{len(names)} dead letters"
