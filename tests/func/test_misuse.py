"""What `grad` and `value_and_grad` refuse, and what they say."""

from typing import Any

import numpy as np
import pytest

import engine
import engine.func as func
from engine.errors import (
    ArgumentError,
    DTypeError,
    EngineError,
    NoGraphError,
    NonScalarError,
    OperandError,
)
from engine.func import OutputError, PositionError
from tests.func.lib import double


@pytest.mark.parametrize(
    ("options", "error", "kinds", "words"),
    [
        ({"grad_position": None}, ArgumentError, [ValueError], "at the same time"),
        ({"grad_position": (0, 0)}, ArgumentError, [ValueError], "twice"),
        ({"grad_position": -1}, ArgumentError, [ValueError], "negative"),
        ({"grad_position": ()}, ArgumentError, [ValueError], "names no argument"),
        ({"grad_position": 0.5}, OperandError, [TypeError], "0.5 .float"),
        ({"grad_position": (0, "x")}, OperandError, [TypeError], "'x'"),
        ({"grad_position": True}, OperandError, [TypeError], "True"),
        ({"grad_position": 1, "argnums": 0}, ArgumentError, [ValueError], "not both"),
        ({"has_aux": 1}, OperandError, [TypeError], "has_aux must be a bool"),
        ({"return_ids": None}, OperandError, [TypeError], "return_ids must be a bool"),
        ({"weights": 3}, OperandError, [TypeError], "weights must be Tensors, got int"),
        ({"weights": [np.ones(2)]}, OperandError, [TypeError], r"got float64\[2\]"),
    ],
)
@pytest.mark.parametrize("transform", [func.grad, func.value_and_grad])
def test_misuse_is_refused_before_any_call(transform, options, error, kinds, words):
    with pytest.raises(error, match=words) as caught:
        transform(lambda x: x, **options)
    assert transform.__name__ in str(caught.value)
    assert all(isinstance(caught.value, kind) for kind in [EngineError, *kinds])


def test_fn_must_be_callable():
    number: Any = 3.0
    with pytest.raises(OperandError, match="must be callable, got float"):
        func.grad(number)


@pytest.mark.parametrize("options", [{"grad_position": 2}, {"argnums": 2}, {"argnums": -3}])
def test_a_missing_argument(options):
    with pytest.raises(PositionError, match="called with 2 positional arguments") as caught:
        func.grad(lambda x, y: x * y, **options)(1.0, 2.0)
    for kind in (RuntimeError, TypeError, IndexError, ValueError):
        assert isinstance(caught.value, kind)


def test_the_same_argument_from_both_ends():
    with pytest.raises(ArgumentError, match="twice"):
        func.grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0)


@pytest.mark.parametrize("value", [3, True, np.arange(3), np.int64(3), 1j, [1.0, 2]])
def test_what_is_not_floating_point(value):
    with pytest.raises(DTypeError, match="only floating point") as caught:
        func.grad(lambda x: x)(value)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, TypeError)
    assert "argument 0 of <lambda>" in str(caught.value)


def test_integer_tensors_name_their_dtype():
    with pytest.raises(DTypeError, match=r"int64\[2\].*float32"):
        func.grad(lambda x: x)(engine.tensor([1, 2]))


@pytest.mark.parametrize("value", ["text", {1, 2}, object()])
def test_what_is_no_array(value):
    with pytest.raises(OperandError, match="only Tensors, ndarrays and floats"):
        func.grad(lambda x: x)(value)


def test_non_scalar_outputs_name_shape_and_function():
    def outputs(x):
        return x

    for x, met in ((double(1.0, 2.0), r"float64\[2\]"), (double(1.0), r"float64\[1\]")):
        with pytest.raises(NonScalarError, match=f"scalar-output.*outputs returned {met}") as error:
            func.grad(outputs, argnums=0)(x)
        assert isinstance(error.value, TypeError)
        assert isinstance(error.value, RuntimeError)
    with pytest.raises(NonScalarError):
        func.grad(lambda x: (x, x), argnums=0)(1.0)


def test_integer_outputs():
    with pytest.raises(DTypeError, match=r"int64\[\]"):
        func.grad(lambda x: x.argmax(), argnums=0)(double(1.0, 2.0))


@pytest.mark.parametrize("output", [1.0, np.ones(2), "text", None, ()])
def test_outputs_that_have_lost_their_gradient(output):
    with pytest.raises(OutputError, match="Tensor") as caught:
        func.grad(lambda x: output)(1.0)
    for kind in (RuntimeError, TypeError, ValueError):
        assert isinstance(caught.value, kind)


@pytest.mark.parametrize("options", [{}, {"argnums": 0}])
def test_has_aux_without_aux(options):
    for returned in (lambda x: x, lambda x: (x,)):
        with pytest.raises(OutputError, match=r"must return a tuple \(\w+, aux"):
            func.grad(returned, has_aux=True, **options)(1.0)
    with pytest.raises(OutputError, match=r"got \(\*, \*, \*\)"):
        func.grad(lambda x: (x, 1, 2), has_aux=True, argnums=0)(1.0)


def test_weights_must_require_a_gradient():
    with pytest.raises(NoGraphError, match=r"weight float32\[\] does not require grad"):
        func.grad(lambda x: x, weights=engine.tensor(1.0))(1.0)


def test_an_error_in_the_function_leaves_no_trace():
    w = engine.tensor(2.0, requires_grad=True)

    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        func.grad(broken)(1.0)
    assert engine.is_grad_enabled()
    # Had the depth of transforms not been restored, this would carry history.
    assert not func.grad(lambda: w * w, None, weights=w)().requires_grad
