"""What the numbered cases share: leaves, and threads that begin together."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

PATIENCE = 20.0  # seconds until a thread that should have come is a failure
SIZE = 10_000  # elements: enough for NumPy to let go of the GIL


class Outcome(NamedTuple):
    """How a thread's function ended."""

    value: Any = None
    error: BaseException | None = None


def outcomes(*functions: Callable[[], Any]) -> list[Outcome]:
    """Call each function in a thread of its own; they begin together."""
    start = threading.Barrier(len(functions))
    ended = [Outcome()] * len(functions)

    def call(index: int, function: Callable[[], Any]) -> None:
        try:
            start.wait(PATIENCE)
            ended[index] = Outcome(function())
        except BaseException as error:
            ended[index] = Outcome(error=error)

    threads = [threading.Thread(target=call, args=job) for job in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread does not come to an end"
    return ended


def together(*functions: Callable[[], Any]) -> list[Any]:
    """As `outcomes`, for functions that may not fail: their values."""
    ended = outcomes(*functions)
    for outcome in ended:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in ended]


def leaf(lib: Any, *values: float) -> Any:
    """A leaf of the values, in float32; of one value, a scalar."""
    return lib.tensor(values[0] if len(values) == 1 else list(values), requires_grad=True)


def long(lib: Any, value: float = 1.0, size: int = SIZE) -> Any:
    """A leaf of many equal elements."""
    return lib.tensor(np.full(size, value, "float32"), requires_grad=True)


def has_grad(x: Any) -> bool:
    """Whether a gradient has arrived."""
    return x.grad is not None


def only(tensor: Any) -> float:
    """The value that all elements of a tensor have."""
    (value,) = set(np.unique(tensor.detach().numpy()).tolist())
    return float(value)


def custom(lib: Any, forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """`apply` of a Function made of two functions."""
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    kind: Any = type("Custom", (lib.autograd.Function,), body)
    return kind.apply
