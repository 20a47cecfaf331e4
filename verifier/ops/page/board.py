"""The parts of the page in one process, and what they saw, rendered once for everybody who looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, current_app, get_template_attribute
from markupsafe import Markup

from sentinel import MasterLink, Topology
from verifier.container import Container, container_of
from verifier.ops.page.charts import charts_of
from verifier.ops.page.drawing import in_words, pictures_of
from verifier.ops.page.looks import look_at_nodes, look_at_service
from verifier.ops.page.passwords import Passwords
from verifier.ops.page.sessions import Session, Sessions
from verifier.ops.page.verdict import MOVING, Sight, Verdict, verdict_of
from verifier.ops.page.watch import Watch
from verifier.readiness import Limits, Look
from verifier.settings import Settings
from verifier.store.facts import RelayReport, WorkerReport
from verifier.wiring import deadline_of, deliveries_of

_EXTENSION = "verifier_ops"
_PARTS = "ops/parts.html"

LOOK_EVERY_S = 1.0
# While the master moves, and for some seconds after it.
LOOK_CLOSELY_EVERY_S = 0.3
_WRITE_EVERY_S = 5.0
# For how long somebody who comes first waits for a first look.
_FIRST_LOOK_S = 2.0


@dataclass(frozen=True)
class State:
    """What everybody is shown: the parts of the page as HTML, by name."""

    sight: Sight
    verdict: Verdict
    parts: dict[str, Markup] = field(repr=False)

    @property
    def ask_again_ms(self) -> int:
        """Return after how many milliseconds a page asks again."""
        topology = self.sight.nodes.value
        unsettled = topology is not None and topology.is_unsettled
        return 500 if unsettled or self.verdict.tone == MOVING else 1000


class Board:
    """Safe for threads."""

    def __init__(self, settings: Settings, container: Callable[[], Container]) -> None:
        """Take how to get at the app's parts; nothing is looked at before somebody comes."""
        self.settings = settings
        self._container = container
        self.sessions = Sessions(settings)
        self.passwords = Passwords(settings, self._link)
        self.deliveries = deliveries_of(settings)
        self._ended: set[str] = set()
        self._nodes = Watch("nodes", look_at_nodes(settings), _pace)
        self._writes = Watch("writes", self._try_write, lambda _: _WRITE_EVERY_S)
        self._service = Watch("service", look_at_service(settings, self._link), lambda _: LOOK_EVERY_S)
        self._watches: tuple[Watch[Any], ...] = (self._nodes, self._writes, self._service)
        self._rendering = threading.Lock()
        self._rendered: tuple[tuple[int, ...], State] | None = None

    def session(self) -> Session | None:
        """Return who asks; None for a stranger, and for one that has logged out, in whichever process."""
        found = self.sessions.of_this_request()
        if found is None:
            return None
        # Looked at from now on: what this process saw long ago, or never, tells nothing of a logout elsewhere.
        self._look_on()
        known = self._service.seen(_FIRST_LOOK_S).value
        ended = self._ended if known is None else self._ended | known.ended_sessions
        return None if found.id in ended else found

    def end(self, session: Session) -> None:
        """Refuse a session from now on, in this process."""
        self._ended.add(session.id)

    def sight(self) -> Sight:
        """Return what was seen last of everything, and have it looked at from now on."""
        self._look_on()
        wait_until = time.monotonic() + _FIRST_LOOK_S
        nodes = self._nodes.seen(_FIRST_LOOK_S)
        service = self._service.seen(max(0.0, wait_until - time.monotonic()))
        return Sight(nodes, self._writes.seen(), service, time.monotonic())

    def state(self) -> State:
        """Return what everybody is shown; it is made anew only when there was another look."""
        sight = self.sight()
        looks = (sight.nodes.number, sight.writes.number, sight.service.number)
        with self._rendering:
            if self._rendered is None or self._rendered[0] != looks:
                self._rendered = looks, self._make_state(sight)
            return self._rendered[1]

    def _link(self) -> MasterLink:
        return self._container().link

    def _try_write(self) -> Look:
        return self._container().lookout.look()

    def close(self) -> None:
        """Look no more."""
        for watch in self._watches:
            watch.end(timeout_s=10.0)

    def _look_on(self) -> None:
        for watch in self._watches:
            watch.wanted()

    def _make_state(self, sight: Sight) -> State:
        settings = self.settings
        verdict = verdict_of(sight, Limits.of(settings), deadline_of(settings.redis))
        parts = {"verdict": _part("verdict", verdict), "troubles": _part("troubles", verdict)}
        if (topology := sight.topology) is not None:
            parts["picture"] = _part("picture", pictures_of(topology), in_words(topology))
            parts["nodes"] = _part("nodes", topology)
        if (service := sight.service.value) is not None:
            facts = service.facts
            parts["figures"] = _part(
                "figures", charts_of(facts, service.series, settings.oldest_owed_limit_s)
            )
            parts["moves"] = _part("moves", service.moves, time.time())
            parts["workers"] = _part("workers", facts.workers)
            parts["relays"] = _part("relays", relays_of(facts.workers))
            parts["letters"] = _part(
                "letters", service.dead_letters, service.dead_letters_in_all, time.time()
            )
        return State(sight, verdict, parts)


def relays_of(workers: tuple[WorkerReport, ...]) -> list[tuple[RelayReport, int]]:
    """Return each relay once, with a trouble where a worker has one, and how many workers have it."""
    found: dict[str, list[RelayReport]] = {}
    for worker in workers:
        for relay in worker.relays:
            found.setdefault(relay.name, []).append(relay)
    return [
        (
            next((each for each in reports if each.trouble), reports[0]),
            sum(bool(each.trouble) for each in reports),
        )
        for reports in found.values()
    ]


def init_app(app: Flask) -> None:
    """Keep the parts in the app."""
    app.extensions[_EXTENSION] = Board(container_of(app).settings, lambda: container_of(app))


def board_of(app: Flask) -> Board | None:
    """Return the parts of an app; None where it has no such page."""
    board = app.extensions.get(_EXTENSION)
    return board if isinstance(board, Board) else None


def current_board() -> Board:
    """Return the parts of the app that serves this request."""
    board = board_of(current_app)
    assert board is not None  # noqa: S101 - for the type checker: without the page nobody gets here
    return board


def _pace(topology: Topology | None) -> float:
    return LOOK_CLOSELY_EVERY_S if topology is None or topology.is_unsettled else LOOK_EVERY_S


def _part(name: str, *values: object) -> Markup:
    return Markup(get_template_attribute(_PARTS, name)(*values))  # noqa: S704 - the template escaped it
