"""Faults on a mail's way: of the queue before the workers, and of the relay behind them."""

from __future__ import annotations

from verifier.drill.fault_context import FaultContext
from verifier.drill.faults.registry import fault
from verifier.drill.promise import Promise

LATE_ANSWERS = 6


@fault("queue-loss", "the queue is deleted whole", Promise(mails_within_s=15.0))
def _queue_loss(context: FaultContext) -> None:
    """Pause the workers for two seconds first, so that the queue holds something to lose."""
    workers = context.service.workers
    for worker in workers:
        worker.pause()
    context.waiter.for_s(2.0)
    context.begin()
    with context.topology.admin(context.topology.current_master()) as client:
        client.delete(context.service.system.queue)
    for worker in workers:
        worker.resume()
    context.waiter.for_s(context.pace.dead_s)
    context.end()


@fault("relay-hang", "the relay keeps some senders waiting for the answer to the final dot")
def _relay_hang(context: FaultContext) -> None:
    """It has taken these mails: a second try is a second mail. Leave most senders to the others."""
    context.begin()
    context.mail_sink.answer_late(LATE_ANSWERS, context.pace.late_s)
    context.waiter.for_s(context.pace.late_s + 1.0)
    context.mail_sink.answer_late(0, 0.0)
    context.end()


@fault("relay-down", "the relay is down for a while and returns", Promise(mails_within_s=40.0))
def _relay_down(context: FaultContext) -> None:
    context.begin()
    context.mail_sink.go_away()
    context.waiter.for_s(context.pace.relay_down_s)
    context.end()
    context.mail_sink.come_back()
