"""What tells whether mail goes out, read in one step; `readiness` judges it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from verifier.store import keyspace
from verifier.store.alerts import read_canary
from verifier.store.keyspace import Queue
from verifier.store.scripts import Argument, Step, load_script, run_steps

FACTS = load_script("facts", "clock", "records", "owed")
HEARTBEAT = load_script("heartbeat", "clock")

# A worker is taken for dead when it was not heard of for so long, in seconds; it speaks up each two.
ALIVE_FOR_S = 15.0
# A worker that was silent for longer is replaced, or all are gone; in seconds.
REMEMBERED_FOR_S = 300.0
# A replica acknowledges each second; who has not for so long, in seconds, acknowledges no write in time.
CLOSE_WITHIN_S = 5


@dataclass(frozen=True)
class RelayReport:
    """How one relay fares, as one worker finds it."""

    name: str
    trouble: str = ""
    """In a sentence what is wrong with it; empty where it works."""


@dataclass(frozen=True)
class WorkerReport:
    """How one worker fares, in its own words: the reasons why it does not send, or not all; none where all is well."""

    name: str
    troubles: tuple[str, ...] = ()
    sent_last_minute: int | None = None
    """How many mails it handed over; None from an older release, which does not say."""
    refusals: tuple[str, ...] = ()
    """Those of its troubles that are a relay's refusal of us: the login, the sender."""
    relays: tuple[RelayReport, ...] = ()
    """The relays as it finds them; none from an older release."""


@dataclass(frozen=True)
class Memory:
    """The memory of the master that counts towards its limit, in bytes; no limit is 0."""

    used: int
    limit: int


@dataclass(frozen=True)
class Facts:
    """The state of the service at one moment of Redis's clock; durations in seconds."""

    owed: int
    oldest_owed_s: float
    """For how long the mail that was accepted first has been owed; 0 where none is."""
    last_sent_s: float | None
    """How long ago a mail was handed to a relay; None where none ever was."""
    workers: tuple[WorkerReport, ...]
    replicas: int
    """How many replicas follow the master closely."""
    memory_share: float | None
    """How much of its memory limit Redis uses, from 0 to 1; None where it has no limit or may not be asked."""
    canary_age_s: float | None = None
    """How long ago the last canary went out, or the first one began; None where there was none."""
    canary_reply: str = ""
    """What a relay said to the last canary that did not go out."""
    memory: Memory | None = None
    """None where it may not be asked."""
    replica_lag_s: float | None = None
    """For how long the replica that is furthest behind was not heard of; None where none is online."""
    replica_lag_bytes: int | None = None
    heartbeat_ages_s: tuple[float, ...] = ()
    """For how long each worker was silent, of those heard of within REMEMBERED_FOR_S."""
    dead_letters: int = 0


def read_facts(client: Redis, queue: Queue) -> Facts:
    """Ask Redis. Raises TransientError, PermanentError or Backpressure."""
    step = Step(
        FACTS,
        [keyspace.DUE, keyspace.LATE, queue.key, keyspace.LAST_SENT, keyspace.WORKERS, keyspace.DEAD],
        [keyspace.RECORD_PREFIX, keyspace.WORKER_PREFIX, ALIVE_FOR_S, REMEMBERED_FOR_S],
    )
    now, owed, oldest, last_sent, said, heard, dead_letters = run_steps(client, [step], None)[0]
    canary, memory, lags = read_canary(client), _memory(client), _lags(client)
    return Facts(
        owed=int(owed),
        oldest_owed_s=max(0.0, float(now) - float(oldest)) if oldest and owed else 0.0,
        last_sent_s=max(0.0, float(now) - float(last_sent)) if last_sent else None,
        workers=tuple(report for each in said if (report := _report_in(each)) is not None),
        replicas=sum(lag_s <= CLOSE_WITHIN_S for lag_s, _ in lags),
        memory_share=memory.used / memory.limit if memory and memory.limit else None,
        memory=memory,
        replica_lag_s=max((lag_s for lag_s, _ in lags), default=None),
        replica_lag_bytes=max((behind for _, behind in lags), default=None),
        heartbeat_ages_s=tuple(max(0.0, float(now) - float(each)) for each in heard),
        dead_letters=int(dead_letters),
        canary_age_s=canary.age_s(float(now)),
        canary_reply=canary.reply,
    )


def send_heartbeat(client: Redis, report: WorkerReport) -> None:
    """Say that a worker is alive and how it fares. Raises as `read_facts` does."""
    text = json.dumps(asdict(report))
    arguments: list[Argument] = [report.name, text, keyspace.WORKER_PREFIX, ALIVE_FOR_S]
    run_steps(client, [Step(HEARTBEAT, [keyspace.WORKERS], arguments)], None)


def say_goodbye(client: Redis, name: str) -> None:
    """Have a worker forgotten that ends as it should. Raises as `read_facts` does."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zrem(keyspace.WORKERS, name)
        pipeline.unlink(keyspace.WORKER_PREFIX + name)
        pipeline.execute()


def _report_in(text: Any) -> WorkerReport | None:
    try:
        said = json.loads(text)
        sent = said.get("sent_last_minute")
        return WorkerReport(
            str(said["name"]),
            tuple(map(str, said["troubles"])),
            None if sent is None else int(sent),
            tuple(map(str, said.get("refusals", ()))),
            tuple(RelayReport(str(each["name"]), str(each["trouble"])) for each in said.get("relays", ())),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _lags(client: Redis) -> list[tuple[int, int]]:
    """Return for how many seconds each replica that INFO lists as online was not heard of, and its lag in bytes."""
    found: Any = client.info("replication")
    listed = [each for name, each in found.items() if name.startswith("slave") and isinstance(each, dict)]
    online = [each for each in listed if each.get("state") == "online"]
    written = int(found.get("master_repl_offset", 0))
    return [(int(each.get("lag", 0)), max(0, written - int(each.get("offset", 0)))) for each in online]


def _memory(client: Redis) -> Memory | None:
    try:
        found: Any = client.info("memory")
        used = int(found["used_memory"]) - int(found.get("mem_not_counted_for_evict", 0))
        return Memory(used, int(found["maxmemory"]))
    except (KeyError, ValueError):
        return None
