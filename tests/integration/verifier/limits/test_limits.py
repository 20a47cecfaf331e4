"""Limits on a real Redis: what each counts, for whom, and that all of it is one step."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from tests.support.clock import RedisTime
from tests.support.limits import limit_names, limits_of
from tests.support.stores import waiting_jobs
from verifier import create_app
from verifier.container import Container, install
from verifier.domain.callers import Caller, CallerKind, browser
from verifier.domain.codes import code_of
from verifier.domain.errors import LimitReached
from verifier.domain.limits import NO_LIMITS, Limits
from verifier.domain.verifications import DeliveryStatus, Verification
from verifier.service import VerificationService
from verifier.store import keyspace

START = "/v1/verifications"
ANN = "ann@example.org"


@dataclass(frozen=True)
class Doors:
    """The service with some limits, and an app before it that believes one proxy."""

    service: VerificationService
    app: Flask

    def code(self, verification: Verification) -> str:
        """Return the right code."""
        service = self.service
        code = code_of(
            verification.id, verification.address, verification.key_id, service._keys, service.rules
        )
        assert code is not None
        return code

    def wrong_code(self, verification: Verification) -> str:
        """Return a code that is not the right one."""
        return f"{(int(self.code(verification)) + 1) % 10**6:06}"


Open = Callable[[Limits], Doors]


@pytest.fixture
def doors(container: Container, master: Redis) -> Iterator[Open]:
    """Make a service with limits of its own; nothing is left that would expire while other tests look on."""

    def make(limits: Limits, proxies: int = 1) -> Doors:
        ours = replace(container.settings, limits=limits, trusted_proxies=proxies)
        service = VerificationService(container.service._store, ours.keys, ours.rules, limits)
        app = create_app(ours)
        install(app, replace(container, settings=ours, service=service))
        return Doors(service, app)

    yield make
    master.flushall()


def _person(ip: str, which: str = "one") -> Caller:
    return replace(browser(which), client_ip=ip)


def _shop(client_ip: str = "") -> Caller:
    return Caller(CallerKind.KEY, "shop", client_ip)


def _counted(master: Redis) -> dict[str, str]:
    """Return all that is counted."""
    return {key: str(master.get(key)) for key in master.scan_iter(f"{keyspace.LIMIT_PREFIX}*")}


# For each limit on mails: who is counted together with Ann on her own network, and who is not.
MAILS = [
    ("mails_per_address", ("ANN+x@example.org", "203.0.113.9"), ("bob@example.org", "192.0.2.1")),
    ("mails_per_address_and_network", (ANN, "192.0.2.9"), (ANN, "198.51.100.1")),
    ("mails_per_network", ("bob@example.org", "::ffff:192.0.2.9"), (ANN, "198.51.100.1")),
    ("mails_per_domain", ("bob@EXAMPLE.org", "203.0.113.9"), ("ann@example.com", "192.0.2.1")),
    ("mails", ("bob@example.com", "203.0.113.9"), None),
]


@pytest.mark.parametrize(("name", "same", "other"), MAILS, ids=[name for name, _, _ in MAILS])
def test_each_limit_on_mails_counts_its_own(
    name: str, same: tuple[str, str], other: tuple[str, str] | None, doors: Open, clock: RedisTime
) -> None:
    """Over browsers and verifications; then it lets one more in after each step."""
    service = doors(limits_of(**{name: "2/1h"})).service
    service.start(ANN, caller=_person("192.0.2.1"))
    service.start(same[0], caller=_person(same[1], "two"))
    for address, ip in ((ANN, "192.0.2.1"), same):
        with pytest.raises(LimitReached) as refusal:
            service.start(address, caller=_person(ip, "three"))
        assert refusal.value.limit == name
        assert 1790 <= (refusal.value.retry_after_s or 0) <= 1800
    if other is not None:
        service.start(other[0], caller=_person(other[1], "four"))
    clock.move(1800)
    service.start(ANN, caller=_person("192.0.2.1", "five"))
    with pytest.raises(LimitReached):
        service.start(ANN, caller=_person("192.0.2.1", "six"))


def test_a_key_has_a_limit_of_its_own(doors: Open) -> None:
    """Whoever it asks for; pages and other keys are not counted."""
    service = doors(limits_of(mails_per_api_key="2/1h")).service
    for number in range(2):
        service.start(f"user{number}@example.org", caller=_shop(f"192.0.{number}.1"))
    with pytest.raises(LimitReached, match="with this API key") as refusal:
        service.start(ANN, caller=_shop())
    assert refusal.value.limit == "mails_per_api_key"
    service.start(ANN, caller=replace(_shop(), name="bank"))
    service.start(ANN, caller=_person("192.0.2.1"))


def test_a_key_that_names_nobody_is_one_client_without_a_network(doors: Open) -> None:
    """Its people share what one client has of an address, and are not limited as a network is."""
    service = doors(limits_of(mails_per_address_and_network="1/1h", mails_per_network="2/1h")).service
    for number in range(5):
        service.start(f"user{number}@example.org", caller=_shop())
    with pytest.raises(LimitReached) as refusal:
        service.start("user0+again@example.org", caller=_shop())
    assert refusal.value.limit == "mails_per_address_and_network"
    service.start("user0+again@example.org", caller=_shop("192.0.2.1"))


CODES = [
    ("wrong_codes_per_address", (ANN, "203.0.113.9"), ("bob@example.org", "192.0.2.1")),
    ("wrong_codes_per_address_and_network", (ANN, "192.0.2.9"), (ANN, "198.51.100.1")),
    ("wrong_codes_per_network", ("bob@example.org", "192.0.2.9"), (ANN, "198.51.100.1")),
]


@pytest.mark.parametrize(("name", "same", "other"), CODES, ids=[name for name, _, _ in CODES])
def test_each_limit_on_wrong_codes_counts_its_own(
    name: str, same: tuple[str, str], other: tuple[str, str], doors: Open, clock: RedisTime
) -> None:
    """Over all verifications, and the right code gets the same answer as a wrong one; no attempt is lost by it."""
    door = doors(limits_of(**{name: "2/1h"}))
    service = door.service
    first, second = (service.start(address) for address in (ANN, same[0]))
    assert not service.check(first.id, door.wrong_code(first), caller=_person("192.0.2.1")).valid
    assert not service.check(second.id, door.wrong_code(second), caller=_person(same[1])).valid
    third = service.start(same[0])
    for code in (door.wrong_code(third), door.code(third)):
        with pytest.raises(LimitReached) as refusal:
            service.check(third.id, code, caller=_person(same[1]))
        assert refusal.value.limit == name
    assert service.get(third.id).check_attempts == 0
    elsewhere = service.start(other[0])
    assert service.check(elsewhere.id, door.code(elsewhere), caller=_person(other[1])).valid
    clock.move_limits(1800)
    assert service.check(third.id, door.code(third), caller=_person(same[1])).valid


def test_every_limit_is_tried_here() -> None:
    """A new one gets a row."""
    tried = {name for name, *_ in (*MAILS, *CODES)} | {"mails_per_api_key"}
    assert tried == set(limit_names())


def test_a_right_code_is_given_back(doors: Open) -> None:
    """Somebody who types no wrong code is never refused."""
    door = doors(limits_of(**{name: "1/1d" for name, *_ in CODES}))
    for number in range(4):
        verification = door.service.start(f"ann+{number}@example.org")
        for _ in range(2):  # the second is no repeat, and not counted, since it has ended
            result = door.service.check(verification.id, door.code(verification), caller=_person("192.0.2.1"))
        assert result.verification.decided.value == "approved"
    verification = door.service.start(ANN)
    assert not door.service.check(verification.id, door.wrong_code(verification)).valid
    with pytest.raises(LimitReached):
        door.service.check(verification.id, door.code(verification))


def test_what_is_refused_counts_towards_nothing(doors: Open, master: Redis) -> None:
    """Neither towards the limit that refused nor towards any other; nothing is left of it."""
    door = doors(limits_of("100/1h", mails_per_address="2/1h", wrong_codes_per_network="1/1h"))
    person = _person("192.0.2.1")
    kept = [door.service.start(ANN, caller=_person("192.0.2.1", name)) for name in ("one", "two")]
    door.service.check(kept[0].id, door.wrong_code(kept[0]), caller=person)
    before, jobs = _counted(master), waiting_jobs(master)
    keys = set(master.keys("*"))
    for _ in range(5):
        with pytest.raises(LimitReached, match="with this address"):
            door.service.start(ANN, caller=_person("192.0.2.1", "three"))
        with pytest.raises(LimitReached, match="from your network"):
            door.service.check(kept[0].id, door.code(kept[0]), caller=person)
    assert _counted(master) == before
    assert waiting_jobs(master) == jobs
    assert set(master.keys("*")) - keys <= {keyspace.ROOM}


def test_a_resend_is_a_mail(doors: Open, clock: RedisTime) -> None:
    """Counted as a start is, and refused as one; a repeat of the same request is counted once."""
    service = doors(limits_of(mails_per_address="2/1d")).service
    caller = _person("192.0.2.1")
    verification = service.start(ANN, caller=caller)
    clock.move(31)
    for _ in range(3):
        assert service.resend(verification.id, request_key="r", caller=caller).sends == 2
    clock.move(61)
    with pytest.raises(LimitReached, match="Try again in 12 hours"):
        service.resend(verification.id, caller=caller)
    assert service.get(verification.id).sends == 2


def test_a_repeat_is_counted_once(doors: Open) -> None:
    """A start and a check with the same key."""
    door = doors(limits_of("2/1h"))
    for _ in range(5):
        verification = door.service.start(ANN, request_key="k")
        assert not door.service.check(verification.id, door.wrong_code(verification), request_key="c").valid
    door.service.start(ANN, request_key="other")
    assert not door.service.check(verification.id, door.wrong_code(verification), request_key="d").valid


def test_limits_that_are_off_count_nothing(doors: Open, master: Redis) -> None:
    """For load tests."""
    door = doors(NO_LIMITS)
    for number in range(30):
        door.service.start(ANN, caller=_person("192.0.2.1", str(number)))
    assert _counted(master) == {}


def test_counters_live_no_longer_than_the_window_and_name_nobody(doors: Open, master: Redis) -> None:
    """Each has a time to live, and addresses and networks are digests."""
    door = doors(Limits())
    verification = door.service.start(ANN, caller=_person("192.0.2.77"))
    door.service.check(verification.id, door.wrong_code(verification), caller=_person("192.0.2.77"))
    keys = [*_counted(master), *master.scan_iter(f"{keyspace.PENDING_PREFIX}*")]
    assert len(keys) == 8
    lives_ms = {key: int(master.pttl(key)) for key in keys}
    assert -1 not in lives_ms.values(), lives_ms
    for key in keys:
        assert re.fullmatch(r"verifier:(limit:[a-z_]+|pending)(:([A-Za-z0-9_=-]{16}|all)){1,2}", key), key
        assert "ann" not in key
        assert "192.0" not in key
    # One mail of 15 a day.
    assert max(lives_ms.values()) <= 86400_000 / 15


def test_a_counter_lives_until_all_of_its_allowance_is_there_again(doors: Open, master: Redis) -> None:
    """However often it is counted in, and given back; its end, which costs a write, is not moved each time."""
    limits = limits_of(mails="600/10m, 1000/1h", wrong_codes_per_address="100/1m")
    door = doors(limits)
    ends: dict[str, list[float]] = {}
    for number in range(40):
        verification = door.service.start(f"ann+{number}@example.org")
        door.service.check(verification.id, door.wrong_code(verification))
        if number % 3:
            door.service.check(verification.id, door.code(verification))
        for key, value in _counted(master).items():
            seconds, microseconds = master.time()
            now = seconds + microseconds / 1e6
            life_s = int(master.pttl(key)) / 1000
            needed_s = max(map(float, value.split())) - now
            assert needed_s - 1 < life_s < max(needed_s, 0) + 62, (number, key)
            ends.setdefault(key, []).append(now + life_s)
    assert len(ends) == 2
    for found in ends.values():
        moves = sum(later - sooner > 1 for sooner, later in itertools.pairwise(found))
        assert moves < 10, found


def test_a_clock_that_was_ahead_keeps_nobody_out_for_longer_than_the_window(
    doors: Open, master: Redis
) -> None:
    """As after a failover to a master whose clock is right; a spoiled counter is begun anew."""
    service = doors(limits_of(mails="1/1m")).service
    [key] = (service.start(ANN), list(_counted(master)))[1]
    master.set(key, f"{service.clock() + 10**6:.6f}")
    with pytest.raises(LimitReached) as refusal:
        service.start(ANN)
    assert (refusal.value.retry_after_s or 0) <= 60
    for spoiled in ("nonsense", "nan", "inf", "", "1 2 3 4"):
        master.set(key, spoiled)
        service.start(ANN)
        with pytest.raises(LimitReached):
            service.start(ANN)
    master.delete(key)
    master.rpush(key, "x")
    service.start(ANN)
    assert 0 < int(master.pttl(key)) <= 60_000


def test_a_counter_of_a_clock_that_was_ahead_does_not_live_for_longer_than_the_window(
    doors: Open, master: Redis
) -> None:
    """However long the other master let it live."""
    service = doors(limits_of(mails="5/1d")).service
    week_s = 7 * 86400
    key = keyspace.limit_key("mails", "all")
    master.set(key, f"{service.clock() + week_s:.6f}", ex=week_s + 86400)
    with pytest.raises(LimitReached):
        service.start(ANN)
    master.set(key, f"{service.clock():.6f}", ex=week_s)
    service.start(ANN)
    assert 86400 // 5 <= int(master.ttl(key)) <= 86400 // 5 + 61


def test_nothing_is_left_of_what_is_given_back(doors: Open, master: Redis) -> None:
    """Where nothing else is counted; whoever types right codes alone leaves no counter of wrong ones."""
    door = doors(limits_of(**{name: "5/1d" for name, *_ in CODES}))
    person = _person("192.0.2.1")
    for _ in range(2):
        verification = door.service.start(ANN, caller=person)
        assert door.service.check(verification.id, door.code(verification), caller=person).valid
        assert _counted(master) == {}
    verification = door.service.start(ANN, caller=person)
    assert not door.service.check(verification.id, door.wrong_code(verification), caller=person).valid
    before = _counted(master)
    assert door.service.check(verification.id, door.code(verification), caller=person).valid
    assert _counted(master).keys() == before.keys()
    assert len(before) == 3
    for key in before:
        assert 86000 // 5 < int(master.ttl(key)) <= 86400 // 5 + 61


def test_attempts_are_limited_although_redis_is_full(doors: Open, master: Redis) -> None:
    """And counted."""
    door = doors(limits_of(wrong_codes_per_address="2/1h"))
    verification = door.service.start(ANN)
    limit = master.config_get("maxmemory")["maxmemory"]
    master.config_set("maxmemory", 1_000_000)
    try:
        for _ in range(2):
            assert not door.service.check(verification.id, door.wrong_code(verification)).valid
        with pytest.raises(LimitReached):
            door.service.check(verification.id, door.code(verification))
    finally:
        master.config_set("maxmemory", limit)


def test_a_record_of_an_older_release_is_limited_too(doors: Open, master: Redis) -> None:
    """It has no tag of its address."""
    door = doors(limits_of(wrong_codes_per_address="2/1h"))
    old = [door.service.start(ANN) for _ in range(2)]
    for each in old:
        master.hdel(keyspace.record_key(each.id), "address_tag")
    for each in old:
        assert not door.service.check(each.id, door.wrong_code(each)).valid
    with pytest.raises(LimitReached):
        door.service.check(old[0].id, door.code(old[0]))


# What people and programs see


def test_the_api_names_the_limit_and_when_to_try_again(doors: Open) -> None:
    """As a problem detail, for a start and for a check."""
    api = doors(limits_of(mails_per_address="1/1m", wrong_codes_per_address="1/1h")).app.test_client()
    started = api.post(START, json={"to": ANN}).json
    assert started is not None
    url = f"{START}/{started['id']}/check"
    assert api.post(url, json={"code": "000000"}).status_code == 200
    for answer, limit, most_s in (
        (api.post(START, json={"to": ANN}), "mails_per_address", 60),
        (api.post(url, json={"code": "000001"}), "wrong_codes_per_address", 3600),
    ):
        problem: Any = answer.json
        assert (answer.status_code, answer.content_type) == (429, "application/problem+json")
        assert (problem["code"], problem["limit"], problem["title"]) == ("limit_reached", limit, "Too often")
        assert "Try again in " in problem["detail"]
        assert most_s - 5 <= int(answer.headers["Retry-After"]) <= most_s


def test_the_pages_say_when_to_try_again(doors: Open) -> None:
    """In the form, with what was typed."""
    door = doors(limits_of(mails_per_address="1/1m", wrong_codes_per_address="1/1h"))
    person = door.app.test_client()

    def post(path: str, **fields: str) -> Any:
        form = person.get("/").text
        found = dict(re.findall(r'name="(csrf_token|request)" value="([^"]+)"', form))
        return person.post(path, data={**found, **fields})

    page = post("/verify", email=ANN).headers["Location"]
    answer = post("/verify", email="ann+2@example.org")
    assert answer.status_code == 429
    assert 55 <= int(answer.headers["Retry-After"]) <= 60
    assert re.search(
        r"Too many emails were asked for with this address. Try again in \d+ seconds.", answer.text
    )
    assert 'value="ann+2@example.org"' in answer.text
    verification = door.service.get(page.rpartition("/")[2])
    wrong = door.wrong_code(verification)
    assert post(page, code=wrong).status_code == 303
    answer = post(page, code=door.code(verification))
    assert answer.status_code == 429
    assert 3595 <= int(answer.headers["Retry-After"]) <= 3600
    assert "Too many wrong codes were entered for this address. Try again in 60 minutes." in answer.text


# Who the client is


def _asked(door: Doors, *forwarded: str | None) -> list[int]:
    """Return the statuses of starts from these clients."""
    statuses = []
    for number, header in enumerate(forwarded):
        headers = {} if header is None else {"X-Forwarded-For": header}
        answer = door.app.test_client().post(START, json={"to": f"user{number}@example.org"}, headers=headers)
        statuses.append(answer.status_code)
    return statuses


NETWORKS = [
    ("one network", ["192.0.2.1", "192.0.2.200", "::ffff:192.0.2.3"], [201, 429, 429]),
    ("two networks", ["192.0.2.1", "192.0.3.1", "192.0.3.2"], [201, 201, 429]),
    ("one IPv6 network", ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"], [201, 429, 201]),
    ("what the client added itself", ["1.1.1.1, 192.0.2.1", "2.2.2.2, 192.0.2.1"], [201, 429]),
    (
        "a quote of its own",
        ["192.0.2.1", '", 192.0.2.1', 'a"b, 192.0.2.1', '"[2001:db8::1]:80"'],
        [201, 429, 429, 201],
    ),
    ("rubbish", ["rubbish", "<script>", "192.0.2", "'; DROP", "9" * 4000, ",,,", " "], [201] + [429] * 4),
    ("with a port", ["192.0.2.1:80", "192.0.2.1:81", "[2001:db8::1]:80"], [201, 429, 201]),
]


@pytest.mark.parametrize(
    ("forwarded", "statuses"), [row[1:] for row in NETWORKS], ids=[row[0] for row in NETWORKS]
)
def test_the_client_is_whom_the_proxy_names(forwarded: list[str], statuses: list[int], doors: Open) -> None:
    """Only the last hop counts, since one proxy is configured; rubbish is one client, and never an error."""
    door = doors(limits_of(mails_per_network="1/1h"))
    found = _asked(door, *forwarded)
    assert found[: len(statuses)] == statuses
    assert set(found) <= {201, 429}


def test_without_a_proxy_nobody_names_the_client(doors: Any) -> None:
    """The header is the client's own word."""
    door = doors(limits_of(mails_per_network="1/1h"), 0)
    assert _asked(door, None, "192.0.2.1", "198.51.100.1") == [201, 429, 429]


def test_with_two_proxies_the_one_before_the_last_names_it(doors: Any) -> None:
    """Whoever sends fewer hops has come past a proxy, and is counted with the peer."""
    door = doors(limits_of(mails_per_network="1/1h"), 2)
    assert _asked(door, "1.1.1.1, 192.0.2.1, 10.0.0.1", "2.2.2.2, 192.0.2.1, 10.0.0.2") == [201, 429]
    assert _asked(door, '"1.1.1.1, 192.0.2.1, 10.0.0.1') == [429]
    assert _asked(door, "198.51.100.1", "203.0.113.1") == [201, 429]


# A second start


def test_a_second_start_leads_to_the_pending_verification(
    doors: Open, clock: RedisTime, master: Redis
) -> None:
    """From the same browser: no second mail so soon, later a resend; attempts stay as they are."""
    door = doors(limits_of("100/1h"))
    first = door.service.start(ANN, caller=_person("192.0.2.1"))
    door.service.check(first.id, door.wrong_code(first), caller=_person("192.0.2.1"))
    again = door.service.start("Ann@Example.org".replace("Ann", "ann"), caller=_person("198.51.100.1"))
    assert (again.id, again.check_attempts, again.sends) == (first.id, 1, 1)
    assert len(waiting_jobs(master)) == 1
    clock.move(31)
    for _ in range(3):  # the same form, sent again
        later = door.service.start(ANN, form_token="f" * 32, caller=_person("192.0.2.1"))
        assert (later.id, later.check_attempts, later.sends) == (first.id, 1, 2)
    assert len(waiting_jobs(master)) == 2
    clock.move(500)
    assert door.service.start(ANN, caller=_person("192.0.2.1")).sends == 3
    clock.move(5)
    assert door.service.start(ANN, caller=_person("192.0.2.1")).sends == 3


def test_another_browser_gets_its_own(doors: Open) -> None:
    """Nobody joins, or uses up, somebody else's; nor does another person behind the same key."""
    service = doors(limits_of("100/1h")).service
    callers = [
        _person("192.0.2.1", "one"),
        _person("192.0.2.1", "two"),
        _shop(),
        _shop("192.0.2.1"),
        _shop("198.51.100.1"),
        replace(_shop(), name="bank"),
    ]
    ids = [service.start(ANN, caller=caller).id for caller in callers]
    assert len(set(ids)) == len(callers)
    assert [service.start(ANN, caller=caller).id for caller in callers] == ids
    assert service.start("bob@example.org", caller=callers[0]).id not in ids
    anybody = Caller(CallerKind.OPEN, client_ip="192.0.2.1")
    assert service.start(ANN, caller=anybody).id != service.start(ANN, caller=anybody).id


def test_what_has_ended_or_can_not_arrive_is_followed_by_a_new_one(
    doors: Open, clock: RedisTime, master: Redis
) -> None:
    """Canceled, approved, used up, about to expire, refused by the relay, given up."""
    door = doors(limits_of("100/1h"))
    service, person = door.service, _person("192.0.2.1")

    def use_up(found: Verification) -> None:
        for _ in range(service.rules.max_check_attempts):
            service.check(found.id, door.wrong_code(found), caller=person)

    def deliver(status: DeliveryStatus) -> Callable[[Verification], object]:
        return lambda found: master.hset(
            keyspace.record_key(found.id), mapping={"delivery_status": status.value}
        )

    for end in (
        lambda found: service.cancel(found.id, caller=person),
        lambda found: service.check(found.id, door.code(found), caller=person),
        use_up,
        lambda _: clock.move(541),
        deliver(DeliveryStatus.REJECTED),
        deliver(DeliveryStatus.ABANDONED),
        lambda found: master.delete(keyspace.record_key(found.id)),
    ):
        before = service.start(ANN, caller=person)
        assert service.start(ANN, caller=person).id == before.id
        end(before)
        assert service.start(ANN, caller=person).id != before.id


def test_many_starts_at_once_from_one_browser_make_one_verification(doors: Open, master: Redis) -> None:
    """With different forms, as from several tabs."""
    service = doors(limits_of("100/1h")).service

    def start(number: int) -> str:
        return service.start(ANN, form_token=f"{number:032x}", caller=_person("192.0.2.1")).id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(24)))) == 1
    assert len(waiting_jobs(master)) == 1


def test_a_start_that_leads_to_a_pending_one_is_never_refused(doors: Open) -> None:
    """It asks for no mail, so there is nothing to limit."""
    service = doors(limits_of("1/1d")).service
    ids = {service.start(ANN, caller=_person("192.0.2.1")).id for _ in range(5)}
    assert len(ids) == 1
