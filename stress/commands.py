"""What each command does, once its options are known."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from math import isfinite

from engine.hogwild import TrainResult
from stress import data
from stress.core.child import Child, Crash, Failure, Hang
from stress.core.job import survived
from stress.core.result import Result, Verdict
from stress.core.scenario import MODES
from stress.environment import Environment, doctor, probe
from stress.exits import Exit, exit_code
from stress.report import tables
from stress.report.document import document, write
from stress.report.terminal import Progress, progress, say, show
from stress.scenarios import SCENARIOS
from stress.suite import plan, run_all
from stress.train import MODES as TRAINING_MODES
from stress.train import Training, follow, judge, unjudged

STACK_LINES = 30

__all__ = ["check", "diagnose", "list_scenarios", "run", "train"]


def check(args: argparse.Namespace) -> Exit:
    """The main job: train the digits and run every scenario, in each mode; one verdict table."""
    environment = introduce()
    everything = re.compile("")
    jobs = plan(
        SCENARIOS, pattern=everything, modes=MODES, threads=args.threads, seconds=args.seconds,
        seed=args.seed, edge=environment.gil_release_size,
    )  # fmt: skip
    trainings = [
        Training(mode=mode, threads=args.threads, seed=args.seed) for mode in TRAINING_MODES
    ]
    say(f"digits: {data.load('digits').split}; network 64-128-10, {args.threads} threads")
    trained: list[TrainResult] = []
    with Child() as child, progress(len(trainings) + len(jobs)) as shown:
        results = [promise(training, child, shown, trained) for training in trainings]
        results += run_all(jobs, child, args.seed, shown)
    return conclude(args, environment, results, trained, interesting=False)


def promise(
    training: Training, child: Child, shown: Progress, trained: list[TrainResult]
) -> Result:
    """Train, keep the figures in ``trained``, and judge them."""
    shown.begin(f"train {training.data} {training.mode}")

    def call() -> Result:
        trained.append(follow(training, child, shown.update))
        return judge(training, trained[-1])

    return survived(call, unjudged(training))


def run(args: argparse.Namespace) -> Exit:
    """Run the scenarios that were asked for."""
    environment = introduce()
    jobs = plan(
        SCENARIOS, pattern=args.test, modes=args.mode, threads=args.threads, seconds=args.seconds,
        seed=args.seed, edge=environment.gil_release_size,
    )  # fmt: skip
    if not jobs:
        complain(f"nothing matches -t {args.test.pattern!r} in mode {','.join(args.mode)}; "
                 "`python -m stress list` shows what there is")  # fmt: skip
        return Exit.NOTHING
    with Child() as child, progress(len(jobs)) as shown:
        results = run_all(jobs, child, args.seed, shown)
    return conclude(args, environment, results, [], interesting=True)


def introduce() -> Environment:
    """Print what the run runs on."""
    environment = probe()
    show(tables.environment_table(environment))
    return environment


def conclude(
    args: argparse.Namespace,
    environment: Environment,
    results: Sequence[Result],
    trained: Sequence[TrainResult],
    *,
    interesting: bool,
) -> Exit:
    """Print the verdicts, and the details of what is not as it should be; write the report."""
    show(tables.verdict_table(results))
    say()
    for result in results:
        detail(result, interesting=interesting)
    code = exit_code(results, args.fail_on)
    counted = {verdict: sum(r.verdict == verdict.value for r in results) for verdict in Verdict}
    tally = ", ".join(f"{times} {verdict.value}" for verdict, times in counted.items() if times)
    say(f"{tally}; seed {args.seed}; exit code {code:d}: {code.meaning}")
    if args.json:
        write(args.json, document(args.command, environment, args.seed, results, trained, code))
    return code


def detail(result: Result, *, interesting: bool) -> None:
    """Print why a run did not pass; its outcomes, too, if it failed or, if wanted, saw a race."""
    where = f"{result.name} {result.params.mode}"
    fine = result.verdict in (Verdict.PASS.value, Verdict.INCONCLUSIVE.value)
    if result.rows and (not fine or (interesting and result.interesting)):
        show(tables.outcome_table(result))
    if result.reason:
        say(f"{where} {result.params.size:,}: {result.verdict}: {result.reason}")
    if not fine or interesting or not result.number:
        for note in result.notes:
            say(f"{where}: {note}")
    if result.stacks:
        say(tail(result.stacks))


def tail(stacks: str) -> str:
    """The last lines, which say most; the JSON report has them all."""
    return "\n".join(f"  {line}" for line in stacks.rstrip().splitlines()[-STACK_LINES:])


def train(args: argparse.Namespace) -> Exit:
    """Train once, and print every epoch."""
    try:
        dataset = data.load(args.data)
    except data.DataError as error:
        complain(f"--data {error}")
        return Exit.USAGE
    environment = introduce()
    training = Training(
        args.data, args.hidden, args.mode, args.threads, args.epochs, args.batch_size, args.lr,
        args.seed,
    )  # fmt: skip
    widths = "-".join(map(str, (dataset.features, *args.hidden, dataset.classes)))
    say(f"{dataset.name}: {dataset.split}; network {widths}, mode {args.mode}")
    try:
        with Child() as child, progress(1) as shown:
            shown.begin(f"train {dataset.name} {args.mode}")
            result = follow(training, child, shown.update)
    except (Hang, Crash, Failure) as error:
        complain(f"{error}\n{error.stacks}")
        return {Hang: Exit.HANG, Crash: Exit.CRASH, Failure: Exit.HARNESS}[type(error)]
    return finish(args, environment, result)


def finish(args: argparse.Namespace, environment: Environment, result: TrainResult) -> Exit:
    """Print what training came to; write the report."""
    show(tables.epoch_table(result, "test accuracy"))
    show(tables.staleness_table(result))
    code = Exit.PASS if isfinite(result.loss) else Exit.FORBIDDEN
    say(f"\n{result.steps:,} steps by {result.threads} thread(s) in {result.seconds:.2f} s; "
        f"test accuracy {result.metric or 0:.2%}")  # fmt: skip
    if code:
        complain(f"the loss is {result.loss}: training diverged; use a smaller --lr")
    if args.json:
        write(args.json, document(args.command, environment, args.seed, [], [result], code))
    return code


def list_scenarios(args: argparse.Namespace) -> Exit:
    """Print the scenarios."""
    found = [scenario for scenario in SCENARIOS if args.test.search(scenario.name)]
    if not found:
        complain(f"no scenario matches -t {args.test.pattern!r}; "
                 "`python -m stress list` shows all")  # fmt: skip
        return Exit.NOTHING
    show(tables.scenario_table(found))
    return Exit.PASS


def diagnose(args: argparse.Namespace) -> Exit:
    """Print the environment and the traps found on this machine; a problem is exit code 1."""
    introduce()
    findings = doctor()
    show(tables.findings_table(findings))
    problem = any(finding.level == "problem" for finding in findings)
    return Exit.FORBIDDEN if problem else Exit.PASS


def complain(message: str) -> None:
    """Print an error to standard error."""
    print(f"stress: error: {message}", file=sys.stderr, flush=True)
