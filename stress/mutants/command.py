"""The command ``selftest``: does the harness notice that the engine is broken?"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from stress import arguments
from stress.core.result import Verdict
from stress.environment import Environment, probe
from stress.exits import Exit, exit_code
from stress.mutants.hunt import Hunt, Kill, hunt
from stress.mutants.mutant import Catch, Mutant
from stress.report import tables
from stress.report.document import write
from stress.report.terminal import Table, complain, progress, say, show

__all__ = ["SOURCE", "add_selftest", "main", "selftest"]

SOURCE = "stress.mutants"
SCHEMA = 1
FEWEST = 50  # schedules of a control

Controls = Mapping[Catch, Kill]


def add_selftest(to: Any) -> None:
    """Mutants."""
    it = to.add_parser(
        "selftest",
        help="break the engine in many ways: does a scenario notice each of them?",
        description="Mutants are engines that are broken on purpose, each in one way and in a "
        "process of its own. Every scenario that is named for one must notice it, and pass on the "
        f"engine as it is. A mutant that survives fails the harness: exit code {Exit.HARNESS:d}.",
    )
    it.add_argument(
        "-t", dest="test", type=arguments.pattern, default=re.compile(""), metavar="REGEX",
        help="mutants whose name matches (default: all)",
    )  # fmt: skip
    it.add_argument("--markdown", action="store_true", help="print the matrix for a document")
    it.add_argument(
        "--json", type=arguments.target, metavar="FILE", help="also write all figures to FILE"
    )
    it.set_defaults(call=main)


def main(args: argparse.Namespace) -> Exit:
    """Run the mutants that were asked for."""
    return selftest(args, SOURCE)


def selftest(args: argparse.Namespace, source: str) -> Exit:
    """The same with the ``MUTANTS`` of module ``source``."""
    known: Sequence[Mutant] = importlib.import_module(source).MUTANTS
    mutants = [mutant for mutant in known if args.test.search(mutant.name)]
    if not mutants:
        complain(f"no mutant matches -t {args.test.pattern!r}: "
                 f"{', '.join(mutant.name for mutant in known)}")  # fmt: skip
        return Exit.NOTHING
    environment = probe()
    show(tables.environment_table(environment))
    kills, controls = run_all(mutants, source)
    if args.markdown:
        say("\n".join(markdown(mutants, kills)))
    else:
        show(matrix(kills, controls))
    code = conclude(kills, controls)
    if args.json:
        write(args.json, document(environment, mutants, kills, controls, code))
    return code


def run_all(mutants: Sequence[Mutant], source: str) -> tuple[list[Kill], Controls]:
    """Every scenario after every mutant that it must notice, and once after none."""
    hunts = [Hunt(source, mutant.name, catch) for mutant in mutants for catch in mutant.caught]
    catches = list(dict.fromkeys(task.catch for task in hunts))
    kills: list[Kill] = []
    controls: dict[Catch, Kill] = {}
    with progress(len(hunts) + len(catches)) as shown:
        for task in hunts:
            shown.begin(f"{task.mutant}: {task.catch.words}")
            kills.append(hunt(task))
        for catch in catches:
            shown.begin(f"control: {catch.words}")
            controls[catch] = hunt(Hunt(source, "", as_long(catch, kills)))
    return kills, controls


def as_long(catch: Catch, kills: Sequence[Kill]) -> Catch:
    """``catch``, with as many schedules as the longest of the hunts needed; at least some."""
    if not catch.schedules:
        return catch
    needed = (kill.result.samples for kill in kills if kill.hunt.catch == catch)
    return replace(catch, schedules=max(FEWEST, *needed))


def matrix(kills: Sequence[Kill], controls: Controls) -> Table:
    """A row for each mutant and scenario."""
    rows = []
    for kill in kills:
        catch = kill.hunt.catch
        how = "schedules" if catch.schedules else "threads"
        rows.append((
            kill.hunt.mutant, catch.scenario, catch.params.mode, how, kill.result.verdict,
            f"{kill.seconds:.1f}", controls[catch].result.verdict, kill.seen or "survived",
        ))  # fmt: skip
    columns = ("mutant", "scenario", "mode", "by", "verdict", "s", "control", "seen")
    return Table(
        "Kill matrix (verdict: on the broken engine, FAIL, TIMEOUT or CRASH is a kill; s: seconds, "
        "the start of a process included; control: the same on the engine as it is)",
        columns, rows, frozenset(columns) - {"s"},
    )  # fmt: skip


def markdown(mutants: Sequence[Mutant], kills: Sequence[Kill]) -> list[str]:
    """The matrix as a table for a document."""
    breaks = {mutant.name: mutant.breaks for mutant in mutants}
    lines = ["| mutant | what is broken | noticed by | how |", "|---|---|---|---|"]
    for kill in kills:
        name, catch = kill.hunt.mutant, kill.hunt.catch
        seen = f"{kill.result.verdict}: {kill.seen}" if kill.killed else "**survived**"
        where = f"`{catch.scenario}` {catch.params.mode}"
        lines.append(f"| `{name}` | {breaks.pop(name, '')} | {where} | {seen} |")
    return lines


def conclude(kills: Sequence[Kill], controls: Controls) -> Exit:
    """Say what it came to; the exit code."""
    survivors = [kill for kill in kills if not kill.killed]
    unfit = [kill for kill in controls.values() if kill.result.verdict != Verdict.PASS.value]
    for kill in survivors:
        complain(f"{kill.hunt.mutant} survived {told(kill)}")
    for kill in unfit:
        complain(f"a control, so what it notices proves nothing: {told(kill)}")
    code = verdict_on(survivors, unfit)
    mutants = len({kill.hunt.mutant for kill in kills})
    caught = mutants - len({kill.hunt.mutant for kill in survivors})
    say(f"\n{caught} of {mutants} mutants caught by every scenario that must notice; "
        f"{len(controls) - len(unfit)} of {len(controls)} controls pass")  # fmt: skip
    say(f"exit code {code:d}: {code.meaning}")
    return code


def told(kill: Kill) -> str:
    """What a hunt came to, in words."""
    result = kill.result
    return f"{kill.hunt.catch.words}: {result.verdict}: {result.reason or 'nothing was noticed'}"


def verdict_on(survivors: Sequence[Kill], unfit: Sequence[Kill]) -> Exit:
    """The harness failed, or the engine did on a control, or neither."""
    code = exit_code([kill.result for kill in unfit])
    return Exit.HARNESS if survivors or (unfit and not code) else code


def document(
    environment: Environment, mutants: Sequence[Mutant], kills: Sequence[Kill],
    controls: Controls, code: Exit,
) -> dict[str, Any]:  # fmt: skip
    """All of it as plain dictionaries and lists."""
    return {
        "schema": SCHEMA,
        "command": "selftest",
        "environment": environment.as_dict(),
        "mutants": {mutant.name: mutant.breaks for mutant in mutants},
        "kills": [asdict(kill) | {"killed": kill.killed} for kill in kills],
        "controls": [asdict(kill) for kill in controls.values()],
        "exit_code": int(code),
    }
