"""Writes between forward and backward: noticed, with both lines; waived for shared parameters."""

import inspect
import re

import numpy as np
import pytest

import engine
from engine.errors import OperandError, SavedValueChangedError
from engine.hogwild import share
from tests.threads.together import together


def line():
    """The line that calls this."""
    return inspect.stack()[1].lineno


def write(t):
    with engine.no_grad():
        t.mul_(2)


def test_a_write_raises_and_names_both_lines():
    w = engine.ones(3, requires_grad=True)
    loss, saved = (w * w).sum(), line()
    with engine.no_grad():
        w.mul_(2)
        written = line() - 1
    with pytest.raises(SavedValueChangedError) as caught:
        loss.backward()
    places = re.findall(r"test_versions\.py:(\d+)", str(caught.value))
    assert places == [str(saved), str(written)]
    assert "version 0" in str(caught.value)
    assert "version 1" in str(caught.value)
    assert w.grad is None


def test_a_step_of_an_optimizer_names_the_line_of_the_step():
    w = engine.ones(3, requires_grad=True)
    optimizer = engine.optim.SGD([w], lr=0.1)
    w.sum().backward()
    loss = (w * w).sum()
    optimizer.step()
    stepped = line() - 1
    with pytest.raises(SavedValueChangedError, match=rf"test_versions\.py:{stepped} "):
        loss.backward()


ALIASES = {
    "itself": lambda w: w,
    "a view": lambda w: w.reshape(3, 1),
    "an element": lambda w: w[1:2],
    "detach": lambda w: w.detach(),
    "a view of detach": lambda w: w.detach().reshape(3, 1)[0],
    "transposed": lambda w: w.T,
}


@pytest.mark.parametrize("name", ALIASES)
def test_a_write_through_an_alias_counts(name):
    w = engine.ones(3, requires_grad=True)
    with engine.no_grad():
        alias = ALIASES[name](w)
    loss = (w * w).sum()
    write(alias)
    with pytest.raises(SavedValueChangedError):
        loss.backward()


@pytest.mark.parametrize("name", ALIASES)
def test_a_write_to_what_is_viewed_counts_for_a_saved_view(name):
    w = engine.ones(3, requires_grad=True)
    alias = ALIASES[name](w)
    loss = (alias * engine.ones(1, requires_grad=True)).sum()
    write(w)
    with pytest.raises(SavedValueChangedError):
        loss.backward()


def test_data_is_the_way_around_the_check():
    w = engine.ones(3, requires_grad=True)
    loss = (w * w).sum()
    w.data.mul_(2)
    loss.backward()
    assert (w.grad == 4).all()


def test_a_write_before_the_forward_does_not_count():
    w = engine.ones(3, requires_grad=True)
    write(w)
    (w * w).sum().backward()
    assert (w.grad == 4).all()


def test_what_no_rule_saved_may_be_written():
    w = engine.ones(3, requires_grad=True)
    loss = (w + 1).sum()
    write(w)
    loss.backward()
    assert (w.grad == 1).all()


def test_a_write_of_another_thread_is_noticed():
    w = engine.ones(3, requires_grad=True)
    loss = (w * w).sum()
    together(lambda: write(w))
    with pytest.raises(SavedValueChangedError, match=r"in write"):
        loss.backward()


def test_writers_at_once_are_all_noticed():
    """Versions count writes to the last with one writer; with several, never back to a former."""
    for _ in range(50):
        w = engine.ones(3, requires_grad=True)
        loss = (w * w).sum()
        together(*[lambda w=w: [write(w) for _ in range(5)]] * 3)
        with pytest.raises(SavedValueChangedError):
            loss.backward()


def test_share_waives_the_check():
    (w,) = share([engine.ones(3, requires_grad=True)])
    loss = (w * w).sum()
    write(w)
    loss.backward()
    assert (w.grad == 4).all()


@pytest.mark.parametrize("name", ALIASES)
def test_share_waives_it_for_aliases_made_later(name):
    (w,) = share([engine.ones(3, requires_grad=True)])
    with engine.no_grad():
        alias = ALIASES[name](w)
    loss = (w * w).sum()
    write(alias)
    loss.backward()


def test_share_does_not_waive_it_for_others():
    share([engine.ones(3, requires_grad=True)])
    x = engine.ones(3, requires_grad=True)
    loss = (x * x).sum()
    write(x)
    with pytest.raises(SavedValueChangedError):
        loss.backward()


def test_readers_and_writers_of_shared_parameters_never_raise():
    (w,) = share([engine.ones(10_000, requires_grad=True)])

    def read():
        for _ in range(100):
            (w * w).tanh().sum().backward()

    def change():
        for _ in range(100):
            with engine.no_grad():
                w.mul_(np.float32(1.001))

    together(read, read, change, change)
    assert np.isfinite(w.grad.numpy()).all()


def stepped(params):
    """A loss, and a step by another thread's optimiser before its backward."""
    optimizer = engine.optim.SGD(params, lr=1.0)
    for p in params:
        p.grad = engine.ones(10_000)
    loss = sum((p * p).sum() for p in params)
    together(optimizer.step)
    for p in params:
        p.grad = None
    return loss


def test_a_step_of_another_thread_is_noticed_where_one_parameter_is_not_shared():
    shared, other = (engine.full((10_000,), 3.0).requires_grad_() for _ in range(2))
    share([shared])
    with pytest.raises(SavedValueChangedError):
        stepped([shared, other]).backward()
    assert shared.grad is None
    assert other.grad is None


def test_a_step_of_another_thread_is_used_where_all_are_shared():
    params = share(engine.full((10_000,), 3.0).requires_grad_() for _ in range(2))
    stepped(params).backward()
    assert all((p.grad == 4).all() for p in params)


def test_writes_to_shared_parameters_are_not_counted():
    (w,) = share([engine.ones(3, requires_grad=True)])
    write(w)
    assert w._version == 0
    assert share([w]) == [w]  # again: it is


@pytest.mark.parametrize(
    "wrong", [lambda: engine.ones(3, requires_grad=True) * 2, lambda: np.ones(3), lambda: None]
)
def test_only_leaves_can_be_shared_and_then_none_is(wrong):
    w = engine.ones(3, requires_grad=True)
    with pytest.raises(OperandError, match="only leaf Tensors can be shared"):
        share([w, wrong()])
    loss = (w * w).sum()
    write(w)
    with pytest.raises(SavedValueChangedError):
        loss.backward()
