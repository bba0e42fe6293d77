"""The hand-written contestant: the training step in bare NumPy, no graph, no generality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stress.bench.workloads import LEARNING_RATE, Problem, Scalar, Step

__all__ = ["numpy_step"]

Array = NDArray[Any]

ZERO = np.zeros((), np.float32)  # a 0-d array of the right dtype is the cheapest scalar operand


def numpy_step(problem: Problem) -> Step:
    """The training step as one who knows NumPy well writes it for just this network.

    Bias, ReLU and their gradients in place, column sums by BLAS, a scratch array per parameter for
    the update, no gradient of the input. Fresh and kept buffers were equally fast for the rest, so
    they are fresh.
    """
    parameters = problem.copies()
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    updates = [Descent(array) for array in parameters]
    targets, rows = problem.targets, np.arange(len(problem.targets))
    ones = np.ones(len(targets), np.float32)

    def step() -> Scalar:
        *activations, logits = forward(layers, problem.inputs)
        loss, gradient = cross_entropy(logits, rows, targets)
        for index in range(len(layers) - 1, -1, -1):
            of_weight, of_bias = gradient.T.dot(activations[index]), ones.dot(gradient)
            if index:
                gradient = gradient.dot(layers[index][0])
                gradient *= activations[index] > ZERO
            updates[2 * index](of_weight)
            updates[2 * index + 1](of_bias)
        return loss

    return step


def forward(layers: list[tuple[Array, Array]], inputs: Array) -> list[Array]:
    """The input of each layer, and the logits."""
    activations = [inputs]
    for weight, bias in layers:
        hidden = activations[-1].dot(weight.T)
        hidden += bias
        activations.append(hidden)
        if len(activations) <= len(layers):
            np.maximum(hidden, ZERO, out=hidden)
    return activations


def cross_entropy(logits: Array, rows: Array, targets: Array) -> tuple[Scalar, Array]:
    """The mean loss, and the gradient of the logits, which is written over them."""
    logits -= np.maximum.reduce(logits, 1, keepdims=True)
    picked = logits[rows, targets]
    exponentials = np.exp(logits, out=logits)
    sums = np.add.reduce(exponentials, 1)
    loss: Scalar = np.add.reduce(np.log(sums) - picked) / len(rows)
    sums *= len(rows)
    exponentials /= sums[:, None]
    exponentials[rows, targets] -= 1 / len(rows)
    return loss, exponentials


class Descent:
    """``parameter -= rate * gradient`` without a temporary."""

    __slots__ = ("parameter", "rate", "scratch")

    def __init__(self, parameter: Array) -> None:
        self.parameter = parameter
        self.rate = np.full((), LEARNING_RATE, parameter.dtype)
        self.scratch = np.empty_like(parameter)

    def __call__(self, gradient: Array) -> None:
        np.multiply(gradient, self.rate, out=self.scratch)
        np.subtract(self.parameter, self.scratch, out=self.parameter)
