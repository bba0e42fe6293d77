"""What a backward leaves behind: no circles, nothing in idle workers or pools, little per node."""

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import engine
from engine.function import Function, once_differentiable
from engine.opnode import OpNode
from tests.threads.together import until


class Double(Function):
    """Keeps an input, an output, and an attribute."""

    @staticmethod
    def forward(ctx, x):
        y = x * 2
        ctx.save_for_backward(x, y)
        ctx.x = x
        return y

    @staticmethod
    def backward(ctx, g):
        ctx.saved_tensors  # noqa: B018
        return g * 2


class Once(Double):
    backward = staticmethod(once_differentiable(Double.backward))


class Failing(Double):
    @staticmethod
    def backward(ctx, g):
        raise KeyError


def refs(*tensors: Any) -> list[weakref.ref[Any]]:
    """Of the tensors, the inner nodes behind them, and every array that those have saved."""
    found: dict[Any, None] = {}
    stack = [t._edge[0] for t in tensors]
    while stack:
        node = stack.pop()
        if node not in found and node.edges:
            found[node] = None
            stack += [edge[0] for edge in node.edges if edge is not None]
    arrays = [
        value
        for node in found
        if isinstance(node, OpNode)
        for values, _ in node.saved
        for value in values
        if isinstance(value, np.ndarray)
    ]
    return [weakref.ref(thing) for thing in (*tensors, *found, *arrays)]


def product(w):
    return (w.exp() * w.tanh()).sum()


def plain(w):
    y = product(w)
    yield refs(y)
    y.backward()


def racy(w):
    y = product(w)
    yield refs(y)
    y.backward(accumulation="racy")


def no_backward(w):
    yield refs(product(w), w.exp())


def second_order(w):
    y = product(w)
    yield refs(y)
    (g,) = engine.grad(y, w, create_graph=True)
    yield refs(g)
    g.sum().backward()


def hooks(w):
    a, b = w.exp(), w.tanh()
    y = (a * b).sum()
    a.register_hook(lambda g: g * 1)
    a.retain_grad()
    a.grad_fn.register_hook(lambda gi, go: None)
    a.grad_fn.register_prehook(lambda go: None)
    w.register_post_accumulate_grad_hook(lambda p: None).remove()
    engine.autograd.graph.register_multi_grad_hook([a, b], lambda gs: None)
    yield refs(y, a)
    y.backward()


def views(w):
    a = w * 1
    v, u = a[0], a.view(-1)
    v.mul_(2)
    y = u.sum() + v.sum()
    yield refs(y, u, v, a)
    y.backward()


def writes(w):
    a = w * 1
    a.mul_(w)
    a.add_(1)
    a[0] = w[1]
    y = a.sum()
    yield refs(y, a)
    y.backward()


def function(w):
    y = Double.apply(w).sum()
    yield refs(y)
    y.backward()


def once(w):
    y = Once.apply(w).sum()
    yield refs(y)
    engine.grad(y, w, create_graph=True)


def failing_rule(w):
    y = Failing.apply(w.exp()).sum()
    yield refs(y)
    with pytest.raises(KeyError):
        y.backward()


def failing_hook(w):
    def hook(g):
        raise KeyError

    a = w.exp()
    y = (a * w.tanh()).sum()
    a.register_hook(hook)
    yield refs(y, a)
    with pytest.raises(KeyError):
        y.backward()


def failing_forward(w):
    y = w.exp()
    yield refs(y)
    with pytest.raises(RuntimeError):
        y @ engine.ones(77)


def released(w):
    y = product(w)
    yield refs(y)
    y.backward()
    with pytest.raises(RuntimeError):
        y.backward()


def changed(w):
    a = w * 1
    y = (a * a).sum()
    yield refs(y, a)
    with engine.no_grad():
        a.mul_(2)
    with pytest.raises(RuntimeError):
        y.backward()


def packed(w):
    with engine.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(), engine.from_numpy):
        y = product(w)
    yield refs(y)
    y.backward()


def checkpointed(w):
    y = engine.checkpoint(product, w)
    yield refs(y)
    y.backward()


def functional(w):
    made: list[weakref.ref[Any]] = []

    def f(t):
        y = product(t)
        made.extend(refs(y))
        return y

    engine.func.hessian(f)(w[0])
    yield made


def anomaly(w):
    with engine.autograd.detect_anomaly():
        y = product(w)
        yield refs(y)
        y.backward()


def nested(w):
    inner: list[weakref.ref[Any]] = []

    def hook(g):
        with engine.enable_grad():
            z = product(w)
        inner.extend(refs(z))
        z.backward()

    a = w.exp()
    y = a.sum()
    a.register_hook(hook)
    yield refs(y, a)
    y.backward()
    yield inner


def submitted(w):
    y = product(w)
    yield refs(y)
    engine.submit(y.backward).result()


def cancelled(w):
    y = product(w)
    yield refs(y)
    handle = engine.submit(y.backward, timeout=0)
    with pytest.raises(TimeoutError):
        handle.result()


Kind = Callable[[Any], Iterator[list[weakref.ref[Any]]]]
KINDS: list[Kind] = [
    plain, racy, no_backward, second_order, hooks, views, writes, function, once, failing_rule,
    failing_hook, failing_forward, released, changed, packed, checkpointed, functional, anomaly,
    nested, submitted, cancelled,
]  # fmt: skip


def alive(references: list[weakref.ref[Any]]) -> list[Any]:
    return [reference() for reference in references if reference() is not None]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_dies_without_the_collector(kind, workers):
    """Of any kind of backward, while the workers that helped it are idle."""
    gc.collect()
    gc.disable()
    try:
        with engine.WorkerPool(workers, heavy=0) as pool:
            parts = kind(engine.ones(20, 20, requires_grad=True))
            made = [reference for part in parts for reference in part]
            del parts
            assert made
            until(lambda: pool.idle == workers)
            until(lambda: not alive(made))
        if "t" not in sys.abiflags:  # functions belong to the collector there
            assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_circle_is_found():
    """The check of the check: a hook that holds its own tensor."""
    gc.collect()
    gc.disable()
    try:
        y = engine.ones(3, requires_grad=True).exp()
        y.register_hook(lambda g, y=y: None)
        made = refs(y)
        del y
        assert len(alive(made)) == len(made)
        assert gc.collect() > 0
        assert not alive(made)
    finally:
        gc.enable()


def test_what_a_worker_has_made_dies_while_it_is_idle():
    """Without the GIL it is freed by the worker, which has to wake up for that."""
    made: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        with engine.WorkerPool(1):
            engine.submit(lambda: made.append(product(engine.ones(9, requires_grad=True)))).result()
            left = refs(made[0])
            made.clear()
            until(lambda: not alive(left))
    finally:
        gc.enable()


def memory_of(step, n):
    """Bytes per operation of a chain, and how much its backward adds at most."""
    x = engine.ones(1, requires_grad=True)
    step(x, x).backward()
    tracemalloc.start()
    y = x
    for _ in range(n):
        y = step(y, x)
    built, _ = tracemalloc.get_traced_memory()
    y.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return built / n, (peak - built) / n


@pytest.mark.parametrize(
    "step",
    [lambda y, x: y + 1, lambda y, x: y * x, lambda y, x: y.tanh()],
    ids=["adds", "products", "tanh"],
)
def test_a_small_operation_takes_little_memory(step):
    built, added = memory_of(step, 5_000)
    assert built < 1000
    assert added < 200
