"""Cases of `engine.ops.complex`."""

from typing import Any

import numpy as np

from tests.ops.arithmetic import named
from tests.ops.case import COMPLEX, UNARY, Case, call, constant

FUNCTIONS: dict[str, Any] = {
    "is_complex": np.iscomplexobj,
    "isreal": np.isreal,
    "iscomplex": np.iscomplex,
}
NUMBERS = np.array([1 + 0j, 2j, -3.0])

COMPLEX_NUMBERS = (
    Case("real", (*COMPLEX, *UNARY), np.real, named("real")),
    Case("imag", (*COMPLEX, call((2, 3), peer=False)), np.imag, named("imag")),
    Case("conj", (*UNARY, *COMPLEX), np.conjugate, named("conj")),
    Case(
        "angle",
        (*COMPLEX, call((2, 3), peer=False, cplx=True, deg=True), call((2, 3), peer=False)),
        np.angle,
        named("angle"),
        kinks=(0,),
    ),
    Case("real_if_close", (*UNARY, *COMPLEX), np.real_if_close, kinks=(0,)),
    Case(
        "complex",
        (call((2, 3), (2, 3)), call((2, 1), (3,)), call((), ()), call((2,), 0.5), call(0.5, (2,))),
        lambda real, imag: real + 1j * imag,
        lambda t, *parts: t.complex(
            *t.broadcast_tensors(*[t.as_tensor(p, dtype=t.float64) for p in parts])
        ),
    ),
    Case(
        "polar",
        (call((2, 3), (2, 3)), call((2, 1), (3,))),
        lambda abs, angle: abs * np.exp(1j * angle),
        lambda t, *parts: t.polar(*t.broadcast_tensors(*parts)),
        domain=(0.2, 2),
    ),
    *(
        constant(name, function, call(NUMBERS), call(NUMBERS.real))
        for name, function in FUNCTIONS.items()
    ),
)
