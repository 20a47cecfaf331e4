"""What the doctor knows beside the snapshot: more of each process's own words; frozen, and as far as we may ask.

Nothing in here talks to anybody: `questions` fills it. What somebody did not answer, or we may not ask, is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.endpoints import Endpoint
from sentinel.protocol import Fields, number_in
from sentinel.topology.snapshot import Topology


@dataclass(frozen=True, slots=True)
class Denial:
    """An entry of ACL LOG: somebody was refused."""

    username: str
    reason: str
    what: str
    count: int
    seconds_ago: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One command that a user must be allowed, or must not be; what it is good for, or what would come of it."""

    user: str
    words: tuple[str, ...]
    must: bool
    why: str

    @property
    def right(self) -> str:
        """Return the command as people read it."""
        return (
            " ".join(self.words[:2])
            if self.words[0] in {"CLIENT", "CONFIG", "SCRIPT", "SENTINEL"}
            else self.words[0]
        )


@dataclass(frozen=True, slots=True)
class Process:
    """One node or sentinel, examined."""

    endpoint: Endpoint
    info: Fields = field(default_factory=dict)
    settings: Fields | None = None
    """What CONFIG GET tells; None where it was not asked."""
    denials: tuple[Denial, ...] | None = None
    broken: tuple[Trial, ...] = ()
    """Rights that a user lacks, or has and must not have."""
    unknown_users: tuple[str, ...] = ()
    """Users whose rights were to be tried, and whom it does not know."""
    tries_rights: bool | None = None
    """Whether it lets us try rights (ACL DRYRUN)."""
    clock_ahead_s: float | None = None
    """Of its clock against this host's."""
    certificate_days: float | None = None
    """For how long its certificate is valid; None where there is none."""
    missing_rights: tuple[str, ...] = ()

    def number(self, name: str) -> int | None:
        """Return a number of INFO."""
        return number_in(self.info.get(name))


@dataclass(frozen=True, slots=True)
class Examination:
    """Everybody."""

    topology: Topology
    nodes: tuple[Process, ...]
    sentinels: tuple[Process, ...]
    uses_tls: bool
    named_sentinels: tuple[Endpoint, ...]
    """Those of the settings; the others were learned from them."""
    quorum_on_file: int | None = None
    """What the files of the deployment say (SENTINEL_QUORUM); None where that is not known here."""
