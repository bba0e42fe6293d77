"""Gradients of rows: nothing of them is lost on the way through a backward and an optimiser."""

import copy
from typing import Any

import numpy as np
import pytest

import engine
from engine import RowSparse
from engine.errors import AnomalyError, DTypeError, ShapeError
from tests.rows import D, Pick, V, dense_of, example, pick, table
from tests.threads.together import together


def test_it_arrives_in_grad_as_it_is():
    w, ids = table(), np.array([4, 1, 4])
    seed = engine.tensor(np.ones((3, D), "f4"))
    pick(w, ids).backward(seed)
    assert type(w.grad) is RowSparse
    assert w.grad is w.grad
    seed.fill_(7)
    ids[:] = 0  # neither the caller's seed nor its ids are part of it
    np.testing.assert_array_equal(w.grad.to_dense(), dense_of([4, 1, 4], np.ones((3, D)), (V, D)))


@pytest.mark.parametrize("mode", ["locked", "racy"])
@pytest.mark.parametrize("order", [("rows", "rows"), ("rows", "dense"), ("dense", "rows")])
def test_contributions_of_two_backwards(mode, order):
    w, expected = table(), 0.0
    for kind in order:
        if kind == "rows":
            pick(w, [1, 1, 2]).sum().backward(accumulation=mode)
            expected = expected + dense_of([1, 1, 2], np.ones((3, D)), (V, D))
        else:
            (w * 3).sum().backward(accumulation=mode)
            expected = expected + 3.0
    got = w.grad
    assert isinstance(got, RowSparse) == (order == ("rows", "rows"))
    got = got.to_dense() if isinstance(got, RowSparse) else got.numpy()
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("terms", ["ss", "sd", "ds", "ssd", "dss", "sds"])
@pytest.mark.parametrize("workers", [0, 2])
def test_several_contributions_in_one_backward(terms, workers):
    w, loss, expected = table(), engine.zeros(), np.zeros((V, D))
    for term in terms:
        if term == "s":
            loss = loss + pick(w, [5, 0, 5]).sum()
            expected += dense_of([5, 0, 5], np.ones((3, D)), (V, D))
        else:
            loss = loss + (w * 2).sum()
            expected += 2
    with engine.WorkerPool(workers, heavy=0):
        (g,) = engine.grad(loss, w, retain_graph=True)
        loss.backward()
    for got in (g, w.grad):
        assert isinstance(got, RowSparse) == (set(terms) == {"s"})
        got = got.to_dense() if isinstance(got, RowSparse) else got.numpy()
        np.testing.assert_array_equal(got, expected)


def test_many_backwards_do_not_make_it_grow():
    w = table()
    for _ in range(20):
        pick(w, [1, 2, 1]).sum().backward()
    assert w.grad.nnz == 2
    assert w.grad.to_dense()[1:3, 0].tolist() == [40, 20]


def test_before_an_inner_node_it_becomes_dense():
    w = table()
    inner = w * 2
    inner.retain_grad()
    seen = []
    inner.register_hook(lambda g: seen.append(type(g)))
    pick(inner, [1, 1]).sum().backward()
    assert seen == [engine.Tensor]
    for got, factor in ((inner.grad, 1), (w.grad, 2)):
        np.testing.assert_array_equal(
            got.numpy(), factor * dense_of([1, 1], np.ones((2, D)), (V, D))
        )


def test_it_takes_the_dtype_of_the_leaf():
    w = table(dtype="f8")

    class Wide(Pick):
        @staticmethod
        def backward(ctx, g):
            rows = g.detach().numpy().astype("f4")
            return RowSparse(ctx.ids, rows, ctx.shape), None

    Wide.apply(w, [1]).sum().backward()
    assert w.grad.dtype == np.float64


def test_hooks_see_it_and_may_replace_it():
    w = table()
    seen = []

    def hook(g):
        seen.append(type(g))
        return g * 2

    w.register_hook(hook)
    w.register_hook(lambda g: engine.tensor(g.to_dense()) if len(seen) > 1 else None)
    pick(w, [1]).sum().backward()
    assert type(w.grad) is RowSparse
    assert (w.grad.rows == 2).all()
    pick(w, [2]).sum().backward()  # the second hook makes it dense
    total: Any = w.grad
    assert total.tolist() == dense_of([1, 2], np.full((2, D), 2.0), (V, D)).tolist()
    assert seen == [RowSparse] * 2


def test_a_hook_that_returns_rows_for_a_dense_gradient():
    w = table()
    w.register_hook(lambda g: RowSparse([0], np.ones((1, D), "f4"), (V, D)))
    (w * 2).sum().backward()
    assert w.grad.tolist() == dense_of([0], np.ones((1, D)), (V, D)).tolist()


def test_a_hook_must_keep_the_shape():
    w = table()
    w.register_hook(lambda g: RowSparse([0], np.ones((1, D), "f4"), (V + 1, D)))
    with pytest.raises(ShapeError, match="keep shape"):
        pick(w, [1]).sum().backward()
    assert w.grad is None


def test_grad_can_be_set_taken_zeroed_and_copied():
    w, g = table(), example(dtype="f4")
    w.grad = g
    assert w.grad is g
    assert copy.deepcopy(w).grad.to_dense().tolist() == g.to_dense().tolist()
    assert w.take_grad() is g
    assert w.grad is None
    w.grad = g
    w.zero_grad(set_to_none=False)
    assert (type(w.grad), w.grad.nnz, w.grad.shape) == (RowSparse, 0, (V, D))
    w.zero_grad()
    assert w.grad is None
    w.grad = g
    w.grad = None
    assert w.grad is None


@pytest.mark.parametrize(
    ("value", "error"),
    [(example(), DTypeError), (example(shape=(V + 1, D), dtype="f4"), ShapeError), (3, TypeError)],
)
def test_a_grad_that_does_not_fit_is_refused(value, error):
    w = table()
    with pytest.raises(error, match="assigned grad"):
        w.grad = value
    assert w.grad is None


def test_anomaly_detection_looks_into_the_rows():
    w = table()
    with engine.autograd.detect_anomaly(), pytest.raises(AnomalyError, match="PickBackward"):
        pick(w, [1]).backward(engine.full((1, D), float("nan")))


def test_with_create_graph_it_is_dense():
    w = table()
    (g,) = engine.grad(pick(w, [1]).sum(), w, create_graph=True)
    assert type(g) is engine.Tensor


def test_it_joins_a_gradient_with_history():
    w = table()
    (w * w).sum().backward(create_graph=True)
    history = w.grad
    pick(w, [1]).sum().backward()
    assert history.tolist() == np.zeros((V, D)).tolist()
    assert w.grad.tolist() == dense_of([1], np.ones((1, D)), (V, D)).tolist()


def test_a_batch_of_gradients():
    w = table()
    y = pick(w, [1, 2]).sum(axis=1)
    (rows,) = engine.grad(y, w, engine.tensor(np.eye(2, dtype="f4")), is_grads_batched=True)
    assert rows.shape == (2, V, D)
    assert rows.numpy()[:, :, 0].tolist() == [[0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize("shape", [(V,), (V, 2, 2)])
def test_any_number_of_trailing_axes(shape):
    w = table(*shape)
    pick(w, [1, 1]).sum().backward()
    assert w.grad.to_dense()[1].ravel()[0] == 2


@pytest.mark.parametrize("first", [None, "rows", "dense"])
def test_no_row_is_lost_among_threads(first):
    """Rows with duplicates from four threads at once, on arrays of more than 10 000 elements."""
    w, ids = table(2_000, 8), np.tile(np.arange(0, 2_000, 2), 2)
    start = {None: 0, "rows": 2, "dense": 1}[first]
    if first == "rows":
        pick(w, ids).sum().backward()
    elif first == "dense":
        w.grad = engine.ones(2_000, 8)

    def work():
        for _ in range(30):
            pick(w, ids).sum().backward()

    together(*[work] * 4)
    got = w.grad if first == "dense" else engine.tensor(w.grad.to_dense())
    assert np.unique(got.numpy()[::2]).tolist() == [start + 4 * 30 * 2]


# Optimisers


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_moves_the_rows_that_are_touched_and_no_other(momentum, decay):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((V, D))
    w = engine.tensor(start, requires_grad=True)
    optimizer = engine.optim.SGD([w], lr=0.1, momentum=momentum, weight_decay=decay)
    p, v = start.copy(), np.zeros_like(start)
    for ids in ([1, 1, 4], [4, 0], []):
        g = example(len(ids), len(ids))
        g = RowSparse(ids, g.rows, g.shape)
        w.grad = g
        optimizer.step()
        full, touched = g.to_dense(), sorted(set(ids))
        v[touched] = momentum * v[touched] + full[touched] + decay * p[touched]
        p[touched] -= 0.1 * v[touched]
        np.testing.assert_allclose(w.detach().numpy(), p, rtol=1e-12)
        assert w.grad is g


@pytest.mark.parametrize("mode", ["racy", "locked", "serial"])
def test_hogwild_trains_a_table(mode):
    ids = np.arange(400) % V
    w = engine.tensor(np.zeros((V, D), "f4"), requires_grad=True)

    def loss(batch):
        return ((pick(w, batch.numpy()) - 1) ** 2).sum()

    engine.hogwild.train(
        loss, (ids,), engine.optim.SGD([w], lr=0.05), mode=mode, batch_size=8, epochs=4
    )
    np.testing.assert_allclose(w.detach().numpy(), 1, atol=1e-2)


def test_a_locked_update_loses_no_row():
    """Each step takes one from each of the rows it names; integers, so the sum is exact."""
    w = engine.tensor(np.zeros((2_000, 8), "f4"), requires_grad=True)
    ids = np.tile(np.arange(2_000), 40)

    def loss(batch):
        return -pick(w, batch.numpy()).sum()

    engine.hogwild.train(
        loss, (ids,), engine.optim.SGD([w], lr=1), mode="locked", threads=4, batch_size=2_000
    )
    assert np.unique(w.detach().numpy()).tolist() == [40]
