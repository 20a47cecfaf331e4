"""Who may do what, who was refused lately, and whether anybody can listen on the way."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from sentinel.endpoints import Endpoint
from sentinel.topology.doctor.examination import Denial, Examination, Process, Trial
from sentinel.topology.findings import Finding, critical, warning

LATELY_S = 3600
SOON_DAYS = 21


def _users_have_their_rights(examination: Examination) -> Iterator[Finding]:
    broken: dict[Trial, list[Endpoint]] = defaultdict(list)
    for process in (*examination.nodes, *examination.sentinels):
        for trial in process.broken:
            broken[trial].append(process.endpoint)
    for trial, where in broken.items():
        places = ", ".join(map(str, where))
        if trial.must:
            yield critical(
                "right-lost",
                f"The user {trial.user!r} may not {trial.right} on {places}: {trial.why}.",
                "Give its process the ACL file of sentinel/config/ again, and restart it; or run there ACL SETUSER "
                f"{trial.user} {_rule(trial)}.",
            )
        else:
            yield critical(
                "right-too-many",
                f"The user {trial.user!r} may {trial.right} on {places}: {trial.why}.",
                "Give its process the ACL file of sentinel/config/ again, and restart it.",
            )


def _nobody_was_refused(examination: Examination) -> Iterator[Finding]:
    for process in (*examination.nodes, *examination.sentinels):
        lately = [each for each in process.denials or () if each.seconds_ago < LATELY_S]
        if lately:
            yield warning(
                "denials",
                f"{process.endpoint} refused somebody in the last hour: {'; '.join(map(_told, lately[:3]))}.",
                "Find out who that is (ACL LOG there has their address): a wrong password or right in the settings, or somebody "
                "who tries. ACL LOG RESET forgets the entries.",
            )


def _nobody_can_listen(examination: Examination) -> Iterator[Finding]:
    """Judge by the addresses: on loopback and in private networks encryption is a choice."""
    if examination.uses_tls:
        return
    public = [
        each.endpoint for each in (*examination.nodes, *examination.sentinels) if _is_public(each.endpoint)
    ]
    if public:
        yield warning(
            "not-encrypted",
            f"Connections to {', '.join(map(str, public))} are not encrypted, and the addresses are no private ones.",
            "Turn TLS on: VERIFIER_REDIS_TLS and REDIS_TLS, as docs/deploy.md says.",
        )


def _certificates_are_valid_for_long(examination: Examination) -> Iterator[Finding]:
    ending: list[Process] = [
        each
        for each in (*examination.nodes, *examination.sentinels)
        if each.certificate_days is not None and each.certificate_days < SOON_DAYS
    ]
    if ending:
        told = ", ".join(f"{each.endpoint} in {each.certificate_days:.0f} days" for each in ending)
        yield warning(
            "certificate-ends",
            f"Certificates expire soon: {told}.",
            'Renew them: see "Renewing certificates" in docs/procedures.md.',
        )


def _rule(trial: Trial) -> str:
    if trial.words[0] == "PUBLISH":
        return f"+publish &{trial.words[1]}"
    return "+" + trial.right.lower().replace(" ", "|")


def _told(denial: Denial) -> str:
    times = f", {denial.count} times" if denial.count > 1 else ""
    return f"the user {denial.username!r} ({denial.reason}: {denial.what}{times})"


def _is_public(endpoint: Endpoint) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(endpoint.host)
        return not (address.is_private or address.is_loopback)
    return False


CHECKS = (
    _users_have_their_rights,
    _nobody_was_refused,
    _nobody_can_listen,
    _certificates_are_valid_for_long,
)
