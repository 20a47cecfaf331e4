"""Whether the sentinels are enough, set as their files say, and all still there."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.endpoints import addresses_of
from sentinel.topology.doctor.examination import Examination
from sentinel.topology.findings import Finding, critical, warning
from sentinel.topology.snapshot import Topology, Trouble

LONGEST_FAILOVER_TIMEOUT_MS = 60_000


def _there_are_enough(examination: Examination) -> Iterator[Finding]:
    count = examination.topology.sentinel_count
    if not examination.topology.answering:
        return
    if count < 3:
        yield warning(
            "few-sentinels",
            f"There are only {count} sentinels." if count > 1 else "There is only one sentinel.",
            "Run three, on three machines: see docs/deploy.md.",
        )
    elif count % 2 == 0:
        yield warning(
            "even-sentinels",
            f"There are {count} sentinels, an even number.",
            f"Run {count + 1} or {count - 1}: then take one away, or add one, as docs/procedures.md says.",
        )


def _the_quorum_is_a_majority(examination: Examination) -> Iterator[Finding]:
    topology = examination.topology
    majority = topology.sentinel_count // 2 + 1
    for quorum in _quorums(topology):
        fix = f"Run SENTINEL SET {topology.master_name} quorum {majority} on every sentinel."
        if quorum > topology.sentinel_count:
            found = f"The quorum is {quorum}, and there are only {topology.sentinel_count} sentinels."
            yield critical("quorum-out-of-reach", found, fix)
        elif quorum != majority and topology.sentinel_count > 1:
            found = f"The quorum is {quorum}, and {majority} of the {topology.sentinel_count} sentinels are a majority."
            yield warning("quorum-no-majority", found, fix)


def _the_quorum_is_that_of_the_files(examination: Examination) -> Iterator[Finding]:
    topology, on_file = examination.topology, examination.quorum_on_file
    if on_file is None:
        return
    others = [
        f"{each.endpoint} has {each.quorum}"
        for each in topology.answering
        if each.quorum not in {None, on_file}
    ]
    if others:
        yield warning(
            "quorum-on-file",
            f"SENTINEL_QUORUM is {on_file} in the environment here, and the sentinels run with another one: {', '.join(others)}.",
            f"Run SENTINEL SET {topology.master_name} quorum {on_file} on every sentinel, or correct SENTINEL_QUORUM.",
        )


def _nobody_is_counted_who_left(examination: Examination) -> Iterator[Finding]:
    """Look for sentinels that only others know, and that give no answer: removed for good, most likely."""
    topology = examination.topology
    named = {address for each in examination.named_sentinels for address in addresses_of(each)}
    silent = {each.endpoint for each in topology.sentinels if each.trouble is Trouble.SILENT}
    known = {
        peer.endpoint
        for each in topology.answering
        for peer in each.peers
        if peer.flags & {"s_down", "o_down", "disconnected"}
    }
    stale = sorted(endpoint for endpoint in known | silent if not addresses_of(endpoint) & named)
    if stale and topology.answering:
        count = topology.sentinel_count
        yield warning(
            "stale-sentinels",
            f"{', '.join(map(str, stale))} is counted as one of {count} sentinels, gives no answer, and is none of those in the "
            "settings."
            if len(stale) == 1
            else f"{', '.join(map(str, stale))} are counted among {count} sentinels, give no answer, and are none of those in the "
            "settings.",
            f"Removed for good: run SENTINEL RESET {topology.master_name} on one sentinel after the other, 30 s apart. "
            "Otherwise start it, and name it in VERIFIER_SENTINELS.",
        )


def _a_failed_attempt_is_repeated_soon(examination: Examination) -> Iterator[Finding]:
    topology = examination.topology
    for each in topology.answering:
        timeout_ms = each.failover_timeout_ms
        if timeout_ms is not None and timeout_ms > LONGEST_FAILOVER_TIMEOUT_MS:
            yield warning(
                "long-failover-timeout",
                f"Sentinel {each.endpoint} tries a failover that failed again after {2 * timeout_ms / 1000:g} s "
                f"(failover-timeout {timeout_ms}).",
                f"Run SENTINEL SET {topology.master_name} failover-timeout 5000 on every sentinel.",
            )


def _quorums(topology: Topology) -> list[int]:
    return sorted({each.quorum for each in topology.answering if each.quorum is not None})


CHECKS = (
    _there_are_enough,
    _the_quorum_is_a_majority,
    _the_quorum_is_that_of_the_files,
    _nobody_is_counted_who_left,
    _a_failed_attempt_is_repeated_soon,
)
