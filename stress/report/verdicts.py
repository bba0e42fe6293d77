"""The end of a run on the terminal: verdicts, and the details of what is not as it should be."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence

from stress.core.result import Result, Verdict
from stress.exits import Exit
from stress.report import tables, view
from stress.report.naming import dimensions, varied
from stress.report.terminal import say, show
from stress.report.text import shown, trimmed

__all__ = ["detail", "hint", "progress_of", "verdicts"]

STACK_LINES = 30
DUMPED = "(most recent call first)"
PLUMBING = re.compile(
    r'File ".*(stress.core.\w+\.py|multiprocessing.\w+\.py)"|'
    r'threading\.py", line \d+ in (run|_bootstrap)|File "<string>"|^Extension modules'
)
BUSY = 1.5  # load for each core from which on others are in the way


def verdicts(
    results: Sequence[Result], code: Exit, seed: int, scenarios: str, *, interesting: bool
) -> None:
    """Print the verdicts, the details of what is not as it should be, and the exit code."""
    for table in tables.verdict_tables(results):
        show(table)
    say()
    names = varied(results)
    for result in results:
        detail(result, scenarios, names, interesting=interesting)
    counted = Counter(result.verdict for result in results)
    tally = ", ".join(f"{counted[v.value]} {v.value}" for v in Verdict if counted[v.value])
    say(f"{tally or 'no results'}; seed {seed}; exit code {code:d}: {code.meaning}")


def progress_of(results: Sequence[Result], planned: int) -> str:
    """How far a run came that was ended before its end; trainings are not counted."""
    done = sum(bool(result.number) for result in results)
    return f"{done} of {planned} planned were run"


def detail(result: Result, scenarios: str, names: Sequence[str] = (), *, interesting: bool) -> None:
    """Print why a run did not pass; its outcomes, too, if it failed or, if wanted, saw a race.

    ``names``: the dimensions in which the runs differ; they tell this one from the others.
    """
    result = shown(result)
    where = place_of(result, names)
    fine = not result.failed
    if result.rows and (not fine or (interesting and result.interesting)):
        show(tables.outcome_table(result))
    if result.reason:
        say(f"{where}: {result.verdict}: {result.reason}")
    if not fine or interesting or not result.number:
        for note in result.notes:
            say(f"{where}: {note}")
    for token in result.tokens:
        say(f"{where}: {view.replay(token, scenarios)}")
    if result.stacks:
        say(brief(result.stacks))


def place_of(result: Result, names: Sequence[str]) -> str:
    """The scenario, its mode and size, and what else tells it from the others."""
    mine = dimensions(result)
    words = [mine["size"]] if result.number else []
    words += [f"{name}={mine[name]}" for name in names if name != "size"]
    return " ".join([result.name, result.params.mode, *words])


def brief(stacks: str) -> str:
    """The lines that say most, without those of our own: the reports have them all.

    A watchdog's dump has what ran last at its top, a traceback at its end.
    """
    lines = stacks.rstrip().splitlines()
    if DUMPED not in stacks:
        lines = lines[-STACK_LINES:]
    else:
        lines = [line for line in lines if not PLUMBING.search(line)][:STACK_LINES]
    return "\n".join(f"  {trimmed(line)}".rstrip() for line in lines)


def hint(results: Sequence[Result], cores: int) -> None:
    """Say so where evidence is missing because others use the machine as well."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    sampled = (result for result in results if not result.params.explored)
    unclear = sum(result.verdict == Verdict.INCONCLUSIVE.value for result in sampled)
    if unclear and load > BUSY * cores:
        say(f"the machine is busy (load {load:.0f} on {cores} cores), so {unclear} runs saw too "
            "little: run again when it is idle, or with more --budget")  # fmt: skip
