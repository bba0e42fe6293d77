"""Gradients that are infinite or NaN: what is cut off stays cut off, as in PyTorch.

A rule that multiplied by a mask would make a NaN of an infinite gradient where there is none.
"""

from functools import partial
from typing import Any

import numpy as np
import pytest

import engine
from tests.ops import checks
from tests.ops.case import Case, Sample
from tests.ops.test_ops import SMOOTH, each

# Where infinite parts meet in a sum, what comes out depends on how it is written: these write it
# otherwise than PyTorch does, and no element is cut off by a mask.
SUMS = {
    *("cumprod", "logcumsumexp", "einsum", "special.multigammaln"),
    *("nn.batch_norm_running", "nn.binary_cross_entropy_with_pos_weight"),
}
SUMS_OF_SECOND_ORDER = SUMS | {
    *("sigmoid", "asin", "acos", "atanh", "complex", "corrcoef", "special.i1"),
    *("nn.glu", "nn.gelu", "nn.gelu_tanh", "nn.batch_norm", "nn.group_norm"),
}
WEIGHTS = ("linear", "cubic", "area")  # of `nn.resample`: a product with a matrix


def compared(sums: set[str]) -> Any:
    return each(
        (case, sample)
        for case, sample in SMOOTH
        if case.torch and sample.peer and not sample.cplx and case.name not in sums
        if not case.name.startswith(("linalg.", "fft."))  # products of matrices: all is a sum
        if sample.keywords.get("mode") not in WEIGHTS
    )


def spoiled(g: np.ndarray, salt: int) -> np.ndarray:
    """`g` with some elements infinite and some NaN, half of it as it was."""
    places = np.random.default_rng(salt).permutation(g.size)
    count = -(-g.size // 6)
    for k, value in enumerate((np.inf, -np.inf, np.nan)):
        g.reshape(-1)[places[k * count : (k + 1) * count]] = value
    return g


def assert_no_worse(got: np.ndarray, expected: np.ndarray) -> None:
    """The same, but where PyTorch says NaN."""
    known = ~np.isnan(expected)
    np.testing.assert_allclose(got[known], expected[known], rtol=1e-9, atol=1e-12)


class Ours:
    """The engine's answers; PyTorch's below."""

    def __init__(self, case: Case, sample: Sample, recorded: bool = False) -> None:
        self.given = checks.tensors(case, sample, checks.arrays(case, sample))
        self.out = checks.run(case, sample, self.given)
        self.sources = [self.given[i] for i in checks.differentiable(case, sample)]
        self.value = self.array(self.out)
        self.recorded = recorded

    tensor: Any = staticmethod(engine.tensor)
    grad: Any = staticmethod(engine.grad)
    array: Any = staticmethod(lambda g: g.detach().numpy())

    def first(self, salt: int) -> list[np.ndarray]:
        seed = self.tensor(spoiled(checks.seed_for(self.value, 1), salt))
        keywords = {"create_graph": True} if self.recorded else {}
        return [*map(self.array, self.grad(self.out, self.sources, seed, **keywords))]

    def second(self, salt: int) -> list[np.ndarray]:
        seed = self.tensor(checks.seed_for(self.value, 1)).requires_grad_()
        first = self.grad(self.out, self.sources, seed, create_graph=True)
        plain = [checks.seed_for(self.array(g), 2 + k) for k, g in enumerate(first)]
        directions = [self.tensor(spoiled(g, salt)) for g in plain]
        found = self.grad(first, [*self.sources, seed], directions, materialize_grads=True)
        return [*map(self.array, found)]


class Theirs(Ours):
    def __init__(self, case: Case, sample: Sample) -> None:
        torch = pytest.importorskip("torch")
        self.tensor, self.grad, self.recorded = torch.tensor, torch.autograd.grad, True
        self.array = lambda g: g.numpy(force=True)
        wanted, values = checks.differentiable(case, sample), checks.arrays(case, sample)
        self.given = checks.torch_inputs(torch, case, sample, values)
        assert case.torch is not None
        self.out = checks.apply(partial(case.torch, torch), case, sample, self.given)
        self.sources = [self.given[i] for i in wanted]
        self.value = self.array(self.out)


@np.errstate(all="ignore")
@compared(SUMS)
def test_first_order(case, sample):
    for salt in range(3):
        expected = Theirs(case, sample).first(salt)
        for recorded in (False, True):
            found = Ours(case, sample, recorded).first(salt)
            for got, want in zip(found, expected, strict=True):
                assert_no_worse(got, want)


@np.errstate(all="ignore")
@compared(SUMS_OF_SECOND_ORDER)
def test_second_order(case, sample):
    for salt in range(3):
        expected = Theirs(case, sample).second(salt)
        for got, want in zip(Ours(case, sample).second(salt), expected, strict=True):
            assert_no_worse(got, want)


def test_a_mask_that_is_multiplied_by_is_caught():
    """What these tests are for: so `relu` was written once."""
    with pytest.raises(AssertionError), np.errstate(all="ignore"):
        assert_no_worse(np.array([np.inf, 1.0]) * np.array([0.0, 1.0]), np.array([0.0, 1.0]))


@pytest.mark.parametrize("size", [3, 5000])
@pytest.mark.parametrize("name", ["relu", "maximum", "nn.hardswish", "tril", "where"])
def test_large_arrays_cut_off_too(name, size):
    """They take another way than small ones."""
    x = engine.tensor(np.full((2, size), -4.0, "f4"), requires_grad=True)
    other = engine.zeros(2, size)
    calls: dict[str, Any] = {
        "maximum": lambda: engine.maximum(x, other),
        "tril": lambda: engine.tril(x, -2),
        "where": lambda: engine.where(x > 0, x, other),
        "nn.hardswish": lambda: engine.nn.functional.hardswish(x),
        "relu": lambda: engine.relu(x),
    }
    seed = np.array([np.inf, np.nan, -np.inf], "f4").repeat(size * 2 // 3 + 1)[: 2 * size]
    (g,) = engine.grad(calls[name](), [x], engine.tensor(seed.reshape(2, size)))
    np.testing.assert_array_equal(g.numpy(), 0)
