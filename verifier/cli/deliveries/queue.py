"""`flask deliveries queue`: the state of the queue and of the workers, in place of `rq info`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click
from rich.text import Text

from verifier.cli.deliveries.context import command_context
from verifier.cli.deliveries.tables import span
from verifier.cli.sheets import Sheet, console_for_operators
from verifier.domain.times import iso_time
from verifier.store.delivery_search import QueueState, read_queue_state
from verifier.store.facts import read_facts
from verifier.store.keyspace import Queue


@click.command("queue")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON for programs.")
def queue_command(*, wants_json: bool) -> None:
    """Show what waits in the queue, what is owed and for how long, the next tries, and the workers."""
    with command_context() as context:
        queue = Queue(context.settings.queue)
        facts = context.link.run(lambda client: read_facts(client, queue))
        state = context.link.run(lambda client: read_queue_state(client, queue))
    now = time.time()
    if wants_json:
        told = {
            "queue": queue.name,
            "suspended": state.suspended,
            "jobs": state.jobs,
            "owed": facts.owed,
            "by_status": state.by_status,
            "late": state.late,
            "waiting_for_relay": state.waiting_for_relay,
            "oldest_owed_s": facts.oldest_owed_s,
            "last_sent_s": facts.last_sent_s,
            "next_tries": [iso_time(at) for at in state.next_tries],
            "dead_letters": state.dead_letters,
            "workers": [
                {
                    "name": each.name,
                    "sent_last_minute": each.sent_last_minute,
                    "troubles": list(each.troubles),
                }
                for each in facts.workers
            ],
        }
        click.echo(json.dumps(told, indent=2))
        return
    console = console_for_operators()
    for line in _lines(queue, facts, state, now):
        console.print(line)
    if facts.workers:
        table = Sheet(("Worker", "Sent in the last minute", "What keeps it"))
        for each in facts.workers:
            sent = "?" if each.sent_last_minute is None else str(each.sent_last_minute)
            table.add(each.name, sent, "; ".join(each.troubles) or "nothing")
        console.print(table)


def _lines(queue: Queue, facts: Any, state: QueueState, now: float) -> Iterator[Text]:
    suspended = "; WORK IS SUSPENDED: rq resume -c verifier.cli.rq_config" if state.suspended else ""
    yield Text(
        f"Queue {queue.name}: {state.jobs} jobs wait{suspended}.", style="bold red" if suspended else ""
    )
    kinds = ", ".join(f"{count} {status}" for status, count in state.by_status.items() if count)
    oldest = f", the oldest for {span(facts.oldest_owed_s)}" if facts.owed else ""
    yield Text(
        f"Owed: {facts.owed}{f' ({kinds})' if kinds else ''}{oldest}; {state.late} late, "
        f"{state.waiting_for_relay} wait for a relay."
    )
    if state.next_tries:
        soon = ", ".join(f"in {span(at - now)}" for at in state.next_tries)
        yield Text(f"Next tries of deferred mails: {soon}.")
    last = (
        "none was ever sent"
        if facts.last_sent_s is None
        else f"the last was sent {span(facts.last_sent_s)} ago"
    )
    yield Text(f"Sent: {last}. Dead letters: {state.dead_letters}.")
    if not facts.workers:
        yield Text("No worker is alive: start `flask worker`.", style="bold red")
