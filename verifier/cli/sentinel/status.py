"""What `flask sentinel status` shows: one look at everybody, judged, for people and for programs.

The JSON has a schema, docs/status.schema.json, which a test holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import RedisError
from rich.console import Group, RenderableType
from rich.text import Text

from sentinel import Finding, Role, Severity, Topology, findings_of, survey
from verifier.cli.deliveries.tables import span
from verifier.cli.sentinel.history import event_as_json, moment
from verifier.cli.sentinel.topology_tables import as_sentences, as_tables, plain
from verifier.settings import RedisSettings
from verifier.store.facts import Facts, read_facts
from verifier.store.history import HistoryEvent, read_history
from verifier.store.keyspace import Queue
from verifier.wiring import access_of_operators, ask_as_app, deadline_of

OK, CRITICAL, WARNING = 0, 1, 2
_STYLES = {OK: "bold green", CRITICAL: "bold red", WARNING: "bold yellow"}
_VERDICTS = {OK: "ok", CRITICAL: "critical", WARNING: "warning"}
_LOOK_FOR_S = 2.0
_EVENTS_SHOWN = 3


@dataclass(frozen=True)
class Status:
    """One look: the topology, what is wrong with it, and how the service fares, or why that is not known."""

    at: datetime
    topology: Topology
    findings: tuple[Finding, ...]
    service: Facts | str
    history: tuple[HistoryEvent, ...] = ()
    """What happened to the master last, the newest first; empty also where it is not known."""

    @property
    def exit_code(self) -> int:
        """Return 1 when something is critical, 2 when there are only warnings, 0 when nothing is wrong."""
        severities = {each.severity for each in self.findings}
        if Severity.CRITICAL in severities:
            return CRITICAL
        return WARNING if severities else OK

    @property
    def verdict(self) -> str:
        """Return the same as a word."""
        return _VERDICTS[self.exit_code]

    def for_people(self) -> RenderableType:
        """Return the header, the tables, the service's block and the findings."""
        nothing = "Nothing is wrong."
        if isinstance(self.service, Facts) and not self.service.workers:
            nothing = "Nothing is wrong with Redis and Sentinel."
        return Group(
            self._header(),
            *self._last_moves(),
            "",
            as_tables(self.topology),
            Text("").join(self._service()),
            "",
            as_sentences(self.findings, nothing),
        )

    def for_programs(self) -> dict[str, Any]:
        """Return everything as `json` can write it: an endpoint is `host:port`, what is not known is null."""
        topology = self.topology
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "master_name": topology.master_name,
            "verdict": self.verdict,
            "master": plain(topology.named_master),
            "master_for_s": topology.master_for_s,
            "epoch": topology.epoch,
            "nodes": [
                {
                    **plain(node),
                    "lag_bytes": topology.lag_of(node),
                    "lag_s": topology.lag_s_of(node),
                    "seen_as": {str(each): view for each, view in topology.views_of(node.endpoint).items()},
                }
                for node in topology.nodes
            ],
            "sentinels": plain(topology.sentinels),
            "write": plain(topology.write),
            "history": [event_as_json(event) for event in self.history],
            "service": plain(self.service) if isinstance(self.service, Facts) else None,
            "service_unknown": None if isinstance(self.service, Facts) else self.service,
            "findings": [plain(finding) for finding in self.findings],
        }

    def _header(self) -> Text:
        topology = self.topology
        parts = [f"master {topology.named_master}" if topology.named_master else "no master is named"]
        if topology.master_for_s is not None:
            parts.append(f"for {span(topology.master_for_s)} at least")
        if topology.epoch is not None:
            parts.append(f"configuration epoch {topology.epoch} (it grows with each failover)")
        return Text.assemble(
            (f"{topology.master_name}: {self.verdict.upper()}", _STYLES[self.exit_code]),
            f"  {', '.join(parts)}  {self.at:%Y-%m-%d %H:%M:%S} UTC",
        )

    def _last_moves(self) -> Iterator[Text]:
        """Say what happened to the master last: `flask sentinel history` has more of it."""
        for event in self.history:
            why = f": {event.why}" if event.why else ""
            by = f", by {event.by}" if event.by else ""
            way = " to ".join(str(each) for each in (event.old, event.new) if each)
            yield Text(f"  {moment(event):%Y-%m-%d %H:%M:%S}  {event.kind} {way}{why}{by}")

    def _service(self) -> Iterator[Text]:
        facts = self.service
        if isinstance(facts, str):
            yield Text(f"Service: not known: {facts}")
            return
        oldest = f", the oldest for {span(facts.oldest_owed_s)}" if facts.owed else ""
        counted = [each.sent_last_minute for each in facts.workers if each.sent_last_minute is not None]
        last = (
            "none was ever sent"
            if facts.last_sent_s is None
            else f"the last one {span(facts.last_sent_s)} ago"
        )
        yield Text(
            f"Service: {facts.owed} mails owed{oldest}; {sum(counted)} sent in the last minute, {last}; "
        )
        if not facts.workers:
            yield Text("no worker is alive: start `flask worker`.", style="bold red")
            return
        yield Text(f"workers: {', '.join(each.name for each in facts.workers)}.")
        for trouble in dict.fromkeys(each for worker in facts.workers for each in worker.troubles):
            yield Text(f"\n  A worker says: {trouble}", style="yellow")


def take_status(redis: RedisSettings, queue: Queue) -> Status:
    """Ask everybody, within some five seconds. Raises SettingsError where no sentinel is named."""
    topology = survey(access_of_operators(redis))
    service, history = _service_behind(topology, redis, queue)
    findings = tuple(findings_of(topology, deadline_of(redis)))
    return Status(datetime.now(UTC), topology, findings, service, history)


def _service_behind(
    topology: Topology, redis: RedisSettings, queue: Queue
) -> tuple[Facts | str, tuple[HistoryEvent, ...]]:
    """Ask the master that the survey found; nobody is waited for where there is none."""
    if topology.master is None or topology.master.role is not Role.MASTER:
        return "there is no master to ask at the moment.", ()
    try:
        return ask_as_app(
            redis,
            lambda client: (read_facts(client, queue), tuple(read_history(client, _EVENTS_SHOWN))),
            within_s=_LOOK_FOR_S,
        )
    except RedisError as error:
        return str(error), ()
