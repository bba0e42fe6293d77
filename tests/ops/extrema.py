"""Cases of `engine.ops.extrema`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import Case, call, constant
from tests.ops.reduce import LARGE, reduction, with_gaps

NUMBERS = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])


def arg(name: str, function: Callable[..., Any]) -> Case:
    whole, column = call(NUMBERS), call(NUMBERS, axis=0)
    return constant(name, function, whole, column, call(NUMBERS, axis=1, keepdims=True))


EXTREMA = (
    reduction("amax", np.max, *LARGE),
    reduction("amin", np.min, *LARGE),
    with_gaps("nanmax", np.nanmax),
    with_gaps("nanmin", np.nanmin),
    Case(
        "ptp",
        (call((3, 4)), call((3, 4), axis=0), call((3, 4), axis=(0, -1), keepdims=True)),
        np.ptp,
    ),
    arg("argmax", np.argmax),
    arg("argmin", np.argmin),
    arg("nanargmax", np.nanargmax),
    arg("nanargmin", np.nanargmin),
)
