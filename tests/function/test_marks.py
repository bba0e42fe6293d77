"""Outputs that were written in place or have no gradient, rules for one derivative only."""

import pytest

import engine
from engine import errors
from tests.function.lib import ENGINE, define, leaf


def test_mark_dirty_returns_the_same_tensor(lib):
    def forward(ctx, a, b):
        a.add_(b)
        ctx.mark_dirty(a)
        return a

    add = define(lib, forward, lambda ctx, g: (g * 2, g * 3))
    x, b = leaf(lib, 1.0), leaf(lib, 5.0)
    a = x * 1
    out = add.apply(a, b)
    assert out is a
    assert a.grad_fn.name() == "CustomBackward"
    a.sum().backward()
    assert (x.grad.tolist(), b.grad.tolist()) == ([2.0], [3.0])
    constant = lib.tensor([0.0])
    assert add.apply(constant, b) is constant
    assert constant.requires_grad
    constant = lib.tensor([0.0])
    with lib.no_grad():
        assert add.apply(constant, b) is constant
    assert not constant.requires_grad


def test_mark_dirty_of_a_leaf_is_refused(lib):
    def forward(ctx, a):
        ctx.mark_dirty(a)
        return a

    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        define(lib, forward).apply(leaf(lib, 1.0))


def test_mark_dirty_of_a_view_changes_the_history_of_what_it_views(lib):
    def forward(ctx, a):
        ctx.mark_dirty(a)
        return a.mul_(3)

    triple = define(lib, forward, lambda ctx, g: g * 3)
    x = leaf(lib, 1.0, 1.0)
    whole = x * 1
    part = whole[:1]
    assert triple.apply(part) is part
    whole.sum().backward()
    assert x.grad.tolist() == [3.0, 1.0]
    with pytest.raises(RuntimeError, match="view of a leaf Variable that requires grad"):
        triple.apply(x[:1])


@pytest.mark.parametrize(
    "forward",
    [lambda ctx, x: x, lambda ctx, x: x[:], lambda ctx, x: (x * 2).reshape(1, 2)],
    ids=["as it is", "view", "view of a temporary"],
)
def test_writing_to_an_output_that_is_a_view_is_refused(lib, forward):
    y = define(lib, forward, lambda ctx, g: g).apply(leaf(lib, 1.0, 2.0) * 1)
    with pytest.raises(RuntimeError, match="view"):
        y.mul_(2)


def test_mark_dirty_is_counted_as_a_write(lib):
    def forward(ctx, a):
        a.mul_(2)
        ctx.mark_dirty(a)
        return a

    x = leaf(lib, 1.0)
    y = x * 1
    z = y.exp() * y
    define(lib, forward, lambda ctx, g: g * 2).apply(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_what_is_marked_dirty_must_be_returned(lib):
    def forward(ctx, a):
        ctx.mark_dirty(a)
        return a * 2

    with pytest.raises(RuntimeError, match="must all be outputs"):
        define(lib, forward).apply(leaf(lib, 1.0) * 1)


def test_marking_dirty_what_is_no_argument_warns(lib):
    def forward(ctx, a):
        b = a * 2
        ctx.mark_dirty(b)
        return b

    custom = define(lib, forward, lambda ctx, g: g)
    a = leaf(lib, 1.0)
    if lib is ENGINE:  # PyTorch warns once a process
        with pytest.warns(UserWarning, match="not an input"):
            custom.apply(a)


def test_mark_non_differentiable(lib):
    got: list[object] = []

    def forward(ctx, x):
        rounded, index = x * 1, x.argmax()
        ctx.mark_non_differentiable(rounded)
        return rounded, index, x * 3

    def backward(ctx, *grads):
        got.extend(g.tolist() for g in grads)
        return grads[2] * 3

    rounded, index, y = define(lib, forward, backward).apply(leaf(lib, 1.0, 2.0))
    assert (rounded.requires_grad, index.requires_grad, y.requires_grad) == (False, False, True)
    y.sum().backward()
    assert got == [[0.0, 0.0], 0, [1.0, 1.0]]


def test_vjp_is_another_name_for_backward(lib):
    x = leaf(lib, 1.0)
    define(lib, lambda ctx, x: x * 2, vjp=lambda ctx, g: g * 2).apply(x).sum().backward()
    assert x.grad.tolist() == [2.0]
    both = define(lib, lambda ctx, x: x * 2, lambda ctx, g: g, vjp=lambda ctx, g: g)
    with pytest.raises(RuntimeError, match="only implement one of them"):
        both.apply(x).sum().backward()


def square_once(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @lib.once_differentiable
    def square_backward(ctx, g):
        assert not lib.is_grad_enabled()
        (x,) = ctx.saved_tensors
        return 2 * x * g

    return define(lib, forward, square_backward)


def test_once_differentiable_is_differentiable_once(lib):
    x = leaf(lib, 3.0)
    square_once(lib).apply(x).sum().backward()
    assert x.grad.tolist() == [6.0]
    (g,) = lib.grad(square_once(lib).apply(x).pow(2).sum(), x, create_graph=True)
    assert g.tolist() == [108.0]
    with pytest.raises(RuntimeError, match="trying to differentiate twice"):
        g.sum().backward()


def test_once_differentiable_never_takes_a_derivative_as_zero():
    x = leaf(ENGINE, 3.0)
    (g,) = engine.grad(square_once(ENGINE).apply(x).sum(), x, create_graph=True)
    with pytest.raises(errors.RuleError, match=r"square_backward.*test_marks.py"):
        engine.grad((g * x).sum(), x)
