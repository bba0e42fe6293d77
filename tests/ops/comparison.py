"""Cases of `engine.ops.comparison`: no gradient."""

from typing import Any

import numpy as np

from tests.ops.arithmetic import BINARY
from tests.ops.case import MASK, UNARY, Case, call, constant

NUMBERS = np.array([[0.0, -0.5, 2.5, np.inf], [1.5, -np.inf, np.nan, -1.0]])
BITS = np.array([0, 1, 6, 7])
SHIFTS = np.array([1, 0, 2, 3])
NEAR = NUMBERS * (1 + 1e-7)

OF_TWO: dict[str, Any] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "heaviside": np.heaviside,
    "nextafter": np.nextafter,
}
OF_ONE: dict[str, Any] = {
    "logical_not": np.logical_not,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "isposinf": np.isposinf,
    "isneginf": np.isneginf,
    "signbit": np.signbit,
}
CLOSE: dict[str, Any] = {"isclose": np.isclose, "allclose": np.allclose}

WITHOUT_GRADIENT = (
    *(
        Case(name, (*BINARY, call(NUMBERS, NUMBERS[::-1])), function, order=0)
        for name, function in OF_TWO.items()
    ),
    *(Case(name, (*UNARY, call(NUMBERS)), function, order=0) for name, function in OF_ONE.items()),
    Case("round", (*UNARY, call(NUMBERS), call((2, 3), decimals=1)), np.round, order=0),
    *(
        constant(
            name,
            function,
            call(NUMBERS, NEAR),
            call(NUMBERS, NEAR, rtol=0.0, atol=0.0),
            call(NUMBERS, NEAR, equal_nan=True),
            call(NUMBERS, 0.0),
        )
        for name, function in CLOSE.items()
    ),
    constant(
        "array_equal",
        np.array_equal,
        call(NUMBERS, NUMBERS),
        call(NUMBERS, NUMBERS, equal_nan=True),
        call(BITS, BITS[:2]),
    ),
    *(
        constant(name, function, call(BITS, BITS[::-1]), call(MASK, ~MASK))
        for name, function in {
            "bitwise_and": np.bitwise_and,
            "bitwise_or": np.bitwise_or,
            "bitwise_xor": np.bitwise_xor,
        }.items()
    ),
    constant("bitwise_not", np.invert, call(BITS), call(MASK)),
    constant("bitwise_left_shift", np.left_shift, call(BITS, SHIFTS)),
    constant("bitwise_right_shift", np.right_shift, call(BITS, SHIFTS)),
)
