"""Random numbers depend on a key and a count, and on no thread; so do the masks of dropout."""

import threading
from typing import Any

import numpy as np
import pytest

import engine
from engine import hogwild
from engine.modes import Stream
from engine.nn import functional as F

THREADS = 4


def masks(count: int = 3) -> list[Any]:
    return [F.dropout(engine.ones(5, 7), 0.5).tolist() for _ in range(count)]


def in_threads(work) -> list[Any]:
    """What `work(index)` returns in each of several threads that start at once."""
    start = threading.Barrier(THREADS)
    results: list[Any] = [None] * THREADS

    def run(index: int) -> None:
        start.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_seed_starts_the_draws_over():
    engine.manual_seed(3)
    first = [*masks(), engine.rand(3).tolist(), engine.randn(3, dtype="float64").tolist()]
    engine.manual_seed(3)
    assert first == [*masks(), engine.rand(3).tolist(), engine.randn(3, dtype="float64").tolist()]
    engine.manual_seed(4)
    assert first[0] != masks(1)[0]


def test_the_size_of_a_draw_does_not_change_the_next():
    engine.manual_seed(3)
    engine.rand(1)
    after_one = engine.rand(4).tolist()
    engine.manual_seed(3)
    engine.rand(1000)
    assert engine.rand(4).tolist() == after_one


def test_draws_of_threads_that_meet_are_those_of_one_thread_in_some_order():
    engine.manual_seed(3)
    expected = [engine.rand(20_000).tolist() for _ in range(3 * THREADS)]
    engine.manual_seed(3)
    found = in_threads(lambda _: [engine.rand(20_000).tolist() for _ in range(3)])
    assert sorted(drawn for each in found for drawn in each) == sorted(expected)


def test_a_key_fixes_the_numbers_in_whatever_thread():
    def work(index: int) -> Any:
        engine.rand(index + 1)
        with engine.fork_rng(5, 2):
            drawn = masks()
            with engine.fork_rng(6):
                other = engine.rand(2).tolist()
            return drawn, other, masks(1)

    found = in_threads(work)
    assert all(one == found[0] for one in found)
    assert found[0][0] != masks()


def test_keys_of_one_number_and_of_two_differ():
    drawn = [Stream(*key).next().random() for key in [(1,), (1, 0), (0, 1), (1, 0, 0)]]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("key", [(), (-1,), (0.5,), ("a",)])
def test_a_key_is_made_of_ints(key):
    with pytest.raises(ValueError, match="fork_rng: the key must be ints"), engine.fork_rng(*key):
        pass


def test_masks_in_hogwild_depend_on_the_step_and_not_on_threads():
    def seen(threads: int) -> set[Any]:
        w = engine.ones(20, requires_grad=True)
        found: list[Any] = []

        def loss(x):
            dropped = F.dropout(w * 0 + 1, 0.5) + 0 * F.dropout(x.sum(), 0.1)
            found.append((x.sum().item(), tuple(dropped.tolist())))
            return dropped.sum() * 0

        data = np.arange(12, dtype="f4")
        optimizer = engine.optim.SGD([w], lr=0.0)
        hogwild.train(
            loss, (data,), optimizer, threads=threads, batch_size=1, seed=3, mode="locked"
        )
        return set(found)

    alone = seen(1)
    assert len({mask for _, mask in alone}) == 12
    assert seen(THREADS) == alone


def test_a_checkpoint_draws_its_masks_again():
    for key in (None, 7):
        engine.manual_seed(1)
        x = engine.ones(50, requires_grad=True)

        def layer(x):
            return F.dropout(F.dropout(x, 0.5), 0.5)

        if key is None:
            y = engine.checkpoint(layer, x)
        else:
            with engine.fork_rng(key):
                y = engine.checkpoint(layer, x)
        engine.rand(3)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


@pytest.mark.parametrize("p", [0.1, 0.5, 1e-4, 0.99993, 1 / 3])
def test_as_many_fall_as_should(p):
    engine.manual_seed(0)
    count = 1_000_000
    fallen = count - np.count_nonzero(F.dropout(engine.ones(count), p).numpy())
    assert abs(fallen - count * p) < 5 * np.sqrt(count * p * (1 - p))


def test_masks_are_not_correlated():
    """Between elements, draws and positions: each pair falls together p * p of the time."""
    with engine.fork_rng(0):
        drawn = [F.dropout(engine.ones(200_000), 0.5).numpy() > 0 for _ in range(4)]
    drawn += [drawn[0][1:], drawn[0][4:]]
    for i in range(len(drawn)):
        for j in range(i):
            n = min(len(drawn[i]), len(drawn[j]))
            both = np.count_nonzero(drawn[i][:n] & drawn[j][:n])
            assert abs(both - n / 4) < 5 * np.sqrt(n * 3 / 16)


def test_values_and_gradients():
    engine.manual_seed(2)
    x = engine.ones(4, 300, requires_grad=True)
    y = F.dropout(x, 0.25)
    assert set(y.tolist()[0]) == {0.0, np.float32(4 / 3)}
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert F.dropout(x, 1.0).sum().item() == 0
    assert F.dropout(x, training=False) is x
    assert F.dropout(engine.ones(0), 0.5).shape == (0,)
    assert F.dropout(engine.ones(3, dtype="float64"), 0.5).dtype == np.float64


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_p_is_a_probability(p):
    for function in (F.dropout, F.dropout2d, F.alpha_dropout):
        with pytest.raises(ValueError, match="between 0 and 1"):
            function(engine.ones(2, 2, 2, 2), p)


def test_whole_channels_fall():
    engine.manual_seed(0)
    for function, shape in [
        (F.dropout1d, (9, 4, 5)),
        (F.dropout2d, (9, 4, 2, 3)),
        (F.dropout3d, (9, 4, 1, 2, 2)),
    ]:
        y = function(engine.ones(*shape), 0.5).numpy().reshape(36, -1)
        assert set(y[:, 0]) == {0, 2}
        assert (y == y[:, :1]).all()


def test_alpha_dropout_keeps_mean_and_variance():
    engine.manual_seed(0)
    y = F.alpha_dropout(engine.randn(500_000), 0.3, training=True).numpy()
    assert abs(y.mean()) < 0.01
    assert abs(y.std() - 1) < 0.01
    assert F.alpha_dropout(engine.ones(3), 1.0, training=True).tolist() == [0, 0, 0]
