"""Products with weights.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

from ...ops import OPS
from ...tensor import Tensor, record

_LINEAR = OPS["linear"]


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias``: input (..., in), weight (out, in), bias (out,) -> (..., out).

    >>> import engine
    >>> linear(engine.ones(2, 3), engine.ones(4, 3), engine.zeros(4))
    tensor([[3., 3., 3., 3.],
            [3., 3., 3., 3.]])
    """
    return record(_LINEAR, (input, weight, bias), {})
