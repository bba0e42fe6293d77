"""How far training spreads: over seeds, and over repeats of one seed, which differ by threads only.

Asynchronous training (``hogwild.train``) in its modes, and synchronous training in ``ordered``,
where a step adds up as many micro-batches as there are threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, pstdev

import numpy as np

import engine
from stress.data import load
from stress.lab.bits import digest
from stress.lab.notice import Notice, part, unheard
from stress.lab.training import Network, Setup, train
from stress.report.terminal import Table

__all__ = ["MODES", "Ended", "Spreading", "spread_table", "spreads"]

MODES = ("serial", "racy", "locked", "ordered")


@dataclass(frozen=True, slots=True)
class Spreading:
    """What to train. Immutable."""

    modes: tuple[str, ...] = MODES
    seeds: int = 30
    repeats: int = 2
    threads: int = 2
    epochs: int = 5
    batch: int = 16
    lr: float = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """One training. Immutable. ``loss``: on the test examples, as ``accuracy``."""

    mode: str
    seed: int
    repeat: int
    hash: str
    loss: float
    accuracy: float


def spreads(what: Spreading, notice: Notice = unheard) -> Iterator[Ended]:
    """Every mode, seed and repeat."""
    runs = list(product(what.modes, range(what.seeds), range(what.repeats)))
    for index, (mode, seed, repeat) in enumerate(runs):
        yield judged(what, mode, seed, repeat, part(notice, index, len(runs)))


def judged(what: Spreading, mode: str, seed: int, repeat: int, notice: Notice = unheard) -> Ended:
    """Train once, and look at the test examples. Each step, or nearly each, is told."""

    def step(done: int, steps: int) -> None:
        notice(done / steps, f"{mode}, seed {seed}, run {repeat}, step {done} of {steps}")

    network = ticketed(what, seed, step) if mode == "ordered" else hogwild(what, mode, seed, step)
    data = load("digits")
    with engine.no_grad():
        loss = float(network.loss(data.x_test, data.y_test, 0.0))
        logits = network.logits(data.x_test).numpy()
    accuracy = float(np.mean(np.argmax(logits, axis=1) == data.y_test))
    arrays = [parameter.detach().numpy() for parameter in network.parameters]
    return Ended(mode, seed, repeat, digest(arrays), loss, accuracy)


def hogwild(what: Spreading, mode: str, seed: int, notice: Callable[[int, int], None]) -> Network:
    """Asynchronous: each thread steps by itself."""
    network, data = Network.of(seed), load("digits")
    engine.hogwild.train(
        lambda x, y: network.loss(x.numpy(), y.numpy(), 0.0),
        (data.x_train, data.y_train),
        engine.optim.SGD(network.parameters, lr=what.lr),
        threads=what.threads, mode=mode, epochs=what.epochs, batch_size=what.batch, seed=seed,
        progress=lambda at: notice(at.epoch * at.steps + at.step, at.epochs * at.steps),
    )  # fmt: skip
    return network


def ticketed(what: Spreading, seed: int, notice: Callable[[int, int], None]) -> Network:
    """Synchronous: as many examples in all, in ``ordered``."""
    examples = what.epochs * len(load("digits").x_train)
    setup = Setup(
        "ordered", what.threads, examples // (what.batch * what.threads), what.threads,
        what.batch, what.lr * what.threads, seed,
    )  # fmt: skip
    arrays = train(setup, notice=lambda step: notice(step + 1, setup.steps)).parameters
    return Network([engine.tensor(array, requires_grad=True) for array in arrays])


def spread_table(found: Sequence[Ended]) -> Table:
    """A row for each mode."""
    rows = [row(mode, [end for end in found if end.mode == mode])
            for mode in dict.fromkeys(end.mode for end in found)]  # fmt: skip
    columns = (
        "mode",
        "seeds",
        "same bits",
        "test loss",
        "sd of seeds",
        "sd of repeats",
        "accuracy",
    )
    return Table("Spread of training over seeds and repeats", columns, rows, frozenset({"mode"}))


def row(mode: str, found: Sequence[Ended]) -> tuple[str, ...]:
    """``same bits``: seeds whose repeats agree in every bit."""
    seeds: dict[int, list[Ended]] = {}
    for end in found:
        seeds.setdefault(end.seed, []).append(end)
    same = sum(len({end.hash for end in ends}) == 1 for ends in seeds.values())
    means = [fmean(end.loss for end in ends) for ends in seeds.values()]
    within = fmean(pstdev([end.loss for end in ends]) for ends in seeds.values())
    accuracy = fmean(end.accuracy for end in found)
    return (
        mode, str(len(seeds)), f"{same} of {len(seeds)}", f"{fmean(means):.4f}",
        f"{pstdev(means):.4f}", f"{within:.5f}", f"{100 * accuracy:.2f} %",
    )  # fmt: skip
