"""Activations, and the softmax family.

Each function reads its inputs and writes nothing: internally synchronised. Input and result have
the same shape and dtype, but for ``glu``. Complex input raises ``OperandError`` where complex
numbers would have to be ordered.
"""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError
from ...ops import COMPOSED, OPS
from ...tensor import Tensor, call, record

_RELU, _SIGMOID, _TANH = OPS["relu"], OPS["sigmoid"], OPS["tanh"]
_SOFTMAX, _LOG_SOFTMAX = OPS["softmax"], OPS["log_softmax"]
_SILU, _SOFTPLUS, _ELU = OPS["nn.silu"], OPS["softplus"], OPS["nn.elu"]
_GELU = {"none": OPS["nn.gelu"], "tanh": OPS["nn.gelu_tanh"]}


# -- with a kink -----------------------------------------------------------------------------------


def relu(input: Any) -> Tensor:
    """``max(input, 0)``; the slope at 0 is 0."""
    return record(_RELU, (input,), {})


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """``input`` where it is positive, else ``negative_slope * input``."""
    return record(OPS["leaky_relu"], (input,), {"negative_slope": negative_slope})


def prelu(input: Any, weight: Any) -> Tensor:
    """``leaky_relu`` with a slope that is learned: one for all, or one for each channel (axis 1).

    >>> import engine
    >>> prelu(engine.tensor([[-2.0, 3.0]]), engine.tensor([0.5, 0.25]))
    tensor([[-1.,  3.]])
    """
    made: Tensor = call(COMPOSED["prelu"], (input, weight), {})
    return made


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``input`` cut off at ``min_val`` and ``max_val``; the slope at both is 0."""
    return record(OPS["nn.hardtanh"], (input,), {"min_val": min_val, "max_val": max_val})


def relu6(input: Any) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Any) -> Tensor:
    """``relu6(input + 3) / 6``."""
    return _composed("nn.hardsigmoid", input)


def hardswish(input: Any) -> Tensor:
    """``input * relu6(input + 3) / 6``."""
    return record(OPS["nn.hardswish"], (input,), {})


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """``input``, but 0 from ``-lambd`` to ``lambd``."""
    return _composed("hardshrink", input, lambd=lambd)


def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """``input`` moved towards 0 by ``lambd``, at most to 0."""
    return _composed("nn.softshrink", input, lambd=lambd)


def threshold(input: Any, threshold: float, value: float) -> Tensor:
    """``input`` where it is above ``threshold``, else ``value``."""
    made: Tensor = call(COMPOSED["threshold"], (input, threshold, value), {})
    return made


# -- smooth ----------------------------------------------------------------------------------------


def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent."""
    return record(_TANH, (input,), {})


def tanhshrink(input: Any) -> Tensor:
    """``input - tanh(input)``."""
    return _composed("nn.tanhshrink", input)


def sigmoid(input: Any) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return record(_SIGMOID, (input,), {})


def logsigmoid(input: Any) -> Tensor:
    """The logarithm of ``sigmoid``, also where that is 0 in floating point."""
    return record(OPS["nn.logsigmoid"], (input,), {})


def silu(input: Any) -> Tensor:
    """``input * sigmoid(input)``, also known as swish."""
    return record(_SILU, (input,), {})


def mish(input: Any) -> Tensor:
    """``input * tanh(softplus(input))``."""
    return record(OPS["nn.mish"], (input,), {})


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; ``input`` where ``beta * input > threshold``."""
    return record(_SOFTPLUS, (input,), {"beta": beta, "threshold": threshold})


def softsign(input: Any) -> Tensor:
    """``input / (1 + abs(input))``."""
    return _composed("nn.softsign", input)


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """``input`` times the probability that a standard normal variable lies below it.

    ``approximate="tanh"`` takes a formula with ``tanh`` for that. Raises ``ArgumentError`` for
    anything but that and ``"none"``.

    >>> import engine
    >>> gelu(engine.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    op = _GELU.get(approximate)
    if op is None:
        raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return record(op, (input,), {})


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """``input`` where it is positive, else ``alpha * (exp(input) - 1)``."""
    return record(_ELU, (input,), {"alpha": alpha})


def selu(input: Any) -> Tensor:
    """A scaled ``elu`` that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""
    return _composed("selu", input)


def celu(input: Any, alpha: float = 1.0) -> Tensor:
    """``elu`` of a slope that goes on at 0: below, ``alpha * (exp(input / alpha) - 1)``."""
    return _composed("celu", input, alpha=alpha)


def glu(input: Any, dim: int = -1) -> Tensor:
    """The first half of ``input`` along ``dim``, times the sigmoid of the second.

    Raises ``ShapeError`` for an axis of odd size.
    """
    return _composed("nn.glu", input, axis=dim)


# -- softmax ---------------------------------------------------------------------------------------


def softmax(input: Any, dim: int = -1) -> Tensor:
    """``exp(input)`` scaled to sum to 1 along ``dim``."""
    return record(_SOFTMAX, (input,), {"axis": dim})


def softmin(input: Any, dim: int = -1) -> Tensor:
    """``softmax`` of ``-input``."""
    return softmax(record(OPS["neg"], (input,), {}), dim)


def log_softmax(input: Any, dim: int = -1) -> Tensor:
    """The logarithm of ``softmax``."""
    return record(_LOG_SOFTMAX, (input,), {"axis": dim})


def _composed(name: str, input: Any, **keywords: Any) -> Tensor:
    made: Tensor = call(COMPOSED[name], (input,), keywords)
    return made
