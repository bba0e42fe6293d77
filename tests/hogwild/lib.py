"""A problem small enough to watch: least squares whose loss tells which rows it was given."""

import threading
from typing import Any

import numpy as np

import engine

MODES = ("racy", "locked", "serial")
ROWS = 203  # no multiple of the batch


class Problem:
    """`loss` for `engine.hogwild.train`, with a log of what it saw."""

    def __init__(self, rows: int = ROWS, size: int = 4) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((rows, size)).astype("f4")
        self.truth = np.arange(1, size + 1, dtype="f4")
        self.y = self.x @ self.truth
        self.index = np.arange(rows)
        self.w = engine.zeros(size, requires_grad=True)
        self.batches: list[list[int]] = []  # append is atomic
        self.drawn: dict[tuple[int, ...], list[float]] = {}
        self.threads: set[str] = set()

    @property
    def data(self) -> tuple[np.ndarray, ...]:
        return self.x, self.y, self.index

    def loss(self, x: Any, y: Any, index: Any) -> Any:
        rows = index.tolist()
        self.batches.append(rows)
        self.threads.add(threading.current_thread().name)
        self.drawn[tuple(rows)] = engine.rand(3).tolist()
        return ((x @ self.w - y) ** 2).mean()

    def train(self, **options: Any) -> Any:
        optimizer = engine.optim.SGD([self.w], lr=options.pop("lr", 0.05))
        return engine.hogwild.train(
            options.pop("loss", self.loss), options.pop("data", self.data), optimizer, **options
        )

    def weights(self) -> bytes:
        return self.w.detach().numpy().tobytes()
