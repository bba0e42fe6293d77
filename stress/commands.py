"""What each command does, once its options are known."""

from __future__ import annotations

import argparse
import json
from itertools import product
from math import isfinite
from typing import Any

from engine.hogwild import TrainResult
from stress import data
from stress.core.child import Child, Crash, Failure, Hang
from stress.core.scenario import Params, Scenario
from stress.core.source import asked, load
from stress.environment import Environment, doctor
from stress.exits import Exit
from stress.report import tables
from stress.report.document import document, write
from stress.report.terminal import complain, progress, say, show
from stress.run import introduce
from stress.suite import GIL_EDGE
from stress.train import Training, follow

__all__ = ["diagnose", "list_scenarios", "train"]


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
    found = [
        scenario
        for scenario in load(args.scenarios)
        if args.test.search(scenario.name) and (args.tag is None or args.tag in tags(scenario))
    ]
    if not found:
        complain(f"no scenario matches -t {args.test.pattern!r}, --tag {args.tag}; "
                 "`python -m stress list` shows all")  # fmt: skip
        return Exit.NOTHING
    if args.json:
        say(json.dumps([facts(scenario) for scenario in found], indent=2))
    else:
        show(tables.scenario_table(found))
    return Exit.PASS


def tags(scenario: Scenario) -> list[str]:
    """The tags of any of its configurations."""
    configurations = product(scenario.modes, asked(scenario, "sizes", GIL_EDGE))
    found = (asked(scenario, "tags", Params(mode, size=size)) for mode, size in configurations)
    return sorted(frozenset[str]().union(*found))


def facts(scenario: Scenario) -> dict[str, Any]:
    """What there is to know of a scenario before it runs."""
    return {
        "number": scenario.number, "name": scenario.name, "title": scenario.title,
        "unit": scenario.unit, "modes": scenario.modes, "sizes": asked(scenario, "sizes", GIL_EDGE),
        "tags": tags(scenario),
        "parameters": {mode: parameters(scenario, mode) for mode in scenario.modes},
        "outcomes": {mode: declared(scenario, mode) for mode in scenario.modes},
    }  # fmt: skip


def parameters(scenario: Scenario, mode: str) -> dict[str, Any]:
    """What a run with two threads is like: its first size, and what would be explored."""
    params = Params(mode, size=asked(scenario, "sizes", GIL_EDGE)[0])
    explored = asked(scenario, "explore", params)
    return {
        "threads": params.threads, "dtype": params.dtype, "actors": asked(scenario, "crew", params),
        "minimum": asked(scenario, "minimum", params), "preemptions": scenario.bound,
        "explored": [{"threads": it.threads, "size": it.size} for it in explored],
    }  # fmt: skip


def declared(scenario: Scenario, mode: str) -> list[dict[str, str]]:
    """The outcomes that a scenario declares in a mode, at its first size."""
    params = Params(mode, size=asked(scenario, "sizes", GIL_EDGE)[0])
    return [
        {"key": outcome.key, "expect": outcome.expect.value, "why": outcome.why}
        for outcome in asked(scenario, "declared", params)
    ]


def diagnose(args: argparse.Namespace) -> Exit:
    """Print the environment and the traps found on this machine; a problem is exit code 1."""
    introduce()
    findings = doctor()
    show(tables.findings_table(findings))
    problem = any(finding.level == "problem" for finding in findings)
    return Exit.FORBIDDEN if problem else Exit.PASS
