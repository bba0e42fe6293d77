"""Sources of variation, switched on one at a time: which modes keep the bits of a real training?

Everything that is not switched on is held: one thread, contributions in the order of their numbers,
one BLAS thread, random numbers of each contribution's own. Where a step has two contributions only,
their order cannot matter (a sum of two has one value), so what differs then is not the order.

Bits that stay the same say nothing where nothing could have changed them. So where a source is left
to chance, or could be, something must show that it was on: a mode that should vary and does, say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import sleep

import engine
from stress.lab.process import in_processes
from stress.lab.training import MODES, Setup, Trained, train

__all__ = ["SOURCES", "Cell", "Sample", "Source", "Study", "cells"]

ALL = frozenset(MODES)
SORTED = frozenset({"ordered", "reproducible", "functional"})  # they do not mind who comes first
NOT_RACY = ALL - {"racy"}
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Study:
    """How much to run. Immutable.

    ``steps``: of each training. ``processes``: of the source that starts many.
    """

    modes: tuple[str, ...] = MODES
    runs: int = 10
    processes: int = 8
    workers: tuple[int, ...] = (1, 2, 4, 8)
    seed: int = 0
    steps: int = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One training: with what switched on how, and what came of it. Immutable.

    ``cpu``: seconds of all its threads; 0 where a process of its own has trained.
    """

    setting: str
    hash: str
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One source and one mode. Immutable. ``promised``: the same bits, whatever the setting."""

    source: str
    mode: str
    promised: bool
    samples: tuple[Sample, ...]

    @property
    def patterns(self) -> int:
        """How many results there are."""
        return len({sample.hash for sample in self.samples})

    @property
    def settings(self) -> int:
        """How many settings of the source they had."""
        return len({sample.setting for sample in self.samples})

    @property
    def broken(self) -> bool:
        """Whether one result was promised, and there are more."""
        return self.promised and self.patterns > 1


Samples = Sequence[Sample]
Notice = Callable[[str], None]
Run = Callable[[Study, Sequence[Setup], Notice], Sequence[Samples]]
Doubt = Callable[[Sequence[Cell]], str]


def no_doubt(found: Sequence[Cell]) -> str:
    """The source is on for certain, or its own settings say so."""
    return ""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of variation. Immutable.

    ``keeps``: the modes that promise the same bits while it is on. ``run``: for each of some setups
    several trainings, each with another setting of the source. ``doubt``: why its cells do not show
    that it was on; empty where they do.
    """

    name: str
    what: str
    keeps: frozenset[str]
    run: Run
    doubt: Doubt = no_doubt


def control(mode: str) -> Doubt:
    """Doubt where this mode, which promises nothing, has one result as well, or was not run."""

    def doubt(found: Sequence[Cell]) -> str:
        patterns = {cell.mode: cell.patterns for cell in found}
        if mode not in patterns:
            return f"its control, {mode}, was not run; add it to --mode"
        return "" if patterns[mode] > 1 else f"its control, {mode}, had one result as well"

    return doubt


def nothing_handed_off(found: Sequence[Cell]) -> str:
    """Doubt where one thread ran all nodes of a mode."""
    idle = [cell.mode for cell in found if all(alone(sample) for sample in cell.samples)]
    return f"no node was handed to another thread in {', '.join(idle)}" if idle else ""


def alone(sample: Sample) -> bool:
    """Whether a training of ``ready_queue`` had no node run by a worker."""
    return sample.setting.endswith(", 0 nodes handed off")


def here(run: Callable[[Study, Setup], Samples]) -> Run:
    """A source that is switched on in this process, for one setup after the other."""

    def each(study: Study, setups: Sequence[Setup], notice: Notice) -> Sequence[Samples]:
        found = []
        for setup in setups:
            notice(setup.mode)
            found.append(run(study, setup))
        return found

    return each


def sampled(setting: object, trained: Trained) -> Sample:
    """A training in this process."""
    return Sample(str(setting), trained.hash, trained.cpu)


def several(study: Study, change: Callable[[int], Setup]) -> list[Sample]:
    """One training for each run, of the setup that belongs to it."""
    return [sampled(run, train(change(run))) for run in range(study.runs)]


def arrival(study: Study, setup: Setup) -> Samples:
    """One thread; contributions come in an order that is drawn for each step."""
    return several(study, lambda run: replace(setup, shuffle=run))


def give_way(point: str, subject: object) -> None:
    """A hook: others get their turn in the middle of an addition."""
    if point in ("grad.read", "grad.store"):
        sleep(0)


def lost(study: Study, setup: Setup) -> Samples:
    """Two threads and two contributions; others run in the middle of each addition in place."""
    with engine.sync.hooked(give_way):
        return several(study, lambda run: replace(setup, workers=2, contributions=2))


def ready_queue(study: Study, setup: Setup) -> Samples:
    """One backward at a time; zero to three workers take any node of it, as they come by it."""
    samples = []
    for run in range(study.runs):
        workers = 1 + run % 4
        before = engine.stats().hand_offs
        trained = train(replace(setup, parts=4, workers=workers, heavy=0))
        nodes = engine.stats().hand_offs - before
        samples.append(sampled(f"{workers} workers, {nodes} nodes handed off", trained))
    return samples


def shared_draws(study: Study, setup: Setup) -> Samples:
    """Dropout from the generator of the process: who comes first draws first."""
    return drawn(study, replace(setup, keyed=False))


def keyed_draws(study: Study, setup: Setup) -> Samples:
    """Dropout from numbers of the contribution's own (``engine.fork_rng``)."""
    return drawn(study, setup)


def drawn(study: Study, setup: Setup) -> Samples:
    """Two contributions, in an order that is drawn for each step, with dropout."""
    dropping = replace(setup, contributions=2, drop=0.5)
    return several(study, lambda run: replace(dropping, shuffle=run))


def failures(study: Study, setup: Setup) -> Samples:
    """A backward of each step raises, in two branches at once, among workers."""
    return several(study, lambda run: failing(setup, run))


def told(study: Study, setup: Setup) -> Samples:
    """The same; what is compared is which of the two errors each step was told."""
    errors = [train(failing(setup, run)).errors for run in range(study.runs)]
    return [Sample(str(run), " ".join(names)) for run, names in enumerate(errors)]


def failing(setup: Setup, run: int) -> Setup:
    """With a contribution that fails, and with one to four threads."""
    return replace(setup, faulty=True, workers=1 + run % 4, heavy=0)


def warm_up(study: Study, setups: Sequence[Setup], notice: Notice) -> Sequence[Samples]:
    """The same training again and again in one fresh process: the first is cold."""
    (found,) = in_processes(list(setups) * study.runs, [{}], notice)
    return [
        [Sample(f"run {run}", hash) for run, hash in enumerate(found[mode :: len(setups)])]
        for mode in range(len(setups))
    ]


def hash_seed(study: Study, setups: Sequence[Setup], notice: Notice) -> Sequence[Samples]:
    """Processes with other hashes of strings, and so other orders of sets, and other addresses."""
    seeds = range(min(study.runs, 4))
    return processes(setups, [("PYTHONHASHSEED", str(seed)) for seed in seeds], notice)


def blas_threads(study: Study, setups: Sequence[Setup], notice: Notice) -> Sequence[Samples]:
    """Processes whose BLAS has 1, 2 or 4 threads, with batches large enough for it to use them."""
    large = [replace(setup, batch=256, steps=4) for setup in setups]
    return processes(large, [("OPENBLAS_NUM_THREADS", count) for count in ("1", "2", "4")], notice)


def processes(
    setups: Sequence[Setup], variables: Sequence[tuple[str, str]], notice: Notice
) -> Sequence[Samples]:
    """A process for each value of an environment variable."""
    found = in_processes(setups, [{name: value} for name, value in variables], notice)
    return [
        [
            Sample(f"{name}={value}", hashes[mode])
            for (name, value), hashes in zip(variables, found, strict=True)
        ]
        for mode in range(len(setups))
    ]


def workers(study: Study, setups: Sequence[Setup], notice: Notice) -> Sequence[Samples]:
    """Threads as they come: the order of arrival, and what racy loses, as they happen to be.

    The setups take turns, so that their times can be compared on a machine that others use too.
    """
    found: list[list[Sample]] = [[] for _ in setups]
    for count in study.workers:
        notice(f"{count} threads")
        for _ in range(study.runs):
            for setup, samples in zip(setups, found, strict=True):
                trained = train(replace(setup, workers=count))
                samples.append(sampled(f"{count} threads", trained))
    return found


def same_seed(study: Study, setups: Sequence[Setup], notice: Notice) -> Sequence[Samples]:
    """Many processes, the same seed, two threads."""
    numbers = [("LAB_PROCESS", str(number)) for number in range(study.processes)]
    return processes([replace(setup, workers=2) for setup in setups], numbers, notice)


SOURCES = (
    Source("arrival", "order in which contributions come, in one thread", SORTED, here(arrival),
           control("locked")),
    Source("lost", "lost and torn updates: two contributions, two threads", NOT_RACY, here(lost),
           control("racy")),
    Source("ready-queue", "who runs which node of one backward", ALL, here(ready_queue),
           nothing_handed_off),
    Source("rng-shared", "dropout from one generator, who comes draws", NOBODY, here(shared_draws)),
    Source("rng-keyed", "dropout with a key for each contribution", ALL, here(keyed_draws)),
    Source("failure", "a backward that raises in two branches at once", NOT_RACY, here(failures)),
    Source("error-told", "which of the two errors is raised", ALL, here(told)),
    Source("warm-up", "first, second ... training in one process", ALL, warm_up),
    Source("hash-seed", "PYTHONHASHSEED, addresses of objects", ALL, hash_seed),
    Source("blas-threads", "OPENBLAS_NUM_THREADS 1, 2, 4", NOBODY, blas_threads),
    Source("workers", "threads as they come: 1 to 8 of them (D2)", SORTED, workers,
           control("locked")),
    Source("processes", "same seed, many processes, two threads (D8)", SORTED, same_seed,
           control("locked")),
)  # fmt: skip


def unheard(source: str, note: str) -> None:
    """Nobody wants to know how far it is."""


def cells(
    study: Study, sources: Sequence[Source], notice: Callable[[str, str], None] = unheard
) -> Iterator[Cell]:
    """A cell for each source and mode."""
    setups = [Setup(mode, steps=study.steps, seed=study.seed) for mode in study.modes]
    for source in sources:
        found = source.run(study, setups, partial(notice, source.name))
        for mode, samples in zip(study.modes, found, strict=True):
            yield Cell(source.name, mode, mode in source.keeps, tuple(samples))
