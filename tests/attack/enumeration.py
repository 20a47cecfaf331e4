"""Find out which verifications and addresses there are: by what is answered, and by how long it takes."""

from __future__ import annotations

import random
import re
import secrets
import statistics
from collections.abc import Callable

from tests.attack.clients import Answer, Client
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import Target

# Of the medians, in each of three rounds; what a busy machine adds falls on both alike.
WORST_RATIO = 1.5
ROUNDS = 3
# What differs from answer to answer by itself.
_OWN = re.compile(r'(csrf_token|request)"[^>]* value="[^"]+"|[0-9a-f]{32}')


def _likeness(answer: Answer) -> tuple[object, ...]:
    """Return all of an answer that must be the same for what is there and what is not."""
    names = sorted(name.lower() for name in answer.headers if name.lower() != "date")
    return answer.status, names, _OWN.sub("", answer.text)


def enumerate_by_answer(target: Target, scale: Scale) -> Outcome:
    """Ask for verifications of others, by API and pages, beside ids that nobody has; type a known and a new address."""
    theirs = target.client(key=target.shop).call("POST", "", {"to": "known@example.org"}).json()["id"]
    person = target.browser()
    person.open("/")
    started = person.send("/verify", email="known@example.org").location
    on_a_page = started.rpartition("/")[2]
    rival, browser = target.client(key=target.rival), target.browser()
    alike: list[bool] = []
    browser.open("/")
    nobodys = secrets.token_hex(16)
    for method, rest, body in (
        ("GET", "", None),
        ("POST", "/check", {"code": "123456"}),
        ("POST", "/resend", {}),
        ("POST", "/cancel", {}),
    ):
        unknown = _likeness(rival.call(method, f"/{nobodys}{rest}", body))
        for each in (theirs, on_a_page):
            alike.append(_likeness(rival.call(method, f"/{each}{rest}", body)) == unknown)  # noqa: PERF401 - one request after the other
    for rest in ("", "/delivery", "/delivery.json"):
        unknown = _likeness(browser.open(f"/verify/{nobodys}{rest}"))
        alike.append(_likeness(browser.open(f"/verify/{theirs}{rest}")) == unknown)
    # Whoever knows the id of a page may type the code there, and reads no address.
    alike.append("known@example.org" not in browser.open(started).text)
    first, second = (_likeness(_type(target, each)) for each in ("known@example.org", "unknown@example.org"))
    alike.append(first == second)
    guessed = sum(
        rival.call("GET", f"/{secrets.token_hex(16)}").status != 404 for _ in range(scale.requests // 10)
    )
    return Outcome(
        "the same answer for another's as for nobody's",
        f"{alike.count(False)} of {len(alike)} answers differ; {guessed} of {scale.requests // 10} random ids found",
        all(alike) and not guessed,
    )


def _type(target: Target, address: str) -> Answer:
    browser = target.browser()
    browser.open("/")
    return browser.send("/verify", email=address)


def enumerate_by_time(target: Target, scale: Scale) -> Outcome:
    """Measure how long it takes to be told of another's verification, of nobody's, and of a key that begins rightly."""
    theirs = target.client(key=target.shop).call("POST", "", {"to": "timed@example.org"}).json()["id"]
    rival, right = target.client(key=target.rival), target.shop
    nearly, far = (
        Client(rival.port, rival.ip, key=f"{right[:-1]}-"),
        Client(rival.port, rival.ip, key=f"verifier_{'x' * 43}"),
    )
    pairs: dict[str, tuple[Callable[[], Answer], Callable[[], Answer]]] = {
        "another's id": (
            lambda: rival.call("GET", f"/{theirs}"),
            lambda: rival.call("GET", f"/{secrets.token_hex(16)}"),
        ),
        "key nearly right": (lambda: nearly.call("GET", f"/{theirs}"), lambda: far.call("GET", f"/{theirs}")),
    }
    each_round = max(5, scale.requests // 20)
    ratios = {name: [_ratio(*pair, each_round) for _ in range(ROUNDS)] for name, pair in pairs.items()}
    told = [
        name for name, found in ratios.items() if min(found) > WORST_RATIO or max(found) < 1 / WORST_RATIO
    ]
    shown = "; ".join(f"{name} {' '.join(f'{each:.2f}' for each in found)}" for name, found in ratios.items())
    return Outcome(
        f"medians beside nobody's differ by less than {WORST_RATIO} x in one of {ROUNDS} rounds",
        shown,
        not told or not scale.judges_times,
    )


def _ratio(one: Callable[[], Answer], other: Callable[[], Answer], times: int) -> float:
    """Return the ratio of the medians, both being asked in a random order."""
    took: dict[bool, list[float]] = {True: [], False: []}
    order = [True, False] * times
    random.shuffle(order)
    for is_one in order:
        took[is_one].append((one if is_one else other)().took_s)
    return statistics.median(took[True]) / statistics.median(took[False])
