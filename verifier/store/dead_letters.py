"""Dead letters: deliveries that were given up, kept for operators for a week and only the newest of them.

They are written by the very step that gives a delivery up (lua/prelude/dead_letters.lua), so none is lost and none is
written twice. A letter outlives the record of its verification; it holds the address, but no code.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from verifier.domain.verifications import DeliveryStatus
from verifier.store import keyspace
from verifier.store.delivery_reports import DeliveryReport, report_of_texts
from verifier.store.scripts import Argument

BATCH = 500

# What the store says of a delivery that an operator wants to have tried again (lua/revive.lua), in words.
_REFUSALS = {
    "gone": "its verification is unknown, or ended so long ago that nothing could be sent for it",
    "superseded": "the person asked for the mail again, and delivery {number} took its place",
    "approved": "the address is verified already",
    "canceled": "the verification was canceled",
    "max_attempts_reached": "its code was typed wrong too often and is not valid any more",
    "expired": "its code has expired",
    "too late": "its code lives for less than {least_life_s:g} seconds more, too little to be mailed",
    "malformed": "its record in Redis lacks a field or has a wrong value in one",
    "sent": "it was sent: the relay has accepted it",
}
ON_ITS_WAY = {
    "requeued": "is due now.",
    "queued": "is in the queue already.",
    "sending": "is being sent at the moment.",
}


@dataclass(frozen=True)
class Retention:
    """For how long dead letters are kept, in seconds, and how many of them."""

    life_s: float = 7 * 86400
    at_most: int = 10_000

    def arguments(self) -> list[Argument]:
        """Return both as arguments of the scripts."""
        return [self.life_s, self.at_most]


def names_of_dead_letters(client: Redis) -> list[tuple[str, float]]:
    """Return the name of each dead letter and when it was given up, the newest first."""
    flat: Any = client.zrange(keyspace.DEAD, 0, -1, withscores=True)
    return [(name.decode(), float(at)) for name, at in reversed(flat)]


def newest_dead_letters(client: Redis, at_most: int) -> tuple[int, list[DeliveryReport]]:
    """Return how many letters there are, and the newest of them, the newest first."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zcard(keyspace.DEAD)
        pipeline.zrange(keyspace.DEAD, -at_most, -1, withscores=True)
        total, found = pipeline.execute()
    names = [(name.decode(), float(at)) for name, at in reversed(found)]
    return int(total), list(read_dead_letters(client, names))


def read_dead_letters(client: Redis, names: Iterable[tuple[str, float]]) -> Iterator[DeliveryReport]:
    """Read letters as they are asked for; those that are gone by now are left out."""
    remaining = iter(names)
    while batch := list(itertools.islice(remaining, BATCH)):
        with client.pipeline(transaction=False) as pipeline:
            for name, _ in batch:
                pipeline.get(keyspace.dead_letter_key(name))
            letters = pipeline.execute()
        for (name, at), letter in zip(batch, letters, strict=True):
            if letter is not None:
                yield _read_letter(name, at, letter)


def dead_letters_of(
    client: Redis, verification_id: str, most_deliveries: int, number: int | None = None
) -> list[DeliveryReport]:
    """Read the letters of one verification, the newest delivery first, or the one with this number."""
    # Number 0 has what was forgotten before anybody came to send it.
    numbers = range(most_deliveries, -1, -1) if number is None else [number]
    return dead_letters_named(client, [keyspace.job_id(verification_id, number) for number in numbers])


def dead_letters_named(client: Redis, names: Sequence[str]) -> list[DeliveryReport]:
    """Read the letters with these names, as far as there are any."""
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.zscore(keyspace.DEAD, name)
        scores = pipeline.execute()
    found = [(name, float(at)) for name, at in zip(names, scores, strict=True) if at is not None]
    return list(read_dead_letters(client, found))


def discard_dead_letters(client: Redis, names: Sequence[str]) -> None:
    """Forget letters for good."""
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        with client.pipeline() as pipeline:
            pipeline.zrem(keyspace.DEAD, *batch)
            pipeline.unlink(*(keyspace.dead_letter_key(name) for name in batch))
            pipeline.execute()


def why_not_revived(what: str, number: int, least_life_s: float) -> str:
    """Return why a delivery is not tried again, to stand in a sentence; `what` is what the store said."""
    return _REFUSALS[what].format(number=number, least_life_s=least_life_s)


def _read_letter(name: str, given_up_at: float, letter: bytes) -> DeliveryReport:
    text = json.loads(letter)
    verification_id, _, number = name.partition("-")
    return report_of_texts(
        verification_id, int(number), DeliveryStatus(text["outcome"]), text, given_up_at=given_up_at
    )
