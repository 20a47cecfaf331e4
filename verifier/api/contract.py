"""The members of every body of the API, in the order in which they are written: the one place where they are declared.

From these types bodies are read (bodies.py), answers are made (answers.py), and the OpenAPI document takes its schemas
(openapi.py). How long an address or a code may be is for the domain to say, with a sentence for people; it stands here for
programs.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from verifier.catalogues import LONGEST_TAG
from verifier.domain.addresses import MAX_ADDRESS_CHARACTERS
from verifier.domain.codes import LONGEST_PASTE
from verifier.domain.verifications import DeliveryStatus, Status

_A_TIME = {"format": "date-time"}
_EARLIER, _LATER = "2026-11-22T14:51:23.845Z", "2026-11-22T15:01:23.845Z"
EXAMPLE_ID = "4e671ecb0757d92f06a9f5928cb252fa"
EXAMPLE_PATH = f"/v1/verifications/{EXAMPLE_ID}"
ID_PATTERN = "^[0-9a-f]{32}$"

ClientIp = Annotated[
    str,
    Meta(
        description="The IPv4 or IPv6 address of the person in front of the caller, who needs a key for naming it. "
        "The limits by client network then count for that person.",
        examples=["192.0.2.7"],
        extra_json_schema={"maxLength": 45, "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    ),
]
Locale = Annotated[
    str,
    Meta(
        description="The language of the mail, as BCP 47 writes it, such as `ko` or `ko-KR`; without one it is English.",
        examples=["ko"],
        extra_json_schema={"maxLength": LONGEST_TAG},
    ),
]
Time = Annotated[str, Meta(extra_json_schema=_A_TIME)]


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON object that a request holds. A member without a value has to be there."""


class StartBody(Body, frozen=True, forbid_unknown_fields=True):
    """What a start says."""

    to: Annotated[
        str,
        Meta(
            description="The email address to verify. Its domain comes back in lower case.",
            examples=["ada@example.org"],
            extra_json_schema={"maxLength": MAX_ADDRESS_CHARACTERS},
        ),
    ]
    client_ip: ClientIp | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET


class CheckBody(Body, frozen=True, forbid_unknown_fields=True):
    """What a check says."""

    code: Annotated[
        str,
        Meta(
            description="The code as the person typed or pasted it. Blanks, dashes and dots between the digits do no "
            "harm, digits of any script are read, and a lone run of so many digits is found in a longer text.",
            examples=["308614", "308 614"],
            extra_json_schema={"maxLength": LONGEST_PASTE},
        ),
    ]
    client_ip: ClientIp | UnsetType = UNSET


class ResendBody(Body, frozen=True, forbid_unknown_fields=True):
    """What a resend says; it may have no body at all."""

    client_ip: ClientIp | UnsetType = UNSET


class CancelBody(Body, frozen=True, forbid_unknown_fields=True):
    """A cancel says nothing more: no body, or an empty object."""


class Delivery(Struct, frozen=True):
    """How far the newest mail is on its way to the relay."""

    number: Annotated[
        int, Meta(ge=1, description="1 for the first mail, one more for each resend.", examples=[1])
    ]
    status: DeliveryStatus
    next_try_at: (
        Annotated[str, Meta(description="When a deferred mail is tried again.", extra_json_schema=_A_TIME)]
        | None
    )


class Verification(Struct, frozen=True):
    """Where a verification stands at the moment of the answer."""

    id: Annotated[str, Meta(description="Names the verification.", pattern=ID_PATTERN, examples=[EXAMPLE_ID])]
    to: Annotated[str, Meta(description="The address, in its normal form.", examples=["ada@example.org"])]
    status: Status
    created_at: Annotated[Time, Meta(examples=[_EARLIER])]
    expires_at: Annotated[Time, Meta(description="When the code stops working.", examples=[_LATER])]
    check_attempts_remaining: Annotated[
        int, Meta(ge=0, description="How many codes may still be typed.", examples=[5])
    ]
    resend_available_at: (
        Annotated[
            str,
            Meta(
                description="From when on a resend is allowed; null where there is none any more.",
                extra_json_schema=_A_TIME,
            ),
        ]
        | None
    )
    delivery: Delivery


class Checked(Verification, frozen=True, kw_only=True):
    """Where a verification stands after a check, and what the check found."""

    valid: Annotated[
        bool,
        Meta(
            description="Whether this check approved the verification. A wrong code is no error.",
            examples=[True],
        ),
    ]


class Problem(Struct, frozen=True):
    """What is wrong, as RFC 9457 has it. `code` is for programs and does not change; `detail` is a sentence for people."""

    type: Annotated[str, Meta(examples=["about:blank"])]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: str
    limit: Annotated[str, Meta(description="Which limit, where `code` is limit_reached.")] | UnsetType = UNSET
    request_id: (
        Annotated[
            str,
            Meta(
                description="By it the operators find the request in their log; it is in the header X-Request-ID, too."
            ),
        ]
        | UnsetType
    ) = UNSET
