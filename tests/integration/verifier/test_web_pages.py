"""The pages on the real topology: each state, each wrong input, and that wrong input leaves no trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from sentinel import LocalTopology
from tests.support.clock import RedisTime
from verifier.container import Container
from verifier.domain.codes import code_of
from verifier.domain.errors import LimitReached, QueueFull, ServiceUnavailable
from verifier.settings import Settings
from verifier.store import keyspace

ADDRESS = "ada@example.org"
UNKNOWN_ID = "0" * 32
LIFETIME_S = 600


@dataclass
class Person:
    """Somebody with a browser that keeps cookies and sends the token of the form it was shown."""

    client: FlaskClient
    settings: Settings

    def token(self) -> str:
        """Return the token of a form."""
        return token_in(self.client.get("/").text)

    def post(self, path: str, **fields: str) -> TestResponse:
        """Send a form."""
        return self.client.post(path, data={"csrf_token": self.token(), **fields})

    def start(self, address: str = ADDRESS) -> str:
        """Start a verification; gives the path of its page."""
        answer = self.post("/verify", email=address)
        assert answer.status_code == 303
        return answer.location

    def code(self, page: str, address: str = ADDRESS) -> str:
        """Return the right code."""
        keys = self.settings.keys
        code = code_of(id_in(page), address, keys.current, keys, self.settings.rules)
        assert code is not None
        return code

    def wrong_code(self, page: str) -> str:
        """Return a code that is not the right one."""
        return "".join(str((int(digit) + 1) % 10) for digit in self.code(page))


@pytest.fixture
def person(app: Flask, settings: Settings) -> Person:
    """Somebody with a browser."""
    return Person(app.test_client(), settings)


@pytest.fixture
def master(topology: LocalTopology) -> Iterator[Redis]:
    """The master, with every right."""
    with topology.admin(topology.current_master()) as client:
        yield client


@pytest.fixture
def nothing_stored(master: Redis) -> Iterator[None]:
    """Assert at the end that the test has left nothing new: no record, no due mail, no job."""
    before = everything(master)
    yield
    after = everything(master)
    # What other tests left may have ended meanwhile.
    assert {what: set(found) - set(before[what]) for what, found in after.items()} == {
        key: set() for key in after
    }


def everything(master: Redis) -> dict[str, set[object]]:
    """Return the records with their fields, the due entries and the jobs."""
    records = {key: master.hgetall(key) for key in master.scan_iter(keyspace.RECORD_PREFIX + "*")}
    return {
        "records": {(key, *sorted(fields.items())) for key, fields in records.items() if fields},
        "due": set(master.zrange(keyspace.DUE, 0, -1)),
        "queue": set(master.lrange(keyspace.QUEUE, 0, -1)),
        "jobs": set(master.scan_iter(keyspace.JOB_PREFIX + "*")),
    }


def record_of(master: Redis, page: str) -> dict[str, str]:
    """Return the record of the verification whose page this is."""
    fields: dict[str, str] = master.hgetall(keyspace.record_key(id_in(page)))
    return fields


def id_in(page: str) -> str:
    """Return the id in the path of a page."""
    return page.rsplit("/", 1)[-1]


def token_in(page: str) -> str:
    """Return the token in a page's form."""
    match = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert match is not None
    return match.group(1)


# The way from the form to the verified page


@pytest.mark.parametrize("path", ["/", "/verify"])
def test_the_form_asks_for_an_address(person: Person, path: str) -> None:
    """At both addresses, under the service's own name."""
    page = person.client.get(path)
    assert page.status_code == 200
    assert '<input id="email" name="email" type="email"' in page.text
    assert "Example</title>" in page.text


@pytest.mark.usefixtures("clock")
def test_an_address_leads_to_the_page_of_its_code(person: Person, master: Redis) -> None:
    """The address is shown, the mail is owed, and the field is one that phones fill in."""
    path = person.start()
    assert re.fullmatch(r"/verify/[0-9a-f]{32}", path)
    page = person.client.get(path)
    assert page.status_code == 200
    assert ADDRESS in page.text
    assert 'autocomplete="one-time-code"' in page.text
    assert 'inputmode="numeric"' in page.text
    assert "Your email is about to be sent." in page.text
    assert "It works for 10 minutes." in page.text
    assert "You can send it again in 30 seconds." in page.text
    assert master.zscore(keyspace.DUE, id_in(path)) is not None


@pytest.mark.parametrize("form", ["{0}{1}", "{0} {1}", "{0}-{1}", " {0} \u2013 {1} "])
def test_the_right_code_verifies_however_it_is_spaced(person: Person, form: str) -> None:
    """It leads back to the same address, which shows the verified page from then on."""
    path = person.start()
    code = person.code(path)
    answer = person.post(path, code=form.format(code[:3], code[3:]))
    assert (answer.status_code, answer.location) == (303, path)
    page = person.client.get(path)
    assert page.status_code == 200
    assert "Your address is verified" in page.text
    assert ADDRESS in page.text
    assert "<form" not in page.text


def test_a_second_click_on_verify_leads_to_the_verified_page(person: Person) -> None:
    """Whoever sends the form twice sees no error."""
    path = person.start()
    person.post(path, code=person.code(path))
    answer = person.post(path, code=person.code(path))
    assert (answer.status_code, answer.location) == (303, path)


def test_an_internationalised_address_is_shown_as_it_was_typed(person: Person) -> None:
    """Umlauts, not punycode."""
    path = person.start("jürgen@exämple.org")
    assert "jürgen@exämple.org" in person.client.get(path).text


# Wrong codes


def test_a_wrong_code_says_so_and_counts(person: Person, master: Redis) -> None:
    """The form leads back to the page, which says it once; reloading that costs nothing."""
    path = person.start()
    answer = person.post(path, code=person.wrong_code(path))
    assert (answer.status_code, answer.location) == (303, path)
    page = person.client.get(path)
    assert page.status_code == 200
    assert "<title>Error: Check your email" in page.text
    assert "This is not the right code. You have 2 attempts left." in page.text
    assert 'aria-invalid="true" aria-describedby="code-problem"' in page.text
    again = person.client.get(path).text
    assert "This is not the right code." not in again
    assert "You have 2 attempts left." in again
    assert record_of(master, path)["attempts"] == "1"


def test_a_wrong_code_is_told_in_the_tab_where_it_was_entered(person: Person) -> None:
    """Another tab, of another verification, says nothing of it."""
    one, two = person.start(), person.start("bob@example.org")
    person.post(one, code=person.wrong_code(one))
    assert "This is not the right code." not in person.client.get(two).text
    person.post(two, code=person.wrong_code(two))
    for path in (one, two):
        assert "This is not the right code. You have 2 attempts left." in person.client.get(path).text


def test_a_wrong_code_is_told_without_a_cookie_too(person: Person) -> None:
    """Whoever loses it in between sees how many attempts are left; the page is then one for another browser."""
    path = person.start()
    person.post(path, code=person.wrong_code(path))
    person.client.delete_cookie("verifier_session")
    assert "You have 2 attempts left." in person.client.get(path).text


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter the 6-digit code from the email."),
        ("  - ", "Enter the 6-digit code from the email."),
        ("12345", "Enter the code from the email. It has 6 digits."),
        ("1234567", "Enter the code from the email. It has 6 digits."),
        ("12a456", "Enter the code from the email. It has 6 digits."),
        ("1" * 5000, "Enter the code from the email. It has 6 digits."),
    ],
)
def test_what_can_be_no_code_costs_no_attempt(
    person: Person, master: Redis, typed: str, sentence: str
) -> None:
    """422 with a sentence and the typed text kept."""
    path = person.start()
    page = person.post(path, code=typed)
    assert page.status_code == 422
    assert sentence in page.text
    assert f'value="{typed}"' in page.text
    assert record_of(master, path)["attempts"] == "0"


def test_too_many_wrong_codes_end_it(person: Person) -> None:
    """The last one leads to the end, where the right code comes too late."""
    path = person.start()
    for code in (*[person.wrong_code(path)] * 3, person.code(path)):
        answer = person.post(path, code=code)
        assert (answer.status_code, answer.location) == (303, path)
    for page in (person.client.get(path), person.post(path, code="rubbish")):
        assert page.status_code in {200, 409}
        assert "A wrong code was entered too many times" in page.text
        assert "Send a new code</button>" in page.text


def test_an_expired_code_says_so(person: Person, clock: RedisTime) -> None:
    """On the page, at a check and at a resend, with a way to start again."""
    path = person.start()
    clock.move(LIFETIME_S)
    assert person.post(path, code=person.code(path)).location == path
    answers = [
        person.client.get(path),
        person.post(path, code="rubbish"),
        person.post(f"{path}/resend"),
    ]
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    for answer in answers:
        assert "This code has expired." in answer.text
        assert "Send a new code</button>" in answer.text


# Sending again, changing the address


def test_sending_again_is_possible_after_a_while(person: Person, master: Redis, clock: RedisTime) -> None:
    """It leads back to the page, which says so once and counts down what is left."""
    path = person.start()
    clock.move(30)
    assert 'data-wait="0"' in person.client.get(path).text
    answer = person.post(f"{path}/resend")
    assert (answer.status_code, answer.location) == (303, path)
    page = person.client.get(path).text
    assert "sending the email again. The code in it is the same." in page
    assert "You can send it again in 60 seconds." in page
    assert "sending the email again" not in person.client.get(path).text
    assert record_of(master, path)["delivery"] == "2"


@pytest.mark.usefixtures("clock")
def test_sending_again_too_soon_says_when(person: Person, master: Redis) -> None:
    """429 with Retry-After, a sentence in the page, and nothing sent."""
    path = person.start()
    page = person.post(f"{path}/resend")
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "30"
    assert "The code can be sent again in 30 seconds." in page.text
    assert record_of(master, path)["sends"] == "1"


def test_a_tab_reloaded_after_too_soon_shows_the_page(person: Person) -> None:
    """A phone that dropped the tab asks for the form's address with GET."""
    path = person.start()
    answer = person.client.get(f"{path}/resend")
    assert (answer.status_code, answer.location) == (303, path)


def test_sending_again_too_often_says_so(person: Person, clock: RedisTime) -> None:
    """429 with a sentence, and the button is gone."""
    path = person.start()
    for wait_s in (30, 60):
        clock.move(wait_s)
        person.post(f"{path}/resend")
    clock.move(200)
    page = person.post(f"{path}/resend")
    assert page.status_code == 429
    assert "The code has been sent 3 times already" in page.text
    assert "send this code any more often." in page.text
    assert "Send it again" not in page.text


def test_changing_the_address_cancels_the_old_code_once_the_new_one_is_on_its_way(
    person: Person, master: Redis
) -> None:
    """The form is filled in; until it is sent nothing has happened; then the mail that still waited is owed no longer."""
    path = person.start()
    form = person.client.get(f"{path}/change")
    assert form.status_code == 200
    assert f'value="{ADDRESS}"' in form.text
    assert f'name="replaces" value="{id_in(path)}"' in form.text
    wrong = person.post("/verify", email="ada", replaces=id_in(path))
    assert f'name="replaces" value="{id_in(path)}"' in wrong.text
    assert record_of(master, path)["status"] == "pending"
    answer = person.post("/verify", email="ada@example.com", replaces=id_in(path))
    assert answer.status_code == 303
    assert record_of(master, path)["status"] == "canceled"
    assert master.zscore(keyspace.DUE, id_in(path)) is None
    assert record_of(master, answer.location)["address"] == "ada@example.com"
    assert "This code was canceled and no longer works." in person.client.get(path).text
    assert person.post(path, code=person.code(path)).location == path
    assert record_of(master, path)["status"] == "canceled"


def test_an_address_that_is_not_changed_after_all_keeps_its_code(person: Person, master: Redis) -> None:
    """The same address leads to the same verification."""
    path = person.start()
    answer = person.post("/verify", email=ADDRESS, replaces=id_in(path))
    assert (answer.status_code, answer.location) == (303, path)
    assert record_of(master, path)["status"] == "pending"


@pytest.mark.parametrize("replaces", [UNKNOWN_ID, "x", "../..", "0" * 5000])
def test_what_is_replaced_may_be_gone_or_nonsense(person: Person, replaces: str) -> None:
    """The new one stands."""
    assert person.post("/verify", email=ADDRESS, replaces=replaces).status_code == 303


def test_a_verified_address_is_not_changed(person: Person) -> None:
    """It shows the verified page."""
    path = person.start()
    person.post(path, code=person.code(path))
    for answer in (person.client.get(f"{path}/change"), person.post(f"{path}/new")):
        assert (answer.status_code, answer.location) == (303, path)


@pytest.mark.parametrize("path", ["change", "new"])
def test_nothing_that_follows_links_changes_anything(person: Person, master: Redis, path: str) -> None:
    """A GET or HEAD of a mail scanner, say."""
    page = person.start()
    before = record_of(master, page)
    person.client.get(f"{page}/{path}")
    person.client.head(f"{page}/{path}")
    assert record_of(master, page) == before


# No dead ends


@pytest.mark.parametrize(
    ("status", "ways"),
    [
        ("rejected", ["Correct the address</a>", "Send a new code</button>"]),
        ("abandoned", ["Send a new code</button>", "Change the address</a>"]),
    ],
)
def test_a_mail_that_did_not_get_out_has_a_way_on(
    person: Person, other: Person, master: Redis, status: str, ways: list[str]
) -> None:
    """No field for a code that nobody gets; a new code goes out in one press, and the old one is over."""
    path = person.start()
    master.hset(keyspace.record_key(id_in(path)), "delivery_status", status)
    page = person.client.get(path).text
    assert page.index(ways[0]) < page.index(ways[1])
    assert 'name="code"' not in page
    assert "Verify</button>" not in page
    assert 'name="code"' in other.client.get(path).text
    answer = person.post(f"{path}/new")
    assert answer.status_code == 303
    assert answer.location != path
    assert record_of(master, answer.location)["address"] == ADDRESS
    assert record_of(master, path)["status"] == "canceled"


def test_an_earlier_mail_may_have_arrived(person: Person, master: Redis) -> None:
    """Where the mail was sent before, its code can still be entered."""
    path = person.start()
    master.hset(keyspace.record_key(id_in(path)), mapping={"delivery_status": "rejected", "sends": "2"})
    page = person.client.get(path).text
    assert page.index("Correct the address</a>") < page.index('name="code"')
    assert person.post(path, code=person.code(path)).location == path
    assert "Your address is verified" in person.client.get(path).text


@pytest.mark.parametrize("ending", ["expired", "too many attempts", "canceled"])
def test_what_ended_has_a_new_code_in_one_press(person: Person, clock: RedisTime, ending: str) -> None:
    """For the same address, without typing it again."""
    path = person.start()
    if ending == "expired":
        clock.move(LIFETIME_S)
    elif ending == "canceled":
        person.post("/verify", email="ada@example.com", replaces=id_in(path))
    else:
        for _ in range(3):
            person.post(path, code=person.wrong_code(path))
    page = person.client.get(path).text
    assert f'action="{path}/new"' in page
    answer = person.post(f"{path}/new")
    assert answer.status_code == 303
    assert answer.location != path
    assert ADDRESS in person.client.get(answer.location).text


def test_a_new_code_can_be_asked_for_too_often(
    app: Flask, person: Person, master: Redis, clock: RedisTime
) -> None:
    """429 with the reason, and the page as it was."""
    path = person.start()
    clock.move(LIFETIME_S)
    container: Container = app.extensions["verifier"]
    app.extensions["verifier"] = replace(container, service=Limited(container))  # type: ignore[arg-type]
    page = person.post(f"{path}/new")
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "60"
    assert "Too many emails were asked for with this address." in page.text
    assert "Send a new code</button>" in page.text


class Limited:
    """A service that starts nothing more for now."""

    def __init__(self, container: Container) -> None:
        self._service = container.service

    def start(self, *_: object, **__: object) -> None:
        """Refuse."""
        raise LimitReached("mails_per_address", 60)

    def __getattr__(self, name: str) -> object:
        return getattr(self._service, name)


# Another browser


@pytest.fixture
def other(app: Flask, settings: Settings) -> Person:
    """Somebody with another browser, who got hold of the address of a page."""
    return Person(app.test_client(), settings)


def test_another_browser_sees_no_address_and_may_type_the_code(person: Person, other: Person) -> None:
    """As on a phone, where the mail was read; the address is shown such that its owner recognises it."""
    path = person.start()
    other.start("eve@example.org")
    page = other.client.get(path)
    assert page.status_code == 200
    assert other.post(path, code=other.wrong_code(path)).status_code == 303
    wrong = other.client.get(path)
    assert "This is not the right code." in wrong.text
    malformed = other.post(path, code="x")
    assert malformed.status_code == 422
    for text in (page.text, wrong.text, malformed.text):
        assert ADDRESS not in text
        assert "a•••@e•••.org" in text
        assert text.count("<form") == 1
        assert "/delivery" not in text
    answer = other.post(path, code=other.code(path))
    assert (answer.status_code, answer.location) == (303, path)
    verified = other.client.get(path).text
    assert "Your address is verified" in verified
    assert ADDRESS not in verified
    assert ADDRESS in person.client.get(path).text


@pytest.mark.parametrize("action", ["/resend", "/new"])
def test_another_browser_changes_nothing(
    person: Person, other: Person, master: Redis, clock: RedisTime, action: str
) -> None:
    """403 with a sentence and the form for the code."""
    path = person.start()
    clock.move(31)
    other.start("eve@example.org")
    before = record_of(master, path)
    page = other.post(path + action)
    assert page.status_code == 403
    assert "Only the browser in which the address was entered can do this." in page.text
    assert 'name="code"' in page.text
    assert ADDRESS not in page.text
    assert record_of(master, path) == before
    assert person.post(path + action).status_code == 303


def test_another_browser_is_not_told_where_the_mail_is(person: Person, other: Person) -> None:
    """Neither its script nor its frame."""
    path = person.start()
    for form in ("delivery.json", "delivery"):
        assert other.client.get(f"{path}/{form}").status_code == 403
        assert person.client.get(f"{path}/{form}").status_code == 200


@pytest.mark.parametrize("ending", ["canceled", "expired"])
def test_another_browser_sees_no_address_after_the_end(
    person: Person, other: Person, clock: RedisTime, ending: str
) -> None:
    """Nor in the answer to a form."""
    path = person.start()
    if ending == "canceled":
        person.post("/verify", email="ada@example.com", replaces=id_in(path))
    clock.move(LIFETIME_S if ending == "expired" else 1)
    for page in (other.client.get(path), other.post(path, code="x"), other.client.post(path)):
        assert "Start again</a>" in page.text
        assert ADDRESS not in page.text


# Where the mail is

DELIVERY_STATES = [
    ({"delivery_status": "queued"}, {"tone": "waiting", "settled": False}, "about to be sent"),
    ({"delivery_status": "sending"}, {"tone": "waiting", "settled": False}, "being sent right now"),
    (
        {"delivery_status": "deferred", "next_try_at": "1"},
        {"tone": "waiting", "settled": False},
        "try again in a few seconds",
    ),
    ({"delivery_status": "sent"}, {"tone": "good", "settled": True}, "The email is on its way."),
    (
        {"delivery_status": "rejected", "relay_reply": "550 unknown mailbox"},
        {"pending": False, "tone": "bad", "settled": True},
        "could not be delivered to this address",
    ),
    (
        {"delivery_status": "abandoned"},
        {"pending": False, "tone": "bad", "settled": True},
        "could not be sent in time",
    ),
]


@pytest.mark.parametrize(("fields", "state", "words"), DELIVERY_STATES)
def test_the_mails_way_is_told(
    person: Person, master: Redis, fields: dict[str, str], state: dict[str, object], words: str
) -> None:
    """On the page, as JSON for its script, and in the frame for those without; never in the relay's words."""
    path = person.start()
    master.hset(keyspace.record_key(id_in(path)), mapping=fields)
    page = person.client.get(path).text
    live = person.client.get(f"{path}/delivery.json").json
    frame = person.client.get(f"{path}/delivery")
    assert live == {"pending": True, "sentence": live["sentence"], **state}
    assert ('target="_top"' in frame.text) is not live["pending"]
    assert ("Refresh" in frame.headers) is not state["settled"]
    assert ("<iframe" in page) is not state["settled"]
    for shown in (page, live["sentence"], frame.text):
        assert words in shown
        assert "unknown mailbox" not in shown


def test_the_mails_way_ends_with_the_verification(person: Person) -> None:
    """The script then opens the whole page anew; the frame stops renewing itself."""
    path = person.start()
    person.post(path, code=person.code(path))
    assert person.client.get(f"{path}/delivery.json").json["pending"] is False
    frame = person.client.get(f"{path}/delivery")
    assert "verified already" in frame.text
    assert "Refresh" not in frame.headers


def test_the_mails_way_of_nothing(person: Person) -> None:
    """404 for the script and in the frame, which stops renewing itself."""
    live = person.client.get(f"/verify/{UNKNOWN_ID}/delivery.json")
    frame = person.client.get(f"/verify/{UNKNOWN_ID}/delivery")
    assert (live.status_code, frame.status_code) == (404, 404)
    assert live.json["pending"] is False
    assert "Refresh" not in frame.headers


# Slips in the address


@pytest.mark.usefixtures("nothing_stored")
def test_a_slip_in_a_common_domain_is_asked_about(person: Person) -> None:
    """Nothing is done yet; both addresses are one press away, also where one is changed."""
    page = person.post("/verify", email="ada@gmial.com", replaces=UNKNOWN_ID)
    assert page.status_code == 200
    assert "Did you mean gmail.com?" in page.text
    assert page.text.index("Yes, use ada@gmail.com</button>") < page.text.index(
        "No, keep ada@gmial.com</button>"
    )
    assert page.text.count(f'name="replaces" value="{UNKNOWN_ID}"') == 2


@pytest.mark.parametrize("address", ["ada@gmail.com", "ada@gmial.com"])
def test_either_address_goes_on(person: Person, master: Redis, address: str) -> None:
    """Whoever says that it is right is not asked again."""
    answer = person.post("/verify", email=address, sure=address)
    assert answer.status_code == 303
    assert record_of(master, answer.location)["address"] == address


# Wrong input, which leaves no trace


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@@example.org",
        "ada@exa mple.org",
        "ada@example.org\nBcc: eve@example.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada\0@example.org",
        "Ada Lovelace <ada@example.org>",
        "ada@example.org, eve@example.org",
        "ada@[127.0.0.1]",
        "a" * 65 + "@example.org",
        "ada@" + "a" * 250 + ".org",
        '"><script>alert(1)</script>',
    ],
)
def test_a_wrong_address_comes_back_with_a_sentence(person: Person, typed: str) -> None:
    """422, the typed text in the field, the sentence at it and in the summary."""
    page = person.post("/verify", email=typed)
    assert page.status_code == 422
    assert "<title>Error: " in page.text
    assert 'aria-invalid="true" aria-describedby="email-problem"' in page.text
    assert 'id="email-problem"' in page.text
    assert "<script>alert" not in page.text
    if typed.strip():
        assert typed[:3].replace('"><', "&#34;&gt;&lt;") in page.text or typed[0] in '\udcff"'


@pytest.mark.usefixtures("nothing_stored")
def test_a_form_without_the_field_is_a_wrong_address(person: Person) -> None:
    """As if nothing had been typed."""
    page = person.post("/verify")
    assert page.status_code == 422
    assert "Enter your email address." in page.text


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "fields", [{}, {"csrf_token": ""}, {"csrf_token": "rubbish"}], ids=["missing", "empty", "wrong"]
)
def test_a_form_without_its_token_comes_back(person: Person, fields: dict[str, str]) -> None:
    """400, the typed address kept, and sent again it works (undone here by not doing it)."""
    person.client.get("/")
    page = person.client.post("/verify", data={"email": ADDRESS, **fields})
    assert page.status_code == 400
    assert "This page was open for too long" in page.text
    assert f'value="{ADDRESS}"' in page.text


def test_a_form_that_came_back_works_when_sent_again(person: Person) -> None:
    """Its new token belongs to the new cookie."""
    page = person.client.post("/verify", data={"email": ADDRESS})
    answer = person.client.post("/verify", data={"email": ADDRESS, "csrf_token": token_in(page.text)})
    assert answer.status_code == 303


@pytest.mark.parametrize("action", ["", "/resend", "/new"])
def test_the_page_of_the_code_without_its_token_does_nothing(
    person: Person, master: Redis, clock: RedisTime, action: str
) -> None:
    """400 with the page again and what was typed; the record is as it was."""
    path = person.start()
    clock.move(31)
    before = everything(master)
    page = person.client.post(path + action, data={"code": "123 45"})
    assert page.status_code == 400
    assert "was open for too long" in page.text
    assert action or 'value="123 45"' in page.text
    assert everything(master) == before


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("bad_id", [UNKNOWN_ID, "x", "0" * 31, "0" * 33, "A" * 32, "..%2f..", "%00", "*"])
@pytest.mark.parametrize("action", ["", "/resend", "/new"])
def test_an_unknown_id_is_a_page_with_a_way_on(person: Person, bad_id: str, action: str) -> None:
    """404 for reading, checking, sending again and canceling, also without a token."""
    answers = [
        person.post(f"/verify/{bad_id}{action}", code="123456"),
        person.client.post(f"/verify/{bad_id}{action}"),
    ]
    if not action:
        answers.append(person.client.get(f"/verify/{bad_id}"))
    for answer in answers:
        assert answer.status_code == 404
        assert answer.mimetype == "text/html"
        assert "Start" in answer.text


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"email=" + b"a" * 20_000, "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + b"a" * 20_000 + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=["urlencoded", "multipart"],
)
def test_a_form_too_large_is_refused(person: Person, body: bytes, content_type: str) -> None:
    """413 with a sentence."""
    page = person.client.post("/verify", data=body, content_type=content_type)
    assert page.status_code == 413
    assert "too large for this form" in page.text


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"email": "ada@example.org"}', "application/json"),
        (b"email=ada@example.org", "text/plain"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"rubbish", "multipart/form-data"),
    ],
)
def test_what_is_no_form_brings_the_form(person: Person, body: bytes, content_type: str) -> None:
    """400: without a form there is no token either."""
    page = person.client.post("/verify", data=body, content_type=content_type)
    assert page.status_code == 400
    assert 'name="email"' in page.text


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(person: Person, method: str) -> None:
    """405 with the methods there are, as a page."""
    answer = getattr(person.client, method)("/verify")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert "Start again</a>" in answer.text


def test_a_wrong_path_is_a_page(person: Person) -> None:
    """404 with a way on; under /v1 it stays the API's problem."""
    page = person.client.get("/nowhere")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "Start again</a>" in page.text
    assert person.client.get("/v1/nowhere").mimetype == "application/problem+json"
    assert person.client.get("/v1/verifications").status_code == 405
    assert person.client.get("/v1/verifications").mimetype == "application/problem+json"


# Trouble of our own


@dataclass
class Failing:
    """A service of which every use raises an error; the app's own otherwise."""

    error: Exception

    def __getattr__(self, name: str) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise self.error

        return fail


@pytest.fixture
def break_service(app: Flask) -> Callable[[Exception], None]:
    """Let the app's service raise from now on."""

    def break_it(error: Exception) -> None:
        container: Container = app.extensions["verifier"]
        app.extensions["verifier"] = replace(container, service=Failing(error))  # type: ignore[arg-type]

    return break_it


AWAY = ServiceUnavailable("Redis is not to be reached.", 7)


def test_a_read_that_finds_redis_away_tries_again(
    person: Person, break_service: Callable[[Exception], None]
) -> None:
    """503 with Retry-After, and the page reloads itself."""
    break_service(AWAY)
    page = person.client.get(f"/verify/{UNKNOWN_ID}")
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "7"
    assert "Redis is not to be reached." in page.text
    wait = re.search(r'http-equiv="refresh" content="(\d+)"', page.text)
    assert wait is not None
    assert 7 <= int(wait.group(1)) < 14


@pytest.mark.parametrize("error", [AWAY, QueueFull(9)])
def test_a_form_that_finds_redis_away_keeps_what_was_typed(
    person: Person, break_service: Callable[[Exception], None], error: ServiceUnavailable
) -> None:
    """503 with Retry-After; the page holds the form and sends itself again after about that time."""
    token = person.token()
    break_service(error)
    page = person.client.post("/verify", data={"csrf_token": token, "email": 'a"b@example.org'})
    assert page.status_code == 503
    assert page.headers["Retry-After"] == str(error.retry_after_s)
    assert '<form method="post" action="/verify"' in page.text
    assert '<input type="hidden" name="email" value="a&#34;b@example.org">' in page.text
    assert "data-resubmit-after=" in page.text
    assert 'http-equiv="refresh"' not in page.text
    assert "Try again</button>" in page.text


@pytest.mark.usefixtures("nothing_stored")
def test_a_form_stops_sending_itself_after_a_while(
    person: Person, break_service: Callable[[Exception], None]
) -> None:
    """The tenth page waits for the person; the button stays."""
    token, resubmissions, pages = person.token(), "0", 0
    break_service(AWAY)
    while True:
        fields = {"csrf_token": token, "code": "123456", "resubmissions": resubmissions}
        page = person.client.post(f"/verify/{UNKNOWN_ID}", data=fields).text
        assert '<input type="hidden" name="code" value="123456">' in page
        assert "Try again</button>" in page
        if "data-resubmit-after" not in page:
            break
        pages += 1
        match = re.search(r'name="resubmissions" value="(\d+)"', page)
        assert match is not None
        resubmissions = match.group(1)
    assert pages == 10


@pytest.mark.parametrize("count", ["-1", "x", "٣", "9" * 5000, "1e9"])
def test_a_forged_count_of_resubmissions_is_harmless(
    person: Person, break_service: Callable[[Exception], None], count: str
) -> None:
    """It counts as none."""
    token = person.token()
    break_service(AWAY)
    page = person.client.post("/verify", data={"csrf_token": token, "email": "a", "resubmissions": count})
    assert page.status_code == 503
    assert 'name="resubmissions" value="1"' in page.text


def test_the_mails_way_stays_quiet_when_redis_is_away(
    person: Person, break_service: Callable[[Exception], None]
) -> None:
    """503 that the script waits out; the frame keeps renewing itself."""
    break_service(AWAY)
    live = person.client.get(f"/verify/{UNKNOWN_ID}/delivery.json")
    frame = person.client.get(f"/verify/{UNKNOWN_ID}/delivery")
    assert (live.status_code, frame.status_code) == (503, 503)
    assert live.json["pending"] is True
    assert live.json["settled"] is False
    assert live.headers["Retry-After"] == "7"
    assert "where your email is at the moment" in frame.text
    assert "Refresh" in frame.headers


def test_a_lost_token_with_redis_away_is_the_same_page(
    person: Person, break_service: Callable[[Exception], None]
) -> None:
    """No 500 on top of it."""
    break_service(AWAY)
    page = person.client.post(f"/verify/{UNKNOWN_ID}", data={"code": "123456"})
    assert page.status_code == 503


def test_what_nobody_foresaw_is_a_page_without_a_trace(
    person: Person, break_service: Callable[[Exception], None]
) -> None:
    """500 with a sentence; the reason is in the log only."""
    break_service(RuntimeError("the secret reason"))
    page = person.client.get(f"/verify/{UNKNOWN_ID}")
    assert (page.status_code, page.mimetype) == (500, "text/html")
    assert "Something went wrong" in page.text
    assert "secret reason" not in page.text
    assert "Traceback" not in page.text


def test_trouble_of_the_api_stays_the_apis(
    person: Person, break_service: Callable[[Exception], None]
) -> None:
    """Problem details, whatever happens."""
    break_service(RuntimeError("the secret reason"))
    answer = person.client.get(f"/v1/verifications/{UNKNOWN_ID}")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")


# What the browser is told


@pytest.mark.parametrize("path", ["/", "/nowhere", f"/verify/{UNKNOWN_ID}", f"/verify/{UNKNOWN_ID}/delivery"])
def test_pages_carry_their_headers(person: Person, path: str) -> None:
    """No foreign or inline code, no framing by others, nothing kept, no addresses in referrers."""
    headers = person.client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["verifier.css", "verifier.js", "noscript.css", "favicon.svg", "verified.svg"]
)
def test_files_may_be_kept_but_are_asked_about(person: Person, name: str) -> None:
    """A new release shows at once; what has not changed is not sent again."""
    with person.client.get(f"/static/{name}") as file:
        assert file.status_code == 200
        assert file.headers["Cache-Control"] == "no-cache"
    with person.client.get(f"/static/{name}", headers={"If-None-Match": file.headers["ETag"]}) as again:
        assert again.status_code == 304


def test_pages_have_nothing_inline_and_nothing_foreign(person: Person) -> None:
    """The policy would block it."""
    page = person.client.get(person.start()).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", page)
    assert not re.search(r"(?:src|href|action)=\"(?!/|#|\?)", page)


def test_the_cookie_is_for_scripts_of_nobody(person: Person) -> None:
    """HttpOnly and SameSite; Secure over https only, since development has none."""
    plain = person.client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain


def test_over_https_the_cookie_stays_there(app: Flask) -> None:
    """A fresh browser over https gets a Secure cookie."""
    cookie = app.test_client().get("/", base_url="https://verify.example.org").headers["Set-Cookie"]
    assert "; Secure" in cookie


def test_over_https_a_form_of_another_site_is_refused(app: Flask) -> None:
    """Even with a right token, the referrer must be ours; with ours it works."""
    client = app.test_client()
    base = "https://verify.example.org"
    fields = {"csrf_token": token_in(client.get("/", base_url=base).text), "email": ADDRESS}
    foreign = client.post("/verify", base_url=base, data=fields, headers={"Referer": "https://evil.example"})
    ours = client.post("/verify", base_url=base, data=fields, headers={"Referer": f"{base}/"})
    assert (foreign.status_code, ours.status_code) == (400, 303)


def test_the_api_has_neither_token_nor_cookie(person: Person) -> None:
    """Backends post without a form; what pages need is not put on them."""
    answer = person.client.post("/v1/verifications", json={"to": ADDRESS})
    assert answer.status_code == 201
    assert "Set-Cookie" not in answer.headers
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
