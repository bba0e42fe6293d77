"""SGD: the numbers of a plain NumPy reference, in place, and no step of a thread lost."""

import numpy as np
import pytest

import engine
from engine.errors import ArgumentError, OperandError
from engine.optim import SGD
from engine.optim.sgd import CHUNK, SMALL
from tests.threads.together import Turns, overlap, repeat, together

LARGE = CHUNK + 1_000


def contiguous(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("f4")


LAYOUTS = {
    "scalar": lambda: contiguous(),
    "small": lambda: contiguous(3, 4),
    "one element": lambda: contiguous(1),
    "empty": lambda: contiguous(0, 3),
    "middle": lambda: contiguous(SMALL + 1),
    "large": lambda: contiguous(LARGE),
    "large, of rank 3": lambda: contiguous(3, LARGE // 3 + 1, 2),
    "fortran": lambda: np.asfortranarray(contiguous(400, 400)),
    "transposed": lambda: contiguous(2, LARGE).T,
    "strided": lambda: contiguous(2 * LARGE)[::2],
    "strided rows": lambda: contiguous(2, 2 * LARGE)[:, ::2],
    "backwards": lambda: contiguous(LARGE)[::-1],
    "double": lambda: contiguous(LARGE).astype("f8"),
}


def reference(p, grads, lr, momentum, decay):
    """What the definition says, step by step."""
    v = np.zeros_like(p)
    for g in grads:
        d = g + p.dtype.type(decay) * p
        v = p.dtype.type(momentum) * v + d
        p = p - p.dtype.type(lr) * v
    return p


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_of_every_layout(layout, momentum, decay):
    data = LAYOUTS[layout]()
    before = data.copy()
    p = engine.from_numpy(data).requires_grad_()
    optimizer = SGD([p], lr=0.1, momentum=momentum, weight_decay=decay)
    rng = np.random.default_rng(1)
    grads = [rng.standard_normal(data.shape).astype(data.dtype) for _ in range(3)]
    for g in grads:
        p.grad = engine.tensor(g)
        optimizer.step()
        np.testing.assert_array_equal(p.grad.numpy(), g)  # only read
    assert np.shares_memory(p.detach().numpy(), data) or not data.size
    expected = reference(before, grads, 0.1, momentum, decay)
    np.testing.assert_allclose(data, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["large", "fortran", "small"])
def test_a_gradient_of_another_layout(layout):
    data = LAYOUTS[layout]()
    p = engine.from_numpy(data).requires_grad_()
    expected = data - np.float32(0.5)
    p.grad = engine.from_numpy(np.ones(data.shape[::-1], "f4").T)
    SGD([p], lr=0.5).step()
    np.testing.assert_allclose(data, expected, rtol=1e-6)


def test_weights_are_written_where_they_are():
    w = engine.ones(5, requires_grad=True)
    memory = w.detach().numpy()
    w.grad = engine.ones(5)
    SGD([w], lr=0.5).step()
    assert w.detach().numpy() is memory or np.shares_memory(w.detach().numpy(), memory)
    assert memory.tolist() == [0.5] * 5


def test_a_step_without_a_gradient_does_nothing():
    w = engine.ones(5, requires_grad=True)
    SGD([w], lr=0.5, weight_decay=1.0).step()
    assert w.tolist() == [1.0] * 5


def test_settings_may_change_between_steps():
    w = engine.ones(1, requires_grad=True)
    optimizer = SGD([w], lr=1.0)
    w.grad = engine.ones(1)
    for lr in (0.5, 0.25):
        optimizer.lr = lr
        optimizer.step()
    assert w.item() == 0.25


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none):
    params = [engine.ones(2, requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = engine.ones(2)
    SGD(params, lr=1.0).zero_grad(set_to_none)
    for p in params:
        assert p.grad is None if set_to_none else (p.grad == 0).all()


@pytest.mark.parametrize("size", [10_000, LARGE])
def test_steps_of_many_threads_are_all_there(size):
    """Of one optimiser, and of one for each thread."""
    w = engine.zeros(size, requires_grad=True)
    w.grad = engine.ones(size)
    shared = SGD([w], lr=1.0)

    def work(own):
        for _ in range(25):
            (own or shared).step()

    together(*[lambda own=own: work(own) for own in (None, None, SGD([w], lr=1), SGD([w], lr=2))])
    assert np.unique(w.detach().numpy()).tolist() == [-125.0]


def test_momentum_of_many_threads_is_that_of_as_many_steps():
    w = engine.zeros(10_000, dtype="f8", requires_grad=True)
    w.grad = engine.ones(10_000, dtype="f8")
    optimizer = SGD([w], lr=1.0, momentum=0.5)
    together(*[lambda: repeat(5, optimizer.step)] * 4)
    one = np.zeros(1)
    expected = reference(one, [np.ones(1)] * 20, 1.0, 0.5, 0.0)
    assert np.unique(w.detach().numpy()).tolist() == expected.tolist()


def test_steps_exclude_each_other():
    w = engine.zeros(10, requires_grad=True)
    w.grad = engine.ones(10)
    with overlap() as (enter, most):

        class Watched(SGD):
            def update(self, index, g, where=None):
                enter()
                super().update(index, g, where)

        optimizer = Watched([w], lr=1.0)
        together(optimizer.step, optimizer.step)
    assert most() == 1


def test_the_lock_excludes_steps_and_accumulation():
    """A step reads the whole gradient, never one that is being added to."""
    w = engine.zeros(10_000, requires_grad=True)
    w.grad = engine.zeros(10_000)
    optimizer = SGD([w], lr=1.0)
    ones = engine.ones(10_000)
    together(
        lambda: repeat(200, optimizer.step),
        lambda: repeat(200, w.backward, ones),
    )
    assert np.unique(w.detach().numpy()).size == 1


def test_an_update_without_the_lock_is_racy_when_forced():
    """What `step` protects from: two updates that both began from the same value."""
    w = engine.zeros(10, requires_grad=True)
    engine.hogwild.share([w])
    update = engine.hogwild.update.update_mode("racy")
    turns = Turns(["param.read", "param.write"], ["together-0", "together-1"] * 2)

    def work():
        update.write(optimizer, 0, np.ones(10, "f4"))
        turns.leave()

    optimizer = SGD([w], lr=1.0)
    with engine.sync.hooked(turns.hook):
        together(work, work)
    assert np.unique(w.detach().numpy()).tolist() == [-1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1.0}, "lr must not be negative, got -1.0"),
        ({"momentum": -0.1}, "momentum"),
        ({"weight_decay": -0.1}, "weight_decay"),
    ],
)
def test_negative_settings_are_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        SGD([engine.ones(1, requires_grad=True)], **arguments)


def test_an_empty_list_is_refused():
    with pytest.raises(ArgumentError, match="empty parameter list"):
        SGD([])


@pytest.mark.parametrize(
    "param",
    [engine.ones(1), engine.ones(1, requires_grad=True) * 2, np.ones(1), None],
    ids=["no gradient", "no leaf", "an array", "nothing"],
)
def test_what_is_no_parameter_is_refused(param):
    with pytest.raises(OperandError, match="can only optimize leaf Tensors"):
        SGD([param])
