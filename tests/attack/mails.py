"""Have mails sent to somebody, fill Redis, and put lines of one's own into a mail."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sentinel import wait_for
from tests.attack.clients import Browser
from tests.attack.guessing import GIVES_UP_AFTER, STEP_S
from tests.attack.outcome import Outcome, Scale
from tests.attack.target import MAILED_WITHIN_S, Target
from verifier.domain.limits import DAY_S
from verifier.store import keyspace

BOMBED = "bob@example.org"


def bomb_one_address(target: Target, scale: Scale) -> Outcome:
    """Start for one address from ever new networks, browsers and spellings, for a day by the limits' reckoning."""
    most_a_day = target.limits.mails_per_address.most_within(DAY_S)
    numbers, accepted, refused, began_at = itertools.count(), 0, 0, time.monotonic()
    for step in range(1 + int(scale.simulated_hours * 3600 / STEP_S)):
        if step:
            target.let_time_pass(STEP_S)
        refused_now = 0
        while refused_now < GIVES_UP_AFTER and accepted <= most_a_day:
            number = next(numbers)
            spelling = [BOMBED, f"Bob+{number}@example.org", "BOB@EXAMPLE.ORG"][number % 3]
            browser = target.browser()
            browser.open("/")
            if browser.send("/verify", email=spelling).status == 303:
                accepted += 1
            else:
                refused_now += 1
        refused += refused_now
    passed_s = scale.simulated_hours * 3600 + time.monotonic() - began_at
    most = target.limits.mails_per_address.most_within(passed_s)
    target.wait_until_all_is_mailed()
    mailed = target.mailbox.mails_for(BOMBED)
    what = f"{scale.simulated_hours} h" if scale.simulated_hours else "a burst"
    return Outcome(
        f"at most {most} mails in {what}",
        f"{mailed} mails, {refused} starts refused",
        0 < mailed <= most and accepted == mailed,
    )


def keep_the_owner_out(target: Target, scale: Scale) -> Outcome:
    """Use up all that one network gets of an address, mails and wrong codes; its owner comes from another network."""
    owned, network = "owner@example.org", next(target.networks())
    refused: Counter[str] = Counter()
    pages: list[tuple[Browser, str]] = []
    for _ in range(2 * int(target.limits.mails_per_address_and_network.most_within(0))):
        attacker = Browser(target.port, network)
        attacker.open("/")
        started = attacker.send("/verify", email=owned)
        refused["starts"] += started.status == 429
        pages += [(attacker, started.location)] if started.status == 303 else []
    for attacker, page in pages:
        for number in range(target.rules.max_check_attempts):
            refused["codes"] += attacker.send(page, code=f"{number:06}").status == 429
    target.wait_until_all_is_mailed()
    mailed = target.mailbox.mails_for(owned)
    owner = target.browser()
    owner.open("/")
    page = owner.send("/verify", email=owned).location
    wait_for(lambda: target.mailbox.mails_for(owned) > mailed, MAILED_WITHIN_S)
    code = str(target.mailbox.sent_to(owned)[-1]["Subject"]).split()[0]
    for number in (1, 2):
        owner.send(page, code=f"{(int(code) + number) % 10**6:06}")
    owner.send(page, code=code)
    verified = "Your address is verified" in owner.open(page).text
    return Outcome(
        "the owner mistypes the code twice and verifies the address at once",
        f"{refused['starts']} starts and {refused['codes']} codes refused; owner {'' if verified else 'not '}verified",
        verified and refused["starts"] > 0 and refused["codes"] > 0,
    )


def fill_by_starting_and_canceling(target: Target, scale: Scale) -> Outcome:
    """Start for ever new addresses and change them at once, from all addresses of one network, until it is refused."""
    network = next(target.networks()).rpartition(".")[0]
    browser = Browser(target.port, f"{network}.1")
    browser.open("/")
    cookies, fields = browser.cookies, browser.fields
    limit, began_at = target.limits.mails_per_network, time.monotonic()
    before = _records(target)

    def start(number: int) -> int:
        each = Browser(
            target.port, f"{network}.{1 + number % 250}", cookies=dict(cookies), fields=dict(fields)
        )
        answer = each.send("/verify", email=f"filler{number}@example.org", request=f"{number:032x}")
        if answer.status == 303 and number % 4 == 0:
            replaced = answer.location.rpartition("/")[2]
            each.send(
                "/verify", email=f"other{number}@example.org", request=f"{number:031x}f", replaces=replaced
            )
        return answer.status

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(start, range(int(limit.most_within(0)) + scale.requests)))
    most = limit.most_within(time.monotonic() - began_at)
    kept = _records(target) - before
    bystander = target.browser()
    bystander.open("/")
    innocent = bystander.send("/verify", email="innocent@example.org").status
    return Outcome(
        f"at most {most} records from one network; others are accepted",
        f"{kept} records, {statuses[429]} of {statuses.total()} refused; another visitor gets {innocent}",
        0 < kept <= most and set(statuses) == {303, 429} and innocent == 303,
    )


def _records(target: Target) -> int:
    with target.redis() as redis:
        return sum(1 for _ in redis.scan_iter(f"{keyspace.RECORD_PREFIX}*", count=1000))


CLAIMS = (
    "eve@example.org\r\nBcc: all@example.org",
    "eve@example.org\nBcc: all@example.org",
    "eve@example.org%0d%0aBcc: all@example.org",
    "eve\r\n.\r\nMAIL FROM:<eve@example.org>\r\n@example.org",
    "eve@example.org>\r\nRCPT TO:<all@example.org",
    "eve@example.org, all@example.org",
    "eve@example.org;all@example.org",
    "eve@example.org all@example.org",
    "eve@example.org\0@all.example.org",
    "<eve@example.org>",
    "Eve <eve@example.org>",
    '"eve@example.org "@all.example.org',
    '"a\\"b\r\nBcc: all"@example.org',
    "eve(all@example.org)@example.org",
    "all%example.org@example.net",
    "example.org!all@example.net",
    "@example.net:all@example.org",
    "=?utf-8?q?all=40example=2Eorg=3E?=@example.net",
    "=?utf-8?b?YWxsQGV4YW1wbGUub3Jn?=@example.org",
    "=?x?q?=0d=0aBcc:all?=@example.org",
    "eve\u202egro.elpmaxe@example.org",
    "\u2066eve@example.org\u2069",
    "\u200feve@example.org",
    "eve\u2028Bcc:all@example.org",
    "eve\u0085Bcc:all@example.org",
    "eve\uff20example.org@example.net",
    "eve@example\uff0eorg\r\n",
    "eve@example.org\u3002evil\r\nX-Evil: 1",
    "-oQ/tmp@example.org",
    "|cat@example.org",
    "/etc/passwd@example.org",
    "eve@[127.0.0.1]",
    "eve@localhost",
    "eve@example.org\x0bBcc: all@example.org",
    "eve@example.org\x1b[2J",
    "ev\udce9@example.org",
    "J\u00f6rg@example.org",
    "eve+tag@example.org",
    "o'eve@example.org",
    "eve@b\u00fccher.example.org",
)
"""Addresses that somebody reads in another way, and at the end some that are strange, and right."""


def inject_into_mails(target: Target, scale: Scale) -> Outcome:
    """Type addresses with line breaks, encoded words, directions of writing, lists and routes; read what is mailed."""
    client, browser, control = target.client(key=target.shop), target.browser(), "control@example.org"
    target.wait_until_all_is_mailed()
    first = len(target.mailbox.mails)
    statuses: Counter[int] = Counter()
    accepted: list[str] = [control]
    browser.open("/")
    statuses[client.call("POST", "", {"to": control}).status] += 1
    for number, claim in enumerate(CLAIMS):
        answer = client.call("POST", "", {"to": claim, "client_ip": f"203.0.113.{number}"})
        statuses[answer.status] += 1
        if answer.status == 201:
            accepted.append(answer.json()["to"])
        typed = browser.send("/verify", email=claim)
        statuses[typed.status] += 1
        if typed.status == 303:
            accepted.append(claim.strip())
    target.wait_until_all_is_mailed()
    mails = list(zip(target.mailbox.mails, target.mailbox.recipients, strict=True))[first:]
    names = next((sorted(mail.keys()) for mail, _ in mails if mail["To"] == control), [])
    expected = {_in_ascii(each) for each in accepted}
    wrong = sum(
        len(recipients) != 1
        or _in_ascii(recipients[0]) not in expected
        or _in_ascii(str(mail["To"])) != _in_ascii(recipients[0])
        or sorted(mail.keys()) != names
        for mail, recipients in mails
    )
    return Outcome(
        "each mail to the one address that was typed, with our headers alone",
        f"{2 * len(CLAIMS)} tried, {statuses[422]} refused, {len(mails)} mailed, {wrong} wrong",
        not wrong and len(mails) == len(accepted) and set(statuses) <= {201, 303, 422},
    )


def _in_ascii(address: str) -> str:
    """Return an address with its domain as relays see it."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"
