"""The pictures of README: a person's phone, the mailbox, and the operators' page through a failover."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.pictures.service import PASSWORD, Service

PERSON = "ada@example.org"
OTHERS = ("grace@example.org", "alan@example.org", "edsger@example.org")
SOON_MS = 60_000
FAILOVER_WITHIN_MS = 90_000
MASTER = ".picture.wide .box.master > .name"
# How long people come before and after the failover, so that the curves have something to show.
BEFORE_S, AFTER_S = 100.0, 15.0


def take(browser: Browser, service: Service, into: Path) -> list[Path]:
    """Write the pictures; return where they are."""
    made = [
        into / f"{name}.png" for name in ("check-your-email", "mailbox", "operators-failover", "operators")
    ]
    _phone(browser, service, made[0])
    for other in OTHERS:
        service.verify(other)
    _mailbox(browser, service, made[1])
    _operators(browser, service, made[2], made[3])
    return made


def _phone(browser: Browser, service: Service, path: Path) -> None:
    with browser.new_context(
        base_url=service.address, locale="en", viewport={"width": 390, "height": 790}, device_scale_factor=2
    ) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Email address").fill(PERSON)
        page.get_by_role("button", name="Send the code").click()
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible(timeout=SOON_MS)
        service.code_for(PERSON)
        # The page learns by itself that the relay has the mail.
        expect(page.locator("#sent")).to_be_visible(timeout=SOON_MS)
        page.screenshot(path=path, animations="disabled")


def _mailbox(browser: Browser, service: Service, path: Path) -> None:
    with browser.new_context(
        base_url=service.address, locale="en", viewport={"width": 900, "height": 660}
    ) as context:
        page = context.new_page()
        page.goto("/dev/mailbox")
        expect(page.locator("article")).to_have_count(1 + len(OTHERS), timeout=SOON_MS)
        page.screenshot(path=path, animations="disabled")


def _operators(browser: Browser, service: Service, during: Path, after: Path) -> None:
    service.verify_for(BEFORE_S)
    with browser.new_context(
        base_url=service.address, locale="en", viewport={"width": 1280, "height": 900}
    ) as context:
        page = context.new_page()
        log_in(page)
        old = page.locator(MASTER).text_content() or ""
        service.kill_node(int(old.rpartition(":")[2]))
        expect(page.locator(".picture.wide .box.silent > .name")).to_have_text(old, timeout=SOON_MS)
        page.screenshot(path=during, animations="disabled")
        expect(page.locator(MASTER)).not_to_have_text(old, timeout=FAILOVER_WITHIN_MS)
        service.verify_for(AFTER_S)
        page.screenshot(path=after, animations="disabled")


def log_in(page: Page) -> None:
    """Log in to the operators' page, and wait until it is live."""
    page.goto("/ops")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(MASTER)).to_be_visible(timeout=SOON_MS)
    expect(page.locator("#age")).to_have_text("Live", timeout=SOON_MS)
