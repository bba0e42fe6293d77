"""What a run has come to: kept as it happens, printed and written to its files at its end."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from engine.hogwild import TrainResult
from stress.core.job import Job
from stress.core.result import Result, in_order
from stress.core.source import SHIPPED
from stress.environment import Environment
from stress.exits import Exit, exit_code, worst
from stress.report.document import SCHEMA, document, ran, save, trained, write
from stress.report.html import MISSING, drawable, render
from stress.report.junit import junit
from stress.report.naming import keep
from stress.report.stream import Stream
from stress.report.terminal import complain, say
from stress.report.verdicts import hint, progress_of, verdicts

__all__ = ["Record", "recorded"]

STREAM = "results.jsonl"
WRITTEN = ("summary.json", "junit.xml", "report.html")  # at the end


@dataclass(slots=True)
class Record:
    """What a run has come to so far. Externally synchronised.

    A run may go on for days: of each configuration it keeps one result. ``planned``: how many
    configurations there are.
    """

    stream: Stream
    planned: int = 0
    results: dict[str, Result] = field(default_factory=dict)
    trained: list[TrainResult] = field(default_factory=list)

    def start(self, job: Job) -> None:
        """A job begins."""
        self.stream.write("start", name=job.scenario, params=dump(job.params),
                          tactics=dump(job.tactics), fork=job.fork)  # fmt: skip

    def end(self, result: Result) -> None:
        """A run has ended."""
        self.stream.write("result", **ran(result))
        keep(self.results, result)

    def explore(self, bound: int, targets: int) -> None:
        """From here on so many configurations are explored as well."""
        self.planned += targets
        self.stream.write("explore", preemptions=bound, planned=targets)

    def learnt(self, result: TrainResult) -> None:
        """A training run has ended."""
        self.stream.write("training", **trained(result))
        self.trained.append(result)


def dump(values: Any) -> dict[str, Any]:
    """The fields of a flat dataclass."""
    return {name: getattr(values, name) for name in values.__slots__}


def recorded(
    args: argparse.Namespace,
    environment: Environment,
    jobs: Sequence[Job],
    work: Callable[[Record], None],
    *,
    interesting: bool,
) -> Exit:
    """Do the work, print its verdicts, and write its files, also where Ctrl-C ended it early."""
    began, ended = monotonic(), Exit.PASS
    scenarios = source_of(args)
    with stream_to(args.output) as stream:
        stream.write("begin", schema=SCHEMA, command=args.command, scenarios=scenarios,
                     seed=args.seed, environment=environment.as_dict(),
                     planned=len(jobs))  # fmt: skip
        record = Record(stream, len(jobs))
        try:
            work(record)
        except KeyboardInterrupt:
            ended = Exit.INTERRUPTED
            complain("interrupted; nothing is left running")
        results = in_order(record.results.values())
        code = worst(ended, exit_code(results, args.fail_on))
        if stream.error is not None:
            complain(f"{args.output / STREAM} is not whole: {stream.error}")
            code = worst(code, Exit.HARNESS)
        verdicts(results, code, args.seed, scenarios, interesting=interesting)
        if ended is Exit.INTERRUPTED:
            say(progress_of(results, record.planned))
        hint(results, environment.cores)
        stream.write("end", exit_code=int(code), seconds=monotonic() - began)
    write_files(args, environment, results, record.trained, code)
    return code


def write_files(
    args: argparse.Namespace,
    environment: Environment,
    results: Sequence[Result],
    training: Sequence[TrainResult],
    code: Exit,
) -> None:
    """Write what was asked for; a folder gets the page as well, if it can be drawn."""
    scenarios, pages = source_of(args), [args.html] if args.html else []
    report = document(args.command, environment, args.seed, results, training, code, scenarios)
    if args.json:
        write(args.json, report)
    if args.output:
        write(args.output / "summary.json", report)
        junit(args.output / "junit.xml", results)
        names, missing = "results.jsonl, summary.json, junit.xml", f"\nno report.html: {MISSING}"
        if drawable():
            pages.append(args.output / "report.html")
            names, missing = f"{names}, report.html", ""
        say(f"written: {args.output}: {names}{missing}")
    if pages:
        drawn = render(results, environment, command=args.command, seed=args.seed, code=code,
                       scenarios=scenarios)  # fmt: skip
        for page in pages:
            save(page, drawn)


def source_of(args: argparse.Namespace) -> str:
    """Where the scenarios of a command are."""
    return str(getattr(args, "scenarios", SHIPPED))


@contextmanager
def stream_to(folder: Path | None) -> Iterator[Stream]:
    """Where the events of a run go. What the folder has of another run is removed first.

    So the stream of one that is still at it goes on in a file without a name, and mixes with none.
    """
    if folder is None:
        yield Stream(None)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in (STREAM, *WRITTEN):
        (folder / name).unlink(missing_ok=True)
    with open(folder / STREAM, "w", encoding="utf-8") as file:
        yield Stream(file)
