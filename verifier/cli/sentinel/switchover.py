"""`flask sentinel switchover`: the planned move of the master, its rehearsal, and its report for programs.

The JSON has a schema, docs/switchover.schema.json, which a test holds.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from rich.console import Console, Group
from rich.text import Text

from sentinel import (
    HOLD_AT_MOST_S,
    Endpoint,
    Finding,
    Progress,
    Step,
    SwitchoverError,
    SwitchoverRefused,
    SwitchoverResult,
    Topology,
    findings_of,
    parse_endpoint,
    rehearse_switchover,
    survey,
    switch_over,
)
from verifier.cli.sentinel.operators import ask, settings_of_redis, who, write_down
from verifier.cli.sentinel.topology_tables import as_sentences, as_tables, plain
from verifier.cli.sheets import console_for_operators
from verifier.settings import RedisSettings
from verifier.store.history import EventKind, HistoryEvent
from verifier.wiring import access_of_operators

_UNPROVED = "The master moved, but nothing shows that it takes writes: see the notes."


class NodeType(click.ParamType[Endpoint]):
    """A data node, as host:port."""

    name = "node"

    def convert(
        self, value: str | Endpoint, param: click.Parameter | None, ctx: click.Context | None
    ) -> Endpoint:
        """Read it; the port is Redis's where none is given."""
        try:
            return value if isinstance(value, Endpoint) else parse_endpoint(value, 6379)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


@click.command("switchover")
@click.option("--to", type=NodeType(), help="Which replica, as host:port; without it Sentinel chooses.")
@click.option(
    "--dry-run", is_flag=True, help="Show the steps, and what would refuse them; nothing is ordered."
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs; never asks.")
@click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal, and with --json.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(2, 60),
    default=HOLD_AT_MOST_S,
    show_default=True,
    help="For how many seconds writes may be held in all before the switchover is given up.",
)
def switchover_command(
    *, to: Endpoint | None, dry_run: bool, wants_json: bool, yes: bool, timeout_s: float
) -> None:
    """Have a replica take over from the master without losing a write.

    Writes wait for one to two seconds meanwhile. Whatever goes wrong, and Ctrl-C, lets them go on. Exits with 1 where
    it was refused or given up, where the new master took no write, or where it is another one than asked for.
    """
    redis = settings_of_redis()
    teller: _Teller = _ForPrograms() if wants_json else _ForPeople(console_for_operators())
    if wants_json and not yes and not dry_run:
        raise click.UsageError("--json asks nobody, so it needs --yes or --dry-run.")
    topology, refusals = rehearse_switchover(access_of_operators(redis), to)
    teller.rehearsed(topology, refusals, to, ends=dry_run or bool(refusals))
    if refusals:
        teller.fail("No switchover was begun: see above.")
    if dry_run:
        return
    ask(f"Shall {to or 'a replica'} take over?", yes=yes)
    # A terminal that is closed, or a service manager, ends it as cleanly as Ctrl-C does.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)
    _move(redis, topology, to, timeout_s, teller)


def _move(
    redis: RedisSettings, planned: Topology, to: Endpoint | None, timeout_s: float, teller: _Teller
) -> None:
    access = access_of_operators(redis)
    try:
        result = switch_over(access, to=to, report=teller.reached, hold_at_most_s=timeout_s)
    except SwitchoverError as error:
        if not isinstance(error, SwitchoverRefused):
            failed = HistoryEvent(EventKind.SWITCHOVER_FAILED, planned.named_master, to, str(error), who())
            write_down(redis, failed)
        teller.fail(str(error))
    decided_s_ago = result.steps[-1].elapsed_s - result.at_s(Step.DECIDED)
    after = survey(access)
    epoch = after.epoch if after.named_master == result.new else None
    why = "ordered with `flask sentinel switchover`"
    event = HistoryEvent(EventKind.SWITCHOVER, result.old, result.new, why, who(), epoch=epoch)
    unwritten = write_down(redis, event, age_s=decided_s_ago)
    teller.moved(result, [*result.notes, unwritten] if unwritten else list(result.notes), after)
    if not result.proved:
        teller.fail(_UNPROVED)
    if to is not None and result.new != to:
        teller.fail(f"{result.new} is the master, not {to}: see the notes.")


class _Teller:
    """Where it is reported."""

    def rehearsed(
        self, topology: Topology, refusals: Sequence[Finding], to: Endpoint | None, *, ends: bool
    ) -> None:
        """Show what would be moved, and what forbids it; `ends` where it ends with that."""
        raise NotImplementedError

    def reached(self, progress: Progress) -> None:
        """Show a step."""
        raise NotImplementedError

    def moved(self, result: SwitchoverResult, notes: list[str], after: Topology) -> None:
        """Show the result."""
        raise NotImplementedError

    def fail(self, sentence: str) -> NoReturn:
        """End with a sentence."""
        raise click.ClickException(sentence)


class _ForPeople(_Teller):
    """On a terminal, or into a file."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def rehearsed(
        self, topology: Topology, refusals: Sequence[Finding], to: Endpoint | None, *, ends: bool
    ) -> None:
        self._console.print(as_tables(topology))
        if refusals:
            self._console.print(as_sentences(refusals))
            return
        candidates = " or ".join(str(node.endpoint) for node in topology.candidates)
        choice = f"{to} will be" if to else f"Sentinel will choose {candidates} as"
        self._console.print(f"\n{topology.named_master} will be a replica; {choice} the new master.")
        if ends:
            for number, step in enumerate(_steps(topology, to), 1):
                self._console.print(f"{number:3}. {step}")
            self._console.print("Nothing was ordered. Everybody said that they would take these orders.")

    def reached(self, progress: Progress) -> None:
        self._console.print(f"{progress.elapsed_s:6.2f} s  {progress.step:<9} {progress.message}")

    def moved(self, result: SwitchoverResult, notes: list[str], after: Topology) -> None:
        held = f"writes were held for {result.held_s:.2f} s"
        self._console.print(f"\n{result.new} took over from {result.old}; {held}.")
        told = [Text(f"NOTE: {note}", style="yellow") for note in notes]
        self._console.print(Group(*told, as_tables(after), as_sentences(findings_of(after))))


class _ForPrograms(_Teller):
    """One JSON document in the end."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {
            "done": False,
            "from": None,
            "to": None,
            "candidates": [],
            "plan": [],
            "refusals": [],
            "steps": [],
            "held_s": None,
            "proved": None,
            "notes": [],
            "error": None,
        }

    def rehearsed(
        self, topology: Topology, refusals: Sequence[Finding], to: Endpoint | None, *, ends: bool
    ) -> None:
        candidates = [str(node.endpoint) for node in topology.candidates]
        plan = [] if refusals else _steps(topology, to)
        self._told |= {
            "from": plain(topology.named_master),
            "to": str(to) if to else None,
            "candidates": candidates,
            "plan": plan,
            "refusals": [plain(each) for each in refusals],
        }
        if ends and not refusals:
            self._print()

    def reached(self, progress: Progress) -> None:
        self._told["steps"].append(plain(progress))

    def moved(self, result: SwitchoverResult, notes: list[str], after: Topology) -> None:  # noqa: ARG002 - status tells that
        self._told |= {
            "done": True,
            "to": str(result.new),
            "held_s": result.held_s,
            "proved": result.proved,
            "notes": notes,
        }
        self._print()

    def fail(self, sentence: str) -> NoReturn:
        """Exit with 1; the document says why, unless it was printed."""
        if not self._told["done"]:
            self._told["error"] = sentence
            self._print()
        raise SystemExit(1)

    def _print(self) -> None:
        click.echo(json.dumps(self._told, indent=2))


def _steps(topology: Topology, to: Endpoint | None) -> list[str]:
    """Return what would be done, in sentences."""
    old, new = topology.named_master, to or "the new master"
    others = [str(node.endpoint) for node in topology.healthy_replicas if node.endpoint != to]
    hidden = " and ".join(str(node.endpoint) for node in topology.candidates if node.endpoint != to)
    steps = [
        f"{old} holds its writes (CLIENT PAUSE, renewed, and over by itself three seconds after the last renewal).",
        "Each replica that may be chosen has everything that was written.",
        f"Sentinel {topology.answering[0].endpoint} is ordered to fail over (SENTINEL FAILOVER {topology.master_name}).",
        f"The other replicas are sent to {new} at once (REPLICAOF): {' or '.join(others)}.",
        f"{old} follows {new}, remembers it, and hangs up on its clients (REPLICAOF, CONFIG REWRITE, CLIENT KILL).",
        "Writes go on (CLIENT UNPAUSE), and one write of the app's shows that they are taken.",
    ]
    if to is not None and hidden:
        steps.insert(2, f"The sentinel's connections to {hidden} are closed, so that it can't choose there.")
    return steps
