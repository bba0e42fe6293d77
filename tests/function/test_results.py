"""What backward returns is checked, and misuse says what to do instead."""

import numpy as np
import pytest

import engine
from engine import errors
from tests.function.lib import ENGINE, define, leaf


def test_trailing_nones_may_be_too_many(lib):
    x = leaf(lib, 1.0)
    define(lib, lambda ctx, x: x * 2, lambda ctx, g: (g * 2, None, None)).apply(x).sum().backward()
    assert x.grad.tolist() == [2.0]


def test_none_is_no_gradient(lib):
    x = leaf(lib, 1.0)
    define(lib, lambda ctx, x: x * 2, lambda ctx, g: None).apply(x).sum().backward()
    assert x.grad is None


def test_stretched_gradients_are_summed_and_dtypes_cast(lib):
    a, b = leaf(lib, 1.0, 2.0), lib.tensor(3.0, requires_grad=True)

    def backward(ctx, g):
        wide = lib.tensor(np.ones((3, 2)).tolist(), dtype=lib.float64)
        return wide, wide

    define(lib, lambda ctx, a, b: a * b, backward).apply(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.item()) == ([3.0, 3.0], 6.0)
    assert (a.grad.dtype, b.grad.dtype) == (a.dtype, b.dtype)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda g: g, r"returned 1 gradients, but forward took 2 arguments"),
        (lambda g: (g, None, g), r"returned 3 gradients, but forward took 2 arguments"),
        (lambda g: (g, g), r"for argument 1 a gradient, but that is not a Tensor"),
        (lambda g: (1.0, None), r"for argument 0 a float"),
        (lambda g: ([g], None), r"for argument 0 a list"),
        (lambda g: (g.sum(), None), r"gradient float32\[\], .*the argument, float32\[2\]"),
        (lambda g: (g[:1], None), r"gradient float32\[1\], .*the argument, float32\[2\]"),
        (lambda g: (g.reshape(2, 1), None), r"gradient float32\[2, 1\]"),
    ],
)
def test_what_is_no_gradient_is_refused(lib, returned, says):
    x = leaf(lib, 1.0, 2.0)
    y = define(lib, lambda ctx, x, k: x * k, lambda ctx, g: returned(g)).apply(x, 2.0)
    with pytest.raises(RuntimeError, match=says if lib is ENGINE else None) as caught:
        y.sum().backward()
    assert x.grad is None
    if lib is ENGINE:
        assert isinstance(caught.value, errors.RuleError)
        assert "Custom" in str(caught.value)
        assert "test_results.py" in caught.value.__notes__[0]


def test_a_complex_gradient_of_a_real_argument_is_refused():
    x = leaf(ENGINE, 1.0)
    turn = engine.from_numpy(np.ones(1, "complex64"))
    y = define(ENGINE, lambda ctx, x: x * 1, lambda ctx, g: turn).apply(x)
    with pytest.raises(errors.RuleError, match="complex64"):
        y.backward(engine.ones(1))


def test_without_backward_it_says_so_when_it_is_needed(lib):
    y = define(lib, lambda ctx, x: x * 2).apply(leaf(lib, 1.0))
    with pytest.raises(NotImplementedError, match="implement either the backward or vjp"):
        y.sum().backward()


def test_without_forward_it_says_so():
    with pytest.raises(errors.NotSupportedError, match="implement the forward"):
        engine.function.Function.apply(leaf(ENGINE, 1.0))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_instances_are_refused(lib):
    old = define(lib, lambda ctx, x: x)
    with pytest.raises(RuntimeError, match="Legacy autograd function with non-static forward"):
        old()(leaf(lib, 1.0))


def test_keyword_only_arguments_are_refused(lib):
    def forward(ctx, x, *, k):
        return x * k

    with pytest.raises(TypeError):
        define(lib, forward).apply(leaf(lib, 1.0), k=2.0)
