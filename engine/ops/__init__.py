"""The mathematics room: operations on ndarrays and their gradients; no threads, no Tensor.

Importing a family fills the table. An operation is one row there; see ``op``.
"""

from . import (
    convolution,
    elementwise,
    extrema,
    indexing,
    linalg,
    loss,
    normalization,
    pooling,
    reduce,
    scans,
    sequences,
    shape,
    softmax,
    sorting,
    statistics,
    windows,
    writing,
)
from .op import BY_FUNCTION, COMPOSED, OPS, Composed, Op, composed, op

__all__ = [
    "BY_FUNCTION",
    "COMPOSED",
    "OPS",
    "Composed",
    "Op",
    "composed",
    "convolution",
    "elementwise",
    "extrema",
    "indexing",
    "linalg",
    "loss",
    "normalization",
    "op",
    "pooling",
    "reduce",
    "scans",
    "sequences",
    "shape",
    "softmax",
    "sorting",
    "statistics",
    "windows",
    "writing",
]
