"""What a link tells of itself while it works, for whoever counts.

`LinkObserver` does nothing; an app hands a subclass of it to `MasterLink`, and overrides what it wants to know.
"""

from __future__ import annotations


class LinkObserver:
    """Is told of events. Any thread may call it, and waits for it: it must be quick, and must not raise."""

    def moved(self) -> None:
        """Another master is believed in than before."""

    def connected(self, *, worked: bool) -> None:
        """A connection to the master was tried."""

    def waited(self, duration_s: float, *, worked: bool) -> None:
        """An operation had to wait for a master, so long in all; `worked` is false where it was given up."""

    def circuit(self, *, is_open: bool) -> None:
        """The breaker began to refuse callers at once, or lets them through again."""

    def rogue(self, *, is_one: bool) -> None:
        """The master that Sentinel names was made a replica of a stranger, or is a master again."""

    def sentinels(self, heard: int, known: int) -> None:
        """So many of the sentinels that are known can announce a failover to this process now."""
