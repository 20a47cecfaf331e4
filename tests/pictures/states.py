"""Every page in every state, for looking at: phone and desktop, light and dark, in both languages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from sentinel import LocalTopology
from tests.browser.test_accessibility import DESKTOP, PHONE, Visit, states_of
from tests.pictures.readme import log_in
from tests.pictures.service import Service, running_service
from tests.support.api.serving import served
from tests.support.topologies import QUICK, settings_on
from verifier import create_app
from verifier.container import install, make_container

LANGUAGES = ("en", "ko")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# How a verification ends that nobody's hand ends: what then stands in its record.
ENDS = {"expired": {"expires_at": "1"}, "too many attempts": {"attempts": "3"}}


@dataclass
class Album:
    """The pictures of one language."""

    into: Path
    language: str
    made: list[Path] = field(default_factory=list)

    def take(self, page: Page, state: str) -> None:
        """Take what the page shows: in both sizes and colour schemes."""
        number = len(self.made) // (2 * len(SCHEMES))
        for device, size in (("phone", PHONE), ("desktop", DESKTOP)):
            page.set_viewport_size(size)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                name = f"{number:02} {state} {self.language} {device} {scheme}"
                self.made.append(self.into / f"{name.replace(' ', '-').replace(chr(39), '')}.png")
                page.screenshot(path=self.made[-1], full_page=True)
        page.set_viewport_size(PHONE)


def take(browser: Browser, into: Path) -> list[Path]:
    """Write a picture of each; return where they are."""
    albums = [Album(into, language) for language in LANGUAGES]
    with _persons_site() as (site, visit_on):
        for album in albums:
            with browser.new_context(base_url=site, locale=album.language, viewport=PHONE) as context:
                _take_persons(album, visit_on(context.new_page()))
    with running_service() as service:
        for album in albums:
            with browser.new_context(
                base_url=service.address, locale=album.language, viewport=PHONE
            ) as context:
                _take_others(album, context.new_page(), service)
    return [path for album in albums for path in album.made]


class _Visits:
    """Makes a visit of a page."""

    def __init__(self, topology: LocalTopology) -> None:
        self.settings = settings_on(topology)
        self.container = make_container(self.settings)
        self._topology = topology

    def __call__(self, page: Page) -> Visit:
        return Visit(page, self.container, self._topology, self.settings)


@contextmanager
def _persons_site() -> Iterator[tuple[str, _Visits]]:
    """Serve an app whose records can be changed; its request lines are nobody's interest."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with LocalTopology(QUICK) as topology:
        visits = _Visits(topology)
        app = create_app(visits.settings)
        install(app, visits.container)
        with served(app) as site:
            yield site, visits
        visits.container.link.close()


def _take_persons(album: Album, visit: Visit) -> None:
    for state in states_of(visit):
        album.take(visit.page, state)
    for state, fields in ENDS.items():
        visit.page.goto(visit.start(**fields))
        album.take(visit.page, state)


def _take_others(album: Album, page: Page, service: Service) -> None:
    service.verify(f"ada.{album.language}@example.org", album.language)
    page.goto("/dev/mailbox")
    album.take(page, "mailbox")
    page.locator("article h2 a").first.click()
    album.take(page, "mail")
    page.goto("/docs")
    album.take(page, "reference of the API")
    page.goto("/ops")
    album.take(page, "operators' login")
    page.set_viewport_size(DESKTOP)
    log_in(page)
    album.take(page, "operators")
