"""Reductions where a derivative is a matter of convention: ties, zeros, constants, infinities, NaN.

Where PyTorch means the same, each body runs against it too, so that the oracle is checked.
"""

import warnings
from typing import Any

import numpy as np
import pytest

import engine

INF, NAN = float("inf"), float("nan")
THIRD = 1 / 3


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _no_warnings():
    with np.errstate(all="ignore"):
        yield


def slope(lib, function, value):
    x = lib.tensor(value, dtype=lib.tensor([1.0]).dtype, requires_grad=True)
    function(lib, x).sum().backward()
    return x.grad.tolist()


def values(found):
    return found if hasattr(found, "shape") else found[0]


def dim(name, axis=0, **keywords):
    """A function of PyTorch's along one axis, its values."""
    return lambda lib, x: values(getattr(lib, name)(x, dim=axis, **keywords))


POINTS: dict[str, tuple[Any, Any, Any]] = {
    "prod of one zero": (lambda lib, x: x.prod(), [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
    "prod of two zeros": (lambda lib, x: x.prod(), [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "prod of zeros in columns": (
        dim("prod"),
        [[2.0, 0.0, 0.0], [3.0, 4.0, 0.0]],
        [[3.0, 4.0, 0.0], [2.0, 0.0, 0.0]],
    ),
    "cumprod with a zero": (dim("cumprod"), [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
    "cumprod with two zeros": (dim("cumprod"), [2.0, 0.0, 0.0, 5.0], [1.0, 2.0, 0.0, 0.0]),
    "std of a constant": (lambda lib, x: x.std(correction=0), [2.0, 2.0], [0.0, 0.0]),
    "std of a constant column": (
        lambda lib, x: x.std(dim=0, correction=1),
        [[1.0, 0.0], [1.0, 2.0]],
        [[0.0, -(2**-0.5)], [0.0, 2**-0.5]],
    ),
    "var of one, unbiased": (lambda lib, x: x.var(dim=0, correction=0), [2.0], [0.0]),
    "amax of three": (lambda lib, x: x.amax(), [2.0, 2.0, 2.0], [THIRD] * 3),
    "amax of infinities": (lambda lib, x: x.amax(), [-INF, -INF], [0.5, 0.5]),
    "cummax of ties": (dim("cummax"), [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]),
    "cummin of ties": (dim("cummin"), [1.0, 1.0, 2.0], [1.0, 2.0, 0.0]),
    "cummax with NaN": (dim("cummax"), [1.0, NAN, 2.0], [1.0, 2.0, 0.0]),
    "logcumsumexp with -inf": (dim("logcumsumexp"), [0.0, -INF, 0.0], [2.5, 0.0, 0.5]),
    "logcumsumexp far out": (dim("logcumsumexp"), [0.0, -1e4, 0.0], [2.5, 0.0, 0.5]),
    "log_softmax with -inf": (
        lambda lib, x: lib.log_softmax(x, 0)[1:],
        [-INF, 0.0, 0.0],
        [0.0, 0.0, 0.0],
    ),
    "logsumexp of +inf": (dim("logsumexp"), [INF, 0.0], [NAN, 0.0]),
    "sort of ties": (
        lambda lib, x: values(lib.sort(x, stable=True))[..., 0],
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
    ),
    "sort of ties, descending": (
        lambda lib, x: values(lib.sort(x, stable=True, descending=True))[..., 0],
        [1.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
    ),
    "sort with NaN": (
        lambda lib, x: values(lib.sort(x, stable=True))[..., :2],
        [NAN, 1.0, 0.0],
        [0.0, 1.0, 1.0],
    ),
    "topk with NaN": (lambda lib, x: lib.topk(x, 1).values, [1.0, NAN, 2.0], [0.0, 1.0, 0.0]),
    "quantile between": (lambda lib, x: lib.quantile(x, 0.25), [3.0, 1.0, 2.0], [0.0, 0.5, 0.5]),
    "nansum": (lambda lib, x: lib.nansum(x), [NAN, 1.0], [0.0, 1.0]),
    "nanmean": (lambda lib, x: lib.nanmean(x), [NAN, 1.0, 2.0], [0.0, 0.5, 0.5]),
    "diff": (lambda lib, x: lib.diff(x), [3.0, 1.0, 2.0], [-1.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("point", POINTS)
def test_slope(lib, point):
    function, value, expected = POINTS[point]
    np.testing.assert_allclose(slope(lib, function, value), expected, rtol=1e-6)


OURS: dict[str, tuple[Any, Any, Any]] = {
    # PyTorch takes the lower of the two.
    "median of an even number": (np.median, [4.0, 1.0, 3.0, 9.0], [0.5, 0.0, 0.5, 0.0]),
    "median of infinities": (np.median, [INF, INF, 0.0], [1.0, 0.0, 0.0]),
    "median with NaN": (np.median, [1.0, NAN, 3.0], [0.0, 1.0, 0.0]),
    "nanmedian of NaN": (np.nanmedian, [NAN, 2.0, 1.0, 4.0], [0.0, 1.0, 0.0, 0.0]),
    "nanmax with NaN": (np.nanmax, [NAN, 2.0, 2.0], [0.0, 0.5, 0.5]),
    "nanstd of a constant": (np.nanstd, [NAN, 2.0, 2.0], [0.0, 0.0, 0.0]),
    "unique takes the first": (np.unique, [2.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
    "var divides by n": (np.var, [0.0, 2.0], [-1.0, 1.0]),
}


@pytest.mark.parametrize("point", OURS)
def test_slope_where_numpy_decides(point):
    function, value, expected = OURS[point]
    np.testing.assert_allclose(
        slope(engine, lambda lib, x: function(x), value), expected, rtol=1e-6
    )
    x = engine.tensor(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of NaN and of infinities
        np.testing.assert_allclose(np.asarray(function(x)), function(np.float32(value)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prod", [2.0, 0.0, 3.0]),
        ("prod", [0.0, 0.0, 3.0]),
        ("cumprod", [2.0, 0.0, 3.0, 4.0]),
        ("cumprod", [0.0, 0.0, 3.0, 0.0]),
    ],
)
def test_products_bend_exactly_at_zeros(lib, name, value):
    """Against differences of first-order gradients: polynomials, so exact but for rounding."""

    def slopes(at):
        x = lib.tensor(at, requires_grad=True)
        (g,) = lib.autograd.grad(getattr(lib, name)(x, dim=0).sum(), x, create_graph=True)
        return x, g

    at, step = np.array(value), 1e-3
    x, g = slopes(at)
    (bend,) = lib.autograd.grad((g * lib.tensor(np.arange(1.0, len(at) + 1))).sum(), x)
    weights = np.arange(1.0, len(at) + 1)
    for i in range(len(at)):
        away = step * np.eye(len(at))[i]
        above, below = (slopes(moved)[1].detach().numpy() for moved in (at + away, at - away))
        expected = (weights * (above - below)).sum() / (2 * step)
        np.testing.assert_allclose(bend.numpy()[i], expected, rtol=1e-8, atol=1e-8)


def test_std_of_a_constant_bends_without_a_nan():
    x = engine.tensor([2.0, 2.0], requires_grad=True)
    (g,) = engine.grad(x.std(), x, create_graph=True)
    (bend,) = engine.grad(g.sum(), x)
    assert bend.tolist() == [0.0, 0.0]


def test_indices_are_where_the_values_are():
    x = engine.tensor([[3.0, 1.0, 3.0], [0.0, 5.0, 4.0]], requires_grad=True)
    for found in (engine.topk(x, 2), engine.kthvalue(x, 2, keepdim=True), engine.cummax(x, dim=1)):
        assert not found.indices.requires_grad
        taken = np.take_along_axis(x.detach().numpy(), found.indices.numpy(), 1)
        np.testing.assert_array_equal(found.values.detach().numpy(), taken)
    assert engine.cummax(x, 1).indices.tolist() == [[0, 0, 2], [0, 1, 1]]


def test_unique_answers_what_it_is_asked_for_in_numpys_order():
    x = np.array([3.0, 1.0, 3.0])
    ask: Any = {"return_index": True, "return_inverse": True, "return_counts": True}
    for got, want in zip(np.unique(engine.tensor(x), **ask), np.unique(x, **ask), strict=True):
        np.testing.assert_array_equal(got.numpy(), want)


def test_the_mean_and_the_variance_of_nothing_are_nan_and_the_maximum_raises(lib):
    nothing = lib.zeros(0, requires_grad=True)
    assert np.isnan(nothing.mean().item())
    assert nothing.sum().item() == 0
    assert nothing.prod().item() == 1
    with pytest.raises((RuntimeError, IndexError)):
        nothing.amax(dim=0)


def test_variances_divide_by_n_unless_told_otherwise():
    x = engine.tensor([0.0, 2.0], dtype="float64")
    assert x.var().item() == np.var(x).item() == 1.0
    for freedom in ({"ddof": 1}, {"correction": 1}, {"unbiased": True}):
        assert x.var(**freedom).item() == 2.0
    assert x.var(0, True).item() == 2.0  # PyTorch's third argument is `unbiased`
    with pytest.raises(engine.errors.OperandError, match="give one"):
        x.var(ddof=1, unbiased=True)
    with pytest.raises(engine.errors.OperandError, match="unbiased"):
        x.var(False)


def test_a_maximum_takes_an_axis_and_not_a_second_tensor():
    x = engine.tensor([[1.0, 2.0]])
    assert x.max(dim=1).tolist() == [2.0]
    with pytest.raises(engine.errors.EngineError):
        engine.max(x, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(100_003,), (3, 40_000), (40_000, 3), (200, 300), (8, 50, 60)])
def test_large_sums_are_as_exact_as_numpys(dtype, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype) + 1
    axes: list[Any] = [None, *range(x.ndim)]
    for axis in axes:
        exact = x.astype(np.longdouble).sum(axis)
        error = np.abs(engine.tensor(x).sum(axis).numpy() - exact).max()
        numpys = np.abs(x.sum(axis) - exact).max()
        assert error <= 4 * numpys + 8 * np.finfo(dtype).eps * np.abs(exact).max()


@pytest.mark.parametrize("where", [0, 5, 299])
def test_large_extrema_find_what_numpy_finds_and_keep_nan(where):
    x = np.random.default_rng(0).standard_normal((300, 7)).astype("f4")
    for array in (x, np.where(np.arange(300)[:, None] == where, np.nan, x).astype("f4")):
        for axis in (None, 0, 1):
            np.testing.assert_array_equal(engine.tensor(array).amax(axis).numpy(), array.max(axis))
            np.testing.assert_array_equal(engine.tensor(array).amin(axis).numpy(), array.min(axis))


def test_quantiles_and_selections_refuse_what_makes_no_sense():
    x = engine.tensor([1.0, 2.0, 3.0])
    for wrong in (
        lambda: engine.quantile(x, 1.5),
        lambda: engine.quantile(x, 0.5, interpolation="cubic"),
        lambda: engine.median(engine.zeros(0)),
        lambda: engine.topk(x, 4),
        lambda: engine.kthvalue(x, 0),
        lambda: engine.gradient(x, 1.0, 2.0),
        lambda: engine.gradient(x, edge_order=3),
        lambda: engine.cov(engine.zeros(2, 2, 2)),
        lambda: engine.average(x, weights=[1.0, 2.0]),
    ):
        with pytest.raises(ValueError, match=r"got|empty|of|for"):
            wrong()


def test_weights_of_an_average_get_their_gradient():
    x = engine.tensor([1.0, 3.0], requires_grad=True)
    w = engine.tensor([1.0, 1.0], requires_grad=True)
    mean, scale = np.average(x, weights=w, returned=True)
    mean.backward()
    assert (mean.item(), scale.item()) == (2.0, 2.0)
    assert (x.grad.tolist(), w.grad.tolist()) == ([0.5, 0.5], [-0.5, 0.5])
