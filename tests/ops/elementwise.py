"""Cases of `engine.ops.elementwise`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import COMPLEX, MASK, UNARY, Case, call, constant

BINARY = (
    call((3, 4), (3, 4)),
    call((3, 1), (4,)),
    call((), (2, 2)),
    call((2, 3), 1.5),
    call(0.5, (2, 3)),
    call((0, 3), (1,)),
)
ARITHMETICAL = (*BINARY, call((2, 3), (3,), cplx=True))
POSITIVE = (0.3, 2.0)


def unary(
    name: str, function: Callable[..., Any], *, holomorphic: bool = False, **options: Any
) -> Case:
    options.setdefault("torch", lambda torch, x: getattr(torch, name)(x))
    return Case(name, (*UNARY, *COMPLEX) if holomorphic else UNARY, function, **options)


def binary(name: str, function: Callable[..., Any], **options: Any) -> Case:
    options.setdefault("torch", lambda torch, a, b: getattr(torch, name)(a, b))
    return Case(name, BINARY, function, **options)


def arithmetic(name: str, function: Callable[..., Any]) -> Case:
    return Case(name, ARITHMETICAL, function, lambda torch, a, b: getattr(torch, name)(a, b))


ARITHMETIC = (
    arithmetic("add", np.add),
    arithmetic("sub", np.subtract),
    arithmetic("mul", np.multiply),
    binary("div", np.divide, domain=POSITIVE),
    Case(
        "pow",
        (
            *BINARY,
            call((2, 3), 2),
            call((2, 3), 0, peer=False),
            call((2, 3), -1),
            call((3,), np.array([0, 1, 3])),
        ),
        np.power,
        lambda torch, a, b: torch.pow(a, b),
        domain=POSITIVE,
    ),
    unary("neg", holomorphic=True, function=np.negative),
    unary("abs", np.absolute, kinks=(0,)),
    unary("square", holomorphic=True, function=np.square),
    unary("sqrt", np.sqrt, domain=POSITIVE),
    unary("reciprocal", np.reciprocal, domain=POSITIVE),
    unary("exp", holomorphic=True, function=np.exp),
    unary("expm1", np.expm1),
    unary("log", np.log, domain=POSITIVE),
    unary("log1p", np.log1p, domain=POSITIVE),
    unary("sin", holomorphic=True, function=np.sin),
    unary("cos", holomorphic=True, function=np.cos),
    unary("conj", holomorphic=True, function=np.conjugate),
    unary("tanh", holomorphic=True, function=np.tanh),
)

ACTIVATIONS = (
    unary("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    unary("relu", lambda x: np.where(x > 0, x, 0), kinks=(0,)),
    unary(
        "softplus", lambda x: np.log(1 + np.exp(x)), torch=lambda t, x: t.nn.functional.softplus(x)
    ),
    Case(
        "leaky_relu",
        (*UNARY, call((2, 3), negative_slope=0.3)),
        lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        lambda torch, x, **keywords: torch.nn.functional.leaky_relu(x, **keywords),
        kinks=(0,),
    ),
)

CHOICES = (
    binary("maximum", np.maximum),
    binary("minimum", np.minimum),
    Case(
        "where",
        (
            call(MASK, (2, 3), (2, 3)),
            call(MASK, (3,), (2, 1)),
            call(MASK, (), 0.5),
            call(MASK[:, :1], (2, 1), (1, 3)),
            call(MASK[:0], (3,), (0, 3)),
        ),
        np.where,
        lambda torch, c, x, y: torch.where(c, x, y),
    ),
    Case(
        "clip",
        (
            call((3, 4), -0.5, 0.7),
            call((3, 4), None, 0.7),
            call((3, 4), -0.5, None),
            call((2, 4), np.array([-1.0, 0.0, 0.0, 0.5]), 0.7),
            call((), -0.5, 0.7),
            call((0, 3), -0.5, 0.7),
        ),
        lambda x, low, high: np.minimum(
            np.maximum(x, -np.inf if low is None else low), np.inf if high is None else high
        ),
        lambda torch, x, low, high: torch.clamp(x, low, high),
        kinks=(-0.5, 0.7),
    ),
)

NUMBERS = np.array([[0.0, -0.5, 2.5, np.inf], [1.5, -np.inf, np.nan, -1.0]])
BITS = np.array([0, 1, 6, 7])


WITHOUT_GRADIENT = (
    *(
        Case(name, (*BINARY, call(NUMBERS, NUMBERS[::-1])), function, order=0)
        for name, function in {
            "eq": np.equal,
            "ne": np.not_equal,
            "lt": np.less,
            "le": np.less_equal,
            "gt": np.greater,
            "ge": np.greater_equal,
            "logical_and": np.logical_and,
            "logical_or": np.logical_or,
        }.items()
    ),
    *(
        Case(name, (*UNARY, call(NUMBERS)), function, order=0)
        for name, function in {
            "logical_not": np.logical_not,
            "sign": np.sign,
            "floor": np.floor,
            "ceil": np.ceil,
            "round": np.rint,
            "isnan": np.isnan,
            "isinf": np.isinf,
            "isfinite": np.isfinite,
        }.items()
    ),
    constant("bitwise_and", np.bitwise_and, call(BITS, BITS[::-1]), call(MASK, ~MASK)),
    constant("bitwise_or", np.bitwise_or, call(BITS, BITS[::-1]), call(MASK, ~MASK)),
    constant("bitwise_not", np.invert, call(BITS), call(MASK)),
)
