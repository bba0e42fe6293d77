"""The command line of the lab."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stress import arguments
from stress.lab import command
from stress.lab.orders import Orders
from stress.lab.sources import Study
from stress.lab.spread import Spreading
from stress.lab.training import MODES, Setup
from stress.options import add_json, add_seed

__all__ = ["add_lab"]

DESCRIPTION = """\
Which sources of variation remain when, and what does removing each cost?

A sum of floating point numbers depends on its order, and threads have none. The lab forces orders,
switches sources of variation on one at a time, and records the order of a concurrent training so
that it can be had again.
"""

EXAMPLES = """\
examples:
  python -m stress lab orders                        how many sums do n contributions have?
  python -m stress lab orders --n 4 --dtypes float32 --elements 100000
  python -m stress lab sources                       which modes keep the bits, while what varies?
  python -m stress lab sources -t processes --processes 100
  python -m stress lab record run.json --threads 4   a concurrent training, and its order
  python -m stress lab replay run.json --threads 1   the same bits again; exit code 1 if not
  python -m stress lab compare run.json other.json   what drifted, and from which step on
  python -m stress lab loss                          what racy loses: size, leaves, rows, threads
  python -m stress lab spread --seeds 30             how far do seeds and repeats spread?
  python -m stress lab report results                plots of every result in a folder

All that measure take --json FILE: environment, settings, and raw samples.
"""


def add_lab(to: Any) -> None:
    """The lab."""
    it = to.add_parser(
        "lab", help="determinism: which sources of variation remain when, and what they cost",
        description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = it.add_subparsers(dest="experiment", metavar="EXPERIMENT", title="experiments",
                                 required=True)  # fmt: skip
    for add in (
        add_orders,
        add_sources,
        add_record,
        add_replay,
        add_compare,
        add_loss,
        add_spread,
        add_report,
    ):
        add(commands)


def counts(text: str) -> tuple[int, ...]:
    """Numbers of contributions, such as 2,3,4."""
    found = tuple(arguments.natural(part) for part in text.split(","))
    if min(found) < 2 or max(found) > 64:
        raise argparse.ArgumentTypeError(f"must be from 2 (one has no order) to 64, got {text}")
    return found


def several(text: str) -> int:
    """How often something is to be done, to see whether the same comes of it."""
    value = arguments.natural(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be 2 or more (one has no other to be the same as), "
                                         f"got {text}")  # fmt: skip
    return value


def threads(text: str) -> tuple[int, ...]:
    """Numbers of threads, such as 1,2,4,8."""
    return tuple(arguments.natural(part) for part in text.split(","))


def dtypes(text: str) -> tuple[str, ...]:
    """float32, float64, or both."""
    found = tuple(text.split(","))
    if not {"float32", "float64"}.issuperset(found):
        raise argparse.ArgumentTypeError(f"must be float32 or float64 or both, got {text!r}")
    return found


def add_orders(to: Any) -> None:
    """Sums over their orders."""
    default = Orders()
    it = to.add_parser(
        "orders",
        help="sums of n contributions over all their orders, or a sample: patterns, errors, costs",
        description="Adds n contributions in every order (or --samples of them) with each policy, "
        "counts distinct results, measures the error against the exact sum, and what a "
        "contribution takes: CPU time, and memory beside the sum. arrival, ordered and "
        "reproducible are the engine's; the others are references.",
    )  # fmt: skip
    it.add_argument("--n", type=counts, default=default.counts, metavar="N[,N]",
                    help="contributions (default: 2,3,4,8)")  # fmt: skip
    it.add_argument("--dtypes", type=dtypes, default=default.dtypes, metavar="D[,D]",
                    help="float32, float64 (default: both)")  # fmt: skip
    numbers = (
        ("--elements", default.elements, "elements of a contribution"),
        ("--samples", default.samples, "orders at most; more than there are: all"),
    )
    add_numbers(it, numbers)
    add_seed(it)
    add_json(it)
    it.set_defaults(call=command.guarded(command.orders))


def add_numbers(
    it: argparse.ArgumentParser, numbers: Any, kind: Callable[[str], int] = arguments.natural
) -> None:
    """Options that are integers from 1 on, or of another ``kind``."""
    for name, default, text in numbers:
        it.add_argument(name, type=kind, default=default, metavar="N",
                        help=f"{text} (default: {default})")  # fmt: skip


def add_sources(to: Any) -> None:
    """One source at a time."""
    default = Study()
    it = to.add_parser(
        "sources",
        help="sources of variation, one at a time: which modes keep the bits of a training?",
        description="Trains a small network on the digits again and again, with one source of "
        "variation switched on, and counts distinct parameters at the end. A star marks what is "
        "promised to be one; exit code 1 where it is not. A source is INCONCLUSIVE where nothing "
        "shows that it was on: where its control, a mode that should vary, did not.",
    )  # fmt: skip
    it.add_argument(
        "-t", dest="test", type=arguments.pattern, default=re.compile(""), metavar="REGEX",
        help="sources whose name matches (default: all)",
    )  # fmt: skip
    it.add_argument("--mode", type=arguments.modes, default=MODES, metavar="M[,M]",
                    help=f"modes: {', '.join(MODES)} (default: all)")  # fmt: skip
    it.add_argument("--workers", type=threads, default=default.workers, metavar="N[,N]",
                    help="threads, for the source `workers` (default: 1,2,4,8)")  # fmt: skip
    numbers = (
        ("--runs", default.runs, "trainings of each source and mode, from 2 on"),
        ("--processes", default.processes, "processes, for the source `processes`, from 2 on"),
    )
    add_numbers(it, numbers, several)
    add_seed(it)
    add_json(it)
    it.set_defaults(call=command.guarded(command.sources))


def add_record(to: Any) -> None:
    """A training to keep."""
    default = Setup()
    it = to.add_parser(
        "record",
        help="train with threads in `locked`, and keep the order of additions to each leaf",
        description="Keeps, for each leaf and step, in which order contributions were added, and a "
        "digest of each sum. `replay` trains to the same bits again.",
    )  # fmt: skip
    it.add_argument("file", type=arguments.target, metavar="FILE", help="the record, JSON")
    numbers = (
        ("--threads", 2, "threads that train"),
        ("--steps", default.steps, "steps"),
        ("--contributions", default.contributions, "micro-batches a step"),
        ("--batch-size", default.batch, "examples of a micro-batch"),
    )
    add_numbers(it, numbers)
    add_seed(it)
    it.set_defaults(call=command.guarded(command.record))


def add_replay(to: Any) -> None:
    """The same again."""
    it = to.add_parser(
        "replay",
        help="train as recorded, with any number of threads: the same bits, or where they part",
        description="Contributions are computed by threads in any order and added in the recorded "
        "one. Exit code 1, with the first step and leaf that differ, if the bits are others.",
    )
    it.add_argument("file", type=Path, metavar="FILE", help="of `lab record`")
    it.add_argument("--threads", type=arguments.natural, metavar="N",
                    help="threads (default: as recorded)")  # fmt: skip
    it.add_argument("--shuffle", type=arguments.whole, metavar="K",
                    help="begin a step's contributions in an order drawn from seed K")  # fmt: skip
    add_json(it)
    it.set_defaults(call=command.guarded(command.replay))


def add_compare(to: Any) -> None:
    """Two results."""
    it = to.add_parser(
        "compare",
        help="two results of the lab: what drifted",
        description="Of two trainings (record, replay): the first step and leaf that differ, and "
        "how far the parameters are apart. Of orders: patterns and errors. Of sources: what was "
        "one result and is no longer, or is another one. Exit code 1 for drift.",
    )
    it.add_argument("one", type=Path, metavar="A", help="a result, JSON")
    it.add_argument("other", type=Path, metavar="B", help="another of the same kind")
    it.set_defaults(call=command.guarded(command.compare))


def add_loss(to: Any) -> None:
    """What racy loses."""
    it = to.add_parser(
        "loss", help="what racy loses against contention: size, leaves, share of rows, threads"
    )
    it.add_argument("--mode", choices=("racy", "locked", "ordered", "reproducible"),
                    default="racy", help="mode of .grad; the others are controls (default: racy)",
                    )  # fmt: skip
    it.add_argument("--threads", type=arguments.crews, default=(2, 4), metavar="N[,N]",
                    help="threads of the last sweep; the others have 2 (default: 2,4)")  # fmt: skip
    it.add_argument("--seconds", type=arguments.positive, default=1.0, metavar="S",
                    help="time for each figure (default: 1)")  # fmt: skip
    add_json(it)
    it.set_defaults(call=command.guarded(command.loss))


def add_spread(to: Any) -> None:
    """Seeds and repeats."""
    default = Spreading()
    it = to.add_parser(
        "spread", help="how far training on the digits spreads, over seeds and over repeats"
    )
    add_numbers(it, (
        ("--seeds", default.seeds, "seeds"),
        ("--threads", default.threads, "threads"),
        ("--epochs", default.epochs, "passes over the examples"),
    ))  # fmt: skip
    repeats = ("--repeats", default.repeats, "trainings with the same seed, from 2 on")
    add_numbers(it, [repeats], several)
    add_json(it)
    it.set_defaults(call=command.guarded(command.spread))


def add_report(to: Any) -> None:
    """Plots."""
    it = to.add_parser(
        "report", help="draw every result in a folder again, from its raw samples (extra: lab)"
    )
    it.add_argument("folder", type=Path, metavar="DIR", help="where the JSON files are; "
                    "plots are written beside them")  # fmt: skip
    it.set_defaults(call=command.guarded(command.report))
