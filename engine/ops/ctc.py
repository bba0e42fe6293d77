"""Connectionist temporal classification: the log-probability of a labelling, however aligned.

Graves, Fernandez, Gomez and Schmidhuber, "Connectionist temporal classification" (2006): forward
and backward variables, as logarithms. ``_FAR`` stands for the logarithm of 0, so that no infinity
meets another; a sequence that cannot be has an infinite loss and a gradient of 0. The gradient is
that of the log-probabilities as they are given: PyTorch's takes it for granted that they come
from a ``log_softmax``, and agrees once it has passed through that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..values import Value
from .loss_elementwise import still
from .op import op

_FAR = -1e30


class _Layout(NamedTuple):
    """What a call's targets and lengths say; a row for each of N sequences, padded. Immutable.

    ``labels`` (N, S): each target with blanks around and between. ``skips`` (N, S): 0 where the
    blank before a label may be left out, else far. ``steps`` (N,): how many there are. ``ends``
    (N, S): 0 where a sequence may end, else far.
    """

    labels: Value
    skips: Value
    steps: Value
    ends: Value


def _layout(targets: Value, steps: Value, lengths: Value, blank: int, dtype: Any) -> _Layout:
    longest = int(lengths.max(initial=0))
    inside = np.arange(longest) < lengths[:, None]
    rows = np.full(inside.shape, blank)
    rows[inside] = targets[:, :longest][inside] if targets.ndim == 2 else targets
    labels = np.full((len(rows), 2 * longest + 1), blank)
    labels[:, 1::2] = rows
    skips, ends = np.full((2, *labels.shape), _FAR, dtype)
    skips[:, 3::2][rows[:, 1:] != rows[:, :-1]] = 0
    behind = 2 * lengths[:, None] - np.arange(labels.shape[1])
    ends[(behind == 0) | (behind == 1)] = 0
    return _Layout(labels, skips, steps, ends)


def _shift(x: Value, by: int) -> Value:
    """Rows moved to the right, to the left if ``by`` is negative; far values follow."""
    size = x.shape[1]
    fill = np.full((len(x), min(abs(by), size)), _FAR, np.dtype(x.dtype))
    if by > 0:
        return np.concatenate([fill, x[:, : max(size - by, 0)]], axis=1)
    return np.concatenate([x[:, -by:], fill], axis=1)


def _joined(*ways: Value) -> Value:
    """The logarithm of the sum of what the ways' are logarithms of, none too far."""
    top = np.maximum.reduce([still(way) for way in ways])
    total = np.exp(ways[0] - top)
    for way in ways[1:]:
        total = total + np.exp(way - top)
    return np.log(total) + top


def _near(x: Value) -> Value:
    return np.maximum(x, _FAR)


def _forwards(emitted: Value, layout: _Layout) -> Value:
    """(T, N, S): the log-probability of all that leads to a label at a step, and of it."""
    start = np.full(layout.labels.shape, _FAR, layout.skips.dtype)
    start[:, :2] = 0
    found = [_near(emitted[0] + start)]
    for step in range(1, len(emitted)):
        last = found[-1]
        ways = _joined(last, _shift(last, 1), _shift(last, 2) + layout.skips)
        found.append(_near(ways + emitted[step]))
    return np.stack(found)


def _backwards(emitted: Value, layout: _Layout) -> Value:
    """(T, N, S): the log-probability of all that may follow a label at a step."""
    found, skips = [layout.ends + emitted[0] * 0], _shift(layout.skips, -2)
    for step in range(len(emitted) - 1, 0, -1):
        onward = _near(found[-1] + emitted[step])
        ways = _joined(onward, _shift(onward, -1), _shift(onward, -2) + skips)
        found.append(np.where((layout.steps > step)[:, None], _near(ways), layout.ends))
    return np.stack(found[::-1])


def _totals(forwards: Value, layout: _Layout) -> Value:
    """The log-probability of each sequence (N,)."""
    ended = forwards[layout.steps - 1, np.arange(len(layout.steps))] + layout.ends
    top = np.maximum.reduce(still(ended), axis=1)
    return np.log(np.add.reduce(np.exp(ended - top[:, None]), axis=1)) + top


def _check(log_probs: Value, targets: Value, steps: Value, lengths: Value, blank: int) -> None:
    longest, batch, classes = log_probs.shape
    if steps.shape != (batch,) or lengths.shape != (batch,):
        raise ValueError(f"lengths must have shape ({batch},): {steps.shape}, {lengths.shape}")
    if batch and not 1 <= steps.min() <= steps.max() <= longest:
        raise ValueError(f"input lengths must lie in 1..{longest}, got {steps}")
    room = targets.shape[1] if targets.ndim == 2 else targets.size
    if batch and not 0 <= lengths.min() <= lengths.max() <= room:
        raise ValueError(f"target lengths must lie in 0..{room}, got {lengths}")
    if targets.ndim == 1 and targets.size != lengths.sum():
        raise ValueError(f"{targets.size} targets, but lengths add up to {lengths.sum()}")
    if not 0 <= blank < classes or (targets.size and targets.max() >= classes):
        raise IndexError(f"blank and targets must lie in 0..{classes - 1}")


def _ctc_loss(
    log_probs: Value, targets: Value, input_lengths: Value, target_lengths: Value, blank: int = 0
) -> tuple[Value, Value, Value, _Layout]:
    """One loss for each sequence of log_probs (T, N, C)."""
    _check(log_probs, targets, input_lengths, target_lengths, blank)
    layout = _layout(targets, input_lengths, target_lengths, blank, log_probs.dtype)
    forwards = _forwards(_emitted(log_probs, layout), layout)
    totals = _totals(forwards, layout)
    losses = np.where(totals < _FAR / 2, np.inf, -totals).astype(log_probs.dtype, copy=False)
    return losses, forwards, totals, layout


def _emitted(log_probs: Value, layout: _Layout) -> Value:
    """(T, N, S): the log-probability of each label at each step."""
    return log_probs[:, np.arange(len(layout.labels))[:, None], layout.labels]


def _ctc_pull(g: Value, log_probs: Value, forwards: Value, totals: Value, layout: _Layout) -> Value:
    """Minus how probable each label was at each step, given the targets."""
    emitted = _emitted(log_probs, layout)
    if not isinstance(g, np.ndarray):
        forwards = _forwards(emitted, layout)
        totals = _totals(forwards, layout)
    given = np.exp(forwards + _backwards(emitted, layout) - totals[:, None])
    open_yet = np.arange(len(forwards))[:, None] < layout.steps
    given = np.where(open_yet[:, :, None], given, 0) * -g[:, None]
    if isinstance(g, np.ndarray):
        return _by_class(given, layout.labels, log_probs.shape)
    hot = np.equal(layout.labels[:, :, None], np.arange(log_probs.shape[2]))
    return np.swapaxes(np.matmul(np.swapaxes(given, 0, 1), hot.astype(given.dtype)), 0, 1)


def _by_class(given: Value, labels: Value, shape: tuple[int, ...]) -> Value:
    """The sums over equal labels: (T, N, S) -> (T, N, C)."""
    first = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], 1) * shape[2]
    places = (first + labels).reshape(-1)
    size = shape[0] * shape[1] * shape[2]
    return np.bincount(places, given.reshape(-1), size).astype(given.dtype).reshape(shape)


op(
    "nn.ctc_loss",
    _ctc_loss,
    "log_probs targets input_lengths target_lengths",
    residuals={"forwards": None, "totals": None, "layout": None},
    log_probs=_ctc_pull,
)
