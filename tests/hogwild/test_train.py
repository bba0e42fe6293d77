"""Hogwild training: each example once, streams that no thread count changes, updates counted."""

import threading
from typing import Any, cast

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import engine
from engine.errors import ArgumentError, EngineError, OperandError, ShapeError
from tests.hogwild.lib import MODES, ROWS, Problem
from tests.threads.together import PATIENCE, Meeting, Turns, together


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_each_example_is_used_exactly_once_an_epoch(mode, threads):
    problem = Problem()
    result = problem.train(mode=mode, threads=threads, epochs=3, batch_size=16)
    rows = sorted(row for batch in problem.batches for row in batch)
    assert rows == sorted(list(range(ROWS)) * 3)
    assert sorted(map(len, problem.batches)) == [ROWS % 16] * 3 + [16] * (ROWS // 16 * 3)
    assert result.steps == len(problem.batches) == 3 * 13


def streams(threads, mode="racy", seed=5):
    problem = Problem()
    problem.train(mode=mode, threads=threads, epochs=2, batch_size=16, seed=seed)
    return set(map(tuple, problem.batches)), problem.drawn


@pytest.mark.parametrize(("threads", "mode"), [(2, "racy"), (4, "racy"), (3, "locked")])
def test_batches_and_random_numbers_do_not_depend_on_the_threads(threads, mode):
    assert streams(threads, mode) == streams(1, "serial")


def test_batches_and_random_numbers_depend_on_the_seed():
    batches, drawn = streams(2, seed=5)
    others, elsewhere = streams(2, seed=6)
    assert not batches & others
    assert {tuple(d) for d in drawn.values()}.isdisjoint(tuple(d) for d in elsewhere.values())


def test_epochs_come_in_different_orders():
    problem = Problem()
    problem.train(mode="serial", epochs=2, batch_size=ROWS)
    first, second = problem.batches
    assert sorted(first) == sorted(second)
    assert first != second


def test_the_stream_of_a_step_ends_with_the_training():
    engine.manual_seed(1)
    expected = engine.rand(3).tolist()
    engine.manual_seed(1)
    Problem().train(threads=2)
    assert engine.rand(3).tolist() == expected


def test_serial_is_the_same_to_the_bit_every_time():
    def run(threads):
        problem = Problem()
        result = problem.train(mode="serial", threads=threads, epochs=3, batch_size=16)
        return problem.weights(), [stats.loss for stats in result.epochs], problem.batches

    assert run(1) == run(1) == run(4)


def test_serial_is_plain_gradient_descent():
    problem, alone = Problem(), Problem()
    problem.train(mode="serial", epochs=2, batch_size=16, lr=0.05)
    w = alone.w.detach().numpy().copy()
    for rows in problem.batches:
        x, y = problem.x[rows], problem.y[rows]
        w -= np.float32(0.05) * (x.T @ (x @ w - y)) * np.float32(2 / len(rows))
    np.testing.assert_allclose(problem.w.detach().numpy(), w, rtol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_training_finds_the_answer(mode):
    problem = Problem()
    result = problem.train(mode=mode, threads=2, epochs=20, batch_size=8)
    np.testing.assert_allclose(problem.w.detach().numpy(), problem.truth, atol=0.05)
    assert result.loss < 0.01 < result.epochs[0].loss


@pytest.mark.parametrize("mode", MODES)
def test_what_a_result_says(mode):
    problem, metrics = Problem(), iter([0.25, 0.5])
    result = problem.train(
        mode=mode, threads=3, epochs=2, batch_size=16, evaluate=lambda: next(metrics)
    )
    assert result.mode == mode
    assert result.threads == (1 if mode == "serial" else 3) >= len(problem.threads)
    assert [stats.epoch for stats in result.epochs] == [0, 1]
    assert [stats.metric for stats in result.epochs] == [0.25, 0.5]
    assert (result.metric, result.loss) == (0.5, result.epochs[-1].loss)
    assert sum(result.staleness.values()) == result.steps
    assert all(delay >= 0 for delay in result.staleness)
    assert result.steps_per_second == result.epochs[-1].steps_per_second > 0
    assert {"python", "numpy", "blas", "cores"} <= set(result.environment)
    with pytest.raises(AttributeError):
        result.mode = "other"


def test_staleness_of_one_thread_is_none():
    assert Problem().train(mode="racy", threads=1).staleness == {0: 4}


def test_staleness_counts_the_writes_between_read_and_write():
    """Two steps begin together: whoever writes second is one write late."""
    problem, meeting = Problem(rows=32), Meeting(2)

    def loss(*batch):
        meeting.come()
        return problem.loss(*batch)

    result = problem.train(loss=loss, threads=2, batch_size=16)
    assert result.staleness == {0: 1, 1: 1}


def steered(mode, order):
    """Two steps of -1 each, whose points come in this order; what is left in the parameter."""
    w = engine.zeros(10_000, requires_grad=True)
    points = ["param.read", "param.write"] if mode == "racy" else ["param.write"]
    turns, meeting = Turns(points, order), Meeting(2)

    def loss(x):
        meeting.come()
        turns.leave()
        return (w * x.mean()).sum()

    def hook(point, subject):
        turns.hook(point, subject)
        if point == "task.end":
            turns.leave()

    with engine.sync.hooked(hook):
        engine.hogwild.train(
            loss,
            (np.ones(2, "f4"),),
            engine.optim.SGD([w], lr=1.0),
            threads=2,
            mode=mode,
            batch_size=1,
        )
    return np.unique(w.detach().numpy()).tolist()


A, B = "hogwild-0", "hogwild-1"


def test_racy_loses_an_update_that_is_overwritten():
    assert steered("racy", [A, B, A, B]) == [-1.0]
    assert steered("racy", [B, A, A, B]) == [-1.0]
    assert steered("racy", [A, A, B, B]) == [-2.0]


@pytest.mark.parametrize("order", [[A, B], [B, A]])
def test_locked_loses_none(order):
    assert steered("locked", order) == [-2.0]


def test_locked_loses_none_of_many():
    w = engine.zeros(10_000, requires_grad=True)
    engine.hogwild.train(
        lambda x: (w * x.mean()).sum(),
        (np.ones(400, "f4"),),
        engine.optim.SGD([w], lr=1.0),
        threads=4,
        mode="locked",
        batch_size=1,
    )
    assert np.unique(w.detach().numpy()).tolist() == [-400.0]


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_one_thread_meanwhile():
    before, inside = blas_threads(), []

    def evaluate():
        inside.append(blas_threads())
        return 0.0

    result = Problem().train(evaluate=evaluate)
    assert inside == [[1] * len(before)]
    assert blas_threads() == before
    assert not before or "1 thread" in result.environment["blas"]


def test_blas_comes_back_after_an_error():
    before = blas_threads()
    with pytest.raises(ZeroDivisionError):
        Problem().train(evaluate=lambda: 1 / 0)
    assert blas_threads() == before


def test_a_training_in_another_thread_caps_blas_too():
    Problem().train()

    def elsewhere():
        seen = []

        def evaluate():
            seen.append(blas_threads())
            return 0.0

        Problem().train(evaluate=evaluate)
        return seen, blas_threads()

    before = blas_threads()
    assert together(elsewhere) == [([[1] * len(before)], before)]
    assert blas_threads() == before


def test_two_trainings_at_once_cap_blas_until_the_last_has_ended():
    before, seen = blas_threads(), []
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def first():
        def evaluate():
            first_in.set()
            assert second_in.wait(PATIENCE)
            return 0.0

        Problem().train(evaluate=evaluate)
        first_out.set()

    def second():
        def evaluate():
            second_in.set()
            assert first_out.wait(PATIENCE)
            seen.append(blas_threads())
            return 0.0

        assert first_in.wait(PATIENCE)
        Problem().train(evaluate=evaluate)

    together(first, second)
    assert seen == [[1] * len(before)]
    assert blas_threads() == before


@pytest.mark.parametrize("mode", MODES)
def test_parameters_are_shared_meanwhile_and_checked_again_afterwards(mode):
    problem = Problem()
    optimizer = engine.optim.SGD([problem.w], lr=0.05)
    kept = (problem.w * problem.w).sum()
    engine.hogwild.train(problem.loss, problem.data, optimizer, mode=mode)
    with pytest.raises(engine.errors.SavedValueChangedError):
        kept.backward()  # trained since
    kept = (problem.w * problem.w).sum()
    with engine.no_grad():
        problem.w.mul_(2)
    with pytest.raises(engine.errors.SavedValueChangedError):
        kept.backward()


def test_parameters_that_were_shared_stay_shared():
    problem = Problem()
    engine.hogwild.share([problem.w])
    problem.train()
    kept = (problem.w * problem.w).sum()
    with engine.no_grad():
        problem.w.mul_(2)
    kept.backward()


def test_no_grad_is_touched():
    problem = Problem()
    problem.w.grad = engine.full((4,), 7.0)
    problem.train(threads=2)
    assert (problem.w.grad == 7).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"threads": 0}, ArgumentError, "threads must be an int of 1 or more, got 0"),
        ({"threads": 1.5}, ArgumentError, "threads"),
        ({"epochs": 0}, ArgumentError, "epochs"),
        ({"batch_size": 0}, ArgumentError, "batch_size"),
        ({"seed": -1}, ArgumentError, "seed must be an int of 0 or more, got -1"),
        ({"seed": None}, ArgumentError, "seed"),
        ({"mode": "wild"}, ArgumentError, "'wild': choose one of 'serial', 'racy', 'locked'"),
        ({"data": ()}, ShapeError, "equally long non-empty arrays"),
        ({"data": (np.ones(3), np.ones(4))}, ShapeError, r"\(3,\), \(4,\)"),
        ({"data": (np.ones((0, 3)),)}, ShapeError, "non-empty"),
        ({"data": (np.float32(1),)}, ShapeError, "equally long"),
        ({"data": None}, OperandError, "data"),
        ({"loss": None}, OperandError, "loss must be a function"),
    ],
)
def test_a_bad_argument_is_refused_before_a_thread_starts(options, error, message):
    problem = Problem()
    with pytest.raises(error, match=message):
        problem.train(**options)
    assert not problem.batches


def test_an_optimizer_of_another_kind_is_refused():
    problem, no_optimizer = Problem(), cast(Any, [])
    with pytest.raises(OperandError, match="must be an SGD, got list"):
        engine.hogwild.train(problem.loss, problem.data, no_optimizer)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y, i: 3.0,
        lambda x, y, i: x,
        lambda x, y, i: x.mean(),
        lambda x, y, i: (x @ engine.ones(4, requires_grad=True)).mean(),
    ],
    ids=["no tensor", "no scalar", "no gradient", "a stranger"],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_loss_that_cannot_be_trained_is_refused_with_its_step(loss, mode):
    with pytest.raises(EngineError) as caught:
        Problem().train(loss=loss, mode=mode, threads=2)
    assert "in step " in "".join(caught.value.__notes__)
