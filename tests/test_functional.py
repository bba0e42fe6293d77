"""`engine.autograd.functional` answers as `torch.autograd.functional`: the same bodies on both."""

import threading
from typing import Any

import numpy as np
import pytest

import engine
import engine.autograd.functional as ours
from engine.errors import EngineError

THREADS = 8


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    if request.param == "engine":
        return engine
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.autograd.functional")
    return torch


def equal(tensor, expected):
    got, wanted = np.asarray(tensor.detach().tolist()), np.asarray(expected)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def product(x, y):
    return x * y, (x * x).sum()


def cubes(x):
    return (x**3).sum()


def mixed(x, y):
    return (x * x * y).sum()


def pair(lib):
    return lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])


# Products


def test_vjp(lib):
    x, y = pair(lib)
    output, g = lib.autograd.functional.vjp(lambda x: x * x, x, lib.tensor([1.0, 10.0]))
    equal(output, [1.0, 4.0])
    equal(g, [2.0, 40.0])
    v = (lib.tensor([1.0, 1.0]), lib.tensor(10.0))
    (one, two), (gx, gy) = lib.autograd.functional.vjp(product, (x, y), v)
    equal(one, [3.0, 8.0])
    equal(two, 5.0)
    equal(gx, [23.0, 44.0])
    equal(gy, [1.0, 2.0])
    assert not any(t.requires_grad for t in (one, two, gx, gy, x, y))
    equal(lib.autograd.functional.vjp(cubes, x)[1], [3.0, 12.0])


def test_jvp(lib):
    x, y = pair(lib)
    v = (lib.tensor([1.0, 0.0]), lib.tensor([0.0, 10.0]))
    (one, two), (d1, d2) = lib.autograd.functional.jvp(product, (x, y), v)
    equal(one, [3.0, 8.0])
    equal(two, 5.0)
    equal(d1, [3.0, 20.0])
    equal(d2, 2.0)
    assert not d1.requires_grad
    output, derivative = lib.autograd.functional.jvp(lambda x: x * x, lib.tensor(3.0))
    equal(output, 9.0)
    equal(derivative, 6.0)


@pytest.mark.parametrize("name", ["vhp", "hvp"])
def test_products_with_the_hessian(lib, name):
    x, y = pair(lib)
    times = getattr(lib.autograd.functional, name)
    value, g = times(cubes, x, lib.tensor([1.0, 10.0]))
    equal(value, 9.0)
    equal(g, [6.0, 120.0])
    _, (gx, gy) = times(mixed, (x, y), (lib.tensor([1.0, 0.0]), lib.tensor([0.0, 1.0])))
    equal(gx, [6.0, 4.0])
    equal(gy, [2.0, 0.0])
    assert not gx.requires_grad
    equal(times(lambda x: x.sum(), x, lib.tensor([1.0, 1.0]))[1], [0.0, 0.0])
    equal(times(lambda x: x**3, lib.tensor(2.0))[1], 12.0)


# Matrices


def test_jacobian(lib):
    x, y = pair(lib)
    jacobian = lib.autograd.functional.jacobian
    equal(jacobian(lambda x: x * x, x), [[2.0, 0.0], [0.0, 4.0]])
    rows = jacobian(product, (x, y))
    equal(rows[0][0], [[3.0, 0.0], [0.0, 4.0]])
    equal(rows[0][1], [[1.0, 0.0], [0.0, 2.0]])
    equal(rows[1][0], [2.0, 4.0])
    equal(rows[1][1], [0.0, 0.0])
    (only,) = jacobian(lambda x: x * x, (x,))
    equal(only, [[2.0, 0.0], [0.0, 4.0]])
    many = jacobian(lambda x: (x.sum(), x), x)
    equal(many[0], [1.0, 1.0])
    assert not many[1].requires_grad


def test_hessian(lib):
    x, y = pair(lib)
    hessian = lib.autograd.functional.hessian
    equal(hessian(cubes, x), [[6.0, 0.0], [0.0, 12.0]])
    blocks = hessian(mixed, (x, y))
    equal(blocks[0][0], [[6.0, 0.0], [0.0, 8.0]])
    equal(blocks[0][1], [[2.0, 0.0], [0.0, 4.0]])
    equal(blocks[1][0], [[2.0, 0.0], [0.0, 4.0]])
    equal(blocks[1][1], [[0.0, 0.0], [0.0, 0.0]])
    equal(hessian(lambda x: (x**3).sum(0, keepdim=True), x), [[6.0, 0.0], [0.0, 12.0]])


def test_vectorize_changes_nothing():
    x, y = pair(engine)
    plain = ours.jacobian(product, (x, y), strict=False)
    for strategy in ("reverse-mode", "forward-mode"):
        rows = ours.jacobian(product, (x, y), vectorize=True, strategy=strategy)
        for row, expected in zip(rows, plain, strict=True):
            equal(row[0], expected[0].tolist())
            equal(row[1], expected[1].tolist())
    for strategy in ("reverse-mode", "forward-mode"):
        blocks = ours.hessian(mixed, (x, y), vectorize=True, outer_jacobian_strategy=strategy)
        equal(blocks[0][1], [[2.0, 0.0], [0.0, 4.0]])


# create_graph


def test_create_graph_reaches_the_inputs(lib):
    def penalty(name, *v):
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        result = getattr(lib.autograd.functional, name)(cubes, x, *v, create_graph=True)
        last = result[1] if isinstance(result, tuple) else result
        last.sum().backward()
        return x.grad

    equal(penalty("vjp"), [6.0, 12.0])
    equal(penalty("jvp", lib.tensor([1.0, 10.0])), [6.0, 120.0])
    equal(penalty("vhp", lib.tensor([1.0, 10.0])), [6.0, 60.0])
    equal(penalty("hvp", lib.tensor([1.0, 10.0])), [6.0, 60.0])
    equal(penalty("jacobian"), [6.0, 12.0])
    equal(penalty("hessian"), [6.0, 6.0])


def test_without_create_graph_nothing_has_history(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    w = lib.tensor([1.0, 2.0], requires_grad=True)
    f = lib.autograd.functional
    value, g = f.vjp(lambda x: (w * x).sum(), x)
    assert not value.requires_grad
    assert not g.requires_grad
    assert not f.hessian(lambda x: (w * x**2).sum(), x).requires_grad
    assert x.grad is None
    assert w.grad is None


def test_it_works_without_grad_mode(lib):
    x = lib.tensor([1.0, 2.0])
    with lib.no_grad():
        equal(lib.autograd.functional.hessian(cubes, x), [[6.0, 0.0], [0.0, 12.0]])
        assert not lib.is_grad_enabled()


def test_it_works_in_inference_mode():
    with engine.inference_mode():
        x = engine.tensor([1.0, 2.0])
        equal(ours.hvp(cubes, x, x)[1], [6.0, 24.0])
        equal(ours.jvp(cubes, x, x)[1], 27.0)


# Misuse: what each raises


def tensors(lib, *values):
    return lib.tensor(list(values))


def misuse(lib):
    """Calls that must fail, by name: the call, and what it raises."""
    f = lib.autograd.functional
    x, y = pair(lib)
    strict = {"strict": True}
    return {
        "number in": (lambda: f.vjp(cubes, 3.0), TypeError),
        "list in": (lambda: f.jacobian(cubes, [x]), TypeError),
        "number in tuple": (lambda: f.hessian(mixed, (x, 3.0)), TypeError),
        "number out": (lambda: f.jacobian(lambda x: 3.0, x), TypeError),
        "list out": (lambda: f.vjp(lambda x: [x], x, x), TypeError),
        "v missing": (lambda: f.vjp(lambda x: x * x, x), RuntimeError),
        "v missing forward": (lambda: f.jvp(cubes, x), RuntimeError),
        "v missing hessian": (lambda: f.hvp(cubes, x), RuntimeError),
        "v no tensor": (lambda: f.vjp(cubes, x, 1.0), TypeError),
        "v shape": (lambda: f.vjp(lambda x: x, x, tensors(lib, 1.0)), RuntimeError),
        "v shape forward": (lambda: f.jvp(cubes, x, tensors(lib, 1.0)), RuntimeError),
        "v count": (lambda: f.vhp(mixed, (x, y), (x,)), RuntimeError),
        "v one for two": (lambda: f.vhp(mixed, (x, y), x), RuntimeError),
        "hessian of many": (lambda: f.hessian(lambda x: x, x), RuntimeError),
        "hessian of tuple": (lambda: f.hessian(lambda x: (cubes(x),), x), RuntimeError),
        "vhp of many": (lambda: f.vhp(lambda x: x, x, x), RuntimeError),
        "hvp of tuple": (lambda: f.hvp(lambda x: (cubes(x),), x, x), RuntimeError),
        "strict, constant": (lambda: f.vjp(lambda x: y, x, x, **strict), RuntimeError),
        "strict, one": (lambda: f.vjp(lambda x, y: x, (x, y), x, **strict), RuntimeError),
        "strict jvp": (lambda: f.jvp(lambda x: (x, y), x, x, **strict), RuntimeError),
        "strict jacobian": (
            lambda: f.jacobian(lambda x, y: (x, x * y), (x, y), **strict),
            RuntimeError,
        ),
        "strict linear": (
            lambda: f.jacobian(lambda x: x * 2, x, create_graph=True, **strict),
            RuntimeError,
        ),
        "strict hessian": (lambda: f.hessian(lambda x: x.sum(), x, **strict), RuntimeError),
        "strict hvp": (lambda: f.hvp(lambda x: x.sum(), x, x, **strict), RuntimeError),
        "strict vhp": (lambda: f.vhp(lambda x: x.sum(), x, x, **strict), RuntimeError),
        "forward alone": (
            lambda: f.jacobian(cubes, x, strategy="forward-mode"),
            NotImplementedError,
        ),
        "forward graph": (
            lambda: f.jacobian(
                cubes, x, create_graph=True, vectorize=True, strategy="forward-mode"
            ),
            NotImplementedError,
        ),
        "strategy": (lambda: f.jacobian(cubes, x, strategy="sideways"), AssertionError),
        "outer strategy": (
            lambda: f.hessian(cubes, x, outer_jacobian_strategy="sideways"),
            AssertionError,
        ),
    }


@pytest.mark.parametrize("name", list(misuse(engine)))
def test_misuse(lib, name):
    call, error = misuse(lib)[name]
    with pytest.raises(error) as caught:
        call()
    if lib is engine:
        assert isinstance(caught.value, EngineError)
        assert str(caught.value)


def test_messages_say_what_was_met():
    number: Any = 3.0
    x, y = pair(engine)
    with pytest.raises(RuntimeError, match=r"vjp: v can only be left out.*float32\[2\]: pass v"):
        ours.vjp(lambda x: x * x, x)
    with pytest.raises(RuntimeError, match=r"entry 0 of v is float32\[1\].*float32\[2\]"):
        ours.vjp(lambda x: x, x, engine.ones(1))
    with pytest.raises(RuntimeError, match="independent of input 1"):
        ours.vjp(lambda x, y: x, (x, y), x, strict=True)
    with pytest.raises(RuntimeError, match="output 1 of func does not require"):
        ours.jvp(lambda x: (x, y), x, x, strict=True)
    with pytest.raises(TypeError, match="inputs must be a Tensor or a tuple of Tensors, got float"):
        ours.hvp(cubes, number)
    with pytest.raises(ValueError, match="got 'sideways'"):
        ours.jacobian(cubes, x, strategy="sideways")


def test_what_strict_allows(lib):
    x, y = pair(lib)
    f = lib.autograd.functional
    equal(f.jvp(cubes, x, y, strict=True)[1], 57.0)
    equal(f.hvp(mixed, (x, y), (x, y), strict=True)[1][1], [2.0, 8.0])
    equal(f.jacobian(lambda x: x * x, x, strict=True)[1], [0.0, 4.0])
    equal(f.hessian(cubes, x, strict=True)[1], [0.0, 12.0])


# Threads


def test_threads_share_inputs():
    x = engine.randn(20, dtype="float64").requires_grad_()
    start = threading.Barrier(THREADS)
    results: list[Any] = [None] * THREADS

    def compute():
        return [
            ours.hessian(lambda x: (x.tanh() ** 2).sum(), x),
            ours.jacobian(lambda x: x.exp(), x),
            ours.jvp(lambda x: x.tanh(), x, x)[1],
        ]

    def run(index):
        start.wait()
        results[index] = [compute() for _ in range(3)]

    expected = compute()
    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runs in results:
        for run_ in runs:
            for got, wanted in zip(run_, expected, strict=True):
                assert np.array_equal(got.numpy(), wanted.numpy())
    assert x.grad is None
