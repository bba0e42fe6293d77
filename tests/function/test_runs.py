"""Functions in nested, failing and concurrent backwards."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import engine
from engine import errors
from tests.function.lib import ENGINE, define, exp, leaf


def nested(lib, calls):
    """A Function whose backward differentiates another call of it, ``depth`` times over."""

    def forward(ctx, x, depth):
        ctx.depth = depth
        ctx.save_for_backward(x)
        return x * 2

    def backward(ctx, g):
        calls.append(ctx.depth)
        if ctx.depth == 0:
            return g * 2, None
        with lib.enable_grad():
            copy = ctx.saved_tensors[0].detach().requires_grad_()
            nest.apply(copy, ctx.depth - 1).sum().backward()
        return g * copy.grad, None

    nest = define(lib, forward, backward)
    return nest


def deep(lib, depth):
    calls: list[int] = []
    x = leaf(lib, 1.0)
    nested(lib, calls).apply(x, depth).sum().backward()
    assert x.grad.tolist() == [2.0]
    assert calls == list(range(depth, -1, -1))


@pytest.mark.parametrize("depth", [50, 200, 500])
def test_backwards_nest(lib, depth):
    deep(lib, depth)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_small_pool_is_no_deadlock(workers):
    with engine.WorkerPool(workers, heavy=0):
        deep(ENGINE, 500)


def test_an_inner_exception_may_be_caught(lib):
    fails = define(lib, lambda ctx, x: x * 1, lambda ctx, g: 1 / 0)

    def backward(ctx, g):
        with lib.enable_grad():
            copy = lib.ones(1).requires_grad_()
            with pytest.raises(ZeroDivisionError):
                fails.apply(copy).sum().backward()
        return g * 7

    x = leaf(lib, 1.0)
    define(lib, lambda ctx, x: x * 7, backward).apply(x).sum().backward()
    assert x.grad.tolist() == [7.0]


def test_an_exception_keeps_its_type_and_names_the_forward_line():
    table: dict[str, object] = {}
    x = leaf(ENGINE, 1.0)
    y = define(ENGINE, lambda ctx, x: x * 1, lambda ctx, g: table["missing"]).apply(x)
    with pytest.raises(KeyError, match="missing") as caught:
        y.sum().backward()
    assert "CustomBackward, recorded at" in caught.value.__notes__[0]
    assert "test_runs.py" in caught.value.__notes__[0]


def test_the_graph_is_freed_without_the_garbage_collector():
    class Payload:
        pass

    def forward(ctx, x):
        y = x.exp()
        ctx.payload = Payload()
        alive.append(weakref.ref(ctx.payload))
        ctx.save_for_backward(x, y)
        return y

    alive: list[weakref.ref[Payload]] = []
    gc.disable()
    try:
        y = define(ENGINE, forward, lambda ctx, g: g).apply(leaf(ENGINE, 1.0))
        assert alive[0]() is not None
        del y
        assert alive[0]() is None
    finally:
        gc.enable()


def test_concurrent_backwards_of_one_node_have_contexts_of_their_own():
    inside = threading.Barrier(2)
    contexts = []

    def forward(ctx, a, b):
        ctx.tag = "shared"
        ctx.save_for_backward(a, b)
        return a * b

    def backward(ctx, g):
        contexts.append(ctx)
        inside.wait(10)  # both threads are in backward of the same node
        a, b = ctx.saved_tensors
        needs = ctx.needs_input_grad
        inside.wait(10)
        assert ctx.needs_input_grad == needs
        assert ctx.tag == "shared"
        return (g * b if needs[0] else None), (g * a if needs[1] else None)

    a = engine.full((10_000,), 3.0, requires_grad=True)
    b = engine.full((10_000,), 5.0, requires_grad=True)
    y = define(ENGINE, forward, backward).apply(a, b).sum()
    results: dict[str, engine.Tensor] = {}

    def run(name, wanted):
        results[name] = engine.grad(y, wanted, retain_graph=True)[0]

    threads = [threading.Thread(target=run, args=item) for item in (("a", a), ("b", b))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results["a"].numpy() == 5.0).all()
    assert (results["b"].numpy() == 3.0).all()
    assert contexts[0] is not contexts[1]


def test_of_two_releasing_backwards_exactly_one_succeeds():
    for _ in range(20):
        y = exp(ENGINE).apply(engine.ones(10_000, requires_grad=True)).sum()
        together = threading.Barrier(2)
        outcomes: list[str] = []

        def run(y=y, together=together, outcomes=outcomes):
            together.wait(10)
            try:
                y.backward()
                outcomes.append("done")
            except errors.GraphReleasedError:
                outcomes.append("refused")

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["done", "refused"]


def test_threads_that_apply_one_function_do_not_meet():
    custom = exp(ENGINE)
    results: dict[int, np.ndarray] = {}

    def run(index):
        x = engine.full((10_000,), float(index), requires_grad=True)
        for _ in range(5):
            custom.apply(x).sum().backward()
        results[index] = x.grad.numpy()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, grad in results.items():
        np.testing.assert_allclose(grad, 5 * np.exp(index), rtol=1e-5)


def test_a_context_that_outlives_its_backward_sees_what_is_left():
    contexts: list[Any] = []

    def forward(ctx, x):
        ctx.save_for_backward(x)
        assert ctx.saved_tensors == (x,)
        return x * 1

    def backward(ctx, g):
        contexts.append(ctx)
        return g

    y = define(ENGINE, forward, backward).apply(leaf(ENGINE, 1.0))
    y.sum().backward(retain_graph=True)
    assert isinstance(contexts[0], engine.function.FunctionCtx)
    assert contexts[0].saved_tensors[0].tolist() == [1.0]
    y.sum().backward()
    for ctx in contexts:
        with pytest.raises(errors.GraphReleasedError):
            ctx.saved_tensors  # noqa: B018
    del y
    with pytest.raises(errors.GraphReleasedError):
        contexts[0].saved_tensors  # noqa: B018


def test_hooks_and_captures_at_the_outputs_of_a_function(lib):
    seen = []
    parts = define(lib, lambda ctx, x: (x * 1, x * 2), lambda ctx, a, b: a + 2 * b)
    x = leaf(lib, 1.0)
    a, b = parts.apply(x)
    a.register_hook(lambda g: g * 10)
    b.register_hook(lambda g: seen.append(g.tolist()))
    y = (a + 3 * b).sum()
    assert [g.tolist() for g in lib.grad(y, (a, b), retain_graph=True)] == [[10.0], [3.0]]
    y.backward()
    assert x.grad.tolist() == [16.0]
    assert seen == [[3.0], [3.0]]
