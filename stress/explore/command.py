"""The commands ``explore``, ``replay`` and ``minimise``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from stress.core.child import Child, Crash, Failure, Hang
from stress.core.scenario import Scenario
from stress.core.source import SourceError, load
from stress.environment import probe
from stress.exits import Exit, exit_code
from stress.explore.campaign import explore_all, targets_of
from stress.explore.checkpoint import Checkpoint, CheckpointError
from stress.explore.debug import debugged
from stress.explore.explore import Explored, Plan
from stress.explore.search import LIMIT, Settings
from stress.explore.show import deadlock_table, interleaving, timeline
from stress.explore.token import Recorded, TokenError, fitting, read, write
from stress.explore.work import Replayed, Request, Target, repeat, shrink
from stress.report.document import document, save
from stress.report.document import write as write_report
from stress.report.html import render
from stress.report.tables import outcome_table
from stress.report.terminal import Table, complain, say, show
from stress.report.text import shown, trimmed
from stress.report.view import replay as replay_command

__all__ = ["run_explore", "run_minimise", "run_replay"]

SHARE = 10.0  # seconds for each configuration, where no budget is given
NUMBERED = 1_000  # schedules of a strategy that has no end of its own


def run_explore(args: argparse.Namespace) -> Exit:
    """Explore the scenarios that were asked for."""
    if wrong := idle(args):
        complain(wrong)
        return Exit.USAGE
    wanted = chosen(args)
    targets = targets_of(args.scenarios, wanted, args.mode, args.threads, args.seed)
    for words in unexplored(wanted, targets, args):
        (say if targets else complain)(words)
    if not targets:
        return Exit.NOTHING
    schedules = args.schedules or (None if args.strategy == "dfs" else NUMBERED)
    settings = Settings(args.strategy, args.preemptions, args.depth, args.seed, schedules)
    try:
        checkpoint = Checkpoint(args.checkpoint, settings, args.scenarios)
    except CheckpointError as error:
        complain(str(error))
        return Exit.USAGE
    plan, budget = Plan(settings, args.minimise, args.files), args.budget or SHARE * len(targets)
    found: list[Explored] = []
    interrupted = False
    try:
        found.extend(explore_all(targets, plan, checkpoint, budget, args.jobs))  # one by one
    except KeyboardInterrupt:
        interrupted = True
        complain("interrupted; nothing is left running")
    order = [(target.scenario, target.params) for target in targets]
    found.sort(key=lambda item: order.index((item.result.name, item.result.params)))
    return tell(args, found, len(targets) - len(found), interrupted=interrupted)


def idle(args: argparse.Namespace) -> str:
    """The option that the strategy has no use for; "" where there is none."""
    for option, strategy in (("preemptions", "dfs"), ("depth", "pct")):
        if getattr(args, option) is not None and args.strategy != strategy:
            return f"--{option} is for --strategy {strategy}, and this is {args.strategy}"
    return ""


def chosen(args: argparse.Namespace) -> list[Scenario]:
    """The scenarios that were asked for."""
    offered = load(args.scenarios)
    names = [scenario.name for scenario in offered]
    for name in args.scenario:
        if name not in names:
            raise SourceError(f"unknown scenario {name!r}: one of {', '.join(names)}")
    return [scenario for scenario in offered if args.all or scenario.name in args.scenario]


def unexplored(
    wanted: Sequence[Scenario], targets: Sequence[Target], args: argparse.Namespace
) -> Iterator[str]:
    """What keeps those that were asked for from being explored."""
    if not wanted:
        yield ("nothing to explore: `python -m stress list` shows the scenarios; give one, or "
               "--all")  # fmt: skip
    explored = {target.scenario for target in targets}
    for scenario in wanted:
        if scenario.name in explored or (args.all and targets):
            continue  # of all, those that can be
        if set(args.mode).isdisjoint(scenario.modes):
            yield (f"{scenario.name} has no mode {', '.join(args.mode)}: "
                   f"{', '.join(scenario.modes)}")  # fmt: skip
        else:
            some = "" if set(args.mode) >= set(scenario.modes) else f" in {', '.join(args.mode)}"
            yield (f"{scenario.name} is not explored{some}: it is about "
                   "what no scheduler controls, such as processes, clocks or its own threads; "
                   f"`python -m stress run -t {scenario.name}` runs it")  # fmt: skip


def tell(
    args: argparse.Namespace, found: Sequence[Explored], without: int, *, interrupted: bool
) -> Exit:
    """Print the verdicts, what was found, and how to see it again.

    ``without``: configurations that did not have to be run, unless it was interrupted.
    """
    show(explored_table(found))
    for explored in found:
        detail(explored, args.scenarios)
    results = [explored.result for explored in found]
    code = exit_code(results, args.fail_on)
    if interrupted and code is Exit.PASS:
        code = Exit.INTERRUPTED
    total = sum(result.samples for result in results)
    say(f"\n{summary(found, 0 if interrupted else without)}")
    if not args.checkpoint and any(item.left and not item.result.failed for item in found):
        say("with --checkpoint FILE the same command goes on later where it was stopped")
    say(f"{total:,} schedules, each run twice; {args.strategy}, seed {args.seed}; "
        f"exit code {code:d}: {code.meaning}")  # fmt: skip
    if args.json:
        report = document(args.command, probe(), args.seed, results, [], code, args.scenarios)
        write_report(args.json, {**report, "explored": [described(item) for item in found]})
    if args.html:
        page = render(results, probe(), command=args.command, seed=args.seed, code=code,
                      scenarios=args.scenarios)  # fmt: skip
        save(args.html, page)
    return code


def summary(found: Sequence[Explored], spared: int) -> str:
    """How many configurations came to what, and what is sure of those that came to no end."""
    verdicts = Counter(item.result.verdict for item in found)
    words = [f"{len(found)} configurations"]
    words += [f"{times} {verdict}" for verdict, times in verdicts.most_common()]
    parts = Counter(item.part for item in found)
    words += [
        f"{times} with {part} of the schedules"
        if part in ("all", "some")
        else f"{times} with all of {part} preemptions"
        for part, times in parts.most_common()
    ]
    if spared:
        words.append(f"{spared} not run again in a smaller size, which makes no difference there")
    return "; ".join(words)


def explored_table(explored: Sequence[Explored]) -> Table:
    """A row for each configuration."""
    rows = [
        (
            item.result.name, item.result.params.mode, str(item.result.params.size),
            item.result.verdict, f"{item.result.samples:,}", str(item.distinct),
            item.part, f"{item.result.seconds:.1f}",
        )
        for item in explored
    ]  # fmt: skip
    columns = ("scenario", "mode", "size", "verdict", "schedules", "outcomes", "of the bound", "s")
    words = frozenset({"scenario", "mode", "verdict", "of the bound"})
    return Table("explored", columns, rows, words)


def detail(explored: Explored, source: str) -> None:
    """Print what is worth telling of one configuration."""
    result = shown(explored.result)
    where = f"{result.name} {result.params.mode} size {result.params.size}"
    if result.reason:
        say(f"\n{where}: {result.verdict}: {result.reason}")
    if result.verdict == "FAIL":
        show(outcome_table(result))
    for finding in explored.findings:
        say(f"{where}: {finding.words}\n  {replay_command(finding.token, source)}")
        if finding.replayed.schedule.table:
            show(deadlock_table(finding.replayed.schedule))
        elif finding.note:
            say(f"  {trimmed(finding.note)}")
    if result.stacks:
        say(result.stacks)


def described(explored: Explored) -> dict[str, Any]:
    """One configuration for a JSON file."""
    findings = [
        {
            "outcome": f.key, "class": f.expect, "token": f.token, "schedule": f.number,
            "reproduced": f.reproduced, "minimised": f.smaller,
            "timeline": timeline(f.replayed.schedule), "blocked": f.replayed.schedule.table,
        }
        for f in explored.findings
    ]  # fmt: skip
    return {
        "scenario": explored.result.name, "params": asdict(explored.result.params),
        "findings": findings, "distinct": explored.distinct,
        "exhaustive": explored.exhaustive, "preemptions_done": explored.done,
        "left": explored.left,
    }  # fmt: skip


# -- one schedule ----------------------------------------------------------------------------------


def find(recorded: Recorded, source: str) -> tuple[Scenario, Target]:
    """The scenario of a token; raises ``TokenError`` where there is none that it fits."""
    for scenario in load(source):
        if scenario.name == recorded.scenario:
            fitting(recorded, scenario)
            return scenario, Target(source, scenario.name, recorded.params)
    raise TokenError(
        f"there is no scenario {recorded.scenario!r} in {source}: `python -m stress list`, or name "
        "the file that has it with --scenarios"
    )


Call = Callable[[argparse.Namespace, Recorded, Target, Child], Exit]


def with_token(args: argparse.Namespace, call: Call) -> Exit:
    """Run a command on the schedule of a token, in a child process."""
    try:
        recorded = read(args.token)
        _, target = find(recorded, args.scenarios)
    except TokenError as error:
        complain(f"refused: {error}")
        return Exit.USAGE
    try:
        with Child() as child:
            return call(args, recorded, target, child)
    except (Hang, Crash, Failure) as error:
        complain(f"{error}\n{error.stacks}")
        return {Hang: Exit.HANG, Crash: Exit.CRASH, Failure: Exit.HARNESS}[type(error)]


def run_replay(args: argparse.Namespace) -> Exit:
    """Run one schedule again, so many times."""
    return with_token(args, replay)


def replay(args: argparse.Namespace, recorded: Recorded, target: Target, child: Child) -> Exit:
    """Run it, and say what it came to."""
    request = Request(target, recorded.decisions, times=args.times)
    replayed = debugged(request) if args.pdb else child.call(repeat, request, LIMIT)
    params = recorded.params
    length = f"{len(recorded.decisions)} decisions, {replayed.schedule.preemptions} preemptions"
    say(f"{recorded.scenario} {params.mode} threads={params.threads} size={params.size}: {length}")
    if args.trace:
        show(interleaving(replayed.schedule))
    if replayed.schedule.table:
        show(deadlock_table(replayed.schedule))
    for key, times in replayed.outcomes.items():
        say(f"{times}/{args.times} {key}")
    if replayed.schedule.note:
        say(trimmed(replayed.schedule.note))
    say(f"{replayed.expect}: {replayed.why}")
    return verdict_of(args, replayed)


def verdict_of(args: argparse.Namespace, replayed: Replayed) -> Exit:
    """The exit code of a replay: does it come to what was expected, or else to what is allowed?"""
    if replayed.problem:
        complain(f"not as decided: {replayed.problem}")
        return Exit.HARNESS
    if args.expect is not None:
        seen = set(replayed.schedule.outcomes) | {replayed.schedule.key}
        if args.expect in seen and len(replayed.outcomes) == 1:
            return Exit.PASS
        complain(f"{args.expect!r} was expected, and it was {', '.join(replayed.outcomes)!r}")
        return Exit.FORBIDDEN
    return Exit.FORBIDDEN if replayed.expect in ("forbidden", "unknown") else Exit.PASS


def run_minimise(args: argparse.Namespace) -> Exit:
    """Make the schedule of a token smaller."""
    return with_token(args, make_smaller)


def make_smaller(
    args: argparse.Namespace, recorded: Recorded, target: Target, child: Child
) -> Exit:
    """Print the smallest that was found."""
    request = Request(target, recorded.decisions, seconds=args.budget or SHARE)
    minimal = child.call(shrink, request, LIMIT)
    figures = [(name, f"{old:,}", f"{new:,}") for name, old, new in minimal.figures]
    show(Table(f"{recorded.scenario} {recorded.params.mode}", ("", "before", "after"), figures,
               frozenset({""})))  # fmt: skip
    show(interleaving(minimal.schedule))
    if minimal.schedule.table:
        show(deadlock_table(minimal.schedule))
    say(f"{minimal.schedule.key}: {minimal.words}")
    smaller = Recorded(recorded.scenario, minimal.params, minimal.schedule.chosen)
    say(f"before: {replay_command(args.token, args.scenarios)}")
    say(f"after:  {replay_command(write(smaller, args.files), args.scenarios)}")
    return Exit.PASS
