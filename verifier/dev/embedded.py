"""The embedded surroundings of `flask run`: a Sentinel topology, a mail server with a mailbox, a worker.

They exist only when `flask run` is started and no sentinels are configured. With the reloader there are two
processes: the outer one keeps topology and mailbox, so that they outlive reloads; the inner one, which is
started anew with each change of the code, serves the app and has the worker.
"""

from __future__ import annotations

import atexit
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import urllib.request
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from sentinel import LocalOptions, LocalTopology, wait_for
from verifier.dev import MAILBOX_VARIABLE
from verifier.dev.mail_server import MaildirHandler, MailServer
from verifier.dev.worker_process import WorkerProcess
from verifier.domain.hosts import is_loopback_name
from verifier.settings import load_settings

ANSWERS_WITHIN_S = 60
# Somebody who tries the service starts for the same address time and again, and the mails go nowhere but to the mailbox.
ROOMY_LIMITS = {
    "VERIFIER_LIMIT_MAILS_PER_ADDRESS_AND_NETWORK": "200/10m",
    "VERIFIER_LIMIT_MAILS_PER_ADDRESS": "400/10m",
    "VERIFIER_LIMIT_MAILS_PER_NETWORK": "2000/10m",
}


@dataclass(frozen=True)
class RunOptions:
    """How `flask run` was called."""

    host: str
    port: int
    reloads: bool

    @property
    def url(self) -> str:
        """The address under which a browser on this machine reaches it."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_on_loopback(self) -> bool:
        """Whether nobody else reaches what listens there."""
        return is_loopback_name(self.host)


def start(options: RunOptions, environ: MutableMapping[str, str]) -> Path:
    """Start what is missing, point the settings in `environ` to it, and return the mailbox's directory.

    Raises:
        SettingsError: a setting is wrong.
        RedisServerMissing, LocalStartError, TopologyError: the topology does not start.
    """
    outer = MAILBOX_VARIABLE not in environ
    _end_on_signals()
    if outer:
        if options.port:
            environ.setdefault("VERIFIER_PUBLIC_URL", options.url)
        environ.setdefault("VERIFIER_SECRET_KEYS", f"embedded:{secrets.token_hex(32)}")
        if not environ.get("VERIFIER_MAIL_SERVER"):
            for name, limit in ROOMY_LIMITS.items():
                environ.setdefault(name, limit)
        settings = load_settings()  # raises for a wrong one before anything is started
        if not settings.api_keys:
            environ.setdefault("VERIFIER_API_OPEN", "true")
        _start_surroundings(environ)
    mailbox = Path(environ[MAILBOX_VARIABLE])
    if not (outer and options.reloads):
        WorkerProcess().start()
        _announce_when_it_answers(options, _mail_note(environ))
    return mailbox


def _start_surroundings(environ: MutableMapping[str, str]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="verifier-mailbox-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    mail_server = MailServer(MaildirHandler(directory / "mails"))
    mail_server.start()
    atexit.register(mail_server.stop)
    topology = LocalTopology(LocalOptions())
    topology.start()  # it registers its own end
    environ.update(topology.environment())
    environ[MAILBOX_VARIABLE] = str(directory / "mails")
    if not environ.get("VERIFIER_MAIL_SERVER"):
        environ["VERIFIER_MAIL_SERVER"] = "127.0.0.1"
        environ["VERIFIER_MAIL_PORT"] = str(mail_server.port)
        for name in ("USERNAME", "PASSWORD", "USE_TLS", "USE_SSL"):
            environ.pop(f"VERIFIER_MAIL_{name}", None)
            environ.pop(f"VERIFIER_MAIL_{name}_FILE", None)


def _mail_note(environ: MutableMapping[str, str]) -> str | None:
    """Return where mails go when somebody has named a mail server of their own."""
    if environ["VERIFIER_MAIL_SERVER"] == "127.0.0.1":
        return None
    return f"Mails go to {environ['VERIFIER_MAIL_SERVER']} (VERIFIER_MAIL_SERVER), not to the mailbox."


def _end_on_signals() -> None:
    """End on SIGHUP and SIGTERM as Ctrl-C does, so that what was started is stopped."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(0))
        # A shell starts background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _announce_when_it_answers(options: RunOptions, note: str | None) -> None:
    """Print the addresses, from a thread, as soon as the app answers on them."""
    if options.port == 0:  # chosen by the system; the server prints it itself
        return
    threading.Thread(target=_announce, args=(options, note), name="banner", daemon=True).start()


def _announce(options: RunOptions, note: str | None) -> None:
    base = options.url
    if not wait_for(lambda: _answers(f"{base}/healthz"), ANSWERS_WITHIN_S):
        return
    lines = [
        "",
        f"  Verifier runs at     {base}",
        f"  Mails arrive at      {base}/dev/mailbox"
        if options.is_on_loopback
        else "  The mailbox is for this machine alone: run without --host to see it.",
        *([f"  {note}"] if note else []),
        "  Ctrl-C stops everything.",
        "",
    ]
    print("\n".join(lines), file=sys.stdout, flush=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return True
    except OSError:
        return False
