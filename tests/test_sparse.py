"""RowSparse: what it is, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import RowSparse
from engine.errors import DTypeError, IndexRangeError, OperandError, ShapeError
from engine.sparse import ROUNDS, add_into
from tests.rows import D, V, dense_of, example


@given(
    st.integers(0, 60),
    st.sampled_from([(1,), (5,), (4, 1), (7, 3), (2, 2, 3), (3, 0)]),
    st.sampled_from(["f4", "f8", "c16"]),
    st.integers(0, 9),
)
def test_dense_and_coalesced_say_the_same(n, shape, dtype, seed):
    g = example(seed, n, shape, dtype)
    expected = dense_of(g.ids, g.rows, shape)
    np.testing.assert_array_equal(g.to_dense(), expected)
    once = g.coalesce()
    assert once.ids.tolist() == sorted(set(g.ids.tolist()))
    np.testing.assert_array_equal(dense_of(once.ids, once.rows, shape), expected)
    assert (once.dtype, once.shape, once.ndim, once.nnz) == (
        dtype,
        shape,
        len(shape),
        len(once.ids),
    )
    assert once.coalesce() is once


@pytest.mark.parametrize("repeats", [1, 2, ROUNDS, ROUNDS + 1, 500])
def test_ids_that_come_often_are_added_up_whichever_way_is_faster(repeats):
    ids = np.concatenate([np.zeros(repeats, int), [3, 3, 1]])
    once = RowSparse(ids, np.ones((len(ids), 2)), (4, 2)).coalesce()
    assert once.ids.tolist() == [0, 1, 3]
    assert once.rows[:, 0].tolist() == [repeats, 1, 2]


def test_sums_and_multiples():
    a, b = example(1), example(2, 3)
    for total in (a + b, b + a):
        assert isinstance(total, RowSparse)
        np.testing.assert_array_equal(total.to_dense(), a.to_dense() + b.to_dense())
    full = np.ones((V, D))
    for total in (a + full, full + a):
        assert type(total) is np.ndarray
        np.testing.assert_array_equal(total, a.to_dense() + 1)
    assert (full == 1).all()
    for scaled, expected in (
        (a * 2, 2),
        (2 * a, 2),
        (a * np.float64(2), 2),
        (a / 2, 0.5),
        (-a, -1),
    ):
        np.testing.assert_array_equal(scaled.to_dense(), a.to_dense() * expected)
    with pytest.raises(TypeError):
        a * full


def test_in_place_it_touches_its_rows_only():
    total = np.ones((V, D))
    add_into(total, RowSparse([2, 2], np.ones((2, D)), (V, D)))
    assert total[:, 0].tolist() == [1, 1, 3, 1, 1, 1]


def test_no_rows_at_all():
    g = RowSparse([], np.zeros((0, D)), (V, D))
    assert (g.nnz, g.coalesce().nnz, g.to_dense().sum()) == (0, 0, 0)
    assert (g + g).nnz == 0
    assert repr(g) == "RowSparse(ids=[], shape=(6, 3), dtype=float64)"


@pytest.mark.parametrize(
    ("ids", "rows", "shape", "error"),
    [
        ([0.5], np.ones((1, D)), (V, D), DTypeError),
        ([[0]], np.ones((1, D)), (V, D), ShapeError),
        ([0], np.ones((1, 2)), (V, D), ShapeError),
        ([0], np.ones((2, D)), (V, D), ShapeError),
        ([0], np.ones(1), (), ShapeError),
        ([V], np.ones((1, D)), (V, D), IndexRangeError),
        ([-1], np.ones((1, D)), (V, D), IndexRangeError),
    ],
)
def test_what_does_not_fit_is_refused(ids, rows, shape, error):
    with pytest.raises(error, match="RowSparse"):
        RowSparse(ids, rows, shape)


def test_sums_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="cannot add"):
        example() + example(shape=(V, D + 1))
    with pytest.raises(ShapeError, match="cannot add"):
        example() + np.ones((V, D + 1))


def test_it_does_not_change():
    g = example()
    with pytest.raises(OperandError, match="immutable"):
        g.ids = None
    for array in (g.ids, g.rows, g.coalesce().rows):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
