"""The list of faults, and what each of them is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from verifier.drill.fault_context import FaultContext
from verifier.drill.promise import Promise

Inject = Callable[[FaultContext], None]


@dataclass(frozen=True)
class Fault:
    """One thing that happens."""

    name: str
    story: str
    promise: Promise
    inject: Inject


FAULTS: dict[str, Fault] = {}
"""All faults by name, in the order in which a drill goes through them."""

NOTHING_MORE = Promise()
MOVES = Promise(switches=True)


def fault(name: str, story: str, promise: Promise = NOTHING_MORE) -> Callable[[Inject], Inject]:
    """Add the decorated function to the faults."""

    def add(inject: Inject) -> Inject:
        FAULTS[name] = Fault(name, story, promise, inject)
        return inject

    return add
