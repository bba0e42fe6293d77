"""What a travelling gradient can do: be fitted, added, and made private."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.values import add, fit, private, sum_to

F4 = np.dtype("f4")


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4))
def test_sum_to_undoes_broadcasting(shapes):
    """Each element of the result is the sum over where broadcasting put it."""
    shape = shapes.input_shapes[0]
    ones = np.ones(np.broadcast_shapes(shape, shapes.result_shape))
    summed = sum_to(ones, shape)
    assert summed.shape == shape
    assert (summed == ones.size / max(1, np.prod(shape, dtype=int))).all()


@pytest.mark.parametrize(
    ("have", "want"), [((3,), (2,)), ((3,), (3, 1)), ((1,), (3,)), ((), (1,)), ((2, 3), (3, 3))]
)
def test_sum_to_refuses_what_broadcasting_cannot_have_made(have, want):
    with pytest.raises(ValueError, match="cannot reduce a gradient of shape"):
        sum_to(np.ones(have), want)


def test_sum_to_of_what_fits_is_the_thing_itself():
    g = np.ones((2, 3))
    assert sum_to(g, (2, 3)) is g


def test_fit_gives_shape_and_dtype():
    fitted = fit(np.full((4, 3), 0.5), (3,), F4)
    assert fitted.dtype == F4
    assert fitted.tolist() == [2.0, 2.0, 2.0]


def test_fit_of_a_complex_gradient_to_a_real_value_is_its_real_part():
    fitted = fit(np.array([1 + 2j, 3 - 1j]), (2,), np.dtype("f8"))
    assert fitted.tolist() == [1.0, 3.0]


def test_fit_of_what_fits_is_the_thing_itself():
    g = np.ones(3, F4)
    assert fit(g, (3,), F4) is g
    assert fit(g, (3,), np.dtype("f4")) is g


def test_add_writes_to_what_is_owned_only():
    total, g = np.ones(3), np.ones(3)
    assert add(total, g, owned=False) is not total
    assert total.tolist() == [1, 1, 1]
    assert add(total, g, owned=True) is total
    assert total.tolist() == [2, 2, 2]


@pytest.mark.parametrize("owned", [True, False])
def test_add_of_scalars(owned):
    assert add(np.float32(1), np.float32(2), owned) == 3
    assert add(np.ones(()), np.float32(2), owned) == 3


@given(st.integers(1, 5), st.integers(0, 4))
def test_private_hands_out_what_nobody_else_holds(size, holders):
    cells = {7: np.ones(size)}
    others = [cells[7] for _ in range(holders)]
    address = cells[7].ctypes.data
    mine = private(cells, 7)
    assert (mine.ctypes.data == address) == (not holders)
    assert all(mine is not other for other in others)


@pytest.mark.parametrize("array", [np.ones((2, 3)).T, np.ones(4)[::2], np.ones(4)[:]])
def test_private_copies_views_and_what_is_not_contiguous(array):
    cells = [array]
    mine = private(cells, 0)
    assert not np.shares_memory(mine, array)
    assert mine.flags.c_contiguous
    assert (mine == array).all()


def test_private_makes_an_array_of_a_scalar():
    mine = private([np.float32(2.5)], 0)
    assert type(mine) is np.ndarray
    assert (mine.shape, mine.dtype) == ((), F4)


def test_a_view_keeps_private_from_handing_out_what_it_views():
    cells = [np.ones(4)]
    view = cells[0][1:]
    assert not np.shares_memory(private(cells, 0), view)
