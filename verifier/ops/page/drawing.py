"""Where nodes and sentinels stand in the picture, and what is written on each. Pure; the template draws it.

Each keeps its place, whoever is the master, so that what moves in a failover is the role. There are two pictures: a wide
one, and a tall one for phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentinel import Endpoint, NodeState, Role, SentinelState, Topology
from verifier.ops.page.wording import memory, span

_GAP = 24
_NODE_HEIGHT, _SENTINEL_HEIGHT = 150, 62
# Wide enough for an address as it stands in a private network.
_LEAST_NODE_WIDTH, _WIDEST = 250, 340
_TALL_WIDTH, _RAIL = 360, 26
# Beside a name.
_MARGINS = 34


@dataclass(frozen=True)
class Eye:
    """What one sentinel takes a node for: master, replica, down or unknown."""

    sentinel: str
    view: str
    x: float


@dataclass(frozen=True)
class Place:
    """Where something stands: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Return where the middle of its upper and lower edge is."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Box(Place):
    """A node or a sentinel: where it stands and what is written on it."""

    name: str
    kind: str
    """What it looks like: master, replica, wrong, silent; or eye, blind."""
    title: str
    lines: tuple[str, ...] = ()
    eyes: tuple[Eye, ...] = ()
    share: float | None = None
    """How full its memory is, from 0 to 1."""

    @property
    def size(self) -> str:
        """Return the class for the name: what identifies a node is never shortened, so a long one is smaller."""
        # By the widths of a letter in ops.css, whose sizes are 17, 14 and 11 pixels.
        return "name" if self._letter > 10.3 else "name small" if self._letter > 8.5 else "name tiny"

    @property
    def squeezed(self) -> float | None:
        """Return how wide a name is drawn that would be too long even so; None for others."""
        return self.width - _MARGINS if self._letter < 6.7 else None

    @property
    def _letter(self) -> float:
        return (self.width - _MARGINS) / max(1, len(self.name))


@dataclass(frozen=True)
class Wire:
    """A line: who follows whom, or which sentinel names whom."""

    path: str
    kind: str
    """follows, broken or names."""


@dataclass(frozen=True)
class Picture:
    """All of it, in a box of width x height."""

    key: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def pictures_of(topology: Topology) -> tuple[Picture, Picture]:
    """Return the wide picture and the tall one."""
    nodes = sorted(topology.nodes, key=lambda each: _order(each.endpoint))
    sentinels = sorted(topology.sentinels, key=lambda each: _order(each.endpoint))
    return _wide(topology, nodes, sentinels), _tall(topology, nodes, sentinels)


def in_words(topology: Topology) -> str:
    """Describe the picture for who does not see it."""
    boxes = _wide(topology, list(topology.nodes), list(topology.sentinels)).boxes
    return " ".join(f"{box.title} {box.name}: {', '.join(box.lines) or 'no details'}." for box in boxes)


def _wide(topology: Topology, nodes: Sequence[NodeState], sentinels: Sequence[SentinelState]) -> Picture:
    count = max(len(nodes), 1)
    width = max(3 * _LEAST_NODE_WIDTH + 2 * _GAP, count * (_LEAST_NODE_WIDTH + _GAP) - _GAP)
    node_y = _SENTINEL_HEIGHT + 70
    placed = _row(len(nodes), width, _WIDEST)
    boxes = {
        node.endpoint: _node_box(topology, node, sentinels, Place(x, node_y, each_width, _NODE_HEIGHT))
        for node, (x, each_width) in zip(nodes, placed, strict=True)
    }
    watching = [
        _sentinel_box(sentinel, number, Place(x, 2, each_width, _SENTINEL_HEIGHT))
        for number, (sentinel, (x, each_width)) in enumerate(
            zip(sentinels, _row(len(sentinels), width, 256), strict=True), start=1
        )
    ]
    wires = [
        *_looks(sentinels, watching, boxes),
        *(
            Wire(_below(boxes[node.follows], boxes[node.endpoint]), _link(node))
            for node in nodes
            if node.role is Role.REPLICA and node.follows in boxes
        ),
    ]
    return Picture("wide", width, node_y + _NODE_HEIGHT + 52, (*watching, *boxes.values()), tuple(wires))


def _tall(topology: Topology, nodes: Sequence[NodeState], sentinels: Sequence[SentinelState]) -> Picture:
    y = 2.0
    watching = []
    for number, sentinel in enumerate(sentinels, start=1):
        watching.append(_sentinel_box(sentinel, number, Place(2, y, _TALL_WIDTH - 4, 50)))
        y += 58
    y += 10
    boxes: dict[Endpoint, Box] = {}
    for node in nodes:
        place = Place(_RAIL, y, _TALL_WIDTH - _RAIL - 2, _NODE_HEIGHT)
        boxes[node.endpoint] = _node_box(topology, node, sentinels, place)
        y += _NODE_HEIGHT + 14
    wires = [
        Wire(_beside(boxes[node.follows], boxes[node.endpoint]), _link(node))
        for node in nodes
        if node.role is Role.REPLICA and node.follows in boxes
    ]
    return Picture("tall", _TALL_WIDTH, y, (*watching, *boxes.values()), tuple(wires))


def _row(count: int, width: float, widest: float) -> list[tuple[float, float]]:
    """Return where each of so many stands in a row, and how wide it is."""
    each = min(widest, (width - 4 - _GAP * (count - 1)) / max(1, count))
    pitch = (width - 4 - each * count) / max(1, count)
    return [(2 + pitch / 2 + at * (each + pitch), each) for at in range(count)]


def _node_box(topology: Topology, node: NodeState, sentinels: Sequence[SentinelState], place: Place) -> Box:
    kind, title = _role(topology, node)
    views, right = topology.views_of(node.endpoint), place.x + place.width - 22
    eyes = tuple(
        Eye(str(number), views.get(sentinel.endpoint, "unknown"), right - 24 * (len(sentinels) - number))
        for number, sentinel in enumerate(sentinels, start=1)
    )
    return Box(
        **vars(place),
        name=str(node.endpoint),
        kind=kind,
        title=title,
        lines=tuple(filter(None, (_memory(node), _behind(topology, node)))),
        eyes=eyes,
        share=node.vitals.memory_share,
    )


def _role(topology: Topology, node: NodeState) -> tuple[str, str]:
    named = node.endpoint == topology.named_master
    if node.role is None:
        return "silent", "Refuses us" if node.refused else "Master, silent" if named else "Silent"
    if node.role is Role.MASTER:
        if named:
            return "master", "Master"
        return ("rising", "Promoted") if topology.is_just_promoted(node) else ("wrong", "A master, too")
    if named:
        return "wrong", "Replica, named master"
    if node.follows != topology.named_master:
        return "wrong", "Replica of another"
    return "replica", "Replica"


def _memory(node: NodeState) -> str:
    return memory(node.vitals.memory_used, node.vitals.memory_limit)


def _behind(topology: Topology, node: NodeState) -> str:
    """Return how far a replica is behind; one is usually heard of each second."""
    if node.role is not Role.REPLICA:
        return ""
    if node.link != "connected":
        return f"link: {node.link or 'unknown'}"
    lag, lag_s = topology.lag_of(node), topology.lag_s_of(node)
    if lag is None:
        return "lag unknown"
    shown = f"{lag} B" if lag < 10_240 else f"{lag / 1024:,.0f} KiB"
    return f"{shown} behind" if lag_s is None or lag_s <= 2 else f"{shown} behind, heard {span(lag_s)} ago"


def _sentinel_box(sentinel: SentinelState, number: int, place: Place) -> Box:
    kind = "eye" if sentinel.answers else "blind"
    return Box(**vars(place), name=str(sentinel.endpoint), kind=kind, title=_says(sentinel, number))


def _says(sentinel: SentinelState, number: int) -> str:
    state = ""
    if not sentinel.answers:
        state = f": {sentinel.trouble or 'silent'}"
    elif sentinel.leads_failover:
        state = ": leads a failover"
    elif sentinel.flags & {"s_down", "o_down"}:
        state = ": master is down"
    elif sentinel.tilt:
        state = ": TILT"
    return f"Sentinel {number}{state}"


def _looks(
    sentinels: Sequence[SentinelState], watching: Sequence[Box], boxes: dict[Endpoint, Box]
) -> list[Wire]:
    wires = []
    for sentinel, box in zip(sentinels, watching, strict=True):
        if sentinel.master in boxes:
            node = boxes[sentinel.master]
            x0, y0, x1, y1 = box.middle, box.y + box.height, node.middle, node.y
            half = (y1 - y0) / 2
            is_down = bool(sentinel.flags & {"s_down", "o_down"})
            path = f"M{x0:.1f} {y0} C{x0:.1f} {y0 + half} {x1:.1f} {y1 - half} {x1:.1f} {y1 - 3}"
            wires.append(Wire(path, "doubts" if is_down else "names"))
    return wires


def _below(master: Box, replica: Box) -> str:
    x0, x1, y = master.middle, replica.middle, master.y + master.height
    return f"M{x0:.1f} {y} C{x0:.1f} {y + 56} {x1:.1f} {y + 56} {x1:.1f} {y + 6}"


def _beside(master: Box, replica: Box) -> str:
    y0, y1 = master.y + master.height / 2, replica.y + replica.height / 2
    return f"M{master.x} {y0} C{master.x - 30} {y0} {master.x - 30} {y1} {replica.x - 6} {y1}"


def _link(node: NodeState) -> str:
    return "follows" if node.link == "connected" else "broken"


def _order(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.host, endpoint.port
