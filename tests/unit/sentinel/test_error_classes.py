"""Which error means what. The texts are those that Redis 6.2 and 7.0 really answer with."""

from __future__ import annotations

import socket
import ssl

import pytest
import redis
from redis._parsers.base import BaseParser
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ExecAbortError,
    InvalidResponse,
    MaxConnectionsError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    WatchError,
)

from sentinel.endpoints import Endpoint
from sentinel.error_classes import _WORDS, ErrorKind, drops_socket, kind_of, remedy, translate
from sentinel.errors import (
    TRANSIENT,
    AccessRefused,
    Backpressure,
    CircuitOpen,
    MasterMoved,
    MasterNotReady,
    MasterUnknown,
    NotAcknowledged,
    PermanentError,
    TransientError,
    UnknownMasterName,
)

MOVED, NOT_READY, UNREACHABLE = ErrorKind.MOVED, ErrorKind.NOT_READY, ErrorKind.UNREACHABLE
FULL, REFUSED, ANSWER = ErrorKind.FULL, ErrorKind.REFUSED, ErrorKind.ANSWER

NODE = Endpoint("redis-1", 6379)

# How both versions tell of a script's failed command, as format strings.
SCRIPT_6 = "ERR Error running script (call to f_1f8f4cfb): @user_script:1: @user_script: 1: -{}"
SCRIPT_7 = "{} script: 1f8f4cfb, on @user_script:1."

READONLY = "READONLY You can't write against a read only replica."
OOM = "OOM command not allowed when used memory > 'maxmemory'."
NOREPLICAS = "NOREPLICAS Not enough good replicas to write."
MASTERDOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
MISCONF_6 = (
    "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk."
)
MISCONF_7 = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands "
    "that may modify the data set are disabled, because this instance is configured to report errors during "
    "writes if RDB snapshotting fails (stop-writes-on-bgsave-error option)."
)
MISCONF_AOF = "MISCONF Errors writing to the AOF file: No space left on device"
WAIT_ON_REPLICA = (
    "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is "
    "configured to be writable (which is not the default) writes to replicas are just local and are not propagated."
)
NOPERM_IN_SCRIPT = "The user executing the script can't run this command or subcommand"
NO_PASSWORD_SET = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)

ANSWERS = [
    (READONLY, MOVED),
    (SCRIPT_6.format(READONLY), MOVED),
    (SCRIPT_7.format(READONLY), MOVED),
    (
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        MOVED,
    ),
    (WAIT_ON_REPLICA, MOVED),
    (MASTERDOWN, MOVED),
    (SCRIPT_6.format(MASTERDOWN), MOVED),
    (f"EXECABORT Transaction discarded because of: {MASTERDOWN}", MOVED),
    ("LOADING Redis is loading the dataset in memory", NOT_READY),
    (NOREPLICAS, NOT_READY),
    (SCRIPT_6.format(NOREPLICAS), NOT_READY),
    (SCRIPT_7.format(NOREPLICAS), NOT_READY),
    (f"EXECABORT Transaction discarded because of: {NOREPLICAS}", NOT_READY),
    (
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        NOT_READY,
    ),
    ("ERR max number of clients reached", NOT_READY),
    (OOM, FULL),
    (SCRIPT_6.format(OOM), FULL),
    (SCRIPT_7.format(OOM), FULL),
    (f"EXECABORT Transaction discarded because of: {OOM}", FULL),
    (MISCONF_6, FULL),
    (MISCONF_7, FULL),
    (MISCONF_AOF, FULL),
    (SCRIPT_6.format(MISCONF_6), FULL),
    (SCRIPT_7.format(MISCONF_7), FULL),
    ("NOAUTH Authentication required.", REFUSED),
    ("NOAUTH HELLO must be called with the client already authenticated", REFUSED),
    ("WRONGPASS invalid username-password pair or user is disabled.", REFUSED),
    ("ERR invalid password", REFUSED),
    (NO_PASSWORD_SET, REFUSED),
    ("ERR Client sent AUTH, but no password is set", REFUSED),
    ("NOPERM this user has no permissions to run the 'set' command or its subcommand", REFUSED),
    ("NOPERM this user has no permissions to run the 'publish' command", REFUSED),
    ("NOPERM this user has no permissions to access one of the keys used as arguments", REFUSED),
    (
        f"ERR Error running script (call to f_1f8f): @user_script:1: @user_script: 1: {NOPERM_IN_SCRIPT}",
        REFUSED,
    ),
    (SCRIPT_7.format(f"ERR {NOPERM_IN_SCRIPT}"), REFUSED),
    ("ERR ACL failure in script: User app has no permissions to run the 'set' command script: 1f8f", REFUSED),
    ("DENIED Redis is running in protected mode because protected mode is enabled", REFUSED),
    ("ERR unknown command 'FOO', with args beginning with:", ANSWER),
    ("ERR wrong number of arguments for 'get' command", ANSWER),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", ANSWER),
    ("NOSCRIPT No matching script. Please use EVAL.", ANSWER),
    ("BUSYGROUP Consumer Group name already exists", ANSWER),
    ("BUSYKEY Target key name already exists.", ANSWER),
    ("EXECABORT Transaction discarded because of previous errors.", ANSWER),
    (SCRIPT_6.format("WRONGTYPE Operation against a key holding the wrong kind of value"), ANSWER),
    ("ERR Error running script (call to f_1): @user_script:2: @user_script: 2: Script's own words", ANSWER),
    ("", ANSWER),
]


@pytest.mark.parametrize(("text", "meaning"), ANSWERS, ids=[text[:50] for text, _ in ANSWERS])
def test_an_answer_of_redis_means(text: str, meaning: ErrorKind) -> None:
    """As redis-py hands it on, which cuts off some first words and keeps others."""
    assert kind_of(BaseParser.parse_error(text)) is meaning


@pytest.mark.parametrize(("text", "meaning"), ANSWERS, ids=[text[:50] for text, _ in ANSWERS])
def test_a_raw_answer_means_the_same(text: str, meaning: ErrorKind) -> None:
    """So a redis-py that knows fewer classes, or more, changes nothing where the word is left in the text."""
    assert kind_of(ResponseError(text)) is meaning


def test_each_word_of_the_table_has_a_row_here() -> None:
    """A new word needs its real text."""
    first_words = {text.split(" ")[0] for text, _ in ANSWERS}
    assert set(_WORDS) <= first_words


EXCEPTIONS = [
    (ReadOnlyError("You can't write against a read only replica."), MOVED),
    (BusyLoadingError("Redis is loading the dataset in memory"), NOT_READY),
    (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), FULL),
    (NoPermissionError("this user has no permissions"), REFUSED),
    (AuthorizationError("no"), REFUSED),
    (AuthenticationError("Authentication required."), REFUSED),
    (MaxConnectionsError("Too many connections"), NOT_READY),
    (InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'"), UNREACHABLE),
    (redis.ConnectionError("Connection closed by server."), UNREACHABLE),
    (redis.ConnectionError("Error 111 connecting to redis-1:6379. Connection refused."), UNREACHABLE),
    (redis.ConnectionError("max number of clients reached"), NOT_READY),
    (redis.ConnectionError("LOADING Redis is loading the dataset in memory"), NOT_READY),
    (redis.TimeoutError("Timeout reading from redis-1:6379"), UNREACHABLE),
    (ConnectionResetError(104, "Connection reset by peer"), UNREACHABLE),
    (BrokenPipeError(32, "Broken pipe"), UNREACHABLE),
    (TimeoutError("timed out"), UNREACHABLE),
    (socket.gaierror(-2, "Name or service not known"), UNREACHABLE),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), UNREACHABLE),
    (NoScriptError("No matching script. Please use EVAL."), ANSWER),
    (ExecAbortError("Transaction discarded because of previous errors."), ANSWER),
    (WatchError("Watched variable changed."), ANSWER),
    (ValueError("no error of Redis at all"), ANSWER),
]


@pytest.mark.parametrize(
    ("error", "meaning"), EXCEPTIONS, ids=[f"{type(error).__name__}-{error!s:.30}" for error, _ in EXCEPTIONS]
)
def test_an_exception_means(error: Exception, meaning: ErrorKind) -> None:
    """Of redis-py, or of the socket."""
    assert kind_of(error) is meaning


@pytest.mark.parametrize(
    ("meaning", "error_class"),
    [
        (MOVED, MasterMoved),
        (NOT_READY, MasterNotReady),
        (UNREACHABLE, TransientError),
        (FULL, Backpressure),
        (REFUSED, AccessRefused),
    ],
)
def test_the_type_carries_the_decision(meaning: ErrorKind, error_class: type[Exception]) -> None:
    """Whatever says so; the message names the endpoint and keeps what was said."""
    errors = [error for error, each in EXCEPTIONS if each is meaning]
    errors += [BaseParser.parse_error(text) for text, each in ANSWERS if each is meaning]
    assert errors
    for error in errors:
        translated = translate(error, NODE)
        assert type(translated) is error_class
        assert "redis-1:6379" in str(translated)
        assert str(error) in str(translated)


@pytest.mark.parametrize("error", [error for error, meaning in EXCEPTIONS if meaning is ANSWER])
def test_a_plain_answer_stays_what_it_is(error: Exception) -> None:
    """There is no decision to take."""
    assert translate(error, NODE) is error


@pytest.mark.parametrize(
    "error",
    [
        TransientError("x"),
        MasterMoved("x"),
        MasterNotReady("x"),
        MasterUnknown("x"),
        NotAcknowledged("x"),
        CircuitOpen("x"),
        Backpressure("x"),
        PermanentError("x"),
        AccessRefused("x"),
        UnknownMasterName("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_carries_its_decision_is_not_translated_again(error: Exception) -> None:
    """Its own type says it better."""
    assert translate(error, NODE) is error


def test_only_a_full_redis_and_plain_answers_leave_the_socket_usable() -> None:
    """After the others it may lead to the wrong node, or have answers in it that nobody waits for any more."""
    assert {meaning for meaning in ErrorKind if not drops_socket(meaning)} == {FULL, ANSWER}


def test_callers_can_tell_by_redis_pys_own_classes() -> None:
    """Code of RQ and redis-py that knows only their exceptions does the right thing with ours."""
    assert issubclass(TransientError, TRANSIENT)
    assert issubclass(Backpressure, ResponseError)
    assert not issubclass(PermanentError, (*TRANSIENT, ResponseError))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("NOPERM this user has no permissions to run the 'set' command", "ACL file"),
        ("this user has no permissions to access one of the keys used as arguments", "ACL file"),
        (NOPERM_IN_SCRIPT, "ACL file"),
        ("ACL failure in script: User app has no access", "ACL file"),
        ("DENIED Redis is running in protected mode", "private address"),
        (NO_PASSWORD_SET, "clear the password setting"),
        ("Client sent AUTH, but no password is set", "clear the password setting"),
        (
            "WRONGPASS invalid username-password pair or user is disabled.",
            "user name and the password settings",
        ),
        ("NOAUTH Authentication required.", "user name and the password settings"),
    ],
)
def test_a_refusal_tells_what_to_do(text: str, advice: str) -> None:
    """It depends on what was refused."""
    assert advice in remedy(text)


@pytest.mark.parametrize("text", [text for text, meaning in ANSWERS if meaning is REFUSED])
def test_a_permanent_error_ends_with_its_remedy(text: str) -> None:
    """An operator reads it in the log and knows what to do."""
    error = BaseParser.parse_error(text)
    assert str(translate(error, NODE)).endswith(f". {remedy(str(error))}")
