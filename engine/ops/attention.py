"""Attention, and one step of recurrent networks."""

from __future__ import annotations

import math

import numpy as np

from ..values import Value
from .op import OPS, composed, op


def _t(x: Value) -> Value:
    return np.swapaxes(x, -1, -2)


def _weights(query: Value, key: Value, mask: Value, scale: float) -> Value:
    """softmax(query key' scale + mask); a row that is masked altogether gets zeros."""
    scores = np.matmul(query * scale, _t(key))
    if mask is not None:
        scores = scores + mask
    return OPS["softmax"](scores, -1)


def _weights_in_place(query: Value, key: Value, mask: Value, scale: float) -> Value:
    """The same on ndarrays, in the memory of the scores."""
    scores = np.matmul(query * scale, _t(key))
    if mask is not None:
        scores = np.add(scores, mask, out=scores if _holds(scores, mask) else None)
    top = np.maximum.reduce(scores, axis=-1, keepdims=True, initial=-np.inf)
    np.copyto(top, 0, where=np.isneginf(top))
    scores -= top
    np.exp(scores, out=scores)
    total = np.add.reduce(scores, axis=-1, keepdims=True)
    np.copyto(total, 1, where=total == 0)
    scores /= total
    return scores


def _holds(scores: Value, mask: Value) -> bool:
    shape = np.broadcast_shapes(scores.shape, mask.shape)
    return bool(shape == scores.shape and np.result_type(scores, mask) == scores.dtype)


def _attention(
    query: Value,
    key: Value,
    value: Value,
    mask: Value,
    scale: float,
    dropped: Value = None,
) -> tuple[Value, Value]:
    """``mask`` is added to the scores; ``dropped`` multiplies the weights."""
    weights = _weights_in_place(query, key, mask, scale)
    return np.matmul(weights if dropped is None else weights * dropped, value), weights


def _attention_pull(
    g: Value,
    query: Value,
    key: Value,
    value: Value,
    mask: Value,
    weights: Value,
    scale: float,
    dropped: Value,
    needed: tuple[bool, ...],
) -> tuple[Value, ...]:
    if not isinstance(g, np.ndarray):
        weights = _weights(query, key, mask, scale)
    of_query = of_key = of_value = of_scores = None
    if needed[0] or needed[1] or needed[3]:
        of_weights = np.matmul(g, _t(value))
        if dropped is not None:
            of_weights = of_weights * dropped
        pulled = of_weights * weights
        of_scores = pulled - weights * np.sum(pulled, axis=-1, keepdims=True)
        if needed[0]:
            of_query = np.matmul(of_scores, key) * scale
        if needed[1]:
            of_key = np.matmul(_t(of_scores), query * scale)
    if needed[2]:
        of_value = np.matmul(_t(weights if dropped is None else weights * dropped), g)
    return of_query, of_key, of_value, of_scores


def _cost(g: Value, *saved: Value) -> int:
    sizes = [max(value.shape) for value in saved if getattr(value, "shape", ())]
    return int(math.prod(g.shape) * max(sizes, default=1))


op(
    "nn.scaled_dot_product_attention",
    _attention,
    "query key value mask",
    residuals={"weights": None},
    together=_attention_pull,
    cost=_cost,
)

# -- recurrent cells -------------------------------------------------------------------------------


def _gates(x: Value, h: Value, *parameters: Value) -> tuple[Value, Value]:
    """What the input and the state say, each to all gates."""
    weight_ih, weight_hh, bias_ih, bias_hh = parameters
    linear = OPS["linear"]
    return linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)


def _part(x: Value, index: int, size: int) -> Value:
    return x[..., index * size : (index + 1) * size]


def _lstm_cell(
    x: Value,
    h: Value,
    c: Value,
    weight_ih: Value,
    weight_hh: Value,
    bias_ih: Value,
    bias_hh: Value,
) -> tuple[Value, Value]:
    """The next h and c. Hochreiter and Schmidhuber (1997), with a gate that forgets."""
    one, two = _gates(x, h, weight_ih, weight_hh, bias_ih, bias_hh)
    gates, size, sigmoid = one + two, h.shape[-1], OPS["sigmoid"]
    both = sigmoid(gates[..., : 2 * size])
    keep = _part(both, 1, size) * c
    c = keep + _part(both, 0, size) * np.tanh(_part(gates, 2, size))
    return sigmoid(_part(gates, 3, size)) * np.tanh(c), c


def _gru_cell(
    x: Value, h: Value, weight_ih: Value, weight_hh: Value, bias_ih: Value, bias_hh: Value
) -> Value:
    """The next h. Cho and others (2014); the state is reset after its product, as in PyTorch."""
    one, two = _gates(x, h, weight_ih, weight_hh, bias_ih, bias_hh)
    size = h.shape[-1]
    both = OPS["sigmoid"](one[..., : 2 * size] + two[..., : 2 * size])
    new = np.tanh(_part(one, 2, size) + _part(both, 0, size) * _part(two, 2, size))
    return new + _part(both, 1, size) * (h - new)


def _bilinear(input1: Value, input2: Value, weight: Value, bias: Value) -> Value:
    """``input1 @ weight[k] @ input2`` for each of the weight's (out, in1, in2) matrices."""
    out, first, second = weight.shape
    turned = np.transpose(weight, (1, 0, 2)).reshape((first, out * second))
    half = np.matmul(input1, turned).reshape((*input1.shape[:-1], out, second))
    made = np.sum(half * np.expand_dims(input2, -2), axis=-1)
    return made if bias is None else made + bias


_CELL = "weight_ih weight_hh bias_ih bias_hh"
composed("nn.lstm_cell", _lstm_cell, f"x h c {_CELL}", torch=None)
composed("nn.gru_cell", _gru_cell, f"x h {_CELL}", torch=None)
composed("nn.bilinear", _bilinear, "input1 input2 weight bias")
