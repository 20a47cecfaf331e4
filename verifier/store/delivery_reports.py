"""What operators are shown of a delivery: everything but the code.

One shape for what is still owed and for dead letters, so that both are filtered and shown in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from verifier.domain.verifications import DeliveryStatus
from verifier.store.keyspace import job_id


@dataclass(frozen=True)
class DeliveryReport:
    """One delivery; times are Unix times in seconds, None where they are not known.

    Where everything was forgotten before anybody came to send the mail, address and times are empty.
    """

    verification_id: str
    number: int
    status: DeliveryStatus
    address: str = ""
    tries: int = 0
    queued_at: float | None = None
    first_failed_at: float | None = None
    last_failed_at: float | None = None
    next_try_at: float | None = None
    due_at: float | None = None
    """When somebody looks after it next; only of what is owed."""
    sent_at: float | None = None
    given_up_at: float | None = None
    """Only of dead letters."""
    expires_at: float | None = None
    relay_reply: str = ""
    found_as: str = ""
    """How the worker found it that gave it up without a try: queued, deferred, sending or gone."""

    @property
    def name(self) -> str:
        """What the commands call it."""
        return job_id(self.verification_id, self.number)

    @property
    def is_dead_letter(self) -> bool:
        """Return whether it was given up."""
        return self.given_up_at is not None

    def age_s(self, now: float) -> float:
        """Return for how long it has been owed, or dead."""
        since = self.given_up_at if self.given_up_at is not None else self.queued_at
        return now - since if since is not None else 0.0


TIMES = tuple(each.name for each in fields(DeliveryReport) if each.name.endswith("_at"))


@dataclass(frozen=True)
class Filter:
    """Which deliveries are wanted; an empty part wants all."""

    statuses: frozenset[DeliveryStatus] = frozenset()
    address_part: str = ""
    older_than_s: float = 0.0
    reply_part: str = ""
    domain: str = ""
    younger_than_s: float | None = None

    def wants(self, report: DeliveryReport, now: float) -> bool:
        """Return whether this one is."""
        return (
            (not self.statuses or report.status in self.statuses)
            and self.address_part.casefold() in report.address.casefold()
            and report.age_s(now) >= self.older_than_s
            and (self.younger_than_s is None or report.age_s(now) <= self.younger_than_s)
            and self.reply_part.casefold() in report.relay_reply.casefold()
            and (not self.domain or report.address.casefold().endswith(f"@{self.domain.casefold()}"))
        )


def report_of_record(
    verification_id: str, fields: Mapping[bytes, bytes], due_at: float | None
) -> DeliveryReport:
    """Read the newest delivery out of a verification's record."""
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return report_of_texts(
        verification_id, int(text["delivery"]), DeliveryStatus(text["delivery_status"]), text, due_at=due_at
    )


def report_of_texts(
    verification_id: str,
    number: int,
    status: DeliveryStatus,
    text: Mapping[str, str],
    *,
    due_at: float | None = None,
    given_up_at: float | None = None,
) -> DeliveryReport:
    """Read what a record and a dead letter have in common."""
    known: dict[str, Any] = {name: float(text[name]) for name in TIMES if name in text}
    known |= {name: text[name] for name in ("address", "relay_reply", "found_as") if name in text}
    known |= {"tries": int(text.get("tries", 0)), "due_at": due_at, "given_up_at": given_up_at}
    return DeliveryReport(verification_id, number, status, **known)
