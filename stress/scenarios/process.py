"""Lives of processes: exit, fork, Ctrl-C, deep graphs, memory, crowds; each a child."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from time import monotonic

from stress.core.outcome import Outcome, acceptable, forbidden, interesting
from stress.core.scenario import Observation, Params, Scenario, one_actor, slow
from stress.scenarios.common import ANY, always, everywhere

__all__ = ["CROWDED", "DEEP", "EXIT", "FORK", "INTERRUPT", "MEMORY"]

TOP = Path(__file__).parents[2]  # where `stress` and `engine` are
LIMIT = 25.0  # seconds until a process hangs: less than the runner's own limit
QUICK_EXIT = 2.0  # seconds from the last line to the end


@dataclass(slots=True)
class Life:
    """One trial: one process; written by its one actor."""

    params: Params
    name: str
    fate: str = ""
    said: str = ""


Fixture = tuple[Params, Iterator[str]]


@contextmanager
def one_after_the_other(params: Params, *, names: Sequence[str]) -> Iterator[Fixture]:
    """The lives take turns."""
    yield params, cycle(names)


def start(fixture: Fixture) -> Life:
    """The next life."""
    params, names = fixture
    return Life(params, next(names))


def act(life: Life, index: int) -> None:
    """Start the process, and see how it ends."""
    life.fate, life.said = ended(life.name, life.params)


def ended(name: str, params: Params) -> tuple[str, str]:
    """How a process ends, and what it said."""
    command = [sys.executable, "-X", "faulthandler", "-m", "stress.scenarios.lives", name]
    paths = [str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        [*command, params.mode], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            return watched(process)
        except subprocess.TimeoutExpired:
            process.kill()
            return "hung", process.communicate()[1]


def watched(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Read what it says until it ends; raises ``TimeoutExpired`` if it does not."""
    out, errors = process.communicate(timeout=LIMIT)
    lines = out.split()
    if process.returncode < 0:
        return "died", f"signal {-process.returncode}\n{errors}"
    if errors or process.returncode:
        return "complained", errors
    *wrong, last = out.splitlines() or [""]
    if not last.startswith("leaving") or wrong:
        return "wrong", out
    return ("clean" if monotonic() - float(lines[-1]) < QUICK_EXIT else "slow to end"), out


def judge(life: Life) -> Observation:
    """Its fate; what is to meet in these processes meets by barriers, or they say so."""
    note = "" if life.fate == "clean" else f"{life.name}: {life.said}"
    return Observation({life.fate: 1}, overlapped=True, note=note)


CLEAN: tuple[Outcome, ...] = (
    acceptable("clean", "it ended by itself, at once, and everything was right"),
    interesting("slow to end", f"more than {QUICK_EXIT:g} s from its last line to its end"),
    forbidden("wrong", "everything that it computed is right, and nothing is left over"),
    forbidden("complained", "it ends with exit code 0 and without a word on standard error"),
    forbidden("died", "no signal ends it"),
    forbidden("hung", f"it does not take more than {LIMIT:g} s"),
)


def of_long_runs(params: Params) -> frozenset[str]:
    """Slow; but one mode, as there is little that depends on it, belongs to a default run."""
    return ANY if params.mode == "locked" else slow(params)


def of_process(number: int, name: str, title: str, *lives: str) -> Scenario:
    """A scenario of processes that lead these lives."""
    return Scenario(
        number, name, title, "processes", start, act, judge, everywhere(always(*CLEAN)),
        prepare=partial(one_after_the_other, names=lives), crew=one_actor,
        minimum=lambda params: len(lives), tags=of_long_runs, explore=lambda params: (),
    )  # fmt: skip


INTERRUPT = of_process(
    22, "process.interrupt", "Ctrl-C in the middle of a backward: raised within one node",
    "interrupt",
)  # fmt: skip
EXIT = of_process(
    28, "process.exit", "the interpreter exits, pools idle or busy or with tasks left",
    "exit_idle", "exit_busy", "exit_submitted",
)  # fmt: skip
FORK = of_process(
    29, "process.fork", "the process forks, pools idle or busy: the child has fresh ones",
    "fork_idle", "fork_busy",
)  # fmt: skip
DEEP = of_process(
    32, "process.deep", "a chain of 100 000 nodes is walked and freed on a stack of 512 KiB", "deep"
)
MEMORY = of_process(
    33, "process.memory", "a thousand graphs without the cycle collector: nothing is left", "memory"
)
CROWDED = of_process(
    35, "process.crowded", "sixteen workers for each of four callers on one core", "crowded"
)
