"""The peer: the training step in PyTorch eager, as its users write it."""

from __future__ import annotations

from importlib.util import find_spec

from stress.bench.workloads import LEARNING_RATE, Problem, Scalar, Step

__all__ = ["torch_installed", "torch_step"]


def torch_installed() -> bool:
    """Whether PyTorch can be imported (extra ``peers``); does not import it."""
    return find_spec("torch") is not None


def torch_step(problem: Problem) -> Step:
    """The training step in PyTorch, on one thread, with the defaults of its SGD."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    parameters = [torch.from_numpy(array).requires_grad_() for array in problem.copies()]
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    inputs, targets = torch.from_numpy(problem.inputs), torch.from_numpy(problem.targets)
    optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE)

    def step() -> Scalar:
        hidden = inputs
        for weight, bias in layers[:-1]:
            hidden = functional.relu(functional.linear(hidden, weight, bias))
        weight, bias = layers[-1]
        loss: Scalar = functional.cross_entropy(functional.linear(hidden, weight, bias), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[attr-defined]
        optimizer.step()
        return loss

    return step
