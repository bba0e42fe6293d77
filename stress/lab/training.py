"""The small real training that the lab looks at: digits, in steps of several micro-batches.

A step's micro-batches are its *contributions*: each is a forward and a backward of its own, run by
whichever thread is free, and all are added up in the parameters' ``.grad`` before the optimiser's
step. So this is data-parallel training; the modes of ``.grad`` are what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from math import sqrt
from time import process_time
from typing import Any, Protocol

import numpy as np

import engine
from engine.nn import functional
from stress.core.tactics import switching
from stress.data import load
from stress.lab.bits import Array, digest

__all__ = [
    "INTERVAL",
    "LEAVES",
    "MODES",
    "Accumulate",
    "Network",
    "Setup",
    "Trained",
    "accumulate",
    "gradient",
    "train",
]

MODES = ("racy", "locked", "ordered", "reproducible", "functional")
LEAVES = ("weight1", "bias1", "weight2", "bias2")
WIDTHS = (64, 128, 10)
INTERVAL = 1e-4  # seconds that a thread may keep the GIL: with 5 ms a backward is never interrupted

Losses = Callable[[int, int], engine.Tensor]


@dataclass(frozen=True, slots=True)
class Setup:
    """One training. Immutable.

    ``workers``: threads that run contributions. ``heavy``: as of ``engine.WorkerPool``; 0 offers
    every node of a backward to other threads too. ``parts``: pieces of a micro-batch whose losses
    are added, so that each parameter is used so often in one graph. ``drop``: probability of
    dropout; its random numbers are the process's (``keyed`` False), or each contribution's own.
    ``shuffle``: None, or the seed of the order in which contributions of a step are begun.
    ``faulty``: the last contribution of each step raises, in two places.
    """

    mode: str = "locked"
    workers: int = 1
    steps: int = 20
    contributions: int = 4
    batch: int = 16
    lr: float = 0.2
    seed: int = 0
    heavy: int | None = None
    parts: int = 1
    drop: float = 0.0
    keyed: bool = True
    shuffle: int | None = None
    faulty: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training. Immutable.

    ``digests[step][leaf]``: of ``.grad`` before the step's update. ``hash``: of the parameters.
    ``errors``: what contributions raised. ``cpu``: seconds, of all threads.
    """

    hash: str
    digests: tuple[tuple[str, ...], ...]
    parameters: tuple[Array, ...]
    loss: float
    cpu: float
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class Network:
    """Two linear layers; its parameters start as PyTorch's do. Racy where modes are."""

    parameters: list[engine.Tensor] = field(default_factory=list)

    @staticmethod
    def of(seed: int) -> Network:
        """Parameters that depend on the seed alone."""
        random = np.random.default_rng(seed)
        inputs, hidden, outputs = WIDTHS
        made = []
        for shape, fan in (((hidden, inputs), inputs), ((hidden,), inputs),
                           ((outputs, hidden), hidden), ((outputs,), hidden)):  # fmt: skip
            values = random.uniform(-1, 1, shape).astype(np.float32) / np.float32(sqrt(fan))
            made.append(engine.tensor(values, requires_grad=True))
        return Network(made)

    def loss(self, x: Array, y: Array, drop: float) -> engine.Tensor:
        """The mean cross entropy of a batch."""
        return functional.cross_entropy(self.logits(x, drop), engine.from_numpy(np.array(y)))

    def logits(self, x: Array, drop: float = 0.0) -> engine.Tensor:
        """Of a batch."""
        w1, b1, w2, b2 = self.parameters
        inner = functional.relu(functional.linear(engine.from_numpy(np.array(x)), w1, b1))
        return functional.linear(functional.dropout(inner, drop) if drop else inner, w2, b2)


class Accumulate(Protocol):
    """How a contribution reaches the parameters. Internally synchronised."""

    def __call__(self, step: int, contribution: int, loss: engine.Tensor) -> None:
        """Differentiate, and add."""

    def finish(self, step: int) -> None:
        """All contributions of the step are there; called in the thread that steps."""


class Through:
    """As the engine does it, in a mode of ``.grad``; ``ordered`` with the contribution's number."""

    def __init__(self, setup: Setup, parameters: Sequence[engine.Tensor]) -> None:
        self.mode, self.count = setup.mode, setup.contributions
        self.tickets = engine.Tickets(bound=setup.contributions) if self.mode == "ordered" else None

    def __call__(self, step: int, contribution: int, loss: engine.Tensor) -> None:
        """A backward."""
        ticket = step * self.count + contribution if self.tickets else None
        with engine.accumulation(self.mode, self.tickets):
            loss.backward(ticket=ticket)

    def finish(self, step: int) -> None:
        """Nothing is left to do."""


class Functional:
    """Gradients are taken, kept, and added in the order of their numbers when all are there."""

    def __init__(self, setup: Setup, parameters: Sequence[engine.Tensor]) -> None:
        self.parameters = parameters
        # Setting an item is atomic, and each is set by one thread.
        self.kept: dict[int, Sequence[engine.Tensor | None]] = {}

    def __call__(self, step: int, contribution: int, loss: engine.Tensor) -> None:
        """A gradient."""
        self.kept[contribution] = engine.grad(loss, self.parameters)

    def finish(self, step: int) -> None:
        """The sums become ``.grad``."""
        for index, parameter in enumerate(self.parameters):
            grads = [g for c in sorted(self.kept) if (g := self.kept[c][index]) is not None]
            total = grads[0].numpy().copy()
            for g in grads[1:]:
                total += g.numpy()
            parameter.grad = engine.from_numpy(total)
        self.kept = {}


def accumulate(setup: Setup, parameters: Sequence[engine.Tensor]) -> Accumulate:
    """The way of ``setup.mode``."""
    kind = Functional if setup.mode == "functional" else Through
    return kind(setup, parameters)


Make = Callable[[Setup, Sequence[engine.Tensor]], Accumulate]


@cache
def digits() -> tuple[Array, Array]:
    """The examples and their labels; immutable."""
    data = load("digits")
    return data.x_train, data.y_train


def train(
    setup: Setup, make: Make = accumulate, notice: Callable[[int], None] = lambda step: None
) -> Trained:
    """Train once. All that is random depends on the setup's seeds, but for how threads interleave.

    ``make``: how contributions reach the parameters. ``notice(step)``: after each step.
    """
    engine.manual_seed(setup.seed)
    network = Network.of(setup.seed)
    way = make(setup, network.parameters)
    job = Job(setup, network, way)
    optimizer = engine.optim.SGD(network.parameters, lr=setup.lr / setup.contributions)
    digests: list[tuple[str, ...]] = []
    begun = process_time()
    with switching(INTERVAL), crew(setup):
        for step in range(setup.steps):
            # Zeros, not None: where there is no .grad, the first contribution is never racy.
            optimizer.zero_grad(set_to_none=setup.mode != "racy")
            job.run(step)
            way.finish(step)
            digests.append(tuple(digest([gradient(p)]) for p in network.parameters))
            optimizer.step()
            notice(step)
    cpu = process_time() - begun
    arrays = tuple(p.detach().numpy().copy() for p in network.parameters)
    final = float(np.mean([job.losses[c] for c in sorted(job.losses)]))
    return Trained(digest(arrays), tuple(digests), arrays, final, cpu, tuple(job.errors))


def gradient(parameter: engine.Tensor) -> Array:
    """``.grad`` as an array; an empty one where there is none."""
    grad = parameter.grad
    return np.zeros(0) if grad is None else np.asarray(grad.numpy())


@contextmanager
def crew(setup: Setup) -> Iterator[None]:
    """Threads for the contributions: the one that waits for them is one of them."""
    options: dict[str, Any] = {} if setup.heavy is None else {"heavy": setup.heavy}
    with engine.WorkerPool(setup.workers - 1, **options):
        yield


class Job:
    """The contributions of one training."""

    def __init__(self, setup: Setup, network: Network, way: Accumulate) -> None:
        self.setup, self.network, self.way = setup, network, way
        x, y = digits()
        self.x, self.y = x, y
        self.order = np.random.default_rng((setup.seed, 1)).permutation(len(x))
        self.losses: dict[int, float] = {}  # of the last step; each item is set by one thread
        self.errors: list[str] = []  # append is atomic

    def run(self, step: int) -> None:
        """All contributions of a step."""
        setup = self.setup
        sequence: Sequence[int] = range(setup.contributions)
        if setup.shuffle is not None:
            random = np.random.default_rng((setup.shuffle, step))
            sequence = random.permutation(setup.contributions).tolist()
        if setup.heavy is not None:  # workers help with nodes, one backward after the other
            for contribution in sequence:
                self.contribute(step, contribution)
            return
        handles = [engine.submit(partial(self.contribute, step, c)) for c in sequence]
        engine.wait(handles)
        for handle in handles:
            handle.result()

    def contribute(self, step: int, contribution: int) -> None:
        """One of them, in whatever thread."""
        if not self.setup.keyed:
            self.add(step, contribution)
            return
        with engine.fork_rng(self.setup.seed, step, contribution):
            self.add(step, contribution)

    def add(self, step: int, contribution: int) -> None:
        """Forward, and into the parameters."""
        loss = self.loss(step, contribution)
        self.losses[contribution] = float(loss)
        if self.setup.faulty and contribution == self.setup.contributions - 1:
            try:
                self.way(step, contribution, faulty(loss, self.network.parameters))
            except Fault as fault:
                self.errors.append(str(fault))
        else:
            self.way(step, contribution, loss)

    def loss(self, step: int, contribution: int) -> engine.Tensor:
        """Of one micro-batch, in so many parts."""
        setup = self.setup
        first = (step * setup.contributions + contribution) * setup.batch
        rows = self.order[np.arange(first, first + setup.batch) % len(self.order)]
        losses = [
            self.network.loss(self.x[part], self.y[part], setup.drop)
            for part in np.array_split(rows, setup.parts)
        ]
        return sum(losses[1:], losses[0])


class Fault(Exception):
    """What the faulty contributions raise."""


def faulty(loss: engine.Tensor, parameters: Sequence[engine.Tensor]) -> engine.Tensor:
    """The same loss, and two more branches, whose backwards raise."""
    for index in (0, 1):
        branch = parameters[index] * 2.0
        branch.register_hook(partial(explode, LEAVES[index]))
        loss = loss + branch.sum()
    return loss


def explode(name: str, g: Any) -> None:
    """A hook that raises."""
    raise Fault(name)
