"""Cases of `engine.ops.activation`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.arithmetic import unary
from tests.ops.case import UNARY, Case, call

KEYWORDS = {"axis": "dim"}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.log(1 + np.exp(x * beta)) / beta)


def elu(x, alpha=1.0, scale=1.0, input_scale=1.0):
    return scale * np.where(x > 0, x, alpha * (np.exp(x * input_scale) - 1))


def normal(x):
    return (1 + np.vectorize(math.erf, otypes=["f8"])(x / np.sqrt(2))) / 2


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
    return x * normal(x)


def hard(x, low=-1.0, high=1.0):
    return np.where(x < low, low, np.where(x > high, high, x))


def glu(x, axis=-1):
    a, b = np.split(x, 2, axis)
    return a * sigmoid(b)


def functional(
    name: str, function: Callable[..., Any], *samples: Any, kinks: tuple[float, ...] = ()
) -> Case:
    """Of what PyTorch has in `torch.nn.functional`."""

    def peer(torch, *args, **keywords):
        keywords = {KEYWORDS.get(key, key): value for key, value in keywords.items()}
        return getattr(torch.nn.functional, name.removeprefix("nn."))(*args, **keywords)

    return Case(name, (*UNARY, *samples), function, peer, kinks=kinks)


WITH_KINKS = (
    unary("relu", lambda x: np.where(x > 0, x, 0), kinks=(0,)),
    functional(
        "leaky_relu",
        lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        call((2, 3), negative_slope=0.3),
        call((2, 3), negative_slope=-0.5),
        call((2, 3), negative_slope=2.0),
        kinks=(0,),
    ),
    Case(
        "nn.leaky",
        (call((2, 3), (1,)), call((2, 3, 2), (3, 1)), call((), ())),
        lambda x, w: np.where(x > 0, x, w * x),
        kinks=(0,),
    ),
    Case(
        "prelu",
        (call((2, 3), (1,)), call((2, 3, 2), (3,)), call((4,), (1,)), call((2, 3), (3,))),
        lambda x, w: np.where(x > 0, x, (w[:, None] if x.ndim == 3 else w) * x),
        lambda torch, x, w: torch.nn.functional.prelu(x, w),
        kinks=(0,),
    ),
    functional(
        "nn.hardtanh",
        lambda x, min_val=-1.0, max_val=1.0: hard(x, min_val, max_val),
        call((3, 4), min_val=-0.5, max_val=0.25),
        kinks=(-1, -0.5, 0.25, 1),
    ),
    functional("nn.relu6", lambda x: hard(x, 0, 6), kinks=(0, 6)),
    Case(
        "nn.hardsigmoid",
        UNARY,
        lambda x: hard(x / 6 + 0.5, 0, 1),
        lambda torch, x: torch.nn.functional.relu6(x + 3) / 6,  # its own has no second order
    ),
    functional("nn.hardswish", lambda x: x * hard(x / 6 + 0.5, 0, 1)),
    functional(
        "hardshrink",
        lambda x, lambd=0.5: np.where(abs(x) > lambd, x, 0),
        call((3, 4), lambd=1.0),
        kinks=(-1, -0.5, 0.5, 1),
    ),
    functional(
        "nn.softshrink",
        lambda x, lambd=0.5: np.sign(x) * np.maximum(abs(x) - lambd, 0),
        call((3, 4), lambd=1.0),
        kinks=(-1, -0.5, 0.5, 1),
    ),
    Case(
        "threshold",
        (call((3, 4), 0.5, 2.0), call((3, 4), -0.5, -3.0), call((), 0.1, 20)),
        lambda x, threshold, value: np.where(x > threshold, x, value),
        lambda torch, x, threshold, value: torch.threshold(x, float(threshold), float(value)),
        kinks=(-0.5, 0.1, 0.5),
    ),
)

SMOOTH = (
    functional(
        "softplus",
        softplus,
        call((3, 4), beta=3.0),
        call((3, 4), beta=5.0, threshold=4.0),
        kinks=(0.8,),
    ),
    functional("nn.logsigmoid", lambda x: np.log(sigmoid(x))),
    functional("nn.silu", lambda x: x * sigmoid(x)),
    functional("nn.mish", lambda x: x * np.tanh(softplus(x))),
    functional("nn.softsign", lambda x: x / (1 + abs(x)), kinks=(0,)),
    functional("nn.tanhshrink", lambda x: x - np.tanh(x)),
    Case(
        "nn.glu",
        (call((3, 4)), call((4, 3), axis=0), call((2, 6, 1), axis=-2), call((0, 2))),
        glu,
        lambda torch, x, axis=-1: torch.nn.functional.glu(x, axis),
    ),
)

BELOW_ZERO = (
    Case(
        "nn.elu",
        (
            *UNARY,
            call((2, 3), alpha=0.5),
            call((2, 3), alpha=0.5, scale=2.0, input_scale=3.0, peer=False),
        ),
        elu,
        lambda torch, x, **keywords: torch.nn.functional.elu(x, **keywords),
        kinks=(0,),
    ),
    functional(
        "selu",
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        kinks=(0,),
    ),
    functional(
        "celu",
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x / alpha)),
        call((2, 3), alpha=0.5),
        kinks=(0,),
    ),
)

GAUSSIAN = (
    functional("nn.gelu", gelu),
    Case(
        "nn.gelu_tanh",
        UNARY,
        lambda x: gelu(x, "tanh"),
        lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    ),
)

ACTIVATIONS = (*WITH_KINKS, *SMOOTH, *BELOW_ZERO, *GAUSSIAN)
