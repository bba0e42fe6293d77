"""Train a multilayer perceptron on real data with the engine's Hogwild trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, sqrt

import numpy as np

import engine
from engine.hogwild import Progress, TrainResult
from engine.nn import functional
from stress.core.child import Child, Report
from stress.core.result import Result, Verdict
from stress.core.scenario import Params
from stress.data import Dataset, load

__all__ = ["MODES", "Training", "follow", "judge", "train"]

MODES = ("serial", "racy", "locked")
PROMISED = 0.95  # test accuracy on the digits, in every mode
LIMIT = 60.0  # seconds without a step after which a training run counts as hanging


@dataclass(frozen=True, slots=True)
class Training:
    """What to train, and how. Immutable."""

    data: str = "digits"
    hidden: tuple[int, ...] = (128,)
    mode: str = "racy"
    threads: int = 2
    epochs: int = 20
    batch_size: int = 32
    lr: float = 0.1
    seed: int = 0


class Network:
    """Linear layers with relu between them; parameters start as PyTorch's do."""

    def __init__(self, sizes: tuple[int, ...], seed: int) -> None:
        random = np.random.default_rng(seed)
        self.layers = []
        for inputs, outputs in pairwise(sizes):
            bound = 1 / sqrt(inputs)
            shapes = ((outputs, inputs), (outputs,))
            arrays = [random.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes]
            self.layers.append([engine.tensor(array, requires_grad=True) for array in arrays])

    @property
    def parameters(self) -> list[engine.Tensor]:
        """All weights and biases."""
        return [parameter for layer in self.layers for parameter in layer]

    def __call__(self, x: engine.Tensor) -> engine.Tensor:
        """The logits of a batch."""
        *hidden, (weight, bias) = self.layers
        for layer in hidden:
            x = functional.relu(functional.linear(x, *layer))
        return functional.linear(x, weight, bias)

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        """The share of examples whose largest logit is at their label."""
        logits = self(engine.from_numpy(x)).detach().numpy()
        return float(np.mean(logits.argmax(axis=1) == y))


def train(training: Training, report: Callable[[Progress], None]) -> TrainResult:
    """Train here; raises ``DataError`` for data that cannot be used."""
    data = load(training.data)
    network = Network(sizes(training, data), training.seed)
    x_test, y_test = np.array(data.x_test), np.array(data.y_test)
    return engine.hogwild.train(
        lambda x, y: functional.cross_entropy(network(x), y),
        (data.x_train, data.y_train),
        engine.optim.SGD(network.parameters, lr=training.lr),
        threads=training.threads,
        mode=training.mode,
        epochs=training.epochs,
        batch_size=training.batch_size,
        seed=training.seed,
        evaluate=lambda: network.accuracy(x_test, y_test),
        progress=report,
    )


def sizes(training: Training, data: Dataset) -> tuple[int, ...]:
    """The widths of the network, from features to classes."""
    return (data.features, *training.hidden, data.classes)


def in_child(training: Training, report: Report) -> TrainResult:
    """Train as a job of a child process."""
    return train(training, report)


def follow(training: Training, child: Child, progress: Callable[[float, str], None]) -> TrainResult:
    """Train in ``child``, so that a hang or a crash can be told; show how it goes."""

    def update(seen: Progress) -> None:
        fraction = (seen.epoch + seen.step / seen.steps) / seen.epochs
        progress(fraction, describe(seen))

    return child.call(in_child, training, LIMIT, update)


def describe(seen: Progress) -> str:
    """How far training has come, in a few words."""
    words = f"epoch {min(seen.epoch + 1, seen.epochs)}/{seen.epochs}"
    if seen.last is None:
        return words
    return f"{words}, loss {seen.last.loss:.4f}, accuracy {100 * (seen.last.metric or 0):.2f} %"


def judge(training: Training, result: TrainResult) -> Result:
    """The verdict on the promise that the digits are learnt in every mode."""
    accuracy = result.metric or 0.0
    learnt = accuracy >= PROMISED and isfinite(result.loss)
    reason = f"test accuracy {accuracy:.2%} is below the promised {PROMISED:.0%}"
    verdict, reason = (Verdict.PASS, "") if learnt else (Verdict.FAIL, reason)
    stale = sum(steps for behind, steps in result.staleness.items() if behind)
    return replace(
        unjudged(training), verdict=verdict.value, reason=reason,
        samples=result.steps, trials=result.steps, seconds=result.seconds,
        overlap=stale / result.steps, notes=(f"test accuracy {accuracy:.2%}",),
    )  # fmt: skip


def unjudged(training: Training) -> Result:
    """A training run before anything is known of it."""
    params = Params(training.mode, training.threads, training.batch_size, "float32", training.seed)
    return Result(0, f"train.{training.data}", params, unit="steps")
