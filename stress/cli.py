"""The command line: ``python -m stress``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from stress import arguments, bench, commands, options
from stress.core.source import SourceError
from stress.exits import Exit
from stress.explore import options as exploring
from stress.lab.options import add_lab
from stress.mutants.command import add_selftest
from stress.report.terminal import complain
from stress.soak.command import add_soak
from stress.train import MODES as TRAINING_MODES
from stress.train import Training

__all__ = ["main"]

DESCRIPTION = """\
Hunt for races in the gradient engine, measure what they cost, and train with them.

Without a command, `python -m stress` is the main job (`check`): it prints what it runs on, trains a
network on handwritten digits with several threads in every mode, runs every quick scenario in every
mode with real threads, and prints one table of verdicts. It takes less than a minute.

modes of a scenario (what happens when many backwards meet one parameter):
  racy          in place, no lock: may lose contributions, and the loss is measured
  locked        under the parameter's lock: every contribution counts exactly once
  ordered       locked, and in the order of tickets: the same bits for the same tickets
  reproducible  without rounding until the end: the same bits in any order
  functional    engine.grad: .grad is never touched

verdicts:
  PASS          the promise held, and there is evidence: enough samples, and threads that truly met
  FAIL          an outcome was seen that is forbidden, or that nobody declared
  INCONCLUSIVE  nothing wrong was seen, and too little was seen to tell; the reason is printed
  TIMEOUT / CRASH / ERROR   it hung / its process died / its own code, or the harness, went wrong
  SKIPPED       it does not apply here; the reason is printed

Each run has a process of its own, so one that hangs or crashes is told, and harms no other.
"""

EXAMPLES = """\
examples:
  python -m stress                                           the main job
  python -m stress run -t accumulate --mode racy --seconds 5     how much does racy lose here?
  python -m stress run --scenarios my_scenarios.py           your own training step (docs/stress.md)
  python -m stress run --profile quick -o results            for CI: JSON lines, summary, JUnit
  python -m stress explore accumulate.first                  every schedule instead of many samples
  python -m stress compare old/summary.json results/summary.json
  python -m stress train --data digits --threads 2 --mode racy --epochs 20
  python -m stress train --data my.csv --hidden 64,32 --lr 0.05  your own data, label last
  python -m stress soak --minutes 10                         faults on end: is anything lost?
  python -m stress lab sources                               which modes keep the bits, and when?
  python -m stress list                                      the scenarios
  python -m stress doctor                                    is this machine fit for it?

exit codes (the worst decides):
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with this program's exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how to get help."""
        self.print_usage(sys.stderr)
        hint = f"`{self.prog} --help` explains"
        self.exit(Exit.USAGE, f"{self.prog}: error: {message} ({hint})\n")


def parser() -> Parser:
    """The parser of all commands."""
    codes = "\n".join(f"  {code:d}  {code.meaning}" for code in Exit)
    top = Parser(
        prog="python -m stress",
        description=DESCRIPTION,
        epilog=EXAMPLES + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands_of = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (
        options.add_check, options.add_run, options.add_list, options.add_report,
        options.add_compare, exploring.add_explore, exploring.add_replay, exploring.add_minimise,
        add_selftest, add_soak, add_lab, add_train, add_doctor, add_bench,
    ):  # fmt: skip
        add(commands_of)
    return top


Commands = argparse._SubParsersAction


def add_train(to: Commands[Parser]) -> None:
    """Training."""
    default = Training()
    it = to.add_parser("train", help="train a network on the digits, or on data of yours")
    it.add_argument(
        "--data", default=default.data, metavar="NAME|PATH",
        help="digits; or an .npz with arrays x and y, or a .csv with the label last "
        "(default: digits)",
    )  # fmt: skip
    it.add_argument(
        "--mode", choices=TRAINING_MODES, default=default.mode,
        help="serial: one thread, the same bits every run; racy: Hogwild, no locks; locked: each "
        "parameter is written under its lock (default: racy)",
    )  # fmt: skip
    numbers = (
        ("--threads", arguments.natural, default.threads, "N", "threads that train"),
        ("--epochs", arguments.natural, default.epochs, "N", "passes over the data"),
        ("--batch-size", arguments.natural, default.batch_size, "N", "examples a step"),
        ("--lr", arguments.positive, default.lr, "X", "learning rate"),
    )
    for name, kind, value, metavar, text in numbers:
        it.add_argument(
            name, type=kind, default=value, metavar=metavar, help=f"{text} (default: {value})"
        )
    it.add_argument(
        "--hidden", type=arguments.hidden, default=default.hidden, metavar="N[,N]",
        help="widths of the hidden layers (default: 128)",
    )  # fmt: skip
    options.add_seed(it)
    options.add_json(it)
    it.set_defaults(call=commands.train)


def add_doctor(to: Commands[Parser]) -> None:
    """The machine."""
    it = to.add_parser("doctor", help="look for what spoils measurements on this machine")
    it.set_defaults(call=commands.diagnose)


def add_bench(to: Commands[Parser]) -> None:
    """The speed."""
    it = to.add_parser("bench", help="measure the engine's speed against its peers")
    bench.add_arguments(it)
    it.set_defaults(call=bench.main)


@contextmanager
def terminable() -> Iterator[None]:
    """For the block SIGTERM is what Ctrl-C is: children end, and files are written.

    Only the first: who sends it to a process often sends it to the group as well.
    """

    def stop(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` names, and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    wants_help = bool(words) and words[0] in ("-h", "--help")
    if not wants_help and (not words or words[0].startswith("-")):
        words = ["check", *words]  # no command is the main job, with its options
    args = parser().parse_args(words)
    try:
        with terminable():
            return int(args.call(args))
    except KeyboardInterrupt:
        complain("interrupted; nothing is left running")
        return Exit.INTERRUPTED
    except SourceError as error:
        complain(str(error))
        return Exit.USAGE
    except Exception as error:
        complain(f"the harness itself went wrong: {type(error).__name__}: {error}")
        return Exit.HARNESS
