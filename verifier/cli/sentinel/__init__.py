"""`flask sentinel`: the operators' view of the topology, and the planned switchover.

They work with the operators' users of the settings; where those are empty, with the app's.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress

import click

from verifier.cli.sentinel.doctor import doctor_command
from verifier.cli.sentinel.history import history_command
from verifier.cli.sentinel.operators import find_running, queue, settings_of_redis
from verifier.cli.sentinel.repair import repair_command
from verifier.cli.sentinel.status import Status, take_status
from verifier.cli.sentinel.switchover import switchover_command
from verifier.cli.sheets import console_for_operators


@click.group("sentinel")
def sentinel_group() -> None:
    """Look at the Redis topology, move its master, and repair it."""
    find_running()


sentinel_group.add_command(doctor_command)
sentinel_group.add_command(history_command)
sentinel_group.add_command(switchover_command)
sentinel_group.add_command(repair_command)


@sentinel_group.command("status")
@click.option(
    "--json", "wants_json", is_flag=True, help="Print JSON for programs; with --watch one line each time."
)
@click.option(
    "--watch",
    "watch_every_s",
    type=click.FloatRange(0.2, 3600),
    is_flag=False,
    flag_value="2",
    metavar="[SECONDS]",
    help="Look again and again, each 2 seconds unless said otherwise, until Ctrl-C.",
)
def status_command(*, wants_json: bool, watch_every_s: float | None) -> None:
    """Show who is master, who follows, what each sentinel believes, and how the service fares.

    Exits with 1 when something is critical: writes fail now, or the next failover would; with 2 when there are only
    warnings; with 0 when nothing is wrong. After --watch it is the last look that counts.
    """
    redis, jobs = settings_of_redis(), queue()
    status = take_status(redis, jobs)
    _print_status(status, wants_json=wants_json, watches=watch_every_s is not None)
    with suppress(KeyboardInterrupt):
        while watch_every_s is not None:
            time.sleep(watch_every_s)
            status = take_status(redis, jobs)
            _print_status(status, wants_json=wants_json, watches=True)
    raise SystemExit(status.exit_code)


def _print_status(status: Status, *, wants_json: bool, watches: bool) -> None:
    if wants_json:
        click.echo(json.dumps(status.for_programs(), indent=None if watches else 2))
        return
    console = console_for_operators()
    if watches:
        console.clear()  # nothing, where it is no terminal
    console.print(status.for_people())
    if watches and not console.is_terminal:
        console.print()
