"""`python -m tests.attack`: attack a service as a deployment has it, on loopback, and print what holds.

Takes words of the names of attacks, where not all are wanted, and the seed of what is random, to repeat a run. Exits
with 1 where a bound is broken, with 2 where it can't be tried.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from redis import RedisError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sentinel import LocalOptions, LocalStartError, LocalTopology, RedisServerMissing, TopologyError
from tests.attack.catalogue import ATTACKS
from tests.attack.outcome import FULL, Attack, Outcome, Scale
from tests.attack.target import Target
from verifier.drill.rig.process import RigError


def _outcomes(target: Target, attacks: Sequence[Attack], scale: Scale) -> list[tuple[Attack, Outcome]]:
    found = []
    for attack in attacks:
        began_at = time.monotonic()
        found.append((attack, _outcome(target, attack, scale)))
        print(f"{attack.name}: {time.monotonic() - began_at:.0f} s", file=sys.stderr, flush=True)
    return found


def _outcome(target: Target, attack: Attack, scale: Scale) -> Outcome:
    try:
        return attack.run(target, scale)
    except (OSError, http.client.HTTPException, RedisError, LookupError, AssertionError) as error:
        # The service did not do what it does for everybody.
        return Outcome("the service goes on", f"{type(error).__name__}: {error}", holds=False)


def _table(found: Sequence[tuple[Attack, Outcome]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("attack", "bound", "measured", "verdict"):
        table.add_column(heading, no_wrap=heading == "verdict", overflow="fold")
    for attack, outcome in found:
        verdict = Text("holds") if outcome.holds else Text("BROKEN", style="bold red")
        table.add_row(Text(attack.name), Text(outcome.bound), Text(outcome.measured), verdict)
    return table


def _markdown(found: Sequence[tuple[Attack, Outcome]]) -> str:
    rows = [
        (attack.name, outcome.bound, outcome.measured, "holds" if outcome.holds else "**broken**")
        for attack, outcome in found
    ]
    lines = [("attack", "bound", "measured", "verdict"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def main() -> int:
    """Run the attacks that are wanted and print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("word", nargs="*", help="of an attack's name")
    parser.add_argument("--seed", type=int, help="as a run before printed it")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/attacks.md has it")
    arguments = parser.parse_args()
    attacks = [
        each for each in ATTACKS if not arguments.word or any(word in each.name for word in arguments.word)
    ]
    if not attacks:
        parser.error(f"No attack is called like that; there are: {', '.join(each.name for each in ATTACKS)}.")
    if shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        parser.error("There is no nginx here, which the proxy is made of: apt-get install nginx.")
    # An ordinary end, so that whatever was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            LocalTopology(LocalOptions(superuser=True)) as topology,
            Target(topology, Path(directory)) as target,
        ):
            found = _outcomes(target, attacks, replace(FULL, seed=arguments.seed))
    except (RedisServerMissing, LocalStartError, TopologyError, RigError) as error:
        print(error, file=sys.stderr)
        return 2
    console = Console() if sys.stdout.isatty() else Console(width=130)
    if arguments.markdown:
        print(_markdown(found), end="\n\n")
    else:
        console.print(_table(found))
    broken = [attack.name for attack, outcome in found if not outcome.holds]
    print(f"Broken: {', '.join(broken)}." if broken else f"All {len(found)} bounds hold.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
