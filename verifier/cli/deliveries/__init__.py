"""`flask deliveries`: what is owed, what was given up, and what an operator can do about it.

context      what each command works with, and how Redis's errors are said
tables       deliveries for people and programs
filters      the options that choose deliveries
looking      list, show
queue        the state of the queue and of the workers
requeueing   requeue: some by their ids, or all that match, spread over time
discarding   discard: dead letters, and with --owed what is still owed

Exact where the public pages are coarse: `list` and `show` have addresses and the relay's own words; the code is nowhere.
Exits with 0 when all was done, with 1 when something could not be done, with 2 when it was asked wrongly.
"""

from __future__ import annotations

import click

from verifier.cli.deliveries.discarding import discard_command
from verifier.cli.deliveries.looking import list_command, show_command
from verifier.cli.deliveries.queue import queue_command
from verifier.cli.deliveries.requeueing import requeue_command
from verifier.cli.sentinel.operators import find_running

__all__ = ["deliveries_group"]


@click.group("deliveries")
def deliveries_group() -> None:
    """Look after mails that are owed, and after dead letters."""
    find_running()


for each in (list_command, show_command, queue_command, requeue_command, discard_command):
    deliveries_group.add_command(each)
