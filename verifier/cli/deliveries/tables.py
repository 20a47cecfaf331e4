"""Deliveries for operators' eyes and programs: tables, details, JSON, and times as spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from verifier.domain.rules import Rules
from verifier.domain.times import iso_time
from verifier.domain.verifications import DeliveryStatus
from verifier.store.delivery_reports import TIMES, DeliveryReport
from verifier.store.delivery_search import Details, Listing

_COLOURS = {
    DeliveryStatus.DEFERRED: "yellow",
    DeliveryStatus.REJECTED: "red",
    DeliveryStatus.ABANDONED: "red",
    DeliveryStatus.SENT: "green",
}
_LEAST_WIDTH = 110
_NOTHING = Text("Nothing that matches is owed, and no dead letter matches.")
_FOUND = {
    "queued": "found in the queue when too little of its code's life was left",
    "deferred": "found waiting for its next try when too little of its code's life was left",
    "sending": "its worker never reported the result, and then too little of its code's life was left; "
    "the mail may have gone out",
    "gone": "its record had ended before anybody could send it or report the result",
}


def listing_as_json(listing: Listing) -> dict[str, Any]:
    """Return a listing for programs."""
    return {
        "owed": [report_as_json(report) for report in listing.owed],
        "dead_letters": [report_as_json(report) for report in listing.dead_letters],
        "more": listing.more,
    }


def details_as_json(details: Details, now: float, rules: Rules) -> dict[str, Any]:
    """Return everything on one verification for programs; never its code."""
    verification = details.verification
    return {
        "verification": None
        if verification is None
        else {
            "id": verification.id,
            "address": verification.address,
            "status": verification.status(now, rules).value,
            "created_at": iso_time(verification.created_at),
            "expires_at": iso_time(verification.expires_at),
            "check_attempts": verification.check_attempts,
            "sends": verification.sends,
            "last_sent_at": iso_time(verification.last_sent_at),
            "key_id": verification.key_id,
        },
        "delivery": None if details.newest is None else report_as_json(details.newest),
        "dead_letters": [report_as_json(report) for report in details.dead_letters],
    }


def report_as_json(report: DeliveryReport) -> dict[str, Any]:
    """Return one delivery for programs; what is not known is null."""
    members = {"id": report.name, **asdict(report)}
    members |= {name: iso_time(at) for name, at in _times(report)}
    return {name: None if value == "" else value for name, value in members.items()}


def listing_for_people(listing: Listing, now: float, width: int) -> RenderableType:
    """Return a listing as tables, or where they do not fit, delivery by delivery."""
    blocks: list[RenderableType] = []
    if width < _LEAST_WIDTH:
        blocks = [_lines(report, now) for report in (*listing.owed, *listing.dead_letters)]
        return Group(*blocks) if blocks else _NOTHING
    if listing.owed:
        blocks.append(_owed_table(listing.owed, now))
    if listing.dead_letters:
        blocks.append(_dead_table(listing.dead_letters, now))
    return Group(*blocks) if blocks else _NOTHING


def details_as_text(details: Details, now: float, rules: Rules) -> RenderableType:
    """Return everything on one verification for people."""
    blocks: list[RenderableType] = []
    if (verification := details.verification) is not None:
        blocks += [
            Text(f"Verification {verification.id}", style="bold"),
            _pairs(
                ("address", verification.address),
                ("status", verification.status(now, rules).value),
                ("created", moment(verification.created_at, now)),
                ("code expires", moment(verification.expires_at, now)),
                ("attempts", f"{verification.check_attempts} of {rules.max_check_attempts}"),
                ("sends", f"{verification.sends} of {rules.max_sends}"),
                ("key", verification.key_id),
            ),
        ]
    for title, report in [
        *([("Delivery", details.newest)] if details.newest else []),
        *(("Dead letter", letter) for letter in details.dead_letters),
    ]:
        blocks += [Text(f"\n{title} {report.name}", style="bold"), _report_pairs(report, now)]
    return Group(*blocks)


def moment(at: float | None, now: float) -> str:
    """Return a time exactly, and how far away it is."""
    if at is None:
        return ""
    return f"{iso_time(at)} ({f'in {span(at - now)}' if at > now else f'{span(now - at)} ago'})"


def span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = max(0, int(seconds))
    for unit, size, part, part_size in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part_size}{part}"
    return f"{whole}s"


def _owed_table(reports: Sequence[DeliveryReport], now: float) -> Table:
    table = _table("Owed", "state", "tries", "next try", "owed for")
    for report in reports:
        next_try = "" if report.next_try_at is None else f"in {span(report.next_try_at - now)}"
        table.add_row(*_who(report), str(report.tries), next_try, span(report.age_s(now)), _reply(report))
    return table


def _dead_table(reports: Sequence[DeliveryReport], now: float) -> Table:
    table = _table("Dead letters", "outcome", "tries", "given up", "code")
    for report in reports:
        lives_s = (report.expires_at or 0.0) - now
        code = f"lives {span(lives_s)}" if lives_s > 0 else "expired"
        given_up = f"{span(report.age_s(now))} ago"
        table.add_row(*_who(report), str(report.tries), given_up, code, _reply(report))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("delivery", no_wrap=True)
    table.add_column("address", overflow="fold", min_width=16)
    for column in columns:
        table.add_column(column, no_wrap=True)
    table.add_column("the relay's last reply", overflow="fold", min_width=20)
    return table


def _lines(report: DeliveryReport, now: float) -> RenderableType:
    """Return one delivery in a few lines."""
    who, address, state = _who(report)
    dead = report.is_dead_letter
    age = f"dead for {span(report.age_s(now))}" if dead else f"owed for {span(report.age_s(now))}"
    first = Text("  ").join([who, state, Text(f"tries {report.tries}, {age}")])
    return Group(first, *(Padding(each, (0, 0, 0, 4)) for each in (address, _reply(report)) if each.plain))


def _who(report: DeliveryReport) -> tuple[Text, Text, Text]:
    """Return the first cells; as Text, since nothing in them is markup."""
    state = Text(report.status.value, style=_COLOURS.get(report.status, ""))
    return Text(report.name), Text(report.address or "(forgotten)"), state


def _reply(report: DeliveryReport) -> Text:
    return Text(report.relay_reply or _FOUND.get(report.found_as, ""))


def _report_pairs(report: DeliveryReport, now: float) -> Table:
    return _pairs(
        ("address", report.address or "(forgotten)"),
        ("state", report.status.value),
        ("tries", str(report.tries)),
        *((name.removesuffix("_at").replace("_", " "), moment(at, now)) for name, at in _times(report)),
        ("relay's last reply", report.relay_reply),
        ("why", _FOUND.get(report.found_as, "")),
    )


def _times(report: DeliveryReport) -> Iterable[tuple[str, float | None]]:
    return [(name, getattr(report, name)) for name in TIMES]


def _pairs(*pairs: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            table.add_row(f"  {name}", Text(value))
    return table
