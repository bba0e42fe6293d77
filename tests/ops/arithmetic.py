"""Cases of `engine.ops.arithmetic`, and what the cases of elementwise operations share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import COMPLEX, UNARY, Case, call

BINARY = (
    call((3, 4), (3, 4)),
    call((3, 1), (4,)),
    call((), (2, 2)),
    call((2, 3), 1.5),
    call(0.5, (2, 3)),
    call((0, 3), (1,)),
)
COMPLEX_BINARY = (
    call((2, 3), (3,), cplx=True),
    call((2, 3), 1.5, cplx=True),
)
POSITIVE = (0.3, 2.0)


def named(name: str) -> Callable[..., Any]:
    """PyTorch's function of that name."""
    return lambda torch, *args, **keywords: getattr(torch, name)(*args, **keywords)


def unary(
    name: str, function: Callable[..., Any], *, holomorphic: bool = False, **options: Any
) -> Case:
    options.setdefault("torch", named(name))
    return Case(name, (*UNARY, *COMPLEX) if holomorphic else UNARY, function, **options)


def binary(
    name: str, function: Callable[..., Any], *, holomorphic: bool = False, **options: Any
) -> Case:
    options.setdefault("torch", named(name))
    samples = (*BINARY, *COMPLEX_BINARY[:2]) if holomorphic else BINARY
    return Case(name, samples, function, **options)


POWERS = (
    *BINARY,
    call((2, 3), 2),
    call((2, 3), 0, peer=False),
    call((2, 3), -1),
    call((3,), np.array([0, 1, 3])),
    call((2, 3), (3,), cplx=True),
    call((2, 3), 2, cplx=True),
    call((2,), 0.5 + 1j, cplx=True, peer=False),
    call(2, (2,), cplx=True),
)

ARITHMETIC = (
    binary("add", np.add, holomorphic=True),
    binary("sub", np.subtract, holomorphic=True),
    binary("mul", np.multiply, holomorphic=True),
    binary("div", np.divide, holomorphic=True, domain=POSITIVE),
    unary("neg", np.negative, holomorphic=True),
    unary("positive", np.positive, holomorphic=True),
    unary("square", np.square, holomorphic=True),
    unary("reciprocal", np.reciprocal, holomorphic=True, domain=POSITIVE),
    Case("pow", POWERS, np.power, named("pow"), domain=POSITIVE),
    Case("float_power", POWERS, np.float_power, named("float_power"), domain=POSITIVE),
    unary("sqrt", np.sqrt, holomorphic=True, domain=POSITIVE),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), holomorphic=True, domain=POSITIVE),
    unary("cbrt", np.cbrt, torch=None, kinks=(0,)),
)

# Quotients that keep away from whole numbers, where remainders jump.
QUOTIENTS = (
    call((3, 4), 0.75),
    call((3, 4), -0.75),
    call(7.3, (2, 3)),
    call(-7.3, (2, 3)),
    call((2, 2), (2, 1)),
    call((), 0.75),
    call((0, 3), (1,)),
)

REMAINDERS = (
    *(
        Case(name, QUOTIENTS, function, named(name), domain=(0.33, 1.9), kinks=(0.75, 1.5))
        for name, function in {"remainder": np.remainder, "fmod": np.fmod}.items()
    ),
    Case("floor_divide", QUOTIENTS, np.floor_divide, order=0, domain=(0.33, 1.9)),
    Case(
        "divmod",
        QUOTIENTS,
        np.divmod,
        domain=(0.33, 1.9),
        kinks=(0.75, 1.5),
        after=lambda both: both[0] + both[1],
    ),
)

SIGNS = (
    unary("abs", np.absolute, holomorphic=True, kinks=(0,)),
    unary("sign", np.sign, torch=None, order=0),
    Case(
        "sgn",
        (*COMPLEX, call((2, 3), peer=False)),
        lambda x: x / np.abs(x),
        named("sgn"),
        kinks=(0,),
    ),
    binary("hypot", np.hypot, torch=lambda t, a, b: t.hypot(t.as_tensor(a), t.as_tensor(b))),
    Case(
        "copysign",
        (
            call((3, 4), (3, 4), peer=False),
            call((3, 1), (4,), peer=False),
            call((2, 3), 1.5),
            call((), -1.5),
            call(-0.5, (2, 3), peer=False),
            call((0, 3), -1.0),
        ),
        np.copysign,
        lambda t, a, b: t.copysign(t.as_tensor(a), b),
        kinks=(0,),
    ),
    Case(
        "ldexp",
        (
            call((3, 4), np.array([0, 1, -2, 5]), peer=False),
            call((2, 3), 2, peer=False),
            call((2, 3), (3,)),
            call(0.5, (2, 3)),
            call((0, 2), np.array([1, 2])),
            call((), np.array(3)),
        ),
        lambda a, b: a * np.exp2(b),
        lambda t, a, b: t.ldexp(t.as_tensor(a), b),
    ),
)
