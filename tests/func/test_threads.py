"""Transforms in many threads at once."""

import sys
import threading

import numpy as np
import pytest

import engine
import engine.func as func

THREADS = 8


def together(work):
    """`work(index)` in every thread at once; the results, by thread."""
    start = threading.Barrier(THREADS)
    results, errors = [None] * THREADS, []

    def run(index):
        try:
            start.wait()
            results[index] = work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return results


@pytest.fixture
def _mixed():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_mixed")
def test_case_59_nested_gradients_from_many_threads_are_the_sequential_ones():
    calls = 500
    points = np.linspace(0.1, 2.0, calls)

    def f(x):
        return (x * x).tanh() * x

    slope = func.grad(func.grad(f))
    expected = [slope(x).item() for x in points]
    for values in together(lambda index: [slope(x).item() for x in points]):
        assert values == expected  # to the last bit


@pytest.mark.usefixtures("_mixed")
def test_threads_transform_functions_of_shared_tensors():
    x = engine.randn(50, dtype="float64")
    w = engine.randn(50, dtype="float64").requires_grad_()
    shared = w * 2

    def f(x):
        return (x * shared).tanh().sum()

    def work(index):
        out = []
        for _ in range(20):
            out.append(func.grad(f)(x))
            out.append(func.grad(f, None, weights=w)(x))
            out.append(func.hvp(f, (x,), (x,))[0])
            out.append(func.vmap(func.grad(lambda a, b: a * b * b), (0, None))(x, 2.0))
        return out

    expected = work(0)
    for results in together(work):
        for got, wanted in zip(results, expected, strict=True):
            assert np.array_equal(got.detach().numpy(), wanted.detach().numpy())
    assert x.grad is None
    assert w.grad is None
    assert not x.requires_grad


@pytest.mark.usefixtures("_mixed")
def test_one_pull_back_serves_many_threads():
    x = engine.randn(100, dtype="float64")
    _, pull = func.vjp(lambda x: x.exp() * x, x)
    seeds = [engine.full((100,), float(i), dtype="float64") for i in range(THREADS)]
    expected = [pull(seed)[0].numpy() for seed in seeds]
    for index, results in enumerate(together(lambda i: [pull(seeds[i]) for _ in range(50)])):
        assert all(np.array_equal(g.numpy(), expected[index]) for (g,) in results)


def test_transforms_of_different_threads_do_not_nest():
    """A thread's transform is none of another's: its weights' gradients stay plain."""
    w = engine.tensor(2.0, requires_grad=True)
    inside, done = threading.Event(), threading.Event()

    def waiting(x):
        inside.set()
        assert done.wait(10)
        return x * x

    other = threading.Thread(target=func.grad(waiting), args=(1.0,))
    other.start()
    assert inside.wait(10)
    plain = func.grad(lambda: w**3, None, weights=w)()
    done.set()
    other.join()
    assert not plain.requires_grad
