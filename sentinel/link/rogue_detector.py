"""Whether a master that became a replica is part of a failover, or was made one by somebody without Sentinel."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from sentinel.endpoints import Endpoint
from sentinel.errors import MasterMoved, RogueMaster
from sentinel.link.directory import Directory

log = logging.getLogger(__name__)

# For so long a rogue that nobody met again is told of to the observer, in seconds: longer than from scrape to scrape.
TOLD_FOR_S = 120.0


class RogueDetector:
    """Judges nodes that Sentinel names as the master but that follow another; logs each rogue once."""

    def __init__(
        self,
        directory: Directory,
        tell: Callable[[Endpoint, Endpoint], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call `tell`, if given, with each rogue once, and whom it follows."""
        self._directory = directory
        self._tell = tell
        self._clock = clock
        self._is_told = False
        self._met_at = 0.0
        self._reported: tuple[Endpoint, Endpoint] | None = None

    def demoted(self, node: Endpoint, follows: Endpoint) -> MasterMoved:
        """Return the error for a node that Sentinel names as the master but that follows another.

        In a failover it follows one that Sentinel knows. A stranger instead means that somebody gave it
        REPLICAOF; Sentinel takes half a minute to mend that, or never does, so operators hear of it at once.
        """
        if self._directory.knows_node(follows):
            return MasterMoved(f"{node} is a replica of {follows} by now: a failover is under way.")
        error = RogueMaster(
            f"{node}, which Sentinel names as the master, was made a replica of {follows}, which Sentinel does "
            "not know. Find out who gave it REPLICAOF. REPLICAOF NO ONE on it mends it at once; Sentinel takes half a "
            "minute, and never does on Redis 6.2 with a down-after below 3.5 s."
        )
        if self._reported != (node, follows):
            self._reported = (node, follows)
            log.error("%s", error)
            if self._tell is not None:
                self._tell(node, follows)
        self._met_at = self._clock()
        self._note(is_one=True)
        return error

    @property
    def rogue(self) -> tuple[Endpoint, Endpoint] | None:
        """The master that was led away, and whom it follows; None where there is none now."""
        return self._reported

    def found_master(self) -> None:
        """Note that a master was found: the next rogue is reported again, even if it is the same."""
        self._reported = None
        self._note(is_one=False)

    def forget_unmet(self) -> None:
        """Tell the observer that there is none where none was met for a while; a process may have nothing to do."""
        if self._is_told and self._clock() - self._met_at > TOLD_FOR_S:
            self._note(is_one=False)

    def _note(self, *, is_one: bool) -> None:
        if is_one != self._is_told:
            self._is_told = is_one
            self._directory.observer.rogue(is_one=is_one)
