"""Tensors among NumPy, DLPack and PyTorch: nothing is silently dropped, memory is shared safely."""

import numpy as np
import pytest

import engine

SIZE = 10_000


def leaf(values):
    return engine.tensor(values, requires_grad=True)


def test_numpy_functions_of_a_tensor_are_recorded():
    x = leaf(np.linspace(0.1, 2, 5))
    total = np.sum(np.exp(x) * np.float64(2)) + np.ones(5) @ x
    assert isinstance(total, engine.Tensor)
    (grad,) = engine.grad(total, x)
    np.testing.assert_allclose(grad.numpy(), 2 * np.exp(np.linspace(0.1, 2, 5)) + 1)


def test_what_numpy_cannot_record_raises():
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match="not supported"):
        np.unwrap(x)
    with pytest.raises(TypeError, match="not supported"):
        np.add.accumulate(x)
    with pytest.raises(NotImplementedError, match="out="):
        np.add(np.ones(2), x, out=np.ones(2))
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(x)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()


def test_questions_about_the_shape_are_answered():
    x = leaf(np.zeros((2, 3)))
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((2, 3), 2, 6, 3)


def test_from_numpy_and_detach_share_memory():
    array = np.zeros(SIZE)
    t = engine.from_numpy(array)
    t.add_(1)
    assert array.sum() == SIZE
    assert np.shares_memory(t.detach().numpy(), array)


def test_dlpack_shares_what_can_be_shared():
    array = np.arange(3.0)
    back = np.from_dlpack(engine.from_numpy(array))
    assert np.shares_memory(back, array)
    assert engine.from_dlpack(array).tolist() == [0, 1, 2]


@pytest.mark.parametrize("make", [lambda a: a[::-1], lambda a: np.broadcast_to(a, (2, 3))])
def test_dlpack_copies_what_importers_do_not_survive(make):
    array = make(np.arange(3.0))
    out = np.from_dlpack(engine.from_numpy(array))
    np.testing.assert_array_equal(out, array)
    assert not np.shares_memory(out, array)
    assert all(stride >= 0 for stride in out.strides)


def test_dlpack_refuses_what_has_a_gradient():
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(leaf([1.0]))


def test_the_namespace_is_the_engine():
    assert leaf([1.0]).__array_namespace__() is engine


def test_torch_tensors_in_and_out():
    torch = pytest.importorskip("torch")
    t = engine.tensor([1.0, 2.0])
    shared = torch.from_dlpack(t)
    shared[0] = 9
    assert t.tolist() == [9, 2]
    assert engine.from_dlpack(torch.ones(2)).tolist() == [1, 1]
    copied = engine.tensor(torch.arange(3.0, dtype=torch.float64))
    assert copied.dtype == np.float64
    assert torch.from_numpy(leaf([3.0]).detach().numpy()).item() == 3


def test_a_node_keeps_notes_and_a_tensor_counts_its_writes():
    x = leaf([1.0])
    y = x * 2
    y.grad_fn.metadata["note"] = 1
    assert y.grad_fn.metadata == {"note": 1}
    assert (x * 3).grad_fn.metadata == {}
    before = x._version
    with engine.no_grad():
        x.add_(1)
    assert x._version == before + 1
    with pytest.raises(RuntimeError, match="views"):
        (x * 1)[:1].detach_()
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad
