"""Rows of a table, and sums of them; classes as vectors.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DTypeError, IndexRangeError
from ...tensor import Tensor, from_array


def _ids(name: str, input: Any) -> np.ndarray:
    ids = input._data if isinstance(input, Tensor) else np.asarray(input)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{name}: indices must be ints, got {ids.dtype}")
    return ids  # type: ignore[no-any-return]


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
