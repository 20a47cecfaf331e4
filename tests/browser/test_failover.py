"""A failover as somebody sees it who sends the form while the master dies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from sentinel import LocalTopology
from tests.support.topologies import FAILOVER_WITHIN_S

pytestmark = [pytest.mark.browser, pytest.mark.chaos]

WITHIN_MS = FAILOVER_WITHIN_S * 1000
# A request waits for ten seconds.
MOST_PRESSES = FAILOVER_WITHIN_S // 10


@pytest.fixture
def healed(topology: LocalTopology) -> Iterator[LocalTopology]:
    """The topology, healed afterwards."""
    yield topology
    topology.heal()


@pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_form_that_is_sent_while_the_master_dies_is_accepted(
    browser: Browser, site: str, healed: LocalTopology, scripted: bool
) -> None:
    """It waits for the new master, or says that it does and goes on; nobody types anything twice, and nothing is an error."""
    with browser.new_context(base_url=site, java_script_enabled=scripted) as context:
        page = context.new_page()
        page.goto("/")
        page.locator("#email").fill("ada@example.org")
        healed.current_master().kill()
        page.locator("#email").press("Enter")
        arrived = page.get_by_role("heading", name="Check your email")
        if not scripted:
            # After a while in which the service could not know what became of it, a button sends the same form again.
            again = page.get_by_role("button", name="Try again")
            for _ in range(MOST_PRESSES):
                expect(arrived.or_(again)).to_be_visible(timeout=WITHIN_MS)
                if arrived.is_visible():
                    break
                again.click()
        expect(arrived).to_be_visible(timeout=WITHIN_MS)
        expect(page.locator(".address").first).to_have_text("ada@example.org")
