"""What the threads of a soak do: backwards of all kinds, among faults of all kinds."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

import engine
from engine.errors import CancelledError, DeadlineError, TicketsFullError
from stress.soak.ledger import Entry

__all__ = ["ACTIONS", "SIZES", "Shared", "Worker"]

SIZES = (1, 600, 10_000, 300)  # elements of the leaves, on both sides of where the GIL is released
MODES = ("locked", "ordered", "reproducible")
KEPT = 4  # one graph of so many is watched to its end


class Boom(Exception):
    """What hooks and rules of a soak raise."""


class Broken(engine.autograd.Function):  # type: ignore[misc]
    """A rule that raises."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """The input."""
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """Never a gradient."""
        raise Boom("rule")


class Shared:
    """What all threads of a round use. Internally synchronised."""

    def __init__(self) -> None:
        self.leaves = [
            engine.tensor(np.zeros(size), dtype="float64", requires_grad=True) for size in SIZES
        ]
        self.tickets = engine.Tickets(bound=256, timeout=5.0)


class Graph(NamedTuple):
    """A graph, and what its backward contributes."""

    loss: Any
    entries: Sequence[Entry]


class Worker:
    """One thread of a round. What it notes is read when it has ended; its hooks run anywhere."""

    def __init__(self, shared: Shared, key: str) -> None:
        self.shared = shared
        self.key = key
        self.random = Random(key)
        self.counts: Counter[str] = Counter()
        # Appending is atomic: hooks append too.
        self.entries: list[Entry] = []
        self.taken: list[tuple[int, Any]] = []
        self.nodes: list[Any] = []
        self.wrong: list[str] = []

    def run(self, until: float) -> None:
        """Act until then."""
        try:
            while monotonic() < until:
                act = self.random.choices(ACTIONS, WEIGHTS)[0]
                act(self)
                self.counts[act.__name__] += 1
        except BaseException as error:
            self.wrong.append(f"{threading.current_thread().name}: {error!r}")

    # -- graphs ------------------------------------------------------------------------------------

    def graph(self, what: str) -> Graph:
        """A graph over a few leaves, some of its nodes with hooks that change what comes."""
        parts, entries = [], []
        for index in self.random.sample(range(len(SIZES)), self.random.randint(1, 3)):
            a, b = self.random.randrange(1, 2**15), self.random.randrange(1, 2**15)
            leaf = self.shared.leaves[index]
            inner = leaf * float(a)
            if self.random.random() < 0.3:
                inner.register_hook(lambda g: g * 2)
                a *= 2
            parts.append((inner + leaf * float(b)).sum())
            entries.append(Entry(index, a + b, f"{what} {self.key}"))
        loss = sum(parts[1:], parts[0])
        if self.random.randrange(KEPT) == 0:
            self.nodes.append(weakref.ref(loss.grad_fn))
        return Graph(loss, entries)

    def nesting(self, graph: Graph) -> Graph:
        """The same, and a hook that runs a backward of its own, which counts for itself."""
        inner = self.graph("nested")

        def nested(g: Any) -> None:
            inner.loss.backward()
            self.entries.extend(inner.entries)

        outer = graph.loss * 1.0
        outer.register_hook(nested)
        return Graph(outer * 1.0, graph.entries)

    def any_graph(self, what: str) -> Graph:
        """With a backward in it or without."""
        graph = self.graph(what)
        return self.nesting(graph) if self.random.random() < 0.25 else graph

    def broken_graph(self) -> Any:
        """A loss whose backward raises, somewhere."""
        index = self.random.randrange(len(SIZES))
        bad = self.shared.leaves[index] * 3.0
        if self.random.random() < 0.5:
            bad = Broken.apply(bad)
        else:
            bad.register_hook(explode)
        return self.graph("broken").loss + bad.sum()

    @contextmanager
    def chosen(self) -> Iterator[str]:
        """One of the modes, for this thread."""
        mode = self.random.choice(MODES)
        tickets = self.shared.tickets if mode == "ordered" else None
        with engine.accumulation(mode, tickets):
            yield mode

    # -- actions -----------------------------------------------------------------------------------

    def plain(self) -> None:
        """A backward."""
        with self.chosen() as mode:
            graph = self.any_graph(f"plain {mode}")
            self.settle(graph.loss.backward, graph.entries)

    def settle(self, call: Callable[[], object], entries: Sequence[Entry]) -> None:
        """Call it: what it contributes counts if it returns, and not if it is refused."""
        try:
            call()
        except TicketsFullError:
            self.counts["refused"] += 1
        else:
            self.entries.extend(entries)
            self.counts["succeeded"] += 1

    def raised(self) -> None:
        """A backward that fails."""
        with self.chosen(), suppress(Boom, TicketsFullError):
            self.broken_graph().backward()
            self.wrong.append(f"{self.key}: a backward that fails did not raise")

    def pooled(self) -> None:
        """A backward with a pool of its own, to which every node is offered."""
        with engine.WorkerPool(self.random.randint(0, 2), heavy=0):
            self.plain()

    def submitted(self) -> None:
        """Several backwards on the pool, some of which fail."""
        with self.chosen() as mode:
            graphs = [self.any_graph(f"submitted {mode}") for _ in range(3)]
            handles = {engine.submit(graph.loss.backward): graph for graph in graphs}
            bad = engine.submit(self.broken_graph().backward)
            for handle in engine.as_completed(handles):
                self.settle(handle.result, handles[handle].entries)
            if not isinstance(bad.exception(), Boom | TicketsFullError):
                self.wrong.append(f"{self.key}: a task that fails ended with {bad.exception()!r}")

    def cancelled(self) -> None:
        """A task that is cancelled at some moment: all of it counts, or nothing."""
        with self.chosen() as mode:
            graph = self.any_graph(f"cancelled {mode}")
            handle = engine.submit(graph.loss.backward)
        for _ in range(self.random.randrange(200)):
            handle.done()
        won = handle.cancel()
        engine.wait([handle])
        if won != handle.cancelled():
            self.wrong.append(f"{self.key}: cancel() said {won}, cancelled() {not won}")
        self.ended(handle, graph, CancelledError)

    def timed(self) -> None:
        """A task with a deadline that may pass."""
        with self.chosen() as mode:
            graph = self.any_graph(f"timed {mode}")
            handle = engine.submit(graph.loss.backward, timeout=self.random.random() * 3e-3)
        self.ended(handle, graph, DeadlineError)

    def ended(self, handle: Any, graph: Graph, stop: type[Exception]) -> None:
        """Count a task that may have been stopped."""
        try:
            self.settle(handle.result, graph.entries)
        except stop:
            self.counts[f"stopped by {stop.__name__}"] += 1

    def functional(self) -> None:
        """Gradients that touch no ``.grad``, and are right."""
        index, value = self.random.randrange(len(SIZES)), self.random.randrange(1, 100)
        leaf = self.shared.leaves[index]
        (g,) = engine.grad((leaf * float(value)).sum(), leaf)
        if not (g.numpy() == value).all():
            self.wrong.append(f"{self.key}: engine.grad of leaf {index} is not {value}")

    def took(self) -> None:
        """Takes a gradient: what was taken and what is left are all that came."""
        index = self.random.randrange(len(SIZES))
        taken = self.shared.leaves[index].take_grad()
        if taken is not None:
            self.taken.append((index, taken.numpy()))

    def watched(self) -> None:
        """A backward with an observer that fails: nobody but its owner notices."""
        with suppress(Boom), engine.observe(Failing()):
            self.plain()

    def resized(self) -> None:
        """Another number of workers, while others use them."""
        engine.set_num_workers(self.random.randint(0, 3))


class Failing(engine.Observer):
    """An observer that raises at its first node."""

    def node_begin(self, node: Any) -> None:
        """Raise."""
        raise Boom("observer")


def explode(g: Any) -> None:
    """A hook that raises."""
    raise Boom("hook")


Action = Callable[[Worker], None]
ACTIONS: tuple[Action, ...] = (
    Worker.plain, Worker.raised, Worker.pooled, Worker.submitted, Worker.cancelled, Worker.timed,
    Worker.functional, Worker.took, Worker.watched, Worker.resized,
)  # fmt: skip
WEIGHTS = (6, 2, 1, 3, 3, 2, 2, 1, 1, 0.3)
