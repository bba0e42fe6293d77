"""Train shared parameters from many threads at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from .. import modes, sync
from ..autograd import starts
from ..errors import ArgumentError, OperandError, ShapeError
from ..graph import Node
from ..optim import SGD
from ..runtime.execute import run
from ..runtime.plan import Plan
from ..runtime.pool import WorkerPool, current_pool
from ..tensor import Tensor, from_array
from .result import EpochStats, Progress, TrainResult, environment
from .share import one_blas_thread, shared
from .snapshot import Writers, writing
from .update import Apply, Update, update_mode

Loss = Callable[..., Tensor]


def train(
    loss: Loss,
    data: Sequence[np.ndarray | Tensor],
    optimizer: SGD,
    *,
    threads: int = 2,
    mode: str = "racy",
    epochs: int = 1,
    batch_size: int = 64,
    seed: int = 0,
    evaluate: Callable[[], float] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Minimise ``loss`` over ``data`` with ``threads`` threads on the optimiser's parameters.

    ``loss(*batch)`` returns a scalar Tensor; it gets rows of each array in ``data`` (equally long)
    as Tensors. Each example is used exactly once an epoch, in an order that depends on ``seed`` and
    the epoch alone, and random numbers drawn in ``loss`` (``engine.rand`` ...) depend on ``seed``
    and the step alone: neither on the number of threads. ``evaluate`` runs after each epoch while
    no thread trains; ``progress`` about ten times a second; both in the calling thread.

    ``mode``: ``"racy"`` writes componentwise without a lock (Hogwild; writes may be lost),
    ``"locked"`` writes each parameter under its lock (none is lost), ``"serial"`` uses one thread
    (plain SGD, the same bits every run). With several threads ``racy`` and ``locked`` are **not**
    deterministic. Reads are never locked: a step may see some parameters before and some after
    another step's write; ``hogwild.snapshot`` reads what no step is half-written in. Parameters are
    marked as shared meanwhile (``share``).

    ``loss`` runs in all threads at once: externally synchronised where it touches anything but its
    arguments and the parameters. BLAS is capped at one thread each meanwhile, process-wide.

    An exception in any thread stops all and is raised with a note that names its step; the
    parameters then hold the updates of the steps that were done. Ctrl-C likewise.

    >>> import engine
    >>> x = np.linspace(-1, 1, 256, dtype="f4")
    >>> w = engine.zeros(1, requires_grad=True)
    >>> result = train(
    ...     lambda x, y: ((x * w - y) ** 2).mean(), (x, 3 * x),
    ...     engine.optim.SGD([w], lr=0.5), threads=2, epochs=20,
    ... )
    >>> round(w.item(), 2), result.steps
    (3.0, 80)
    """
    update = update_mode(mode)
    arrays = _check(
        loss, data, optimizer, threads=threads, epochs=epochs, batch_size=batch_size, seed=seed
    )
    workers = threads if update.concurrent else 1
    writers = Writers(optimizer.params, workers)
    job = Job(loss, arrays, optimizer, update, batch_size, seed, writers)
    started = perf_counter()
    stats: list[EpochStats] = []

    def report(step: int) -> None:
        if progress is not None:
            progress(Progress(len(stats), epochs, step, job.steps, stats[-1] if stats else None))

    with one_blas_thread(), shared(optimizer.params), writing(writers):
        facts = environment()
        for epoch in range(epochs):
            seconds, mean = job.run_epoch(epoch, report)
            metric = None if evaluate is None else _evaluated(evaluate)
            stats.append(EpochStats(epoch, mean, metric, seconds, job.steps / seconds))
            report(0)
    staleness = dict(sorted(job.staleness.items()))
    seconds = perf_counter() - started
    return TrainResult(mode, workers, tuple(stats), staleness, facts, epochs * job.steps, seconds)


def _check(
    loss: Loss, data: Sequence[np.ndarray | Tensor], optimizer: SGD, **counts: int
) -> list[np.ndarray]:
    for name, value in counts.items():
        least = 0 if name == "seed" else 1
        if not isinstance(value, int) or value < least:
            raise ArgumentError(f"train: {name} must be an int of {least} or more, got {value!r}")
    if not callable(loss):
        raise OperandError(f"train: loss must be a function, got {type(loss).__name__}")
    if not isinstance(data, Sequence):
        raise OperandError(f"train: data must be a tuple of arrays, got {type(data).__name__}")
    if not isinstance(optimizer, SGD):
        raise OperandError(f"train: optimizer must be an SGD, got {type(optimizer).__name__}")
    arrays = [a._data if isinstance(a, Tensor) else np.asarray(a) for a in data]
    lengths = {len(a) if a.ndim else 0 for a in arrays}
    if len(lengths) != 1 or 0 in lengths:
        shapes = [a.shape for a in arrays]
        raise ShapeError(f"train: data must be equally long non-empty arrays, got shapes {shapes}")
    return arrays


def _evaluated(evaluate: Callable[[], float]) -> float:
    with modes.no_grad():
        return float(evaluate())


@dataclass(slots=True)
class Tally:
    """What one thread counts. Thread-local until the thread has ended."""

    lock: Any  # immutable: held while it writes; see `snapshot`
    loss: float = 0.0  # summed over examples
    staleness: Counter[int] = field(default_factory=Counter)


class Crew:
    """Threads that begin together, and whose ends are known. Internally synchronised."""

    def __init__(self) -> None:
        # Opened when all threads stand, or when they are to go: so one that Ctrl-C has kept out of
        # the list, while it was being started, makes no step.
        self.gate = sync.queue()
        self._ended: dict[int, None] = {}  # setting an item is atomic
        self._bell = sync.queue()  # rung after each

    def work(self, index: int, target: Callable[[], None]) -> None:
        """What thread ``index`` runs: ``target``, once the gate is open."""
        self.gate.get()
        self.gate.put(None)  # for the next
        try:
            target()
        finally:
            self._ended[index] = None
            self._bell.put(None)

    def has_ended(self, count: int, timeout: float | None) -> bool:
        """Whether the first ``count`` threads have ended; waits for one of them to.

        Not ``join``: interrupted, that of Python 3.11 takes a thread for ended that is not.
        """
        if any(index not in self._ended for index in range(count)):
            with suppress(sync.Empty):
                self._bell.get(timeout=timeout)
            return False
        return True


class Job:
    """The threads of one training run and what they share."""

    def __init__(
        self,
        loss: Loss,
        arrays: Sequence[np.ndarray],
        optimizer: SGD,
        update: Update,
        batch_size: int,
        seed: int,
        writers: Writers,
    ) -> None:
        # Immutable.
        self.writers = writers
        self.loss = loss
        self.arrays = arrays
        self.optimizer = optimizer
        self.update = update
        self.batch_size = batch_size
        self.seed = seed
        self.context = copy_context()  # of the caller of train; never entered: copies of it are
        self.examples = len(arrays[0])
        self.steps = -(-self.examples // batch_size)
        self.index: dict[Node, int] = {p._leaf("train"): i for i, p in enumerate(optimizer.params)}
        self.staleness: Counter[int] = Counter()  # touched between epochs only
        # Set between epochs, while no thread runs.
        self.order = np.arange(0)
        self.first_step = 0
        self.tickets = sync.Counter()  # internally synchronised: which batch comes next
        self.written = sync.Counter()  # internally synchronised: steps whose updates are written
        self.failures: list[tuple[int, BaseException]] = []  # append is atomic
        self.stopped = False  # atomic; a stale read trains one more step

    def run_epoch(self, epoch: int, report: Callable[[int], None]) -> tuple[float, float]:
        """One pass over the data, by a thread for each writer: (seconds, mean loss)."""
        self.order = np.random.default_rng((self.seed, epoch)).permutation(self.examples)
        self.first_step = epoch * self.steps
        self.tickets = sync.Counter()
        tallies = [Tally(lock) for lock in self.writers.locks]
        started = perf_counter()
        self._run_threads([partial(self._train, tally) for tally in tallies], report)
        seconds = perf_counter() - started
        for tally in tallies:
            self.staleness += tally.staleness
        return seconds, sum(tally.loss for tally in tallies) / self.examples

    def _run_threads(
        self, targets: Sequence[Callable[[], None]], report: Callable[[int], None]
    ) -> None:
        """Start a thread for each target and wait until all have ended, whatever happens here:
        a thread that cannot be started, Ctrl-C, a failing ``report``."""
        threads: list[sync.Joinable] = []
        crew = Crew()
        try:
            for index, target in enumerate(targets):
                # They see the context of train's caller, NumPy's error state in it, which some
                # builds of Python would pass on by themselves and others not.
                work = partial(self.context.copy().run, crew.work, index, target)
                threads.append(sync.start_thread(work, f"hogwild-{index}"))
            crew.gate.put(None)
            while not crew.has_ended(len(threads), 0.1):
                report(min(self.tickets.value, self.steps))
        finally:
            self.stopped = True
            crew.gate.put(None)
            while not crew.has_ended(len(threads), None):
                pass
            for thread in threads:
                thread.join()
        self.stopped = False
        if self.failures:
            _, error = min(self.failures, key=lambda failure: failure[0])
            raise error

    def _train(self, tally: Tally) -> None:
        """One thread's share of an epoch."""
        batch = -1
        try:
            with WorkerPool(0):  # the threads are the parallelism
                while not self.stopped and (batch := self.tickets.next()) < self.steps:
                    self._step(batch, tally)
        except BaseException as error:  # belongs to the caller of train, with the step that failed
            step = self.first_step + batch
            error.add_note(f"in step {step} of engine.hogwild.train (batch {batch} of its epoch)")
            self.failures.append((step, error))
            self.stopped = True
        finally:
            modes.state.stream = None

    def _step(self, batch: int, tally: Tally) -> None:
        rows = self.order[batch * self.batch_size : (batch + 1) * self.batch_size]
        modes.state.stream = modes.Stream(self.seed, self.first_step + batch)
        begun = self.written.value
        value = self.loss(*[from_array(a[rows]) for a in self.arrays])
        edges, gradients = starts((value,), None, False)
        plan = Plan.of(edges)
        run(
            plan,
            gradients,
            Apply(plan.nodes, self.optimizer, self.update, self.index, tally.lock),
            current_pool(),
        )
        tally.staleness[self.written.next() - begun] += 1
        tally.loss += float(value) * len(rows)
