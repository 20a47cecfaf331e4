"""docs/security.md says only what is there: its tests exist, each item has a verdict, and its figures are the code's."""

from __future__ import annotations

import ast
import re
import ssl
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sentinel.tls import Tls, _load
from tests.support.limits import limits_of
from verifier.domain.limits import DAY_S, Limits
from verifier.domain.rules import Rules
from verifier.settings.weaknesses import FEWEST_DIGITS, LONGEST_LIFE_S, MOST_ATTEMPTS
from workers.smtp.relay_settings import RelaySettings, tls_context

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
VERDICTS = {"pass", "fail", "not applicable"}
ITEM = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}")
# The sections that the page looks at as a whole, each with the number of its items in version 5.0.0.
WHOLE = {
    "2.1": 3, "2.2": 3, "2.3": 5, "2.4": 2, "3.1": 1, "3.2": 3, "3.3": 5, "3.4": 8, "3.5": 8, "3.6": 1, "3.7": 5,
    "6.1": 3, "6.3": 8, "6.5": 8, "6.6": 4, "12.1": 5, "12.2": 2, "12.3": 5, "13.3": 4, "14.3": 3,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4,
}  # fmt: skip


def _tables(page: str) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Yield each table: its head, and its rows."""
    for block in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.MULTILINE):
        head, _, *rows = (
            tuple(cell.strip() for cell in line.strip("|").split("|")) for line in block.splitlines()
        )
        yield head, rows


def _items() -> list[tuple[str, ...]]:
    return [row for head, rows in _tables(PAGE) if head[0] == "item" for row in rows]


def _tests_in(cell: str) -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", cell)


@cache
def _functions_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_test_that_is_named_exists() -> None:
    """The file, a file of tests that pytest finds, and the function where one is named."""
    named = sorted(set(_tests_in(PAGE)))
    assert len(named) > 20
    for each in named:
        file, _, function = each.partition("::")
        assert (ROOT / file).is_file(), each
        assert Path(file).name.startswith("test_"), each
        assert not function or (function.startswith("test_") and function in _functions_in(file)), each


def test_every_row_is_whole() -> None:
    """As many cells as its table's head, none of them empty."""
    for head, rows in _tables(PAGE):
        assert rows, head
        for row in rows:
            assert len(row) == len(head), row
            assert all(row), row


@pytest.mark.parametrize("row", _items(), ids=lambda row: str(row[0]))
def test_an_item_has_a_verdict_and_what_holds_it(row: tuple[str, ...]) -> None:
    """What passes has a test; what fails may lack one, and says so by a dash."""
    number, asks_for, verdict, why, test = row
    assert ITEM.fullmatch(number)
    assert asks_for
    assert verdict in VERDICTS
    assert why
    assert _tests_in(test) or (test == "-" and verdict != "pass")


def test_no_item_is_judged_twice_and_none_left_out() -> None:
    """Sections that are looked at as a whole have all their items."""
    numbers = [row[0] for row in _items()]
    assert sorted(set(numbers)) == sorted(numbers)
    wanted = {f"{section}.{number + 1}" for section, count in WHOLE.items() for number in range(count)}
    assert sorted(wanted - set(numbers)) == []
    beyond = {each for each in set(numbers) - wanted if each.rpartition(".")[0] in WHOLE}
    assert sorted(beyond) == []


@pytest.mark.parametrize("head", ["promise", "attack"])
def test_each_promise_and_each_attack_names_a_test(head: str) -> None:
    """By the function, so that somebody can run it."""
    [rows] = [rows for names, rows in _tables(PAGE) if names[0] == head]
    assert len(rows) >= 8
    for row in rows:
        assert _tests_in(row[-1]), row
        assert all("::" in each for each in _tests_in(row[-1])), row


def test_figures_are_those_of_the_shipped_limits() -> None:
    """Whoever changes a limit changes the page."""
    limits, rules = Limits(), Rules()
    wrong, mails = limits.wrong_codes_per_address, limits.mails_per_address
    mine, network = limits.mails_per_address_and_network, limits.mails_per_network
    in_a_year = 365 * DAY_S / max(rate.step_s for rate in wrong.rates)
    sentences = [
        f"at most {wrong.most_within(DAY_S)} codes judged in the worst 24 hours, {limits.guesses_a_day():.0f} where",
        f"1 in {1 / limits.guess_chance_a_day(rules):,.0f}, and settings above 1 in 1,000 stop the start",
        f"{wrong.most_within(0)} at once, {wrong.most_within(3600)} within an hour, {wrong.most_within(DAY_S)} in the",
        f"1 in {10**6 / wrong.most_within(DAY_S):,.0f} a day, 1 in {1 / limits.guess_chance_a_day(rules):,.0f} while",
        f"tries {in_a_year:,.0f} codes for one address, a chance of {100 * (1 - (1 - 1e-6) ** in_a_year):.0f} in 100",
        f"may type {limits.wrong_codes_per_network.most_within(DAY_S):,} wrong codes in the worst day",
        f"{mine.most_within(0)} mails at once and {mine.most_within(DAY_S)} in the worst day, from all together",
        f"from all together {mails.most_within(0)} and {mails.most_within(DAY_S)} |",
        f"up to {mails.most_within(0)} mails at once and {mails.most_within(DAY_S)} in a day",
        f"{network.most_within(0)} at once and one more every {network.rates[0].step_s:.0f} seconds",
        f"fewer than {FEWEST_DIGITS} digits, over {LONGEST_LIFE_S} seconds, over {MOST_ATTEMPTS} attempts",
    ]
    page = re.sub(r"\s+", " ", PAGE)
    assert [sentence for sentence in sentences if sentence not in page] == []
    assert limits_of("off").guess_chance_a_day(rules) == 1


def test_only_tls_of_today_is_spoken() -> None:
    """By the proxy's file, to Redis and Sentinel, and to relays."""
    proxy = (ROOT / "deploy" / "proxy" / "start-proxy.sh").read_text(encoding="utf-8")
    assert re.findall(r"ssl_protocols ([^;]+);", proxy) == ["TLSv1.2 TLSv1.3"]
    relay = RelaySettings(
        "relay", "relay.example.org", 465, security="tls", connect_timeout_s=5, command_timeout_s=5
    )
    for context in (_load(Tls()), tls_context(relay)):
        assert context is not None
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_how_to_report_is_told() -> None:
    """In private, and both pages lead to each other."""
    told = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private vulnerability reporting" in told
    assert "docs/security.md" in told
    assert "SECURITY.md" in PAGE
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/security.md)" in readme
    assert "(SECURITY.md)" in readme
