"""smtplib's dialogue, with an end to every wait.

smtplib's timeout counts from the last byte, so that a relay that sends one byte a second, or one
continuation line after another, holds its client for ever. Here each reply has a deadline, and so has
the whole attempt. The socket is read by us, which also lets one write be answered by several replies.
No library does both; and what is sent must be known to the byte, since an answer that is lost after the final
dot leaves open whether the relay has the mail.
"""

from __future__ import annotations

import contextlib
import math
import select
import smtplib
import socket
import ssl
import time

from workers.smtp.relay_settings import RelaySettings

_LONGEST_LINE = 2048  # RFC 5321 allows 512; some relays send longer ones
_MOST_LINES = 128
_QUIT_TIMEOUT_S = 1.0


class RelayDialogue(smtplib.SMTP):
    """One session with one relay: opened once, then used for transaction after transaction.

    Raises OSError (smtplib's exceptions and TimeoutError are among them) or ValueError. After any of
    them the session is of no more use.
    """

    def __init__(self, settings: RelaySettings, context: ssl.SSLContext | None) -> None:
        """`open` connects. Without a local name smtplib would look one up; the real one is set then."""
        super().__init__(local_hostname="[127.0.0.1]", timeout=settings.connect_timeout_s)
        self._settings = settings
        self._context = context
        self._host = settings.host  # what the certificate must name, in smtplib's own place
        self._unread = b""
        self._socket_timeout_s = 0.0
        self._reply_timeout_s = settings.command_timeout_s
        self._ends_at = math.inf
        self.needs_rset = False

    def begin(self, ends_at: float) -> None:
        """Start an attempt that ends at this time of `time.monotonic()`, whatever the relay does."""
        self._ends_at = ends_at
        self._reply_timeout_s = self._settings.command_timeout_s

    def wait_for_the_answer(self) -> None:
        """Use the longer timeout from here on: the final dot is out."""
        self._reply_timeout_s = self._settings.answer_timeout_s

    def open(self) -> None:
        """Connect, greet, secure, log in."""
        code, words = self.connect(self._settings.host, self._settings.port)
        if code // 100 != 2:
            raise smtplib.SMTPConnectError(code, words)
        self.ehlo_or_helo_if_needed()
        if self._settings.security == "starttls":
            self.starttls(context=self._context)
            # What came in the clear behind the answer could be anybody's (RFC 3207).
            self._unread, self._socket_timeout_s = b"", 0.0
            self.ehlo_or_helo_if_needed()
        if self._settings.username:
            self.login(self._settings.username, self._settings.password)

    def ehlo_or_helo_if_needed(self) -> None:
        """EHLO, or HELO for a relay too old for it. smtplib tries HELO even after a 421, and loses it."""
        if self.ehlo_resp is not None or self.helo_resp is not None:
            return
        code, words = self.ehlo()
        if code // 100 == 5:
            code, words = self.helo()
        if code // 100 != 2:
            raise smtplib.SMTPHeloError(code, words)

    def write(self, data: bytes) -> None:
        """Send all of `data` within the command timeout, or raise OSError."""
        self._set_timeout(self._settings.command_timeout_s)
        self._connected().sendall(data)

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply, whole, before its deadline; a code of -1 is an answer that is none."""
        deadline = min(time.monotonic() + self._reply_timeout_s, self._ends_at)
        words: list[bytes] = []
        for _ in range(_MOST_LINES):
            line = self._line(deadline)
            words.append(line[4:].strip())
            if line[3:4] != b"-" or not line[:3].isdigit():
                code = int(line[:3]) if len(line) >= 3 and line[:3].isdigit() else -1
                return code, b"\n".join(words)
        raise smtplib.SMTPServerDisconnected("a reply without an end")

    def has_unexpected_input(self) -> bool:
        """Return whether the relay closed, or spoke unasked (a 421, as a rule), since the last reply."""
        if self._unread or self.sock is None:
            return True
        watch = select.poll()
        watch.register(self.sock, select.POLLIN)
        if not watch.poll(0):
            return False
        return self._reads_something()

    def answers(self) -> bool:
        """Return whether the session is still alive; without an answer in the connect timeout it is closed."""
        self._reply_timeout_s = self._settings.connect_timeout_s
        with contextlib.suppress(OSError, ValueError):
            if self.noop()[0] // 100 == 2:
                return True
        self.close()
        return False

    def quit(self) -> tuple[int, bytes]:
        """Send QUIT and close: at most a second, and never an exception. A mail's fate is settled."""
        answer = (221, b"")
        with contextlib.suppress(OSError, ValueError):
            self._ends_at = time.monotonic() + _QUIT_TIMEOUT_S
            self._set_timeout(_QUIT_TIMEOUT_S)
            if self.sock is not None:
                self.sock.sendall(b"QUIT\r\n")
                answer = self.getreply()
        self.close()
        return answer

    def close(self) -> None:
        """Close the socket; nothing is said and nothing is raised."""
        with contextlib.suppress(OSError):
            super().close()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Make the socket: smtplib's hook, as SMTP_SSL uses it."""
        sock = socket.create_connection((host, port), timeout)
        try:
            # A command follows a reply: waiting for more to send only waits.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.local_hostname = _address_literal(sock)
            if self._settings.security == "tls" and self._context is not None:
                return self._context.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connected(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        return self.sock

    def _line(self, deadline: float) -> bytes:
        """Read one line, without its end, and never more than a line's worth of memory."""
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > _LONGEST_LINE:
                raise smtplib.SMTPServerDisconnected("a line without an end")
            self._unread += self._receive(deadline)
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line

    def _receive(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._set_timeout(left)
        data = self._connected().recv(_LONGEST_LINE)
        if not data:
            self.close()
            raise smtplib.SMTPServerDisconnected("closed by the relay")
        return data

    def _set_timeout(self, timeout_s: float) -> None:
        """Set the socket's timeout, but not for a difference nobody notices: it is a system call."""
        if not 0.9 * self._socket_timeout_s <= timeout_s <= 1.1 * self._socket_timeout_s:
            self._connected().settimeout(timeout_s)
            self._socket_timeout_s = timeout_s

    def _reads_something(self) -> bool:
        sock = self._connected()
        sock.settimeout(0)
        self._socket_timeout_s = 0.0
        try:
            sock.recv(_LONGEST_LINE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False  # TLS tickets make a socket readable without a word being said
        except OSError:
            return True
        return True


def _address_literal(sock: socket.socket) -> str:
    """Return our name in EHLO: the address we come from, which no lookup can delay."""
    address = sock.getsockname()[0]
    return f"[IPv6:{address}]" if sock.family == socket.AF_INET6 else f"[{address}]"
