"""One step of recurrent networks, and products of two inputs with a weight.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

from ...ops import COMPOSED
from ...tensor import Tensor, call


def lstm_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Tensor, Tensor]:
    """The next (h, c): input (n, in), hx = (h, c) of (n, hidden), w_ih (4 hidden, in), w_hh
    (4 hidden, hidden), biases (4 hidden,); gates in the order input, forget, cell, output.

    >>> import engine
    >>> h = c = engine.zeros(2, 3)
    >>> h, c = lstm_cell(engine.ones(2, 1), (h, c), engine.ones(12, 1), engine.ones(12, 3))
    >>> h.shape, c.shape
    ((2, 3), (2, 3))
    """
    made: tuple[Tensor, Tensor] = call(
        COMPOSED["nn.lstm_cell"], (input, *hx, w_ih, w_hh, b_ih, b_hh), {}
    )
    return made


def gru_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """The next h: input (n, in), hx (n, hidden), w_ih (3 hidden, in), w_hh (3 hidden, hidden),
    biases (3 hidden,); gates in the order reset, update, new.

    >>> import engine
    >>> gru_cell(engine.ones(2, 1), engine.zeros(2, 3), engine.ones(9, 1), engine.ones(9, 3)).shape
    (2, 3)
    """
    made: Tensor = call(COMPOSED["nn.gru_cell"], (input, hx, w_ih, w_hh, b_ih, b_hh), {})
    return made


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input1 @ weight[k] @ input2 + bias[k]``: (..., in1), (..., in2), weight (out, in1, in2).

    >>> import engine
    >>> bilinear(engine.ones(2), engine.ones(3), engine.ones(1, 2, 3))
    tensor([6.])
    """
    made: Tensor = call(COMPOSED["nn.bilinear"], (input1, input2, weight, bias), {})
    return made
