"""Jacobians, Hessians, and products with them."""

import numpy as np
import pytest

import engine
import engine.func as func
from engine.errors import (
    ArgumentError,
    DTypeError,
    NonScalarError,
    ShapeError,
)
from engine.func import OutputError, PositionError
from tests.func.lib import double, equal

# What torch.func itself uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is dep:DeprecationWarning")


def vector(x):
    """From 3 numbers to 2."""
    return x[:2] * x[1:] ** 2


VECTOR_JACOBIAN = [[4.0, 4.0, 0.0], [0.0, 9.0, 12.0]]


@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians(lib, name):
    jacobian = getattr(lib.func, name)
    x = lib.tensor([1.0, 2.0, 3.0])
    equal(jacobian(vector)(x), VECTOR_JACOBIAN)
    matrix = lib.tensor([[1.0, 2.0], [3.0, 4.0]])
    a, b = jacobian(lambda x, m: (m @ m).sum(0) * x[:2], argnums=(0, 1))(x, matrix)
    assert tuple(a.shape) == (2, 3)
    assert tuple(b.shape) == (2, 2, 2)
    parts = jacobian(lambda t: {"s": (t["x"] ** 2).sum(), "v": vector(t["x"])})({"x": x})
    equal(parts["s"]["x"], [2.0, 4.0, 6.0])
    equal(parts["v"]["x"], VECTOR_JACOBIAN)
    result, aux = jacobian(lambda x: (vector(x), x * 2), has_aux=True)(x)
    equal(result, VECTOR_JACOBIAN)
    equal(aux, [2.0, 4.0, 6.0])


def test_jacobians_agree():
    weights = engine.randn(3, 4, dtype="float64")

    def f(x, y):
        return ((x @ weights).tanh() * y, (x * 2).sum())

    x, y = engine.randn(2, 3, dtype="float64"), engine.randn(4, dtype="float64")
    rows, columns = (j(f, (0, 1))(x, y) for j in (func.jacrev, func.jacfwd))
    for one, other in zip(rows, columns, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)
    assert rows[0][0].shape == (2, 4, 2, 3)
    assert rows[1][1].shape == (4,)
    assert not rows[1][1].numpy().any()


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_jacobians_of_nothing(jacobian):
    assert jacobian(lambda x: x * 2)(engine.zeros(0)).shape == (0, 0)
    assert jacobian(lambda x: x[:0])(engine.zeros(2)).shape == (0, 2)
    assert jacobian(lambda x: x.sum())(engine.zeros(0)).shape == (0,)


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_integers_have_jacobian_zero(jacobian):
    number, rest = jacobian(lambda x: (x.argmax(), x * 2))(double(1.0, 2.0))
    equal(number, [0.0, 0.0])
    equal(rest, [[2.0, 0.0], [0.0, 2.0]])


def test_jacobians_are_differentiable(lib):
    for jacobian in (lib.func.jacrev, lib.func.jacfwd):
        g = lib.func.grad(lambda x, j=jacobian: (j(vector)(x) ** 2).sum())
        x = lib.tensor([1.0, 2.0, 3.0])
        # of b^4 + (2ab)^2 + c^4 + (2bc)^2 at (1, 2, 3)
        equal(g(x), [32.0, 32.0 + 16.0 + 144.0, 108.0 + 96.0])


def test_hessian(lib):
    def f(x):
        return (x[0] ** 3) * x[1] + x[2]

    x = lib.tensor([1.0, 2.0, 3.0])
    equal(lib.func.hessian(f)(x), [[12.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    blocks = lib.func.hessian(lambda a, b: (a * a * b).sum(), argnums=(0, 1))(x[:1], x[1:2])
    equal(blocks[0][0], [[4.0]])
    equal(blocks[0][1], [[2.0]])
    equal(blocks[1][0], [[2.0]])
    equal(blocks[1][1], [[0.0]])


def test_hvp_is_the_hessian_times_a_vector():
    def f(x, y):
        return (x.tanh() * y**2).sum()

    x, y, dx, dy = (engine.randn(4, dtype="float64") for _ in range(4))
    (xx, xy), (yx, yy) = func.hessian(f, (0, 1))(x, y)
    products = func.hvp(f, (x, y), (dx, dy))
    np.testing.assert_allclose(products[0].numpy(), (xx @ dx + xy @ dy).numpy(), rtol=1e-12)
    np.testing.assert_allclose(products[1].numpy(), (yx @ dx + yy @ dy).numpy(), rtol=1e-12)
    equal(func.hvp(lambda x: (x**3).sum(), double(1.0, 2.0), double(1.0, 1.0)), [6.0, 12.0])
    equal(func.hvp(lambda x: x.sum(), double(1.0, 2.0), double(1.0, 1.0)), [0.0, 0.0])
    with pytest.raises(NonScalarError, match=r"float64\[4\].*sum"):
        func.hvp(lambda x: x, (x,), (dx,))
    with pytest.raises(ShapeError, match="tangents"):
        func.hvp(f, (x, y), (dx, dy[:2]))


def test_jacobian_misuse():
    with pytest.raises(PositionError, match="jacrev: argnums=1"):
        func.jacrev(vector, argnums=1)(double(1.0, 2.0, 3.0))
    with pytest.raises(ArgumentError, match="twice"):
        func.jacfwd(vector, argnums=(0, 0))
    with pytest.raises(DTypeError, match="jacrev: argument 0 of vector"):
        func.jacrev(vector)(engine.arange(3))
    with pytest.raises(OutputError, match="output, aux"):
        func.jacrev(vector, has_aux=True)(double(1.0, 2.0, 3.0))
