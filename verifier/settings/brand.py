"""How the pages look: whose logo they show, and in which colour links and buttons are.

A colour that people can't read stops the start. In dark surroundings it is lightened until they can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from environs import FileAwareEnv

from verifier.settings.parsers import existing_file, parsed

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
MOST_LOGO_BYTES = 256 * 1024
LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}
# The surfaces on which links and the text of buttons stand (static/verifier.css): the hardest to read on of each scheme.
LIGHT, DARK = "#ebeffc", "#202a47"

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Accent:
    """The colour of links and buttons, and of buttons that are pointed at, in light and in dark surroundings."""

    light: str
    light_strong: str
    dark: str
    dark_strong: str


@dataclass(frozen=True)
class Brand:
    """What the pages have of their own; nothing is what the project has."""

    accent: Accent | None = None
    logo: Path | None = None

    @property
    def logo_type(self) -> str:
        """The media type of the logo."""
        return LOGO_TYPES[self.logo.suffix.lower()] if self.logo else ""


def read_brand(env: FileAwareEnv) -> Brand:
    """Read both."""
    return Brand(parsed(env, "ACCENT_COLOR", parse_accent, ""), parsed(env, "LOGO", parse_logo, ""))


def parse_accent(text: str) -> Accent | None:
    """Read a colour such as `#2b4fcb`; an empty text is none.

    Raises:
        ValueError: it is no such colour, or can't be read on the pages; the sentence names one that can.
    """
    if not text:
        return None
    if not _COLOUR.fullmatch(text):
        raise ValueError("must be a colour such as #2b4fcb")
    colour = text.lower()
    found = contrast(colour, LIGHT)
    if found < LEAST_CONTRAST:
        raise ValueError(
            f"{colour} is too light to be read on the pages: its contrast is {found:.1f}, and at least {LEAST_CONTRAST} is "
            f"needed (WCAG 2.2, 1.4.3). A darker shade such as {_readable(colour, '#000000', LIGHT)} has it"
        )
    dark = _readable(colour, "#ffffff", DARK)
    return Accent(colour, mixed(colour, "#000000", 0.2), dark, mixed(dark, "#ffffff", 0.3))


def parse_logo(text: str) -> Path | None:
    """Read the path of a picture; an empty text is none. Raises ValueError where it is none, or a large one."""
    path = existing_file(text)
    if path is None:
        return None
    if path.suffix.lower() not in LOGO_TYPES:
        raise ValueError(f"{text} must be a picture whose name ends in one of {', '.join(LOGO_TYPES)}")
    if path.stat().st_size > MOST_LOGO_BYTES:
        raise ValueError(f"{text} must have at most {MOST_LOGO_BYTES // 1024} KiB")
    return path


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, other: str, share: float) -> str:
    """Return a colour with so much of another in it."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(mine + (theirs - mine) * share):02x}" for mine, theirs in pairs)


def _readable(colour: str, towards: str, surface: str) -> str:
    """Return the nearest shade that can be read on a surface."""
    shades = (mixed(colour, towards, step / 50) for step in range(51))
    return next(shade for shade in shades if contrast(shade, surface) >= LEAST_CONTRAST)


def _luminance(colour: str) -> float:
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
