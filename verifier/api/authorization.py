"""Who calls the API: the holder of a key, or anybody where the API is open.

A key comes as `Authorization: Bearer <key>` (RFC 6750). Where no key is set up the API is closed, since anybody could
have mails sent by it; `flask run`'s own surroundings, and VERIFIER_API_OPEN, open it.
"""

from __future__ import annotations

from dataclasses import replace

from flask import g, request
from msgspec import UNSET, UnsetType

from verifier.container import current_container
from verifier.domain.api_keys import is_api_key
from verifier.domain.callers import Caller, CallerKind, read_client_ip
from verifier.domain.errors import InvalidRequest, NotAuthorized

CLIENT_IP = "client_ip"
_ASK = 'Bearer realm="Verifier"'


def authorize() -> None:
    """Find out who calls, and keep it for this request. Raises NotAuthorized."""
    g.caller = _caller()
    # For gunicorn's access log (gunicorn.conf.py).
    request.environ["verifier.caller"] = g.caller.name or "-"


def caller(client_ip: str | UnsetType = UNSET) -> Caller:
    """Return who calls, with the address of the person behind, where the body names one.

    Raises:
        InvalidRequest: it is no address, or the caller has no key.
    """
    found: Caller = g.caller
    if client_ip is UNSET:
        return found
    if found.kind is not CallerKind.KEY:
        raise InvalidRequest(f'Only a caller with an API key may send the member "{CLIENT_IP}".')
    try:
        return replace(found, client_ip=read_client_ip(client_ip))
    except ValueError:
        raise InvalidRequest(
            f'The member "{CLIENT_IP}" must be the IPv4 or IPv6 address of the person, such as 192.0.2.7.'
        ) from None


def challenge() -> str:
    """Return the WWW-Authenticate header of a 401 (RFC 6750, 3)."""
    sent = request.headers.get("Authorization", "").strip()
    return f'{_ASK}, error="invalid_token"' if sent else _ASK


def _caller() -> Caller:
    settings = current_container().settings
    if not settings.api_keys:
        if settings.api_open:
            return Caller(CallerKind.OPEN, client_ip=request.remote_addr or "")
        raise NotAuthorized(
            "This API is closed, because no key is set up. Whoever runs the service makes one with "
            "`flask api-keys new NAME` and puts it into VERIFIER_API_KEYS."
        )
    if not request.headers.get("Authorization", "").strip():
        raise NotAuthorized("This API needs a key: send it as `Authorization: Bearer KEY`.")
    sent = request.authorization
    if sent is None or sent.type != "bearer" or not sent.token:
        raise NotAuthorized("The Authorization header must have the form `Bearer KEY`.")
    name = settings.api_keys.name_of(sent.token)
    if name is not None:
        return Caller(CallerKind.KEY, name)
    if not is_api_key(sent.token):
        raise NotAuthorized(
            "What stands in the Authorization header is no API key; a key begins with verifier_."
        )
    raise NotAuthorized("This API key is not known here, or not any more.")
