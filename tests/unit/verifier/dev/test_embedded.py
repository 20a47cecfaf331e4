"""What `flask run` brings without settings."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from verifier.dev.embedded import ROOMY_LIMITS, PortTaken, RunOptions, require_free, start, where_mails_go
from verifier.domain.limits import Limits, parse_limit
from verifier.settings import MailRelay, MailSettings, known_names

PREFIX = "VERIFIER_LIMIT_"


def test_whoever_tries_the_service_trips_over_no_limit() -> None:
    """Time and again with the same address; what is allowed there is still limited, and leaves room to others."""
    assert set(ROOMY_LIMITS) <= known_names()
    named = {name.removeprefix(PREFIX).lower(): parse_limit(text) for name, text in ROOMY_LIMITS.items()}
    assert all(limit.rates[0].count >= 200 for limit in named.values())
    assert list(replace(Limits(), **named).without_room()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_named_before_anything_starts(host: str) -> None:
    """With what to do; the environment is as it was."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = dict.fromkeys(["PATH"], "/bin")
        with pytest.raises(
            PortTaken, match=rf"port {port} can't be used: something else listens there\. .*PORT=9000"
        ):
            start(RunOptions(host, port, reloads=False), environ)
    assert environ == {"PATH": "/bin"}


def test_a_port_or_host_that_is_none_is_named_too() -> None:
    """In the system's words."""
    with pytest.raises(PortTaken, match="port 70000 can't be used"):
        require_free(RunOptions("127.0.0.1", 70000, reloads=False))
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1"):
        require_free(RunOptions("192.0.2.1", 0, reloads=False))
    require_free(RunOptions("127.0.0.1", 0, reloads=False))


def test_it_is_said_where_mails_go() -> None:
    """Also where somebody runs another mail server on this machine."""

    def going_to(*relays: MailRelay) -> str:
        return where_mails_go(MailSettings(relays=relays), "127.0.0.1:4025")

    assert going_to(MailRelay("127.0.0.1", 4025)) == ""
    assert "Mails go to 127.0.0.1:1025, as" in going_to(MailRelay("127.0.0.1", 1025))
    assert "a.example:25 and b.example:25" in going_to(MailRelay("a.example", 25), MailRelay("b.example", 25))
