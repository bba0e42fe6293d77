"""Initialisation: the moments and bounds that it promises, and PyTorch's defaults of the layers."""

import math

import numpy as np
import pytest

import engine
from engine import nn
from engine.errors import ArgumentError, ShapeError

SHAPE = (200, 100)


def drawn(fill, *args, **options):
    engine.manual_seed(3)
    return fill(engine.zeros(*SHAPE), *args, **options).numpy().astype("f8")


@pytest.mark.parametrize(
    ("fill", "options", "std"),
    [
        (nn.init.uniform_, {"a": -1, "b": 3}, 4 / math.sqrt(12)),
        (nn.init.normal_, {"mean": 1.0, "std": 0.5}, 0.5),
        (nn.init.xavier_uniform_, {"gain": 2.0}, 2 * math.sqrt(2 / 300)),
        (nn.init.xavier_normal_, {}, math.sqrt(2 / 300)),
        (nn.init.kaiming_uniform_, {"nonlinearity": "relu"}, math.sqrt(2 / 100)),
        (nn.init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}, 5 / 3 / 200**0.5),
        (nn.init.kaiming_uniform_, {"a": math.sqrt(5)}, math.sqrt(2 / 6 / 100)),
    ],
)
def test_the_spread_is_what_it_should_be(fill, options, std):
    assert drawn(fill, **options).std() == pytest.approx(std, rel=0.02)


def test_uniform_keeps_its_bounds_and_normal_its_mean():
    values = drawn(nn.init.uniform_, -1, 3)
    assert values.min() >= -1
    assert values.max() < 3
    assert values.mean() == pytest.approx(1, abs=0.03)
    assert drawn(nn.init.normal_, 5.0, 0.1).mean() == pytest.approx(5, abs=0.01)
    assert set(drawn(nn.init.constant_, 7).ravel()) == {7}


def test_nothing_is_recorded_and_the_tensor_is_returned():
    w = engine.zeros(3, 4, requires_grad=True)
    assert nn.init.xavier_uniform_(w) is w
    assert w.is_leaf
    assert w.requires_grad


def test_the_same_seed_gives_the_same_parameters():
    def weights():
        engine.manual_seed(7)
        return [p.detach().numpy().tobytes() for p in nn.Linear(30, 20).parameters()]

    assert weights() == weights()


def test_layers_start_where_pytorch_starts_them():
    torch = pytest.importorskip("torch")
    engine.manual_seed(0)
    torch.manual_seed(0)
    pairs = [
        (nn.Linear(300, 200), torch.nn.Linear(300, 200)),
        (nn.Conv2d(32, 64, 3), torch.nn.Conv2d(32, 64, 3)),
        (nn.Conv1d(32, 64, 5, groups=2), torch.nn.Conv1d(32, 64, 5, groups=2)),
        (nn.Embedding(300, 64), torch.nn.Embedding(300, 64)),
        (nn.LSTMCell(64, 128), torch.nn.LSTMCell(64, 128)),
        (nn.GRUCell(64, 128), torch.nn.GRUCell(64, 128)),
        (nn.MultiheadAttention(128, 4), torch.nn.MultiheadAttention(128, 4)),
        (nn.LayerNorm(8), torch.nn.LayerNorm(8)),
        (nn.BatchNorm2d(8), torch.nn.BatchNorm2d(8)),
    ]
    for ours, theirs in pairs:
        mine = {n: p.numpy() for n, p in ours.state_dict().items()}
        yours = {n: p.numpy() for n, p in theirs.state_dict().items()}
        assert sorted(mine) == sorted(yours)
        for name, array in mine.items():
            assert array.shape == yours[name].shape, name
            if array.size < 1_000:
                assert abs(array).max() <= abs(yours[name]).max() * 1.3 + 1e-9, name
            else:
                assert array.std() == pytest.approx(yours[name].std(), rel=0.05), name
                assert abs(array).max() == pytest.approx(abs(yours[name]).max(), rel=0.3), name


def test_misuse_is_named():
    with pytest.raises(ShapeError, match="has no fan"):
        nn.init.xavier_uniform_(engine.zeros(3))
    with pytest.raises(ArgumentError, match="unknown nonlinearity"):
        nn.init.kaiming_uniform_(engine.zeros(3, 3), nonlinearity="sine")
    with pytest.raises(ArgumentError, match="mode must be"):
        nn.init.kaiming_uniform_(engine.zeros(3, 3), mode="fan")


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in ("linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert np.isclose(nn.init.calculate_gain("leaky_relu", 0.2), math.sqrt(2 / 1.04))
