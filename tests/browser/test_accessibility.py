"""Every page and state, looked at by axe (WCAG 2.2 AA and its good practices): both languages, colour schemes and sizes.

axe sees about half of what can be wrong; the keyboard and a narrow window are tried beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from sentinel import LocalTopology
from verifier.container import Container
from verifier.domain.callers import browser as caller_of_browser
from verifier.domain.codes import code_of
from verifier.domain.errors import ServiceUnavailable
from verifier.settings import Settings
from verifier.store import keyspace

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=800)
# 1280 pixels at a zoom of 400 % (WCAG 1.4.10).
NARROW = ViewportSize(width=320, height=640)
# Each language in both colour schemes and both sizes, and all pairs of these over the two languages.
SIGHTS: dict[str, list[tuple[Literal["light", "dark"], ViewportSize]]] = {
    "en": [("light", PHONE), ("dark", DESKTOP)],
    "ko": [("dark", PHONE), ("light", DESKTOP)],
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# A frame's document is a part of a page: its landmarks and headings are the page's.
RULES_IN_FRAMES = RULES[:-1]
FIND = "rules => axe.run({runOnly: rules, resultTypes: ['violations']})"


@dataclass
class Visit:
    """Somebody who looks at all pages."""

    page: Page
    container: Container
    topology: LocalTopology
    settings: Settings

    def send(self, field: str, text: str) -> None:
        """Fill in the only form and send it."""
        self.page.locator(field).fill(text)
        with self.page.expect_navigation():
            self.page.locator(field).press("Enter")

    def start(self, **fields: str) -> str:
        """Start a verification, change its record, and return the address of its page."""
        self.page.goto("/")
        self.send("#email", "ada@example.org")
        path = self.page.url
        if fields:
            with self.topology.admin(self.topology.current_master()) as master:
                master.hset(keyspace.record_key(path.rpartition("/")[2]), mapping=fields)
        return path

    def code_of(self, path: str) -> str:
        """Return the right code."""
        keys, rules = self.settings.keys, self.settings.rules
        code = code_of(path.rpartition("/")[2], "ada@example.org", keys.current, keys, rules)
        assert code is not None
        return code


def of_other_browser(visit: Visit) -> str:
    """Return the page of a verification that another browser started."""
    verification = visit.container.service.start("eve@example.org", caller=caller_of_browser("another"))
    return f"/verify/{verification.id}"


def states_of(visit: Visit) -> Iterator[str]:
    """Go from state to state; yield its name where the page shows it."""
    page = visit.page
    yield "address" if page.goto("/") else ""
    visit.send("#email", "ada")
    yield "wrong address"
    visit.send("#email", "ada@gmial.com")
    yield "slip in the address"
    waiting = visit.start()
    yield "code"
    visit.send("#code", "x")
    yield "no code"
    visit.send("#code", "".join(str(9 - int(digit)) for digit in visit.code_of(waiting)))
    yield "wrong code"
    page.goto(f"{waiting}/change")
    yield "change of the address"
    page.goto(f"{waiting}/delivery")
    yield "where the mail is"
    page.goto(waiting)
    visit.send("#code", visit.code_of(waiting))
    yield "verified"
    for name, fields in (
        ("sent", {"delivery_status": "sent"}),
        ("delayed", {"delivery_status": "deferred", "next_try_at": "9000000000"}),
        ("refused", {"delivery_status": "rejected", "sends": "2"}),
        ("given up", {"delivery_status": "abandoned"}),
        ("canceled", {"status": "canceled"}),
    ):
        page.goto(visit.start(**fields))
        yield name
        with visit.topology.admin(visit.topology.current_master()) as master:
            master.hset(keyspace.record_key(page.url.rpartition("/")[2]), "status", "canceled")
    page.goto(of_other_browser(visit))
    yield "another browser's"
    page.goto("/nowhere")
    yield "not found"


@pytest.fixture(params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> str:
    """The language of the pages."""
    return str(request.param)


@pytest.fixture
def context(browser: Browser, site: str, language: str) -> Iterator[BrowserContext]:
    """A browser whose pages speak the language."""
    with browser.new_context(base_url=site, locale=language, viewport=PHONE) as made:
        yield made


@pytest.fixture
def look(context: BrowserContext, language: str) -> Callable[[Page], list[str]]:
    """Return what axe finds on a page, in both colour schemes and sizes, and what is wrong in a narrow window."""

    def look_at(page: Page) -> list[str]:
        page.evaluate(AXE_SCRIPT)
        found = []
        rules = RULES_IN_FRAMES if page.url.endswith("/delivery") else RULES
        for scheme, size in SIGHTS[language]:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(size)
            for each in page.evaluate(FIND, rules)["violations"]:
                found += [f"{scheme} {size['width']}: {each['id']}: {node['html']}" for node in each["nodes"]]
        page.set_viewport_size(NARROW)
        if page.evaluate("document.documentElement.scrollWidth") > NARROW["width"]:
            found.append("wider than a narrow window")
        page.set_viewport_size(PHONE)
        assert page.locator("html").get_attribute("lang") == language
        return found

    return look_at


def test_axe_finds_nothing(
    context: BrowserContext,
    container: Container,
    topology: LocalTopology,
    settings: Settings,
    look: Callable[[Page], list[str]],
) -> None:
    """On no page, in no state."""
    visit = Visit(context.new_page(), container, topology, settings)
    found = {name: look(visit.page) for name in states_of(visit)}
    assert len(found) == 16
    assert {name: violations for name, violations in found.items() if violations} == {}


class Away:
    """A service that can't reach Redis."""

    def __init__(self, container: Container) -> None:
        self.rules = container.service.rules

    def start(self, *_: object, **__: object) -> None:
        """Say so."""
        raise ServiceUnavailable("Redis is away for a moment.", 60)

    get = start


def test_axe_finds_nothing_during_an_outage(
    context: BrowserContext, app: Flask, container: Container, look: Callable[[Page], list[str]]
) -> None:
    """On the page that waits to be loaded again, and on the one that waits to send its form again."""
    away: Any = Away(container)
    app.extensions["verifier"] = replace(container, service=away)
    page = context.new_page()
    page.goto(f"/verify/{'0' * 32}")
    # axe asks for a page that nobody has loaded anew under their eyes; this one has nothing on it that anybody types.
    waiting = [each for each in look(page) if "meta-refresh" not in each]
    page.goto("/")
    page.locator("#email").fill("ada@example.org")
    with page.expect_navigation():
        page.locator("#email").press("Enter")
    assert (waiting, look(page)) == ([], [])


@pytest.mark.parametrize("language", ["en"])
def test_the_wrong_would_be_found(context: BrowserContext, look: Callable[[Page], list[str]]) -> None:
    """A field without a name, and text that nobody can read, in one colour scheme only."""
    page = context.new_page()
    page.goto("/")
    page.evaluate("document.querySelector('label').remove()")
    page.evaluate(
        """() => {
          const style = new CSSStyleSheet();
          style.replaceSync("@media (prefers-color-scheme: dark) { .lead { color: #333a45; } }");
          document.adoptedStyleSheets = [style];
        }"""
    )
    found = " ".join(look(page))
    assert "dark 1280: color-contrast" in found
    assert "light 390: color-contrast" not in found
    assert "light 390: label" in found


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def phone(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Page]:
    """The tab of a phone."""
    with browser.new_context(base_url=site, java_script_enabled=request.param, viewport=PHONE) as context:
        yield context.new_page()


def test_the_keyboard_is_enough(
    phone: Page, container: Container, topology: LocalTopology, settings: Settings
) -> None:
    """All that can be pressed is reached in the order in which it is read, and it can be seen where one is."""
    visit, page = Visit(phone, container, topology, settings), phone
    page.goto("/")
    page.keyboard.type("ada@example.org")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    path = page.url
    expect(page.locator("#code")).to_be_focused()
    after = stops(page, "Tab")
    assert after[0] == "Verify"
    assert "한국어" in after
    page.locator("#code").focus()
    assert "Change the address" in stops(page, "Shift+Tab")
    page.locator("#code").focus()
    page.keyboard.type(visit.code_of(path))
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your address is verified")).to_be_visible()


def stops(page: Page, key: str) -> list[str]:
    """Press a key until it leads out of the page; return what it stopped at, all of which show that they have the focus."""
    found = []
    for _ in range(20):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement === document.body"):
            return found
        found.append(page.evaluate("document.activeElement.textContent.trim()"))
        # The document of a frame, in which one goes on.
        if page.evaluate("document.activeElement.tagName") != "IFRAME":
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", found
    raise AssertionError(f"{key} goes round in circles: {found}")
