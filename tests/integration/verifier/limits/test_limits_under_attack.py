"""What the limits promise, proved by attacking: nobody guesses a code, and nobody on one network keeps the others out.

A day passes for the limits alone, by moving what they remember; everything else is the real service.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.support.clock import RedisTime
from tests.support.limits import limits_of
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier import create_app
from verifier.container import Container, install, make_container
from verifier.domain.codes import code_of
from verifier.domain.errors import LimitReached
from verifier.domain.limits import DAY_S, WORST_CHANCE_A_DAY, Limits, parse_limit
from verifier.domain.rules import Rules
from verifier.service import VerificationService
from verifier.settings import Settings
from verifier.store import keyspace

START = "/v1/verifications"
VICTIM = "ann@example.org"
STEP_S = 1200.0

NewApp = Callable[[Limits], Flask]


@pytest.fixture
def new_app(container: Container, master: Redis) -> NewApp:
    """Make an app as it is shipped but for some limits: its own rules, behind one proxy."""

    def make(limits: Limits) -> Flask:
        ours = replace(container.settings, limits=limits, rules=Rules(), trusted_proxies=1)
        service = VerificationService(container.service._store, ours.keys, ours.rules, limits)
        app = create_app(ours)
        install(app, replace(container, settings=ours, service=service))
        return app

    return make


def _networks() -> Iterator[str]:
    """Yield addresses, each in a network of its own, of both versions of IP."""
    dice = random.Random(7)
    while True:
        yield f"{dice.randrange(1, 223)}.{dice.randrange(256)}.{dice.randrange(256)}.1"
        yield f"2001:db8:{dice.randrange(65536):x}:{dice.randrange(65536):x}::1"


@dataclass
class Guesser:
    """Guesses the code of one address as fast as it is let, each request from another network."""

    app: Flask
    now: float = 0.0
    judged_at: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    _networks: Iterator[str] = field(default_factory=_networks)
    _spellings: Iterator[int] = field(default_factory=itertools.count)
    _open: list[tuple[str, int]] = field(default_factory=list)

    def attack(self) -> None:
        """Ask until everything is refused."""
        refused = 0
        while refused < 3:
            if not self._open:
                refused += not self._start()
            elif not self._guess():
                refused += 1

    def _post(self, path: str, body: dict[str, str]) -> Any:
        client = self.app.test_client()
        answer = client.post(path, json=body, headers={"X-Forwarded-For": next(self._networks)})
        assert answer.status_code in {200, 201, 409, 429}
        if answer.status_code == 429:
            self.refused[(answer.json or {}).get("limit", (answer.json or {})["code"])] += 1
        return answer

    def _start(self) -> bool:
        spelling = next(self._spellings)
        to = [VICTIM, f"ann+{spelling}@example.org", "Ann@Example.org", "ANN+x@example.org"][spelling % 4]
        answer = self._post(START, {"to": to})
        if answer.status_code == 201:
            self._open.append((answer.json["id"], 5))
        return bool(answer.status_code == 201)

    def _guess(self) -> bool:
        verification_id, left = self._open[0]
        answer = self._post(f"{START}/{verification_id}/check", {"code": f"{random.randrange(10**6):06}"})
        if answer.status_code == 200:
            self.judged_at.append(self.now)
            self._open[0] = (verification_id, left - 1)
            self._post(f"{START}/{verification_id}/resend", {})
        if answer.json.get("valid") or self._open[0][1] == 0:
            self._open.pop(0)
        return bool(answer.status_code == 200)

    def most_in_a_day(self) -> int:
        """Return how many codes were judged in the worst 24 hours."""
        return max(sum(first <= at < first + DAY_S for at in self.judged_at) for first in set(self.judged_at))


@pytest.mark.parametrize("mails", ["shipped", "off"])
def test_nobody_guesses_a_code(mails: str, new_app: NewApp, clock: RedisTime) -> None:
    """For a day and a half, from ever new networks, over new verifications, resends, spellings and restarts of the service.

    Also where nothing limits the mails, so that the limit on wrong codes alone holds.
    """
    limits = Limits()
    if mails == "off":
        limits = replace(
            limits_of("off"),
            wrong_codes_per_address=limits.wrong_codes_per_address,
            wrong_codes_per_address_and_network=limits.wrong_codes_per_address_and_network,
            wrong_codes_per_network=limits.wrong_codes_per_network,
        )
    guesser = Guesser(new_app(limits))
    for step in range(round(1.5 * DAY_S / STEP_S)):
        if step % 25 == 24:
            guesser.app = new_app(limits)
        guesser.attack()
        clock.move_limits(STEP_S)
        guesser.now += STEP_S
    most = guesser.most_in_a_day()
    print(f"mails {mails}: at most {most} codes judged in 24 hours, refused {dict(guesser.refused)}")
    assert 200 <= most <= limits.wrong_codes_per_address.most_within(DAY_S) == 400
    # Twice, since the secret keys may be rotated meanwhile.
    assert 2 * most / 10**6 < WORST_CHANCE_A_DAY
    assert guesser.refused["wrong_codes_per_address"] > 0 or mails == "shipped"


# Somebody who did nothing


@dataclass
class Browser:
    """Somebody at the pages, on some network."""

    client: FlaskClient
    ip: str

    def post(self, path: str, **fields: str) -> Any:
        """Send a form, as it was shown."""
        headers = {"X-Forwarded-For": self.ip}
        form = dict(
            re.findall(
                r'name="(csrf_token|request)" value="([^"]+)"', self.client.get("/", headers=headers).text
            )
        )
        return self.client.post(path, data={**form, **fields}, headers=headers)


def _code(app: Flask, container: Container, page: str) -> str:
    service = VerificationService(container.service._store, container.settings.keys, Rules(), limits_of())
    found = service.get(page.rpartition("/")[2])
    code = code_of(found.id, found.address, found.key_id, container.settings.keys, Rules())
    assert code is not None
    return code


def _verifies_at_once(app: Flask, container: Container, ip: str) -> None:
    """Have somebody verify the address who mistypes the code twice."""
    person = Browser(app.test_client(), ip)
    started = person.post("/verify", email=VICTIM)
    assert started.status_code == 303
    page = started.headers["Location"]
    code = _code(app, container, page)
    for number in (1, 2):
        assert person.post(page, code=f"{(int(code) + number) % 10**6:06}").status_code == 303
    assert person.post(page, code=code).status_code == 303
    assert "Your address is verified" in person.client.get(page).text


def test_one_network_keeps_nobody_else_out(new_app: NewApp, clock: RedisTime, container: Container) -> None:
    """It uses up all that it gets of the victim's address, all the time, by pages and API, with ever new browsers.

    Somebody who did nothing verifies that address at once on another network, at whatever moment they come.
    """
    app, refused, numbers = new_app(Limits()), Counter[str](), itertools.count()

    def attack() -> None:
        ip = f"192.0.2.{next(numbers) % 256}"
        pages: list[str] = []
        for _ in range(8):
            answer = Browser(app.test_client(), ip).post("/verify", email=VICTIM)
            refused["start"] += answer.status_code == 429
            pages += [answer.headers["Location"]] if answer.status_code == 303 else []
        for page in pages:
            browser = Browser(app.test_client(), ip)
            for number in range(5):
                answer = browser.post(page, code=f"{number:06}")
                refused["check"] += answer.status_code == 429
                browser.post(f"{page}/resend")
        headers = {"X-Forwarded-For": ip}
        for number in range(20):
            body = {"to": f"user{number}@example.org" if number % 2 else VICTIM}
            answer = app.test_client().post(START, json=body, headers=headers)
            refused["start"] += answer.status_code == 429

    for hour in range(26):
        attack()
        if hour % 5 == 0:
            _verifies_at_once(app, container, f"198.51.{hour}.1")
        clock.move_limits(3600)
    assert refused["start"] > 100
    assert refused["check"] > 0


def test_filling_by_one_network_is_bounded(new_app: NewApp, master: Redis) -> None:
    """It started and canceled until Redis was full; others are accepted meanwhile, and go on after."""
    limits = replace(Limits(), mails_per_network=parse_limit("50/10m"))
    app = new_app(limits)

    def start(number: int) -> int:
        client, headers = app.test_client(), {"X-Forwarded-For": f"192.0.2.{number % 256}"}
        answer = client.post(START, json={"to": f"user{number}@example.org"}, headers=headers)
        if answer.status_code == 201:
            client.post(f"{START}/{(answer.json or {})['id']}/cancel", headers=headers)
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(start, range(400))) == {201: 50, 429: 350}
    assert len(list(master.scan_iter(f"{keyspace.RECORD_PREFIX}*"))) == 50
    other = app.test_client().post(START, json={"to": VICTIM}, headers={"X-Forwarded-For": "198.51.100.1"})
    assert other.status_code == 201
    master.flushall()  # or what was canceled would expire while other tests look on


# Everybody at once


def _check_all(settings: Settings, guesses: list[tuple[str, str]]) -> int:
    """Check these from many threads of a process of its own; return how many were judged."""
    container = make_container(settings)

    def judged(guess: tuple[str, str]) -> bool:
        try:
            container.service.check(*guess)
        except LimitReached:
            return False
        return True

    try:
        with ThreadPoolExecutor(20) as pool:
            return sum(pool.map(judged, guesses))
    finally:
        container.link.close()


def _start_all(settings: Settings, addresses: list[str]) -> int:
    """The same for starts."""
    container = make_container(settings)

    def accepted(address: str) -> bool:
        try:
            container.service.start(address)
        except LimitReached:
            return False
        return True

    try:
        with ThreadPoolExecutor(20) as pool:
            return sum(pool.map(accepted, addresses))
    finally:
        container.link.close()


def test_checks_and_starts_at_once_in_many_processes_are_counted_as_one(
    settings: Settings, container: Container, master: Redis
) -> None:
    """100 of each, of which exactly as many get through as the limit says."""
    limits = limits_of("off", wrong_codes_per_address="20/1h", mails_per_address="10/1h")
    limited = replace(settings, limits=limits)
    made = [container.service.start(f"ann+{number}@example.org").id for number in range(34)]
    guesses = [(each, f"{number:06}") for each in made for number in range(3)][:100]
    spellings = [f"bob+{number}@example.org" for number in range(100)]
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        checks = [pool.submit(_check_all, limited, guesses[part::4]) for part in range(4)]
        assert sum(each.result(60) for each in checks) == 20
        starts = [pool.submit(_start_all, limited, spellings[part::4]) for part in range(4)]
        assert sum(each.result(60) for each in starts) == 10
    counted = sum(int(master.hget(keyspace.record_key(each), "attempts") or 0) for each in made)
    assert counted == 20


def test_limits_survive_a_failover_in_the_middle_of_an_attack(
    new_app: NewApp, topology: LocalTopology, container: Container
) -> None:
    """Not one code more is judged, nobody gets a 500, and what was used up stays used up on the new master."""
    app = new_app(limits_of("off", wrong_codes_per_address="30/1d"))
    made = [container.service.start(f"ann+{number}@example.org").id for number in range(30)]
    guesses = iter([(each, f"{number:06}") for each in made for number in range(5)])

    def guess(_: object) -> int:
        verification_id, code = next(guesses)
        return app.test_client().post(f"{START}/{verification_id}/check", json={"code": code}).status_code

    before = Counter(guess(number) for number in range(15))
    assert before == {200: 15}
    topology.current_master().kill()
    with ThreadPoolExecutor(4) as pool:
        during = Counter(pool.map(guess, range(60)))
    assert set(during) <= {200, 429, 503}
    assert wait_for(lambda: guess(None) != 503, FAILOVER_WITHIN_S)
    after = Counter(guess(number) for number in range(40))
    assert set(after) <= {200, 429}
    assert (before + during + after)[200] <= 30
    assert guess(None) == 429
