"""The command line of what runs scenarios, lists them, and looks at results."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from stress import arguments, commands, review
from stress import run as running
from stress.core.scenario import MODES
from stress.core.source import SHIPPED
from stress.core.tactics import CHAOS, PLAIN, SYNC
from stress.exits import Exit
from stress.profiles import LEAST, LIMIT, PROFILES

__all__ = ["add_check", "add_compare", "add_json", "add_list", "add_report", "add_run", "add_seed"]

RUN_EXAMPLES = """\
examples:
  python -m stress run --scenarios my_scenarios.py          your own scenarios (docs/stress.md)
  python -m stress run --profile smoke                      ten seconds, before a commit
  python -m stress run --profile quick -o results           for CI: results/junit.xml
  python -m stress run -t accumulate --mode racy --threads 2,4 --sizes 500,501,1e6
  python -m stress run -t pool --chaos starve --budget 2m   threads held back where they meet
  python -m stress run --forever -x -o results              until something fails, or Ctrl-C

profiles:
"""


def add_check(to: Any) -> None:
    """The main job."""
    it = to.add_parser("check", help="the main job; the same as no command at all")
    it.add_argument(
        "--threads", type=arguments.racers, default=2, metavar="N",
        help="threads that race (default: 2)",
    )  # fmt: skip
    add_common(it)
    it.set_defaults(call=running.check)


def add_run(to: Any) -> None:
    """Chosen scenarios."""
    profiles = "\n".join(f"  {name:8} {it.meaning}" for name, it in PROFILES.items())
    it = to.add_parser(
        "run",
        help="run chosen scenarios, and show every outcome of those that saw a race",
        epilog=RUN_EXAMPLES + profiles,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(it)
    add_dimensions(it)
    add_time(it)
    add_tactics(it)
    it.add_argument(
        "-x", "--exitfirst", action="store_true", help="stop at the first run that fails"
    )
    add_common(it)
    it.set_defaults(call=running.run)


def add_choice(it: argparse.ArgumentParser) -> None:
    """The choice of scenarios."""
    it.add_argument(
        "-t", dest="test", type=arguments.pattern, default=re.compile(""), metavar="REGEX",
        help="scenarios whose name matches (default: all)",
    )  # fmt: skip
    it.add_argument(
        "--scenarios", default=SHIPPED, metavar="FILE",
        help="a .py file or a module with SCENARIOS of your own (default: those that ship)",
    )  # fmt: skip


def add_dimensions(it: argparse.ArgumentParser) -> None:
    """What scenarios are run on: every combination."""
    it.add_argument(
        "--mode", type=arguments.modes, default=MODES, metavar="M[,M]",
        help=f"modes to run: {', '.join(MODES)} (default: all)",
    )  # fmt: skip
    it.add_argument(
        "--threads", type=arguments.crews, default=(2,), metavar="N[,N]",
        help="threads that race (default: 2)",
    )  # fmt: skip
    it.add_argument(
        "--sizes", type=arguments.sizes, metavar="N[,N]",
        help="elements of the arrays, such as 1,500,501,1e6 (default: each scenario's own)",
    )  # fmt: skip
    it.add_argument(
        "--forks", type=arguments.natural, metavar="N",
        help="processes that run each configuration, one after the other (default: the profile's)",
    )  # fmt: skip


def add_time(it: argparse.ArgumentParser) -> None:
    """How long to run."""
    it.add_argument(
        "--profile", choices=PROFILES, help="how much to run, and for how long (default: default)"
    )
    it.add_argument(
        "--budget", type=arguments.duration, metavar="T",
        help="time for all together, such as 90s, 2m or 1h (default: the profile's)",
    )  # fmt: skip
    it.add_argument(
        "--limit", type=arguments.limit, default=LIMIT, metavar="T",
        help="a run without another trial for so long hangs: TIMEOUT, with the stacks of all "
        f"threads (at least {LEAST:g}s; default: {LIMIT:g}s)",
    )  # fmt: skip
    it.add_argument(
        "--forever", action="store_true",
        help="round after round, each with a new seed, until Ctrl-C or the end of --budget",
    )  # fmt: skip


def add_tactics(it: argparse.ArgumentParser) -> None:
    """How threads are brought to meet."""
    it.add_argument(
        "--sync", choices=SYNC, default=PLAIN.sync,
        help="how actors set off: spin and barrier together, free each by itself (default: auto: "
        "spin without the GIL where cores suffice, else barrier)",
    )  # fmt: skip
    it.add_argument(
        "--chaos", choices=CHAOS, default=PLAIN.chaos,
        help="at the points where threads meet: yield now and then, or starve some for "
        "milliseconds (default: off)",
    )  # fmt: skip
    it.add_argument(
        "--switch-interval", type=arguments.intervals, default=(PLAIN.switch_interval,),
        metavar="S[,S]", help="seconds that a thread may keep the GIL "
        f"(default: {PLAIN.switch_interval:g})",
    )  # fmt: skip
    add_gil(it)


def add_gil(it: argparse.ArgumentParser) -> None:
    """With the GIL or without it."""
    it.add_argument(
        "--gil", type=arguments.gil, default=PLAIN.gil, metavar="{auto,0,1}",
        help="run with the GIL (1) or without it (0), where the interpreter has the choice; a "
        "process that turns out otherwise proves nothing (default: auto: as the interpreter does)",
    )  # fmt: skip


def add_common(it: argparse.ArgumentParser) -> None:
    """What the commands that run scenarios have in common."""
    it.add_argument(
        "--seconds", type=arguments.positive, metavar="S",
        help="time for each configuration; more while evidence is missing (default: its share)",
    )  # fmt: skip
    add_fail_on(it)
    add_seed(it)
    it.add_argument(
        "-o", "--output", type=arguments.folder, metavar="DIR",
        help="write results.jsonl (as it happens), summary.json, junit.xml and, with the extra "
        "report, report.html to DIR",
    )  # fmt: skip
    add_json(it)
    add_html(it)


def add_fail_on(it: argparse.ArgumentParser) -> None:
    """What else counts as failure."""
    it.add_argument(
        "--fail-on", action="append", choices=("interesting", "inconclusive"), default=[],
        help="fail also where a race was seen that is allowed (exit code "
        f"{Exit.FORBIDDEN:d}), or where the evidence is missing ({Exit.INCONCLUSIVE:d})",
    )  # fmt: skip


def add_seed(it: argparse.ArgumentParser) -> None:
    """The seed."""
    it.add_argument(
        "--seed", type=arguments.whole, default=0, metavar="K",
        help="seed of all random numbers and of the order of the runs (default: 0)",
    )  # fmt: skip


def add_json(it: argparse.ArgumentParser) -> None:
    """A file for the figures."""
    it.add_argument(
        "--json", type=arguments.target, metavar="FILE", help="also write all figures to FILE"
    )


def add_html(it: argparse.ArgumentParser) -> None:
    """A page for a browser."""
    it.add_argument(
        "--html", type=arguments.page, metavar="FILE",
        help="also write a page for the browser to FILE: it needs nothing else (extra: report)",
    )  # fmt: skip


def add_list(to: Any) -> None:
    """The scenarios."""
    it = to.add_parser("list", help="list the scenarios")
    add_choice(it)
    it.add_argument("--tag", metavar="TAG", help="scenarios with this tag: quick or slow, say")
    it.add_argument(
        "--json", action="store_true", help="as JSON, with every outcome that is declared"
    )
    it.set_defaults(call=commands.list_scenarios)


def add_report(to: Any) -> None:
    """Results once more."""
    it = to.add_parser("report", help="show a run again from its results, without running")
    it.add_argument("results", type=Path, metavar="RESULTS", help="results.jsonl or summary.json")
    it.add_argument(
        "--junit", type=arguments.target, metavar="FILE", help="write JUnit XML to FILE"
    )
    add_html(it)
    add_fail_on(it)
    it.set_defaults(call=review.report)


def add_compare(to: Any) -> None:
    """Two runs."""
    it = to.add_parser("compare", help="say what has drifted between two runs")
    it.add_argument("old", type=Path, metavar="OLD", help="results.jsonl or summary.json")
    it.add_argument("new", type=Path, metavar="NEW", help="the same, of the later run")
    it.add_argument(
        "--tolerance", type=arguments.positive, default=0.3, metavar="X",
        help="how far each throughput may be off, as a fraction, before two count as different "
        "(default: 0.3)",
    )  # fmt: skip
    it.set_defaults(call=review.compare)
