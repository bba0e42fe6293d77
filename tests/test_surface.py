"""The op table as functions, methods, operators and NumPy's functions, in both spellings."""

import numpy as np
import pytest

import engine
from engine.ops import BY_FUNCTION
from engine.surface import FUNCTIONS

X = np.arange(6, dtype="f4").reshape(2, 3) / 4


def tensor(values=X, **options):
    return engine.tensor(values, requires_grad=True, **options)


# Functions and methods


def test_every_public_op_is_a_function_of_engine():
    assert {name: getattr(engine, name) for name in FUNCTIONS} == FUNCTIONS
    assert set(FUNCTIONS) <= set(engine.__all__)
    for name, function in FUNCTIONS.items():
        assert function.__doc__, name


@pytest.mark.parametrize(
    "same",
    [
        (lambda x: x.sum(axis=1, keepdims=True), lambda x: x.sum(dim=1, keepdim=True)),
        (lambda x: x.sum(1, True), lambda x: engine.sum(x, dim=1, keepdim=True)),
        (lambda x: x.mean(0), lambda x: engine.mean(x, axis=0)),
        (lambda x: x.max(), lambda x: engine.amax(x)),
        (lambda x: x.softmax(dim=0), lambda x: engine.softmax(x, axis=0)),
        (lambda x: x.reshape(3, 2), lambda x: x.reshape((3, 2))),
        (lambda x: x.view(-1), lambda x: x.flatten()),
        (lambda x: x.reshape(-1), lambda x: engine.ravel(x)),
        (lambda x: x.permute(1, 0), lambda x: x.permute((1, 0))),
        (lambda x: x.permute(dims=(1, 0)), lambda x: x.T),
        (lambda x: x.transpose(0, 1), lambda x: x.swapaxes(axis1=0, axis2=1)),
        (lambda x: x.transpose(dim0=0, dim1=1), lambda x: x.T),
        (lambda x: x[None].expand(2, -1, -1), lambda x: x.broadcast_to((2, 2, 3))),
        (lambda x: x.unsqueeze(dim=0), lambda x: x[None]),
        (lambda x: x.clamp(0.5, 1.0), lambda x: x.clip(min=0.5, max=1.0)),
        (lambda x: x.clip(max=1), lambda x: engine.minimum(x, 1)),
        (lambda x: x.to("float64"), lambda x: x.astype(np.float64)),
        (lambda x: engine.add(x, 2), lambda x: 2 + x),
        (lambda x: engine.power(x, 2), lambda x: x**2),
        (lambda x: engine.where(x > 0.5, x, 0), lambda x: x * (x > 0.5)),
        (lambda x: x.take([1, 0], axis=1), lambda x: x[:, [1, 0]]),
        (lambda x: engine.mul(x, [1, 2, 3]), lambda x: x * np.array([1, 2, 3])),
    ],
)
def test_spellings(same):
    (a, b), x = same, tensor()
    assert a(x).tolist() == b(x).tolist()
    assert a(x).grad_fn is not None


def test_what_is_no_method_of_pytorch_is_none_here():
    for name in ("where", "linear", "cross_entropy", "mse_loss", "getitem", "put"):
        assert not hasattr(engine.Tensor, name)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.exp(dim=0),
        lambda x: x.exp(1),
        lambda x: x.sum(0, True, 3),
        lambda x: x.sum(0, axis=1),
        lambda x: engine.add(x),
        lambda x: engine.exp(),
        lambda x: engine.add(x, other=2),
        lambda x: engine.clip(x, minimum=2),
        lambda x: engine.relu(None),
        lambda x: engine.matmul(x, "a"),
    ],
)
def test_arguments_that_no_op_takes_are_refused(wrong):
    with pytest.raises(engine.errors.OperandError):
        wrong(tensor())


# Operators


@pytest.mark.parametrize(
    "operate",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: x**y,
        lambda x, y: x % y,
        lambda x, y: divmod(x, y)[1],
        lambda x, y: x == y,
        lambda x, y: x != y,
        lambda x, y: x < y,
        lambda x, y: x <= y,
        lambda x, y: x > y,
        lambda x, y: x >= y,
    ],
)
@pytest.mark.parametrize("other", [2.0, 2, True, np.float32(2), np.array([1, 2, 3], "f4")])
def test_operators_with_numbers_and_arrays_from_both_sides(operate, other):
    x = tensor()
    for left, right, plain in ((x, other, (X, other)), (other, x, (other, X))):
        if not isinstance(left, engine.Tensor) and left is other and operate(1, 2) is False:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            got, expected = operate(left, right), operate(*plain)
        assert isinstance(got, engine.Tensor)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-6)
        assert got.requires_grad == (got.dtype.kind == "f")


@pytest.mark.parametrize("operate", [lambda x, y: x // y, lambda x, y: divmod(x, y)[0]])
@pytest.mark.parametrize("other", [2.0, 2, np.float32(2), np.array([1, 2, 3], "f4")])
def test_floor_division_from_both_sides_has_no_gradient(operate, other):
    x = tensor(X + 1)
    for left, right, plain in ((x, other, (X + 1, other)), (other, x, (other, X + 1))):
        got = operate(left, right)
        assert isinstance(got, engine.Tensor)
        assert not got.requires_grad
        assert got.tolist() == operate(*plain).tolist()


@pytest.mark.parametrize(
    "operate",
    [
        lambda x, y: x & y,
        lambda x, y: x | y,
        lambda x, y: x ^ y,
        lambda x, y: x << y,
        lambda x, y: x >> y,
        lambda x, y: ~x ^ y,
        lambda x, y: x**y,
        lambda x, y: x // y,
        lambda x, y: x % y,
    ],
)
def test_whole_numbers_and_their_bits_from_both_sides(operate):
    a, b = np.array([1, 6, 7]), np.array([3, 1, 2])
    for left, right in ((a, b), (b, a), (a, 2), (2, b)):
        expected = operate(left, right)
        for x, y in ((engine.tensor(left), right), (left, engine.tensor(right))):
            got = operate(x, y)
            assert isinstance(got, engine.Tensor)
            assert got.dtype == expected.dtype
            assert got.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "write",
    [
        lambda array, t: array.__iadd__(t),
        lambda array, t: array.__isub__(t),
        lambda array, t: array.__imul__(t),
        lambda array, t: array.__itruediv__(t),
        lambda array, t: array.__ipow__(t),
        lambda array, t: array.__imod__(t),
        lambda array, t: np.add(array, t, out=array),
    ],
)
def test_an_array_does_not_swallow_a_tensor(write):
    """`array += tensor` would lose the history; what stood in the array stays."""
    for t in (tensor(), tensor().detach()):
        array = np.ones((2, 3), "f4")
        with pytest.raises(engine.errors.NotSupportedError, match="history"):
            write(array, t)
        assert (array == 1).all()


@pytest.mark.parametrize(
    "operate",
    [
        lambda t, array: t.__iadd__(array),
        lambda t, array: t.__isub__(array),
        lambda t, array: t.__imul__(array),
        lambda t, array: t.__itruediv__(array),
    ],
)
def test_a_tensor_takes_an_array_in_place(operate):
    x, array = tensor(), np.full((2, 3), 2, "f4")
    y = x * 1
    again = operate(y, array)
    assert again is y
    again.sum().backward()
    expected = X.copy()
    operate(expected, array)
    assert y.tolist() == expected.tolist()
    assert x.grad is not None


def test_matrix_products_from_both_sides():
    x = tensor()
    assert (x @ X.T).tolist() == (X @ tensor().T).tolist() == (X @ X.T).tolist()
    assert (x @ [1.0, 2.0, 3.0]).tolist() == (X @ [1, 2, 3]).tolist()


def test_unary_operators_and_masks():
    x = tensor()
    assert (-x).tolist() == (-X).tolist()
    assert abs(x - 1).tolist() == abs(X - 1).tolist()
    assert (+x) is x
    low, high = x > 0.2, x < 1.1
    assert (low & high).tolist() == ((X > 0.2) & (X < 1.1)).tolist()
    assert (low | ~high).tolist() == ((X > 0.2) | ~(X < 1.1)).tolist()
    assert x[low & high].tolist() == X[(X > 0.2) & (X < 1.1)].tolist()


def test_operators_refuse_what_is_no_number():
    for other in ("a", None, object()):
        with pytest.raises(TypeError, match=r"add\(a: float32\[2, 3\]"):
            tensor() + other


def test_python_sees_numbers_sequences_and_truth():
    x = tensor()
    assert len(x) == 2
    assert [row.tolist() for row in x] == X.tolist()
    assert (float(x[0, 1]), int(x[1, 1]), bool(x[0, 0])) == (0.25, 1, False)
    assert x[1, 2].item() == 1.25
    with pytest.raises(TypeError):
        len(x[0, 0])
    with pytest.raises(TypeError):
        iter(x[0, 0])
    assert len({x, x, tensor()}) == 2


# NumPy's functions


@pytest.mark.parametrize(
    "function",
    [
        np.exp,
        np.negative,
        np.sum,
        np.mean,
        np.max,
        np.min,
        np.transpose,
        np.ravel,
        np.squeeze,
        np.copy,
        np.add.reduce,
        np.maximum.reduce,
        np.minimum.reduce,
        np.sin,
        np.arcsinh,
        np.exp2,
        np.fabs,
        np.degrees,
        np.radians,
        np.sinc,
        np.nan_to_num,
        np.real,
        np.conj,
        np.real_if_close,
        lambda x: np.arctan2(X, x),
        lambda x: np.hypot(x, X + 1),
        lambda x: np.logaddexp(0.5, x),
        lambda x: np.mod(x, np.float32(0.7)),
        lambda x: np.fmod(np.ones(3, "f4"), x + 1),
        lambda x: np.fmax(x, X),
        lambda x: np.float_power(x + 1, 2),
        lambda x: np.copysign(x, -1),
        lambda x: np.select([X > 1, X > 0.5], [x, 2 * x], 0.5),
        lambda x: np.choose(np.array([0, 1, 0]), [x, -x]),
        lambda x: np.divmod(x, 2)[1],
        lambda x: np.add(X, x),
        lambda x: np.maximum(x, 0.5),
        lambda x: np.sum(x, axis=1, keepdims=True),
        lambda x: np.max(x, 0),
        lambda x: np.sum(x, dtype=np.float64),
        lambda x: np.multiply.reduce(x, axis=None),
        lambda x: np.add.reduce(x, axis=1, keepdims=True),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.swapaxes(x, 0, 1),
        lambda x: np.expand_dims(x, 0),
        lambda x: np.broadcast_to(x, (2, 2, 3)),
        lambda x: np.where(x > 0.5, x, 0),
        lambda x: np.clip(x, 0.5, 1),
        lambda x: np.take(x, [2, 0], axis=1),
        lambda x: np.dot(x, X.T),
        lambda x: np.matmul(X.T, x),
    ],
)
def test_numpy_functions_record(function):
    got = function(tensor())
    assert isinstance(got, engine.Tensor)
    assert got.requires_grad
    np.testing.assert_allclose(got.detach().numpy(), function(X), rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        np.unwrap,
        lambda x: np.unwrap(x),
        lambda x: np.exp(x, out=np.zeros((2, 3), "f4")),
        lambda x: np.exp(x, where=X > 0),
        lambda x: np.sum(x, 0, np.float64),
        lambda x: np.sum(x, dtype=np.float64, where=X > 0),
        lambda x: np.multiply.accumulate(x),
        lambda x: np.add.at(x, 0, 1),
        lambda x: np.add.outer(x, x),
        lambda x: np.zeros((2, 3)).__iadd__(x),
        lambda x: np.histogram(x),
        lambda x: np.asarray(x),
        lambda x: np.array([x[0, 0], x[0, 1]]),
    ],
)
def test_numpy_never_drops_a_gradient_silently(function):
    with pytest.raises(engine.errors.EngineError):
        function(tensor())


def test_numpy_scalars_do_not_swallow_tensors():
    assert isinstance(np.float64(2) * tensor(), engine.Tensor)
    assert (np.float64(2) * tensor()).dtype == np.float64
    assert (2.0 * tensor()).dtype == np.float32


def test_the_table_knows_numpys_functions_alone():
    for function in BY_FUNCTION:
        assert isinstance(function, np.ufunc) or function.__module__.startswith("numpy")
