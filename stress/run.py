"""The commands that run scenarios: the main job (``check``) and ``run``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from math import inf
from pathlib import Path
from time import monotonic

from stress import data
from stress.core.child import Child, Report, ask_for_gil
from stress.core.job import Job, survived
from stress.core.result import Result
from stress.core.source import load
from stress.core.tactics import PLAIN, Tactics
from stress.environment import Environment, probe
from stress.exits import Exit
from stress.explore.campaign import explore_all, targets_of
from stress.explore.checkpoint import Checkpoint
from stress.explore.explore import Plan
from stress.explore.search import Settings
from stress.explore.work import Target
from stress.profiles import LIMIT, PROFILES, Pace, Profile
from stress.record import Record, recorded
from stress.report import tables
from stress.report.terminal import Progress, complain, progress, say, show
from stress.suite import Choice, plan, run_all
from stress.train import MODES as TRAINING_MODES
from stress.train import Training, follow, judge, unjudged

__all__ = ["check", "introduce", "run"]

LONGEST = 1.0  # seconds of a configuration in a round of --forever
START = 60.0  # seconds that the first process may take to start
CHECK = 48.0  # seconds of the main job: with its start and its end it stays under a minute


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
    record.explore(bound, len(targets))
    say(f"\nexploring {len(targets)} configurations: schedules of up to {bound} preemptions")
    schedules = (args.output or Path()) / "stress-schedules"
    settings = Settings(bound=bound, seed=choice.seed)
    jobs = min(4, os.cpu_count() or 1)
    for explored in explore_all(
        targets, Plan(settings, False, schedules), Checkpoint(None, settings), seconds, jobs
    ):
        record.end(explored.result)
        if args.exitfirst and explored.result.failed:
            say("-x: stopped at the first failure; not all were explored")
            return


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
