"""The pages' own colour and logo: what can be read and shown, and what stops the start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.settings.brand import (
    DARK,
    LEAST_CONTRAST,
    LIGHT,
    MOST_LOGO_BYTES,
    Brand,
    contrast,
    parse_accent,
    parse_logo,
)

ROOT = Path(__file__).resolve().parents[4]
# What stands on the accent in dark surroundings, and the other surfaces of the style sheet.
ON_DARK, OTHER_LIGHT, OTHER_DARK = "#10162b", ("#ffffff", "#f3f5f8"), ("#1f242c", "#14171c")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#123456", "#123456", 1.0),
    ],
)
def test_contrast_is_what_the_guidelines_say(one: str, other: str, ratio: float) -> None:
    """Known values, whichever comes first."""
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)
    assert contrast(other, one) == contrast(one, other)


@given(st.integers(0, 0xFFFFFF))
def test_a_colour_can_be_read_everywhere_or_is_refused_with_one_that_can(number: int) -> None:
    """On every surface of the pages, as text and under the text of a button, pointed at or not."""
    text = f"#{number:06x}"
    try:
        accent = parse_accent(text)
    except ValueError as error:
        named = re.findall(r"#[0-9a-f]{6}", str(error))
        assert named[0] == text
        accent = parse_accent(named[1])
    assert accent is not None
    for colour in (accent.light, accent.light_strong):
        assert all(contrast(colour, surface) >= LEAST_CONTRAST for surface in (LIGHT, *OTHER_LIGHT))
    for colour in (accent.dark, accent.dark_strong):
        assert all(contrast(colour, surface) >= LEAST_CONTRAST for surface in (DARK, ON_DARK, *OTHER_DARK))


def test_the_surfaces_are_those_of_the_style_sheet() -> None:
    """Whoever changes one changes the other."""
    css = (ROOT / "verifier/static/verifier.css").read_text(encoding="utf-8")
    for colour in (LIGHT, DARK, ON_DARK, *OTHER_LIGHT, *OTHER_DARK):
        assert colour in css


@pytest.mark.parametrize(
    "text", ["red", "#fff", "2b4fcb", "#2b4fcg", "#2b4fcb;}", "rgb(1, 2, 3)", "#2b4fcb\n", "#2b4fcb0"]
)
def test_what_is_no_colour_is_refused(text: str) -> None:
    """With one that is."""
    with pytest.raises(ValueError, match="such as #2b4fcb"):
        parse_accent(text)


def test_a_colour_that_is_too_light_says_how_much() -> None:
    """And names a shade that is not."""
    with pytest.raises(
        ValueError, match=r"#ffcc00 is too light .* contrast is 1\.\d, and at least 4\.5 .* such as #"
    ):
        parse_accent("#FFCC00")


def test_nothing_is_the_projects_own() -> None:
    """Neither has to be set."""
    assert (parse_accent(""), parse_logo(""), Brand().logo_type) == (None, None, "")


def test_a_logo_is_a_small_picture(tmp_path: Path) -> None:
    """By the end of its name; a missing, large or other file is refused with a sentence."""
    for name, content, refusal in (
        ("logo.svg", b"<svg/>", None),
        ("LOGO.PNG", b"x", None),
        ("logo.txt", b"x", "must be a picture whose name ends in one of .svg"),
        ("logo.png", b"x" * (MOST_LOGO_BYTES + 1), "must have at most 256 KiB"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        if refusal is None:
            assert parse_logo(str(path)) == path
            assert Brand(logo=path).logo_type.startswith("image/")
        else:
            with pytest.raises(ValueError, match=refusal):
                parse_logo(str(path))
    with pytest.raises(ValueError, match="there is no file"):
        parse_logo(str(tmp_path / "missing.svg"))
