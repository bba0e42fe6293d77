"""Activations. Slopes at kinks are PyTorch's: that of the flatter side."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from ..values import Value
from .along import into, scaled
from .choice import MANY, ZEROS, chosen, only
from .errorfunction import erf, half_erf
from .op import Op, composed, op
from .transcendental import sigmoid

_ZERO = ZEROS[np.dtype("f4")]


def _zero(x: Value) -> Value:
    zero = ZEROS.get(x.dtype)
    if zero is not None:
        return zero
    if x.dtype.kind == "c":
        raise TypeError("complex numbers have no order: take .real, .imag or .abs() first")
    return 0


def _above_zero(x: Value) -> Value:
    """max(x, 0). Of large arrays NumPy is four times as fast between two bounds as above one."""
    zero = _zero(x)
    if x.size < MANY or x.dtype.kind != "f":
        return np.maximum(x, zero)
    return x.clip(zero, np.inf)


def _below_zero(x: Value) -> Value:
    """min(x, 0), likewise; also of a Tensor."""
    if type(x) is not np.ndarray:
        return np.minimum(x, 0)
    zero = _zero(x)
    if x.size < MANY or x.dtype.kind != "f":
        return np.minimum(x, zero)
    return x.clip(-np.inf, zero)


# -- with a kink -----------------------------------------------------------------------------------


def _relu(x: Value) -> Value:
    return _above_zero(x)


def _leaky_relu(x: Value, negative_slope: float = 0.01) -> Value:
    _zero(x)
    if 0 <= negative_slope <= 1:
        return np.maximum(x, x * negative_slope)
    return _above_zero(x) + _below_zero(x) * negative_slope


def _leaky_relu_pull(g: Value, x: Value, negative_slope: float) -> Value:
    positive = np.greater(x, 0)
    if not 0 <= negative_slope <= 1:
        return chosen(positive, g, g * negative_slope)
    return scaled(into(positive.astype(g.dtype), np.maximum, negative_slope), g)


def _prelu(x: Value, weight: Value) -> Value:
    return _above_zero(x) + _below_zero(x) * weight


def _prelu_pull(g: Value, x: Value, weight: Value) -> Value:
    return chosen(np.greater(x, 0), g, g * weight)


def _prelu_weight(g: Value, x: Value) -> Value:
    return only(g * x, np.logical_not(np.greater(x, 0)))


def _prelu_by_channel(input: Value, weight: Value) -> Value:
    if weight.ndim and input.ndim > 1:
        weight = weight.reshape((-1, *[1] * (input.ndim - 2)))
    return leaky(input, weight)


def _hardtanh(x: Value, min_val: float = -1.0, max_val: float = 1.0) -> Value:
    _zero(x)
    return np.clip(x, min_val, max_val)


def _hardtanh_pull(g: Value, x: Value, min_val: float, max_val: float) -> Value:
    return only(g, np.logical_and(np.greater(x, min_val), np.less(x, max_val)))


def _hardshrink(input: Value, lambd: float = 0.5) -> Value:
    inside = np.logical_and(np.greater_equal(input, -lambd), np.less_equal(input, lambd))
    return np.where(inside, 0, input)


def _softshrink(input: Value, lambd: float = 0.5) -> Value:
    inside = np.less_equal(np.abs(input), lambd)
    return np.where(inside, 0, input - np.clip(input, -lambd, lambd))


def _hardswish(input: Value) -> Value:
    _zero(input)
    return input * (np.clip(input + 3, 0, 6) / 6)


def _hardswish_pull(g: Value, input: Value) -> Value:
    bent = only(g * (input * (1 / 3) + 0.5), np.logical_not(np.less_equal(input, -3)))
    return chosen(np.greater_equal(input, 3), g, bent)


# The answer is positive, zero or NaN, which passes the gradient on.
op("relu", _relu, "x", x=lambda g, ans: only(g, np.not_equal(ans, _ZERO)))
op("leaky_relu", _leaky_relu, "x", x=_leaky_relu_pull)
leaky: Op = op(
    "nn.leaky",
    _prelu,
    "x weight",
    x=_prelu_pull,
    weight=_prelu_weight,
)
hardtanh: Op = op("nn.hardtanh", _hardtanh, "x", x=_hardtanh_pull)
composed("prelu", _prelu_by_channel, "input weight")
composed("nn.relu6", lambda input: hardtanh(input, 0.0, 6.0), "input")
composed("nn.hardsigmoid", lambda input: hardtanh(input + 3, 0.0, 6.0) / 6, "input")
op("nn.hardswish", _hardswish, "input", input=_hardswish_pull)
composed("hardshrink", _hardshrink, "input")
composed("nn.softshrink", _softshrink, "input")
composed(
    "threshold",
    lambda input, threshold, value: np.where(np.less_equal(input, threshold), value, input),
    "input threshold value",
)

# -- smooth ----------------------------------------------------------------------------------------


def _softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """Above the threshold ``x`` itself, as PyTorch has it."""
    scaled = x if beta == 1 else x * beta
    soft = _log1p_exp(scaled)
    below = np.less_equal(scaled, threshold)
    if x.size < MANY or not below.all():
        soft *= below
    soft += _above_zero(scaled)
    return soft if beta == 1 else soft / beta


def _log1p_exp(x: Value) -> Value:
    """log(1 + exp(-abs(x)))"""
    return into(into(into(np.abs(x), np.negative), np.exp), np.log1p)


def _softplus_pull(g: Value, x: Value, beta: float, threshold: float) -> Value:
    steep = x if beta == 1 else x * beta
    slope, above = sigmoid(steep), np.greater(steep, threshold)
    if type(slope) is np.ndarray and not above.any():
        return scaled(slope, g)
    return chosen(above, g, g * slope)


def _logsigmoid(x: Value) -> Value:
    return _below_zero(x) - _log1p_exp(x)


def _silu(x: Value) -> tuple[Value, Value]:
    gate = sigmoid(x)
    return x * gate, gate


def _mish(x: Value) -> tuple[Value, Value]:
    gate = np.tanh(softplus(x))
    return x * gate, gate


softplus: Op = op("softplus", _softplus, "x", x=_softplus_pull)
op("nn.logsigmoid", _logsigmoid, "x", x=lambda g, x: g * sigmoid(-x))
op(
    "nn.silu",
    _silu,
    "x",
    residuals={"gate": sigmoid},
    x=lambda g, x, gate: g * (gate * (1 + x * (1 - gate))),
)
op(
    "nn.mish",
    _mish,
    "x",
    residuals={"gate": lambda x: np.tanh(softplus(x))},
    x=lambda g, x, gate: g * (gate + x * sigmoid(x) * (1 - gate * gate)),
)
composed("nn.softsign", lambda input: input / (1 + np.abs(input)), "input")
composed("nn.tanhshrink", lambda input: input - np.tanh(input), "input")


def _glu(input: Value, axis: int = -1) -> Value:
    """The first half along ``axis``, gated by the second."""
    size = input.shape[axis] if input.ndim else 0
    if not size or size % 2:
        raise ShapeError(f"glu halves axis {axis}, of size {size} in the shape {input.shape}")
    halves = [[slice(None)] * input.ndim for _ in range(2)]
    halves[0][axis], halves[1][axis] = slice(size // 2), slice(size // 2, None)
    a, b = (input[tuple(half)] for half in halves)
    return a * sigmoid(b)


composed("nn.glu", _glu, "input")

# -- exponential below 0 ---------------------------------------------------------------------------


def _elu(x: Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    below = np.expm1(_below_zero(_times(x, input_scale)))
    return _times(below, alpha * scale) + _times(_above_zero(x), scale)


def _times(x: Value, factor: float) -> Value:
    return x if factor == 1 else x * factor


def _elu_pull(g: Value, x: Value, alpha: float, scale: float, input_scale: float) -> Value:
    slope = np.exp(_below_zero(_times(x, input_scale)))
    if alpha * input_scale == 1:  # the same slope on both sides of 0
        return scaled(_times(slope, scale), g)
    slope = slope * (alpha * scale * input_scale)
    positive = np.greater(x, 0)
    return g * (slope * np.logical_not(positive) + positive * g.dtype.type(scale))


elu: Op = op("nn.elu", _elu, "x", x=_elu_pull)
# Of self-normalising networks (Klambauer et al., 2017): activations keep mean 0 and variance 1.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
composed("selu", lambda input: elu(input, SELU_ALPHA, SELU_SCALE), "input")
composed("celu", lambda input, alpha=1.0: elu(input, alpha, 1.0, 1 / alpha), "input")

# -- Gaussian --------------------------------------------------------------------------------------

_HALF_ROOT = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)
_INNER, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _below(x: Value) -> Value:
    """Of a standard normal variable: the probability of being below ``x``."""
    return erf(x * _HALF_ROOT) * 0.5 + 0.5


def _gelu(x: Value) -> tuple[Value, Value]:
    _zero(x)
    below = half_erf(x)
    return x * below, below


def _gelu_pull(g: Value, x: Value, below: Value) -> Value:
    density = into(x * x * -0.5, np.exp) * _DENSITY
    return scaled(density * x + below, g)


def _bend(x: Value) -> Value:
    return np.tanh((x + x * x * x * _CUBIC) * _INNER)


def _gelu_tanh(x: Value) -> tuple[Value, Value]:
    _zero(x)
    bend = _bend(x)
    return x * ((bend + 1) * 0.5), bend


def _gelu_tanh_pull(g: Value, x: Value, bend: Value) -> Value:
    slope = (x * x * (3 * _CUBIC) + 1) * _INNER
    return g * ((bend + 1) * 0.5 + x * (1 - bend * bend) * slope * 0.5)


op("nn.gelu", _gelu, "x", residuals={"below": _below}, x=_gelu_pull)
op("nn.gelu_tanh", _gelu_tanh, "x", residuals={"bend": _bend}, x=_gelu_tanh_pull)
