"""Connectionist temporal classification. Reads its inputs and writes nothing: internally
synchronised."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...ops import OPS
from ...tensor import Tensor, record

_CTC = OPS["nn.ctc_loss"]


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability that (T, N, C) steps emit targets, over all alignments.

    ``log_probs`` (T, C) is a batch of one. ``targets`` (N, S), padded, or all in one row, without
    blanks; ``input_lengths`` and ``target_lengths`` (N,). ``"mean"``: of losses divided by their
    targets' lengths. A sequence that cannot be has an infinite loss, or with ``zero_infinity``
    none, and no gradient. The gradient is that of ``log_probs`` as they are: PyTorch's is another
    until it has passed through ``log_softmax``.

    Raises ``ShapeError`` and ``IndexRangeError`` for lengths and targets that do not fit. After
    Graves, Fernandez, Gomez and Schmidhuber (2006).

    >>> import engine
    >>> steps = engine.full((2, 1, 2), 0.5).log()
    >>> ctc_loss(steps, engine.tensor([[1]]), engine.tensor([2]), engine.tensor([1]))
    tensor(0.2877)
    """
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    steps, lengths = (np.atleast_1d(_array(x)) for x in (input_lengths, target_lengths))
    single = log_probs.ndim == 2
    given = log_probs[:, None] if single else log_probs
    losses = record(_CTC, (given, _array(targets), steps, lengths), {"blank": blank})
    if zero_infinity:
        endless = np.isinf(losses._data)
        losses = losses.masked_fill(endless, 0.0)
    if reduction == "mean":
        made: Tensor = (losses / np.maximum(lengths, 1).astype(losses.dtype)).mean()
    else:
        made = losses.sum() if reduction == "sum" else losses[0] if single else losses
    return made


def _array(x: Any) -> np.ndarray:
    return x.detach().numpy() if isinstance(x, Tensor) else np.asarray(x)
