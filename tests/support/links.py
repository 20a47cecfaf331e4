"""Looking into a link."""

from __future__ import annotations

from sentinel import Endpoint, MasterLink


def subscribed_to(link: MasterLink) -> list[Endpoint]:
    """Return the sentinels that can announce a failover to this process at this moment."""
    if link._watcher is None:
        return []
    subscriptions = list(link._watcher._subscriptions.items())
    return [endpoint for endpoint, each in subscriptions if each.subscribed]
