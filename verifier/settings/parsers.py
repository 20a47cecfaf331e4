"""Texts into values: the parsers of the settings that are more than a number or a word."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import EnvError, FileAwareEnv

from sentinel import Endpoint, Tls, TlsFilesWrong, parse_endpoint
from verifier.domain.hosts import host_name_in, is_loopback_name

DEFAULT_SENTINEL_PORT = 26379


def parsed(env: FileAwareEnv, name: str, parse: Callable[[str], Any], *default: str) -> Any:
    """Read a setting through a parser that raises ValueError; without a default it is required.

    What is wrong is kept by `env` until its `seal`, and None is returned meanwhile.
    """

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise EnvError(str(error)) from None

    env.add_parser(name, read)
    return getattr(env, name)(name, *default)


def endpoints(text: str) -> tuple[Endpoint, ...]:
    """Read `host:port,host:port`; the port may be left out. Raises ValueError."""
    return tuple(parse_endpoint(part, DEFAULT_SENTINEL_PORT) for part in text.split(",") if part.strip())


def one_line(text: str) -> str:
    """Read one line of text. Raises ValueError."""
    if not text.isprintable() or not text.strip() or len(text) > 100:
        raise ValueError("must be one line of 1 to 100 printable characters")
    return text.strip()


def service_name(text: str) -> str:
    """Read what mails and pages call the service. Raises ValueError."""
    name = one_line(text)
    # "=?" begins an encoded word in a mail's subject.
    if len(name) > 60 or "=?" in name:
        raise ValueError("must have at most 60 characters and no =? in it")
    return name


def public_url(text: str) -> str:
    """Read the URL under which people reach the pages; empty for none. Raises ValueError."""
    if not text:
        return ""
    try:
        url = urlsplit(text)
        name = host_name_in(url.netloc)
    except ValueError:
        name = None
    if (
        name is None
        or url.scheme not in {"http", "https"}
        or url.path.strip("/")
        or url.query
        or url.fragment
    ):
        raise ValueError("must be the address of the pages alone, such as https://verify.example.org")
    if url.scheme == "http" and not is_loopback_name(name):
        raise ValueError("must begin with https://: mails lead there with the code")
    return f"{url.scheme}://{url.netloc}"


def queue_name(text: str) -> str:
    """Read the name of RQ's queue. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", text):
        raise ValueError("must be 1 to 60 letters, digits, dots, dashes and underscores")
    return text


def sender(text: str) -> str:
    """Read an address, or a name and an address. Raises ValueError."""
    name, address = parseaddr(text)
    if not text.isprintable() or "@" not in address or address.startswith("@") or address.endswith("@"):
        raise ValueError("must be an address such as verify@example.org or Example <verify@example.org>")
    return f"{name} <{address}>" if name else address


def existing_file(text: str) -> Path | None:
    """Read the path of a file that is there and readable; an empty text is none. Raises ValueError."""
    if not text:
        return None
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"there is no file {text}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"the file {text} can't be read: {error.strerror}") from None
    return path


def path(text: str) -> Path | None:
    """Read a path, of a file that need not be there; an empty text is none."""
    return Path(text) if text else None


def is_on(text: str) -> bool:
    """Read a switch; an empty text is off. Raises ValueError."""
    match text.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "" | "false" | "no" | "off" | "0":
            return False
    raise ValueError("must be true or false")


def usable_tls(tls: Tls) -> Tls:
    """Return it if its files can be used. Raises ValueError."""
    try:
        tls.context()
    except TlsFilesWrong as error:
        raise ValueError(str(error)) from None
    return tls
