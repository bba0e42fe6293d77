"""`functional.pad`, PyTorch's way, and what it refuses."""

import numpy as np
import pytest

import engine
from engine.errors import ArgumentError
from engine.nn import functional as F

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("widths", "options"),
    [
        ((1, 2), {}),
        ((0, 1, 2, 0), {"value": 1.5}),
        ((1, 1, 0, 0, 2, 1), {}),
        ((-1, 2, 1, -2), {}),
        ((1, 2), {"mode": "reflect"}),
        ((2, 1), {"mode": "replicate"}),
        ((3, 1), {"mode": "circular"}),
        ((), {}),
    ],
)
def test_padding_and_its_gradient_are_pytorchs(widths, options):
    torch = pytest.importorskip("torch")
    mine = engine.tensor(X, requires_grad=True)
    yours = torch.tensor(X, requires_grad=True)
    got = F.pad(mine, widths, **options)
    want = torch.nn.functional.pad(yours, widths, **options)
    np.testing.assert_array_equal(got.detach().numpy(), want.detach().numpy())
    (got * got).sum().backward()
    (want * want).sum().backward()
    np.testing.assert_allclose(mine.grad.numpy(), yours.grad.numpy())


def test_padding_by_hand():
    np.testing.assert_array_equal(F.pad([[1, 2]], (0, 1, 1, 0)).numpy(), [[0, 0, 0], [1, 2, 0]])


def test_misuse_is_named():
    with pytest.raises(ArgumentError, match="mode must be one of"):
        F.pad(engine.ones(3), (1, 1), mode="edge")
    with pytest.raises(ArgumentError, match="at most 1 axes, got 3 widths"):
        F.pad(engine.ones(3), (1, 1, 1))
    with pytest.raises(ArgumentError, match="cut off more than the 3"):
        F.pad(engine.ones(3), (-2, -2))
