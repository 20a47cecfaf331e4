"""A small HTTP/1.1 client that keeps connections alive: as little as the load needs, so that it costs little."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

# Below gunicorn's two seconds, so that we are never writing while it closes.
IDLE_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, as far as it matters."""

    status: int
    retry_after: str


class CutOff(Exception):
    """The connection ended before the whole answer was there."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    def drop(self) -> None:
        """Close at once, whatever is still on its way."""
        self.writer.transport.abort()


class HttpClient:
    """Posts JSON to one server; use it in one loop only."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes) -> Reply:
        """Post and give the answer.

        Raises:
            CutOff: the server went before its answer was complete.
            OSError: it takes no connection.
        """
        connection = await self._connect()
        try:
            reply = await self._talk(connection, path, body)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            connection.drop()
            raise CutOff(str(error)) from error
        except BaseException:
            connection.drop()
            raise
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        return reply

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().drop()

    async def _connect(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            fresh = time.monotonic() - connection.idle_since < IDLE_LIMIT_S
            if fresh and not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.drop()
        return _Connection(*await asyncio.open_connection("127.0.0.1", self._port))

    async def _talk(self, connection: _Connection, path: str, body: bytes) -> Reply:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        connection.writer.write(head.encode() + body)
        status_line, _, headers = (await connection.reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
        fields = dict(_fields(headers))
        await connection.reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection", "").lower() == "close":
            connection.writer.close()
        return Reply(int(status_line.split(" ")[1]), fields.get("retry-after", ""))


def _fields(headers: str) -> list[tuple[str, str]]:
    lines = [line.partition(":") for line in headers.split("\r\n") if line]
    return [(name.strip().lower(), value.strip()) for name, _, value in lines]
