"""The command: what is asked for, what is measured, in which order."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from threadpoolctl import threadpool_limits

from stress.arguments import pattern, positive, target
from stress.bench.modes import ModeTimes, mode_bars, mode_table, time_modes
from stress.bench.op_list import OPERATIONS
from stress.bench.op_times import op_table, slow, time_ops
from stress.bench.pool import NAME as POOL
from stress.bench.pool import (
    PoolTimes,
    pool_bars,
    pool_caveats,
    pool_table,
    time_pool,
    waits_table,
)
from stress.bench.report import bars, caveats, ratio_table, scaling_table, times_table
from stress.bench.scaling import Scaling, time_threads
from stress.bench.steps import Disagreement, StepTimes, time_step
from stress.bench.torch_peer import torch_installed
from stress.bench.workloads import MLPS, Mlp
from stress.environment import Environment, probe
from stress.exits import Exit
from stress.report.document import write
from stress.report.tables import environment_table
from stress.report.terminal import progress, say, show

__all__ = ["add_arguments", "main"]

SCHEMA = 1  # of the JSON document; raised when a field changes its meaning or goes
STEP_SECONDS, OP_SECONDS = 4.0, 0.1
MODES_ON = "784-128-10 b128"
WITH_GIL = ("784-128-10 b128", "784-512-512-10 b128")  # steps of ~0.5 ms and more: threads can pay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench`` to ``parser``."""
    parser.add_argument(
        "--seconds", type=positive, metavar="S",
        help=f"time for each of at most 10 measurements (default: {STEP_SECONDS:g})",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=pattern, default=re.compile(""), metavar="REGEX",
        help="measure what matches: " + ", ".join([*(mlp.name for mlp in MLPS), POOL]),
    )  # fmt: skip
    parser.add_argument(
        "--ops", action="store_true",
        help="time single operations instead, forward and backward, at sizes 1, 1,000 and "
        "1,000,000; --only then chooses operations, and --seconds is for each at each size "
        f"(default there: {OP_SECONDS:g})",
    )  # fmt: skip
    parser.add_argument("--json", type=target, metavar="FILE", help="also write all figures there")


def main(args: argparse.Namespace) -> int:
    """Measure, print, and return the exit code; a bar that is not met is a finding, not a failure.

    ``Exit.FORBIDDEN``: the contestants do not compute the same. ``Exit.NOTHING``: ``--only``
    matches nothing.
    """
    if args.ops:
        return main_ops(args)
    chosen = [mlp for mlp in MLPS if args.only.search(mlp.name)]
    if not chosen and not args.only.search(POOL):
        names = ", ".join([*(mlp.name for mlp in MLPS), POOL])
        print(f"bench: --only matches none of: {names}", file=sys.stderr)
        return Exit.NOTHING
    with threadpool_limits(1):  # as in the children that do the work
        environment = probe()
    show(environment_table(environment))
    try:
        seconds = args.seconds or STEP_SECONDS
        steps, scalings = measure(chosen, seconds, environment.gil_enabled)
        modes = measure_modes(chosen, seconds)
        pool = [time_pool(seconds)] if args.only.search(POOL) else []
    except Disagreement as disagreement:
        print(f"bench: {disagreement}", file=sys.stderr)
        return Exit.FORBIDDEN
    present(steps, scalings)
    present_modes(modes)
    present_pool(pool)
    if args.json:
        more = {
            "accumulation": [asdict(each) for each in modes],
            "pool": [asdict(each) for each in pool],
        }
        write(args.json, document(environment, steps, scalings) | more)
    return Exit.PASS


def main_ops(args: argparse.Namespace) -> int:
    """``bench --ops``: the same for single operations."""
    chosen = [operation for operation in OPERATIONS if args.only.search(operation.name)]
    if not chosen:
        print(f"bench: --only matches none of {len(OPERATIONS)} operations", file=sys.stderr)
        return Exit.NOTHING
    with threadpool_limits(1):
        environment = probe()
    show(environment_table(environment))
    try:
        with progress(len(chosen)) as shown:
            times = time_ops(chosen, args.seconds or OP_SECONDS, shown)
    except Disagreement as disagreement:
        print(f"bench: {disagreement}", file=sys.stderr)
        return Exit.FORBIDDEN
    show(op_table(times))
    for line in slow(times):
        say(line)
    if args.json:
        about = {"schema": SCHEMA, "command": "bench --ops", "environment": environment.as_dict()}
        write(args.json, about | {"operations": [asdict(each) for each in times]})
    return Exit.PASS


def measure(
    chosen: Sequence[Mlp], seconds: float, gil: bool
) -> tuple[list[StepTimes], list[Scaling]]:
    """All measurements, one after the other."""
    threaded = [mlp for mlp in chosen if not gil or mlp.name in WITH_GIL]
    steps, scalings = [], []
    with progress(len(chosen) + len(threaded)) as shown:
        for mlp in chosen:
            shown.begin(f"training step, {mlp.name}")
            steps.append(time_step(mlp, seconds))
        for mlp in threaded:
            shown.begin(f"Hogwild threads, {mlp.name}")
            scalings.append(time_threads(mlp, seconds))
    return steps, scalings


def measure_modes(chosen: Sequence[Mlp], seconds: float) -> list[ModeTimes]:
    """What the accumulation modes cost on the network of their bars, if it is chosen."""
    with progress(1) as shown:
        shown.begin(f"accumulation modes, {MODES_ON}")
        return [each for mlp in chosen if mlp.name == MODES_ON for each in time_modes(mlp, seconds)]


def present_modes(times: Sequence[ModeTimes]) -> None:
    """Print the table and the bars of the accumulation modes."""
    if times:
        say()
        show(mode_table(times))
        for bar in mode_bars(times):
            say(bar.line())


def present_pool(times: Sequence[PoolTimes]) -> None:
    """Print the tables and the bar of the pool."""
    for each in times:
        show(pool_table(each))
        show(waits_table(each.waits))
        say()
        for bar in pool_bars(each):
            say(bar.line())
        for caveat in pool_caveats(each):
            say(caveat)


def present(steps: Sequence[StepTimes], scalings: Sequence[Scaling]) -> None:
    """Print the tables and the bars."""
    if not steps:
        return
    show(times_table(steps))
    show(ratio_table(steps))
    if not torch_installed():
        say("PyTorch is not installed, so it was skipped: pip install 'hogwild-engine[peers]'")
    if scalings:
        show(scaling_table(scalings))
    say()
    for bar in bars(steps, scalings):
        say(bar.line())
    for caveat in caveats(scalings):
        say(caveat)


def document(
    environment: Environment, steps: Sequence[StepTimes], scalings: Sequence[Scaling]
) -> dict[str, Any]:
    """All figures as plain dictionaries and lists."""
    return {
        "schema": SCHEMA,
        "command": "bench",
        "environment": environment.as_dict(),
        "training_step": [asdict(step) for step in steps],
        "hogwild": [asdict(scaling) for scaling in scalings],
        "bars": [asdict(bar) | {"met": bar.met} for bar in bars(steps, scalings)],
    }
