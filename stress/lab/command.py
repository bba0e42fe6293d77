"""What the commands of the lab do, once their options are known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from typing import Any, TypeVar

from stress.compare import drift_table
from stress.core.child import Child, Crash, Failure, Hang, Report
from stress.environment import Environment
from stress.exits import Exit
from stress.lab import compare as comparing
from stress.lab import recording
from stress.lab.bits import packed
from stress.lab.files import LabError, read, same_machine, save
from stress.lab.loss import Contention, Lost, contentions, loss_table, losses
from stress.lab.notice import Notice
from stress.lab.orders import Orders, Row, measure, orders_table
from stress.lab.policies import POLICIES
from stress.lab.record_file import log_of, setup_of
from stress.lab.sources import SOURCES, Cell, Study, cells
from stress.lab.sources_table import costs_table, doubts, table
from stress.lab.spread import Ended, Spreading, spread_table, spreads
from stress.lab.training import LEAVES, Setup, Trained
from stress.report.terminal import Table, complain, progress, say, show
from stress.run import introduce

__all__ = [
    "compare",
    "guarded",
    "in_child",
    "loss",
    "orders",
    "record",
    "replay",
    "report",
    "sources",
    "spread",
]

LIMIT = 300.0  # seconds in which a child gets nothing done
CODES = {Hang: Exit.HANG, Crash: Exit.CRASH, Failure: Exit.HARNESS}

Value = TypeVar("Value")
Command = Callable[[argparse.Namespace], Exit]


def guarded(command: Command) -> Command:
    """The same, with files that cannot be used as wrong usage, and hangs and crashes as such."""

    def run(args: argparse.Namespace) -> Exit:
        try:
            return command(args)
        except LabError as error:
            complain(str(error))
            return Exit.USAGE
        except (Hang, Crash, Failure) as error:
            complain(f"{error}\n{error.stacks}")
            return CODES[type(error)]

    return run


def in_child(
    function: Callable[[Any, Report], Value], argument: Any, what: str, total: int = 1
) -> Value:
    """Call it in a process of its own, so that a hang or a crash can be told; show how it goes."""
    with Child() as child, progress(total) as shown:
        shown.begin(what)
        return child.call(function, argument, LIMIT, lambda said: shown.update(*said))


def orders(args: argparse.Namespace) -> Exit:
    """All orders of a few contributions."""
    environment = introduce()
    what = Orders(args.n, args.dtypes, args.elements, args.samples, args.seed)
    rows = in_child(measured, what, "orders")
    show(orders_table(rows))
    broken = [row for row in rows if row.broken]
    for row in broken:
        complain(f"{row.policy} promises one pattern, and has {row.patterns} from {row.orders} "
                 f"orders of {row.count} contributions ({row.dtype})")  # fmt: skip
    code = Exit.FORBIDDEN if broken else Exit.PASS
    save(args.json, "orders", environment, asdict(what), code,
         rows=[figures(row) for row in rows], samples=[raw(row) for row in rows])  # fmt: skip
    return code


RAW = ("times", "which", "errors")
KEY = ("policy", "dtype", "count")


def figures(row: Row) -> dict[str, Any]:
    """A row without its raw samples."""
    return {name: value for name, value in asdict(row).items() if name not in RAW}


def raw(row: Row) -> dict[str, Any]:
    """The raw samples of a row."""
    return {name: value for name, value in asdict(row).items() if name in (*KEY, *RAW)}


def measured(what: Orders, report: Report) -> list[Row]:
    """The child's part."""
    total = len(what.dtypes) * len(what.counts) * len(POLICIES)
    return list(measure(what, notice=steps(report, total)))


def sources(args: argparse.Namespace) -> Exit:
    """Sources of variation, one at a time."""
    chosen = [source for source in SOURCES if args.test.search(source.name)]
    if not chosen:
        names = ", ".join(source.name for source in SOURCES)
        complain(f"no source matches -t {args.test.pattern!r}; there are: {names}")
        return Exit.NOTHING
    environment = introduce()
    study = Study(args.mode, args.runs, args.processes, args.workers, args.seed)
    found = in_child(studied, (study, [source.name for source in chosen]), "sources")
    doubtful = doubts(found, chosen)
    show(table(found, doubtful))
    if costs := costs_table(found):
        show(costs)
    say("\n*: the same bits are promised, whatever the setting of the source")
    for name, why in doubtful.items():
        say(f"INCONCLUSIVE: {name} may not have been on: {why}")
    broken = [cell for cell in found if cell.broken]
    for cell in broken:
        complain(f"{cell.source}, {cell.mode}: one result is promised, there are {cell.patterns}")
    code = Exit.FORBIDDEN if broken else Exit.PASS
    save(args.json, "sources", environment, asdict(study), code,
         rows=[summary(cell) for cell in found], doubts=doubtful,
         samples=[asdict(cell) for cell in found])  # fmt: skip
    return code


def summary(cell: Cell) -> dict[str, Any]:
    """A cell without its samples."""
    return {
        "source": cell.source, "mode": cell.mode, "promised": cell.promised,
        "results": cell.patterns, "runs": len(cell.samples), "settings": cell.settings,
    }  # fmt: skip


def studied(task: tuple[Study, list[str]], report: Report) -> list[Cell]:
    """The child's part."""
    study, names = task
    chosen = [source for source in SOURCES if source.name in names]
    share = {name: index / len(names) for index, name in enumerate(names)}
    return list(cells(study, chosen, lambda name, note: report((share[name], f"{name}, {note}"))))


def record(args: argparse.Namespace) -> Exit:
    """A concurrent training, and the order of its additions."""
    environment = introduce()
    setup = Setup(
        "locked", args.threads, args.steps, args.contributions, args.batch_size, seed=args.seed
    )
    trained, log = in_child(recorded, setup, "record")
    told = Table("Recorded", ("figure", "value"), facts(setup, trained, log),
                 frozenset({"figure", "value"}))  # fmt: skip
    show(told)
    save(args.file, "record", environment, asdict(setup), Exit.PASS,
         hash=trained.hash, leaves=list(LEAVES), arrivals=log, digests=trained.digests,
         parameters=[packed(array) for array in trained.parameters])  # fmt: skip
    say(f"\n`python -m stress lab replay {args.file}` trains to the same bits, with any --threads")
    return Exit.PASS


def facts(setup: Setup, trained: Trained, log: recording.Log) -> list[tuple[str, str]]:
    """What a record holds, in words."""
    in_order = tuple(range(setup.contributions))
    reordered = sum(any(order != in_order for order in orders) for orders in log)
    uneven = sum(len(set(orders)) > 1 for orders in log)
    return [
        ("hash of the parameters", trained.hash),
        ("steps", f"{setup.steps}, of {setup.contributions} contributions to {len(LEAVES)} leaves"),
        ("threads", str(setup.workers)),
        ("steps that are out of order", f"{reordered}"),
        ("steps whose leaves differ in order", f"{uneven}"),
    ]


def recorded(setup: Setup, report: Report) -> tuple[Trained, recording.Log]:
    """The child's part."""
    return recording.record(setup, lambda step: report((step / setup.steps, f"step {step}")))


def replay(args: argparse.Namespace) -> Exit:
    """A recorded training again."""
    found = read(args.file, "record")
    setup, log = setup_of(found), log_of(found)
    environment = introduce()
    again = replace(setup, workers=args.threads or setup.workers, shuffle=args.shuffle)
    trained = in_child(replayed, (again, log), "replay")
    difference = recording.first_difference(found["digests"], trained.digests)
    same = difference is None and trained.hash == found["hash"]
    if same:
        say(f"\nthe same bits: {trained.hash}, {again.workers} thread(s), "
            f"recorded with {setup.workers}")  # fmt: skip
    else:
        where = difference or "the parameters: all gradients are the same"
        complain(f"other bits: {found['hash']} there, {trained.hash} here; first: {where}")
        machines(found["environment"], environment)
    code = Exit.PASS if same else Exit.FORBIDDEN
    save(args.json, "replay", environment, asdict(again), code,
         hash=trained.hash, leaves=list(LEAVES), arrivals=log, digests=trained.digests,
         parameters=[packed(array) for array in trained.parameters])  # fmt: skip
    return code


def machines(one: dict[str, Any], environment: Environment) -> None:
    """Say in what two machines differ: other libraries may round otherwise."""
    for fact, there, here in same_machine(one, environment.as_dict()):
        print(f"  {fact}: {there} there, {here} here", file=sys.stderr)


def replayed(task: tuple[Setup, recording.Log], report: Report) -> Trained:
    """The child's part."""
    setup, log = task
    return recording.replay(setup, log, lambda step: report((step / setup.steps, f"step {step}")))


def loss(args: argparse.Namespace) -> Exit:
    """What racy loses."""
    environment = introduce()
    what = contentions(args.mode, args.threads)
    found = in_child(lost, (what, args.seconds), "loss")
    show(loss_table(found))
    settings = {"mode": args.mode, "threads": args.threads, "seconds": args.seconds}
    broken = args.mode != "racy" and any(each.rate for each in found)
    code = Exit.FORBIDDEN if broken else Exit.PASS
    if broken:
        complain(f"{args.mode} loses nothing, it is promised")
    save(args.json, "loss", environment, settings, code,
         samples=[asdict(each) for each in found])  # fmt: skip
    return code


def lost(task: tuple[list[Contention], float], report: Report) -> list[Lost]:
    """The child's part."""
    what, seconds = task
    return list(losses(what, seconds, told(report)))


def told(report: Report) -> Notice:
    """What the child tells of how far it is."""
    return lambda fraction, note: report((fraction, note))


def steps(report: Report, total: int) -> Callable[[str], None]:
    """What tells of the begin of each of so many pieces of work."""
    begun = count()
    return lambda note: report((next(begun) / total, note))


def spread(args: argparse.Namespace) -> Exit:
    """Seeds and repeats."""
    environment = introduce()
    what = Spreading(seeds=args.seeds, repeats=args.repeats, threads=args.threads,
                     epochs=args.epochs)  # fmt: skip
    found = in_child(ended, what, "spread")
    show(spread_table(found))
    save(args.json, "spread", environment, asdict(what), Exit.PASS,
         samples=[asdict(each) for each in found])  # fmt: skip
    return Exit.PASS


def ended(what: Spreading, report: Report) -> list[Ended]:
    """The child's part."""
    return list(spreads(what, told(report)))


def compare(args: argparse.Namespace) -> Exit:
    """Two results of the same command."""
    one, other = read(args.one), read(args.other)
    pairs = comparing.pairs(one, other)
    if not pairs:
        complain(f"{args.one} and {args.other} have no row in common")
        return Exit.NOTHING
    drifts = comparing.drifts(one, other, pairs)
    show(drift_table(drifts, len(pairs)))
    show(comparing.machine_table(one, other))
    return Exit.FORBIDDEN if drifts else Exit.PASS


def report(args: argparse.Namespace) -> Exit:
    """Plots of all results in a folder."""
    from stress.lab import plots

    drawn, skipped = plots.draw(args.folder)
    for why in skipped:
        print(f"skipped: {why}", file=sys.stderr)
    if not drawn:
        complain(f"{args.folder}: no result with samples; "
                 "`python -m stress lab ... --json` makes one")  # fmt: skip
        return Exit.NOTHING
    for path in drawn:
        say(str(path))
    return Exit.PASS
