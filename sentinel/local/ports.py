"""Free loopback ports that stay reserved while the server behind them is down.

A free port found and released may be taken by anybody before the server binds it, or while the server is being
restarted. So each is held by a socket that is bound and never listens: the kernel gives the port to nobody
else, a client is refused as if nobody were there, and redis-server may still bind it beside us, since both
sides say SO_REUSEADDR and only one listens.
"""

from __future__ import annotations

import socket

from sentinel.endpoints import Endpoint

LOOPBACK = "127.0.0.1"


class PortReservation:
    """Holds loopback ports until `release`."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._held: list[socket.socket] = []

    def reserve(self) -> Endpoint:
        """Return one more free port."""
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._held.append(holder)
        holder.bind((LOOPBACK, 0))
        # Only after the bind: with it set before, the kernel might hand out a port that another one holds.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return Endpoint(LOOPBACK, holder.getsockname()[1])

    def release(self) -> None:
        """Release all of them."""
        while self._held:
            self._held.pop().close()
