"""Padding as NumPy has it, and as PyTorch has it."""

import numpy as np
import pytest

import engine
from engine.errors import EngineError
from tests.ops.test_conventions_shape import leaf

# NumPy's way

CONSTANTS = [
    *[(np.arange(2, dtype="u1"), value) for value in (-1, 300, 7, 0, (1, 2))],
    *[(np.arange(2, dtype="i4"), value) for value in (1.5, True)],
    *[(np.arange(2.0), value) for value in (1j, 2, np.float32(0.1), [3.0], ((4, 5),))],
    *[(np.array(3.0), value) for value in (1, (1, 2), 1j)],
]


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize(("x", "value"), CONSTANTS)
def test_a_constant_of_padding_is_cast_as_numpy_casts_it(x, value):
    found = engine.pad(engine.from_numpy(x), 1, constant_values=value).numpy()
    expected = np.pad(x, 1, constant_values=value)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# PyTorch's way

PADS = [
    ((1, 2), {}),
    ((1, 2, 0, 1), {"value": 1.5}),
    ((-1, 2), {}),
    ((1, -2, -1, 1), {}),
    ((), {}),
    ((1, 2, 2, 1), {"mode": "reflect"}),
    ((1, 2, 2, 1), {"mode": "replicate"}),
    ((1, 2, 2, 1), {"mode": "circular"}),
]


@pytest.mark.parametrize(("widths", "keywords"), PADS)
def test_functional_pad_is_pytorchs(widths, keywords):
    torch = pytest.importorskip("torch")
    values = np.arange(24.0).reshape(1, 2, 3, 4)[:, :, :, : 4 if len(widths) > 2 else 3]
    values = values if len(widths) > 2 else values[0]
    ours, theirs = leaf(values), torch.tensor(values, requires_grad=True)
    out = engine.nn.functional.pad(ours, widths, **keywords)
    expected = torch.nn.functional.pad(theirs, widths, **keywords)
    assert out.tolist() == expected.tolist()
    weights = np.arange(1.0, 1 + out.numel()).reshape(out.shape)
    (out * weights).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    assert ours.grad.tolist() == theirs.grad.tolist()


@pytest.mark.parametrize("widths", [(1,), (1, 1, 1, 1, 1, 1)])
def test_functional_pad_refuses_other_widths(widths):
    with pytest.raises(EngineError):
        engine.nn.functional.pad(leaf(), widths)
