"""`flask deliveries` without Redis: what is asked wrongly, what is missing, how times and replies are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from verifier.cli.arguments import DurationType, NameType
from verifier.cli.deliveries import deliveries_group
from verifier.cli.deliveries.tables import Listing, listing_as_json, listing_for_people, moment, span
from verifier.domain.keys import new_secret
from verifier.domain.verifications import DeliveryStatus
from verifier.store.delivery_reports import DeliveryReport, Filter

ID = "0123456789abcdef" * 2
NOW = 1_800_000_000.0
DEFERRED = DeliveryReport(
    ID,
    1,
    DeliveryStatus.DEFERRED,
    "ann@example.org",
    2,
    NOW - 200,
    next_try_at=NOW + 7,
    relay_reply="451 later",
)
DEAD = DeliveryReport(
    ID,
    3,
    DeliveryStatus.REJECTED,
    "Bob@EXAMPLE.org",
    1,
    NOW - 9000,
    given_up_at=NOW - 90,
    expires_at=NOW - 5,
    relay_reply="550 [bold]no[/bold] :smile:",
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERIFIER_SECRET_KEYS", f"k:{new_secret()}")
    monkeypatch.delenv("VERIFIER_SENTINELS", raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(deliveries_group, words)


ALL_COMMANDS = pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("show", ID),
        ("requeue", ID),
        ("requeue", "--all", "--yes"),
        ("queue",),
        ("discard", ID),
        ("discard", "--all", "--yes"),
    ],
)


@ALL_COMMANDS
def test_without_sentinels_each_says_which_setting_is_missing(words: tuple[str, ...]) -> None:
    """One sentence, and 1."""
    result = run(*words)
    assert result.exit_code == 1
    assert result.output.strip().count("\n") == 0
    assert "VERIFIER_SENTINELS: It is not set." in result.output


@ALL_COMMANDS
def test_with_a_wrong_setting_each_names_it(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the service's start does."""
    monkeypatch.setenv("VERIFIER_RETENTION", "soon")
    result = run(*words)
    assert result.exit_code == 1
    assert "VERIFIER_RETENTION" in result.output


@ALL_COMMANDS
def test_with_redis_away_each_says_so_and_ends(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the deadline of a request, without a trace."""
    monkeypatch.setenv("VERIFIER_SENTINELS", "127.0.0.1:1")
    monkeypatch.setenv("VERIFIER_REQUEST_DEADLINE", "0.5")
    result = run(*words)
    assert result.exit_code == 1
    assert "Redis can't be reached" in result.output
    assert "127.0.0.1:1" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "abc"), "32 hexadecimal digits"),
        (("show", f"{ID}-x"), "32 hexadecimal digits"),
        (("requeue",), "either ids, or --all"),
        (("requeue", ID, "--all"), "either ids, or --all"),
        (("requeue", ID, "--over", "10m"), "go with --all"),
        (("requeue", ID, "--reply", "451"), "go with --all"),
        (("requeue", "--all", "--status", "sent"), "in no index"),
        (("discard", "--all", "--owed"), "nobody discards all"),
        (("list", "--since", "soon"), "not a duration"),
        (("discard",), "either ids, or --all"),
        (("discard", ID, "--all"), "either ids, or --all"),
        (("discard", ID, "--older-than", "1d"), "either ids, or --all"),
        (("discard", "--all", "--older-than", "soon"), "not a duration"),
        (("list", "--older-than", "-5"), "not a duration"),
        (("list", "--status", "lost"), "is not one of"),
        (("list", "--status", "sent"), "in no index"),
        (("list", "--limit", "0"), "not in the range"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_redis_is_asked(words: tuple[str, ...], says: str) -> None:
    """With 2, as everywhere."""
    result = run(*words)
    assert result.exit_code == 2
    assert says in result.output


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2 h", 7200), ("1D", 86400), ("0", 0)]
)
def test_durations_have_a_unit_or_are_seconds(typed: str, seconds: float) -> None:
    """In either case."""
    assert DurationType().convert(typed, None, None) == seconds


def test_an_id_may_have_a_number() -> None:
    """And is given back as it was typed, in lower case."""
    assert str(NameType().convert(ID.upper(), None, None)) == ID
    name = NameType().convert(f" {ID}-12", None, None)
    assert (name.verification_id, name.number, str(name)) == (ID, 12, f"{ID}-12")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m 0s"),
        (3599, "59m 59s"),
        (7260, "2h 1m"),
        (90000, "1d 1h"),
    ],
)
def test_spans_have_two_units(seconds: float, words: str) -> None:
    """More would be noise."""
    assert span(seconds) == words


def test_moments_are_exact_and_say_how_far_away_they_are() -> None:
    """In UTC."""
    assert moment(NOW + 5, NOW) == "2027-01-15T08:00:05.000Z (in 5s)"
    assert moment(NOW - 65, NOW) == "2027-01-15T07:58:55.000Z (1m 5s ago)"
    assert moment(None, NOW) == ""


@pytest.mark.parametrize(
    ("wanted", "owed", "dead"),
    [
        (Filter(), True, True),
        (Filter(frozenset({DeliveryStatus.REJECTED})), False, True),
        (Filter(address_part="@example.ORG"), True, True),
        (Filter(address_part="ANN"), True, False),
        (Filter(older_than_s=100), True, False),
        (Filter(older_than_s=201), False, False),
    ],
)
def test_filters_narrow_down(wanted: Filter, *, owed: bool, dead: bool) -> None:
    """By state, by a part of the address in any case, by how long it is owed or dead."""
    assert (wanted.wants(DEFERRED, NOW), wanted.wants(DEAD, NOW)) == (owed, dead)


def shown(*, owed: tuple[DeliveryReport, ...] = (), dead: tuple[DeliveryReport, ...] = (), width: int) -> str:
    console = Console(width=width, markup=True, no_color=True)
    with console.capture() as captured:
        console.print(listing_for_people(Listing(owed, dead, more=False), NOW, width))
    return captured.get()


def test_tables_show_what_was_said_as_it_was_said() -> None:
    """Nothing that a relay says is taken for colours or pictures; each id stands in one piece."""
    text = shown(owed=(DEFERRED,), dead=(DEAD,), width=200)
    for words in (DEFERRED.name, DEAD.name, "in 7s", "3m 20s", "1m 30s ago", "expired", DEAD.relay_reply):
        assert words in text


def test_a_narrow_terminal_loses_nothing() -> None:
    """Each delivery has lines of its own, none longer than the terminal."""
    text = shown(owed=(DEFERRED,), dead=(DEAD,), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for words in (DEFERRED.name, DEAD.name, DEAD.address, DEAD.relay_reply, "owed for 3m 20s", "rejected"):
        assert words in text


@pytest.mark.parametrize("width", [80, 200])
def test_an_empty_listing_is_a_sentence(width: int) -> None:
    """However wide."""
    assert "Nothing that matches is owed" in shown(width=width)


def test_a_forgotten_mail_is_shown_as_such() -> None:
    """With what is known of it."""
    forgotten = replace(DEAD, address="", relay_reply="", found_as="gone", expires_at=None)
    text = shown(dead=(forgotten,), width=200)
    assert "(forgotten)" in text
    assert "its record had ended" in text


def test_json_has_the_same_members_for_both() -> None:
    """Null where something is not known, times in UTC."""
    found = json.loads(json.dumps(listing_as_json(Listing((DEFERRED,), (DEAD,), more=True))))
    [owed], [dead] = found["owed"], found["dead_letters"]
    assert owed.keys() == dead.keys()
    assert found["more"] is True
    assert owed["next_try_at"] == "2027-01-15T08:00:07.000Z"
    assert owed["given_up_at"] is None
    assert (dead["id"], dead["status"], dead["relay_reply"]) == (f"{ID}-3", "rejected", DEAD.relay_reply)
