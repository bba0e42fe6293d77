"""Tensors print as PyTorch's do, character by character."""

import numpy as np
import pytest

import engine


def shown(values, **options):
    return repr(engine.tensor(values, **options))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (lambda: engine.tensor(12.0), "tensor(12.)"),
        (lambda: engine.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
        (lambda: engine.tensor([1.0, -2.0]), "tensor([ 1., -2.])"),
        (lambda: engine.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
        (lambda: engine.tensor([np.inf, np.nan, 1.0]), "tensor([inf, nan, 1.])"),
        (lambda: engine.tensor([1, -20]), "tensor([  1, -20])"),
        (lambda: engine.tensor([True, False]), "tensor([ True, False])"),
        (lambda: engine.tensor([]), "tensor([])"),
        (lambda: engine.zeros(0, 3), "tensor([], size=(0, 3))"),
        (lambda: engine.tensor([1.0], dtype="float64"), "tensor([1.], dtype=float64)"),
        (lambda: engine.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (
            lambda: engine.tensor([1.0], requires_grad=True) * 2,
            "tensor([2.], grad_fn=<MulBackward0>)",
        ),
        (lambda: engine.tensor([[1.0], [2.0]]), "tensor([[1.],\n        [2.]])"),
        (lambda: engine.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    ],
)
def test_repr(tensor, text):
    assert repr(tensor()) == text
    assert str(tensor()) == text


def test_formatting_takes_the_number():
    assert f"{engine.tensor(3.14159):.2f}" == "3.14"
    assert f"{engine.tensor([1.0])}" == "tensor([1.])"


SHAPES = [
    (),
    (1,),
    (3,),
    (30,),
    (0,),
    (0, 3),
    (2, 0, 2),
    (2, 3),
    (2, 2, 2),
    (1, 1),
    (5, 1),
    (3, 40),
]
SHAPES += [(1001,), (1000,), (40, 40), (11, 11, 11), (2000, 1), (1, 2000), (8, 7, 30)]
KINDS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "whole": lambda rng, shape: rng.integers(-5, 9, shape).astype("f4"),
    "wide": lambda rng, shape: rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 6, shape),
    "large": lambda rng, shape: rng.standard_normal(shape) * 1e9,
    "small": lambda rng, shape: rng.standard_normal(shape) * 1e-6,
    "near": lambda rng, shape: 1000 + rng.random(shape),
    "infinite": lambda rng, shape: np.where(rng.random(shape) < 0.3, np.inf, rng.random(shape) + 1),
    "not numbers": lambda rng, shape: np.where(rng.random(shape) < 0.3, np.nan, 3.0),
    "large and whole": lambda rng, shape: rng.integers(-(10**6), 10**6, shape).astype("f4"),
    "huge and whole": lambda rng, shape: rng.integers(1, 5, shape) * 1e9,
    "integers": lambda rng, shape: rng.integers(-500, 500, shape),
    "truths": lambda rng, shape: rng.random(shape) < 0.5,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_pytorch(kind, shape):
    torch = pytest.importorskip("torch")
    array = np.asarray(KINDS[kind](np.random.default_rng(0), shape))
    if array.dtype.kind == "f":
        array = array.astype("f4")
    assert shown(array) == repr(torch.tensor(array)).replace("torch.", "")


@pytest.mark.parametrize("kind", ["float64", "float16", "int32", "uint8"])
def test_other_dtypes_say_so(kind):
    torch = pytest.importorskip("torch")
    array = np.arange(6).reshape(2, 3).astype(kind)
    assert shown(array) == repr(torch.tensor(array)).replace("torch.", "")


def test_a_long_history_goes_to_a_line_of_its_own():
    torch = pytest.importorskip("torch")
    for count in range(8, 20):
        ours = engine.tensor(np.full(count, 0.5), dtype="float32", requires_grad=True).exp()
        theirs = torch.full((count,), 0.5, requires_grad=True).exp()
        assert repr(ours) == repr(theirs)
