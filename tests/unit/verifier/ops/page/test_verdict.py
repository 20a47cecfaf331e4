"""What the page says first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel import RequestDeadline, Topology, WriteAnswer
from sentinel.topology.writes import Refusal
from tests.support.ops.pictures import NODES, healthy, with_node, with_sentinels
from verifier.ops.page.looks import Service
from verifier.ops.page.verdict import Sight, Verdict, verdict_of
from verifier.ops.page.watch import Seen
from verifier.readiness import Limits, Look
from verifier.store.facts import Facts, WorkerReport
from verifier.store.ops.series import Series

NOW = 1000.0
WELL = Facts(0, 0.0, 1.0, (WorkerReport("w"),), replicas=2, memory_share=0.1)


def service(facts: Facts = WELL) -> Service:
    return Service(facts, Series((), 0.0), (), 0, (), frozenset())


GOOD = Sight(
    Seen(healthy(), NOW - 1),
    Seen(Look(write=WriteAnswer(NODES[0], 0.01, needed=1, acknowledged=1)), NOW - 3),
    Seen(service(), NOW - 1),
    NOW,
)


def verdict(sight: Sight) -> Verdict:
    return verdict_of(sight, Limits(replicas=1), RequestDeadline(10, "VERIFIER_REQUEST_DEADLINE"))


def nodes(topology: Topology) -> Sight:
    return replace(GOOD, nodes=Seen(topology, NOW - 1))


def test_nothing_is_wrong_only_where_all_is_well() -> None:
    """Nodes, sentinels, a write and the service, all seen a moment ago."""
    found = verdict(GOOD)
    assert (found.tone, found.headline, found.sentence) == ("good", "Mail goes out", "Nothing is wrong.")
    assert found.troubles == ()


REFUSED = WriteAnswer(NODES[0], 0.01, Refusal.MEMORY, "OOM")


@pytest.mark.parametrize(
    ("sight", "tone", "headline"),
    [
        (replace(GOOD, service=Seen(service(replace(WELL, workers=())), NOW)), "bad", "Something is wrong"),
        (replace(GOOD, writes=Seen(Look(write=REFUSED), NOW - 3)), "bad", "Something is wrong"),
        (replace(GOOD, service=Seen(service(), NOW - 9, "It is away.")), "bad", "Redis is away"),
        (replace(GOOD, service=Seen(service(), NOW - 9)), "bad", "Redis is away"),
        (
            replace(GOOD, nodes=Seen(healthy(), NOW - 9, "None of the sentinels answers.")),
            "bad",
            "Something is wrong",
        ),
        (Sight(Seen(), Seen(), Seen(), NOW), "bad", "Nothing can be seen"),
        (replace(GOOD, nodes=Seen()), "warning", "Mail goes out"),
        (replace(GOOD, nodes=Seen(healthy(), NOW - 9)), "warning", "Mail goes out"),
        (nodes(with_node(healthy(), 1, priority=50)), "warning", "Mail goes out"),
        (
            nodes(with_sentinels(healthy(), flags=frozenset({"master", "o_down", "failover_in_progress"}))),
            "moving",
            "A failover is under way",
        ),
    ],
    ids=[
        "no worker",
        "full",
        "away",
        "old",
        "no sentinel",
        "nothing",
        "no look at nodes",
        "an old look at nodes",
        "a warning",
        "a failover",
    ],
)
def test_each_state_has_its_tone(sight: Sight, tone: str, headline: str) -> None:
    """And something is said of it."""
    found = verdict(sight)
    assert (found.tone, found.headline) == (tone, headline)
    assert found.sentence


def test_what_is_old_is_told_with_its_age() -> None:
    """And why: in one sentence, however much the link has to say."""
    words = "10.0.0.1:6379 does not answer: Error 111 connecting. Connection refused. The next attempt is in 0.3 s."
    sight = replace(GOOD, service=Seen(service(), NOW - 65, words))
    assert sight.stale == ["service"]
    assert sight.age_s == 65
    assert verdict(sight).sentence == "10.0.0.1:6379 does not answer. It was seen last 1 min ago."


def test_an_old_write_or_one_on_another_node_says_nothing() -> None:
    """The master may have moved since."""
    for write, at in ((REFUSED, NOW - 60), (replace(REFUSED, node=NODES[1]), NOW)):
        found = verdict(replace(GOOD, writes=Seen(Look(write=write), at)))
        assert found.tone == "good"


def test_what_may_not_be_asked_is_told_apart() -> None:
    """The web app has no operators' login on purpose: that is nothing that is wrong."""
    found = verdict(nodes(with_sentinels(healthy(), missing_rights=("info",), tilt=None)))
    assert found.tone == "good"
    assert any("lacks the right +info" in each for each in found.unseen)
