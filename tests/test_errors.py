"""Errors keep their types, say where the forward was, and leave everything as it was."""

import numpy as np
import pytest

import engine
from engine.errors import GraphReleasedError, SavedValueChangedError


def leaf(*values):
    """A leaf of the values; of one value, a scalar."""
    return engine.tensor(values[0] if len(values) == 1 else list(values), requires_grad=True)


def has_grad(x):
    return x.grad is not None


def test_case_51_an_error_keeps_its_type_and_names_the_forward_line():
    x = leaf(1.0)
    y = x * 2
    z = y.exp()  # the line to name

    def fail(g):
        raise ZeroDivisionError("on purpose")

    y.register_hook(fail)
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        z.backward()
    (note,) = caught.value.__notes__
    assert "MulBackward0" in note
    assert f"{__file__}:" in note
    assert not has_grad(x)
    (x * 3).backward()
    assert x.grad.item() == 3


def test_case_54_a_nested_backward_may_fail_alone():
    x, w = leaf(1.0), leaf(5.0)

    def nested(g):
        with engine.enable_grad():  # a backward does not record
            with pytest.raises(engine.errors.NonScalarError):
                (w * engine.ones(2)).backward()
            (w * 2).backward()

    y = x * 3
    y.register_hook(nested)
    y.backward()
    assert (x.grad.item(), w.grad.item()) == (3, 2)


def test_nothing_is_written_when_a_backward_fails():
    a, b = leaf(1.0), leaf(1.0)
    left = a * 2
    right = b * 2

    def fail(g):
        raise ValueError

    left.register_hook(fail)  # runs last: the leaf on the other side has been reached
    with pytest.raises(ValueError):  # noqa: PT011
        (left + right).backward()
    assert not has_grad(a)
    assert not has_grad(b)


def test_case_29_no_inputs_at_all_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="inputs"):
        leaf(1.0).backward(inputs=[])


def test_a_seed_that_is_an_array_is_named():
    with pytest.raises(TypeError, match="ndarray"):
        leaf(1.0, 2.0).backward(np.ones(2))


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (lambda x: (x * 2).backward(), (RuntimeError, TypeError)),
        (lambda x: x.detach().sum().backward(), (RuntimeError,)),
        (lambda x: (x * 2).backward(engine.ones(3)), (RuntimeError, ValueError)),
        (lambda x: x.sum().backward(inputs=[3]), (TypeError,)),
        (lambda x: x.sum().backward(accumulation="quick"), (ValueError,)),
        (lambda x: engine.grad(x.sum(), engine.ones(2)), (RuntimeError,)),
        (lambda x: engine.grad(x.sum(), engine.ones(1, requires_grad=True)), (RuntimeError,)),
        (lambda x: engine.grad(x.sum(), x, [engine.tensor(1.0)] * 2), (RuntimeError, ValueError)),
        (lambda x: x[5], (IndexError, RuntimeError)),
        (lambda x: x.sum(dim=3), (IndexError, ValueError)),
        (lambda x: x.reshape(3), (RuntimeError, ValueError)),
        (lambda x: x @ engine.ones(3), (RuntimeError, ValueError)),
        (lambda x: x + engine.ones(3), (RuntimeError, ValueError)),
        (lambda x: x + "a", (TypeError,)),
        (lambda x: x.item(), (RuntimeError,)),
        (lambda x: bool(x), (RuntimeError,)),
        (lambda x: x.numpy(), (RuntimeError,)),
        (lambda x: x.exp(dim=1), (TypeError,)),
        (lambda x: engine.relu("a"), (TypeError,)),
        (lambda x: engine.tensor("a"), (RuntimeError, TypeError)),
        (lambda x: engine.nn.functional.cross_entropy(x, [0, 0]), (RuntimeError, ValueError)),
        (lambda x: engine.nn.functional.cross_entropy(x[None], [5]), (IndexError,)),
        (lambda x: engine.nn.functional.cross_entropy(x[None], [0.5]), (RuntimeError, ValueError)),
        (lambda x: engine.nn.functional.mse_loss(x, x, "mode"), (ValueError,)),
        (lambda x: engine.nn.functional.linear(x, x), (RuntimeError, ValueError)),
        (lambda x: engine.nn.functional.linear(x, x[None], x[None]), (RuntimeError, ValueError)),
        (lambda x: engine.nn.functional.linear(x, engine.ones(1, 3)), (RuntimeError, ValueError)),
        (lambda x: engine.dot(x[None, None], x[:1]), (RuntimeError, ValueError)),
    ],
)
def test_errors_are_those_of_pytorch_and_of_numpy_or_jax(call, kinds):
    x = leaf(1.0, 2.0)
    with pytest.raises(engine.errors.EngineError) as caught:
        call(x)
    for kind in kinds:
        assert isinstance(caught.value, kind)
    assert not has_grad(x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: x @ engine.ones(3), ["matmul(a: float32[2], b: float32[3])"]),
        (lambda x: x.sum(dim=3), ["sum(x: float32[2])", "axis 3"]),
        (lambda x: x.exp(dim=1), ["exp takes (x)"]),
        (lambda x: (x * 2).backward(), ["scalar outputs", "(2,)", ".sum()"]),
        (lambda x: x.detach().sum().backward(), ["float32[]", "requires_grad=True", "no_grad()"]),
        (lambda x: engine.grad(x.sum(), leaf(1.0)), ["input 0", "float32[]", "allow_unused=True"]),
        (lambda x: (x * 2).backward(engine.ones(3)), ["(3,)", "(2,)"]),
        (lambda x: x.add_(1), ["add_", "leaf", "no_grad()"]),
        (lambda x: x.numpy(), ["detach().numpy()"]),
        (lambda x: engine.ones(2, dtype="int64", requires_grad=True), ["int64", "dtype='float32'"]),
        (lambda x: twice(x.exp().sum()), ["second time", f"{__file__}:", "retain_graph=True"]),
        (lambda x: x.backward(engine.ones(2), accumulation="quick"), ["'racy'", "'locked'"]),
    ],
)
def test_messages_name_what_was_met_and_the_way_out(call, words):
    with pytest.raises(engine.errors.EngineError) as caught:
        call(leaf(1.0, 2.0))
    for word in words:
        assert word in str(caught.value)


def twice(y):
    y.backward()
    y.backward()


def test_a_rule_that_failed_may_be_tried_again():
    """What its node had saved is given back: an op's as a Function's."""
    x = engine.tensor([0.0, 4.0], requires_grad=True)
    y = x.sqrt()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        y.backward(engine.ones(2))
    assert not has_grad(x)
    with np.errstate(divide="ignore"):
        y.backward(engine.ones(2))
    assert x.grad.tolist() == [float("inf"), 0.25]
    with pytest.raises(GraphReleasedError):
        y.backward(engine.ones(2))


def test_a_write_that_made_a_backward_fail_is_told_again():
    x = engine.ones(2, requires_grad=True)
    y = x * 2
    z = y.exp()
    z.detach().add_(1)
    for _ in range(2):
        with pytest.raises(SavedValueChangedError):
            z.backward(engine.ones(2))


def test_what_the_nodes_before_the_failing_one_had_saved_is_gone():
    x = engine.tensor([0.0, 4.0], requires_grad=True)
    y = x.sqrt().exp()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        y.backward(engine.ones(2))
    with pytest.raises(GraphReleasedError):
        y.backward(engine.ones(2))
