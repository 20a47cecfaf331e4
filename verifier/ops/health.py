"""Health: is this process alive, and does mail go out.

`/healthz` says that the process answers, and asks nobody: a process must not be restarted because Redis
is away. `/readyz` turns red (503) as soon as something keeps mail from going out, and names each reason.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from sentinel import TRANSIENT, PermanentError
from verifier.container import current_container
from verifier.ops.readiness import Limits, Reason, reasons_not_ready
from verifier.store.facts import read_facts
from verifier.store.keyspace import Queue

blueprint = Blueprint("health", __name__)

_LOOK_FOR_S = 2.0


@blueprint.get("/healthz")
def alive() -> Response:
    """Return that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Return whether mail goes out: 200, or 503 with the reasons."""
    container = current_container()
    settings = container.settings
    limits = Limits(
        settings.oldest_owed_limit_s, settings.no_success_limit_s, settings.redis.replicas_to_acknowledge
    )
    try:
        facts = container.link.run(
            lambda client: read_facts(client, Queue(settings.queue)), deadline_s=_LOOK_FOR_S
        )
    except (*TRANSIENT, PermanentError) as error:
        return _failing([Reason("no_master", f"Redis can't be reached through Sentinel: {error}")])
    known = {
        "owed": facts.owed,
        "oldest_owed_s": round(facts.oldest_owed_s, 1),
        "last_sent_s": None if facts.last_sent_s is None else round(facts.last_sent_s, 1),
        "workers": len(facts.workers),
    }
    if reasons := reasons_not_ready(facts, limits):
        return _failing(reasons, **known)
    return jsonify(status="ok", reasons=[], **known), 200


def _failing(reasons: list[Reason], **known: float | None) -> tuple[Response, int]:
    said = [{"code": reason.code, "reason": reason.sentence} for reason in reasons]
    return jsonify(status="failing", reasons=said, **known), 503
