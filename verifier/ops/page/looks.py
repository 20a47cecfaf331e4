"""What the page looks at, each for itself: nodes and sentinels, how the service fares; whether the master takes a write the readiness's lookout tries (verifier/readiness).

The web app holds no operators' login at Redis by design, so it looks with its own rights; where operators gave it theirs
(VERIFIER_REDIS_OPS_USERNAME), with those. What it may not ask is a finding of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from redis import Redis

from sentinel import MasterLink, Topology, findings_of, survey
from verifier.ops.page.watch import Blind
from verifier.settings import Settings
from verifier.store.dead_letters import newest_dead_letters
from verifier.store.delivery_reports import DeliveryReport
from verifier.store.facts import Facts, read_facts
from verifier.store.history import HistoryEvent, read_history
from verifier.store.keyspace import Queue
from verifier.store.ops.logins import ended_sessions
from verifier.store.ops.series import Series, SeriesReader, note_minute
from verifier.wiring import access_of_operators, deadline_of

# Sentinels and nodes answer from memory. A silent one must not keep the others from being seen within two seconds of a
# failover.
_SILENT_AFTER_S = 0.5
# For how long the service is asked through a link that waits for a master.
_ASK_FOR_S = 1.5
LETTERS_SHOWN = 12
MOVES_SHOWN = 6


@dataclass(frozen=True)
class Service:
    """How the service fares, as Redis has it."""

    facts: Facts
    series: Series
    dead_letters: tuple[DeliveryReport, ...]
    dead_letters_in_all: int
    moves: tuple[HistoryEvent, ...]
    ended_sessions: frozenset[str]


def look_at_nodes(settings: Settings) -> Callable[[], Topology]:
    """Return what asks everybody; it raises Blind where no sentinel answers."""
    access = replace(
        access_of_operators(settings.redis),
        probe=None,
        sentinel_timeout_s=_SILENT_AFTER_S,
        node_connect_timeout_s=_SILENT_AFTER_S,
        node_timeout_s=_SILENT_AFTER_S,
    )

    def look() -> Topology:
        topology = survey(access)
        if not topology.answering:
            raise Blind(
                str(next(iter(findings_of(topology, deadline_of(settings.redis))), "No sentinel answers."))
            )
        return topology

    return look


def look_at_service(settings: Settings, link: Callable[[], MasterLink]) -> Callable[[], Service]:
    """Return what asks the master."""
    queue, reader = Queue(settings.queue), SeriesReader()

    def read(client: Redis) -> Service:
        facts = read_facts(client, queue)
        if not facts.workers:
            note_minute(client, queue)
        total, letters = newest_dead_letters(client, LETTERS_SHOWN)
        moves = tuple(read_history(client, MOVES_SHOWN))
        return Service(facts, reader.read(client), tuple(letters), total, moves, ended_sessions(client))

    return lambda: link().run(read, deadline_s=_ASK_FOR_S)
