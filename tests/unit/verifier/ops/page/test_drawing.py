"""The picture of a topology: who stands where, what is written on it, who sees what."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from sentinel import Endpoint, Role, SentinelState
from tests.support.ops.pictures import NODES, healthy, with_node, with_sentinels
from verifier.ops.page.drawing import Box, Picture, in_words, pictures_of


def boxes_of(picture: Picture) -> dict[str, Box]:
    return {box.name: box for box in picture.boxes}


@pytest.mark.parametrize("which", [0, 1], ids=["wide", "tall"])
def test_the_master_moves_and_nobody_changes_places(which: int) -> None:
    """Whoever looks away for a moment finds each node where it was."""
    before, after = (boxes_of(pictures_of(healthy(master))[which]) for master in (0, 2))
    assert [before[str(node)].kind for node in NODES] == ["master", "replica", "replica"]
    assert [after[str(node)].kind for node in NODES] == ["replica", "replica", "master"]
    for name, box in before.items():
        assert (box.x, box.y) == (after[name].x, after[name].y)


@pytest.mark.parametrize("which", [0, 1], ids=["wide", "tall"])
@pytest.mark.parametrize("how_many", [1, 3, 5, 7])
def test_nothing_lies_over_anything_or_beyond_the_edge(which: int, how_many: int) -> None:
    """However many nodes and sentinels there are."""
    topology = healthy()
    nodes = [replace(topology.nodes[0], endpoint=Endpoint("10.0.0.9", 7000 + at)) for at in range(how_many)]
    sentinels = [replace(topology.sentinels[0], endpoint=Endpoint("10.0.0.8", at)) for at in range(how_many)]
    picture = pictures_of(replace(topology, nodes=tuple(nodes), sentinels=tuple(sentinels)))[which]
    assert len(picture.boxes) == 2 * how_many
    for box in picture.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
    for one, other in itertools.combinations(picture.boxes, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_a_long_name_is_smaller_and_never_shortened() -> None:
    """What identifies a node is what one acts on."""
    name = Endpoint("redis-1.verifier.example.internal", 6379)
    topology = with_node(healthy(), 0, endpoint=name)
    wide, tall = (boxes_of(each)[str(name)] for each in pictures_of(topology))
    assert (tall.size, tall.squeezed) == ("name tiny", None)
    assert (wide.size, wide.squeezed) == ("name tiny", wide.width - 34)


def test_each_sentinels_view_of_a_node_is_on_it() -> None:
    """One that does not answer sees nothing that we know of."""
    topology = with_sentinels(healthy(), flags=frozenset({"master", "s_down"}))
    silent = SentinelState(topology.sentinels[2].endpoint, "it does not answer")
    topology = replace(topology, sentinels=(*topology.sentinels[:2], silent))
    [master] = [box for box in pictures_of(topology)[0].boxes if box.kind == "master"]
    assert [(eye.sentinel, eye.view) for eye in master.eyes] == [
        ("1", "down"),
        ("2", "down"),
        ("3", "unknown"),
    ]


@pytest.mark.parametrize(
    ("number", "changes", "kind", "title"),
    [
        (0, {"role": None, "error": "it does not answer"}, "silent", "Master, silent"),
        (1, {"role": None, "error": "NOAUTH", "refused": True}, "silent", "Refuses us"),
        (0, {"role": Role.REPLICA, "follows": NODES[1], "link": "connect"}, "wrong", "Replica, named master"),
        (1, {"follows": Endpoint("10.9.9.9", 1)}, "wrong", "Replica of another"),
        (1, {"role": Role.MASTER, "follows": None}, "wrong", "A master, too"),
    ],
)
def test_what_is_wrong_is_on_the_node(number: int, changes: dict[str, object], kind: str, title: str) -> None:
    """In two or three words."""
    box = boxes_of(pictures_of(with_node(healthy(), number, **changes))[0])[str(NODES[number])]
    assert (box.kind, box.title) == (kind, title)


def test_a_broken_replication_is_a_broken_line() -> None:
    """One that stands is not."""
    topology = with_node(healthy(), 2, link="sync")
    kinds = [wire.kind for wire in pictures_of(topology)[0].wires]
    assert kinds == ["names"] * 3 + ["follows", "broken"]


def test_it_can_be_read_aloud() -> None:
    """For who does not see it."""
    said = in_words(healthy())
    assert "Master 10.0.0.1:6379: 2.0 of 64 MiB." in said
    assert "Replica 10.0.0.1:6381: 2.0 of 64 MiB, 0 B behind." in said
