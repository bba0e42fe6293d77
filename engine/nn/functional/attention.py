"""Attention.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...ops import OPS
from ...tensor import Tensor, record
from .dropout import mask as dropout_mask

_ATTENTION = OPS["nn.scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key' scale + mask) value: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V).

    ``attn_mask`` broadcasts to (..., L, S): bools, True where a key takes part, or floats that are
    added, which may have a gradient. ``is_causal``: query i sees keys 0..i. A query that sees none
    gets zeros. ``scale``: 1 / sqrt(E) if None. ``dropout_p``: see ``dropout``. ``enable_gqa``: each
    head of key and value (..., heads, S, E) serves several of the query.

    Raises ``ArgumentError`` for both masks at once, ``ShapeError`` where shapes do not fit.

    >>> import engine
    >>> q, v = engine.ones(1, 2, 4), engine.tensor([[[1.0], [3.0]]])
    >>> scaled_dot_product_attention(q, q, v, is_causal=True)
    tensor([[[1.],
             [2.]]])
    """
    if attn_mask is not None and is_causal:
        raise ArgumentError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    if not 0 <= dropout_p <= 1:
        raise ArgumentError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if enable_gqa:
        key, value = (_repeated(x, query.shape[-3]) for x in (key, value))
    shape = (query.shape[-2], key.shape[-2])
    mask = _causal(*shape, query.dtype.str) if is_causal else _additive(attn_mask, query.dtype)
    dropped = None
    if dropout_p:
        batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        dropped = dropout_mask((*batch, *shape), dropout_p, query.dtype)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    return record(_ATTENTION, (query, key, value, mask), {"scale": scale, "dropped": dropped})


def _repeated(x: Any, heads: int) -> Any:
    """Each head as often as there are ``heads`` to serve, one after the other."""
    *batch, own, places, size = x.shape
    if heads % own:
        raise ArgumentError(f"enable_gqa: {own} heads of keys do not divide {heads} of queries")
    wide = x.unsqueeze(-3).expand(*batch, own, heads // own, places, size)
    return wide.reshape(*batch, heads, places, size)


@lru_cache(maxsize=16)
def _causal(rows: int, columns: int, dtype: str) -> np.ndarray:
    """0 at and below the diagonal, minus infinity above. Shared and read-only: immutable."""
    made = np.triu(np.full((rows, columns), -np.inf, dtype), 1)
    made.flags.writeable = False
    return made


def _additive(mask: Any, dtype: Any) -> Any:
    """A mask as numbers to add."""
    if mask is None or mask.dtype != bool:
        return mask
    shown = mask.detach().numpy() if isinstance(mask, Tensor) else mask
    return np.where(shown, 0, -np.inf).astype(dtype)
