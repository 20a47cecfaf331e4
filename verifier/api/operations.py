"""What each view takes and answers, said beside the view for the OpenAPI document; it costs a request nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import Struct

from verifier.api.contract import Body
from verifier.domain import errors
from verifier.domain.errors import VerifierError

_NAME = "described_as"
# What any request may get.
EVERYWHERE: tuple[type[VerifierError], ...] = (
    errors.UnknownHost,
    errors.NotAuthorized,
    errors.ServiceUnavailable,
)

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Operation:
    """One request that the API knows."""

    answer: type[Struct]
    refusals: tuple[type[VerifierError], ...]
    """Beside those of every request, and of every body."""
    body: type[Body] | None = None
    status: int = 200
    may_be_repeated: bool = False
    """Whether it takes an Idempotency-Key."""
    note: str = ""
    """What the view's own docstring does not say, in sentences."""


def described(operation: Operation) -> Callable[[View], View]:
    """Keep with a view what it does."""

    def keep(view: View) -> View:
        setattr(view, _NAME, operation)
        return view

    return keep


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """Return what is kept with a view."""
    return getattr(view, _NAME, None)
