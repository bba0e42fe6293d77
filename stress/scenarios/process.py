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
from time import monotonic, sleep

from stress.core.outcome import Outcome, forbidden, interesting, required
from stress.core.scenario import Observation, Params, Scenario, one_actor, slow
from stress.scenarios.common import ANY, always, everywhere

__all__ = ["CROWDED", "DEEP", "EXIT", "FORK", "INTERRUPT", "MEMORY"]

TOP = Path(__file__).parents[2]  # where `stress` and `engine` are
CROWDS = "crowded", "one_core"  # lives in which BLAS has threads of its own, too
LINKS = 100_000  # of a chain
LIMIT = 25.0  # seconds that a process gets: less than the runner's own limit
ENOUGH = 20.0  # seconds of processor time, more than any life takes
MOMENT = 1.0  # seconds in which a process computes, if it does not hang
QUICK = 2.0  # seconds from the last line to the end, and from Ctrl-C to what it raises
LOADED = 10  # times as long as a process that does nothing takes to end now: that is the machine


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
    life.fate, life.said, seconds = ended(life.name, life.params)
    if life.fate == "clean" and seconds > QUICK:
        *_, calm = ended("nothing", life.params)
        life.fate = "late" if seconds > QUICK + LOADED * calm else "slow"
        life.said += f"\n{seconds:.1f} s, {calm:.1f} s to end a process that does nothing"


def ended(name: str, params: Params) -> tuple[str, str, float]:
    """How a process ends, what it said, and how long it took for what should be quick."""
    command = [sys.executable, "-X", "faulthandler", "-m", "stress.scenarios.lives", name]
    paths = [str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if name in CROWDS:
        environment["OPENBLAS_NUM_THREADS"] = "4"
    with subprocess.Popen(
        [*command, params.mode, str(params.size)], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            return watched(process)
        except subprocess.TimeoutExpired:
            fate = "slow" if is_at_work(process.pid) else "hung"
            process.kill()
            return fate, f"still there after {LIMIT:g} s\n{process.communicate()[1]}", LIMIT


def is_at_work(pid: int) -> bool:
    """Whether a process computes, and has not had time to come to its end."""
    before = computed(pid)
    sleep(MOMENT)
    return before < computed(pid) < ENOUGH


def computed(pid: int) -> float:
    """Seconds of processor time that a process has had; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watched(process: subprocess.Popen[str]) -> tuple[str, str, float]:
    """Read what it says until it ends; raises ``TimeoutExpired`` if it does not."""
    out, errors = process.communicate(timeout=LIMIT)
    if process.returncode < 0:
        return "died", f"signal {-process.returncode}\n{errors}", 0.0
    if errors or process.returncode:
        return "complained", errors, 0.0
    *said, last = out.splitlines() or [""]
    took = [float(line.split()[1]) for line in said if line.startswith("took ")]
    noted = [line.removeprefix("noted ") for line in said if line.startswith("noted ")]
    if not last.startswith("leaving") or len(took) + len(noted) < len(said):
        return "wrong", out, 0.0
    return "clean", "; ".join(noted), max([monotonic() - float(last.split()[-1]), *took])


def judge(life: Life) -> Observation:
    """Its fate; what is to meet in these processes meets by barriers, or they say so."""
    note = f"{life.name}: {life.said}" if life.said or life.fate != "clean" else ""
    return Observation({life.fate: 1}, overlapped=True, note=note)


CLEAN: tuple[Outcome, ...] = (
    required("clean", "it ended by itself, at once, and everything was right"),
    interesting("slow", "the machine is busy: at work when its time was up, or slow to end"),
    forbidden("late", f"more than {QUICK:g} s, and {LOADED} times what a process takes to end now"),
    forbidden("wrong", "everything that it computed is right, and nothing is left over"),
    forbidden("complained", "it ends with exit code 0 and without a word on standard error"),
    forbidden("died", "no signal ends it"),
    forbidden("hung", f"after {LIMIT:g} s it computes nothing, or has computed for {ENOUGH:g} s"),
)


def of_long_runs(params: Params) -> frozenset[str]:
    """Slow where it is large."""
    return ANY if params.size <= LINKS else slow(params)


def of_process(
    number: int, name: str, title: str, *lives: str, sizes: tuple[int, ...] = (10_000,)
) -> Scenario:
    """A scenario of processes that lead these lives."""
    return Scenario(
        number, name, title, "processes", start, act, judge, everywhere(always(*CLEAN)),
        prepare=partial(one_after_the_other, names=lives), crew=one_actor,
        minimum=lambda params: len(lives), tags=of_long_runs, explore=lambda params: (),
        sizes=lambda edge: sizes,
    )  # fmt: skip


INTERRUPT = of_process(
    22, "process.interrupt", "Ctrl-C in the middle of a backward: raised, and nothing is written",
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
    32, "process.deep", "a long chain is walked and freed on stacks of 512 and of 256 KiB", "deep",
    sizes=(LINKS, 5 * LINKS),
)  # fmt: skip
MEMORY = of_process(
    33, "process.memory", "a thousand graphs without the cycle collector: nothing is left", "memory"
)
CROWDED = of_process(
    35, "process.crowded", "sixteen workers for each of four callers, on all cores and on one",
    *CROWDS,
)  # fmt: skip
