"""TLS to nodes and sentinels: whom we trust, who we are, and a sentence for whatever is wrong with either side."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from sentinel.endpoints import Endpoint
from sentinel.errors import TlsFilesWrong, TlsRefused

State = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Tls:
    """How connections are encrypted; the same for nodes and sentinels."""

    ca_file: Path | None = None
    """The authorities to trust, as PEM; None: the system's."""
    certificate_file: Path | None = None
    """Who we are, as PEM, for servers that ask; with `key_file`, or neither."""
    key_file: Path | None = None
    verify: bool = True
    """False: believe any certificate, whoever shows it. Only for a try."""

    def context(self) -> ssl.SSLContext:
        """Return what connections are opened with; files that were renewed count for the next connection.

        Raises:
            TlsFilesWrong: a file can't be used, and there was none before that could.
        """
        return _contexts.of(self)

    def files(self) -> Iterator[Path]:
        """Yield the files that are named."""
        yield from (each for each in (self.ca_file, self.certificate_file, self.key_file) if each is not None)


class _Contexts:
    """The context of each value, made anew when one of its files has changed; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Tls, tuple[State, ssl.SSLContext]] = {}

    def of(self, tls: Tls) -> ssl.SSLContext:
        with self._lock:
            made = self._made.get(tls)
            try:
                state = _state_of(tls)
                if made is None or made[0] != state:
                    made = self._made[tls] = (state, _load(tls))
            except TlsFilesWrong:
                # A renewal writes several files, one after the other: the former ones hold until all fit.
                if made is None:
                    raise
            return made[1]


_contexts = _Contexts()


def _state_of(tls: Tls) -> State:
    return tuple(_state_of_file(each) for each in tls.files())


def _state_of_file(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.ca_file is not None:
        _read(tls.ca_file, "CERTIFICATE", "the authority's certificate")
        _load_authorities(context, tls.ca_file)
    elif tls.verify:
        context.load_default_certs()
    if (tls.certificate_file is None) != (tls.key_file is None):
        raise TlsFilesWrong(
            "A client certificate needs its key, and a key its certificate: name both files, or none."
        )
    if tls.certificate_file is not None and tls.key_file is not None:
        _load_client_certificate(context, tls.certificate_file, tls.key_file)
    return context


def _load_authorities(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError:
        raise TlsFilesWrong(f"{file} holds no certificate that can be read: make it anew.") from None


def _load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _read(certificate, "CERTIFICATE", "the client certificate")
    if "ENCRYPTED" in _read(key, "PRIVATE KEY", "the client certificate's key"):
        raise TlsFilesWrong(
            f"The key in {key} is encrypted, and nobody is there to type its password: decrypt it."
        )
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsFilesWrong(
                f"The key in {key} does not belong to the certificate in {certificate}: name the pair."
            ) from None
        raise TlsFilesWrong(
            f"{certificate} and {key} are no certificate and key that can be read: make them anew."
        ) from None


def _read(file: Path, label: str, what: str) -> str:
    """Return the text of a PEM file. Raises TlsFilesWrong."""
    try:
        text = file.read_text(errors="replace")
    except OSError as error:
        raise _unreadable(file, error) from None
    if "-----BEGIN " not in text or f"{label}-----" not in text:
        raise TlsFilesWrong(f"{file} should hold {what}, but is no PEM file with one: name the right file.")
    return text


def _unreadable(file: Path, error: OSError) -> TlsFilesWrong:
    return TlsFilesWrong(
        f"{file} can't be read ({error.strerror}): correct the path, or let this process read the file."
    )


def shake_hands(tls: Tls, sock: socket.socket, server: Endpoint, timeout_s: float | None) -> ssl.SSLSocket:
    """Begin TLS on a connected socket, within `timeout_s` seconds; the caller closes it on an error.

    Raises:
        TlsRefused: the certificate is not the one it should be, or the other side speaks no TLS.
        TlsFilesWrong: our own files can't be used.
        redis.TimeoutError: no answer in time; so hangs a server, and so waits one without TLS.
        OSError: the connection broke.
    """
    context = tls.context()
    sock.settimeout(timeout_s)
    try:
        return context.wrap_socket(sock, server_hostname=server.host)
    except TimeoutError:
        raise redis.TimeoutError(
            "it accepts connections but does not answer the TLS handshake: it hangs, or is set up without TLS"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise TlsRefused(f"{server} {_certificate_complaint(error, server)}") from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise
    except ssl.SSLError as error:
        raise TlsRefused(f"{server} {_handshake_complaint(error)}") from None


EXPIRED = 10
NOT_YET_VALID = 9
NAME_MISMATCHES = {62, 64}


def _certificate_complaint(error: ssl.SSLCertVerificationError, server: Endpoint) -> str:
    if error.verify_code == EXPIRED:
        return "shows a certificate that has expired: renew it, and look at this machine's clock."
    if error.verify_code == NOT_YET_VALID:
        return "shows a certificate that is not valid yet: look at the clocks of both machines."
    if error.verify_code in NAME_MISMATCHES:
        return (
            f"shows a certificate that is not for {server.host}: make one that names this host or address, "
            "or reach it by a name that the certificate has."
        )
    return (
        "shows a certificate that no authority we trust has signed "
        f"({error.verify_message}): name its authority's file in the TLS settings."
    )


def _handshake_complaint(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return "does not speak TLS: turn TLS on there, or off in the settings here."
    return f"refuses our TLS handshake ({reason.replace('_', ' ').lower()}): compare the TLS settings of both sides."
