"""Which language an answer and a mail speak: what was chosen, what the browser asks for, what the backend says."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.apps import container_of

KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"}
START = "/v1/verifications"
HANGUL = re.compile(r"[가-힣]")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser, or a backend."""
    return app.test_client()


def language_of(page: str) -> str:
    """Return the language that a page says it is in."""
    found = re.search(r'<html lang="([^"]+)">', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("asked_for", "language"),
    [
        (None, "en"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("de, ko;q=0.5", "ko"),
        ("en, ko;q=0.5", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("x;;;=,,,\u202e", "en"),
        ("ko;q=0", "en"),
    ],
)
def test_a_page_speaks_what_the_browser_asks_for(
    client: FlaskClient, asked_for: str | None, language: str
) -> None:
    """Also an error page; what is asked for and not there is English."""
    headers = {"Accept-Language": asked_for} if asked_for else {}
    for path in ("/", "/nowhere"):
        page = client.get(path, headers=headers).text
        assert language_of(page) == language
        heading = re.search(r"<h1>(.*?)</h1>", page)
        assert heading is not None
        assert bool(HANGUL.search(heading[1])) is (language == "ko")


def test_what_was_chosen_stays(client: FlaskClient) -> None:
    """Whatever the browser asks for, on every page from then on; each page links to the others."""
    page = client.get("/?language=ko").text
    assert language_of(page) == "ko"
    assert '<a href="?language=en" lang="en" hreflang="en">English</a>' in page
    assert language_of(client.get("/nowhere", headers={"Accept-Language": "en"}).text) == "ko"
    assert language_of(client.get("/?language=en", headers=KOREAN).text) == "en"


def test_the_links_to_other_languages_lead_nowhere_else(client: FlaskClient) -> None:
    """An address that begins with two slashes is another host's in a link, and the page that it is not found has links, too."""
    page = client.get("/", environ_overrides={"PATH_INFO": "//elsewhere.example/"})
    assert page.status_code == 404
    assert "elsewhere.example" not in page.text
    assert 'href="?language=ko"' in page.text


@pytest.mark.parametrize("nonsense", ["xx", "../x", "", "%00", "k" * 3000])
def test_a_language_that_does_not_exist_changes_nothing(client: FlaskClient, nonsense: str) -> None:
    """The page speaks as before."""
    page = client.get(f"/?language={nonsense}", headers=KOREAN)
    assert page.status_code == 200
    assert language_of(page.text) == "ko"


def test_the_mail_speaks_as_the_page_did(app: Flask, client: FlaskClient) -> None:
    """The record says so, for whichever worker; an English one says nothing, as ever."""
    for headers, language in ((KOREAN, "ko"), ({}, "en")):
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)
        assert token is not None
        fields = {"csrf_token": token[1], "email": f"{language}@example.org"}
        place = client.post("/verify", data=fields, headers=headers).location
        verification = container_of(app).service.get(place.rpartition("/")[2])
        assert (verification.language or "en") == language


def test_a_person_gets_all_the_way_in_korean(client: FlaskClient) -> None:
    """No English is left on the pages but what is the same everywhere."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/?language=ko").text)
    assert token is not None

    def post(path: str, **fields: str) -> str:
        return client.post(path, data={"csrf_token": token[1], **fields}, follow_redirects=True).text

    wrong = post("/verify", email="ada")
    assert "이메일 주소를 입력해 주세요." in wrong
    started = client.post("/verify", data={"csrf_token": token[1], "email": "ada@example.org"}).location
    pages = [
        client.get("/").text,
        wrong,
        post("/verify", email="ada@gmial.com"),
        client.get(started).text,
        post(started, code="x"),
        post(started, code="000000"),
        post(f"{started}/resend"),
        client.get(f"{started}/change").text,
        client.get(f"{started}/delivery").text,
        client.get("/nowhere").text,
    ]
    for page in pages:
        text = html.unescape(re.sub(r"<[^>]*>", " ", page))
        left = re.sub(r"Example|English|\S+@\S+|gmail\.com|[\w.]+@example\.com\S*", " ", text)
        assert re.findall(r"[A-Za-z]{3,}", left) == []
    live = client.get(f"{started}/delivery.json").json
    assert live is not None
    assert HANGUL.search(live["sentence"])


def test_the_api_takes_the_language_of_the_mail(app: Flask, client: FlaskClient) -> None:
    """As BCP 47 writes it; without one the mail is English."""
    for body, language in (({"locale": "ko-KR"}, "ko"), ({"locale": "en"}, "en"), ({}, "")):
        answer = client.post(START, json={"to": f"api{language}@example.org", **body})
        assert answer.status_code == 201, answer.text
        assert container_of(app).service.get((answer.json or {})["id"]).language == language


@pytest.mark.parametrize(
    "locale", ["xx", "", "Korean", "k" * 3000, "ko\0", "\u202eko", "한국어", None, 7, ["ko"], {}]
)
def test_a_language_that_the_api_does_not_know_is_refused(client: FlaskClient, locale: object) -> None:
    """422 with a sentence; nothing is started."""
    answer = client.post(START, json={"to": "ada@example.org", "locale": locale})
    assert answer.status_code == 422
    assert (answer.json or {})["code"] == "invalid_request"
    assert '"locale"' in (answer.json or {})["detail"]


def test_problem_details_speak_what_is_asked_for(client: FlaskClient) -> None:
    """Code and members stay what they are."""
    answer = client.post(START, json={"to": "ada"}, headers=KOREAN)
    problem = answer.json or {}
    assert problem["code"] == "invalid_address"
    assert HANGUL.search(problem["detail"])
    assert HANGUL.search(problem["title"])
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")
