"""Who may see a verification, and who may do more with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from verifier.domain.callers import (
    Caller,
    CallerKind,
    browser,
    read_client_ip,
    require_seen,
    require_started,
)
from verifier.domain.errors import StartedElsewhere, VerificationNotFound
from verifier.store.records import new_verification

SHOP, BANK, ANYBODY = Caller(CallerKind.KEY, "shop"), Caller(CallerKind.KEY, "shop2"), Caller(CallerKind.OPEN)
ADA, EVE = browser("ada's"), browser("eve's")
STARTED = new_verification("0" * 32, "ada@example.org", "k", 0, 600)


@pytest.mark.parametrize("starter", [SHOP, ANYBODY, ADA])
def test_who_started_it_may_do_everything(starter: Caller) -> None:
    """Whatever address of a person a backend names."""
    require_started(replace(starter, client_ip="192.0.2.1"), replace(STARTED, started_by=starter.mark))


@pytest.mark.parametrize(
    ("starter", "other"),
    [
        (SHOP, BANK),
        (SHOP, ADA),
        (SHOP, ANYBODY),
        (ADA, SHOP),
        (ADA, ANYBODY),
        (ANYBODY, SHOP),
        (ANYBODY, ADA),
    ],
)
def test_for_others_there_is_none(starter: Caller, other: Caller) -> None:
    """Another key, a page, anybody."""
    for require in (require_seen, require_started):
        with pytest.raises(VerificationNotFound):
            require(other, replace(STARTED, started_by=starter.mark))


def test_another_browser_may_see_it_and_no_more() -> None:
    """To type the code on a phone."""
    verification = replace(STARTED, started_by=ADA.mark)
    require_seen(EVE, verification)
    with pytest.raises(StartedElsewhere):
        require_started(EVE, verification)


def test_what_an_older_release_started_is_everybodys_who_has_its_id() -> None:
    """As it was then; it is gone within minutes."""
    for caller in (SHOP, ANYBODY, ADA, None):
        require_started(caller, STARTED)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_a_client_ip_has_one_form(text: str, address: str) -> None:
    """So that nobody is two by writing it in two ways."""
    assert read_client_ip(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "localhost",
        "192.0.2",
        "192.0.2.7:80",
        "192.0.2.07",
        "192.0.2.0/24",
        "fe80::1%eth0",
        "[::1]",
        "1",
    ],
)
def test_what_is_no_client_ip_is_refused(text: str) -> None:
    """A zone means something on its own host only."""
    with pytest.raises(ValueError):
        read_client_ip(text)
