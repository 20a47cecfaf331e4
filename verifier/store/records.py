"""A verification's record: the fields of its hash in Redis, written and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verifier.domain.errors import VerificationNotFound
from verifier.domain.verifications import Delivery, DeliveryStatus, Status, Verification


class MalformedRecord(Exception):
    """A record lacks a field, or holds what this program never writes; it is nobody's fault who asked for it."""


def new_verification(
    verification_id: str,
    address: str,
    key_id: str,
    created_at: float,
    expires_at: float,
    *,
    started_by: str = "",
    language: str = "",
    http_request_id: str = "",
) -> Verification:
    """Return what a new record says, as lua/accept.lua writes it."""
    return Verification(
        id=verification_id,
        address=address,
        key_id=key_id,
        created_at=created_at,
        expires_at=expires_at,
        last_sent_at=created_at,
        started_by=started_by,
        language=language,
        http_request_id=http_request_id,
        delivery=Delivery(number=1, status=DeliveryStatus.QUEUED, queued_at=created_at),
    )


def read_record(verification_id: str, fields: Mapping[bytes, bytes]) -> Verification:
    """Read a record's fields.

    Raises:
        VerificationNotFound: there are none.
        MalformedRecord: they are not those of a record.
    """
    if b"status" not in fields:
        raise VerificationNotFound
    try:
        text = {name.decode(): value.decode() for name, value in fields.items()}
        return Verification(
            id=verification_id,
            address=text["address"],
            key_id=text["key_id"],
            created_at=float(text["created_at"]),
            expires_at=float(text["expires_at"]),
            decided=Status(text["status"]),
            check_attempts=int(text["attempts"]),
            sends=int(text["sends"]),
            last_sent_at=float(text.get("last_sent_at", text["created_at"])),
            resent_by=text.get("resent_by", ""),
            started_by=text.get("started_by", ""),
            started_with=text.get("started_with", ""),
            language=text.get("language", ""),
            http_request_id=text.get("http_request_id", ""),
            delivery=Delivery(
                number=int(text["delivery"]),
                status=DeliveryStatus(text["delivery_status"]),
                tries=int(text["tries"]),
                queued_at=float(text["queued_at"]),
                next_try_at=float(text["next_try_at"]) if "next_try_at" in text else None,
                sent_at=float(text["sent_at"]) if "sent_at" in text else None,
                relay_reply=text.get("relay_reply", ""),
                ambiguous=int(text.get("ambiguous", "0")),
            ),
        )
    except (KeyError, ValueError) as error:
        raise MalformedRecord(
            f"The record of verification {verification_id} is malformed: {error}."
        ) from error


def pairs_to_fields(flat: list[Any]) -> dict[bytes, bytes]:
    """Read what HGETALL returns inside a script."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
