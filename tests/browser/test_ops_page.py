"""The operators' page in a real browser: through a real failover, on a phone, without JavaScript, read aloud."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from sentinel import LocalTopology
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier import create_app
from verifier.container import Container, install
from verifier.ops.page.board import board_of
from verifier.settings import Settings

pytestmark = pytest.mark.browser

PASSWORD = "9vX-hb3Kq_Zt7wLr"
SOON_MS = 30_000
# The name on the node that is drawn as the master.
MASTER = ".picture.wide .box.master > .name"
Open = Callable[..., Page]


@pytest.fixture
def app(settings: Settings, container: Container) -> Iterator[Flask]:
    """An app with the operators' page, on the shared topology; nobody works for its mails."""
    ours = replace(settings, ops_password=PASSWORD)
    made = create_app(ours)
    install(made, replace(container, settings=ours))
    yield made
    board = board_of(made)
    assert board is not None
    board.close()


@pytest.fixture
def open_page(browser: Browser, site: str) -> Iterator[Open]:
    """Open the page in tabs of their own, logged in; asserts at the end that nothing was forbidden by our policy."""
    broken: list[str] = []
    contexts = []

    def opening(width: int = 1600, height: int = 900, **how: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=site, **how)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: broken.append(str(error)))
        tab.on("console", lambda message: broken.append(message.text) if "Policy" in message.text else None)
        tab.goto("/ops")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").click()
        expect(tab.get_by_role("heading", name="Redis and Sentinel")).to_be_visible(timeout=SOON_MS)
        return tab

    yield opening
    for context in contexts:
        context.close()
    assert broken == []


def test_the_drawn_master_follows_a_failover(open_page: Open, topology: LocalTopology) -> None:
    """Live, without a reload, and the address in the browser stays."""
    topology.heal()
    page = open_page()
    old = topology.current_master()
    expect(page.locator(MASTER)).to_have_text(str(old.endpoint), timeout=SOON_MS)
    expect(page.locator("#age")).to_have_text("Live", timeout=SOON_MS)
    page.evaluate("window.notReloaded = true")
    old.kill()
    try:
        expect(page.locator(".picture.wide .box.silent > .name")).to_have_text(
            str(old.endpoint), timeout=SOON_MS
        )
        expect(page.locator(MASTER)).not_to_have_text(str(old.endpoint), timeout=FAILOVER_WITHIN_S * 1000)
        assert page.locator(MASTER).text_content() == str(topology.current_master().endpoint)
        assert page.evaluate("window.notReloaded")
    finally:
        topology.heal()
    expect(page.locator(".picture.wide .box.replica")).to_have_count(2, timeout=SOON_MS)


def test_without_sentinels_the_last_known_state_stays_with_its_age(
    open_page: Open, topology: LocalTopology
) -> None:
    """In red, and the page says why; a reload shows the same."""
    topology.heal()
    page = open_page()
    master = str(topology.current_master().endpoint)
    expect(page.locator(MASTER)).to_have_text(master, timeout=SOON_MS)
    watchers = [each for each in topology.processes if each.endpoint in topology.sentinels]
    for each in watchers:
        each.pause()
    try:
        expect(page.locator("#age.stale")).to_contain_text("Last known state", timeout=SOON_MS)
        expect(page.locator(".verdict.bad .sentence")).to_contain_text(
            "None of the sentinels", timeout=SOON_MS
        )
        page.reload()
        expect(page.locator(MASTER)).to_have_text(master)
        expect(page.locator("#age.stale")).to_be_visible()
    finally:
        for each in watchers:
            each.resume()
        topology.heal()
    expect(page.locator("#age")).to_have_text("Live", timeout=SOON_MS)


def test_on_a_phone_without_javascript(open_page: Open, topology: LocalTopology) -> None:
    """It fits, renews itself, and buttons work."""
    topology.heal()
    page = open_page(390, 844, java_script_enabled=False)
    assert 'http-equiv="refresh" content="5"' in page.content()
    expect(page.locator(".picture.tall .box.master > .name")).to_be_visible()
    expect(page.locator(".picture.wide")).to_be_hidden()
    loaded = time.monotonic()
    with page.expect_navigation(timeout=SOON_MS):
        pass
    assert time.monotonic() - loaded < SOON_MS
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1600, 390])
def test_it_is_accessible(open_page: Open, topology: LocalTopology, colours: str, width: int) -> None:
    """By axe's rules, in both colour schemes, on a wall and on a phone; the login, too."""
    topology.heal()
    page = open_page(width, 900, color_scheme=colours)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
