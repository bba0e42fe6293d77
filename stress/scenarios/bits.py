"""The numbers: dtypes and shapes are kept, and what the bits of a sum depend on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import fsum

import numpy as np

import engine
from engine.errors import DTypeError
from stress.core.outcome import Outcome, acceptable, forbidden, interesting, required
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.coding import Coding
from stress.oracles.trap import GradTrap
from stress.scenarios.common import (
    EXACT,
    FUNCTIONAL,
    Array,
    Declare,
    Way,
    always,
    quick_in,
    same_bits,
    tally,
    times,
    trapped,
)

__all__ = ["BITS", "DTYPES"]


# -- 4: dtypes, and sums over what broadcasting has stretched --------------------------------------

ROWS = 3  # that a bias is stretched to


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of leaf. Immutable. ``rows``: of what it is added to, 0 for its own shape.

    ``other``: the dtype of that. ``gradients``: that of contribution *c* holds its code in one row,
    and zeros in the others.
    """

    dtype: str
    shape: tuple[int, ...]
    rows: int
    other: str
    gradients: Sequence[engine.Tensor]

    def leaf(self) -> engine.Tensor:
        """A new one."""
        return engine.zeros(*self.shape, dtype=self.dtype, requires_grad=True)

    def output(self, leaf: engine.Tensor) -> engine.Tensor:
        """What the leaf is stretched to."""
        stretched: engine.Tensor = leaf.reshape(self.shape)
        if self.rows:
            stretched = leaf + engine.zeros(self.rows, self.shape[-1], dtype=self.other)
        return stretched


@dataclass(frozen=True, slots=True)
class Kinds:
    """What the trials of one run share. Immutable, but for the trap."""

    params: Params
    each: int
    kinds: Sequence[Kind]
    trap: GradTrap | None


@dataclass(frozen=True, slots=True)
class Stretched:
    """One trial. ``wrong``: actor *i* alone writes item *i*.

    ``integers``: dtypes of leaves that should have been refused, appended in any thread: atomic.
    """

    fixture: Kinds
    way: Way
    leaves: Sequence[engine.Tensor]
    wrong: list[int]
    integers: list[str] = field(default_factory=list)


def kind(dtype: str, shape: tuple[int, ...], rows: int, other: str, total: int) -> Kind:
    """A sort of leaf with the gradients of ``total`` contributions."""
    code = Coding(dtype)
    gradients = []
    for c in range(total):
        g = np.zeros((rows, shape[-1]) if rows else shape, np.result_type(dtype, other))
        g[c % rows if rows else ...] = code.value(c)
        gradients.append(engine.from_numpy(g))
    return Kind(dtype, shape, rows, other, gradients)


@contextmanager
def kinds(params: Params) -> Iterator[Kinds]:
    """Leaves of all dtypes, biases and rows among them; float16 tells 5 contributions apart."""
    each = times(params, max(1, 4 // params.threads))
    total, size = each * params.threads, params.size
    sorts = [
        ("float64", (size,), 0, "float64"),
        ("float64", (1, size), ROWS, "int64"),  # integers cannot require grad, but they meet leaves
        ("float32", (size,), ROWS, "float32"),
        ("float32", (1, size), 0, "float32"),
        ("float32", (size,), ROWS, "int64"),  # the sum is float64, its gradient float32 again
        ("float16", (size,), ROWS, "bool"),
        ("complex64", (size,), ROWS, "float32"),
    ]
    fitting = [sort for sort in sorts if total <= Coding(sort[0]).capacity]
    fitting = fitting[-times(params, len(fitting), 2) :]
    with trapped(params) as trap:
        yield Kinds(params, each, [kind(*sort, total) for sort in fitting], trap)


def start_kinds(fixture: Kinds) -> Stretched:
    """A fresh leaf of each kind."""
    params = fixture.params
    leaves = [kind.leaf() for kind in fixture.kinds]
    for leaf in leaves if params.explored and params.mode != "functional" else ():
        leaf.grad = engine.zeros_like(leaf)  # the first is made under the lock in any mode
    return Stretched(fixture, Way(params.mode), leaves, [0] * params.threads)


def add_kinds(state: Stretched, index: int) -> None:
    """One backward of all leaves for each contribution; no leaf of integers."""
    fixture = state.fixture
    for dtype in ("int64", "bool"):
        with suppress(DTypeError):
            engine.zeros(1, dtype=dtype, requires_grad=True)
            state.integers.append(dtype)
    for c in range(index * fixture.each, (index + 1) * fixture.each):
        pairs = list(zip(fixture.kinds, state.leaves, strict=True))
        outputs = [kind.output(leaf) for kind, leaf in pairs]
        results = state.way(outputs, state.leaves, [kind.gradients[c] for kind in fixture.kinds])
        for (kind, leaf), result in zip(pairs, results or (), strict=False):
            whole = np.all(result == Coding(kind.dtype).value(c))
            state.wrong[index] += not (whole and fits(result, leaf))


def fits(grad: Array, leaf: engine.Tensor) -> bool:
    """Whether a gradient has the shape and the dtype of its leaf."""
    return bool(grad.shape == leaf.shape and grad.dtype == leaf.dtype)


def judge_kinds(state: Stretched) -> Observation:
    """Every contribution arrived, in an array like the leaf."""
    fixture = state.fixture
    offered = fixture.each * fixture.params.threads
    if fixture.trap is not None:
        samples, wrong = offered * len(state.leaves), sum(state.wrong)
        fates = {"kept": samples - wrong, "wrong": wrong, "integer leaf": len(state.integers)}
        return Observation(tally(fixture.trap, fates))
    seen: Counter[str] = Counter({"integer leaf": len(state.integers)})
    lost = 0
    for kind, leaf in zip(fixture.kinds, state.leaves, strict=True):
        total = state.way.read(leaf)
        seen["another shape or dtype"] += not fits(total, leaf)
        decoded = Coding(kind.dtype).decode(total, offered)
        seen.update(decoded.outcomes)
        lost += decoded.missing
    size = offered * sum(leaf.numel() << (leaf.dtype.kind == "c") for leaf in state.leaves)
    return Observation(+seen, lost, size)


REFUSED = forbidden("integer leaf", "integers and masks cannot require grad: DTypeError")

LIKE_THE_LEAF = (
    REFUSED,
    forbidden("another shape or dtype", "a gradient has the shape and the dtype of its leaf"),
    forbidden("doubled", "no contribution counts twice"),
    forbidden("strange", "every element is the sum of some set of contributions"),
)


def racy_kinds(params: Params) -> tuple[Outcome, ...]:
    """Losing is allowed; explored, it has to show."""
    lost = required if params.explored and params.size == 1 else interesting
    torn = required if params.explored and params.size > 1 else interesting
    return (
        acceptable("kept", "the contribution is in every element"),
        lost("lost", "racy: overwritten in every element"),
        torn("torn", "racy: overwritten in some elements, kept in others"),
        *LIKE_THE_LEAF,
    )


DTYPES = Scenario(
    4,
    "accumulate.dtypes",
    "leaves of all dtypes, some stretched to integers or masks: sums in their shape and dtype",
    "contributions",
    start_kinds,
    add_kinds,
    judge_kinds,
    {
        "racy": racy_kinds,
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("kept", "every contribution counts exactly once"),
                forbidden("lost", "outside of racy nothing is lost"),
                forbidden("torn", "outside of racy nothing is torn"),
                *LIKE_THE_LEAF,
            ),
        ),
        "functional": lambda params: (*FUNCTIONAL(params), REFUSED),
    },
    prepare=kinds,
    tags=quick_in("locked"),
)


# -- 1: the bits of a sum --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Terms:
    """What the trials of one run share: contributions far apart in size, and their sums.

    ``ordered``: the bits of adding them one after the other. ``exact``: those of their exact sum.
    Immutable.
    """

    params: Params
    each: int
    gradients: Sequence[engine.Tensor]
    ordered: Array
    exact: Array


@dataclass(frozen=True, slots=True)
class Summed:
    """One trial."""

    fixture: Terms
    way: Way
    leaf: engine.Tensor


@contextmanager
def terms(params: Params) -> Iterator[Terms]:
    """Numbers from 1e-6 to 1e6 of either sign: whatever is added first is rounded away."""
    each = times(params, 4)
    total = max(3, each * params.threads)  # two have one sum, whatever their order
    random = np.random.default_rng(params.seed)
    parts = random.normal(size=(total, params.size)) * 10.0 ** random.integers(-6, 7, (total, 1))
    parts = parts.astype(params.dtype)
    ordered = parts[0].copy()
    for part in parts[1:]:
        ordered += part
    exact = np.array([fsum(column) for column in parts.T.tolist()]).astype(params.dtype)
    yield Terms(params, each, [engine.from_numpy(part) for part in parts], ordered, exact)


def start_terms(fixture: Terms) -> Summed:
    """A fresh leaf, and fresh tickets."""
    params = fixture.params
    leaf = engine.zeros(params.size, dtype=params.dtype, requires_grad=True)
    return Summed(fixture, Way(params.mode), leaf)


def add_terms(state: Summed, index: int) -> None:
    """Contribution *c* is that of actor *c* modulo their number, and ``ordered`` has ticket *c*."""
    fixture = state.fixture
    gives_tickets = fixture.params.mode == "ordered"
    for c in range(index, len(fixture.gradients), fixture.params.threads):
        output, gradient = state.leaf.reshape(-1), fixture.gradients[c]
        state.way([output], [state.leaf], [gradient], ticket=c if gives_tickets else None)


def judge_terms(state: Summed) -> Observation:
    """Whose bits they are."""
    fixture, total = state.fixture, state.way.read(state.leaf)
    sums = {"in order": fixture.ordered, "exact": fixture.exact}
    if fixture.params.mode == "reproducible":
        del sums["in order"]  # where nothing was rounded away, it is both
    key = next((key for key, bits in sums.items() if same_bits([total], [bits])), "other bits")
    return Observation({key: 1})


def control(params: Params) -> tuple[Outcome, ...]:
    """What depends on the order of arrival has to show that it does, or the run has no power.

    Of the three terms that are explored, few orders have bits of their own.
    """
    shows = interesting if params.explored else required
    return (
        acceptable("in order", "they happened to arrive in the order of a single thread"),
        acceptable("exact", "so few elements that nothing was rounded away"),
        shows("other bits", "the last bits depend on the order of arrival: the control"),
    )


SAME_BITS: dict[str, Declare] = {
    "racy": control,
    "locked": control,
    "ordered": always(
        acceptable("in order", "the same tickets give the same bits, whoever comes first"),
        forbidden("*", "the bits are those of adding in the order of the tickets"),
    ),
    "reproducible": always(
        acceptable("exact", "the exact sum, rounded once: no order can change it"),
        forbidden("*", "the bits are those of the exact sum, in any order"),
    ),
}

BITS = Scenario(
    1,
    "accumulate.bits",
    "contributions of sizes far apart: what do the bits of their sum depend on?",
    "sums",
    start_terms,
    add_terms,
    judge_terms,
    SAME_BITS,
    prepare=terms,
)
