"""Embedding: a row of a table for each index."""

from __future__ import annotations

from typing import Any

from ..creation import randn
from ..errors import ArgumentError
from ..modes import no_grad
from ..tensor import Tensor
from . import functional as F
from .module import Module, Parameter


class Embedding(Module):
    """Rows of a table (num_embeddings, embedding_dim): indices (...) -> (..., embedding_dim).

    ``sparse``: the gradient of the table is a ``RowSparse`` of the rows that were read, so that a
    step costs what they cost, and not what the table does. ``padding_idx``: a row of zeros that
    gets no gradient. Rows are drawn from N(0, 1), as in ``torch.nn.Embedding``. Internally
    synchronised.

    >>> import engine
    >>> table = Embedding(10, 4, sparse=True)
    >>> table(engine.tensor([[1, 2], [2, 2]])).sum().backward()
    >>> table.weight.grad.coalesce().ids
    array([1, 2])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        sparse: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"Embedding: padding_idx={padding_idx} lies outside of {num_embeddings} rows"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.sparse = padding_idx, sparse
        self.weight = Parameter(randn(num_embeddings, embedding_dim, dtype=dtype))
        if padding_idx is not None:
            with no_grad():
                self.weight[padding_idx] = 0

    def forward(self, ids: Any) -> Tensor:
        """See the class."""
        return F.embedding(ids, self.weight, self.padding_idx, sparse=self.sparse)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"
