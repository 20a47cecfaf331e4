"""What tells whether mail goes out, read in one step; `readiness` judges it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from verifier.store import keyspace
from verifier.store.canary import read_canary
from verifier.store.keyspace import Queue
from verifier.store.scripts import Argument, Step, load_script, run_steps

FACTS = load_script("facts", "clock", "records", "owed")
HEARTBEAT = load_script("heartbeat", "clock")

# A worker is taken for dead when it was not heard of for so long, in seconds; it speaks up each two.
ALIVE_FOR_S = 15.0
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


def read_facts(client: Redis, queue: Queue) -> Facts:
    """Ask Redis. Raises TransientError, PermanentError or Backpressure."""
    step = Step(
        FACTS,
        [keyspace.DUE, keyspace.LATE, queue.key, keyspace.LAST_SENT, keyspace.WORKERS],
        [keyspace.RECORD_PREFIX, keyspace.WORKER_PREFIX, ALIVE_FOR_S],
    )
    now, owed, oldest, last_sent, said = run_steps(client, [step], None)[0]
    canary = read_canary(client)
    return Facts(
        owed=int(owed),
        oldest_owed_s=max(0.0, float(now) - float(oldest)) if oldest and owed else 0.0,
        last_sent_s=max(0.0, float(now) - float(last_sent)) if last_sent else None,
        workers=tuple(report for each in said if (report := _report_in(each)) is not None),
        replicas=_replicas(client),
        memory_share=_memory_share(client),
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


def _replicas(client: Redis) -> int:
    """Count the replicas that INFO lists as online and heard of a moment ago."""
    found: Any = client.info("replication")
    listed = [each for name, each in found.items() if name.startswith("slave") and isinstance(each, dict)]
    return sum(each.get("state") == "online" and int(each.get("lag", 0)) <= CLOSE_WITHIN_S for each in listed)


def _memory_share(client: Redis) -> float | None:
    try:
        memory: Any = client.info("memory")
        limit = int(memory["maxmemory"])
        used = int(memory["used_memory"]) - int(memory.get("mem_not_counted_for_evict", 0))
    except (KeyError, ValueError):
        return None
    return used / limit if limit else None
