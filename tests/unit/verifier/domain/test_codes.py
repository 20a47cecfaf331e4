"""How codes are derived, and how a typed one is read."""

from __future__ import annotations

import math
import string
from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain import codes
from verifier.domain.codes import (
    derive_code,
    is_verification_id,
    new_verification_id,
    normalise_typed_code,
    same_code,
)
from verifier.domain.errors import MalformedCode

KEY = b"a fixed key of the tests"
ID = "0123456789abcdef0123456789abcdef"
ADDRESS = "ann@example.org"


def _codes(how_many: int, digits: int = 6) -> list[str]:
    return [derive_code(KEY, f"{number:032x}", ADDRESS, digits) for number in range(how_many)]


def _chi_square(counts: Counter[str], values: int, drawn: int) -> float:
    expected = drawn / values
    seen = sum((number - expected) ** 2 / expected for number in counts.values())
    return seen + (values - len(counts)) * expected


def test_a_code_stays_the_same() -> None:
    """Codes on their way must survive an upgrade: this one was worked out once and is written down here."""
    assert derive_code(KEY, ID, ADDRESS, 6) == "082294"
    assert derive_code(KEY, ID, ADDRESS, 6) == derive_code(KEY, ID, ADDRESS, 6)


def test_another_key_id_or_address_gives_another_code() -> None:
    """With ten digits the chance of the same code is nil."""
    inputs = {
        (KEY, ID, ADDRESS),
        (KEY + b".", ID, ADDRESS),
        (KEY, ID[::-1], ADDRESS),
        (KEY, ID, "anne@example.org"),
        (KEY, ID, "ann@example.com"),
    }
    assert len({derive_code(*each, 10) for each in inputs}) == len(inputs)


@pytest.mark.parametrize("digits", range(4, 11))
def test_a_code_has_as_many_digits_as_asked_for(digits: int) -> None:
    """Leading zeros included: of 500 codes some begin with one."""
    found = _codes(500, digits)
    assert all(len(code) == digits and code.isascii() and code.isdigit() for code in found)
    assert any(code.startswith("0") for code in found)


def test_no_digit_is_favoured_at_any_place() -> None:
    """Chi-square with 9 degrees of freedom: 40 is exceeded by chance once in a hundred thousand times."""
    found = _codes(20_000)
    for place in range(6):
        assert _chi_square(Counter(code[place] for code in found), 10, len(found)) < 40


def test_no_pair_of_first_and_last_digits_is_favoured() -> None:
    """Chi-square with 99 degrees of freedom stays below 175, which chance exceeds once in a hundred thousand times."""
    found = _codes(20_000)
    assert _chi_square(Counter(code[0] + code[-1] for code in found), 100, len(found)) < 175


def test_the_check_for_favoured_digits_can_fail() -> None:
    """Cutting 20 bits down to six digits without care favours low codes, and the same measure sees it."""
    limit = 2**20
    biased = [str(int(code) * limit // 10**6 % 10**6).zfill(6) for code in _codes(20_000)]
    assert _chi_square(Counter(code[0] for code in biased), 10, len(biased)) > 175


def test_words_that_would_favour_low_codes_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With words of one byte and two digits, 200 to 255 must not count."""
    monkeypatch.setattr(codes, "_WORD_BYTES", 1)
    monkeypatch.setattr(codes, "_WORD_VALUES", 256)
    found = _codes(20_000, 2)
    assert _chi_square(Counter(found), 100, len(found)) < 175


def test_a_code_is_found_even_where_a_whole_block_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of words that all favour some digits is followed by the next block."""
    numbers = count()
    real = codes.hmac.new

    class Favouring:
        def digest(self) -> bytes:
            return b"\xff" * 32

    def first_block_favours(key: bytes, message: bytes, kind: object) -> object:
        return Favouring() if next(numbers) == 0 else real(key, message, codes.hashlib.sha256)

    monkeypatch.setattr(codes.hmac, "new", first_block_favours)
    assert derive_code(KEY, ID, ADDRESS, 6).isdigit()
    assert next(numbers) == 2


def test_ids_are_random_and_have_the_form_that_is_checked() -> None:
    """A thousand ids are all different and all well formed."""
    ids = {new_verification_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(map(is_verification_id, ids))
    # 128,000 random bits: the share of ones is a half within five standard deviations
    ones = sum(int(each, 16).bit_count() for each in ids)
    assert abs(ones - 64_000) < 5 * math.sqrt(128_000) / 2


@pytest.mark.parametrize(
    "text", ["", ID[:-1], ID + "0", ID.upper(), ID[:-1] + "g", ID + "\n", f" {ID}", "../" + ID, ID[:-1] + "٣"]
)
def test_what_is_no_id_is_told_apart(text: str) -> None:
    """Only 32 lower-case hexadecimal digits are an id."""
    assert not is_verification_id(text)


@pytest.mark.parametrize(
    "typed",
    [
        "012345",
        " 012345\n",
        "012 345",
        "01 23 45",
        "012-345",
        "0-1-2-3-4-5",
        "012.345",
        "012\u2013345",
        "012\u00a0345",
        "012\u2009345",
        "０１２３４５",  # noqa: RUF001 - full-width digits, as a Japanese keyboard types them
        "٠١٢٣٤٥",
        "०१२३४५",
    ],
)
def test_separators_and_digits_of_other_scripts_are_accepted(typed: str) -> None:
    """People copy and type a code in many ways."""
    assert normalise_typed_code(typed, 6) == "012345"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "-",
        "12345",
        "1234567",
        "12345a",
        "abcdef",
        "O12345",
        "+12345",
        "12,345",
        "²²²²²²",
        "ⅠⅡⅢⅣⅤⅥ",
        "①②③④⑤⑥",
        "12345\0",
        "12345\ud800",
        "0x1234",
        "1_2345",
        "1" * 100_000,
        " " * 100_000,
    ],
    ids=lambda typed: ascii(typed[:20]),
)
def test_what_can_be_no_code_is_refused_with_a_sentence(typed: str) -> None:
    """The sentence says how long a code is and never repeats what was typed."""
    with pytest.raises(MalformedCode, match="6") as refusal:
        normalise_typed_code(typed, 6)
    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize(
    "pasted",
    [
        "Your code: 308614",
        "308614 is your Example code",
        "code=308614",
        "Your Example code:\n\n    308614\n\nIt works for 10 minutes.",
        "Your code: 308 614.",
        "Your code: 308-614, for 2 minutes",
        "On 2026-11-25 at 10:30: 308614",
        "인증번호는 308614입니다",
        "認証コード：３０８６１４",  # noqa: RUF001 - full-width, as they are written there
        "308614 308614 is it",
        "308614" + " and so on" * 300,
    ],
)
def test_a_code_is_found_in_what_was_pasted(pasted: str) -> None:
    """The only run of so many digits."""
    assert normalise_typed_code(pasted, 6) == "308614"


@pytest.mark.parametrize(
    "pasted",
    [
        "308614 or 123456",
        "code 3086145",
        "code 30861",
        "code 308 614 5",
        "on 2026-11-25",
        "/verify/ab308614cd",
        "123456 7",
        "Your code: 308614" + " " * 5000,
    ],
)
def test_what_is_not_surely_the_code_is_not_taken_for_it(pasted: str) -> None:
    """An attempt would be lost: several runs, a part of a longer number, of a date or of a link."""
    with pytest.raises(MalformedCode):
        normalise_typed_code(pasted, 6)


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_code_or_a_refusal(typed: str) -> None:
    """Nothing else is raised, and a code consists of ASCII digits only."""
    try:
        code = normalise_typed_code(typed, 6)
    except MalformedCode:
        return
    assert len(code) == 6
    assert set(code) <= set(string.digits)


@given(code=st.from_regex(r"[0-9]{6}", fullmatch=True), cuts=st.sets(st.integers(0, 6)))
def test_a_code_is_the_same_however_it_is_cut(code: str, cuts: set[int]) -> None:
    """Blanks and dashes anywhere change nothing."""
    typed = "".join((" - " if place in cuts else "") + digit for place, digit in enumerate(code))
    assert normalise_typed_code(typed, 6) == code


def test_codes_are_the_same_only_where_every_digit_is() -> None:
    """Leading zeros count."""
    assert same_code("012345", "012345")
    assert not same_code("012345", "12345")
    assert not same_code("012345", "012346")
