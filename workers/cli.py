"""`flask worker`: runs a worker."""

from __future__ import annotations

import click


@click.command("worker")
@click.option("--burst", is_flag=True, help="Stop when the queue is empty.")
@click.option("--name", help="The name RQ knows the worker by; random by default.")
def worker_command(*, burst: bool, name: str | None) -> None:
    """Run a worker that sends the mails."""
    # Imported here so that the web process does not carry what only a worker needs.
    from verifier.logs import configure_logging  # noqa: PLC0415
    from verifier.settings import SettingsError, load_settings  # noqa: PLC0415
    from workers.runtime import make_runtime  # noqa: PLC0415
    from workers.worker import MailWorker  # noqa: PLC0415

    configure_logging()
    try:
        runtime = make_runtime(load_settings())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    MailWorker(runtime, name=name).work(burst=burst)
