"""Asking everybody what the doctor wants to know; read-only, each process by itself, all at once.

Rights are tried with `ACL DRYRUN` (https://redis.io/docs/latest/commands/acl-dryrun/, from Redis 7.0 on), which carries
nothing out and leaves no entry in ACL LOG; whoever lacks the right to it is told so, and nothing is tried in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from redis import RedisError, ResponseError

from sentinel.access import Access
from sentinel.endpoints import Endpoint
from sentinel.protocol import Fields, all_fields_in, fields_in, info_in, number_in
from sentinel.topology.doctor.certificates import days_left
from sentinel.topology.doctor.examination import Denial, Examination, Process, Trial
from sentinel.topology.doctor.trials import trials_on_node, trials_on_sentinel
from sentinel.topology.node_commands import NodeCommands, at_once
from sentinel.topology.replies import Answers
from sentinel.topology.snapshot import Topology
from sentinel.topology.survey import commands_to

_SETTINGS = (
    "save",
    "timeout",
    "tcp-keepalive",
    "repl-diskless-sync",
    "client-output-buffer-limit",
)
_MOST_DENIALS = "32"


def examine(access: Access, topology: Topology, quorum_on_file: int | None = None) -> Examination:
    """Ask those that the survey reached, within some three seconds; raises nothing for a silent one."""
    nodes = [each.endpoint for each in topology.nodes if each.answers]
    sentinels = [each.endpoint for each in topology.sentinels if each.answers]
    with commands_to(access) as (to_sentinels, to_nodes):
        on_node, on_sentinel = trials_on_node(access.probe), trials_on_sentinel()
        return Examination(
            topology,
            tuple(at_once(lambda each: _examine(to_nodes, each, access, on_node, of_node=True), nodes)),
            tuple(at_once(lambda each: _examine(to_sentinels, each, access, on_sentinel), sentinels)),
            uses_tls=access.tls is not None,
            named_sentinels=access.sentinels,
            quorum_on_file=quorum_on_file,
        )


def _examine(
    commands: NodeCommands,
    endpoint: Endpoint,
    access: Access,
    trials: Sequence[Trial],
    *,
    of_node: bool = False,
) -> Process:
    answers = Answers(lambda *words: commands.ask(endpoint, *words))
    login = access.node_login if of_node else access.sentinel_login
    try:
        broken, unknown, tries = _tried(answers, trials) if login.username else ((), (), None)
        return Process(
            endpoint,
            info=info_in(answers.if_allowed("INFO", "ALL" if of_node else "SERVER")),
            settings=_settings(answers) if of_node and not login.username else None,
            denials=_denials(answers) if login.username else None,
            broken=broken,
            unknown_users=unknown,
            tries_rights=tries,
            clock_ahead_s=_clock_ahead_s(answers) if of_node else None,
            certificate_days=days_left(access.tls, endpoint) if access.tls else None,
            missing_rights=tuple(dict.fromkeys(answers.missing_rights)),
        )
    except RedisError:  # silent by now; the next look tells
        return Process(endpoint)


def _tried(
    answers: Answers, trials: Sequence[Trial]
) -> tuple[tuple[Trial, ...], tuple[str, ...], bool | None]:
    """Try rights; return those that are not as they must be, the users that are unknown, and whether we may try."""
    broken: list[Trial] = []
    unknown: list[str] = []
    for trial in trials:
        if trial.user in unknown:
            continue
        try:
            reply = answers.if_allowed("ACL", "DRYRUN", trial.user, *trial.words)
        except ResponseError as error:
            if "not found" not in str(error):  # Redis 6.2 has no DRYRUN
                return (), (), False
            unknown.append(trial.user)
            continue
        if reply is None:
            return (), (), False
        if (reply == "OK") is not trial.must:
            broken.append(trial)
    return tuple(broken), tuple(unknown), True


def _denials(answers: Answers) -> tuple[Denial, ...] | None:
    reply = answers.if_allowed("ACL", "LOG", _MOST_DENIALS)
    if reply is None:
        return None
    return tuple(
        Denial(
            each.get("username", "?"),
            each.get("reason", "?"),
            each.get("object", "?"),
            number_in(each.get("count")) or 1,
            _seconds(each.get("age-seconds", "0")),
        )
        for each in all_fields_in(reply) or []
    )


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _settings(answers: Answers) -> Fields | None:
    found: Fields = {}
    for name in _SETTINGS:
        found |= fields_in(answers.if_given("CONFIG", "GET", name)) or {}
    return found or None


def _clock_ahead_s(answers: Answers, clock: Callable[[], float] = time.time) -> float | None:
    """Compare its clock with ours, in the middle of the question."""
    asked_at = clock()
    reply = answers.if_allowed("TIME")
    now = (asked_at + clock()) / 2
    seconds, microseconds = (
        map(number_in, reply) if isinstance(reply, list) and len(reply) == 2 else (None, None)
    )
    if seconds is None or microseconds is None:
        return None
    return seconds + microseconds / 1e6 - now
