"""`flask deliveries` on a real Redis, with the app's rights: listed, shown, requeued, discarded."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from sentinel import LocalTopology, MasterLink
from tests.support.stores import Store, due_in_s
from verifier.cli.deliveries import deliveries_group
from verifier.domain.codes import code_of
from verifier.domain.keys import new_secret
from verifier.domain.verifications import DeliveryStatus, Status, Verification
from verifier.store import keyspace
from verifier.store.dead_letters import names_of_dead_letters
from verifier.store.deliveries import Claim, Deliveries, Settlement
from verifier.store.facts import WorkerReport, send_heartbeat

REPLY = "relay.test:25: 5.1.1 no such user"


class Counter:
    """Where an operator stands, and the worker that gave him something to do."""

    def __init__(self, store: Store, deliveries: Deliveries, client: Redis, master: Redis) -> None:
        self.store, self.deliveries, self.client, self.master = store, deliveries, client, master

    def run(self, *words: str, answer: str = "") -> Result:
        """Run a command."""
        return CliRunner().invoke(deliveries_group, words, input=answer)

    def listed(self, *words: str) -> tuple[list[str], list[str]]:
        """Return the verification ids of what is listed: owed, and dead."""
        found: dict[str, Any] = json.loads(self.run("list", "--json", *words).stdout)
        return (
            [each["verification_id"] for each in found["owed"]],
            [each["verification_id"] for each in found["dead_letters"]],
        )

    def settled(self, outcome: DeliveryStatus, reply: str = REPLY) -> Verification:
        """Accept a verification and have its first try end like this."""
        verification = self.store.accepted()
        [claim] = self.deliveries.claim(self.client, verification.id[:8], 1)
        assert isinstance(claim, Claim)
        self.deliveries.settle(self.client, [Settlement(claim, outcome, 60, reply)])
        return verification

    def dead(self) -> Verification:
        """Make a dead letter."""
        return self.settled(DeliveryStatus.REJECTED)

    def deferred(self) -> Verification:
        """Make a delivery that waits for a minute."""
        return self.settled(DeliveryStatus.DEFERRED, "451 later")

    def age(self, verification: Verification, seconds: float) -> None:
        """Let a dead letter have been dead for longer."""
        self.master.zadd(keyspace.DEAD, {f"{verification.id}-1": time.time() - seconds})

    def dead_names(self) -> set[str]:
        """Return the dead letters there are."""
        return {name for name, _ in names_of_dead_letters(self.client)}


@pytest.fixture(autouse=True)
def _environment(topology: LocalTopology, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the app."""
    for name, value in topology.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VERIFIER_SECRET_KEYS", f"test:{new_secret()}")
    monkeypatch.setenv("VERIFIER_MAX_CHECK_ATTEMPTS", "3")


@pytest.fixture
def counter(store: Store, deliveries: Deliveries, link: MasterLink, master: Redis) -> Counter:
    """An operator at work."""
    return Counter(store, deliveries, link.redis, master)


def test_the_list_has_what_is_owed_and_what_is_dead(counter: Counter) -> None:
    """The one in the order in which it is due, the other the newest first; what was sent is in neither."""
    older, newer = counter.dead(), counter.dead()
    deferred = counter.deferred()
    counter.settled(DeliveryStatus.SENT)
    queued = counter.store.accepted()
    assert counter.listed() == ([queued.id, deferred.id], [newer.id, older.id])
    text = counter.run("list").stdout
    for words in ("ann@example.org", "deferred", "queued", "rejected", REPLY, "451 later", f"{newer.id}-1"):
        assert words in text


def test_an_empty_list_says_so(counter: Counter) -> None:
    """That nothing is wrong is worth a sentence."""
    result = counter.run("list")
    assert result.exit_code == 0
    assert "Nothing that matches is owed" in result.stdout
    assert counter.listed() == ([], [])


def test_the_list_is_narrowed_down(counter: Counter) -> None:
    """By state, address and age, each kind to its limit; and it is told that there is more."""
    old, new = counter.dead(), counter.dead()
    counter.age(old, 7200)
    deferred = counter.deferred()
    queued = counter.store.accepted()
    assert counter.listed("--status", "deferred") == ([deferred.id], [])
    assert counter.listed("--status", "rejected", "--status", "queued") == ([queued.id], [new.id, old.id])
    assert counter.listed("--address", "ANN@") == ([queued.id, deferred.id], [new.id, old.id])
    assert counter.listed("--address", "nobody") == ([], [])
    assert counter.listed("--older-than", "1h") == ([], [old.id])
    assert counter.listed("--limit", "1") == ([queued.id], [new.id])
    assert "more than 1 of a kind" in counter.run("list", "--limit", "1").stderr
    assert counter.run("list").stderr == ""


def test_show_tells_everything_but_the_code(counter: Counter) -> None:
    """Of the verification, of its newest delivery, of its dead letters; in JSON, too."""
    verification = counter.dead()
    settings = counter.store.settings
    code = code_of(verification.id, verification.address, verification.key_id, settings.keys, settings.rules)
    counter.store.resent(verification)
    text = counter.run("show", verification.id).stdout
    found = json.loads(counter.run("show", verification.id, "--json").stdout)
    for words in (
        verification.address,
        REPLY,
        f"Delivery {verification.id}-2",
        f"letter {verification.id}-1",
    ):
        assert words in text
    assert code is not None
    assert code not in text
    assert found["verification"]["status"] == "pending"
    assert (found["delivery"]["number"], found["delivery"]["status"]) == (2, "queued")
    assert [letter["number"] for letter in found["dead_letters"]] == [1]
    only_first = json.loads(counter.run("show", f"{verification.id}-1", "--json").stdout)
    assert (only_first["delivery"], len(only_first["dead_letters"])) == (None, 1)


def test_show_has_a_dead_letter_whose_record_is_gone(counter: Counter) -> None:
    """That is what it is kept for; and what nobody knows is said to be unknown."""
    verification = counter.dead()
    counter.master.delete(keyspace.record_key(verification.id))
    result = counter.run("show", verification.id)
    assert result.exit_code == 0
    assert REPLY in result.stdout
    unknown = counter.run("show", "f" * 32)
    assert unknown.exit_code == 1
    assert "Nothing is known of " + "f" * 32 in unknown.stderr


def test_requeued_mails_are_due_now(counter: Counter) -> None:
    """A deferred one and a dead one; asked again, it is still so."""
    deferred, dead = counter.deferred(), counter.dead()
    for _ in range(2):
        result = counter.run("requeue", deferred.id, f"{dead.id}-1")
        assert result.exit_code == 0
        assert result.stdout.count("is due now.") == 2
    for each in (deferred, dead):
        due_s = due_in_s(counter.master, each)
        assert due_s is not None
        assert due_s <= 0
    assert counter.dead_names() == set()
    queued = counter.store.accepted()
    assert "in the queue already" in counter.run("requeue", queued.id).stdout


def test_what_is_not_requeued_says_why(counter: Counter) -> None:
    """One sentence each, and 1; the others are requeued all the same."""
    approved, canceled, superseded, dying, fine = (counter.dead() for _ in range(5))
    sent = counter.settled(DeliveryStatus.SENT)
    counter.store.end(approved.id, Status.APPROVED)
    counter.store.end(canceled.id, Status.CANCELED)
    counter.store.resent(superseded)
    counter.master.hset(keyspace.record_key(dying.id), "expires_at", repr(time.time() + 30))
    named = [approved.id, canceled.id, f"{superseded.id}-1", dying.id, fine.id, sent.id, "f" * 32]
    result = counter.run("requeue", *named)
    assert result.exit_code == 1
    assert result.stdout == f"Delivery {fine.id}-1 is due now.\n"
    sentences = result.stderr.splitlines()
    expected = [
        "verified already",
        "canceled",
        "delivery 2 took its place",
        "less than 60 seconds",
        "accepted it",
        "unknown",
    ]
    assert len(sentences) == len(expected)
    for sentence, words in zip(sentences, expected, strict=True):
        assert words in sentence
    assert len(counter.dead_names()) == 4


def test_discarding_asks_first(counter: Counter) -> None:
    """Whoever says no, or nothing, keeps them."""
    verification = counter.dead()
    for answer in ("n\n", ""):
        result = counter.run("discard", verification.id, answer=answer)
        assert result.exit_code == 1
        assert "Discard 1 dead letter for good?" in result.output
    assert counter.dead_names() == {f"{verification.id}-1"}
    assert counter.run("discard", verification.id, answer="y\n").exit_code == 0
    assert counter.dead_names() == set()


def test_all_or_the_old_ones_are_discarded(counter: Counter) -> None:
    """Each with its letter."""
    old, *others = (counter.dead() for _ in range(3))
    counter.age(old, 2 * 86400)
    result = counter.run("discard", "--all", "--older-than", "1d", "--yes")
    assert (result.exit_code, result.stdout) == (0, "Discarded 1 dead letter.\n")
    assert counter.dead_names() == {f"{each.id}-1" for each in others}
    assert counter.run("discard", "--all", "--yes").stdout == "Discarded 2 dead letters.\n"
    assert counter.run("discard", "--all", "--yes").stdout == "Discarded 0 dead letters.\n"
    assert list(counter.master.scan_iter(f"{keyspace.DEAD}*")) == []


def test_only_dead_letters_are_discarded(counter: Counter) -> None:
    """What is owed was promised; the known ones among the named are discarded all the same."""
    owed, dead = counter.deferred(), counter.dead()
    result = counter.run("discard", owed.id, dead.id, "--yes")
    assert result.exit_code == 1
    assert result.stdout == "Discarded 1 dead letter.\n"
    assert f"no dead letter of {owed.id}" in result.stderr
    assert "only with --owed" in result.stderr
    assert counter.listed() == ([owed.id], [])


def test_an_owed_mail_is_discarded_only_by_who_has_read_what_it_is(counter: Counter) -> None:
    """To whom, masked, since when, in which state, in the relay's words, and what the person will see."""
    owed = counter.deferred()
    refused = counter.run("discard", owed.id, "--owed", answer="n\n")
    assert refused.exit_code == 1
    for words in (
        f"{owed.id}-1 to a***@example.org: deferred after 1 try, still owed, accepted ",
        "451 later",
        "The person's page will say",
        "Discard 1 mail that is owed for good?",
    ):
        assert words in refused.output
    assert counter.listed() == ([owed.id], [])
    done = counter.run("discard", owed.id, "--owed", "--yes")
    assert (done.exit_code, counter.listed()) == (0, ([], []))
    assert "will not go out" in done.stdout
    assert counter.store.get(owed.id).delivery.status is DeliveryStatus.ABANDONED


def test_a_mail_on_its_way_is_not_discarded(counter: Counter) -> None:
    """It may have arrived by then."""
    verification = counter.store.accepted()
    counter.deliveries.claim(counter.client, "lease", 1)
    result = counter.run("discard", verification.id, "--owed", "--yes")
    assert result.exit_code == 1
    assert "handed to a relay at this moment" in result.stderr
    assert counter.listed() == ([verification.id], [])


def test_many_are_requeued_one_after_the_other(counter: Counter) -> None:
    """Those that the filters match, over the time that is asked for; dead codes are counted, and left alone."""
    deferred, *dead = counter.deferred(), counter.dead(), counter.dead()
    expired = counter.dead()
    counter.master.hset(keyspace.record_key(expired.id), "expires_at", repr(time.time() - 1))
    name = keyspace.dead_letter_key(f"{expired.id}-1")
    letter = json.loads(counter.master.get(name))  # type: ignore[arg-type] # redis-py's types
    counter.master.set(name, json.dumps(letter | {"expires_at": repr(time.time() - 1)}))
    preview = counter.run("requeue", "--all", "--over", "5m", "--dry-run")
    assert preview.exit_code == 0
    assert "2 dead letters and 1 deferred mails would be tried again, over 5m 0s" in preview.stdout
    assert f"     2  {REPLY}" in preview.stdout
    assert "1 more match" in preview.stdout
    assert counter.run("requeue", "--all", answer="n\n").exit_code == 1
    assert len(counter.dead_names()) == 3
    result = counter.run("requeue", "--all", "--over", "5m", "--yes")
    assert "3 of 3 are on their way" in result.stdout
    assert counter.dead_names() == {f"{expired.id}-1"}
    due_in = sorted(due_in_s(counter.master, each) or 0.0 for each in (deferred, *dead))
    for wanted, found in zip((0, 100, 200), due_in, strict=True):
        assert wanted - 90 < found <= wanted


@pytest.mark.parametrize(
    ("words", "dead", "deferred"),
    [
        (("--reply", "NO SUCH"), 1, 0),
        (("--status", "deferred"), 0, 1),
        (("--domain", "@Example.ORG"), 1, 1),
        (("--domain", "ample.org"), 0, 0),
        (("--since", "30m"), 0, 1),
        (("--older-than", "30m"), 1, 0),
    ],
)
def test_the_filters_choose(counter: Counter, words: tuple[str, ...], dead: int, deferred: int) -> None:
    """The same for a listing and for what is done to many."""
    counter.deferred()
    counter.age(counter.dead(), 3600)
    owed, letters = counter.listed(*words)
    assert (len(letters), len(owed)) == (dead, deferred)
    preview = counter.run("requeue", "--all", "--dry-run", *words).stdout
    assert f"{dead} dead letters and {deferred} deferred mails would be tried again" in preview


def test_the_queue_tells_how_it_stands(counter: Counter) -> None:
    """What waits, what is owed in which state, the next tries, the dead, and the workers."""
    counter.deferred()
    counter.dead()
    counter.store.accepted()
    text = counter.run("queue").stdout
    for words in (
        "1 jobs wait.",
        "Owed: 2 (1 queued, 1 deferred)",
        "in 59s",
        "Dead letters: 1.",
        "No worker is alive",
    ):
        assert words in text
    send_heartbeat(counter.client, WorkerReport("w1", ("Work is suspended.",), 7))
    counter.master.set("rq:suspended", 1)
    assert "WORK IS SUSPENDED" in counter.run("queue").stdout
    told = json.loads(counter.run("queue", "--json").stdout)
    assert (told["jobs"], told["owed"], told["suspended"], len(told["next_tries"])) == (1, 2, True, 1)
    assert told["workers"] == [{"name": "w1", "sent_last_minute": 7, "troubles": ["Work is suspended."]}]


def test_a_refused_login_is_said_as_such(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting to mend, and at once."""
    monkeypatch.setenv("VERIFIER_REDIS_PASSWORD", "wrong")
    result = counter.run("list")
    assert result.exit_code == 1
    assert "Redis can't be used" in result.stderr
    assert "Traceback" not in result.output
