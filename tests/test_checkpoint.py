"""Checkpoints: the same gradients as without, two runs, nothing kept in between."""

import threading
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from engine import errors
from engine.checkpointing import checkpoint
from engine.function import Function

ENGINE: Any = SimpleNamespace(
    checkpoint=checkpoint,
    grad=engine.grad,
    is_grad_enabled=engine.is_grad_enabled,
    no_grad=engine.no_grad,
    tensor=engine.tensor,
)


def torch_lib():
    torch = pytest.importorskip("torch")
    from torch.utils.checkpoint import checkpoint as of_torch

    def call(*args, **keywords):
        return of_torch(*args, use_reentrant=False, **keywords)

    return SimpleNamespace(
        checkpoint=call,
        grad=torch.autograd.grad,
        is_grad_enabled=torch.is_grad_enabled,
        no_grad=torch.no_grad,
        tensor=torch.tensor,
    )


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return ENGINE if request.param == "engine" else torch_lib()


def leaf(lib, *values):
    return lib.tensor(list(values), requires_grad=True)


class Counted:
    """A function that counts its runs."""

    def __init__(self, function):
        self.function = function
        self.runs = 0

    def __call__(self, *args, **keywords):
        self.runs += 1
        return self.function(*args, **keywords)


def same(actual, expected):
    np.testing.assert_allclose(actual.tolist(), expected.tolist(), rtol=1e-6)


def test_backward_gives_what_it_gives_without(lib):
    w = leaf(lib, 3.0, 4.0)
    f = Counted(lambda x: (x * w).exp().tanh() + x)  # reaches w without taking it
    x = leaf(lib, 0.1, 0.2)
    y = lib.checkpoint(f, x * 2)
    y.sum().backward()
    assert f.runs == 2
    x2, w2 = leaf(lib, 0.1, 0.2), leaf(lib, 3.0, 4.0)
    ((x2 * 2 * w2).exp().tanh() + x2 * 2).sum().backward()
    same(x.grad, x2.grad)
    same(w.grad, w2.grad)


def test_grad_runs_it_once_more_and_touches_no_grad(lib):
    w, x = leaf(lib, 3.0), leaf(lib, 2.0)
    f = Counted(lambda x: x * x * w)
    y = lib.checkpoint(f, x).sum()
    gx, gw = lib.grad(y, (x, w))
    assert (gx.tolist(), gw.tolist(), f.runs) == ([12.0], [4.0], 2)
    assert x.grad is None


def test_several_results_and_keywords(lib):
    def function(x, *, k):
        return {"a": x * k, "rest": [x.exp(), (x * x, "text")]}

    f = Counted(function)
    x = leaf(lib, 1.0, 2.0)
    result = lib.checkpoint(f, x, k=3.0)
    squares, text = result["rest"][1]
    assert text == "text"
    (result["a"] + 2 * squares).sum().backward()
    assert x.grad.tolist() == [7.0, 11.0]
    assert f.runs == 2


def test_checkpoints_within_checkpoints(lib):
    w = leaf(lib, 2.0)

    def inner(x):
        return (x * w).tanh()

    x, x2 = leaf(lib, 0.3), leaf(lib, 0.3)
    lib.checkpoint(lambda x: lib.checkpoint(inner, x * 3) * w, x).sum().backward()
    grad, w.grad = w.grad, None
    (inner(x2 * 3) * w).sum().backward()
    same(x.grad, x2.grad)
    same(grad, w.grad)


def test_checkpoints_in_a_row_and_several_uses(lib):
    f = Counted(lambda x: x.tanh() * x)
    x, x2 = leaf(lib, 0.5), leaf(lib, 0.5)
    y = x
    for _ in range(4):
        y = lib.checkpoint(f, y) + x
    y.sum().backward()
    assert f.runs == 8
    y2 = x2
    for _ in range(4):
        y2 = y2.tanh() * y2 + x2
    y2.sum().backward()
    same(x.grad, x2.grad)


def test_double_backward(lib):
    w, x = leaf(lib, 3.0), leaf(lib, 2.0)
    y = lib.checkpoint(lambda x: x * x * x * w, x).sum()
    gx, gw = lib.grad(y, (x, w), create_graph=True)
    assert (gx.tolist(), gw.tolist()) == ([36.0], [8.0])
    second = lib.grad(gx.sum(), (x, w))
    assert [g.tolist() for g in second] == [[36.0], [12.0]]


def test_third_derivatives_through_what_is_reached_two_ways():
    a = engine.tensor(0.7, requires_grad=True)

    def derivatives(wrap):
        b = a * a  # reached by the function together with a, which it was made from
        y, found = wrap(lambda: (a * b).tanh() * b), []
        for _ in range(3):
            (y,) = engine.grad(y, a, create_graph=True)
            found.append(y.item())
        return found

    assert derivatives(checkpoint) == pytest.approx(derivatives(lambda f: f()), rel=1e-5)


def test_without_grad_mode_it_runs_once(lib):
    f = Counted(lambda x: x * 2)
    with lib.no_grad():
        y = lib.checkpoint(f, leaf(lib, 1.0))
    assert not y.requires_grad
    assert f.runs == 1


def test_an_argument_returned_as_it_is(lib):
    x = leaf(lib, 2.0)
    a, b = lib.checkpoint(lambda x: (x, x * x), x)
    (a + b).sum().backward()
    assert x.grad.tolist() == [5.0]


def test_it_runs_again_for_each_retaining_backward_and_then_no_more():
    f, x = Counted(lambda x: x * x), leaf(ENGINE, 3.0)
    y = checkpoint(f, x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12.0]
    assert f.runs == 3
    with pytest.raises(errors.GraphReleasedError):
        y.backward()


def test_nothing_that_was_computed_is_kept():
    alive: list[weakref.ref[engine.Tensor]] = []

    def function(x):
        inner = x.exp()
        alive.append(weakref.ref(inner._edge[0]))
        return inner.tanh().exp()

    y = checkpoint(function, leaf(ENGINE, 1.0))
    assert alive[0]() is None
    y.sum().backward()
    assert [node() for node in alive] == [None, None]


def test_a_result_that_is_a_view_keeps_nothing_either():
    alive: list[weakref.ref[engine.Tensor]] = []

    def function(x):
        inner = x.exp()
        alive.append(weakref.ref(inner._edge[0]))
        return inner.reshape(1, 1), x.reshape(1, 1)

    x = leaf(ENGINE, 1.0) * 1
    y, part = checkpoint(function, x)
    assert alive[0]() is None
    y.mul_(3)
    (g,) = engine.grad(y.sum(), x)
    np.testing.assert_allclose(g.tolist(), [3 * np.e], rtol=1e-6)
    with pytest.raises(errors.InPlaceError):
        part.mul_(3)


def test_random_numbers_are_the_same_in_both_runs():
    masks = []

    def dropout(x):
        mask = engine.rand(10_000) > 0.5
        masks.append(mask.tolist())
        return x * mask

    x = engine.ones(10_000, requires_grad=True)
    engine.manual_seed(3)
    checkpoint(dropout, x).sum().backward()
    assert masks[0] == masks[1]
    assert x.grad is not None
    assert x.grad.tolist() == [float(kept) for kept in masks[0]]
    engine.manual_seed(3)
    checkpoint(dropout, x)
    assert masks[2] == masks[0]
    y = checkpoint(dropout, x, preserve_rng_state=False)
    y.sum().backward()
    assert masks[3] != masks[4]


def test_functions_that_draw_nothing_leave_the_random_numbers_alone():
    engine.manual_seed(3)
    expected = engine.rand(3).tolist()
    engine.manual_seed(3)
    checkpoint(lambda x: x * 2, leaf(ENGINE, 1.0))
    assert engine.rand(3).tolist() == expected


@pytest.mark.parametrize("second", [(3,), (2, 1), ()])
def test_other_shapes_in_the_second_run_are_refused(second):
    shapes = [(2,), second]
    y = checkpoint(lambda x: x.sum() * engine.ones(*shapes.pop(0)), leaf(ENGINE, 1.0))
    with pytest.raises(
        errors.RuleError, match=r"second run gave float32\[.*the first float32\[2\]"
    ):
        y.sum().backward()


def test_other_dependencies_in_the_second_run_are_refused():
    tensors = [leaf(ENGINE, 1.0), leaf(ENGINE, 2.0)]
    x = leaf(ENGINE, 1.0)
    y = checkpoint(lambda x: x * tensors.pop(), x)
    with pytest.raises(errors.RuleError, match="do not depend on the same tensors"):
        y.sum().backward()


def test_results_without_gradient_in_the_second_run_are_refused():
    flags = [False, True]
    x = leaf(ENGINE, 1.0)
    y = checkpoint(lambda x: x.detach() * 1 if flags.pop(0) else x * 1, x)
    with pytest.raises(errors.RuleError, match="nothing with a gradient"):
        y.sum().backward()


def test_a_failing_second_run_may_be_tried_again():
    problems = [None, KeyError("second")]

    def function(x):
        problem = problems.pop(0) if problems else None
        if problem is not None:
            raise problem
        return x * x

    x = leaf(ENGINE, 3.0)
    y = checkpoint(function, x).sum()
    with pytest.raises(KeyError, match="second"):
        y.backward()
    assert engine.is_grad_enabled()
    y.backward()
    assert x.grad.tolist() == [6.0]


def test_writes_to_arguments_are_noticed_even_where_no_op_saved_them():
    x, k = leaf(ENGINE, 2.0), engine.tensor([1.0])
    y = checkpoint(lambda x, k: (x + k["k"]).exp(), x, {"k": k}).sum()
    k.add_(1.0)
    with pytest.raises(errors.SavedValueChangedError, match=r"test_checkpoint\.py"):
        y.backward()


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: lambda x: checkpoint(f, x)])
def test_writes_to_what_the_first_run_saved_are_noticed(wrap):
    w, x = leaf(ENGINE, 3.0), leaf(ENGINE, 2.0)
    y = checkpoint(wrap(lambda x: x * w), x).sum()
    with engine.no_grad():
        w.add_(1.0)
    with pytest.raises(errors.SavedValueChangedError, match=r"test_checkpoint\.py"):
        y.backward()


def test_writes_to_the_result_do_no_harm():
    x = leaf(ENGINE, 1.0)
    y = checkpoint(lambda x: x.exp(), x)
    y.mul_(2)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [2 * np.e], rtol=1e-6)


def test_functions_of_the_user_inside():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    x = leaf(ENGINE, 2.0)
    y = checkpoint(lambda x: Cube.apply(x * 1) * Cube.apply(x), x).sum()
    (first,) = engine.grad(y, x, create_graph=True)
    (second,) = engine.grad(first.sum(), x)
    assert (first.tolist(), second.tolist()) == ([192.0], [480.0])
    z = checkpoint(lambda x: Cube.apply(x), x)
    with engine.no_grad():
        x.add_(1.0)
    with pytest.raises(errors.SavedValueChangedError):
        z.sum().backward()


def test_hooks_inside_run_once_a_backward():
    seen = []

    def function(x):
        inner = x * 2
        inner.register_hook(lambda g: seen.append(g.tolist()))
        return inner * 3

    checkpoint(function, leaf(ENGINE, 1.0)).sum().backward()
    assert seen == [[3.0]]


def test_threads_have_runs_of_their_own():
    w = engine.full((10_000,), 2.0, requires_grad=True)
    together = threading.Barrier(4)
    grads: dict[int, engine.Tensor] = {}

    def function(x):
        together.wait(10)  # all four are inside of their run, first and second
        noise = engine.rand(10_000)
        return x * w * noise

    def train(index):
        x = engine.full((10_000,), float(index), requires_grad=True)
        y = checkpoint(function, x)
        noise = y.detach() / (index * 2.0)
        y.sum().backward()
        grads[index] = (x.grad - 2.0 * noise).abs().max().item()

    threads = [threading.Thread(target=train, args=(i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(grads) == [1, 2, 3, 4]
    assert max(grads.values()) < 1e-5
    assert w.grad is not None


def test_workers_may_run_it():
    x = engine.ones(100, 100, requires_grad=True)
    with engine.WorkerPool(1, heavy=0):
        a, b = checkpoint(lambda x: x.exp(), x), checkpoint(lambda x: x * x, x)
        (a + b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.e + 2, rtol=1e-6)
