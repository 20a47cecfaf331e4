"""`flask drill`: practise failure on a private topology and report what it did to the mails."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click


@click.command("drill")
@click.option(
    "--fault", "names", multiple=True, metavar="NAME", help="A fault to inject; repeat it for several."
)
@click.option(
    "--rate", default=50.0, show_default=True, type=click.FloatRange(1, 500), help="Submissions a second."
)
@click.option(
    "--seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(1, 300),
    help="Seconds of load before each fault, and again after all is whole.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 8), help="Worker processes.")
@click.option(
    "--down-after",
    # A sentinel connects anew with a promoted master only once a second: with 1000 it may take it for dead
    # meanwhile, and the failover is followed by another.
    default=1500,
    show_default=True,
    type=click.IntRange(500, 10_000),
    help="Milliseconds of silence after which Sentinel takes a node for dead.",
)
@click.option(
    "--shipped", is_flag=True, help="Run with Sentinel's shipped times instead; --down-after does not count."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write figures there."
)
@click.option(
    "--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a report there."
)
@click.option("--peers", default="", metavar="rq,celery", help="Stock peers to put through the same faults.")
@click.option("--list", "only_list", is_flag=True, help="List the faults and end.")
def drill_command(
    *,
    names: tuple[str, ...],
    rate: float,
    seconds: float,
    workers: int,
    down_after: int,
    shipped: bool,
    json_file: Path | None,
    html_file: Path | None,
    peers: str,
    only_list: bool,
) -> None:
    """Break things on purpose, under load, and count what becomes of every mail.

    Starts a Redis topology, the web app, workers and a mail server on loopback, all of them private and
    gone afterwards. Ends with 1 when a promise was broken.
    """
    # Imported here so that the web process does not carry the drill.
    try:
        from verifier.drill.faults import FAULTS  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"The drill needs {error.name}, which only requirements-dev.txt brings: install that."
        ) from error

    if only_list:
        for fault in FAULTS.values():
            click.echo(f"{fault.name:16} {fault.story}")
        return
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]} is none of {', '.join(FAULTS)}", param_hint="--fault")
    from verifier.drill.fault_context import Pace  # noqa: PLC0415
    from verifier.drill.game_day import Plan  # noqa: PLC0415
    from verifier.drill.report import presenting  # noqa: PLC0415

    plan = Plan(
        faults=tuple(FAULTS[name] for name in names or FAULTS),
        systems=presenting.systems_under_test(peers),
        rate=rate,
        workers=workers,
        down_after_ms=None if shipped else down_after,
        pace=Pace(before_s=seconds, after_s=seconds),
    )
    # An ordinary end, so that whatever was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not presenting.run_and_present(plan, json_file, html_file):
        sys.exit(1)
