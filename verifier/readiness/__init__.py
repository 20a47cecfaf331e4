"""Whether mail goes out: one judgement, which `/readyz`, the alerts and whoever else wants to know share.

lookout   looks: at Redis, at one small write, at the sentinels
reasons   judges what was seen; pure
"""

from __future__ import annotations

from verifier.readiness.lookout import Look, Lookout, SentinelsSeen
from verifier.readiness.reasons import Limits, Reason, Verdict, judge

__all__ = ["Limits", "Look", "Lookout", "Reason", "SentinelsSeen", "Verdict", "judge"]
