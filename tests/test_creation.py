"""Tensors are made with PyTorch's signatures, dtypes and defaults, and with NumPy's arrays."""

import threading

import numpy as np
import pytest

import engine


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


def dtype_of(tensor):
    return str(tensor.dtype).removeprefix("torch.")


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, "int64"),
        (1.0, "float32"),
        (True, "bool"),
        ([1, 2.5], "float32"),
        ([], "float32"),
        ([[1, 2], [3, 4]], "int64"),
        ((1, 2), "int64"),
        (range(3), "int64"),
        ([True, 1], "int64"),
        (np.float64(1), "float64"),
        (np.float32(1), "float32"),
        (np.ones(2, "f2"), "float16"),
        (np.ones(2), "float64"),
        (np.ones(2, "i4"), "int32"),
    ],
)
def test_tensor_chooses_the_dtype(lib, data, dtype):
    made = lib.tensor(data)
    assert dtype_of(made) == dtype
    np.testing.assert_array_equal(made.tolist(), data)


@pytest.mark.parametrize("data", [[np.ones(2)], [np.float64(1)]])
def test_numpy_keeps_its_dtype_inside_of_lists(data):
    assert dtype_of(engine.tensor(data)) == "float64"


@pytest.mark.parametrize("data", ["a", None, [None], {}, np.array(["a"]), np.array([1], "O")])
def test_tensor_refuses_what_is_no_number(lib, data):
    with pytest.raises((RuntimeError, TypeError)):
        lib.tensor(data)


def test_ragged_lists_are_a_value_error():
    with pytest.raises(ValueError, match="inhomogeneous"):
        engine.tensor([[1], [2, 3]])


def test_tensor_copies_tensors_without_their_history():
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    y = engine.tensor(x)
    assert not y.requires_grad
    assert not np.shares_memory(y.numpy(), x.detach().numpy())


@pytest.mark.parametrize(
    ("make", "shape", "dtype"),
    [
        (lambda lib: lib.zeros(2, 3), (2, 3), "float32"),
        (lambda lib: lib.zeros((2, 3)), (2, 3), "float32"),
        (lambda lib: lib.ones([2, 3]), (2, 3), "float32"),
        (lambda lib: lib.ones(()), (), "float32"),
        (lambda lib: lib.zeros(0), (0,), "float32"),
        (lambda lib: lib.full((2,), 1), (2,), "int64"),
        (lambda lib: lib.full((2,), 1.5), (2,), "float32"),
        (lambda lib: lib.full((), True), (), "bool"),
        (lambda lib: lib.arange(3), (3,), "int64"),
        (lambda lib: lib.arange(1, 4, 2), (2,), "int64"),
        (lambda lib: lib.arange(0, 1, 0.25), (4,), "float32"),
        (lambda lib: lib.zeros_like(lib.tensor([1, 2])), (2,), "int64"),
        (lambda lib: lib.eye(2), (2, 2), "float32"),
        (lambda lib: lib.eye(2, 3), (2, 3), "float32"),
        (lambda lib: lib.ones_like(lib.ones(2, 1)), (2, 1), "float32"),
        (lambda lib: lib.full_like(lib.tensor([1]), 7), (1,), "int64"),
        (lambda lib: lib.rand(2, 3), (2, 3), "float32"),
        (lambda lib: lib.randn(()), (), "float32"),
        (lambda lib: lib.rand_like(lib.ones(2)), (2,), "float32"),
        (lambda lib: lib.randn_like(lib.ones(0, 2)), (0, 2), "float32"),
    ],
)
def test_shapes_and_dtypes(lib, make, shape, dtype):
    made = make(lib)
    assert tuple(made.shape) == shape
    assert dtype_of(made) == dtype
    assert not made.requires_grad


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: engine.tensor([1.0], **o),
        lambda **o: engine.zeros(1, **o),
        lambda **o: engine.ones(1, **o),
        lambda **o: engine.full((1,), 1.0, **o),
        lambda **o: engine.arange(1.0, **o),
        lambda **o: engine.rand(1, **o),
        lambda **o: engine.randn(1, **o),
        lambda **o: engine.zeros_like(engine.ones(1), **o),
        lambda **o: engine.eye(2, **o),
        lambda **o: engine.ones_like(engine.ones(1), **o),
        lambda **o: engine.full_like(engine.ones(1), 3, **o),
        lambda **o: engine.rand_like(engine.ones(1), **o),
        lambda **o: engine.randn_like(engine.ones(1), **o),
    ],
)
def test_all_take_a_dtype_and_requires_grad(make):
    made = make(dtype="float64", requires_grad=True)
    assert (dtype_of(made), made.requires_grad, made.is_leaf) == ("float64", True, True)
    with pytest.raises(engine.errors.DTypeError):
        make(dtype="int64", requires_grad=True)


def test_from_numpy_shares_memory(lib):
    array = np.zeros(3)
    made = lib.from_numpy(array)
    made.add_(1)
    assert array.tolist() == [1, 1, 1]
    with pytest.raises(TypeError):
        lib.from_numpy([1.0])
    with pytest.raises(TypeError):
        lib.from_numpy(np.array(["a"]))


def test_random_numbers_follow_the_seed(lib):
    def draw():
        lib.manual_seed(3)
        return [*lib.rand(3).tolist(), *lib.randn(3).tolist()]

    first = draw()
    assert draw() == first
    assert lib.rand(3).tolist() != first[:3]
    assert len(set(first)) == 6


def test_random_numbers_are_distributed_as_they_say():
    uniform, normal = engine.rand(20_000).numpy(), engine.randn(20_000).numpy()
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03


def test_random_numbers_are_drawn_in_their_dtype():
    drawn = engine.rand(1000, dtype="float64").numpy()
    assert (drawn != drawn.astype("f4")).any()
    with pytest.raises(engine.errors.DTypeError):
        engine.rand(2, dtype="int64")


def test_threads_that_draw_at_once_share_one_stream_and_lose_nothing():
    engine.manual_seed(5)
    expected = sorted(engine.rand(1).item() for _ in range(4 * 200))
    engine.manual_seed(5)
    drawn: list[float] = []
    start = threading.Barrier(4)

    def work():
        start.wait()
        drawn.extend(engine.rand(1).item() for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == expected
