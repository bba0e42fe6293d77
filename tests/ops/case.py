"""What a case is: an op, what to call it with, and who else knows the answer.

An argument of a sample is a shape, of which floats are drawn that differ from each other and keep
away from kinks, or else a value that is passed as it is. The arguments of an op that takes a
sequence are the arrays in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """One call. `peer`: whether PyTorch agrees about what it means. `cplx`: draw complex."""

    args: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    peer: bool = True
    cplx: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """`numpy(*arrays, **keywords)` and `torch(torch, *tensors, **keywords)` know the answer.

    `order`: how often it can be differentiated; 0 for ops without a gradient. `domain`: where the
    floats lie. `kinks`: what they keep away from, so that differences mean something. `before`:
    what is made of the arguments that were drawn, `after`: of the results. For matrices that are to
    be positive, say, and for several outputs, or such as are determined but for a sign. Both get
    arrays, Tensors and PyTorch's tensors, so they keep to operators and methods that all of them
    have. `numpy` and `torch` are given what `before` returned. `needs`: a package without which
    there is no such op, nor an answer.
    """

    name: str
    samples: tuple[Sample, ...]
    numpy: Callable[..., Any]
    torch: Callable[..., Any] | None = None
    order: int = 2
    domain: tuple[float, float] = (-2.0, 2.0)
    kinks: tuple[float, ...] = ()
    before: Callable[..., tuple[Any, ...]] = lambda *args: args
    after: Callable[[Any], Any] = lambda result: result
    needs: str | None = None

    @property
    def available(self) -> bool:
        return self.needs is None or find_spec(self.needs) is not None


def call(*args: Any, peer: bool = True, cplx: bool = False, **keywords: Any) -> Sample:
    return Sample(args, keywords, peer, cplx)


def is_shape(arg: Any) -> bool:
    return isinstance(arg, tuple)


def draw(case: Case, sample: Sample, seed: int = 0) -> list[Any]:
    """The arguments of a sample, float64. All floats of one call differ by at least 1e-3."""
    drawn = _draw(case, sample, seed)
    if not sample.cplx:
        return drawn
    other = _draw(case, sample, seed + 1)
    return [
        np.asarray(a + 1j * b) if is_shape(arg) else a
        for a, b, arg in zip(drawn, other, sample.args, strict=True)
    ]


def _draw(case: Case, sample: Sample, seed: int) -> list[Any]:
    sizes = [int(np.prod(arg)) for arg in sample.args if is_shape(arg)]
    low, high = case.domain
    grid = np.linspace(low, high, sum(sizes) + 2)[1:-1]
    for kink in case.kinks:
        near = abs(grid - kink) < 0.02
        grid[near] += 0.04
    grid = np.random.default_rng(seed).permutation(grid)
    pieces = iter(np.split(grid, np.cumsum(sizes)[:-1]))
    return [next(pieces).reshape(arg) if is_shape(arg) else arg for arg in sample.args]


def joined(parts: Any) -> Any:
    """Several answers, or one, as a number that every element has a part of its own in.

    The parts are quadratic, so that second derivatives do not vanish.
    """
    parts = parts if isinstance(parts, tuple | list) else (parts,)
    total, weight = sum(part.sum() * 0 for part in parts), 1
    for part in parts:
        for index in np.ndindex(tuple(part.shape)):
            total = total + part[index] * part[index] * weight
            weight += 1
        total = total * (1 + len(part.shape))
    return total


def constant(name: str, function: Callable[..., Any], *samples: Sample) -> Case:
    return Case(name, samples, function, order=0)


# What most ops are called with.
UNARY = (call((3, 4)), call(()), call((0, 3)), call((2, 1, 3)))
COMPLEX = (call((2, 3), cplx=True), call((), cplx=True))
MASK = np.array([[True, False, True], [False, False, True]])
