"""`flask worker`: runs a worker, or several processes of it."""

from __future__ import annotations

import os
import sys

import click


@click.command("worker")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="For several cores."
)
@click.option("--burst", is_flag=True, help="Stop when the queue is empty.")
@click.option("--name", help="The name RQ knows the worker by; random by default.")
def worker_command(*, processes: int, burst: bool, name: str | None) -> None:
    """Run a worker that sends the mails."""
    # Imported here so that the web process does not carry what only a worker needs.
    from verifier.loglines import configure_logging, early_settings  # noqa: PLC0415
    from verifier.metrics import shared  # noqa: PLC0415
    from verifier.settings import SettingsError, load_settings  # noqa: PLC0415
    from workers.container import WorkerContainer, make_worker_container  # noqa: PLC0415
    from workers.metrics.server import MetricsServer, listen  # noqa: PLC0415
    from workers.processes import Processes  # noqa: PLC0415
    from workers.worker import MailWorker  # noqa: PLC0415

    configure_logging(early_settings(os.environ))
    try:
        settings = load_settings()
        if processes > 1 and settings.metrics.worker_port:
            shared.count_together()
        container = make_worker_container(settings)
        listening = listen(settings.metrics)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None

    def show(container: WorkerContainer) -> None:
        if listening is not None:
            MetricsServer(listening, container.metrics_page, settings.metrics.token).start()

    if processes == 1:
        show(container)
        MailWorker(container, name=name).work(burst=burst)
        return
    if burst:
        raise click.UsageError("--burst is for one process.")

    def work(number: int) -> None:
        own = make_worker_container(settings)
        show(own)
        MailWorker(own, name=f"{name}-{number}" if name else None).work()

    sys.exit(Processes(processes, work).run())
