"""The command line of ``explore``, ``replay`` and ``minimise``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from stress import arguments
from stress.core.scenario import MODES
from stress.core.source import SHIPPED
from stress.exits import Exit
from stress.explore import command

__all__ = ["add_explore", "add_minimise", "add_replay"]


def folder(text: str) -> Path:
    """A folder that takes new files, made where there is none: said before anything runs."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        why = error.strerror or error
        raise arguments.Error(f"cannot write to {text}: {why}; name another folder") from None
    return path


def checkpoint(text: str) -> Path:
    """A file that can be written, and replaced by one that is written beside it."""
    path = arguments.target(text)
    folder(str(path.parent))
    return path


def add_explore(to: Any) -> None:
    """All schedules, or some."""
    it = to.add_parser(
        "explore", help="run scenarios under a scheduler in control, schedule by schedule"
    )
    it.add_argument("scenario", nargs="*", help="names of scenarios")
    add_source(it)
    it.add_argument("--all", action="store_true", help="all scenarios that can be controlled")
    it.add_argument(
        "--mode", type=arguments.modes, default=MODES, metavar="M[,M]",
        help=f"modes to explore: {', '.join(MODES)} (default: all)",
    )  # fmt: skip
    it.add_argument(
        "--strategy", choices=("dfs", "pct", "random"), default="dfs",
        help="dfs: every schedule, those of few preemptions first; pct: random priorities, with a "
        "bound on how likely a bug is missed; random: any thread, at every decision (default: dfs)",
    )  # fmt: skip
    numbers = (
        (
            "--preemptions",
            arguments.whole,
            None,
            "dfs: threads that are interrupted, at most (default: as the scenario says, mostly 2)",
        ),
        ("--depth", arguments.natural, None, "pct: depth of the bugs (default: 1 to 4 in turn)"),
        ("--schedules", arguments.natural, None, "so many at most (default: dfs all; else 1000)"),
        ("--threads", arguments.racers, 2, "threads that race"),
        ("--seed", arguments.whole, 0, "seed of random choices"),
        ("--jobs", arguments.natural, min(4, os.cpu_count() or 1), "processes that explore"),
    )
    for name, kind, value, text in numbers:
        given = "" if value is None else f" (default: {value})"
        it.add_argument(name, type=kind, default=value, metavar="N", help=text + given)
    add_budget(it, "time for all together (default: 10 s for each configuration)")
    it.add_argument(
        "--checkpoint",
        type=checkpoint,
        metavar="FILE",
        help="keep in FILE where it stands, and go on",
    )
    it.add_argument("--minimise", action="store_true", help="make what was found smaller")
    it.add_argument("--fail-on", action="append", choices=("interesting", "inconclusive"),
                    default=[], help="as for `run`")  # fmt: skip
    it.add_argument(
        "--json", type=arguments.target, metavar="FILE", help="also write all figures to FILE"
    )
    it.add_argument(
        "--html", type=arguments.page, metavar="FILE", help="also write a page for the browser"
    )
    it.set_defaults(call=command.run_explore)


def add_source(it: argparse.ArgumentParser) -> None:
    """Where the scenarios are."""
    it.add_argument(
        "--scenarios", default=SHIPPED, metavar="FILE",
        help="a .py file or a module with SCENARIOS of your own (default: those that ship)",
    )  # fmt: skip


def add_budget(it: argparse.ArgumentParser, text: str) -> None:
    """What limits a search, and where schedules go that are too long for a line."""
    it.add_argument("--budget", type=arguments.duration, metavar="T", help=text)
    it.add_argument(
        "--files", type=folder, default=Path("stress-schedules"), metavar="DIR",
        help="where schedules go that are too long for a token (default: stress-schedules)",
    )  # fmt: skip


def add_replay(to: Any) -> None:
    """One schedule again."""
    it = to.add_parser("replay", help="run one schedule again, by the token that was printed")
    it.add_argument("token", help="the token, or the file that has it")
    add_source(it)
    it.add_argument("--times", type=arguments.natural, default=1, metavar="N",
                    help="runs (default: 1)")  # fmt: skip
    it.add_argument("--expect", metavar="OUTCOME",
                    help=f"exit code {Exit.FORBIDDEN:d} unless every run comes to it")  # fmt: skip
    it.add_argument("--trace", action="store_true", help="show it, a column for each thread")
    it.add_argument("--pdb", action="store_true",
                    help="run it here, and stop in the debugger at the outcome")  # fmt: skip
    it.set_defaults(call=command.run_replay)


def add_minimise(to: Any) -> None:
    """One schedule, smaller."""
    it = to.add_parser("minimise", help="look for a smaller schedule that comes to the same")
    it.add_argument("token", help="the token, or the file that has it")
    add_source(it)
    add_budget(it, "time for the search (default: 10 s)")
    it.set_defaults(call=command.run_minimise)
