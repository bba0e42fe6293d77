"""What forward, backward and the context of a Function may count on."""

import numpy as np
import pytest

import engine
from engine import errors
from tests.function.lib import ENGINE, define, exp, leaf


def test_forward_and_backward(lib):
    x = leaf(lib, 0.0, 1.0)
    y = exp(lib).apply(x)
    assert y.grad_fn.name() == "ExpBackward"
    assert not y.is_leaf
    assert y.grad_fn.next_functions[0][0].name().endswith("AccumulateGrad")
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), np.exp([0.0, 1.0]), rtol=1e-6)


def test_forward_with_setup_context(lib):
    def setup_context(ctx, inputs, output):
        x, factor = inputs
        ctx.save_for_backward(x, output)
        ctx.factor = factor

    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return 2 * ctx.factor * x * g + 0 * y, None

    cube = define(lib, lambda x, k=3: k * x * x, backward, setup_context=setup_context)
    x = leaf(lib, 1.0, 2.0)
    cube.apply(x, k=5).sum().backward()
    assert x.grad.tolist() == [10.0, 20.0]
    (g,) = lib.grad(cube.apply(x).sum(), x)
    assert g.tolist() == [6.0, 12.0]


def test_forward_runs_unrecorded_and_backward_as_create_graph_says(lib):
    seen = []

    def forward(ctx, x):
        seen.append(lib.is_grad_enabled())
        return x * 2

    def backward(ctx, g):
        seen.append(lib.is_grad_enabled())
        return g * 2

    x = leaf(lib, 1.0)
    double = define(lib, forward, backward)
    with lib.no_grad():
        double.apply(x)
    y = double.apply(x).sum()
    assert lib.is_grad_enabled()
    with lib.no_grad():
        lib.grad(y, x, retain_graph=True)
        lib.grad(y, x, create_graph=True)
    assert seen == [False, False, False, True]


def test_several_outputs_of_which_one_is_used(lib):
    got = []

    def backward(ctx, *grads):
        got.append([g if g is None else g.tolist() for g in grads])
        return sum(g for g in grads if g is not None)

    parts = define(lib, lambda ctx, x: (x * 1, "name", x * 2), backward)
    x = leaf(lib, 1.0, 1.0)
    a, name, b = parts.apply(x)
    assert name == "name"
    assert (a.requires_grad, b.requires_grad) == (True, True)
    b.sum().backward()
    (a2, _, b2) = parts.apply(x)
    (a2 * 3 + b2).sum().backward()
    assert got == [[[0.0, 0.0], None, [1.0, 1.0]], [[3.0, 3.0], None, [1.0, 1.0]]]


def test_missing_gradients_stay_none_where_asked(lib):
    got = []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 1, x * 2

    def backward(ctx, a, b):
        got.append((a, b.tolist()))
        return b

    x = leaf(lib, 1.0)
    define(lib, forward, backward).apply(x)[1].sum().backward()
    assert got == [(None, [1.0])]


def test_a_tuple_of_one_stays_a_tuple(lib):
    out = define(lib, lambda ctx, x: (x * 2,), lambda ctx, g: g * 2).apply(leaf(lib, 1.0))
    assert isinstance(out, tuple)
    assert len(out) == 1


def test_needs_input_grad_says_what_requires_a_gradient(lib):
    seen = []

    def forward(ctx, x, k, c):
        seen.append(ctx.needs_input_grad)
        return x * k

    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        return g, None, None

    x, c = leaf(lib, 1.0), lib.tensor([1.0])
    scale = define(lib, forward, backward)
    scale.apply(x, 2.0, c).sum().backward()
    with lib.no_grad():
        scale.apply(x, 2.0, c)
    assert seen == [(True, False, False)] * 3


def test_needs_input_grad_leaves_out_what_nobody_asked_for():
    seen = []

    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        return g, g

    a, b = leaf(ENGINE, 1.0), leaf(ENGINE, 2.0)
    y = define(ENGINE, lambda ctx, a, b: a + b, backward).apply(a, b).sum()
    engine.grad(y, b)
    y.backward()
    assert seen == [(False, True), (True, True)]


def test_what_is_saved_last_counts_and_none_may_be_saved(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x * 100)
        ctx.save_for_backward(x, None)
        return x * x

    def backward(ctx, g):
        x, nothing = ctx.saved_tensors
        assert nothing is None
        return 2 * x * g

    x = leaf(lib, 3.0)
    define(lib, forward, backward).apply(x).sum().backward()
    assert x.grad.tolist() == [6.0]


def test_saving_something_else_is_a_type_error(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x, 3)
        return x

    with pytest.raises(TypeError, match="argument 1 is of type int"):
        define(lib, forward).apply(leaf(lib, 1.0))


def test_what_was_saved_is_released_after_use_and_attributes_are_not(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.scale = 2.0
        return x * 2.0

    x = leaf(lib, 1.0)
    y = define(lib, forward, lambda ctx, g: g * ctx.scale * ctx.saved_tensors[0] / x).apply(x)
    assert y.grad_fn.saved_tensors[0].tolist() == [1.0]
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad.tolist() == [4.0]
    assert y.grad_fn.scale == 2.0
    with pytest.raises(RuntimeError, match="second time"):
        y.grad_fn.saved_tensors  # noqa: B018
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_without_saved_tensors_backward_may_run_twice(lib):
    x = leaf(lib, 1.0)
    y = define(lib, lambda ctx, x: x * 2, lambda ctx, g: g * 2).apply(x)
    y.backward(lib.ones(1))
    y.backward(lib.ones(1))
    assert x.grad.tolist() == [4.0]


def test_a_write_to_what_was_saved_is_noticed(lib):
    x = leaf(lib, 1.0)
    y = exp(lib).apply(x)
    with lib.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_saved_tensor_hooks_pack_what_a_function_saves():
    packed = []

    def pack(t):
        packed.append(t.tolist())
        return packed[-1]

    x = leaf(ENGINE, 0.0)
    with engine.autograd.graph.saved_tensors_hooks(pack, engine.tensor):
        y = exp(ENGINE).apply(x)
    (first,) = engine.grad(y.sum(), x, create_graph=True)
    (second,) = engine.grad(first.sum(), x, retain_graph=True)
    assert (packed, first.tolist(), second.tolist()) == ([[1.0]], [1.0], [1.0])
    with engine.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        z = exp(ENGINE).apply(x)
    with pytest.raises(errors.OperandError, match="must return a Tensor, got list"):
        z.sum().backward()


def test_inference_tensors_cannot_be_saved():
    def forward(ctx, x, k):
        ctx.save_for_backward(k)
        return x * k

    with engine.inference_mode():
        k = engine.tensor([1.0]) * 2
    with pytest.raises(errors.InferenceError, match="cannot be saved"):
        define(ENGINE, forward).apply(leaf(ENGINE, 1.0), k)


def test_a_rule_that_failed_may_be_tried_again(lib):
    failures = [KeyError("first")]

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        if failures:
            raise failures.pop()
        return 2 * x * g

    x = leaf(lib, 3.0)
    y = define(lib, forward, backward).apply(x)
    with pytest.raises(KeyError, match="first"):
        y.backward(lib.ones(1))
    y.backward(lib.ones(1))
    assert x.grad.tolist() == [6.0]


def test_double_backward(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        assert x.requires_grad
        return 3 * x * x * g

    x = leaf(lib, 2.0)
    (first,) = lib.grad(define(lib, forward, backward).apply(x).sum(), x, create_graph=True)
    (second,) = lib.grad(first.sum(), x, create_graph=True)
    (third,) = lib.grad(second.sum(), x)
    assert [g.tolist() for g in (first, second, third)] == [[12.0], [12.0], [6.0]]


def test_double_backward_through_a_saved_output(lib):
    x = leaf(lib, 1.0)
    derivative = exp(lib).apply(x)
    for _ in range(3):
        (derivative,) = lib.grad(derivative.sum(), x, create_graph=True)
    np.testing.assert_allclose(derivative.tolist(), [np.e], rtol=1e-6)


def test_functions_within_functions(lib):
    inner = exp(lib)

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return inner.apply(x)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        with lib.enable_grad():
            copy = x.detach().requires_grad_()
            (dx,) = lib.grad(inner.apply(copy).sum(), copy)
        return g * dx

    x = leaf(lib, 1.0)
    y = define(lib, forward, backward).apply(x)
    assert y.grad_fn.name() == "CustomBackward"
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [np.e], rtol=1e-6)


def test_an_argument_returned_as_it_is_becomes_an_alias(lib):
    x = leaf(lib, 1.0, 2.0)
    y = define(lib, lambda ctx, x: x, lambda ctx, g: g * 10).apply(x)
    assert y is not x
    assert y.grad_fn.name() == "CustomBackward"
    assert x.is_leaf
    y.sum().backward()
    assert x.grad.tolist() == [10.0, 10.0]
    with lib.no_grad():
        x.add_(1)
    assert y.tolist() == [2.0, 3.0]


def test_nothing_is_recorded_for_arguments_that_need_nothing(lib):
    double = define(lib, lambda ctx, x: x * 2)
    assert double.apply(lib.tensor([1.0])).grad_fn is None
    with lib.no_grad():
        assert double.apply(leaf(lib, 1.0)).grad_fn is None
