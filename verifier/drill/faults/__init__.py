"""The faults, one by one. Each harms the service, lets that last, and undoes it.

A new fault is one function in the module of what it harms: the decorator says its name, its story and what the
service owes people in it.

failovers   of the master, planned, ordered or by mistake, and of the sentinels who decide on them
nodes       of Redis: processes, disks, memory
processes   of the service: web, workers, and the machines' clocks
mails       the queue before the workers, and the relay behind them
registry    the list, and the decorator
"""

from __future__ import annotations

from verifier.drill.faults import failovers, mails, nodes, processes
from verifier.drill.faults.registry import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "failovers", "mails", "nodes", "processes"]
