"""What a run ran on: processor, memory, kernel, versions. No names of hosts and no paths."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.testbed import BenchTestbed

OUR_LIBRARIES = ("flask", "flask-mail", "rq", "redis", "gunicorn")
PEER_LIBRARIES = (*OUR_LIBRARIES, "celery", "dramatiq")
_ASK_VERSIONS = (
    "import json, sys; from importlib.metadata import version; "
    "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
)


@dataclass(frozen=True)
class Machine:
    """What one run ran on."""

    date: str
    processor: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    redis: str
    ours: Mapping[str, str]
    peers: Mapping[str, str]
    load_before: float
    """The load average of the minute before: above about 0.5 somebody else was at work."""


def describe_machine(testbed: BenchTestbed) -> Machine:
    """Return what this run runs on."""
    with testbed.admin() as client:
        redis = client.info("server")["redis_version"]
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        kernel=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        redis=str(redis),
        ours={name: version(name) for name in OUR_LIBRARIES},
        peers=_versions_of_peers(testbed),
        load_before=os.getloadavg()[0],
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _versions_of_peers(testbed: BenchTestbed) -> dict[str, str]:
    if testbed.peers_python is None:
        return {}
    command = [str(testbed.peers_python), "-c", _ASK_VERSIONS, *PEER_LIBRARIES]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    found: dict[str, str] = json.loads(answer.stdout)
    return found
