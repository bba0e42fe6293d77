"""Rows of a table, and sums of them; classes as vectors.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ...ops import OPS
from ...tensor import Tensor, from_array, record

_EMBEDDING = OPS["nn.embedding"]


def _ids(name: str, input: Any) -> np.ndarray:
    ids = input._data if isinstance(input, Tensor) else np.asarray(input)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{name}: indices must be ints, got {ids.dtype}")
    return ids


def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, *, sparse: bool = False
) -> Tensor:
    """Rows of ``weight`` (n, d): indices (...) -> (..., d).

    ``padding_idx``: a row that gets no gradient. ``sparse``: the gradient is a ``RowSparse``.
    Raises ``DTypeError`` for indices that are no ints, ``IndexRangeError`` for others than 0..n-1.

    >>> import engine
    >>> embedding(engine.tensor([1, 0, 1]), engine.tensor([[1.0], [2.0]]))
    tensor([[2.],
            [1.],
            [2.]])
    """
    ids = _ids("embedding", input)
    checked = input if isinstance(input, Tensor) else ids  # a Tensor has a version
    return record(_EMBEDDING, (checked, weight), {"padding_idx": padding_idx, "sparse": sparse})


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of rows of ``weight`` for each bag of indices: (bags, d).

    ``input`` (bags, size), or all bags in one row (n,), of which each begins at its offset; the
    last offset may be the end (``include_last_offset``). ``per_sample_weights`` multiply the rows
    of a sum. ``padding_idx`` does not count. An empty bag gives zeros. Raises ``ArgumentError`` for
    modes and offsets that there are not.

    >>> import engine
    >>> table = engine.tensor([[1.0], [2.0], [4.0]])
    >>> embedding_bag(engine.tensor([0, 2, 1]), table, engine.tensor([0, 2]), mode="sum")
    tensor([[5.],
            [2.]])
    """
    ids = _ids("embedding_bag", input)
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(f"embedding_bag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
    if per_sample_weights is not None and mode != "sum":
        raise ArgumentError("embedding_bag: per_sample_weights go with mode='sum'")
    where, counts = _bags(ids, offsets, include_last_offset)
    ids = ids.reshape(-1)
    if padding_idx is not None:
        counts = counts & (ids != padding_idx % len(weight))[where]
    rows = embedding(ids[where], weight, padding_idx, sparse=sparse)  # (bags, longest, d)
    if mode == "max":
        return _largest(rows, counts)
    shares = counts.astype(rows.dtype)
    if mode == "mean":
        shares = shares / np.maximum(shares.sum(1, keepdims=True), 1)
    if per_sample_weights is not None:
        shares = per_sample_weights.reshape(-1)[where] * shares
    made: Tensor = (rows * shares[..., None]).sum(1)
    return made


def _largest(rows: Tensor, counts: np.ndarray) -> Tensor:
    lowest = np.where(counts[..., None], 0, -np.inf).astype(rows.dtype)
    some = np.any(counts, axis=1, keepdims=True)
    made: Tensor = (rows + np.where(some[..., None], lowest, 0).astype(rows.dtype)).amax(1)
    return made.masked_fill(~some, 0.0)  # type: ignore[no-any-return]


def _bags(ids: np.ndarray, offsets: Any, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where each bag's indices are, padded to the longest bag, and which of these are its own."""
    if ids.ndim == 2:
        if offsets is not None:
            raise ArgumentError("embedding_bag: offsets go with an input of one axis")
        starts, ends = np.arange(len(ids)) * ids.shape[1], np.arange(1, len(ids) + 1) * ids.shape[1]
    elif ids.ndim == 1 and offsets is not None:
        starts = _ids("embedding_bag", offsets)
        ends = np.append(starts[1:], [] if last else ids.size).astype(int)
        starts = starts[: len(ends)]
    else:
        raise ShapeError(f"embedding_bag: give (bags, size), or (n,) and offsets, got {ids.shape}")
    sizes = ends - starts
    if sizes.size and (starts[0] != 0 or sizes.min() < 0 or ends[-1] > ids.size):
        raise ArgumentError(f"embedding_bag: offsets must grow from 0 up to {ids.size}: {starts}")
    steps = np.arange(max(int(sizes.max(initial=0)), 1))
    return np.minimum(starts[:, None] + steps, max(ids.size - 1, 0)), steps < sizes[:, None]


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """(...) of class indices -> (..., classes) of 0 and 1, int64; -1: as many as are needed.

    Raises ``IndexRangeError`` for a class that there is not.

    >>> import engine
    >>> one_hot(engine.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    ids = _ids("one_hot", tensor)
    count = num_classes if num_classes >= 0 else int(ids.max(initial=-1)) + 1
    if ids.size and not 0 <= ids.min() <= ids.max() < count:
        raise IndexRangeError(f"one_hot: classes {ids.min()}..{ids.max()} of {count}")
    return from_array((ids[..., None] == np.arange(count)).astype(np.int64))
