"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..creation import zeros
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor
from . import functional as F
from .init import xavier_uniform_
from .linear import Linear
from .module import Module, Parameter


class MultiheadAttention(Module):
    """``softmax(q k' / sqrt(d)) v`` of each head, as ``torch.nn.MultiheadAttention``.

    query (l, n, embed_dim), key and value (s, n, embed_dim), or batch first: (n, l, embed_dim), or
    without a batch. Returns the output, shaped like the query, and the weights (n, l, s), the mean
    of all heads, or None without ``need_weights`` (faster). ``attn_mask`` (l, s) or
    (n * num_heads, l, s): bool, True hides, or floats that are added. ``key_padding_mask`` (n, s):
    True hides. Parameters are named and drawn as PyTorch's are. Internally synchronised.

    >>> import engine
    >>> attention = MultiheadAttention(8, 2, batch_first=True)
    >>> x = engine.randn(3, 5, 8)
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention: num_heads={num_heads} must divide embed_dim={embed_dim}"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.batch_first = batch_first
        weight = zeros(3 * embed_dim, embed_dim, dtype=dtype)
        self.in_proj_weight = Parameter(xavier_uniform_(weight))
        self.register_parameter(
            "in_proj_bias", Parameter(zeros(3 * embed_dim, dtype=dtype)) if bias else None
        )
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        if bias:
            self.out_proj.bias = Parameter(zeros(embed_dim, dtype=dtype))

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """See the class."""
        if query.shape[-1] != self.embed_dim or query.ndim not in (2, 3):
            raise ShapeError(
                f"MultiheadAttention: expected (l, n, {self.embed_dim}) or (l, {self.embed_dim}), "
                f"got {query.shape}"
            )
        single, turned = query.ndim == 2, query.ndim == 3 and not self.batch_first
        projected = [self._heads(x, single, turned) for x in self._projected(query, key, value)]
        mask = self._mask(attn_mask, key_padding_mask, projected[0], projected[1])
        mixed, weights = self._attend(projected, mask, is_causal, need_weights)
        joined = mixed.swapaxes(1, 2).flatten(2)  # (n, l, embed_dim)
        out = self.out_proj(joined[0] if single else joined.swapaxes(0, 1) if turned else joined)
        if weights is None:
            return out, None
        if average_attn_weights:
            weights = weights.mean(axis=1)
        return out, weights[0] if single else weights

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Queries, keys and values: by one product where all come from the same tensor."""
        size, weight, bias = self.embed_dim, self.in_proj_weight, self.in_proj_bias
        if query is key is value:
            whole = F.linear(query, weight, bias)
            return [whole[..., at : at + size] for at in range(0, 3 * size, size)]
        parts = [slice(at, at + size) for at in range(0, 3 * size, size)]
        return [
            F.linear(x, weight[part], None if bias is None else bias[part])
            for x, part in zip((query, key, value), parts, strict=True)
        ]

    def _heads(self, x: Tensor, single: bool, turned: bool) -> Tensor:
        """(n, heads, l, size of a head)."""
        x = x[None] if single else x.swapaxes(0, 1) if turned else x
        return x.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)  # type: ignore[no-any-return]

    def _mask(self, attn_mask: Any, padding: Any, q: Tensor, k: Tensor) -> Any:
        """Both masks as numbers to add, of a shape that broadcasts to (n, heads, l, s); or None."""
        masks = []
        if attn_mask is not None:
            added = _added(attn_mask, q.dtype)
            masks.append(added.reshape(-1, *q.shape[1:3], k.shape[2]) if added.ndim == 3 else added)
        if padding is not None:
            added = _added(padding, q.dtype)
            masks.append(added.reshape(-1, 1, 1, k.shape[2]))
        return None if not masks else sum(masks[1:], start=masks[0])

    def _attend(
        self, projected: list[Tensor], mask: Any, is_causal: bool, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        q, k, v = projected
        drop = self.dropout if self.training else 0.0
        if not need_weights:
            # The two kinds of mask can be had together only as one.
            causal = is_causal and mask is None
            return F.scaled_dot_product_attention(q, k, v, mask, drop, causal), None
        scores = q @ k.swapaxes(-1, -2) * (1 / math.sqrt(q.shape[-1]))
        weights = F.softmax(scores if mask is None else scores + mask)
        return F.dropout(weights, drop, self.training) @ v, weights

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.embed_dim}, {self.num_heads}"


def _added(mask: Any, dtype: Any) -> np.ndarray:
    """A mask as numbers to add: True, which hides, as minus infinity."""
    array = mask.detach().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.dtype != bool:
        return array.astype(dtype, copy=False)
    return np.where(array, np.array(-np.inf, dtype), np.array(0, dtype))
