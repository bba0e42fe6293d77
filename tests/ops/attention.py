"""Cases of `engine.ops.attention`."""

import numpy as np

from tests.ops.case import Case, call
from tests.ops.softmax import softmax

DROPPED = np.array([[0.0, 1.25, 1.25, 1.25], [1.25, 1.25, 0.0, 1.25], [1.25, 0.0, 1.25, 1.25]])


def _attention(query, key, value, mask, scale, dropped=None):
    scores = query @ np.swapaxes(key, -1, -2) * scale
    weights = softmax(scores if mask is None else scores + mask)
    return (weights if dropped is None else weights * dropped) @ value


def _torch_attention(torch, query, key, value, mask, scale, dropped=None):
    scores = query @ key.transpose(-1, -2) * scale
    weights = torch.softmax(scores if mask is None else scores + mask, -1)
    return (weights if dropped is None else weights * torch.tensor(dropped)) @ value


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _linear(x, weight, bias):
    return x @ weight.T if bias is None else x @ weight.T + bias


def _lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    gates = _linear(x, weight_ih, bias_ih) + _linear(h, weight_hh, bias_hh)
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _torch_lstm_cell(torch, x, h, c, *parameters):
    return torch.lstm_cell(x, (h, c), *parameters)


def _gru_cell(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    r, z, n = np.split(_linear(x, weight_ih, bias_ih), 3, axis=-1)
    hr, hz, hn = np.split(_linear(h, weight_hh, bias_hh), 3, axis=-1)
    z = _sigmoid(z + hz)
    return (1 - z) * np.tanh(n + _sigmoid(r + hr) * hn) + z * h


def _bilinear(a, b, weight, bias):
    out = np.einsum("...i,oij,...j->...o", a, weight, b)
    return out if bias is None else out + bias


ATTENTION = (
    Case(
        "nn.scaled_dot_product_attention",
        (
            call((3, 2), (4, 2), (4, 3), None, scale=0.7),
            call((2, 3, 2), (2, 4, 2), (2, 4, 2), (3, 4), scale=0.5),
            call((1, 3, 2), (2, 4, 2), (4, 1), (2, 1, 4), scale=1.0, dropped=DROPPED),
            call((0, 3, 2), (0, 4, 2), (0, 4, 2), None, scale=1.0),
        ),
        _attention,
        _torch_attention,
    ),
    Case(
        "nn.lstm_cell",
        (
            call((2, 3), (2, 2), (2, 2), (8, 3), (8, 2), (8,), (8,)),
            call((3,), (1,), (1,), (4, 3), (4, 1), None, None, peer=False),
        ),
        _lstm_cell,
        _torch_lstm_cell,
        after=lambda result: result[0] * 2 + result[1],
    ),
    Case(
        "nn.gru_cell",
        (
            call((2, 3), (2, 2), (6, 3), (6, 2), (6,), (6,)),
            call((3,), (1,), (3, 3), (3, 1), None, None, peer=False),
        ),
        _gru_cell,
        lambda torch, *args: torch.gru_cell(*args),
    ),
    Case(
        "nn.bilinear",
        (
            call((3, 2), (3, 4), (2, 2, 4), (2,)),
            call((2, 1, 2), (2, 1, 3), (1, 2, 3), None),
        ),
        _bilinear,
        lambda torch, *args: torch.nn.functional.bilinear(*args),
    ),
)
