"""Cases of `engine.ops.transcendental` and `engine.ops.errorfunction`."""

import math

import numpy as np

from tests.ops.arithmetic import BINARY, POSITIVE, binary, named, unary
from tests.ops.case import COMPLEX, UNARY, Case, call

OPEN = (-0.9, 0.9)

EXPONENTIALS = (
    unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)), holomorphic=True),
    unary("exp", np.exp, holomorphic=True),
    unary("exp2", np.exp2, holomorphic=True),
    unary("expm1", np.expm1, holomorphic=True),
    unary("log", np.log, holomorphic=True, domain=POSITIVE),
    unary("log2", np.log2, holomorphic=True, domain=POSITIVE),
    unary("log10", np.log10, holomorphic=True, domain=POSITIVE),
    unary("log1p", np.log1p, holomorphic=True, domain=POSITIVE),
    Case(
        "logaddexp",
        (*BINARY, call((9, 1), (8,)), call(0.5, (70,))),
        np.logaddexp,
        lambda t, a, b: t.logaddexp(*t.broadcast_tensors(t.as_tensor(a), t.as_tensor(b))),
    ),
    binary(
        "logaddexp2",
        np.logaddexp2,
        torch=lambda t, a, b: t.logaddexp2(*t.broadcast_tensors(t.as_tensor(a), t.as_tensor(b))),
    ),
    Case(
        "xlogy",
        (*BINARY, call((3,), np.array([0.5, 1.0, 2.0])), call(0.0, (2,))),
        lambda x, y: x * np.log(y),
        named("xlogy"),
        domain=POSITIVE,
    ),
)

CIRCLES = (
    unary("sin", np.sin, holomorphic=True),
    unary("cos", np.cos, holomorphic=True),
    unary("tan", np.tan, holomorphic=True, domain=(-1.2, 1.2)),
    unary("asin", np.arcsin, holomorphic=True, domain=OPEN),
    unary("acos", np.arccos, holomorphic=True, domain=OPEN),
    unary("atan", np.arctan, holomorphic=True, domain=OPEN),
    unary("deg2rad", np.deg2rad),
    unary("rad2deg", np.rad2deg),
    binary(
        "atan2",
        np.arctan2,
        torch=lambda t, a, b: t.atan2(t.as_tensor(a), t.as_tensor(b)),
        kinks=(0,),
    ),
    Case(
        "sinc",
        (*UNARY, call((40,)), *COMPLEX),
        np.sinc,
        named("sinc"),
        kinks=(0,),
    ),
)

HYPERBOLAS = (
    unary("sinh", np.sinh, holomorphic=True),
    unary("cosh", np.cosh, holomorphic=True),
    unary("tanh", np.tanh, holomorphic=True),
    unary("asinh", np.arcsinh, holomorphic=True, domain=OPEN),
    unary("acosh", np.arccosh, holomorphic=True, domain=(1.1, 3)),
    unary("atanh", np.arctanh, holomorphic=True, domain=OPEN),
)

ERROR_FUNCTIONS = (
    *(
        Case(name, (*UNARY, call((5, 7))), np.vectorize(exact, otypes=["f8"]), named(name))
        for name, exact in {"erf": math.erf, "erfc": math.erfc}.items()
    ),
)
