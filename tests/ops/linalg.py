"""Cases of `engine.ops.linalg`."""

import numpy as np

from tests.ops.case import Case, call


def _linear(x, weight, bias):
    return np.einsum("...i,oi->...o", x, weight) + (0 if bias is None else bias)


PRODUCTS = (
    Case(
        "matmul",
        (
            call((2, 3), (3, 4)),
            call((3,), (3,)),
            call((3,), (3, 2)),
            call((2, 3), (3,)),
            call((2, 2, 3), (3, 2)),
            call((2, 1, 2, 3), (2, 3, 2)),
            call((3,), (2, 3, 2)),
            call((2, 2, 3), (3,)),
            call((2, 0), (0, 3)),
            call((0, 3), (3, 2)),
        ),
        np.matmul,
        lambda torch, a, b: torch.matmul(a, b),
    ),
    Case(
        "dot",
        (
            call((2, 3), (3, 4)),
            call((3,), (3,)),
            call((3,), (3, 2)),
            call((2, 3), (3,)),
            call((2, 0), (0, 3)),
        ),
        np.dot,
        lambda torch, a, b: torch.matmul(a, b),
    ),
    Case(
        "linear",
        (
            call((4, 3), (2, 3), (2,)),
            call((4, 3), (2, 3), None),
            call((2, 2, 3), (2, 3), (2,)),
            call((3,), (2, 3), (2,)),
            call((0, 3), (2, 3), (2,)),
            call((2, 2, 0), (2, 0), (2,)),
        ),
        _linear,
        lambda torch, x, weight, bias: torch.nn.functional.linear(x, weight, bias),
    ),
)
