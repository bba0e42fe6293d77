"""`reproducible`: one bit pattern for any order of arrival, and nothing lost on the way."""

from functools import partial
from random import Random

import numpy as np
import pytest

import engine
from engine import RowSparse
from engine.errors import NotSupportedError
from engine.exact import Limbs
from tests.rows import pick
from tests.threads.together import Meeting, give_way, together

SIZE = 10_000
COUNT = 8  # contributions
SEEDS = [
    engine.from_numpy(np.random.default_rng(n).standard_normal(SIZE).astype("f4"))
    for n in range(COUNT)
]
ROWS = [np.random.default_rng(n).integers(0, SIZE, 500) for n in range(COUNT)]


def leaf(size=SIZE, dtype="f4"):
    return engine.zeros(size, dtype=dtype, requires_grad=True)


def add(x, amount, mode="reproducible"):
    x.backward(engine.full(x.shape, amount, dtype=x.dtype), accumulation=mode)


def dense(x, n, mode):
    (x * SEEDS[n]).sum().backward(accumulation=mode)


def hooked(x, n, mode):
    inner = x * 1
    inner.register_hook(lambda g: g * 0.1)
    (inner * SEEDS[n]).sum().backward(accumulation=mode)


def rows(x, n, mode):
    pick(x, ROWS[n]).backward(SEEDS[n][:500].detach(), accumulation=mode)


def mixed(x, n, mode):
    (rows if n % 2 else dense)(x, n, mode)


KINDS = {"dense": dense, "hooked": hooked, "rows": rows, "mixed": mixed}


def bits(x):
    grad = x.grad
    return (grad.to_dense() if isinstance(grad, RowSparse) else grad.numpy()).tobytes()


def schedule(kind, seed, threads, mode="reproducible"):
    """The bits after COUNT backwards in so many threads, in an order that the seed shuffles."""
    random = Random(seed)
    order = random.sample(range(COUNT), COUNT)
    x, meeting = leaf(), Meeting(threads)

    def hook(point, subject):
        if point == "grad.commit":
            meeting.come()
            if random.random() < 0.5:
                give_way()

    def work(mine):
        for n in mine:
            KINDS[kind](x, n, mode)
            if random.random() < 0.2:
                assert x.grad is not None  # a look changes nothing

    with engine.sync.hooked(hook):
        together(*[partial(work, order[start::threads]) for start in range(threads)])
    return bits(x)


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_orders_of_arrival_give_one_bit_pattern(kind):
    assert len({schedule(kind, seed, threads=1 + seed % 8) for seed in range(50)}) == 1


def test_locked_gives_many():
    """The control: what the test above tells apart does differ."""
    assert len({schedule("dense", seed, 1 + seed % 8, "locked") for seed in range(50)}) > 10


def test_it_is_the_rounded_exact_sum():
    x = leaf()
    for n in range(COUNT):
        dense(x, n, "reproducible")
    exact = np.sum([seed.numpy().astype("f8") for seed in SEEDS], axis=0)  # no bit is lost here
    np.testing.assert_array_equal(x.grad.numpy(), exact.astype("f4"))


def test_an_addition_that_is_not_exact_is_noticed(monkeypatch):
    """The tests above see a policy that adds as `locked` does."""

    def rounded(self, terms, places=None):
        limb = self._limb(0)
        limb[...] = (limb + terms).astype("f4")

    monkeypatch.setattr(Limbs, "add", rounded)
    assert len({schedule("dense", seed, 1 + seed % 8) for seed in range(20)}) > 1


def test_it_shows_the_sum_at_any_time_in_the_same_tensor():
    x = leaf(3)
    add(x, 1.0)
    first = x.grad
    add(x, 2.0**-24)
    assert x.grad is first
    assert first.tolist() == [1] * 3
    add(x, 2.0**-24)
    assert x.grad is first
    assert first.tolist() == [1 + 2.0**-23] * 3


def test_a_gradient_that_is_set_is_the_first_term():
    for given in ("before", "between"):
        x = leaf(3)
        if given == "between":
            add(x, 1.0)
            add(x, 1.0)
        x.grad = engine.ones(3)
        add(x, 2.0**-24)
        add(x, 2.0**-24)
        assert x.grad.tolist() == [1 + 2.0**-23] * 3


def test_taking_zeroing_and_setting_begin_again():
    x = leaf(3)

    def tiny():
        add(x, 2.0**-24)
        add(x, 2.0**-24)

    add(x, 1.0)
    add(x, 2.0**-24)
    taken = x.take_grad()
    assert (taken.tolist(), x.grad) == ([1] * 3, None)
    add(x, 1.0)
    tiny()
    assert x.grad.tolist() == [1 + 2.0**-23] * 3  # what was rounded away above did not come along
    x.zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0] * 3
    tiny()
    assert x.grad.tolist() == [2.0**-23] * 3
    x.zero_grad()
    assert x.grad is None


def test_writing_into_what_was_read_counts():
    x = leaf(3)
    add(x, 1.0)
    add(x, 1.0)
    x.grad.mul_(0.5)
    add(x, 1.0)
    assert x.grad.tolist() == [2] * 3


@pytest.mark.parametrize("other", ["locked", "ordered", "racy"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_modes_meet_on_one_leaf_and_all_counts_once(other, rounds):
    x = leaf(10)
    for _ in range(rounds):
        add(x, 1.0, other)
        add(x, 2.0)
        add(x, 4.0)
        add(x, 8.0, other)
    assert x.grad.tolist() == [15 * rounds] * 10


def test_nothing_is_lost_among_threads_that_take():
    x, taken, running = leaf(), [], [3]

    def produce(weight):
        for _ in range(100):
            add(x, float(weight))
        running[0] -= 1

    def take():
        while running[0] > 0:
            taken.append(x.take_grad())

    together(take, *[partial(produce, n) for n in (1, 2, 4)])
    taken.append(x.take_grad())
    values = [np.unique(g.numpy()) for g in taken if g is not None]
    assert all(v.size == 1 for v in values)
    assert sum(float(v[0]) for v in values) == 700


def test_a_backward_that_raises_leaves_every_grad():
    fresh, used, late = leaf(3), leaf(3), leaf(3)
    add(used, 1.0)
    add(used, 2.0**-24)
    y = late * 2
    y.register_hook(lambda g: 1 / 0)
    with engine.WorkerPool(0), pytest.raises(ZeroDivisionError):
        ((used * 3 + fresh).sum() + y.sum()).backward(accumulation="reproducible")
    assert (fresh.grad, late.grad) == (None, None)
    add(used, 2.0**-24)
    assert used.grad.tolist() == [1 + 2.0**-23] * 3


def test_sgd_steps_with_the_rounded_sum():
    x = leaf(3)
    add(x, 1.0)
    add(x, 1.0)
    engine.optim.SGD([x], lr=1.0).step()
    assert x.tolist() == [-2] * 3


def test_what_cannot_be_summed_exactly_is_refused_before_anything_is_added():
    x, y = leaf(3), leaf(3)
    loss = (x * x).sum() + y.sum()
    with pytest.raises(NotSupportedError, match="create_graph"):
        loss.backward(create_graph=True, accumulation="reproducible")
    assert (x.grad, y.grad) == (None, None)
    wide = leaf(3, np.longdouble)
    with pytest.raises(NotSupportedError, match="dtype"):
        add(wide, 1.0)


@pytest.mark.parametrize("dtype", ["f2", "f8"])
def test_other_dtypes(dtype):
    tiny = float(np.finfo(dtype).eps) / 2
    x = leaf(3, dtype)
    for amount in (1.0, tiny, tiny):
        add(x, amount)
    assert x.grad.tolist() == [1 + 2 * tiny] * 3


def test_infinities_and_nan_arrive():
    x = leaf(1)
    for amount in (1.0, float("inf"), 1.0):
        add(x, amount)
    assert x.grad.tolist() == [float("inf")]
    add(x, float("-inf"))
    assert np.isnan(x.grad.numpy()).all()
