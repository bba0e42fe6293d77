"""erf and erfc without SciPy: units in the last place from `math.erf`, edges, layouts, dtypes."""

import math

import numpy as np
import pytest

import engine
from engine.ops import errorfunction

DENSE = np.concatenate(
    [
        np.linspace(-7, 7, 40_001),
        np.linspace(-1.001, 1.001, 10_001),
        np.logspace(-300, 0, 2_001),
        np.linspace(0.499, 0.501, 101),
    ]
)
erf = np.vectorize(math.erf, otypes=["f8"])
erfc = np.vectorize(math.erfc, otypes=["f8"])


def ulps(got, want):
    return np.max(np.abs(got.astype("f8") - want) / np.spacing(np.abs(want.astype(got.dtype))))


def test_erf_in_double_precision():
    assert ulps(engine.erf(DENSE).numpy(), erf(DENSE)) <= 3


def test_erfc_in_double_precision_as_far_as_it_goes():
    x = np.concatenate([DENSE, np.linspace(0.5, 26.5, 40_001)])
    assert ulps(engine.erfc(x).numpy(), erfc(x)) <= 5


@pytest.mark.parametrize(("name", "exact", "most"), [("erf", erf, 4), ("erfc", erfc, 1)])
def test_single_precision(name, exact, most):
    x = np.concatenate([np.linspace(-6, 6, 100_001), np.logspace(-30, 0, 2_001)]).astype("f4")
    got = getattr(engine, name)(x).numpy()
    assert got.dtype == np.float32
    assert ulps(got, exact(x.astype("f8"))) <= most


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_edges(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 60000.0, -60000.0], dtype)
    got = engine.erf(x).numpy()
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, [0.0, -0.0, 1.0, -1.0, np.nan, 1.0, -1.0])
    assert np.signbit(got[1])
    np.testing.assert_array_equal(engine.erfc(x).numpy(), [1, 1, 0, 2, np.nan, 0, 2])


def test_erf_is_odd_and_grows():
    x = np.linspace(0, 6, 10_001)
    for dtype in ("float32", "float64"):
        values = errorfunction.erf_of(x.astype(dtype))
        np.testing.assert_array_equal(errorfunction.erf_of(-x.astype(dtype)), -values)
        assert np.min(np.diff(values)) >= -4 * np.finfo(dtype).eps


def test_blocks_layouts_and_whole_numbers():
    x = np.linspace(-4, 4, 3 * errorfunction._BLOCK + 6).reshape(6, -1)
    expected = erf(x)
    for array in (x, x.copy(order="F"), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(engine.erf(array).numpy(), expected, rtol=1e-14)
    assert engine.erf(np.arange(3)).dtype == np.float64
    assert engine.erf(np.zeros((0, 3))).shape == (0, 3)


def test_complex_numbers_are_refused():
    with pytest.raises(engine.errors.OperandError, match="real numbers"):
        engine.erf(engine.tensor([1j]))


def test_scipy_agrees():
    special = pytest.importorskip("scipy.special")
    assert ulps(engine.erf(DENSE).numpy(), special.erf(DENSE)) <= 3
