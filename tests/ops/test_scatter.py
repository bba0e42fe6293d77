"""`engine.ops.scatter` against `np.add.at`, for every way that it goes."""

import numpy as np
import pytest

import engine
from engine.ops import OPS
from engine.ops.scatter import add_at, meets_once

RNG = np.random.default_rng(5)
ALL = slice(None)


def ids(size: int, *shape: int) -> np.ndarray:
    """Indices of an axis of `size`, negative ones among them."""
    return RNG.integers(-size, size, shape)


MASK = RNG.random(40) < 0.5
CALLS = {
    "few": ((5, 2), ids(5, 9)),
    "counted": ((100,), ids(100, 3000)),
    "counted rows": ((60, 8), ids(60, 500)),
    "sorted rows": ((60, 64), ids(60, 50)),
    "sorted rows that come up often": ((3, 64), ids(3, 500)),
    "sorted by two bytes and more": ((70_000, 40), ids(70_000, 50)),
    "few of many": ((50_000,), ids(50_000, 1500)),
    "rows of a table": ((60, 16), ids(60, 20, 10)),
    "small integers": ((60, 64), ids(60, 50).astype("int8")),
    "another axis": ((30, 20, 4), (ALL, ids(20, 25))),
    "the last axis": ((100, 20), (..., ids(20, 25))),
    "an ellipsis behind": ((20, 30, 4), (ids(20, 25), ...)),
    "pairs": ((20, 10), (ids(20, 2000), ids(10, 2000))),
    "pairs and rows": ((20, 10, 5), (ids(20, 300), ids(10, 300))),
    "pairs that broadcast": ((20, 10, 5), (ids(20, 30, 1), ids(10, 20))),
    "a number and an array": ((4, 10, 50), (2, ids(10, 30))),
    "apart": ((20, 30, 10), (ids(20, 50), ALL, ids(10, 50))),
    "with a part of an axis": ((20, 30, 10), (slice(1, 15, 2), ids(30, 40))),
    "with a new axis": ((20, 30), (None, ids(20, 50))),
    "mask and array": ((40, 50, 3), (MASK, ids(50, MASK.sum()))),
    "mask": ((40, 50), MASK),
    "mask of another axis": ((30, 40), (ALL, MASK)),
    "mask and a part": ((50, 40), (slice(2, 40), MASK)),
    "a list": ((60, 64), ids(60, 50).tolist()),
    "numbers and parts": ((40, 50, 3), (slice(None, None, -1), np.int64(3))),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64", "float16"])
@pytest.mark.parametrize("name", CALLS)
def test_sums_are_those_of_add_at(name, dtype):
    shape, index = CALLS[name]
    seen = np.zeros(shape, bool)[index].shape
    g = RNG.integers(-8, 9, seen).astype(dtype)  # so that sums are exact in any order
    before = g.copy()
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, g)
    found = add_at(g, index, shape)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(g, before)


# Indices and shape: at least half of the indices are 0, so that one place gets many terms.
CROWDS = {
    "few, of few": (1000, (50,)),
    "few, of many": (1000, (1_000_000,)),
    "few rows": (250, (300, 4)),
    "few rows of many": (250, (200_000, 4)),
    "few long rows": (30, (9000, 32)),
    "vectors": (20_000, (30,)),
    "vectors, one for a place": (20_000, (20_000,)),
    "vectors, of many": (2000, (200_000,)),
    "rows": (20_000, (6000, 8)),
    "rows, of many": (2000, (100_000, 8)),
    "rows of 31": (5000, (1500, 31)),
    "rows of 32": (5000, (1500, 32)),
    "rows of 64": (5000, (100, 64)),
}


@pytest.mark.parametrize(("dtype", "rtol"), [("float16", 5e-4), ("float32", 1e-6)])
@pytest.mark.parametrize(("count", "shape"), CROWDS.values(), ids=CROWDS)
def test_many_terms_of_one_place_are_added_as_exactly_as_the_dtype_can_tell(
    count, shape, dtype, rtol
):
    """Whatever the width of a row, and however large the table: float16 stops at 256 otherwise."""
    index = np.where(RNG.random(count) < 0.5, 0, RNG.integers(0, shape[0], count))
    g = RNG.random((count, *shape[1:])).astype(dtype)
    expected = np.zeros(shape)
    np.add.at(expected, index, g.astype("f8"))
    np.testing.assert_allclose(add_at(g, index, shape), expected, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nothing_at_no_place(dtype):
    index = np.zeros(0, int)
    found = add_at(np.zeros((0, 3), dtype), index, (5000, 3))
    assert found.dtype == dtype
    assert not found.any()


@pytest.mark.parametrize("name", CALLS)
def test_what_is_said_to_meet_once_does(name):
    shape, index = CALLS[name]
    met = np.zeros(shape, int)
    np.add.at(met, index, 1)
    assert not (meets_once(index) and met.max() > 1)
    assert meets_once(index) == (
        (name.startswith("mask") and "array" not in name) or name == "numbers and parts"
    )


@pytest.mark.parametrize("index", [ids(20, 200), (ALL, ids(30, 60))], ids=["rows", "axis"])
def test_large_gradients_through_an_index(index):
    """The samples of the cases are small; these reach the sums, at first and second order."""
    x = engine.tensor(RNG.standard_normal((20, 30)), requires_grad=True)
    weights = RNG.standard_normal(x.detach().numpy()[index].shape)
    (g,) = engine.grad((x[index] ** 2 * weights).sum(), [x], create_graph=True)
    expected = np.zeros((20, 30))
    np.add.at(expected, index, weights)
    np.testing.assert_allclose(g.detach(), 2 * expected * x.detach().numpy(), rtol=1e-12)
    (h,) = engine.grad((g * g).sum(), [x])
    np.testing.assert_allclose(h, 8 * expected**2 * x.detach().numpy(), rtol=1e-12)


def test_put_is_what_getitem_transposes():
    index = ids(20, 200)
    x, g = RNG.standard_normal((20, 30)), RNG.standard_normal((200, 30))
    put = OPS["put"](g, index=index, shape=(20, 30))
    assert np.sum(put * x) == pytest.approx(np.sum(g * x[index]))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("low", [0, -7], ids=["positive", "negative too"])
def test_many_indices_along_an_axis(axis, low):
    """So many that they become indices of the flattened array, unless some are negative."""
    shape = (20, 30, 40)
    index = RNG.integers(low, 7, (*shape[:axis], 9, *shape[axis:][1:]))
    x = engine.tensor(RNG.standard_normal(shape), requires_grad=True)
    values = engine.tensor(RNG.standard_normal(index.shape), requires_grad=True)
    weights = RNG.standard_normal(index.shape)
    plain = x.detach().numpy()

    gathered = engine.gather(x, axis, index)
    np.testing.assert_array_equal(gathered.detach(), np.take_along_axis(plain, index, axis))
    (g,) = engine.grad((gathered * weights).sum(), [x])
    places = [np.arange(n).reshape(-1, *[1] * (2 - i)) for i, n in enumerate(shape)]
    places[axis] = index
    expected = np.zeros(shape)
    np.add.at(expected, tuple(places), weights)
    np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-14)

    added = engine.scatter_add(x, axis, index, values)
    expected = plain.copy()
    np.add.at(expected, tuple(places), values.detach().numpy())
    np.testing.assert_allclose(added.detach(), expected, rtol=1e-12, atol=1e-14)
    upstream = RNG.standard_normal(shape)
    (g,) = engine.grad((added * upstream).sum(), [values])
    np.testing.assert_array_equal(g, np.take_along_axis(upstream, index, axis))


def test_an_index_that_is_written_to_later_means_what_it_meant():
    index = RNG.integers(0, 30, (20, 300))
    x = engine.tensor(RNG.standard_normal((20, 30)), requires_grad=True)
    expected = np.zeros((20, 30))
    np.add.at(expected, (np.arange(20)[:, None], index), 1.0)
    total = engine.gather(x, 1, index).sum()
    index[...] = 0
    np.testing.assert_array_equal(engine.grad(total, [x])[0], expected)


@pytest.mark.parametrize("wrong", [30, -31])
def test_one_of_many_indices_out_of_bounds(wrong):
    index = np.zeros((20, 300), int)
    index[3, 3] = wrong
    with pytest.raises(IndexError):
        engine.gather(engine.zeros(20, 30), 1, index)
