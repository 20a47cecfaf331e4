"""Leaving Sentinel one replica to choose, against a sentinel that connects again once a second."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel.endpoints import Endpoint
from sentinel.errors import TransientError
from sentinel.switchover.choice import ALONE_FOR_S, Choice

OTHER = Endpoint("10.0.0.1", 6381)
LEADER_ID = "0123456789abcdef"


class Node:
    """A replica with the connections of two sentinels; the leader's come back `again_after_s` after they were closed."""

    def __init__(self, again_after_s: float) -> None:
        self.now, self.connects_at, self.next_id = 0.0, 0.0, 7
        self.again_after_s = again_after_s
        self.kept = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def keep(self) -> None:
        self.kept += 1

    @property
    def is_connected(self) -> bool:
        return self.now >= self.connects_at

    def ask(self, endpoint: Endpoint, *words: str) -> Any:
        assert endpoint == OTHER
        if words == ("CLIENT", "LIST"):
            lines = ["id=3 addr=10.0.0.9:1 name=sentinel-fedcba98-cmd user=sentinel", "id=4 name= cmd=ping"]
            if self.is_connected:
                lines.append(f"id={self.next_id} name=sentinel-{LEADER_ID[:8]}-cmd user=sentinel")
            return "\n".join(lines)
        assert words == ("CLIENT", "KILL", "ID", str(self.next_id)), words
        self.next_id += 1
        self.connects_at = self.now + self.again_after_s
        self.again_after_s = 1.0
        return 1


def _choice(node: Node) -> Choice:
    nodes: Any = node
    return Choice(nodes, LEADER_ID, [OTHER], node.clock, node.sleep)


def test_it_is_closed_twice_and_stays_so_for_a_while() -> None:
    """After the second time the sentinel waits for a second; nobody else's connections are touched."""
    node = Node(again_after_s=0.1)
    _choice(node).leave_one(node.keep)
    assert not node.is_connected
    assert node.connects_at - node.now > 1 - ALONE_FOR_S
    assert node.kept > 3


def test_it_is_given_up_where_the_sentinel_does_not_come_back() -> None:
    """Then nobody knows when it will, and the switchover is given up before anything was ordered."""
    node = Node(again_after_s=60)
    with pytest.raises(TransientError, match="could not be kept from choosing"):
        _choice(node).leave_one(node.keep)
    assert node.now < 5


def test_nothing_is_closed_where_nobody_is_named() -> None:
    """The choice is Sentinel's."""
    node = Node(again_after_s=60)
    nodes: Any = node
    Choice(nodes, None, [], node.clock, node.sleep).leave_one(node.keep)
    assert (node.next_id, node.now) == (7, 0.0)
