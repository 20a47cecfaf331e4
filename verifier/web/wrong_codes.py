"""Which page has yet to say that a wrong code was entered: kept in the session between the form and the page it leads to.

The answer to a form is a redirect, so that reloading the page, or going back to it, sends no form again and costs no
attempt. A page of another verification, in another tab, says nothing of it. Where the cookie got lost, the page still
says how many attempts are left.
"""

from __future__ import annotations

from flask import session

_NAME = "wrong"
# A cookie has little room; a page says it at once.
_MOST = 5


def remember_wrong_code(verification_id: str) -> None:
    """Let the page of a verification say it, once."""
    session[_NAME] = [*_remembered(), verification_id][-_MOST:]


def take_wrong_code(verification_id: str) -> bool:
    """Return whether the page of a verification is to say it now."""
    remembered = _remembered()
    if verification_id not in remembered:
        return False
    session[_NAME] = [each for each in remembered if each != verification_id]
    return True


def _remembered() -> list[str]:
    return list(session.get(_NAME, []))
