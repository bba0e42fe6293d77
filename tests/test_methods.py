"""PyTorch's methods that no row of the table is, and the ones that write in place."""

import numpy as np
import pytest

import engine
from engine.errors import InPlaceError, OperandError, SavedValueChangedError, ShapeError
from engine.surface import _IN_PLACE

X = np.array([[0.25, 0.5, 0.75], [0.3, 0.6, 0.9]])
INDEX = engine.tensor([0, 1, 0])
WIDE = engine.tensor([[0, 2, 0], [1, 1, 0]])
MASK = X > 0.5

# What is called with more than the tensor itself.
ARGUMENTS = {
    "clamp": (0.3, 0.7),
    "clip": (0.3, 0.7),
    "float_power": (2.0,),
    "fmod": (0.4,),
    "index_add": (1, INDEX, engine.tensor(X)),
    "index_copy": (1, INDEX[:2], engine.tensor(X[:, :2])),
    "index_fill": (1, INDEX, 3.0),
    "index_put": ((INDEX[:2], INDEX[:2]), engine.tensor([5.0, 6.0])),
    "masked_fill": (MASK, 2.0),
    "pow": (3,),
    "remainder": (0.4,),
    "scatter": (1, WIDE, engine.tensor(X)),
    "scatter_add": (1, WIDE, engine.tensor(X)),
    "xlogy": (engine.tensor(X),),
}
SHIFTED = {"acosh"}  # what needs numbers above 1


def leaf(values=X):
    return engine.tensor(values, requires_grad=True)


# In place


@pytest.mark.parametrize("name", _IN_PLACE.split())
def test_a_method_that_writes_does_what_the_function_says(name):
    values = X + 1 if name in SHIFTED else X
    args = ARGUMENTS.get(name, ())
    x, y = leaf(values), leaf(values)
    made = getattr(engine, name)(x * 1, *args)
    written = y * 1
    memory = written.detach().numpy()
    assert getattr(written, f"{name}_")(*args) is written
    assert memory is written.detach().numpy()
    np.testing.assert_allclose(memory, made.detach().numpy())
    assert written._version == 1
    if made.requires_grad:
        (expected,) = engine.grad((made * made).sum(), [x])
        (found,) = engine.grad((written * written).sum(), [y])
        np.testing.assert_allclose(found, expected)
    else:
        assert not written.requires_grad


def test_a_write_of_what_requires_a_gradient_gives_it_one():
    source, base = leaf(), engine.zeros(2, 3, dtype="float64")
    base.index_add_(1, INDEX, source)
    (g,) = engine.grad((base * np.array([1.0, 10.0, 100.0])).sum(), [source])
    assert g.tolist() == [[1.0, 10.0, 1.0]] * 2


def test_a_write_through_a_view_reaches_the_whole():
    x = leaf()
    whole = x * 1
    whole[:, :2].clamp_(min=0.4)
    (g,) = engine.grad(whole.sum(), [x])
    assert g.tolist() == [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]


def test_what_saved_the_elements_notices():
    x = leaf()
    whole = x * 1
    squares = whole * whole
    whole.tanh_()
    with pytest.raises(SavedValueChangedError):
        squares.sum().backward()


def test_without_history_nothing_is_recorded_and_the_memory_stays():
    x = leaf()
    with engine.no_grad():
        x.clamp_(0.3, 0.7)
    assert x.is_leaf
    assert x.tolist() == X.clip(0.3, 0.7).tolist()


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda x: x.clamp_(0, 1), InPlaceError),
        (lambda x: (x * 1).pow_(np.ones((2, 2, 3))), ShapeError),
        (lambda x: engine.tensor([1, 2]).sqrt_(), ShapeError),
        (lambda x: (x * 1).index_add_(0, INDEX, x), ShapeError),
        (lambda x: (x * 1).expand(2, 2, 3).sqrt_(), InPlaceError),
        (lambda x: (x * 1).clamp_(0, 1, 2), OperandError),
    ],
)
def test_what_cannot_be_written_is_refused_and_changes_nothing(write, error):
    x = leaf()
    with pytest.raises(error):
        write(x)
    assert x.tolist() == X.tolist()


# Shapes


def test_shapes_as_those_of_others():
    x, other = leaf(), engine.zeros(4, 2, 3)
    assert x.expand_as(other).shape == (4, 2, 3)
    assert x.view_as(engine.zeros(6)).shape == x.reshape_as(engine.zeros(6)).shape == (6,)
    assert x.expand_as(other).grad_fn is not None
    assert x.t().tolist() == X.T.tolist()
    assert x[0].t().shape == (3,)
    with pytest.raises(ShapeError, match="two axes"):
        other.t()


# Memory


def test_contiguous_copies_only_what_is_not():
    x = leaf()
    assert x.contiguous() is x
    turned = x.t()
    assert not turned.is_contiguous()
    assert turned.contiguous().is_contiguous()
    assert turned.contiguous().tolist() == X.T.tolist()
    assert (x.stride(), turned.stride(), x.stride(0)) == ((3, 1), (1, 3), 3)
    (g,) = engine.grad(turned.contiguous().sum(), [x])
    assert g.shape == (2, 3)


# Dtypes


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float", "float32"),
        ("double", "float64"),
        ("half", "float16"),
        ("long", "int64"),
        ("int", "int32"),
        ("bool", "bool"),
    ],
)
def test_casts_by_name(name, dtype):
    cast = getattr(leaf(), name)()
    assert cast.dtype == dtype
    assert getattr(cast, name)() is cast
    assert leaf().type_as(cast).dtype == dtype
    assert cast.requires_grad == cast.is_floating_point()


def test_a_cast_gives_the_gradient_back_in_its_dtype():
    x = leaf()
    (g,) = engine.grad(x.float().sum(), [x])
    assert g.dtype == np.float64
    assert x.type_as(x) is x


# New ones


def test_new_tensors_have_the_dtype_of_the_old():
    x = leaf().half()
    assert x.new_zeros(2, 3).tolist() == x.new_zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert x.new_ones(2).dtype == x.new_full((2,), 7).dtype == x.new_tensor([1, 2]).dtype == "f2"
    assert x.new_full((2,), 7).tolist() == [7.0, 7.0]
    assert x.new_tensor(engine.tensor([1, 2])).tolist() == [1.0, 2.0]
    assert x.new_ones(2, dtype="int64").dtype == "int64"
    assert x.new_ones(2, requires_grad=True).is_leaf
    with engine.inference_mode():
        assert x.new_zeros(2).is_inference()
