"""`flask deliveries list` and `show`."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from verifier.cli.arguments import Name, NameType
from verifier.cli.deliveries.context import command_context, console_for_deliveries
from verifier.cli.deliveries.filters import filter_of, filter_options
from verifier.cli.deliveries.tables import (
    details_as_json,
    details_as_text,
    listing_as_json,
    listing_for_people,
)
from verifier.store.delivery_search import find_details, find_listing


@click.command("list")
@filter_options
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many of each kind."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def list_command(*, limit: int, wants_json: bool, **filters: Any) -> None:
    """List what is owed, by when it is looked after next, and dead letters, the newest first.

    Mails that were sent are not listed: `show` has them as long as their verification is kept.
    """
    wanted = filter_of(**filters)
    now = time.time()
    with command_context() as context:
        listing = context.link.run(lambda client: find_listing(client, wanted, limit, now))
    if wants_json:
        click.echo(json.dumps(listing_as_json(listing), indent=2))
    else:
        console = console_for_deliveries()
        console.print(listing_for_people(listing, now, console.width))
    if listing.more:
        click.echo(f"There are more than {limit} of a kind: filter them, or pass a higher --limit.", err=True)


@click.command("show")
@click.argument("name", metavar="ID", type=NameType())
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def show_command(*, name: Name, wants_json: bool) -> None:
    """Show all that is known of a verification's newest delivery and of its dead letters, but the code."""
    with command_context() as context:
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
        console_for_deliveries().print(details_as_text(details, now, rules))
