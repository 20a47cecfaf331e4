"""Print where the app and the mailbox are, as soon as the app answers."""

from __future__ import annotations

import sys
import threading
import time
import urllib.error
import urllib.request

WAIT_AT_MOST_S = 60


def announce_when_it_answers(host: str, port: int, note: str | None) -> None:
    """Print the addresses, from a thread, as soon as the app answers on them."""
    if port == 0:  # chosen by the system; the server prints it itself
        return
    threading.Thread(target=_announce, args=(host, port, note), name="banner", daemon=True).start()


def _announce(host: str, port: int, note: str | None) -> None:
    reachable = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
    base = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
    if not _answers(f"{base}/healthz"):
        return
    lines = [
        "",
        f"  Verifier runs at     {base}",
        f"  Mails arrive at      {base}/dev/mailbox",
        *([f"  {note}"] if note else []),
        "  Ctrl-C stops everything.",
        "",
    ]
    print("\n".join(lines), file=sys.stdout, flush=True)


def _answers(url: str) -> bool:
    deadline = time.monotonic() + WAIT_AT_MOST_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False
