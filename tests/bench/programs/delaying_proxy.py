"""A proxy that delays whatever the relay says: `python delaying_proxy.py RELAY_PORT MILLISECONDS`.

A process of its own, which prints its port. Each piece of a relay's answer is handed on so many milliseconds
after it came, in order, each connection for itself; what the client says passes at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque


class Pipe(asyncio.Protocol):
    """One side of a connection; what comes in goes out on the other side, `delay_s` later."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self.out: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand it on, at once or later."""
        if self.out is not None and not self._delay_s:
            self.out.write(data)
            return
        self._pieces.append((asyncio.get_running_loop().time() + self._delay_s, data))
        self._schedule()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Hand on the end too, after what is still on its way."""
        if self.out is not None:
            asyncio.get_running_loop().call_later(self._delay_s + 0.01, self.out.close)

    def connect(self, out: asyncio.Transport) -> None:
        """Note where things go, and hand on what came before."""
        self.out = out
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and self._pieces and self.out is not None:
            self._timer = asyncio.get_running_loop().call_at(self._pieces[0][0], self._hand_on)

    def _hand_on(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._pieces and self._pieces[0][0] <= now:
            _, data = self._pieces.popleft()
            assert self.out is not None
            self.out.write(data)
        self._schedule()


class Incoming(Pipe):
    """The client's side: opens the relay's side."""

    def __init__(self, relay_port: int, delay_s: float) -> None:
        super().__init__(0.0)
        self._relay_port = relay_port
        self._reply_delay_s = delay_s
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the way to the relay."""
        super().connection_made(transport)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            outgoing, relay = await loop.create_connection(
                lambda: Pipe(self._reply_delay_s), "127.0.0.1", self._relay_port
            )
        except OSError:
            self._transport.close()
            return
        relay.connect(self._transport)
        self.connect(outgoing)


async def serve(relay_port: int, delay_s: float) -> None:
    """Listen on a free port of loopback until the process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Incoming(relay_port, delay_s), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
