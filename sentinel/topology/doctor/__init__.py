"""The doctor: all checks of `sentinel/topology/checks`, and what takes a closer look; read-only.

It judges what would go wrong, beside what does: each finding says what is wrong, why that matters, and the exact fix. A
check here is a function from an examination to findings; write it into the module of its subject, name it in the CHECKS
there, and say in `reasons` why it matters. What could not be seen is said by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.access import Access
from sentinel.time_budget import RequestDeadline
from sentinel.topology.checks import findings_of
from sentinel.topology.doctor import access as access_checks
from sentinel.topology.doctor import clocks, memory, persistence, sentinels
from sentinel.topology.doctor.blind_spots import blind_spots_of
from sentinel.topology.doctor.examination import Examination
from sentinel.topology.doctor.questions import examine
from sentinel.topology.findings import Finding, Severity
from sentinel.topology.snapshot import Topology
from sentinel.topology.survey import survey

_SUBJECTS = (sentinels, persistence, memory, access_checks, clocks)


@dataclass(frozen=True)
class Diagnosis:
    """Everything that the doctor has to say."""

    examination: Examination
    findings: tuple[Finding, ...]
    """What is critical comes first."""
    unseen: tuple[str, ...]

    @property
    def topology(self) -> Topology:
        """Return the snapshot that was examined."""
        return self.examination.topology


def diagnose(
    access: Access, deadline: RequestDeadline | None = None, quorum_on_file: int | None = None
) -> Diagnosis:
    """Look at everybody, within some six seconds; raises nothing for a silent one."""
    return diagnosis_of(examine(access, survey(access), quorum_on_file), deadline)


def diagnosis_of(examination: Examination, deadline: RequestDeadline | None = None) -> Diagnosis:
    """Judge what was seen."""
    found = findings_of(examination.topology, deadline)
    found += [finding for subject in _SUBJECTS for check in subject.CHECKS for finding in check(examination)]
    ordered = sorted(found, key=lambda finding: finding.severity is not Severity.CRITICAL)
    return Diagnosis(examination, tuple(ordered), tuple(blind_spots_of(examination)))
