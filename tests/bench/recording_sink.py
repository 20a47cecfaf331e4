"""A relay that notes when each mail's final dot came: `python recording_sink.py FILE`.

A process of its own, which prints its port. Each line of the file is a recipient and the time of the system's
monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO

_REPLIES = {
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"DATA": b"354 End data with a dot\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"NOOP": b"250 2.0.0 Ok\r\n",
    b"HELO": b"250 recorder\r\n",
    b"EHLO": b"250-recorder\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
}


class Session(asyncio.Protocol):
    """One client's session."""

    def __init__(self, notes: TextIO) -> None:
        self._notes = notes
        self._unread = b""
        self._recipient = ""
        self._in_message = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 recorder ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Take lines and messages."""
        self._unread += data
        while True:
            end = b"\r\n.\r\n" if self._in_message else b"\r\n"
            head, found, rest = self._unread.partition(end)
            if not found:
                return
            self._unread = rest
            if self._in_message:
                self._note()
            else:
                self._obey(head)

    def _note(self) -> None:
        self._notes.write(f"{self._recipient} {time.monotonic():.6f}\n")
        self._in_message = False
        self._transport.write(b"250 2.0.0 Kept\r\n")

    def _obey(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0].decode(errors="replace")
            self._transport.write(b"250 2.1.5 Ok\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"221 2.0.0 Bye\r\n")
            self._transport.close()
        else:
            self._in_message = verb == b"DATA"
            self._transport.write(_REPLIES.get(verb, b"502 5.5.1 Not here\r\n"))


async def serve(path: Path) -> None:
    """Listen on a free port of loopback until the process ends."""
    loop = asyncio.get_running_loop()
    with path.open("w", buffering=1) as notes:
        server = await loop.create_server(lambda: Session(notes), "127.0.0.1", 0, backlog=512)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
