"""A plot in SVG, element by element: no library is needed for rectangles and lines."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape


def element(tag: str, content: str = "", /, **attributes: object) -> Markup:
    """Return an element; text in it is escaped, numbers are cut to tenths, `class_` and `font_size` are spelled so."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"' for name, value in attributes.items()
    )
    return Markup(f"<{tag}{written}>{escape(content)}</{tag}>")  # noqa: S704 - all of it is escaped


def plot(summary: str, width: int, height: int, parts: Iterable[Markup], /, **attributes: object) -> Markup:
    """Return the whole plot; `summary` is for those who cannot see it."""
    return element(
        "svg",
        Markup("\n").join([element("title", summary), *parts]),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
        **attributes,
    )


def _value(value: object) -> Markup:
    return escape(f"{value:.1f}" if isinstance(value, float) else value)
