"""The link in the mail, in a real browser: the code is filled in, stays out of requests, and does nothing by itself."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import Browser, expect

from verifier.container import Container
from verifier.domain.callers import browser as caller_of_browser
from verifier.domain.codes import code_of
from verifier.domain.verifications import Status

pytestmark = pytest.mark.browser


def test_the_code_is_filled_in_and_somebody_presses_the_button(
    browser: Browser, site: str, container: Container
) -> None:
    """In another browser than the one that started it; a scanner that was there first has changed nothing."""
    service, settings = container.service, container.settings
    verification = service.start("grace@example.org", caller=caller_of_browser("another"))
    code = code_of(verification.id, verification.address, verification.key_id, settings.keys, settings.rules)
    path = f"/verify/{verification.id}"
    for method in ("GET", "HEAD"):
        with urllib.request.urlopen(urllib.request.Request(f"{site}{path}", method=method)) as answer:  # noqa: S310 - our own
            assert answer.status == 200
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url + (request.post_data or "")))
        page.goto(f"{path}#code={code}")
        expect(page.locator("#code")).to_have_value(str(code))
        expect(page).to_have_url(f"{site}{path}")
        expect(page.get_by_text("grace@example.org")).to_have_count(0)
        assert not any(str(code) in each.removesuffix(f"#code={code}") for each in asked)
        assert service.status(service.get(verification.id)) is Status.PENDING
        page.locator("form:has(#code) button[type=submit]").click()
        expect(page.locator("#code")).to_have_count(0)
    assert service.status(service.get(verification.id)) is Status.APPROVED


@pytest.mark.parametrize("fragment", ["code=abc", "code=", "code=12345678901", "code=%3Cb%3E", "elsewhere"])
def test_a_link_with_anything_else_fills_in_nothing(
    browser: Browser, site: str, container: Container, fragment: str
) -> None:
    """Somebody else may have made it."""
    verification = container.service.start("grace@example.org")
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        page.goto(f"/verify/{verification.id}#{fragment}")
        page.wait_for_load_state()
        expect(page.locator("#code")).to_have_value("")
