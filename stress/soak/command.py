"""The command ``soak``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from stress import arguments
from stress.core.child import Child, Crash, Failure, Hang
from stress.core.result import Verdict
from stress.environment import probe
from stress.exits import Exit
from stress.report import tables
from stress.report.document import write
from stress.report.terminal import Table, progress, say, show
from stress.soak.memory import one_arena
from stress.soak.rounds import Settings, Soaked, soak

__all__ = ["add_soak", "main"]

HANG = 60.0  # seconds in which nobody gets anything done
SCHEMA = 1
CODES = {Hang: Exit.HANG, Crash: Exit.CRASH, Failure: Exit.HARNESS}


def add_soak(to: Any) -> None:
    """Faults for minutes on end."""
    it = to.add_parser(
        "soak",
        help="random faults from many threads, for minutes: nothing may be lost or left over",
        description="Random exceptions, cancellations, timeouts, hooks, nested backwards, failing "
        "observers and pool resizes, in ordered, reproducible and locked accumulation at once. "
        "Every two seconds all rest: each contribution of each backward that succeeded must be "
        "there once, and no thread, ticket or graph may be left. Memory must not grow.",
    )
    it.add_argument(
        "--minutes", type=arguments.positive, default=10.0, metavar="M",
        help="how long (default: 10)",
    )  # fmt: skip
    it.add_argument(
        "--threads", type=arguments.natural, default=8, metavar="N", help="threads (default: 8)"
    )
    it.add_argument(
        "--seed", type=arguments.whole, default=0, metavar="K",
        help="seed of what each thread does; not of when (default: 0)",
    )  # fmt: skip
    it.add_argument(
        "--json", type=arguments.target, metavar="FILE", help="also write all figures to FILE"
    )
    it.set_defaults(call=main)


def main(args: argparse.Namespace) -> Exit:
    """Soak, and print what came of it."""
    environment = probe()
    show(tables.environment_table(environment))
    settings = Settings(60.0 * args.minutes, args.threads, args.seed)
    try:
        with one_arena(), Child() as child, progress(1) as shown:
            shown.begin("soak")
            outcome = child.call(soak, settings, HANG, lambda said: shown.update(*said))
    except (Hang, Crash, Failure) as error:
        print(f"stress: error: {error}\n{error.stacks}", file=sys.stderr, flush=True)
        return CODES[type(error)]
    code = Exit.FORBIDDEN if outcome.verdict == Verdict.FAIL.value else Exit.PASS
    tell(outcome)
    say(f"{outcome.verdict}; seed {args.seed}; exit code {code:d}: {code.meaning}")
    if args.json:
        write(args.json, {
            "schema": SCHEMA, "command": "soak", "environment": environment.as_dict(),
            "settings": asdict(settings), "soak": asdict(outcome), "exit_code": int(code),
        })  # fmt: skip
    return code


def tell(outcome: Soaked) -> None:
    """Print the figures, and all that is wrong."""
    rows = [(name, f"{times:,}") for name, times in outcome.actions.items()]
    show(Table("What was done", ("action", "times"), rows, frozenset({"action"})))
    grows = outcome.slope.describe() if outcome.slope else "too short to say"
    held = f"{outcome.memory[-1][1]:.0f} MB" if outcome.memory else "nothing"
    facts = [
        ("rounds", f"{outcome.rounds:,} in {outcome.seconds:.0f} s"),
        ("backwards that succeeded", f"{outcome.backwards:,}"),
        ("contributions that they made", f"{outcome.contributions:,}"),
        ("graphs watched until freed", f"{outcome.nodes:,}"),
        ("memory held at the end", held),
        ("memory grows by", grows),
    ]
    show(Table("What came of it", ("figure", "value"), facts, frozenset({"figure", "value"})))
    for message in outcome.wrong:
        say(f"wrong: {message}")
    if outcome.reason:
        say(f"{outcome.verdict}: {outcome.reason}")
