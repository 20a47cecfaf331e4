"""All attacks, in the order in which they are run. To add one: a function in the module of its subject, and a line here."""

from __future__ import annotations

from tests.attack import (
    browsers,
    enumeration,
    fuzz,
    guessing,
    inside,
    mails,
    messages,
    pretenders,
    slow_clients,
)
from tests.attack.outcome import Attack, Outcome, Scale
from tests.attack.target import Target

SLOW_FOR_S = 5


def hold_connections(target: Target, scale: Scale) -> Outcome:
    """Hold connections that say little or nothing; an ordinary visitor asks for the first page meanwhile."""
    visited = []
    for attack in slow_clients.ATTACKS:
        with slow_clients.Attackers(attack, target.port):
            visited.append(slow_clients.visit(target.port, SLOW_FOR_S))
    unanswered = sum(each.unanswered for each in visited)
    waits_s = [wait_s for each in visited for wait_s in each.waited_s]
    return Outcome(
        f"every visitor is answered within {slow_clients.ANSWER_WITHIN_S:.0f} s",
        f"{len(waits_s)} answered, slowest {max(waits_s, default=0) * 1000:.0f} ms; {unanswered} not",
        bool(waits_s) and not unanswered,
    )


SLOW_CLIENTS = Attack("slow and silent clients", hold_connections)
ATTACKS = (
    Attack("guess a code over ever new verifications", guessing.guess_over_new_verifications),
    Attack("100 checks at once", guessing.check_in_parallel),
    Attack("use an approved code again", guessing.replay_an_approved_code),
    Attack("guess keys of the API", guessing.guess_api_keys),
    Attack("bomb one address", mails.bomb_one_address),
    Attack("keep somebody from verifying", mails.keep_the_owner_out),
    Attack("start and cancel until Redis is full", mails.fill_by_starting_and_canceling),
    Attack("mail injection", mails.inject_into_mails),
    Attack("header injection", messages.inject_headers),
    Attack("log injection", messages.forge_log_lines),
    Attack("request smuggling", messages.smuggle_requests),
    Attack("CSRF", browsers.forge_forms),
    Attack("clickjacking", browsers.frame_pages),
    Attack("open redirect", browsers.redirect_elsewhere),
    Attack("forged Host", pretenders.forge_the_host),
    Attack("forged client address", pretenders.forge_the_client),
    Attack("forged scheme and prefix", pretenders.forge_the_way),
    Attack("enumeration by answer", enumeration.enumerate_by_answer),
    Attack("enumeration by time", enumeration.enumerate_by_time),
    Attack("fuzz of all routes", fuzz.fuzz_all_routes),
    Attack("misuse of Redis users", inside.misuse_redis_users),
    Attack("weak settings", inside.start_with_weak_settings),
    SLOW_CLIENTS,
)
