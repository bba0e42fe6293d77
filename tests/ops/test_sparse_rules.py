"""`take` and `embedding` with sparse=True: rows as gradients, the same numbers as dense ones."""

import numpy as np
import pytest

import engine
from engine import RowSparse
from engine.nn import functional as F

RNG = np.random.default_rng(3)
IDS = np.array([[4, 0, 4], [2, 4, 0]])
TABLE = RNG.standard_normal((6, 3)).astype("f4")
WEIGHTS = RNG.standard_normal((2, 3, 3)).astype("f4")

READS = {
    "take": lambda table, sparse: table.take(IDS, axis=0, sparse=sparse),
    "negative": lambda table, sparse: table.take(IDS - 6, axis=0, sparse=sparse),
    "embedding": lambda table, sparse: F.embedding(IDS, table, sparse=sparse),
    "padding": lambda table, sparse: F.embedding(IDS, table, -2, sparse=sparse),
    "one": lambda table, sparse: table.take(4, axis=0, sparse=sparse),
    "none": lambda table, sparse: table.take(IDS[:0], axis=0, sparse=sparse),
}


def table(values=TABLE):
    return engine.tensor(values, requires_grad=True)


def loss(rows):
    return (rows * rows * WEIGHTS[: len(rows)]).sum()


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_rows_are_what_the_dense_gradient_holds(read):
    sparse, dense = table(), table()
    loss(read(sparse, True)).backward()
    loss(read(dense, False)).backward()
    assert type(sparse.grad) is RowSparse
    assert sparse.grad.dtype == np.float32
    np.testing.assert_allclose(sparse.grad.to_dense(), dense.grad, rtol=1e-6)
    assert not isinstance(dense.grad, RowSparse)


def test_padding_leaves_its_rows_out():
    x = table()
    F.embedding(IDS, x, 4, sparse=True).sum().backward()
    assert sorted(set(x.grad.ids.tolist())) == [0, 2]
    assert x.grad.nnz == 3


def test_a_recorded_backward_gets_them_dense_and_differentiable():
    x = table()
    (g,) = engine.grad(loss(F.embedding(IDS, x, sparse=True)), [x], create_graph=True)
    assert isinstance(g, engine.Tensor)
    (h,) = engine.grad((g * g).sum(), [x])
    twice = np.zeros((6, 3))
    np.add.at(twice, IDS, 2 * WEIGHTS)
    np.testing.assert_allclose(h.to_dense(), 2 * twice**2 * TABLE, rtol=1e-5)


def test_complex_tables_get_them_dense():
    x = table(TABLE * (1 + 2j))
    x.take(IDS, axis=0, sparse=True).sum().real.backward()
    assert isinstance(x.grad, engine.Tensor)


def test_rows_do_not_share_memory_with_what_flowed_in():
    x = table()
    seed = engine.tensor(WEIGHTS)
    x.take(IDS, axis=0, sparse=True).backward(seed)
    assert not np.shares_memory(x.grad.rows, seed.numpy())


def test_sums_of_reads_stay_sparse_and_mix_with_dense_ones():
    x = table()
    (x.take(IDS, axis=0, sparse=True).sum() + x.take([1], axis=0, sparse=True).sum()).backward()
    assert type(x.grad) is RowSparse
    counts = np.bincount(IDS.ravel(), minlength=6) + np.eye(6)[1]
    assert x.grad.to_dense()[:, 0].tolist() == counts.tolist()
    y = table()
    (y.take(IDS, axis=0, sparse=True).sum() + y.sum()).backward()
    assert y.grad[:, 0].tolist() == (np.bincount(IDS.ravel(), minlength=6) + 1).tolist()


def test_a_table_that_was_computed_gets_what_its_rule_can_use():
    x = table()
    (x * 2).take(IDS, axis=0, sparse=True).sum().backward()
    assert x.grad[:, 0].tolist() == (2 * np.bincount(IDS.ravel(), minlength=6)).tolist()
