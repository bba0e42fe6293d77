"""Where a derivative is a matter of convention: kinks, ties, infinities, NaN. The same as PyTorch.

Each body runs against PyTorch too, where it is installed: the oracle is checked, not remembered.
"""

from typing import Any

import numpy as np
import pytest

import engine

INF, NAN = float("inf"), float("nan")


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _no_warnings():
    """NumPy warns of divisions by zero, under `np.errstate`; here they are what is looked at."""
    with np.errstate(all="ignore"):
        yield


def leaves(lib, *values):
    return [
        lib.tensor(value, dtype=lib.tensor([1.0]).dtype, requires_grad=True) for value in values
    ]


def slopes(lib, function, *values):
    """The gradients of the sum of `function(lib, *values)`."""
    xs = leaves(lib, *values)
    function(lib, *xs).sum().backward()
    return [x.grad.tolist() for x in xs]


def leaky_relu(lib):
    return lib.leaky_relu if lib is engine else lib.nn.functional.leaky_relu


POINTS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "abs at 0": (lambda lib, x: x.abs(), [[0.0]], [[0.0]]),
    "relu at 0": (lambda lib, x: x.relu(), [[0.0, -0.0]], [[0.0, 0.0]]),
    "relu of NaN": (lambda lib, x: x.relu(), [[NAN, -NAN]], [[1.0, 1.0]]),
    "leaky_relu at 0": (lambda lib, x: leaky_relu(lib)(x), [[0.0]], [[0.01]]),
    "sqrt at 0": (lambda lib, x: x.sqrt(), [[0.0]], [[INF]]),
    "log at 0": (lambda lib, x: x.log(), [[0.0]], [[INF]]),
    "maximum of a tie": (lambda lib, a, b: lib.maximum(a, b), [[1.0], [1.0]], [[0.5], [0.5]]),
    "minimum of a tie": (lambda lib, a, b: lib.minimum(a, b), [[1.0], [1.0]], [[0.5], [0.5]]),
    "maximum with NaN": (
        lambda lib, a, b: lib.maximum(a, b),
        [[NAN, 1.0], [1.0, NAN]],
        [[1.0, 1.0], [1.0, 1.0]],
    ),
    "minimum with NaN": (
        lambda lib, a, b: lib.minimum(a, b),
        [[NAN, 1.0], [1.0, NAN]],
        [[1.0, 1.0], [1.0, 1.0]],
    ),
    "amax of ties": (lambda lib, x: lib.amax(x), [[1.0, 3.0, 3.0]], [[0.0, 0.5, 0.5]]),
    "amin of ties": (lambda lib, x: lib.amin(x), [[1.0, 1.0, 3.0]], [[0.5, 0.5, 0.0]]),
    "amax of ties in a row": (
        lambda lib, x: lib.amax(x, dim=1),
        [[[2.0, 2.0], [0.0, 1.0]]],
        [[[0.5, 0.5], [0.0, 1.0]]],
    ),
    "amax with NaN": (lambda lib, x: lib.amax(x), [[1.0, NAN, 3.0]], [[NAN, NAN, NAN]]),
    "clip at its bounds": (lambda lib, x: x.clip(0.0, 1.0), [[0.0, 1.0]], [[1.0, 1.0]]),
    "clip outside": (lambda lib, x: x.clip(0.0, 1.0), [[-1.0, 2.0]], [[0.0, 0.0]]),
    "clip of NaN": (lambda lib, x: x.clip(0.0, 1.0), [[NAN]], [[0.0]]),
    "clip above alone": (lambda lib, x: x.clamp(max=1.0), [[-INF, 1.0, 2.0]], [[1.0, 1.0, 0.0]]),
    "pow with 0 ** 0, base": (lambda lib, x: x**0, [[0.0]], [[0.0]]),
    "pow with 0 ** 0, both": (lambda lib, a, b: a**b, [[0.0], [0.0]], [[0.0], [0.0]]),
    "pow with 0 ** 1": (lambda lib, x: x**1, [[0.0]], [[1.0]]),
    "pow with 0 ** 0.5": (lambda lib, x: x**0.5, [[0.0]], [[INF]]),
    "pow with 0 ** 2, both": (lambda lib, a, b: a**b, [[0.0], [2.0]], [[0.0], [0.0]]),
    "pow of a negative base": (lambda lib, x: x**3, [[-2.0]], [[12.0]]),
    "pow with a negative base, exponent": (
        lambda lib, a, b: a**b,
        [[-2.0], [3.0]],
        [[12.0], [NAN]],
    ),
    "where with NaN on the other side": (
        lambda lib, x: lib.where(x > 0, x.log(), lib.zeros(1)),
        [[0.0]],
        [[NAN]],
    ),
    "logsumexp with -inf": (
        lambda lib, x: lib.logsumexp(x, 0),
        [[-INF, 0.0, 0.0]],
        [[0.0, 0.5, 0.5]],
    ),
    "logsumexp of -inf": (lambda lib, x: lib.logsumexp(x, 0), [[-INF, -INF]], [[NAN, NAN]]),
    "logsumexp far out": (lambda lib, x: lib.logsumexp(x, 0), [[1e4, -1e4]], [[1.0, 0.0]]),
    "softmax with -inf": (
        lambda lib, x: lib.softmax(x, 0)[2],
        [[-INF, 0.0, 0.0]],
        [[0.0, -0.25, 0.25]],
    ),
    "sigmoid far out": (lambda lib, x: x.sigmoid(), [[-800.0, 800.0]], [[0.0, 0.0]]),
    "tanh far out": (lambda lib, x: x.tanh(), [[-800.0, 800.0]], [[0.0, 0.0]]),
    "index twice": (lambda lib, x: x[[1, 1, 0]], [[1.0, 2.0]], [[1.0, 2.0]]),
}


@pytest.mark.parametrize("point", POINTS)
def test_slope(lib, point):
    function, values, expected = POINTS[point]
    for got, want in zip(slopes(lib, function, *values), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("logits", "loss", "slope"),
    [
        ([[1e4, 0.0]], 0.0, [[0.0, 0.0]]),
        ([[0.0, 1e4]], 1e4, [[-1.0, 1.0]]),
        ([[-INF, 0.0]], INF, [[-1.0, 1.0]]),
        ([[0.0, -INF]], 0.0, [[0.0, 0.0]]),
        ([[NAN, 0.0]], NAN, [[NAN, NAN]]),
    ],
)
def test_cross_entropy_far_out(lib, logits, loss, slope):
    (x,) = leaves(lib, logits)
    value = lib.nn.functional.cross_entropy(x, lib.tensor([0]))
    value.backward()
    np.testing.assert_allclose(value.item(), loss)
    np.testing.assert_allclose(x.grad.tolist(), slope)


def test_means_of_nothing_are_nan(lib):
    nothing = lib.zeros(0, 3, requires_grad=True)
    loss = lib.nn.functional.cross_entropy(nothing, lib.tensor(np.zeros(0, int)))
    loss.backward()
    assert np.isnan(loss.item())
    assert np.isnan(nothing.mean().item())
    assert np.isnan(lib.nn.functional.mse_loss(nothing, lib.zeros(0, 3)).item())
    assert nothing.grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_second_derivatives_far_out_are_no_nan(lib, name):
    (x,) = leaves(lib, [-800.0, 800.0])
    (slope,) = lib.autograd.grad(getattr(lib, name)(x).sum(), x, create_graph=True)
    (bend,) = lib.autograd.grad(slope.sum(), x)
    assert bend.tolist() == [0.0, 0.0]
