"""One step of a recurrent network."""

from __future__ import annotations

from typing import Any

from ..creation import zeros
from ..tensor import Tensor
from . import functional as F
from .linear import inverse_root, uniform
from .module import Module


class _Cell(Module):
    """What cells share: two matrices and two biases, all from U(-k, k), k = 1 / sqrt(hidden)."""

    gates: int

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, bound = self.gates * hidden_size, inverse_root(hidden_size)
        self.weight_ih = uniform(bound, rows, input_size, dtype=dtype)
        self.weight_hh = uniform(bound, rows, hidden_size, dtype=dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, uniform(bound, rows, dtype=dtype) if bias else None)

    def _still(self, x: Any) -> Tensor:
        return zeros(*x.shape[:-1], self.hidden_size, dtype=self.weight_hh.dtype)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.input_size}, {self.hidden_size}"


class LSTMCell(_Cell):
    """One step of a long short-term memory, as ``torch.nn.LSTMCell``.

    x (n, input_size), state (h, c), each (n, hidden_size) and zero if it is None -> (h, c).
    Internally synchronised.

    >>> import engine
    >>> h, c = LSTMCell(3, 5)(engine.ones(2, 3))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates = 4

    def forward(self, x: Any, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """See the class."""
        h, c = state if state is not None else (self._still(x), self._still(x))
        return F.lstm_cell(x, (h, c), self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class GRUCell(_Cell):
    """One step of a gated recurrent unit, as ``torch.nn.GRUCell``. Internally synchronised."""

    gates = 3

    def forward(self, x: Any, h: Tensor | None = None) -> Tensor:
        """See the class."""
        h = self._still(x) if h is None else h
        return F.gru_cell(x, h, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
