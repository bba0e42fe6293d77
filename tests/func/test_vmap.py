"""`vmap`."""

import numpy as np
import pytest

import engine
import engine.func as func
from engine.errors import (
    ArgumentError,
    OperandError,
    ShapeError,
)
from engine.func import OutputError
from tests.func.lib import double, equal, numbers

# What torch.func itself uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is dep:DeprecationWarning")


def test_vmap(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    w = lib.tensor([10.0, 1.0])
    equal(lib.func.vmap(lambda x, w: x @ w, (0, None))(x, w), [12.0, 34.0, 56.0])
    equal(lib.func.vmap(lambda x: x * 2, 1, 1)(x), (numbers(x) * 2).tolist())
    equal(lib.func.vmap(lambda x: x.sum(), -1)(x), [9.0, 12.0])
    out = lib.func.vmap(lambda tree: {"sum": tree["x"].sum(), "row": tree["x"]})({"x": x})
    equal(out["sum"], [3.0, 7.0, 11.0])
    equal(out["row"], numbers(x).tolist())


def test_vmap_axes_by_argument_and_by_result():
    x = engine.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def f(tree, scale):
        return tree["x"] * scale, {"sum": tree["x"].sum(), "three": 3.0}

    mapped = func.vmap(f, in_axes=({"x": 0, "y": None}, 0), out_axes=(-1, 0))
    rows, rest = mapped({"x": x, "y": "kept"}, np.array([1.0, 10.0, 100.0], np.float32))
    assert rows.shape == (2, 3)
    equal(rows, [[1.0, 30.0, 500.0], [2.0, 40.0, 600.0]])
    equal(rest["sum"], [3.0, 7.0, 11.0])
    equal(rest["three"], [3.0, 3.0, 3.0])


def test_gradients_of_each_example(lib):
    def loss(w, x, y):
        return ((w * x).sum() - y) ** 2

    w = lib.tensor([1.0, 2.0])
    xs, ys = lib.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), lib.tensor([1.0, 2.0, 3.0])
    each = lib.func.vmap(lib.func.grad(loss), (None, 0, 0))(w, xs, ys)
    equal(each, [[4.0, 4.0], [0.0, 0.0], [0.0, 18.0]])


def test_gradients_flow_through_vmap(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    w = lib.tensor([1.0, 10.0], requires_grad=True)
    lib.func.vmap(lambda x: (x * x * w).sum())(x).sum().backward()
    equal(x.grad, [[2.0, 40.0], [6.0, 80.0]])
    equal(w.grad, [10.0, 20.0])

    def through(x):
        return lib.func.vmap(lambda row: (row**3).sum())(x).sum()

    equal(lib.func.hessian(through)(x)[0, 1], [[0.0, 12.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("axes", "args", "error", "words"),
    [
        (None, (double(1.0),), ArgumentError, "nothing is mapped"),
        (0, (engine.zeros(0),), ArgumentError, "no examples"),
        (0, (engine.zeros(2), engine.zeros(3)), ShapeError, r"float32\[2\].*float32\[3\]"),
        (1, (engine.zeros(2),), ShapeError, "in_axes=1"),
        ((0, 0), (engine.zeros(2),), OperandError, "in_axes"),
        (0, (3.0,), OperandError, "cannot map over float"),
        ("0", (engine.zeros(2),), OperandError, "ints or None"),
    ],
)
def test_vmap_misuse(axes, args, error, words):
    with pytest.raises(error, match=words):
        func.vmap(lambda *parts: parts[0] * 2, axes)(*args)


def test_vmap_results_must_stack():
    x = engine.zeros(2)
    with pytest.raises(OutputError, match="returned str"):
        func.vmap(lambda x: "text")(x)
    with pytest.raises(ShapeError, match="out_axes=2"):
        func.vmap(lambda x: x, 0, 2)(x)
    with pytest.raises(OperandError, match="out_axes must be ints"):
        func.vmap(lambda x: x, 0, None)(x)
    with pytest.raises(ShapeError, match="stack"):
        func.vmap(lambda x, n: engine.zeros(int(n)))(x, engine.tensor([1, 2]))
    with pytest.raises(OperandError, match="each result"):
        func.vmap(lambda n: (n,) if n else n)(engine.tensor([0, 1]))
