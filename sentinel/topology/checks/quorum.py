"""Whether enough sentinels answer, watch the master, reach it and agree for a failover."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.protocol import Role
from sentinel.topology.findings import Finding, critical, warning
from sentinel.topology.snapshot import SentinelState, Topology, Trouble

_START = "Start it, or find out why it can't be reached."
_REMEDIES = {
    Trouble.SILENT: _START,
    Trouble.REFUSES_US: "The sentinels have users of their own, beside those of the nodes.",
    Trouble.TLS_FAILS: "Until then nothing more is known of it.",
    Trouble.WRONG_NAME: "Correct the master name in the settings, or `sentinel monitor` in its file.",
    Trouble.NO_SENTINEL: "Correct the addresses of the sentinels in the settings.",
}


def _a_master_is_named(topology: Topology) -> Iterator[Finding]:
    """Where no sentinel names a master, say once what all have in common."""
    if topology.answering:
        return
    troubles = {each.trouble for each in topology.sentinels}
    asked = ", ".join(str(each.endpoint) for each in topology.sentinels) or "none is configured"
    if len(troubles) == 1 and (trouble := troubles.pop()) not in {None, Trouble.SILENT}:
        yield critical("no-sentinel", _common(topology, asked), _REMEDIES[trouble or Trouble.SILENT])
        return
    yield critical(
        "no-sentinel",
        f"None of the sentinels ({asked}) names the master of {topology.master_name!r}.",
        "Start them, or check their addresses in the settings and the network.",
    )


def _common(topology: Topology, asked: str) -> str:
    first = topology.sentinels[0]
    if first.trouble is Trouble.WRONG_NAME:
        return f"No sentinel ({asked}) watches a master named {topology.master_name!r}{_instead(topology.sentinels)}."
    if first.trouble is Trouble.NO_SENTINEL:
        return f"What the settings name as sentinels ({asked}) are none: {first.error}."
    if first.trouble is Trouble.TLS_FAILS:
        return f"No sentinel ({asked}) can be talked to over TLS: {_words(first)}."
    return f"All sentinels ({asked}) run, and refuse our login: {_words(first)}."


def _instead(sentinels: tuple[SentinelState, ...]) -> str:
    """Name what they watch."""
    names = sorted({name for each in sentinels for name in each.watches})
    return f", but {' and '.join(map(repr, names))}" if names else ""


def _views_agree(topology: Topology) -> Iterator[Finding]:
    if len(topology.named_masters) > 1:
        views = ", ".join(f"{master} by {count}" for master, count in topology.named_masters.items())
        yield critical(
            "views-differ",
            f"The sentinels name different masters: {views}.",
            "A failover may just be ending: look again in some seconds, then check the network between them.",
        )


def _quorum_is_there(topology: Topology) -> Iterator[Finding]:
    """Count those that take part: one that refuses only us, or our TLS, does."""
    if not topology.answering:
        return
    count = topology.sentinel_count
    missing = [each for each in topology.sentinels if each.trouble in {Trouble.SILENT, Trouble.WRONG_NAME}]
    real = [each for each in topology.sentinels if each.trouble is not Trouble.NO_SENTINEL]
    present = len(real) - len(missing)
    needed = max([count // 2 + 1, *(each.quorum for each in topology.answering if each.quorum)])
    if present < needed:
        names = " and ".join(str(each.endpoint) for each in missing)
        yield critical(
            "quorum-lost",
            f"Only {present} of {count} sentinels answer and watch the master, and a failover needs {needed}.",
            f"Bring back {names}." if names else "Start the others again.",
        )
    for sentinel in topology.answering:
        if sentinel.has_quorum is False:
            yield critical(
                "quorum-lost",
                f"Sentinel {sentinel.endpoint} could not get a majority for a failover: {sentinel.ckquorum}",
                "Start the other sentinels again, or mend the network between them.",
            )


def _each_sentinel_answers(topology: Topology) -> Iterator[Finding]:
    troubles = {each.trouble for each in topology.sentinels}
    if not topology.answering and len(troubles) == 1 and Trouble.SILENT not in troubles:
        return  # said of all
    for sentinel in topology.sentinels:
        if not sentinel.answers:
            trouble = sentinel.trouble or Trouble.SILENT
            yield warning(
                f"sentinel-{trouble.lower().replace(' ', '-')}",
                _trouble_of(sentinel, topology),
                _REMEDIES[trouble],
            )


def _trouble_of(sentinel: SentinelState, topology: Topology) -> str:
    if sentinel.trouble is Trouble.WRONG_NAME:
        instead = _instead((sentinel,))
        return f"Sentinel {sentinel.endpoint} watches no master named {topology.master_name!r}{instead}."
    if sentinel.trouble is Trouble.NO_SENTINEL:
        return f"{sentinel.endpoint}, which the settings name as a sentinel, is none: {_words(sentinel)}."
    if sentinel.trouble is Trouble.REFUSES_US:
        return f"Sentinel {sentinel.endpoint} runs, and refuses our login: {_words(sentinel)}."
    return f"Sentinel {sentinel.endpoint} gives no information: {_words(sentinel)}."


def _words(sentinel: SentinelState) -> str:
    return (sentinel.error or "no reason is known").rstrip(". ")


def _sentinels_reach_the_master(topology: Topology) -> Iterator[Finding]:
    """Tell sentinels that are locked out from a master that is down: it answers us."""
    master = topology.master
    if master is None or master.role is not Role.MASTER:
        return
    locked_out = [each for each in topology.answering if each.flags & {"s_down", "o_down"}]
    if len(locked_out) <= topology.sentinel_count // 2:
        return
    sees_none = all(known.is_down for each in locked_out for known in each.replicas)
    also = " They reach no replica either, so no failover can come." if sees_none else ""
    yield critical(
        "locked-out",
        f"{len(locked_out)} of {topology.sentinel_count} sentinels take the master {master.endpoint} for down, though "
        f"it answers us.{also}",
        "If it has just come back, wait some seconds. If it lasts, they can't log in to it, or the network between them "
        "is cut: compare `sentinel auth-user` and `sentinel auth-pass` in their files with the node's ACL file, and restart "
        "one sentinel after the other, since they do not log in anew by themselves.",
    )


CHECKS = (
    _a_master_is_named,
    _views_agree,
    _quorum_is_there,
    _each_sentinel_answers,
    _sentinels_reach_the_master,
)
