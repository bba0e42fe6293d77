"""Elementwise operations where a derivative is a matter of convention. The same as PyTorch.

What is not the same stands at the end, with the reason. See `test_conventions`.
"""

from typing import Any

import numpy as np
import pytest

import engine
from tests.ops.test_conventions import INF, NAN, slopes

Points = dict[str, tuple[Any, list[Any], list[Any]]]


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _no_warnings():
    """NumPy warns of divisions by zero, under `np.errstate`; here they are what is looked at."""
    with np.errstate(all="ignore"):
        yield


def F(lib):
    return lib.nn.functional


def each(points: Points):
    return pytest.mark.parametrize("point", points.values(), ids=points)


def check(lib, point):
    function, values, expected = point
    for got, want in zip(slopes(lib, function, *values), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


POWERS: Points = {
    "(-2) ** 3, exponent an int": (lambda lib, x: x**3, [[-2.0]], [[12.0]]),
    "0 ** 0 with an int": (lambda lib, x: x**0, [[0.0, NAN, INF]], [[0.0, 0.0, 0.0]]),
    "0 ** 2 in the exponent": (lambda lib, b: lib.tensor([0.0]) ** b, [[2.0]], [[0.0]]),
    "0 ** 0 in the exponent": (lambda lib, b: 0.0**b, [[0.0]], [[0.0]]),
    "2 ** b": (lambda lib, b: 2**b, [[0.0]], [[np.log(2)]]),
    "1 / 0": (lambda lib, x: 1 / x, [[0.0]], [[-INF]]),
    "rsqrt at 0": (lambda lib, x: lib.rsqrt(x), [[0.0]], [[-INF]]),
    "square at 0": (lambda lib, x: lib.square(x), [[0.0]], [[0.0]]),
    "float_power with 0 ** 0": (lambda lib, x: lib.float_power(x, 0), [[0.0]], [[0.0]]),
}

REMAINDERS: Points = {
    "remainder(6, 3)": (lambda lib, a, b: a % b, [[6.0], [3.0]], [[1.0], [-2.0]]),
    "remainder(-7, 3)": (lambda lib, a, b: a % b, [[-7.0], [3.0]], [[1.0], [3.0]]),
    "fmod(-7, 3)": (lambda lib, a, b: lib.fmod(a, b), [[-7.0], [3.0]], [[1.0], [2.0]]),
}

SIGNS: Points = {
    "abs at 0": (lambda lib, x: abs(x), [[0.0, -0.0]], [[0.0, 0.0]]),
    "abs of NaN and infinity": (lambda lib, x: abs(x), [[-INF, INF]], [[-1.0, 1.0]]),
    "atan2(0, 0)": (lambda lib, a, b: lib.atan2(a, b), [[0.0], [0.0]], [[0.0], [0.0]]),
    "hypot on an axis": (lambda lib, a, b: lib.hypot(a, b), [[0.0], [2.0]], [[0.0], [1.0]]),
    "copysign of 0": (lambda lib, a, b: lib.copysign(a, b), [[0.0], [-1.0]], [[0.0], [0.0]]),
}

EXPONENTIALS: Points = {
    "log1p at -1": (lambda lib, x: lib.log1p(x), [[-1.0]], [[INF]]),
    "asin at 1": (lambda lib, x: lib.asin(x), [[1.0, -1.0]], [[INF, INF]]),
    "acos at 1": (lambda lib, x: lib.acos(x), [[1.0]], [[-INF]]),
    "sinc at 0": (lambda lib, x: lib.sinc(x), [[0.0]], [[0.0]]),
    "xlogy(0, 0)": (lambda lib, x, y: lib.xlogy(x, y), [[0.0], [0.0]], [[0.0], [NAN]]),
    "xlogy(0, 2)": (lambda lib, x, y: lib.xlogy(x, y), [[0.0], [2.0]], [[np.log(2)], [0.0]]),
    "xlogy(0, -1)": (lambda lib, x, y: lib.xlogy(x, y), [[0.0], [-1.0]], [[0.0], [0.0]]),
    "logaddexp with -inf": (
        lambda lib, a, b: lib.logaddexp(a, b),
        [[-INF, 1e4], [0.0, -1e4]],
        [[0.0, 1.0], [1.0, 0.0]],
    ),
    "sigmoid far out": (lambda lib, x: lib.sigmoid(x), [[-800.0, 800.0]], [[0.0, 0.0]]),
    "erf far out": (lambda lib, x: lib.erf(x), [[-INF, -40.0, INF]], [[0.0, 0.0, 0.0]]),
    "erfc far out": (lambda lib, x: lib.erfc(x), [[-40.0, 40.0]], [[0.0, 0.0]]),
}

ACTIVATIONS: Points = {
    "leaky_relu at 0": (lambda lib, x: F(lib).leaky_relu(x), [[0.0]], [[0.01]]),
    "prelu at 0": (lambda lib, x, w: F(lib).prelu(x, w), [[0.0], [0.25]], [[0.25], [0.0]]),
    "elu at 0": (lambda lib, x: F(lib).elu(x, 0.5), [[0.0]], [[0.5]]),
    "selu at 0": (
        lambda lib, x: F(lib).selu(x),
        [[0.0]],
        [[1.0507009873554805 * 1.6732632423543772]],
    ),
    "celu at 0": (lambda lib, x: F(lib).celu(x, 0.5), [[0.0]], [[1.0]]),
    "elu far out": (lambda lib, x: F(lib).elu(x), [[-800.0, 800.0]], [[0.0, 1.0]]),
    "gelu at 0": (lambda lib, x: F(lib).gelu(x), [[0.0]], [[0.5]]),
    "gelu far out": (lambda lib, x: F(lib).gelu(x), [[-80.0, 80.0]], [[0.0, 1.0]]),
    "gelu with tanh far out": (
        lambda lib, x: F(lib).gelu(x, approximate="tanh"),
        [[-80.0, 80.0]],
        [[0.0, 1.0]],
    ),
    "silu far out": (lambda lib, x: F(lib).silu(x), [[-800.0, 800.0]], [[0.0, 1.0]]),
    "mish far out": (lambda lib, x: F(lib).mish(x), [[-800.0, 800.0]], [[0.0, 1.0]]),
    "softplus far out": (lambda lib, x: F(lib).softplus(x), [[-800.0, 800.0]], [[0.0, 1.0]]),
    "softplus above its threshold": (
        lambda lib, x: F(lib).softplus(x, beta=1.0, threshold=0.5),
        [[1.0]],
        [[1.0]],
    ),
    "logsigmoid far out": (lambda lib, x: F(lib).logsigmoid(x), [[-800.0, 800.0]], [[1.0, 0.0]]),
    "softsign at 0": (lambda lib, x: F(lib).softsign(x), [[0.0]], [[1.0]]),
    "hardtanh at its bounds": (lambda lib, x: F(lib).hardtanh(x), [[-1.0, 1.0]], [[0.0, 0.0]]),
    "relu6 at its bounds": (lambda lib, x: F(lib).relu6(x), [[0.0, 6.0]], [[0.0, 0.0]]),
    "hardsigmoid at its bounds": (
        lambda lib, x: F(lib).hardsigmoid(x),
        [[-3.0, 3.0]],
        [[0.0, 0.0]],
    ),
    "hardswish inside": (lambda lib, x: F(lib).hardswish(x), [[-3.5, 0.0, 3.5]], [[0.0, 0.5, 1.0]]),
    "hardsigmoid of NaN": (lambda lib, x: F(lib).hardsigmoid(x), [[NAN]], [[0.0]]),
    "hardshrink at its bounds": (lambda lib, x: F(lib).hardshrink(x), [[-0.5, 0.5]], [[0.0, 0.0]]),
    "softshrink at its bounds": (lambda lib, x: F(lib).softshrink(x), [[-0.5, 0.5]], [[0.0, 0.0]]),
    "threshold at it": (lambda lib, x: F(lib).threshold(x, 1.0, 2.0), [[1.0]], [[0.0]]),
}

CHOICES: Points = {
    "fmax of a tie": (lambda lib, a, b: lib.fmax(a, b), [[1.0], [1.0]], [[1.0], [0.0]]),
    "fmin of a tie": (lambda lib, a, b: lib.fmin(a, b), [[1.0], [1.0]], [[1.0], [0.0]]),
    "fmax with NaN": (
        lambda lib, a, b: lib.fmax(a, b),
        [[NAN, 1.0], [1.0, NAN]],
        [[0.0, 1.0], [1.0, 0.0]],
    ),
    "fmin with NaN": (
        lambda lib, a, b: lib.fmin(a, b),
        [[NAN, 1.0], [1.0, NAN]],
        [[0.0, 1.0], [1.0, 0.0]],
    ),
    "clip at its bounds": (lambda lib, x: x.clip(0.0, 1.0), [[0.0, 1.0]], [[1.0, 1.0]]),
    "clip to a tensor": (
        lambda lib, x, low, high: lib.clip(x, low, high),
        [[-1.0, 0.0, 2.0, 5.0], [0.0, 0.0, 0.0, 3.0], [1.0, 1.0, 1.0, 2.0]],
        [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]],
    ),
    "nan_to_num": (
        lambda lib, x: lib.nan_to_num(x),
        [[NAN, INF, -INF, 1.0]],
        [[0.0, 0.0, 0.0, 1.0]],
    ),
    "where of an infinite gradient": (
        lambda lib, x, y: lib.where(lib.tensor([True, False]), x, y) * INF,
        [[1.0, 1.0], [1.0, 1.0]],
        [[INF, 0.0], [0.0, INF]],
    ),
    "where, chosen before and after": (
        lambda lib, x: lib.where(x > 0, lib.where(x > 0, x, lib.ones(1)).log(), lib.zeros(1)),
        [[0.0]],
        [[0.0]],
    ),
    "masked_fill of an infinite gradient": (
        lambda lib, x: x.masked_fill(lib.tensor([True, False]), 0.0) * INF,
        [[1.0, 1.0]],
        [[0.0, INF]],
    ),
}


@each(POWERS | REMAINDERS | SIGNS | EXPONENTIALS)
def test_slopes_of_functions(lib, point):
    check(lib, point)


@each(ACTIVATIONS)
def test_slopes_of_activations(lib, point):
    check(lib, point)


@pytest.mark.parametrize("size", [1, 5000])
def test_hardswish_of_nan_slopes_by_nan(size):
    """PyTorch: by NaN where it goes by vectors, by 1 in the rest of an array."""
    x = engine.tensor(np.full(size, NAN), requires_grad=True)
    F(engine).hardswish(x).sum().backward()
    assert np.isnan(x.grad.numpy()).all()


@each(CHOICES)
def test_slopes_of_choices(lib, point):
    check(lib, point)


def test_large_choices_by_bits_are_those_of_small_ones():
    """From 4096 elements on; infinities, NaN and the sign of 0 come through."""
    values = np.tile(np.array([1.5, -0.0, INF, NAN, -INF, 0.0, -3.0, 2.0]), 1024)
    for dtype in ("float32", "float64"):
        a, b = values.astype(dtype), values[::-1].astype(dtype)
        mask = np.random.default_rng(0).random(a.size) < 0.5
        for shape in ((-1,), (64, -1)):
            m, x, y = (array.reshape(shape) for array in (mask, a, b))
            got = engine.where(m, x, y).numpy()
            assert got.dtype == dtype
            assert got.tobytes() == np.where(m, x, y).tobytes()
        t = engine.tensor(np.ones_like(a), requires_grad=True)
        engine.where(mask, t, 0).backward(engine.tensor(a))
        assert t.grad.numpy().tobytes() == np.where(mask, a, 0).astype(dtype).tobytes()


WAYS = {
    "relu": lambda x: F(engine).relu(x),
    "leaky_relu": lambda x: F(engine).leaky_relu(x),
    "steep leaky_relu": lambda x: F(engine).leaky_relu(x, 2.0),
    "prelu": lambda x: F(engine).prelu(x, engine.tensor([0.25])),
    "elu": lambda x: F(engine).elu(x),
    "selu": lambda x: F(engine).selu(x),
    "celu": lambda x: F(engine).celu(x, 0.5),
    "softplus": lambda x: F(engine).softplus(x),
    "logsigmoid": lambda x: F(engine).logsigmoid(x),
    "hardtanh": lambda x: F(engine).hardtanh(x),
    "gelu": lambda x: F(engine).gelu(x),
    "clip": lambda x: x.clip(-1.0, 1.0),
    "logaddexp": lambda x: engine.logaddexp(x, 0.0),
    "logaddexp of a sum": lambda x: engine.logaddexp(x, x + 1),
    "nan_to_num": lambda x: engine.nan_to_num(x),
}


@pytest.mark.parametrize("function", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_arrays_take_other_ways_to_the_same(function, dtype):
    """Edges and ordinary numbers, 16 384 at once and eight at a time."""
    few = np.array([1.5, -0.0, INF, NAN, -INF, 0.0, -3.0, 25.0], dtype)
    found = []
    for values in (few, np.tile(few, 2048)):
        x = engine.tensor(values, requires_grad=True)
        y = function(x)
        y.backward(engine.ones_like(y))
        found.append((y.detach().numpy(), x.grad.numpy()))
    for small, large in zip(*found, strict=True):
        np.testing.assert_allclose(large, np.tile(small, 2048), rtol=1e-6)


def test_hypot_has_a_slope_at_the_origin_that_pytorch_lacks():
    assert slopes(engine, lambda lib, a, b: lib.hypot(a, b), [0.0], [0.0]) == [[0.0], [0.0]]


def test_the_slope_of_sinc_near_0_does_not_cancel():
    x = np.array([1e-9, 1e-5, 0.0999, 0.1001])
    (slope,) = slopes(engine, lambda lib, t: lib.sinc(t.astype("f8")), x.tolist())
    u = np.pi * np.float32(x).astype("f8")
    expected = np.pi * (-u / 3 + u**3 / 30 - u**5 / 840 + u**7 / 45360)
    np.testing.assert_allclose(slope, expected, rtol=2e-7)
