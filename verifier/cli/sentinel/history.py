"""`flask sentinel history`: what happened to the master, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click
from redis import RedisError
from rich.text import Text

from verifier.cli.sentinel.operators import settings_of_redis
from verifier.cli.sheets import Sheet, console_for_operators
from verifier.domain.times import iso_time
from verifier.store.history import MOST_EVENTS, EventKind, HistoryEvent, read_history
from verifier.wiring import ask_as_app

_LOOK_FOR_S = 10.0
_STYLES = {
    EventKind.FAILOVER: "yellow",
    EventKind.FAILOVER_ABORTED: "red",
    EventKind.SWITCHOVER_FAILED: "red",
    EventKind.ROGUE: "bold red",
    EventKind.REPAIR: "green",
}


@click.command("history")
@click.option(
    "-n", "--limit", type=click.IntRange(1, MOST_EVENTS), default=20, show_default=True, help="How many."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def history_command(*, limit: int, wants_json: bool) -> None:
    """Show where the master was, when it moved, why, and who did it; the newest first.

    The workers write down what the sentinels announce, and `flask sentinel switchover` and `repair` what they did.
    Times are Redis's.
    """
    redis = settings_of_redis()
    try:
        events = ask_as_app(redis, lambda client: read_history(client, limit), within_s=_LOOK_FOR_S)
    except RedisError as error:
        raise click.ClickException(f"The history can't be read, since it is in Redis: {error}") from None
    if wants_json:
        click.echo(json.dumps({"events": [event_as_json(event) for event in events]}, indent=2))
        return
    console = console_for_operators()
    if not events:
        console.print("Nothing has happened to the master, as far as anybody wrote down.")
        return
    console.print(history_for_people(events))


def history_for_people(events: Iterable[HistoryEvent]) -> Sheet:
    """Return events as a table."""
    table = Sheet(("When (UTC)", "What", "From", "To", "By", "Why"))
    for event in events:
        table.add(
            f"{moment(event):%Y-%m-%d %H:%M:%S}",
            Text(event.kind.value, style=_STYLES.get(event.kind, "")),
            str(event.old or "?"),
            str(event.new or ""),
            event.by or "?",
            event.why or "?",
        )
    return table


def event_as_json(event: HistoryEvent) -> dict[str, Any]:
    """Return an event for programs; what is not known is null."""
    return {
        "at": iso_time(event.at),
        "kind": event.kind.value,
        "from": str(event.old) if event.old else None,
        "to": str(event.new) if event.new else None,
        "why": event.why or None,
        "by": event.by or None,
        "epoch": event.epoch,
    }


def moment(event: HistoryEvent) -> datetime:
    """Return when it happened."""
    return datetime.fromtimestamp(event.at, UTC)
