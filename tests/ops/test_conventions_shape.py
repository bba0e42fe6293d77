"""Views and their history, parts, index conventions, and where NumPy and PyTorch differ by name."""

import tracemalloc

import numpy as np
import pytest

import engine
from engine.errors import (
    EngineError,
    IndexRangeError,
    InPlaceError,
    NotSupportedError,
    OperandError,
    SavedValueChangedError,
    ShapeError,
)

X = np.arange(12.0).reshape(3, 4) / 8


def leaf(values=X):
    return engine.tensor(values, requires_grad=True)


def gradient(function, x):
    (g,) = engine.grad(function(x).sum(), [x])
    return g.tolist()


# Views

VIEWS = {
    "reshape": lambda x: x.reshape(4, 3),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "permute": lambda x: x.permute(1, 0),
    "t": lambda x: x.t(),
    "mT": lambda x: x.mT,
    "moveaxis": lambda x: x.moveaxis(0, 1),
    "flip": lambda x: x.flip(0),
    "fliplr": lambda x: x.fliplr(),
    "rot90": lambda x: x.rot90(),
    "diagonal": lambda x: x.diagonal(1),
    "diag": lambda x: engine.diag(x),
    "atleast_3d": lambda x: engine.atleast_3d(x),
    "select": lambda x: x.select(1, 2),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "split": lambda x: x.split(2, dim=1)[1],
    "chunk": lambda x: x.chunk(2, dim=1)[0],
    "tensor_split": lambda x: x.tensor_split((1, 3), dim=1)[1],
    "np.split": lambda x: np.split(x, 2, axis=1)[1],
    "overlapping": lambda x: x.tensor_split((3, 1), dim=1)[2],
    "hsplit": lambda x: x.hsplit(2)[1],
    "unbind": lambda x: x.unbind(1)[2],
    "iteration": lambda x: list(x)[1],
    "trim_zeros": lambda x: np.trim_zeros(x),
    "view_as": lambda x: x.view_as(engine.zeros(6, 2)),
    "np.real": lambda x: np.real(x),
    "np.positive": lambda x: np.positive(x),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_shares_memory_and_a_write_through_it_its_history(view):
    x, fresh = leaf(), engine.tensor(X)
    place = view(engine.tensor(np.arange(12).reshape(3, 4))).numpy()
    base = x * 2
    part, other = view(base), view(base)
    assert np.shares_memory(part.detach().numpy(), base.detach().numpy())
    assert (part.detach().numpy() == view(fresh * 2).numpy()).all()
    part.mul_(3)
    expected = np.full(12, 2.0)
    expected[place.ravel()] *= 3
    assert gradient(lambda x: base, x) == expected.reshape(3, 4).tolist()
    assert (other.detach().numpy() == part.detach().numpy()).all()
    through = np.zeros(12)
    through[place.ravel()] = 6
    base = x * 2
    view(base).mul_(3)
    assert gradient(lambda x: view(base), x) == through.reshape(3, 4).tolist()


@pytest.mark.parametrize(
    "name", ["split", "chunk", "unbind", "diagonal", "flip", "overlapping", "np.real"]
)
def test_a_write_through_a_view_is_noticed_by_who_saved_the_whole(name):
    x = leaf()
    base = x * 1
    squares = base * base
    VIEWS[name](base).mul_(2)
    with pytest.raises(SavedValueChangedError):
        squares.sum().backward()


@pytest.mark.parametrize("name", ["split", "unbind", "np.split", "iteration"])
def test_a_write_to_the_whole_shows_in_parts_that_were_taken_before(name):
    x = leaf()
    base = x * 2
    part = VIEWS[name](base)
    base.mul_(5)
    (g,) = engine.grad(part.sum(), [x])
    assert sorted(set(g.numpy().ravel().tolist())) == [0.0, 10.0]


def test_parts_of_a_leaf_are_not_written_to_and_broadcast_views_are_read_only():
    x = leaf()
    with pytest.raises(InPlaceError):
        x.split(2)[0].add_(1)
    with pytest.raises(InPlaceError):
        np.real(x).add_(1)
    assert x.tolist() == X.tolist()
    base = x * 1
    with pytest.raises(EngineError):
        base.expand(2, 3, 4).add_(1)
    with pytest.raises(EngineError):
        engine.sliding_window_view(base, 2, 0).add_(1)
    assert base.tolist() == X.tolist()


def test_a_diagonal_of_memory_that_is_read_only_stays_so():
    locked = X.copy()
    locked.flags.writeable = False
    assert not engine.from_numpy(locked).diagonal().numpy().flags.writeable


# Parts


def test_parts_share_one_node_and_unused_ones_count_as_zero():
    x = leaf()
    a, b, c = x.unbind()
    assert a.grad_fn is b.grad_fn is c.grad_fn
    assert gradient(lambda x: a * 2 + c, x) == [[2.0] * 4, [0.0] * 4, [1.0] * 4]
    left, right = x.split((1, 3), dim=-1)
    assert left.grad_fn is right.grad_fn
    assert gradient(lambda x: right, x) == [[0.0, 1.0, 1.0, 1.0]] * 3


def test_the_rows_of_a_large_array_come_back_in_one_array():
    """A dense gradient for each of 1 000 rows would take 400 MB at once, or as many writes."""
    x = leaf(np.ones((1000, 50)))
    rows = x.unbind()
    total = engine.stack(rows[::2]).sum()
    tracemalloc.start()
    total.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert x.grad.sum().item() == 25_000
    assert peak < 10 * x.detach().numpy().nbytes


def test_hooks_and_no_grad_meet_parts_as_they_meet_others():
    x = leaf()
    seen = []
    a, b = x.chunk(2, dim=1)

    def tenfold(g):
        seen.append(g.shape)
        return g * 10

    a.register_hook(tenfold)
    assert gradient(lambda x: a + b, x) == [[10.0, 10.0, 1.0, 1.0]] * 3
    assert seen == [(3, 2)]
    with engine.no_grad():
        assert not any(part.requires_grad for part in x.unbind())
    with engine.inference_mode():
        assert all(part.is_inference() for part in x.unbind())


# Names that mean two things


def test_split_is_pytorchs_and_np_split_is_numpys():
    x = engine.tensor(X)
    assert [p.shape for p in x.split(3, dim=1)] == [(3, 3), (3, 1)]
    assert [p.shape for p in engine.split(x, 3, 1)] == [(3, 3), (3, 1)]
    assert [p.shape for p in np.split(x, [3], 1)] == [(3, 3), (3, 1)]
    with pytest.raises(ShapeError, match="equal division"):
        np.split(x, 3, axis=1)
    assert [p.shape for p in np.array_split(x, 3, axis=1)] == [(3, 2), (3, 1), (3, 1)]


def test_repeat_is_pytorchs_as_a_method_and_numpys_as_a_function():
    x = engine.tensor([1, 2])
    assert x.repeat(2).tolist() == x.tile(2).tolist() == [1, 2, 1, 2]
    assert x.repeat((2, 1)).tolist() == [[1, 2], [1, 2]]
    assert engine.repeat(x, 2).tolist() == np.repeat(x, 2).tolist() == [1, 1, 2, 2]
    assert x.repeat_interleave(2, dim=0).tolist() == [1, 1, 2, 2]
    with pytest.raises(ShapeError, match="can not be smaller"):
        engine.tensor(X).repeat(2)


def test_nonzero_is_pytorchs_and_np_nonzero_is_numpys():
    x = engine.tensor([[0, 1], [2, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert [i.tolist() for i in np.nonzero(x)] == [[0, 1], [1, 0]]
    assert [i.tolist() for i in np.where(x > 0)] == [[0, 1], [1, 0]]
    assert [i.tolist() for i in engine.where(x > 0)] == [[0, 1], [1, 0]]
    assert x[np.nonzero(x)].tolist() == [1, 2]


def test_select_is_pytorchs_and_np_select_is_numpys():
    x = engine.tensor(X)
    assert engine.select(x, 1, 2).tolist() == X[:, 2].tolist()
    assert np.select([x > 1], [x], 7.0).tolist() == np.select([X > 1], [X], 7.0).tolist()


def test_transpose_is_pytorchs_and_np_transpose_is_numpys():
    x = engine.zeros(2, 3, 4)
    assert x.transpose(0, 1).shape == (3, 2, 4)
    assert np.transpose(x, (2, 0, 1)).shape == (4, 2, 3)


def test_meshgrid_is_in_numpys_order_unless_asked():
    a, b = engine.zeros(2), engine.zeros(3)
    assert engine.meshgrid(a, b)[0].shape == (3, 2)
    assert engine.meshgrid(a, b, indexing="ij")[0].shape == (2, 3)


def test_the_axis_of_an_index_comes_where_numpy_puts_it():
    x, index = leaf(np.ones((2, 3, 4))), np.array([0, 0])
    assert x[0, :, index].shape == (2, 3)  # PyTorch: (3, 2)
    assert gradient(lambda x: x[0, :, index], x)[0] == [[2.0, 0.0, 0.0, 0.0]] * 3


# Indices


def test_an_index_that_occurs_twice_counts_twice():
    for read in (
        lambda x: x[[1, 1]],
        lambda x: x.take([1, 1], axis=0),
        lambda x: x.index_select(0, engine.tensor([1, 1])),
        lambda x: x.gather(0, engine.tensor([[1] * 4] * 2)),
        lambda x: np.take_along_axis(x, np.array([[1] * 4] * 2), 0),
        lambda x: engine.nn.functional.embedding(engine.tensor([1, 1]), x),
    ):
        assert gradient(read, leaf()) == [[0.0] * 4, [2.0] * 4, [0.0] * 4]


def test_of_two_writes_to_one_place_the_last_has_the_gradient():
    values = leaf(np.ones(3))
    x = engine.zeros(2).index_copy(0, engine.tensor([1, 0, 1]), values.to("float32"))
    assert gradient(lambda v: x, values) == [0.0, 1.0, 1.0]


def test_an_index_that_is_changed_afterwards_is_the_one_that_was_given():
    def changed(read):
        x, index = leaf(np.ones(3)), engine.tensor([0, 1, 2])
        out = read(x, index)
        index.zero_()
        (g,) = engine.grad(out.sum(), [x])
        return g.tolist()

    assert changed(lambda x, i: x[i]) == [1.0, 1.0, 1.0]
    assert changed(lambda x, i: x.gather(0, i)) == [1.0, 1.0, 1.0]
    assert changed(lambda x, i: engine.zeros(3).scatter_add(0, i, x)) == [1.0, 1.0, 1.0]
    assert changed(lambda x, i: engine.zeros(3).index_copy(0, i, x)) == [1.0, 1.0, 1.0]
    with pytest.raises(SavedValueChangedError):
        changed(lambda x, i: x.take(i))


def test_nothing_flows_to_rows_of_padding():
    weight = leaf()
    embed = engine.nn.functional.embedding
    for padding in (1, -2):
        out = embed(engine.tensor([[1, 2], [1, 0]]), weight, padding)
        assert out.tolist() == X[[[1, 2], [1, 0]]].tolist()
        (g,) = engine.grad((out * out).sum(), [weight], create_graph=True)
        expected = 2 * X * np.array([[1.0], [0.0], [1.0]])
        assert g.tolist() == expected.tolist()
        (second,) = engine.grad(g.sum(), [weight])
        assert second.tolist() == [[2.0] * 4, [0.0] * 4, [2.0] * 4]


def test_interpolation_at_a_knot_and_outside():
    x, xp = leaf(np.array([0.0, 1.0, 2.0, -1.0, 3.0])), [0.0, 1.0, 2.0]
    slopes = gradient(lambda x: np.interp(x, xp, [0.0, 1.0, 5.0]), x)
    assert slopes == [1.0, 4.0, 4.0, 0.0, 0.0]
    one = np.interp(engine.tensor([0.5, 1.0, 2.0]), [1.0], [7.0], left=0.0)
    assert one.tolist() == [0.0, 7.0, 7.0]


# Refusals

ROWS, MANY = np.zeros((3, 4), int), np.zeros((2, 4096), int)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: x.unflatten(1, (3, 2)), ShapeError),
        (lambda x: x.select(0, 3), IndexRangeError),
        (lambda x: x.gather(1, engine.tensor([[9]])), IndexRangeError),
        (lambda x: x.gather(1, engine.tensor([0])), ShapeError),
        *[
            (call, IndexRangeError)
            for axis in (2, 5, -3)
            for call in (
                lambda x, axis=axis: x.gather(axis, ROWS),
                lambda x, axis=axis: engine.zeros(2, 4096).gather(axis, MANY),
                lambda x, axis=axis: x.scatter_add(axis, ROWS, x),
                lambda x, axis=axis: engine.zeros(2, 4096).scatter_add(axis, MANY, x[0, 0]),
                lambda x, axis=axis: x.select(axis, 0),
                lambda x, axis=axis: x.narrow(axis, 0, 1),
                lambda x, axis=axis: x.index_add(axis, ROWS[0], x),
                lambda x, axis=axis: x.index_fill(axis, ROWS[0], 1.0),
                lambda x, axis=axis: np.pad(x, {axis: 1}),
                lambda x, axis=axis: np.trim_zeros(x, axis=axis),
            )
        ],
        (lambda x: x.take([0.5], axis=0), OperandError),
        (lambda x: x.take([0], axis=1, sparse=True), ShapeError),
        (lambda x: x.split((1, 1)), ShapeError),
        (lambda x: x.split(0), ShapeError),
        (lambda x: x.chunk(0), ShapeError),
        (lambda x: x.tensor_split(0), ShapeError),
        (lambda x: x[0, 0].unbind(), EngineError),
        (lambda x: x[0].vsplit(2), ShapeError),
        (lambda x: x.dsplit(2), ShapeError),
        (lambda x: x.as_strided((2, 2), (9, 9)), IndexRangeError),
        (lambda x: np.pad(x, 1, mode="maximum"), NotSupportedError),
        (lambda x: np.pad(x, -1), ShapeError),
        (lambda x: np.concatenate([x, x[0]]), ShapeError),
        (lambda x: engine.block([[x], x]), ShapeError),
        (lambda x: engine.nn.functional.embedding(engine.tensor([-1]), x), IndexRangeError),
        (lambda x: engine.nn.functional.embedding(engine.tensor([3]), x), IndexRangeError),
        (lambda x: engine.nn.functional.embedding(x, x), EngineError),
        (lambda x: x.moveaxis((0, 1), 0), ShapeError),
        (lambda x: x.rot90(1, (0, 0)), ShapeError),
        (lambda x: np.interp(x, [0.0, 1.0], [0.0]), ShapeError),
    ],
)
def test_what_makes_no_sense_is_refused(call, error):
    with pytest.raises(error):
        call(leaf())
