"""Dropout."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional as F
from .module import Module


class Dropout(Module):
    """In training, zeros with probability ``p`` and the rest scaled by ``1 / (1 - p)``.

    Which elements fall depends on the seed and on the step, not on threads: see
    ``functional.dropout``. Internally synchronised.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: p is a probability, got {p}")
        self.p = p

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """Its probability."""
        return f"p={self.p}"
