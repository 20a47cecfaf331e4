"""The embedded surroundings of `flask run`: a Sentinel topology, a mail server with a mailbox, a worker.

They exist only when `flask run` is started and no sentinels are configured. With the reloader there are two
processes: the outer one keeps topology and mailbox, so that they outlive reloads; the inner one, which is
started anew with each change of the code, serves the app and has the worker.
"""

from __future__ import annotations

import atexit
import errno
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from sentinel import LocalOptions, LocalTopology, wait_for
from verifier.dev import MAILBOX_VARIABLE, running
from verifier.dev.mail_server import ADDRESS_FILE, MaildirHandler, MailServer
from verifier.dev.request_lines import quieten_polling
from verifier.dev.worker_process import WorkerProcess
from verifier.domain.hosts import is_loopback_name
from verifier.settings import MailSettings, load_settings

ANSWERS_WITHIN_S = 60
MAIL_TEMPLATES = Path(__file__).resolve().parents[2] / "workers" / "mail" / "templates"
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


class PortTaken(Exception):
    """Nobody can listen on the address of `flask run`; the message says why, and what to do."""


def start(options: RunOptions, environ: MutableMapping[str, str]) -> tuple[Path, str]:
    """Start what is missing, point the settings in `environ` to it.

    Returns:
        The mailbox's directory, and a sentence on where mails go instead; empty where they go to the mailbox.

    Raises:
        PortTaken: the app could not be served; nothing was started.
        SettingsError: a setting is wrong.
        RedisServerMissing, LocalStartError, TopologyError: the topology does not start.
    """
    outer = MAILBOX_VARIABLE not in environ
    quieten_polling()
    _end_on_signals()
    if outer:
        require_free(options)
        if options.port:
            environ.setdefault("VERIFIER_PUBLIC_URL", options.url)
        # For the worker, whose lines stand between ours.
        environ.setdefault("VERIFIER_LOG_FORMAT", "text")
        environ.setdefault("VERIFIER_SECRET_KEYS", f"embedded:{secrets.token_hex(32)}")
        if not _names_a_relay(environ):
            for name, limit in ROOMY_LIMITS.items():
                environ.setdefault(name, limit)
        settings = load_settings()  # raises for a wrong one before anything is started
        if not settings.api_keys:
            environ.setdefault("VERIFIER_API_OPEN", "true")
        _start_surroundings(environ)
        running.publish(environ, options.url if options.port else "", options.port)
    mailbox = Path(environ[MAILBOX_VARIABLE])
    note = where_mails_go(load_settings(warn=False).mail, (mailbox.parent / ADDRESS_FILE).read_text())
    if not (outer and options.reloads):
        WorkerProcess(MAIL_TEMPLATES).start()
        _announce_when_it_answers(options, note)
    # Registered last, so it is the first thing that an end does: a second Ctrl-C changes nothing.
    atexit.register(_ignore_interrupts)
    return mailbox, note


def require_free(options: RunOptions) -> None:
    """Raise PortTaken unless the app can listen where `flask run` was told to; port 0 is any."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server does that listens there afterwards.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((options.host, options.port))
            probe.listen(1)
    except (OSError, OverflowError) as error:
        reason = (
            "something else listens there"
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            else str(error)
        )
        raise PortTaken(
            f"{options.host} port {options.port} can't be used: {reason}. Stop that, or take another port: "
            "`PORT=9000 make run`, or `flask run --port 9000`."
        ) from None


def _start_surroundings(environ: MutableMapping[str, str]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="verifier-mailbox-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    mail_server = MailServer(MaildirHandler(directory / "mails"))
    mail_server.start()
    (directory / ADDRESS_FILE).write_text(f"127.0.0.1:{mail_server.port}")
    atexit.register(mail_server.stop)
    topology = LocalTopology(LocalOptions())
    topology.start()  # it registers its own end
    environ.update(topology.environment())
    environ[MAILBOX_VARIABLE] = str(directory / "mails")
    if not _names_a_relay(environ):
        environ["VERIFIER_MAIL_SERVER"] = "127.0.0.1"
        environ["VERIFIER_MAIL_PORT"] = str(mail_server.port)
        for name in ("USERNAME", "PASSWORD", "USE_TLS", "USE_SSL"):
            environ.pop(f"VERIFIER_MAIL_{name}", None)
            environ.pop(f"VERIFIER_MAIL_{name}_FILE", None)


def _names_a_relay(environ: Mapping[str, str]) -> bool:
    """Return whether somebody has said where mails go."""
    names = ("VERIFIER_MAIL_SERVER", "VERIFIER_MAIL_RELAYS")
    return any(environ.get(name) or environ.get(f"{name}_FILE") for name in names)


def where_mails_go(mail: MailSettings, mailbox_address: str) -> str:
    """Return a sentence on where mails go; empty where it is the mailbox, which is at `host:port`."""
    relays = [f"{relay.host}:{relay.port}" for relay in mail.relays]
    if relays == [mailbox_address]:
        return ""
    return f"Mails go to {' and '.join(relays)}, as the settings say, not to the mailbox."


def _ignore_interrupts() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_on_signals() -> None:
    """End on SIGHUP and SIGTERM as Ctrl-C does, so that what was started is stopped."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(0))
        # A shell starts background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _announce_when_it_answers(options: RunOptions, note: str) -> None:
    """Print the addresses, from a thread, as soon as the app answers on them."""
    if options.port == 0:  # chosen by the system; the server prints it itself
        return
    threading.Thread(target=_announce, args=(options, note), name="banner", daemon=True).start()


def _announce(options: RunOptions, note: str) -> None:
    base = options.url
    if not wait_for(lambda: _answers(f"{base}/healthz"), ANSWERS_WITHIN_S):
        return
    lines = [
        "",
        f"  Verifier runs at     {base}",
        f"  Mails arrive at      {base}/dev/mailbox"
        if options.is_on_loopback and not note
        else f"  The mailbox is at    {base}/dev/mailbox"
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
