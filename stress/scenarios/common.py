"""What the scenarios share: outcomes, observers, the trap on ``.grad``, ways to contribute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

import engine
from stress.core.outcome import Outcome, acceptable, forbidden
from stress.core.scenario import MODES, Observation, Params, quick
from stress.oracles.trap import GradTrap

__all__ = [
    "ANY",
    "EXACT",
    "FUNCTIONAL",
    "Array",
    "Declare",
    "Way",
    "always",
    "around",
    "arrays",
    "at_typical",
    "everywhere",
    "fresh_leaf",
    "observed",
    "private",
    "quick_in",
    "same_bits",
    "scattered",
    "tally",
    "times",
    "trapped",
]

Array = npt.NDArray[Any]
Declare = Callable[[Params], Sequence[Outcome]]

Tensors = engine.Tensor | Sequence[engine.Tensor]

LINE = 64  # bytes of a line of a cache

EXACT = ("locked", "ordered", "reproducible")  # modes of `.grad` that lose nothing


def always(*outcomes: Outcome) -> Declare:
    """The same outcomes in every configuration."""
    return lambda params: outcomes


ANY: frozenset[str] = frozenset()  # the tags of what belongs to a default run, and to no quick one


TYPICAL = 10_000  # elements: large enough for NumPy to let go of the GIL, and quick


def quick_in(*modes: str) -> Callable[[Params], frozenset[str]]:
    """Tags: a quick run needs no more than these modes to tell whether all is well."""
    return lambda params: quick(params) if params.mode in modes else ANY


def at_typical(tags: Callable[[Params], frozenset[str]]) -> Callable[[Params], frozenset[str]]:
    """The tags, where the size is ``TYPICAL``; none at others."""
    return lambda params: tags(params) if params.size == TYPICAL else ANY


def around(edge: int) -> tuple[int, ...]:
    """Sizes: on both sides of where NumPy lets go of the GIL, and well beyond."""
    return edge - 1, edge, TYPICAL


def everywhere(declare: Declare) -> dict[str, Declare]:
    """The same outcomes in every mode."""
    return dict.fromkeys(MODES, declare)


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


def scattered(params: Params) -> engine.Tensor:
    """Zeros, each in a cache line of its own and at no address that is a multiple of its size.

    NumPy goes through such an array in pieces of 8 192 elements, each copied, added to and copied
    back: slow enough for threads to meet with the GIL, too, and what one writes back the other
    loses. A model of large arrays at sizes that cost little.
    """
    size = np.dtype(params.dtype).itemsize
    memory = bytearray(params.size * LINE + size)
    return engine.from_numpy(np.ndarray((params.size,), params.dtype, memory, 1, (LINE,)))


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


class Both:
    """A hook that tells two. ``chunks``: of the second, where that is a scheduler in control."""

    def __init__(self, first: engine.sync.Hook, second: engine.sync.Hook) -> None:
        self.first, self.second = first, second
        self.chunks = getattr(second, "chunks", 1)

    def __call__(self, point: str, subject: object) -> None:
        """The hook."""
        self.first(point, subject)
        self.second(point, subject)


@contextmanager
def observed(observer: engine.sync.Hook) -> Iterator[None]:
    """Let ``observer`` see every hook point, for the ``with`` block, and whoever did so before."""
    before = engine.sync.hook
    with engine.sync.hooked(observer if before is None else Both(observer, before)):
        yield


def times(params: Params, many: int, few: int = 1) -> int:
    """``many``, or ``few`` where every schedule is tried, so that there are not too many."""
    return few if params.explored else many


class Way:
    """How one trial differentiates: in its mode; in ``ordered`` with tickets of its own.

    ``bound``: how many of its backwards may wait for lower tickets. Internally synchronised.
    """

    def __init__(self, mode: str, bound: int = 64) -> None:
        self.mode = mode
        self.tickets = engine.Tickets(bound) if mode == "ordered" else None

    def __call__(
        self,
        outputs: Tensors,
        leaves: Sequence[engine.Tensor],
        gradients: Sequence[engine.Tensor] | None = None,
        *,
        ticket: int | None = None,
        retain: bool | None = None,
    ) -> tuple[Array, ...] | None:
        """Run one backward; the gradients of ``leaves`` where the mode is functional, else None."""
        if self.mode == "functional":
            return arrays(engine.grad(outputs, leaves, gradients, retain))
        with engine.accumulation(self.mode, self.tickets):
            engine.backward(outputs, gradients, retain, ticket=ticket)
        return None

    def one(
        self, output: engine.Tensor, leaf: engine.Tensor, gradient: engine.Tensor | None = None
    ) -> Array | None:
        """The same with one output and one leaf."""
        results = self([output], [leaf], None if gradient is None else [gradient])
        return None if results is None else results[0]

    def read(self, leaf: engine.Tensor) -> Array:
        """``leaf.grad`` as an array; zeros where there is none."""
        grad = leaf.grad
        return np.zeros(leaf.shape, leaf.dtype) if grad is None else np.asarray(grad.numpy())


def private(trap: GradTrap, samples: int, wrong: int) -> Observation:
    """What the arbiter saw of ``samples`` functional gradients, ``wrong`` of them not as expected.

    Reads the trap, and nothing that would set it off.
    """
    return Observation(tally(trap, {"kept": samples - wrong, "wrong": wrong}))


def tally(trap: GradTrap | None, fates: Mapping[str, int]) -> dict[str, int]:
    """The outcomes that were seen, and what the trap caught."""
    seen = {fate: times for fate, times in fates.items() if times > 0}
    return seen | {f"touched {what}": 1 for what in (trap.touched() if trap else ())}
