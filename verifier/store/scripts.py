"""Atomic steps: Lua scripts, run on the master and acknowledged by replicas before anybody is told.

A script's writes reach the replicas as one transaction. WAIT on the same connection then says how many of
them have it (https://redis.io/docs/latest/commands/wait/): fewer than asked for means "not accepted".
Since Redis 7.2 and in Valkey it covers only what that connection itself has written, up to 7.0 all that anybody had: so a
script whose repeat finds its work done writes something all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiredis import pack_command
from redis import ConnectionPool, Redis
from redis.exceptions import NoScriptError

from sentinel import Backpressure, MasterNotReady, NotAcknowledged, PermanentError, TransientError

Argument = str | bytes | int | float
Command = tuple[Argument, ...]
Exchange = Callable[[ConnectionPool, list[Command]], list[Any]]
_FOLDER = Path(__file__).parent / "lua"


@dataclass(frozen=True)
class Script:
    """A Lua script and its SHA-1, by which Redis knows it."""

    name: str
    text: str
    sha: str


def load_script(name: str, *preludes: str) -> Script:
    """Read `lua/<name>.lua`, with what it uses of `lua/prelude/` before it."""
    files = [*(f"prelude/{prelude}" for prelude in preludes), name]
    text = "".join((_FOLDER / f"{file}.lua").read_text(encoding="utf-8") for file in files)
    # Redis addresses scripts by SHA-1; nothing is kept safe by it.
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True)
class Step:
    """One run of a script."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument]


@dataclass(frozen=True)
class Acknowledgement:
    """How many replicas must have a write before it counts, and how long they are given, in milliseconds."""

    replicas: int
    timeout_ms: int


def always(results: list[Any]) -> bool:  # noqa: ARG001 - a predicate on results
    """Return that replicas must have what was written, whatever the scripts returned."""
    return True


def run_steps(
    client: Redis,
    steps: Sequence[Step],
    acknowledgement: Acknowledgement | None,
    wrote: Callable[[list[Any]], bool] = always,
    *,
    each_for_itself: bool = False,
    by: Exchange | None = None,
) -> list[Any]:
    """Run scripts in one round trip, in order, and wait for the replicas; return what each returned.

    Args:
        client: leads to the master.
        steps: each must be safe to repeat.
        acknowledgement: what replicas must have before this returns; None for nothing.
        wrote: says by the results whether there was anything for replicas to acknowledge.
        each_for_itself: whether a script that fails on what it finds (a key of another type, say) has its error stand
            among the results, so that the others count.
        by: what sends commands and returns their replies, errors among them; by default `exchange`.

    Raises:
        NotAcknowledged: too few replicas have it; the steps may or may not survive a failover.
        TransientError, Backpressure, PermanentError: as the connection found.
        redis.ResponseError: a script failed on what it found.
    """
    try:
        results = _run_once(client, steps, acknowledgement, by or exchange)
    except NoScriptError:
        # A master that was promoted or restarted does not know them yet; nothing has run of the unknown ones,
        # and each step is safe to repeat.
        for script in {step.script for step in steps}:
            client.script_load(script.text)
        try:
            results = _run_once(client, steps, acknowledgement, by or exchange)
        except NoScriptError as error:  # the next one was promoted in between
            raise MasterNotReady(
                f"The master does not know a script that was just loaded: {error}."
            ) from error
    if not each_for_itself:
        for result in results:
            if isinstance(result, Exception):
                raise result
    if acknowledgement is not None and acknowledgement.replicas:
        replicas = results.pop()
        if wrote(results):
            _require_acknowledged(replicas, acknowledgement)
    return results


def _run_once(
    client: Redis, steps: Sequence[Step], acknowledgement: Acknowledgement | None, by: Exchange
) -> list[Any]:
    """Run them; errors that concern all of them are raised, those of a single script stand among the results."""
    commands: list[Command] = [
        ("EVALSHA", step.script.sha, len(step.keys), *step.keys, *step.arguments) for step in steps
    ]
    if acknowledgement is not None and acknowledgement.replicas:
        commands.append(("WAIT", acknowledgement.replicas, acknowledgement.timeout_ms))
    results = by(client.connection_pool, commands)
    for result in results:
        if isinstance(result, NoScriptError | Backpressure | PermanentError | TransientError):
            raise result
    return results


def exchange(pool: ConnectionPool, commands: list[Command]) -> list[Any]:
    """Send commands at once and return their replies, errors among them; any other error ends the connection."""
    connection: Any = pool.get_connection()
    try:
        # Its stub knows only tuples of one.
        packed = b"".join(pack_command(each) for each in commands)  # type: ignore[arg-type]
        replies: list[Any] = connection.exchange(packed, len(commands))
        return replies
    finally:
        pool.release(connection)


def _require_acknowledged(replicas: int, acknowledgement: Acknowledgement) -> None:
    if replicas < acknowledgement.replicas:
        raise NotAcknowledged(
            f"{replicas} of {acknowledgement.replicas} replicas acknowledged the write "
            f"within {acknowledgement.timeout_ms} ms."
        )
