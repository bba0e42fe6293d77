"""The engine's contestants: the training step through its public API, alone and Hogwild."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import engine
from engine.nn import functional
from stress.bench.workloads import LEARNING_RATE, Problem, Scalar, Step

__all__ = ["Mode", "engine_step", "hogwild_step", "shared_parameters"]

Mode = Literal["racy", "locked"]


def engine_step(problem: Problem) -> Step:
    """The training step as the engine's users write it. Run it under ``WorkerPool(0)``."""
    parameters = trainable(problem)
    inputs, targets = batch(problem)
    optimizer = engine.optim.SGD(parameters, lr=LEARNING_RATE)

    def step() -> Scalar:
        loss = forward(parameters, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def shared_parameters(problem: Problem) -> list[engine.Tensor]:
    """Parameters that several threads may update while others read them."""
    parameters = trainable(problem)
    engine.hogwild.share(parameters)
    return parameters


def hogwild_step(
    parameters: Sequence[engine.Tensor], problem: Problem, mode: Mode
) -> Callable[[], None]:
    """One thread's training step: functional gradient, update of the shared parameters in place.

    The parameters are racy by intent: other threads write them between and during our reads. In
    ``locked`` mode each write holds its parameter's lock, so no update is lost.
    """
    inputs, targets = batch(problem)

    def update(parameter: engine.Tensor, gradient: engine.Tensor) -> None:
        parameter.sub_(gradient, alpha=LEARNING_RATE)

    def update_locked(parameter: engine.Tensor, gradient: engine.Tensor) -> None:
        with parameter.grad_lock:
            parameter.sub_(gradient, alpha=LEARNING_RATE)

    apply = update if mode == "racy" else update_locked

    def step() -> None:
        gradients = engine.grad(forward(parameters, inputs, targets), parameters)
        with engine.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                assert gradient is not None  # the loss depends on every parameter
                apply(parameter, gradient)

    return step


def trainable(problem: Problem) -> list[engine.Tensor]:
    """Private copies of the parameters, weight and bias in turn."""
    return [engine.tensor(array, requires_grad=True) for array in problem.copies()]


def batch(problem: Problem) -> tuple[engine.Tensor, engine.Tensor]:
    """Inputs and targets, without a copy."""
    return engine.from_numpy(problem.inputs), engine.from_numpy(problem.targets)


def forward(
    parameters: Sequence[engine.Tensor], inputs: engine.Tensor, targets: engine.Tensor
) -> engine.Tensor:
    """The loss of the MLP."""
    hidden = inputs
    *below, weight, bias = parameters
    for index in range(0, len(below), 2):
        hidden = functional.relu(functional.linear(hidden, below[index], below[index + 1]))
    return functional.cross_entropy(functional.linear(hidden, weight, bias), targets)
