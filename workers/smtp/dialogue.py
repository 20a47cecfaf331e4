"""smtplib's dialogue, with an end to every wait.

smtplib's timeout counts from the last byte, so that a relay that sends one byte a second, or one
continuation line after another, holds its client for ever. Here each reply has a deadline, and so has
the whole attempt. The socket is read by us, which also lets one write be answered by several replies.
No library does both; and what is sent must be known to the byte, since an answer that is lost after the final
dot leaves open whether the relay has the mail.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import select
import smtplib
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator

from workers.smtp.relay_settings import RelaySettings

_LONGEST_LINE = 2048  # RFC 5321 allows 512; some relays send longer ones
_MOST_LINES = 128
_QUIT_TIMEOUT_S = 1.0
# No wait sleeps longer before it looks whether it was shortened.
_LOOK_EVERY_S = 1.0
_UNSENT_EVERY_S = 0.01
_BYTES_NOT_SENT_YET = 0x894B  # Linux: SIOCOUTQNSD


class WaitLimit:
    """The end of every wait for a relay, in `time.monotonic()`; may be set at any time and from any thread."""

    ends_at = math.inf


class RelayDialogue(smtplib.SMTP):
    """One session with one relay: opened once, then used for transaction after transaction.

    Raises OSError (smtplib's exceptions and TimeoutError are among them) or ValueError. After any of
    them the session is of no more use.
    """

    def __init__(
        self, settings: RelaySettings, context: ssl.SSLContext | None, limit: WaitLimit | None = None
    ) -> None:
        """`open` connects. Without a local name smtplib would look one up; the real one is set then."""
        super().__init__(local_hostname="[127.0.0.1]", timeout=settings.connect_timeout_s)
        self._settings = settings
        self._context = context
        self._host = settings.host  # what the certificate must name, in smtplib's own place
        self._unread = b""
        self._socket_timeout_s = 0.0
        self._reply_timeout_s = settings.command_timeout_s
        self._ends_at = math.inf
        self._limit = limit or WaitLimit()
        self.needs_rset = False

    def begin(self, ends_at: float) -> None:
        """Start an attempt that ends at this time of `time.monotonic()`, whatever the relay does."""
        self._ends_at = ends_at
        self._reply_timeout_s = self._settings.command_timeout_s

    def wait_for_the_answer(self) -> None:
        """Use the longer timeout, and it alone, from here on: the final dot is out."""
        self._reply_timeout_s = self._settings.answer_timeout_s
        self._ends_at = math.inf

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

    def docmd(self, cmd: str, args: str = "") -> tuple[int, bytes]:
        """Send a command and read its reply; after STARTTLS smtplib's handshake uses the socket as it is."""
        answer = super().docmd(cmd, args)
        if cmd == "STARTTLS":
            self._set_timeout(self._left(self._deadline(self._settings.connect_timeout_s)))
        return answer

    def send(self, s: bytes | str) -> None:  # type: ignore[override]  # smtplib's commands, with our deadlines
        """Send one of smtplib's commands."""
        self.write(s if isinstance(s, bytes) else s.encode(self.command_encoding))

    def write(self, data: bytes) -> None:
        """Send all of `data` within the command timeout, or raise OSError."""
        deadline = self._deadline(self._settings.command_timeout_s)
        unsent = memoryview(data)
        while unsent:
            self._set_timeout(min(self._left(deadline), _LOOK_EVERY_S))
            with _its_own_timeout():
                unsent = unsent[self._connected().send(unsent) :]

    def write_message(self, data: bytes) -> None:
        """Send a message with its final dot, or raise OSError: the dot is then not sent later either.

        What the relay does not take yet waits in the kernel, which would send it whenever the relay goes on.
        """
        deadline = self._deadline(self._settings.command_timeout_s)
        try:
            self.write(data)
            while _bytes_not_sent_yet(self._connected()):
                time.sleep(min(self._left(deadline), _UNSENT_EVERY_S))
        except TimeoutError:
            self._discard_on_close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply, whole, before its deadline; a code of -1 is an answer that is none."""
        deadline = self._deadline(self._reply_timeout_s)
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
        sock = socket.create_connection((host, port), self._left(self._deadline(timeout)))
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
        while True:
            self._set_timeout(min(self._left(deadline), _LOOK_EVERY_S))
            with _its_own_timeout():
                data = self._connected().recv(_LONGEST_LINE)
                break
        if not data:
            self.close()
            raise smtplib.SMTPServerDisconnected("closed by the relay")
        return data

    def _deadline(self, timeout_s: float) -> float:
        return min(time.monotonic() + timeout_s, self._ends_at)

    def _left(self, deadline: float) -> float:
        """Return the seconds left until a deadline; raises TimeoutError when there are none."""
        left = min(deadline, self._limit.ends_at) - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left

    def _discard_on_close(self) -> None:
        """Have the kernel drop what it has not sent yet when the socket is closed, and reset the connection."""
        with contextlib.suppress(OSError):
            self._connected().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _set_timeout(self, timeout_s: float) -> None:
        """Set the socket's timeout, but not to make it a little longer: it is a system call."""
        if not 0.9 * timeout_s <= self._socket_timeout_s <= timeout_s:
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


@contextlib.contextmanager
def _its_own_timeout() -> Iterator[None]:
    """Suppress the timeout that we set on a socket, and not the kernel's ETIMEDOUT, which ends the connection."""
    try:
        yield
    except TimeoutError as error:
        if error.errno is not None:
            raise


def _bytes_not_sent_yet(sock: socket.socket) -> int:
    """Return how many bytes the kernel holds back because the relay does not take them; 0 where it cannot say."""
    if sys.platform != "linux":
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock, _BYTES_NOT_SENT_YET, bytes(4)))[0])
    except OSError:
        return 0


def _address_literal(sock: socket.socket) -> str:
    """Return our name in EHLO: the address we come from, which no lookup can delay."""
    address = sock.getsockname()[0]
    return f"[IPv6:{address}]" if sock.family == socket.AF_INET6 else f"[{address}]"
