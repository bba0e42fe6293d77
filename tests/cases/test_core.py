"""Versions, conventions, custom Functions, errors, anomalies: what needs no second thread.

Numbers are those of the list of cases that `test_complete` counts. Each body that takes `lib` runs
against PyTorch too, where it is installed.
"""

import warnings

import numpy as np
import pytest

import engine
from tests.cases.lib import custom, has_grad, leaf


def test_case_35_detach_shares_the_count_of_writes_and_data_does_not(lib):
    x = leaf(lib, 1.0, 2.0)
    y = (x * x).sum()
    x.data.mul_(10)
    y.backward()
    assert x.grad.tolist() == [20, 40]
    y = (x * x).sum()
    x.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_case_39_where_a_derivative_does_not_exist(lib):
    tied = leaf(lib, 1.0, 3.0, 3.0)
    tied.max().backward()
    assert tied.grad.tolist() == [0, 0.5, 0.5]
    kink = leaf(lib, -1.0, 0.0, 1.0)
    lib.relu(kink).sum().backward()
    assert kink.grad.tolist() == [0, 0, 1]


def test_case_39_an_element_that_is_picked_twice_counts_twice(lib):
    x = leaf(lib, 1.0, 2.0, 3.0)
    (x[[0, 0, 2]] * lib.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [11, 0, 100]


# Custom Functions; more about them in tests/function.


def returning(lib, result):
    """A Function of two arguments, the identity in the first, whose backward gives `result`."""

    return custom(lib, lambda ctx, x, y: x.clone(), lambda ctx, g: result(g))


def test_case_40_backward_returns_a_gradient_for_each_argument(lib):
    x, y = leaf(lib, 1.0, 2.0), leaf(lib, 3.0)
    for wrong in (lambda g: g, lambda g: (g, None, g), lambda g: (lib.ones(3), None)):
        with pytest.raises(RuntimeError):
            returning(lib, wrong)(x, y).sum().backward()
    assert not has_grad(x)
    returning(lib, lambda g: (g, g, None))(x, y).sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert y.grad.item() == 2  # summed to the shape of y
    z = leaf(lib, 1.0, 2.0)
    returning(lib, lambda g: (None, None))(z, y).sum().backward()
    assert not has_grad(z)
    assert y.grad.item() == 2


def test_case_41_a_function_knows_which_arguments_need_a_gradient(lib):
    seen = []

    def forward(ctx, x, factor):
        seen.append(ctx.needs_input_grad)
        return x * factor

    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        return g, None

    custom(lib, forward, backward)(leaf(lib, 1.0, 2.0), 3.0).sum().backward()
    assert seen == [(True, False)] * 2


def test_case_42_what_is_marked_dirty_is_returned_and_is_no_leaf(lib):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    double = custom(lib, forward, lambda ctx, g: g * 2)
    x = leaf(lib, 1.0, 2.0)
    y = x * 1
    assert double(y) is y
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="leaf"):
        double(x)


def test_case_42_what_is_marked_non_differentiable_requires_no_gradient(lib):
    def forward(ctx, x):
        ones = lib.ones(2)
        ctx.mark_non_differentiable(ones)
        return x * 3, ones

    def backward(ctx, g, zeros):
        assert zeros.tolist() == [0, 0]
        return g * 3

    x = leaf(lib, 1.0, 2.0)
    y, ones = custom(lib, forward, backward)(x)
    assert y.requires_grad
    assert not ones.requires_grad
    (y * ones).sum().backward()
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize("materialize", [True, False])
def test_case_43_gradients_of_unused_outputs_are_zeros_or_none(lib, materialize):
    seen = []

    def forward(ctx, x):
        ctx.set_materialize_grads(materialize)
        return x * 2, x * 3

    def backward(ctx, first, second):
        seen.append(second if second is None else second.tolist())
        return first * 2

    x = leaf(lib, 1.0, 2.0)
    custom(lib, forward, backward)(x)[0].sum().backward()
    assert seen == [[0, 0] if materialize else None]
    assert x.grad.tolist() == [2, 2]


def test_case_44_once_differentiable_raises_the_second_time(lib):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @lib.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g

    x = leaf(lib, 3.0)
    (slope,) = lib.autograd.grad(custom(lib, forward, backward)(x) ** 2, x, create_graph=True)
    assert slope.item() == 108
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.backward()


# Errors


def failing_once(lib):
    """The identity, whose backward fails at the first call."""
    failures = [KeyError("on purpose")]

    def backward(ctx, g):
        if failures:
            raise failures.pop()
        return g

    return custom(lib, lambda ctx, x: x.clone(), backward)


def test_case_52_a_backward_that_failed_can_go_on_where_nothing_was_released(lib):
    x = leaf(lib, 0.0)
    y = failing_once(lib)(x.exp())
    with pytest.raises(KeyError, match="on purpose"):
        y.backward()
    y.backward()
    assert x.grad.item() == 1


def test_case_52_and_not_through_what_it_has_released(lib):
    x = leaf(lib, 0.0)
    y = failing_once(lib)(x * 1).exp()
    with pytest.raises(KeyError, match="on purpose"):
        y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    assert not has_grad(x)


def nesting(lib, depth, order):
    """A Function whose backward calls that of another such, `depth` deep."""

    def backward(ctx, g):
        if depth > 1:
            inner = leaf(lib, 1.0)
            with lib.enable_grad():
                nesting(lib, depth - 1, order)(inner).backward()
            assert inner.grad.item() == 1
        order.append(depth)
        return g

    return custom(lib, lambda ctx, x: x.clone(), backward)


def test_case_53_backwards_nest_two_hundred_deep_and_inner_ones_come_first(lib):
    order: list[object] = []
    x = leaf(lib, 1.0)
    sibling = x * 2  # older than the nest: its turn comes when that is done
    sibling.register_hook(lambda g: order.append("sibling"))
    (nesting(lib, 200, order)(x) + sibling).backward()
    assert order == [*range(1, 201), "sibling"]
    assert x.grad.item() == 3


@pytest.fixture
def _quiet():
    """PyTorch warns that looking for anomalies is slow, and of the place where one comes from."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torch")
        warnings.filterwarnings("ignore", ".*(Anomaly|Error detected).*", UserWarning)
        yield


@pytest.mark.usefixtures("_quiet")
def test_case_55_an_anomaly_names_the_operation(lib):
    x = leaf(lib, 0.0)
    with (
        np.errstate(invalid="ignore"),  # NumPy's own warning would come first
        lib.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan"),
    ):
        (x.sqrt() * 0).backward()
    assert not has_grad(x)


@pytest.mark.usefixtures("_quiet")
def test_case_55_an_exception_keeps_its_type_while_anomalies_are_looked_for(lib):
    y = failing_once(lib)(leaf(lib, 1.0))
    with lib.autograd.detect_anomaly(), pytest.raises(KeyError, match="on purpose") as caught:
        y.backward()
    if lib is engine:  # PyTorch warns instead, and only of what was recorded in the block
        assert any(f"{__file__}:" in note for note in caught.value.__notes__)
