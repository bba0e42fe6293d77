"""Writes between forward and backward: noticed, with both lines; waived for shared parameters."""

import inspect
import re
import threading

import numpy as np
import pytest

import engine
from engine.autograd.function import Function
from engine.errors import OperandError, SavedValueChangedError, ShapeError
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


def meanwhile(point, action):
    """A hook that calls ``action`` once, when ``point`` is come to."""
    pending = [action]

    def hook(name, subject):
        if name == point and pending:
            pending.pop()()

    return hook


def test_a_write_that_meets_the_rule_is_noticed_after_it():
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    y = (x * factor).sum()
    with (
        engine.sync.hooked(meanwhile("saved.read", lambda: factor.fill_(3.0))),
        pytest.raises(SavedValueChangedError),
    ):
        y.backward()
    assert x.grad is None


def test_a_write_that_has_begun_is_noticed_before_its_end():
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    y, raised = (x * factor).sum(), []

    def walk():
        with pytest.raises(SavedValueChangedError, match="is being written at"):
            y.backward()
        raised.append(True)

    with engine.sync.hooked(meanwhile("value.written", walk)):
        factor.fill_(3.0)
    assert raised
    assert factor._version == 1


@pytest.mark.parametrize("point", ["value.write", "value.written"])
def test_what_was_saved_beside_a_write_is_of_no_use(point):
    x, factor, made = engine.ones(4, requires_grad=True), engine.full((4,), 2.0), []

    def save():
        with engine.enable_grad():
            made.append((x * factor).sum())

    with engine.sync.hooked(meanwhile(point, save)), engine.no_grad():
        factor.fill_(3.0)
    with pytest.raises(SavedValueChangedError):
        made[0].backward()


def test_a_write_that_is_refused_changes_no_version():
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    y = (x * factor).sum()
    for refused in (lambda: factor.add_(engine.ones(3)), lambda: factor.copy_(engine.ones(3))):
        with pytest.raises(ShapeError):
            refused()
    y.backward()
    assert x.grad.tolist() == [2.0] * 4
    assert factor._version == 0


class Product(Function):
    """x * factor; its rule does ``meddle`` between reading the factor and using it."""

    meddle = staticmethod(lambda factor: None)

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(factor)
        return x * factor

    @staticmethod
    def backward(ctx, g):
        (factor,) = ctx.saved_tensors
        result = g * factor
        Product.meddle(factor)
        return result, None


@pytest.mark.parametrize("by_another", [True, False])
def test_a_rule_may_write_what_it_has_read_but_nobody_else(monkeypatch, by_another):
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    y = Product.apply(x, factor).sum()

    def write(factor):
        with engine.no_grad():
            factor.fill_(3.0)

    def elsewhere(factor):
        thread = threading.Thread(target=write, args=(factor,))
        thread.start()
        thread.join()

    monkeypatch.setattr(Product, "meddle", staticmethod(elsewhere if by_another else write))
    if by_another:
        with pytest.raises(SavedValueChangedError):
            y.backward()
        assert x.grad is None
    else:
        y.backward()
        assert x.grad.tolist() == [2.0] * 4


def test_a_write_beside_the_second_run_of_a_checkpoint_is_noticed():
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    runs: list[int] = []

    def product(x, factor):
        runs.append(len(runs))
        out = (x * factor).sum()
        if len(runs) == 2:
            thread = threading.Thread(target=lambda: factor.fill_(3.0))
            thread.start()
            thread.join()
        return out

    y = engine.checkpoint(product, x, factor)
    with pytest.raises(SavedValueChangedError):
        y.backward()
    assert x.grad is None
