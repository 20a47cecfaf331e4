"""The options that choose deliveries, the same for `list` and for whatever is done to many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from verifier.cli.arguments import DurationType
from verifier.domain.verifications import DeliveryStatus
from verifier.store.delivery_reports import Filter

_OPTIONS = (
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice([status.value for status in DeliveryStatus]),
        help="Only these; repeat it for several. Sent ones are in no index.",
    ),
    click.option("--address", default="", help="Only addresses that have this in them."),
    click.option("--domain", default="", help="Only addresses of this domain, such as example.org."),
    click.option(
        "--reply", default="", help="Only where the relay's last reply has this in it, such as 451."
    ),
    click.option(
        "--older-than", type=DurationType(), default=0.0, help="Only what has been owed, or dead, for longer."
    ),
    click.option(
        "--since", type=DurationType(), help="Only what was accepted, or given up, no longer ago, such as 2h."
    ),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; `filter_of` reads what comes of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def filter_of(
    *,
    statuses: tuple[str, ...],
    address: str,
    domain: str,
    reply: str,
    older_than: float,
    since: float | None,
) -> Filter:
    """Return what the options say. Raises BadParameter."""
    if DeliveryStatus.SENT in statuses:
        raise click.BadParameter(
            "sent deliveries are in no index; `flask deliveries show ID` shows one", param_hint="--status"
        )
    return Filter(
        frozenset(map(DeliveryStatus, statuses)),
        address,
        older_than,
        reply_part=reply,
        domain=domain.removeprefix("@"),
        younger_than_s=since,
    )
