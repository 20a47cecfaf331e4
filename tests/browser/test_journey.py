"""A person's whole way in a real browser, with JavaScript and without."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from sentinel import LocalTopology
from verifier.container import Container
from verifier.domain.codes import code_of
from verifier.domain.errors import ServiceUnavailable
from verifier.domain.verifications import Verification
from verifier.settings import Settings
from verifier.store import keyspace

pytestmark = pytest.mark.browser

ADDRESS = "ada@example.org"


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def scripted(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts."""
    return bool(request.param)


@pytest.fixture
def page(browser: Browser, site: str, scripted: bool) -> Iterator[Page]:
    """A phone's tab on the form; asserts at the end that nothing came from elsewhere and nothing broke."""
    with browser.new_context(
        viewport={"width": 390, "height": 844}, java_script_enabled=scripted, base_url=site
    ) as context:
        tab = context.new_page()
        asked: list[str] = []
        broken: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: broken.append(str(error)))
        tab.on("console", lambda message: broken.append(message.text) if "Policy" in message.text else None)
        tab.goto("/")
        yield tab
    assert all(url.startswith(site) for url in asked)
    assert not broken


def code_for(page: Page, settings: Settings) -> str:
    """Return the code that the mail would carry."""
    code = code_of(id_of(page), ADDRESS, settings.keys.current, settings.keys, settings.rules)
    assert code is not None
    return code


def id_of(page: Page) -> str:
    """Return the id of the verification that the tab shows."""
    return page.url.rsplit("/", 1)[-1]


def type_address(page: Page) -> None:
    """Fill in the form and arrive at the page of the code."""
    page.get_by_label("Email address").fill(ADDRESS)
    page.get_by_role("button", name="Send the code").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()


def test_from_the_address_to_the_verified_page(page: Page, settings: Settings) -> None:
    """A mistyped address, a wrong code, reloads that cost nothing, then the right one with words around it."""
    page.get_by_label("Email address").fill("ada@example")
    page.get_by_label("Email address").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This email address is not complete.")
    expect(page.get_by_label("Email address")).to_have_value("ada@example")
    expect(page.get_by_label("Email address")).to_be_focused()

    type_address(page)
    expect(page.get_by_text(ADDRESS).first).to_be_visible()
    expect(page.get_by_label("Code")).to_be_focused()

    right = code_for(page, settings)
    wrong = "".join(str(9 - int(digit)) for digit in right)
    page.get_by_label("Code").fill(wrong)
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("alert")).to_contain_text("not the right code. You have 2 attempts left.")

    page.reload()
    expect(page.get_by_text("You have 2 attempts left.")).to_be_visible()
    page.go_back()
    page.go_forward()
    expect(page.get_by_text("You have 2 attempts left.")).to_be_visible()

    page.get_by_label("Code").fill(f"Your code: {right[:3]} {right[3:]}.")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", name="Your address is verified")).to_be_visible()
    expect(page).to_have_title("Address verified \u2013 Example")
    page.reload()
    expect(page.get_by_role("heading", name="Your address is verified")).to_be_visible()


def test_the_mails_way_is_followed_while_the_code_is_typed(
    page: Page, topology: LocalTopology, scripted: bool
) -> None:
    """The sentence changes by itself, and what is half typed stays."""
    type_address(page)
    page.get_by_label("Code").fill("12")
    shown = page.locator("#mail") if scripted else page.frame_locator("iframe").locator("#mail")
    expect(shown).to_have_text("Your email is about to be sent.")
    with topology.admin(topology.current_master()) as master:
        master.hset(keyspace.record_key(id_of(page)), "delivery_status", "sent")
    expect(shown).to_contain_text("The email is on its way.", timeout=15_000)
    expect(page.get_by_label("Code")).to_have_value("12")


def test_the_address_can_be_changed(page: Page) -> None:
    """It stands in the field; the verification left behind says that it was canceled, and offers a new code."""
    type_address(page)
    left_behind = page.url
    page.get_by_role("link", name="Change the address").click()
    expect(page.get_by_label("Email address")).to_have_value(ADDRESS)
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_role("button", name="Send the code").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
    page.goto(left_behind)
    expect(page.get_by_text("This code was canceled")).to_be_visible()
    page.get_by_role("button", name="Send a new code").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()


def test_sending_again_too_soon(page: Page, scripted: bool) -> None:
    """With a script the button waits; without one, the page says how long to wait."""
    type_address(page)
    button = page.get_by_role("button", name="Send it again")
    if scripted:
        expect(button).to_be_disabled()
        expect(page.get_by_text(re.compile(r"You can send it again in [12]\d seconds"))).to_be_visible()
    else:
        button.click()
        expect(page.get_by_role("alert")).to_contain_text("can be sent again in")


@pytest.mark.parametrize("status", ["deferred", "rejected"])
def test_all_that_is_said_of_the_mail_can_be_read_on_a_phone(
    page: Page, topology: LocalTopology, scripted: bool, status: str
) -> None:
    """Without a script it stands in a frame, which is high enough; one that came to nothing leads on from there."""
    type_address(page)
    url = page.url
    with topology.admin(topology.current_master()) as master:
        fields = {"delivery_status": status, "next_try_at": "9000000000"}
        master.hset(keyspace.record_key(id_of(page)), mapping=fields)
    if scripted and status == "rejected":
        expect(page.get_by_role("link", name="Correct the address")).to_be_visible(timeout=15_000)
    if scripted:
        return
    frame = page.frame_locator("iframe")
    expect(frame.locator("#mail.bad" if status == "rejected" else "#mail", has_text="e")).to_contain_text(
        "typos" if status == "rejected" else "do anything", timeout=15_000
    )
    box = page.locator("iframe").bounding_box()
    inside = frame.locator("body").bounding_box()
    assert box is not None
    assert inside is not None
    assert inside["height"] <= box["height"]
    if status == "rejected":
        frame.get_by_role("link", name="Go on").click()
        expect(page.get_by_role("link", name="Correct the address")).to_be_visible()
        assert page.url == url


def test_a_page_is_not_taken_away_while_somebody_types(
    page: Page, topology: LocalTopology, scripted: bool
) -> None:
    """It says what happened, and leads on when it is asked to."""
    if not scripted:
        pytest.skip("Without a script a page never replaces itself.")
    type_address(page)
    page.get_by_label("Code").fill("12")
    with topology.admin(topology.current_master()) as master:
        master.hset(keyspace.record_key(id_of(page)), "delivery_status", "abandoned")
    expect(page.locator("#mail")).to_contain_text("Ask for a new code.", timeout=15_000)
    expect(page.get_by_label("Code")).to_have_value("12")
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("button", name="Send a new code")).to_be_visible()


def test_a_second_tab_notices_that_the_first_was_successful(
    page: Page, settings: Settings, scripted: bool
) -> None:
    """As soon as it is."""
    if not scripted:
        pytest.skip("Without a script a tab notices nothing by itself.")
    type_address(page)
    second = page.context.new_page()
    second.goto(page.url)
    expect(second.get_by_role("heading", name="Check your email")).to_be_visible()
    page.get_by_label("Code").fill(code_for(page, settings))
    page.get_by_role("button", name="Verify").click()
    expect(second.get_by_role("heading", name="Your address is verified")).to_be_visible(timeout=15_000)


def test_a_code_is_taken_out_of_what_is_pasted(page: Page, scripted: bool) -> None:
    """Where there is a script, at once."""
    if not scripted:
        pytest.skip("Without a script the service does it.")
    type_address(page)
    # The page can be seen before its script has run.
    page.wait_for_load_state()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text", "Your code: 308614");
          const paste = new ClipboardEvent("paste", { clipboardData: data, cancelable: true, bubbles: true });
          document.getElementById("code").dispatchEvent(paste);
        }"""
    )
    expect(page.get_by_label("Code")).to_have_value("308614")


TELL_WHAT_A_FORM_SAYS = """() => {
  const form = document.forms[0];
  new MutationObserver(() => console.log(form.querySelector("button").textContent, form.textContent))
    .observe(form, { childList: true, characterData: true, subtree: true });
}"""


class Slow:
    """A service that takes its time to start something, as in a failover, until it is let."""

    def __init__(self, container: Container) -> None:
        self._service = container.service
        self.clock = container.service.clock
        self.rules = container.service.rules
        self.may_go_on = threading.Event()

    def start(self, address: str, **how: Any) -> Verification:
        """Wait."""
        assert self.may_go_on.wait(60)
        return self._service.start(address, **how)

    def __getattr__(self, name: str) -> object:
        return getattr(self._service, name)


def test_a_form_that_waits_says_so(page: Page, app: Flask, container: Container, scripted: bool) -> None:
    """At once, on its button; it goes on by itself."""
    slow: Any = Slow(container)
    app.extensions["verifier"] = replace(container, service=slow)
    page.get_by_label("Email address").fill(ADDRESS)
    # A page that waits for the next one can't be asked, so it tells.
    button = page.get_by_role("button", name="Send the code")
    if scripted:
        page.evaluate(TELL_WHAT_A_FORM_SAYS)
        with page.expect_console_message(lambda said: "This takes longer than usual." in said.text) as slowly:
            button.click(no_wait_after=True)
        assert slowly.value.text.startswith("Sending…")
    else:
        button.click(no_wait_after=True)
    slow.may_go_on.set()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible(timeout=15_000)


class Recovering:
    """A service that can't reach Redis the first time it is asked to start something."""

    def __init__(self, container: Container) -> None:
        self._service = container.service
        self._away = True
        self.clock = container.service.clock
        self.rules = container.service.rules

    def start(self, address: str, **how: str) -> Verification:
        """Fail once."""
        if self._away:
            self._away = False
            raise ServiceUnavailable("Redis is away for a moment.", 1)
        return self._service.start(address, **how)

    def __getattr__(self, name: str) -> object:
        return getattr(self._service, name)


def test_an_address_survives_an_outage(page: Page, app: Flask, container: Container, scripted: bool) -> None:
    """The form sends itself again; without a script, a button does, and nothing has to be typed twice."""
    recovering: Any = Recovering(container)
    app.extensions["verifier"] = replace(container, service=recovering)
    page.get_by_label("Email address").fill(ADDRESS)
    page.get_by_label("Email address").press("Enter")
    expect(page.get_by_text("Redis is away for a moment.")).to_be_visible()
    if not scripted:
        page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible(timeout=10_000)
    expect(page.get_by_text(ADDRESS).first).to_be_visible()
