"""The commands that run scenarios: the main job (``check``) and ``run``."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from engine.hogwild import TrainResult
from stress import data
from stress.core.child import Child, Report, ask_for_gil
from stress.core.job import Job, survived
from stress.core.result import Result, Verdict, in_order
from stress.core.source import SHIPPED, load
from stress.core.tactics import PLAIN, Tactics
from stress.environment import Environment, probe
from stress.exits import Exit, exit_code
from stress.explore.campaign import explore_all, targets_of
from stress.explore.checkpoint import Checkpoint
from stress.explore.explore import Plan
from stress.explore.search import Settings
from stress.explore.work import Target
from stress.profiles import LIMIT, PROFILES, Pace, Profile
from stress.report import tables, view
from stress.report.document import SCHEMA, document, ran, trained, write
from stress.report.html import MISSING, drawable, render
from stress.report.junit import junit, title
from stress.report.stream import Stream
from stress.report.terminal import Progress, complain, progress, say, show
from stress.suite import Choice, plan, run_all
from stress.train import MODES as TRAINING_MODES
from stress.train import Training, follow, judge, unjudged

__all__ = ["check", "introduce", "run", "verdicts"]

STACK_LINES = 30
DUMPED = "(most recent call first)"
PLUMBING = re.compile(
    r'File ".*(stress.core.\w+\.py|multiprocessing.\w+\.py)"|'
    r'threading\.py", line \d+ in (run|_bootstrap)|File "<string>"|^Extension modules'
)
BUSY = 1.5  # load for each core from which on others are in the way
LONGEST = 1.0  # seconds of a configuration in a round of --forever
START = 60.0  # seconds that the first process may take to start
CHECK = 48.0  # seconds of the main job: with its start and its end it stays under a minute


@dataclass(slots=True)
class Record:
    """What a run has come to so far. Externally synchronised.

    Of every configuration it keeps the last result, or the last that failed: a run may go on for
    days.
    """

    stream: Stream
    results: dict[str, Result] = field(default_factory=dict)
    trained: list[TrainResult] = field(default_factory=list)

    def start(self, job: Job) -> None:
        """A job begins."""
        self.stream.write("start", name=job.scenario, params=dump(job.params),
                          tactics=dump(job.tactics), fork=job.fork)  # fmt: skip

    def end(self, result: Result) -> None:
        """A run has ended."""
        self.stream.write("result", **ran(result))
        before = self.results.get(title(result))
        if before is None or result.failed or (result.trials and not before.failed):
            self.results[title(result)] = result

    def learnt(self, result: TrainResult) -> None:
        """A training run has ended."""
        self.stream.write("training", **trained(result))
        self.trained.append(result)


def dump(values: Any) -> dict[str, Any]:
    """The fields of a flat dataclass."""
    return {name: getattr(values, name) for name in values.__slots__}


def check(args: argparse.Namespace) -> Exit:
    """The main job: train the digits and run every scenario, in each mode; one verdict table."""
    environment = introduce()
    profile = PROFILES["quick"]
    choice = Choice(
        threads=(args.threads,), seed=args.seed, edge=environment.gil_release_size, profile=profile
    )
    jobs = plan(choice)
    trainings = [
        Training(mode=mode, threads=args.threads, seed=args.seed) for mode in TRAINING_MODES
    ]
    say(f"digits: {data.load('digits').split}; network 64-128-10, {args.threads} threads")

    def work(record: Record) -> None:
        began = monotonic()
        with Child() as child, progress(len(trainings) + len(jobs)) as shown:
            for training in trainings:
                record.end(promise(training, child, shown, record))
            rest = replace(profile, budget=CHECK - (monotonic() - began))
            pace = paced(jobs, args.seconds, None, rest)
            run_all(jobs, pace, args.seed, shown, starts=record.start, ends=record.end)

    return recorded(args, environment, jobs, work, interesting=False)


def promise(training: Training, child: Child, shown: Progress, record: Record) -> Result:
    """Train, keep the figures in ``record``, and judge them."""
    shown.begin(f"train {training.data} {training.mode}")

    def call() -> Result:
        result = follow(training, child, shown.update)
        record.learnt(result)
        return judge(training, result)

    return survived(call, unjudged(training))


def run(args: argparse.Namespace) -> Exit:
    """Run the scenarios that were asked for."""
    environment = introduce(args.gil)
    choice = chosen(args, environment)
    jobs, targets = plan(choice), explorable(choice)
    if not jobs:
        complain(f"nothing in {args.scenarios} matches -t {args.test.pattern!r} in mode "
                 f"{','.join(args.mode)}, profile {args.profile or 'default'}; "
                 "`python -m stress list` shows what there is")  # fmt: skip
        return Exit.NOTHING

    def work(record: Record) -> None:
        began = monotonic()
        for again, pace in rounds(choice, jobs, args):
            with progress(len(jobs)) as shown:
                results = run_all(plan(again), pace, again.seed, shown, starts=record.start,
                                  ends=record.end, stop=args.exitfirst)  # fmt: skip
            if args.exitfirst and any(result.failed for result in results):
                say(f"-x: stopped at the first failure; {len(results)} of {len(jobs)} were run")
                return
        if targets:
            remaining = time_for_all(choice.profile, args) - (monotonic() - began)
            explore(targets, choice, args, remaining, record)

    return recorded(args, environment, jobs, work, interesting=True)


def explorable(choice: Choice) -> list[Target]:
    """The configurations to explore as well; none in most profiles."""
    if not choice.profile.exploring:
        return []
    found = [item for item in load(choice.source) if choice.pattern.search(item.name)]
    return [
        target
        for threads in choice.threads
        for target in targets_of(choice.source, found, choice.modes, threads, choice.seed)
    ]


def time_for_all(profile: Profile, args: argparse.Namespace) -> float:
    """Seconds for real threads and for schedules in control together."""
    return args.budget or profile.budget + profile.exploring


def explore(
    targets: Sequence[Target],
    choice: Choice,
    args: argparse.Namespace,
    seconds: float,
    record: Record,
) -> None:
    """Explore the targets, in what is left of the time."""
    bound = choice.profile.preemptions
    record.stream.write("explore", preemptions=bound, planned=len(targets))
    say(f"\nexploring {len(targets)} configurations: schedules of up to {bound} preemptions")
    schedules = (args.output or Path()) / "stress-schedules"
    settings = Settings(bound=bound, seed=choice.seed)
    jobs = min(4, os.cpu_count() or 1)
    for explored in explore_all(
        targets, Plan(settings, False, schedules), Checkpoint(None, settings), seconds, jobs
    ):
        record.end(explored.result)


def chosen(args: argparse.Namespace, environment: Environment) -> Choice:
    """What the options ask for. Scenarios that are named run whole, unless a profile is, too."""
    profile = PROFILES[args.profile or "default"]
    if args.test.pattern and args.profile is None:
        profile = replace(profile, bars=frozenset())
    tactics = [
        Tactics(args.sync, args.chaos, interval, args.gil) for interval in args.switch_interval
    ]
    return Choice(
        args.scenarios, args.test, args.mode, args.threads, args.sizes, tactics, args.seed,
        environment.gil_release_size, profile, args.forks or profile.forks,
    )  # fmt: skip


def rounds(
    choice: Choice, jobs: Sequence[Job], args: argparse.Namespace
) -> Iterator[tuple[Choice, Pace]]:
    """The choice, and the pace to run it at: once, or with --forever again and again.

    Each round has the seed after the last one's, and all together have the --budget.
    """
    budget = args.budget and args.budget * choice.profile.share
    if not args.forever:
        yield choice, paced(jobs, args.seconds, budget, choice.profile, args.limit)
        return
    ends = monotonic() + (budget or inf)
    seconds = args.seconds or min(choice.profile.seconds, LONGEST)
    for number in count():
        remaining = ends - monotonic()
        if remaining <= 0:
            return
        pace = Pace(len(jobs), remaining, seconds, args.limit)
        yield replace(choice, seed=choice.seed + number), pace


def paced(
    jobs: Sequence[Job],
    seconds: float | None,
    budget: float | None,
    profile: Profile,
    limit: float = LIMIT,
) -> Pace:
    """The pace of one round; --seconds and --budget count for more than the profile."""
    if seconds:
        return Pace(len(jobs), budget or inf, seconds, limit)
    if budget:
        return Pace(len(jobs), budget, limit=limit)
    return Pace(len(jobs), profile.budget, profile.seconds, limit)


def introduce(gil: str = PLAIN.gil) -> Environment:
    """Print what the run runs on, as a process sees it that has the GIL or not, as asked for."""
    ask_for_gil(gil)
    with Child() as child:  # the first process takes longer to start than those after it
        environment = child.call(look_around, None, START)
    show(tables.environment_table(environment))
    return environment


def look_around(_: None, report: Report) -> Environment:
    """The environment; called in a child."""
    return probe()


def recorded(
    args: argparse.Namespace,
    environment: Environment,
    jobs: Sequence[Job],
    work: Callable[[Record], None],
    *,
    interesting: bool,
) -> Exit:
    """Do the work, print its verdicts, and write its files, also where Ctrl-C ended it early."""
    began, interrupted = monotonic(), False
    scenarios = source_of(args)
    with stream_to(args.output) as stream:
        stream.write("begin", schema=SCHEMA, command=args.command, scenarios=scenarios,
                     seed=args.seed, environment=environment.as_dict(),
                     planned=len(jobs))  # fmt: skip
        record = Record(stream)
        try:
            work(record)
        except KeyboardInterrupt:
            interrupted = True
            complain("interrupted; nothing is left running")
        results = in_order(record.results.values())
        code = verdicts(results, args.fail_on, args.seed, scenarios, interesting=interesting,
                        interrupted=interrupted)  # fmt: skip
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
            page.write_text(drawn, encoding="utf-8")


def source_of(args: argparse.Namespace) -> str:
    """Where the scenarios of a command are."""
    return str(getattr(args, "scenarios", SHIPPED))


def hint(results: Sequence[Result], cores: int) -> None:
    """Say so where evidence is missing because others use the machine as well."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    unclear = sum(result.verdict == Verdict.INCONCLUSIVE.value for result in results)
    if unclear and load > BUSY * cores:
        say(f"the machine is busy (load {load:.0f} on {cores} cores), so {unclear} runs saw too "
            "little: run again when it is idle, or with more --budget")  # fmt: skip


@contextmanager
def stream_to(folder: Path | None) -> Iterator[Stream]:
    """Where the events of a run go."""
    if folder is None:
        yield Stream(None)
        return
    with open(folder / "results.jsonl", "w", encoding="utf-8") as file:
        yield Stream(file)


def verdicts(
    results: Sequence[Result],
    fail_on: Sequence[str],
    seed: int,
    scenarios: str,
    *,
    interesting: bool,
    interrupted: bool = False,
) -> Exit:
    """Print the verdicts, and the details of what is not as it should be; the exit code."""
    for table in tables.verdict_tables(results):
        show(table)
    say()
    for result in results:
        detail(result, scenarios, interesting=interesting)
    code = exit_code(results, fail_on)
    if interrupted and code is Exit.PASS:
        code = Exit.INTERRUPTED
    counted = Counter(result.verdict for result in results)
    tally = ", ".join(f"{counted[v.value]} {v.value}" for v in Verdict if counted[v.value])
    say(f"{tally or 'no results'}; seed {seed}; exit code {code:d}: {code.meaning}")
    return code


def detail(result: Result, scenarios: str, *, interesting: bool) -> None:
    """Print why a run did not pass; its outcomes, too, if it failed or, if wanted, saw a race."""
    where = f"{result.name} {result.params.mode}"
    fine = not result.failed
    if result.rows and (not fine or (interesting and result.interesting)):
        show(tables.outcome_table(result))
    if result.reason:
        say(f"{where} {result.params.size:,}: {result.verdict}: {result.reason}")
    if not fine or interesting or not result.number:
        for note in result.notes:
            say(f"{where}: {note}")
    for token in result.tokens:
        say(f"{where}: {view.replay(token, scenarios)}")
    if result.stacks:
        say(brief(result.stacks))


def brief(stacks: str) -> str:
    """The lines that say most, without those of our own: the reports have them all.

    A watchdog's dump has what ran last at its top, a traceback at its end.
    """
    lines = stacks.rstrip().splitlines()
    if DUMPED not in stacks:
        lines = lines[-STACK_LINES:]
    else:
        lines = [line for line in lines if not PLUMBING.search(line)][:STACK_LINES]
    return "\n".join(f"  {line}".rstrip() for line in lines)
