"""Guess codes, use one twice, and have many judged at once."""

from __future__ import annotations

import itertools
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target
from verifier.domain.limits import DAY_S, ROTATION_FACTOR, WORST_CHANCE_A_DAY
from verifier.store import keyspace

STEP_S = 1200.0
VICTIM = "ann@example.org"
GIVES_UP_AFTER = 3
# What the page answers to a code that was judged: wrong, wrong for the last time, right.
_JUDGED = {422, 409, 303}


@dataclass
class Guesser:
    """Guesses the code of one address, each request from another network, by the pages and by the API."""

    target: Target
    judged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    _open: list[tuple[Callable[[str], int], int]] = field(default_factory=list)
    _spellings: Any = field(default_factory=itertools.count)

    def attack(self) -> None:
        """Start and guess until everything is refused, or more was judged than may be in a day."""
        most = self.target.limits.wrong_codes_per_address.most_within(DAY_S)
        refused = 0
        while refused < GIVES_UP_AFTER and self.judged <= most:
            if not self._open:
                refused += not self._start()
            else:
                refused += not self._guess()

    def _start(self) -> bool:
        number = next(self._spellings)
        to = [VICTIM, f"ann+{number}@example.org", "Ann@Example.org", "ANN+x@example.org"][number % 4]
        return self._start_on_a_page(to) if number % 2 else self._start_by_the_api(to)

    def _start_on_a_page(self, to: str) -> bool:
        browser = self.target.browser()
        browser.open("/")
        answer = browser.send("/verify", email=to)
        if answer.status != 303:
            self.refused[f"start: {answer.status}"] += 1
            return False

        def guess(code: str) -> int:
            browser.ip = next(self.target.networks())
            return browser.send(answer.location, code=code).status

        self._open.append((guess, self.target.rules.max_check_attempts))
        return True

    def _start_by_the_api(self, to: str) -> bool:
        client = self.target.client(key=self.target.shop)
        answer = client.call("POST", "", {"to": to, "client_ip": _any_ip()})
        if answer.status != 201:
            self.refused[answer.limit or f"start: {answer.status}"] += 1
            return False
        path = f"/{answer.json()['id']}/check"

        def guess(code: str) -> int:
            checked = client.call("POST", path, {"code": code, "client_ip": _any_ip()})
            return 422 if checked.status == 200 else checked.status

        self._open.append((guess, self.target.rules.max_check_attempts))
        return True

    def _guess(self) -> bool:
        guess, left = self._open.pop(0)
        status = guess(f"{random.randrange(10**6):06}")
        if status in _JUDGED:
            self.judged += 1
            if left > 1:
                self._open.insert(0, (guess, left - 1))
            return True
        self.refused[f"code: {status}"] += 1
        if status == 429:
            self._open.append((guess, left))
        return False


def _any_ip() -> str:
    return f"{random.randrange(11, 120)}.{random.randrange(256)}.{random.randrange(256)}.1"


def guess_over_new_verifications(target: Target, scale: Scale) -> Outcome:
    """Guess over ever new verifications, networks and spellings, for a day by the limits' reckoning."""
    guesser, began_at = Guesser(target), time.monotonic()
    guesser.attack()
    for _ in range(int(scale.simulated_hours * 3600 / STEP_S)):
        target.let_time_pass(STEP_S)
        guesser.attack()
    passed_s = scale.simulated_hours * 3600 + time.monotonic() - began_at
    limit = target.limits.wrong_codes_per_address
    # A burst goes on for the rest of the day at the rate at which the limit lets more through.
    rest = max(0.0, DAY_S - passed_s) / max(rate.step_s for rate in limit.rates)
    chance = ROTATION_FACTOR * (guesser.judged + rest) / 10**target.rules.code_digits
    what = f"{scale.simulated_hours} h" if scale.simulated_hours else "a burst"
    most = limit.most_within(passed_s)
    return Outcome(
        f"at most {most} codes judged in {what}; chance a day below {WORST_CHANCE_A_DAY:.1%}",
        f"{guesser.judged} judged, {guesser.refused.total()} refused; chance a day {chance:.3%}",
        guesser.judged <= most and chance < WORST_CHANCE_A_DAY and guesser.refused.total() > 0,
    )


def replay_an_approved_code(target: Target, scale: Scale) -> Outcome:
    """Send a code again that was right once: one by one, all at once, to another verification, and as another backend."""
    address = "replayed@example.org"
    client, rival = target.client(key=target.shop), target.client(key=target.rival)
    started = client.call("POST", "", {"to": address, "client_ip": "192.0.2.1"}).json()["id"]
    code = code_mailed_to(target, address)
    body = {"code": code}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.call, "POST", f"/{started}/check", body) for _ in range(20)]
        answers = [each.result() for each in asked]
    answers += [client.call("POST", f"/{started}/check", body) for _ in range(3)]
    other = client.call("POST", "", {"to": address, "client_ip": "198.51.100.1"}).json()["id"]
    answers.append(client.call("POST", f"/{other}/check", body))
    valid = sum(each.json().get("valid") is True for each in answers)
    foreign = rival.call("POST", f"/{started}/check", body).status
    return Outcome(
        "valid once; another backend gets 404",
        f"valid {valid} time{'' if valid == 1 else 's'} of {len(answers)}; another backend gets {foreign}",
        valid == 1 and foreign == 404,
    )


def check_in_parallel(target: Target, scale: Scale) -> Outcome:
    """Have 100 codes judged at once, the right one among the last."""
    address, allowed = "parallel@example.org", target.rules.max_check_attempts
    client = target.client(key=target.shop)
    started = client.call("POST", "", {"to": address}).json()["id"]
    code = code_mailed_to(target, address)
    wrong = [f"{(int(code) + number) % 10**6:06}" for number in range(1, 100)]
    with ThreadPoolExecutor(25) as pool:
        asked = [pool.submit(client.call, "POST", f"/{started}/check", {"code": each}) for each in wrong]
        answers = [each.result() for each in asked]
    answers.append(client.call("POST", f"/{started}/check", {"code": code}))
    with target.redis() as redis:
        attempts: Any = redis.hget(keyspace.record_key(started), "attempts")
    judged = int(attempts or 0)
    valid = sum(each.json().get("valid") is True for each in answers)
    statuses = {each.status for each in answers}
    return Outcome(
        f"at most {allowed} of {len(answers)} judged",
        f"{judged} judged, {valid} valid, answers {sorted(statuses)}",
        judged == allowed and not valid and statuses <= {200, 429},
    )


def code_mailed_to(target: Target, address: str) -> str:
    """Wait for the newest mail to an address, as its owner does, and return the code."""
    return str(target.mailbox.wait_for_mail(address)["Subject"]).split()[0]


def guess_api_keys(target: Target, scale: Scale) -> Outcome:
    """Call the API with no key, rubbish, keys that look right, and parts of one that is."""
    key = target.shop
    forms = ["", "Bearer", "Bearer ", f"Basic {key}", f"Bearer {key[:-1]}", f"Bearer {key}x", f"bearer{key}"]
    forms += [f"Bearer verifier_{secrets.token_urlsafe(32)}" for _ in range(20)]
    forms += ["Bearer shop", "Bearer \u00fc", f"Token {key}", f"Bearer {key.upper()}"]
    client = target.client()
    statuses = Counter(
        client.call(
            "POST", "", {"to": "nobody@example.org"}, Authorization=form.encode().decode("latin-1")
        ).status
        for form in forms
    )
    target.wait_until_all_is_mailed()
    mailed = target.mailbox.mails_for("nobody@example.org")
    return Outcome(
        f"401 for each of {len(forms)}",
        f"answers {dict(statuses)}",
        set(statuses) == {401} and not mailed,
    )
