"""The JSON report.

::

    schema        int: 2; raised when a field changes its meaning or goes
    command       str: what was run
    scenarios     str: the file or module that has the scenarios
    environment   object: what it ran on, as ``doctor`` sees it
    seed          int
    results       list of objects, one for each scenario, mode and size:
        number, name, verdict, reason, unit, samples, trials, seconds, overlap, notes, stacks
        params    object: mode, threads, size, dtype, seed, explored
        tactics   object: sync, chaos, switch_interval (seconds), gil (auto, 0 or 1: as asked for)
        fork      int: which of the processes that ran the same
        gil       bool: whether that process had the GIL; null where it could not say
        search    str: options of `explore` that say which schedules were tried
        tokens    list of strings: schedules to `replay`, those that failed first
        timelines list of lists of (thread, point, subject): each of them, step by step
        timeline  the first of these
        loss      null, or object: lost and offered (element-updates), rate, low, high (95 %)
        rows      list of objects: key, count, expect (its class), why; share of the samples, with
                  low and high, its 95 % interval
    training      list of objects, one for each mode trained:
        mode, threads, steps, seconds, staleness (steps by staleness), environment
        epochs    list of objects: epoch, loss, metric (test accuracy), seconds, steps_per_second
    exit_code     int
    explored      of ``explore``, list of objects, one for each result: scenario, params, distinct
                  (combinations of outcomes), exhaustive (of the bound), left (beginnings known)
        findings  list of objects: outcome, class, token, schedule (its number), reproduced (of 10
                  runs), minimised, timeline, blocked (thread, waits for, held by, holds)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.hogwild import TrainResult
from stress.core.result import Result
from stress.core.source import SHIPPED
from stress.core.stats import wilson
from stress.environment import Environment

__all__ = ["SCHEMA", "document", "write"]

SCHEMA = 2


def document(
    command: str,
    environment: Environment,
    seed: int,
    results: Sequence[Result],
    training: Sequence[TrainResult],
    exit_code: int,
    scenarios: str = SHIPPED,
) -> dict[str, Any]:
    """The report as plain dictionaries and lists."""
    return {
        "schema": SCHEMA,
        "command": command,
        "scenarios": scenarios,
        "environment": environment.as_dict(),
        "seed": seed,
        "results": [ran(result) for result in results],
        "training": [trained(result) for result in training],
        "exit_code": int(exit_code),
    }


def ran(result: Result) -> dict[str, Any]:
    """The result of one run as a plain dictionary."""
    total = max(result.samples, sum(row.count for row in result.rows))
    rows = [
        asdict(row)
        | {"share": row.count / total if total else 0.0}
        | asdict(wilson(row.count, total))
        for row in result.rows
    ]
    return asdict(result) | {"rows": rows, "timeline": result.timeline}


def trained(result: TrainResult) -> dict[str, Any]:
    """A training run as a plain dictionary."""
    staleness = {str(stale): steps for stale, steps in result.staleness.items()}
    return {**asdict(result), "staleness": staleness, "environment": dict(result.environment)}


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the report; not-a-number, which JSON does not know, becomes null."""
    save(path, json.dumps(finite(report), indent=2, allow_nan=False) + "\n")


def save(path: Path, text: str) -> None:
    """Write a whole file. An ``OSError`` names it, which that of a full disk does not by itself."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        error.filename = str(path)
        raise


def finite(value: Any) -> Any:
    """``value`` with every float that is infinite or not a number replaced by None.

    NumPy's numbers, which scenarios may count with, become Python's.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
