"""What is timed: five multilayer perceptrons, from all overhead to all matrix product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEARNING_RATE", "MLPS", "Mlp", "Problem", "Scalar", "Step"]

LEARNING_RATE = 0.01  # ten steps move every loss by far more than the check's tolerance


class Scalar(Protocol):
    """A loss, in whatever type its maker has for one number."""

    def item(self) -> float:
        """The number."""


Step = Callable[[], Scalar]  # forward, backward, update; returns the loss before the update


@dataclass(frozen=True, slots=True)
class Mlp:
    """Layer widths and a batch size. Immutable.

    >>> Mlp("16-32-2 b8", (16, 32, 2), 8).parameters
    610
    """

    name: str
    widths: tuple[int, ...]
    batch: int

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum((i + 1) * o for i, o in zip(self.widths, self.widths[1:], strict=False))


MLPS = (
    Mlp("16-32-2 b8", (16, 32, 2), 8),
    Mlp("784-128-10 b32", (784, 128, 10), 32),
    Mlp("784-128-10 b128", (784, 128, 10), 128),
    Mlp("784-512-512-10 b128", (784, 512, 512, 10), 128),
    Mlp("16 x 64 b32", (64, *[64] * 16, 10), 32),
)


class Problem:
    """The weights and the batch that every contestant starts from. Immutable by convention.

    ``inputs``: float32 (batch, in). ``targets``: int64 (batch,). ``layers``: pairs of a float32
    weight (out, in) and a bias (out,). The same numbers for the same MLP, always.
    """

    def __init__(self, mlp: Mlp) -> None:
        rng = np.random.default_rng(0)
        self.inputs = rng.standard_normal((mlp.batch, mlp.widths[0]), dtype=np.float32)
        self.targets = rng.integers(0, mlp.widths[-1], mlp.batch)
        self.layers: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for i, o in zip(mlp.widths, mlp.widths[1:], strict=False):
            weight = rng.standard_normal((o, i), dtype=np.float32) * np.float32((2 / i) ** 0.5)
            self.layers.append((weight, np.zeros(o, np.float32)))

    def copies(self) -> list[NDArray[Any]]:
        """Fresh copies of all parameters, weight and bias in turn."""
        return [array.copy() for layer in self.layers for array in layer]
