"""Writes that meet a forward or a rule: noticed at either; and what is refused is no write."""

import threading

import numpy as np
import pytest

import engine
from engine.autograd.function import Function
from engine.errors import (
    ArgumentError,
    IndexRangeError,
    InPlaceError,
    OperandError,
    SavedValueChangedError,
    ShapeError,
)
from engine.ops.op import OPS


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


def product_of(how, x, factor):
    """What a forward makes that saves ``factor``: an operation, a Function, or a checkpoint."""
    if how == "op":
        return (x * factor).sum()
    if how == "Function":
        return Product.apply(x, factor).sum()
    return engine.checkpoint(lambda x, factor: (x * factor).sum(), x, factor)


class Paused:
    """A write in a thread of its own, that stops where it is told to."""

    def __init__(self, factor, value):
        self.at, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self.write, args=(factor, value))

    def write(self, factor, value):
        factor._store((self.write.__code__, 0), self.store, factor, value)

    def store(self, factor, value):
        self.pause()  # no element has changed
        factor._data[...] = value
        self.pause()  # all have

    def pause(self):
        self.at.release()
        self.go.acquire()

    def start(self):
        self.thread.start()
        self.at.acquire()

    def on(self):
        self.go.release()
        self.at.acquire()

    def finish(self):
        self.go.release()
        self.thread.join()


@pytest.mark.parametrize("how", ["op", "Function", "checkpoint"])
@pytest.mark.parametrize("another", [False, True])
def test_a_forward_between_the_marks_of_a_write_is_noticed_while_it_goes_on(how, another):
    """Also where the token of another write, which came and went, hides that of the first."""
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    paused = Paused(factor, 3.0)
    paused.start()
    if another:
        factor.fill_(2.0)
    y = product_of(how, x, factor)
    paused.on()
    try:
        with pytest.raises(SavedValueChangedError, match=r"while it was being|version"):
            y.backward()
    finally:
        paused.finish()
    with pytest.raises(SavedValueChangedError):
        y.backward()
    assert x.grad is None
    product_of(how, later := engine.ones(4, requires_grad=True), factor).backward()
    assert later.grad.tolist() == [3.0] * 4


@pytest.mark.parametrize("how", ["Function", "checkpoint", "op"])
def test_a_write_that_comes_and_goes_while_the_forward_reads_is_noticed(monkeypatch, how):
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)

    def elsewhere():
        thread = threading.Thread(target=factor.fill_, args=(3.0,))
        thread.start()
        thread.join()

    if how == "Function":
        y = After.apply(x, factor, elsewhere).sum()
    elif how == "checkpoint":
        calls = [elsewhere]
        y = engine.checkpoint(lambda x, f: ((x * f).sum(), calls and calls.pop()())[0], x, factor)
    else:
        forward, calls = OPS["mul"].forward, [elsewhere]

        def reads(*arrays):
            product = forward(*arrays)
            if calls:
                calls.pop()()
            return product

        monkeypatch.setattr(OPS["mul"], "forward", reads)
        y = (x * factor).sum()
    with pytest.raises(SavedValueChangedError):
        y.backward()
    assert x.grad is None


class After(Function):
    """x * factor; its forward calls ``then`` when it has read the factor."""

    @staticmethod
    def forward(ctx, x, factor, then):
        out = x * factor
        ctx.save_for_backward(factor)
        then()
        return out

    @staticmethod
    def backward(ctx, g):
        (factor,) = ctx.saved_tensors
        return g * factor, None, None


def test_a_forward_may_write_itself_to_what_it_saves():
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    After.apply(x, factor, lambda: factor.fill_(3.0)).sum().backward()
    assert x.grad.tolist() == [3.0] * 4


class Refusing:
    """No array."""

    def __array__(self, dtype=None, copy=None):
        raise KeyError("no array")


REFUSED = {
    "shape": (lambda t: t.add_(engine.ones(3)), ShapeError),
    "more axes": (lambda t: t.add_(engine.ones(1, 4)), ShapeError),
    "shape to copy": (lambda t: t.copy_(engine.ones(3)), ShapeError),
    "index": (lambda t: t.__setitem__(9, 1), IndexRangeError),
    "dtype": (lambda t: t.add_(0.5), OperandError),
    "range": (lambda t: t.add_(300), ArgumentError),
    "range to fill": (lambda t: t.fill_(300), ArgumentError),
    "objects": (lambda t: t.copy_(np.array([50, 1, 2, "x"], dtype=object)), ShapeError),
    "no array": (lambda t: t.mul_(Refusing()), KeyError),
    "no array to copy": (lambda t: t.copy_(Refusing()), KeyError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_has_marked_nothing(name):
    refused, error = REFUSED[name]
    x = engine.ones(4, requires_grad=True)
    factor = engine.from_numpy(np.full(4, 2, "u1"))
    y = (x * factor).sum()
    with (
        engine.sync.hooked(meanwhile("value.write", lambda: pytest.fail("a write has begun"))),
        pytest.raises(error),
    ):
        refused(factor)
    assert factor.tolist() == [2] * 4
    assert factor._version == 0
    y.backward()
    assert x.grad.tolist() == [2.0] * 4


def test_a_write_that_fails_on_its_way_counts_and_is_over():
    x, factor = engine.ones(1, requires_grad=True), engine.full((1,), 3e38)
    y = (x * factor).sum()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        factor.mul_(10.0)
    assert factor._version == 1
    with pytest.raises(SavedValueChangedError, match="is at version 1"):
        y.backward()
    (x * factor).sum().backward()


def test_a_step_on_what_is_read_only_changes_no_version():
    array = np.ones(2, "f4")
    array.flags.writeable = False
    w = engine.from_numpy(array).requires_grad_()
    y = (w * w).sum()
    w.grad = engine.ones(2)
    with pytest.raises(InPlaceError, match="read-only"):
        engine.optim.SGD([w], lr=0.1).step()
    y.backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_writes_may_be_one_in_another():
    factor = engine.full((4,), 2.0)
    with engine.sync.hooked(meanwhile("value.write", lambda: factor.fill_(3.0))):
        factor.fill_(4.0)
    assert len(factor._cell or ()) == 1  # the newest token, and no write under way


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


def test_the_write_of_another_is_not_forgiven_for_one_of_the_rule_after_it(monkeypatch):
    x, factor = engine.ones(4, requires_grad=True), engine.full((4,), 2.0)
    y = Product.apply(x, factor).sum()

    def both(factor):
        thread = threading.Thread(target=factor.fill_, args=(3.0,))
        thread.start()
        thread.join()
        factor.mul_(1.0)

    monkeypatch.setattr(Product, "meddle", staticmethod(both))
    with pytest.raises(SavedValueChangedError):
        y.backward()


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
