"""What the doctor could not see, by name: for lack of a right, of a version, or because no process can tell it."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.topology.doctor.examination import Examination


def blind_spots_of(examination: Examination) -> Iterator[str]:
    """Return a sentence each: what, of whom, and who could tell."""
    yield from _by_rights(examination)
    topology = examination.topology
    silent = [str(node.endpoint) for node in topology.nodes if not node.answers]
    silent += [str(sentinel.endpoint) for sentinel in topology.sentinels if not sentinel.answers]
    if silent:
        yield f"Anything of {', '.join(silent)}, which gave no answer."
    if examination.quorum_on_file is None:
        yield (
            "Whether the files name the quorum that the sentinels run with: SENTINEL_QUORUM is not in the environment here."
        )
    yield (
        "The hosts: vm.overcommit_memory (a fork fails without 1), transparent huge pages, net.core.somaxconn, the room on "
        "their disks. Run `sysctl vm.overcommit_memory` on each; `sh deploy/check.sh` looks where it runs."
    )
    yield "Whether nodes and sentinels run on machines of their own: addresses do not tell."
    yield "The clocks of the sentinels' hosts: a sentinel does not tell the time."


def _by_rights(examination: Examination) -> Iterator[str]:
    nodes = examination.nodes
    if unread := [str(each.endpoint) for each in nodes if each.settings is None]:
        yield (
            f"Settings that INFO does not tell, of {', '.join(unread)}: how many replicas it wants (min-replicas-to-write), "
            "timeout, tcp-keepalive, repl-diskless-sync-delay, the limit of a replica's buffer. Our user has no +config|get, on "
            "purpose: it would tell the replicas' password, too. Compare their redis.conf with sentinel/config/redis.conf."
        )
    everybody = (*nodes, *examination.sentinels)
    if untried := [str(each.endpoint) for each in everybody if each.tries_rights is False]:
        yield (
            f"The rights of the users of Sentinel, of the replicas and of the app, on {', '.join(untried)}: to try them takes Redis "
            "7.0 and the right +acl|dryrun."
        )
    for user in sorted({user for each in everybody for user in each.unknown_users}):
        where = ", ".join(str(each.endpoint) for each in everybody if user in each.unknown_users)
        yield f"The rights of the user {user!r}: {where} knows nobody of this name; the shipped ACL files call them so."
    for right in sorted({right for each in everybody for right in each.missing_rights} - {"acl|dryrun"}):
        where = ", ".join(str(each.endpoint) for each in everybody if right in each.missing_rights)
        yield f"What `{right.replace('|', ' ').upper()}` tells of {where}: our user lacks the right +{right}."
