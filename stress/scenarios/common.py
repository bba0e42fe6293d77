"""What the scenarios share: outcomes, the trap of functional runs, one way to contribute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

import engine
from stress.core.outcome import Outcome, acceptable, forbidden
from stress.core.scenario import Observation, Params
from stress.oracles.trap import GradTrap

__all__ = [
    "FUNCTIONAL",
    "Array",
    "Declare",
    "always",
    "arrays",
    "differentiate",
    "fresh_leaf",
    "private",
    "same_bits",
    "tally",
    "trapped",
]

Array = npt.NDArray[Any]
Declare = Callable[[Params], Sequence[Outcome]]


def always(*outcomes: Outcome) -> Declare:
    """The same outcomes in every configuration."""
    return lambda params: outcomes


FUNCTIONAL = always(
    acceptable("kept", "every result is the whole gradient"),
    forbidden("wrong", "a functional gradient depends on its own call alone"),
    forbidden("touched *", "a functional gradient reads and writes no .grad"),
)


def trapped(params: Params) -> AbstractContextManager[GradTrap | None]:
    """The trap on ``.grad``, in the mode that promises never to touch it."""
    return GradTrap() if params.mode == "functional" else nullcontext()


def fresh_leaf(params: Params) -> engine.Tensor:
    """A leaf of zeros without a gradient."""
    return engine.zeros(params.size, dtype=params.dtype, requires_grad=True)


def arrays(results: Sequence[engine.Tensor | None]) -> tuple[Array, ...]:
    """The gradients as arrays; raises ``AssertionError`` where one is missing."""
    found = []
    for result in results:
        assert result is not None, "a gradient is missing"
        found.append(np.asarray(result.numpy()))
    return tuple(found)


def same_bits(left: Sequence[Array], right: Sequence[Array]) -> bool:
    """Whether all arrays are equal bit by bit."""
    return len(left) == len(right) and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(left, right, strict=True)
    )


def differentiate(
    mode: str, output: engine.Tensor, leaf: engine.Tensor, gradient: engine.Tensor | None = None
) -> Array | None:
    """Run one backward in ``mode``; the gradient of ``leaf`` where it is functional, else None."""
    if mode == "functional":
        return arrays(engine.grad(output, [leaf], None if gradient is None else [gradient]))[0]
    output.backward(gradient, accumulation=mode)
    return None


def private(trap: GradTrap, samples: int, wrong: int) -> Observation:
    """What the arbiter saw of ``samples`` functional gradients, ``wrong`` of them not as expected.

    Reads the trap, and nothing that would set it off.
    """
    return Observation(tally(trap, {"kept": samples - wrong, "wrong": wrong}))


def tally(trap: GradTrap | None, fates: Mapping[str, int]) -> dict[str, int]:
    """The outcomes that were seen, and what the trap caught."""
    seen = {fate: times for fate, times in fates.items() if times > 0}
    return seen | {f"touched {what}": 1 for what in (trap.touched() if trap else ())}
