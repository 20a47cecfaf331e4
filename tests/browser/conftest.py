"""A served app and a browser to look at it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright

from tests.support.api.serving import served

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# No phoning home, and no sandbox since tests also run as root in containers; it only opens our own pages.
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; without it the test is skipped, but never where tests run for everybody."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set and there is no Chromium on the PATH: install it, the pages need it.")
        pytest.skip("No Chromium on the PATH (Debian: apt install chromium), so the pages are not driven.")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser with an empty profile; for one module, because its event loop occupies the thread."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """The address where the app is served."""
    with served(app) as address:
        yield address
