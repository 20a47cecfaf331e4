"""Health: three questions, for three who ask.

`/healthz` (and `/livez`, which is the same under the name that some expect): does this process answer? It asks nobody,
since a process must not be restarted because Redis is away.

`/servez`: should a load balancer send requests here? Nobody is asked either: where Redis is away a request waits through
the failover, and what can't be done is explained on a page, which taking all web processes away would help nobody with. It
is red only while this process stops.

`/readyz`: does mail go out? It turns red (503) as soon as something keeps mail from going out, and names each reason. It
is for people and monitors, never for whoever takes processes out of service or restarts them.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from verifier.container import current_container
from verifier.ops.serving import is_stopping
from verifier.readiness import Limits, Look, Reason, judge

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@blueprint.get("/livez")
def alive() -> Response:
    """Return that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/servez")
def serves() -> tuple[Response, int]:
    """Return whether requests should be sent to this process: 200, or 503 while it stops."""
    return (jsonify(status="stopping"), 503) if is_stopping() else (jsonify(status="ok"), 200)


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Return whether mail goes out: 200, perhaps with warnings, or 503 with the reasons."""
    container = current_container()
    look = container.lookout.look()
    verdict = judge(look, Limits.of(container.settings))
    body = jsonify(
        status=verdict.status,
        reasons=_said(verdict.reasons),
        warnings=_said(verdict.warnings),
        **_known(look),
    )
    return body, 503 if verdict.reasons else 200


def _said(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"code": reason.code, "reason": reason.sentence} for reason in reasons]


def _known(look: Look) -> dict[str, object]:
    """Return the figures that were looked at, as far as Redis told them."""
    known: dict[str, object] = {"takes_writes": look.write is not None and look.write.taken}
    if (facts := look.facts) is not None:
        known |= {
            "owed": facts.owed,
            "oldest_owed_s": round(facts.oldest_owed_s, 1),
            "last_sent_s": None if facts.last_sent_s is None else round(facts.last_sent_s, 1),
            "workers": len(facts.workers),
            "canary_age_s": None if facts.canary_age_s is None else round(facts.canary_age_s, 1),
        }
    return known
