"""What the marker of the plugin of pytest asks for: checked, and made into jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stress.core.job import Job
from stress.core.runner import Budget
from stress.core.scenario import MODES
from stress.core.source import load
from stress.profiles import LEAST, LIMIT
from stress.suite import Choice, plan

__all__ = ["planned"]


def planned(
    folder: Path,
    file: str,
    *,
    seconds: float = 1.0,
    limit: float = LIMIT,
    modes: Sequence[str] = MODES,
    threads: Sequence[int] = (2,),
    sizes: Sequence[int] | None = None,
    seed: int = 0,
) -> list[Job]:
    """The jobs of a file in ``folder``, or of a module, narrowed down.

    Raises ``SourceError`` where there are no scenarios, and ``ValueError`` or ``TypeError`` where
    nothing can be run as the arguments say.
    """
    check("file", file, "the name of a file or module", lambda it: isinstance(it, str))
    check("seconds", seconds, "a number more than 0", lambda it: number(it) and it > 0)
    check("limit", limit, f"a number from {LEAST:g} on", lambda it: number(it) and it >= LEAST)
    check("seed", seed, "a whole number from 0 on", lambda it: whole(it) and it >= 0)
    many("modes", modes, f"modes, of {', '.join(MODES)}", lambda it: it in MODES)
    many("threads", threads, "whole numbers from 2 on", lambda it: whole(it) and it >= 2)
    if sizes is not None:
        many("sizes", sizes, "whole numbers from 1 on", lambda it: whole(it) and it >= 1)
    source = str(folder / file) if file.endswith(".py") else file
    jobs = plan(Choice(source, modes=modes, threads=threads, sizes=sizes, seed=seed))
    if not jobs:
        raise ValueError(f"nothing in {file} runs in modes={modes!r}: {holdings(source)}")
    budget = Budget(seconds, max(10.0, 10 * seconds), limit)
    return [replace(job, budget=budget) for job in jobs]


def check(name: str, value: object, what: str, fits: Callable[[Any], bool]) -> None:
    """Raise ``ValueError`` unless the value of an argument fits."""
    if not fits(value):
        raise ValueError(f"{name} must be {what}, got {value!r}")


def many(name: str, values: object, what: str, fits: Callable[[Any], bool]) -> None:
    """Raise ``ValueError`` unless all values fit, and there is one."""

    def fit(given: object) -> bool:
        return isinstance(given, list | tuple) and bool(given) and all(map(fits, given))

    check(name, values, f"a tuple of {what}", fit)


def number(value: object) -> bool:
    """Whether it is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: object) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def holdings(source: str) -> str:
    """The scenarios of a file, each with its modes."""
    found = [f"{scenario.name} ({', '.join(scenario.modes)})" for scenario in load(source)]
    return f"it has {', '.join(found) or 'no scenarios'}"
