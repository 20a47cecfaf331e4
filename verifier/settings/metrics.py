"""Who may read the metrics, and where workers show theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from environs import FileAwareEnv, validate

from verifier.domain.hosts import is_loopback_name
from verifier.settings.parsers import one_line, parsed

# RFC 6750, 2.1, and long enough that nobody finds it by trying.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{32,200}=*")


@dataclass(frozen=True)
class MetricsSettings:
    """Without a token only this machine may read them; without a port workers show none."""

    token: str = field(default="", repr=False)
    worker_port: int = 0
    worker_host: str = "127.0.0.1"

    @property
    def is_closed_to_others(self) -> bool:
        """Whether workers are to show them to other machines, none of which could be let in."""
        return bool(self.worker_port) and not self.token and not is_loopback_name(self.worker_host)


def read_metrics(env: FileAwareEnv) -> MetricsSettings:
    """Read the settings; what is wrong is kept by `env` until its `seal`."""
    usual = MetricsSettings
    return MetricsSettings(
        token=parsed(env, "METRICS_TOKEN", _token, ""),
        worker_port=env.int("WORKER_METRICS_PORT", usual.worker_port, validate=validate.Range(0, 65535)),
        worker_host=parsed(env, "WORKER_METRICS_HOST", one_line, usual.worker_host),
    )


def _token(text: str) -> str:
    if text and not _TOKEN.fullmatch(text):
        raise ValueError(
            "must be 32 to 200 letters, digits and the signs . _ ~ + / - so that nobody guesses it; "
            "`openssl rand -hex 32` makes one"
        )
    return text
