"""`vjp` and `jvp`."""

import pytest

import engine.func as func
from engine.errors import (
    OperandError,
    ShapeError,
)
from tests.func.lib import double, equal

# What torch.func itself uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is dep:DeprecationWarning")


def test_vjp(lib):
    x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])
    output, pull = lib.func.vjp(lambda x, y: x * y, x, y)
    equal(output, [3.0, 8.0])
    for _ in range(2):
        gx, gy = pull(lib.tensor([1.0, 10.0]))
        equal(gx, [3.0, 40.0])
        equal(gy, [1.0, 20.0])
    assert not output.requires_grad
    _, pull = lib.func.vjp(lambda x: x * x, x)
    (g,) = pull(lib.tensor([1.0, 10.0]))
    equal(g, [2.0, 40.0])


def test_vjp_of_containers_and_aux(lib):
    def f(tree):
        return {"a": tree["x"] * 2, "b": (tree["x"] * tree["y"],)}, tree["y"] * 3

    tree = {"x": lib.tensor([1.0, 2.0]), "y": lib.tensor([3.0, 4.0])}
    output, pull, aux = lib.func.vjp(f, tree, has_aux=True)
    equal(output["b"][0], [3.0, 8.0])
    equal(aux, [9.0, 12.0])
    ones = lib.tensor([1.0, 1.0])
    (g,) = pull({"a": ones, "b": (ones,)})
    equal(g["x"], [5.0, 6.0])
    equal(g["y"], [1.0, 2.0])


def test_vjp_is_differentiable_by_its_cotangent(lib):
    v = lib.tensor([1.0, 10.0], requires_grad=True)
    _, pull = lib.func.vjp(lambda x: x**3, lib.tensor([1.0, 2.0]))
    pull(v)[0].sum().backward()
    equal(v.grad, [3.0, 12.0])


def test_jvp(lib):
    x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])
    dx, dy = lib.tensor([1.0, 0.0]), lib.tensor([0.0, 10.0])
    output, derivative = lib.func.jvp(lambda x, y: x * y, (x, y), (dx, dy))
    equal(output, [3.0, 8.0])
    equal(derivative, [3.0, 20.0])
    assert not derivative.requires_grad


def test_jvp_of_containers_aux_and_constants(lib):
    def f(tree):
        return (tree["x"] ** 2, lib.tensor([1.0])), tree["x"] * 3

    x, dx = {"x": lib.tensor([1.0, 2.0])}, {"x": lib.tensor([1.0, 10.0])}
    (value, constant), (derivative, zero), aux = lib.func.jvp(f, (x,), (dx,), has_aux=True)
    equal(value, [1.0, 4.0])
    equal(derivative, [2.0, 40.0])
    equal(constant, [1.0])
    equal(zero, [0.0])
    equal(aux, [3.0, 6.0])


def test_jvp_inside_grad(lib):
    def f(x):
        return lib.func.jvp(lambda x: x**3, (x,), (lib.tensor(1.0),))[1]

    equal(lib.func.grad(f)(lib.tensor(2.0)), 12.0)


def test_jvp_of_one_tensor():
    _, derivative = func.jvp(lambda x: x**2, 3.0, 1.0)
    assert derivative.item() == 6.0


@pytest.mark.parametrize(
    ("vector", "error"),
    [
        (double(1.0, 2.0, 3.0), ShapeError),
        (double(1.0), ShapeError),
        ((double(1.0, 2.0), double(1.0, 2.0)), OperandError),
        ({"x": double(1.0, 2.0)}, OperandError),
        (None, OperandError),
    ],
)
def test_vectors_must_fit(vector, error):
    x = double(1.0, 2.0)
    _, pull = func.vjp(lambda x: x * x, x)
    with pytest.raises(error, match="cotangents"):
        pull(vector)
    with pytest.raises(error, match="tangents"):
        func.jvp(lambda x: x * x, (x,), vector if isinstance(vector, tuple) else (vector,))


def test_transforms_work_in_inference_mode(lib):
    def f(x):
        return (x**3).sum()

    outside = lib.tensor([1.0, 2.0])
    with lib.inference_mode():
        for x in (outside, lib.tensor([1.0, 2.0])):
            equal(lib.func.grad(f)(x), [3.0, 12.0])
            equal(lib.func.hessian(f)(x), [[6.0, 0.0], [0.0, 12.0]])
            equal(lib.func.jvp(f, (x,), (x,))[1], 27.0)
            equal(lib.func.vjp(f, x)[1](lib.tensor(1.0))[0], [3.0, 12.0])
            assert lib.is_inference_mode_enabled()
