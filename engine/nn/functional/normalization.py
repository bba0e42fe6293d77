"""Normalisation. Variances are biased where they normalise, unbiased where they are kept.

Each function reads its inputs: internally synchronised. ``batch_norm`` and ``instance_norm`` also
write running statistics: one batch at a time, so none is lost; who reads them meanwhile may see one
of the two written and the other not: racy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import sync
from ...errors import ArgumentError, ShapeError
from ...ops import COMPOSED, OPS
from ...tensor import Tensor, call, record
from ...values import Shape

_LAYER, _RMS, _BATCH = OPS["nn.layer_norm"], OPS["nn.rms_norm"], OPS["nn.batch_norm"]

_statistics = sync.process_lock()  # guards all running statistics: held for a few assignments


def _axes(name: str, input: Any, normalized_shape: Any) -> int:
    one = isinstance(normalized_shape, int | np.integer)
    shape = (int(normalized_shape),) if one else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{name}: normalized_shape={shape} must be the last axes of the input's {input.shape}"
        )
    return len(shape)


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """The last axes, of ``normalized_shape``, to mean 0 and variance 1; times weight, plus bias.

    Raises ``ShapeError`` where shapes do not fit.

    >>> import engine
    >>> layer_norm(engine.tensor([[1.0, 3.0], [2.0, 8.0]]), 2)
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    axes = _axes("layer_norm", input, normalized_shape)
    return record(_LAYER, (input, weight, bias), {"axes": axes, "eps": eps})


def rms_norm(
    input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Tensor:
    """The last axes divided by the root of the mean of their squares; times weight.

    ``eps`` is added to that mean: None for the smallest number that changes 1 in this dtype.

    >>> import engine
    >>> rms_norm(engine.tensor([[3.0, 3.0]]), 2)
    tensor([[1., 1.]])
    """
    axes = _axes("rms_norm", input, normalized_shape)
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return record(_RMS, (input, weight), {"axes": axes, "eps": eps})


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    num_batches_tracked: Any = None,
) -> Tensor:
    """Each channel of (N, C, ...) to mean 0 and variance 1; times weight (C,), plus bias (C,).

    ``training``: by the batch's own mean and variance, and the running ones, if given, move towards
    them in place, by ``momentum``; ``num_batches_tracked`` counts the batches, and with a momentum
    of None the running ones are the means of all. Else by the running ones, as constants.

    The running statistics are Tensors or ndarrays without a gradient; writes to them are not
    counted as versions. Raises ``ShapeError`` where shapes do not fit, or for one element a
    channel, ``ArgumentError`` for running statistics that are needed and missing.

    >>> import engine
    >>> mean, var = engine.zeros(1), engine.ones(1)
    >>> batch_norm(engine.tensor([[1.0], [3.0]]), mean, var, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    >>> mean, var
    (tensor([0.2000]), tensor([1.1000]))
    """
    if not training:
        return _fixed("batch_norm", input, running_mean, running_var, weight, bias, eps)
    size = int(np.prod(input.shape)) // max(input.shape[1] if len(input.shape) > 1 else 1, 1)
    if size == 1:
        raise ShapeError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )

    def observe(mean: np.ndarray, var: np.ndarray, count: int) -> None:
        unbiased = var * (count / max(count - 1, 1))
        _move(running_mean, running_var, mean, unbiased, momentum, num_batches_tracked)

    options = {"eps": eps, "observe": None if running_mean is None else observe}
    return record(_BATCH, (input, weight, bias), options)


def _fixed(
    name: str, input: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float
) -> Tensor:
    if mean is None or variance is None:
        raise ArgumentError(f"{name}: without training, running_mean and running_var are needed")
    row = COMPOSED["nn.batch_norm_running"]
    inputs = (input, _array(mean), _array(variance), weight, bias)
    made: Tensor = call(row, inputs, {"eps": eps})
    return made


def _array(x: Any) -> np.ndarray:
    return x._data if isinstance(x, Tensor) else x


def _move(
    running_mean: Any,
    running_var: Any,
    mean: np.ndarray,
    var: np.ndarray,
    momentum: float | None,
    tracked: Any,
) -> None:
    """Move running statistics towards those of a batch. Internally synchronised."""
    with _statistics:
        if tracked is not None:
            _array(tracked)[...] += 1
        part = 1 / max(float(_array(tracked)), 1) if momentum is None else momentum
        for running, new in ((_array(running_mean), mean), (_array(running_var), var)):
            running[...] = running * (1 - part) + new * part


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """The channels of (N, C, ...) in groups, each to mean 0 and variance 1 in each example.

    >>> import engine
    >>> group_norm(engine.tensor([[1.0, 3.0, 2.0, 8.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    options = {"groups": num_groups, "eps": eps}
    made: Tensor = call(COMPOSED["nn.group_norm"], (input, weight, bias), options)
    return made


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each example of (N, C, ...) to mean 0 and variance 1.

    Running statistics move as those of ``batch_norm`` do, towards the means over the batch; without
    ``use_input_stats`` they are what normalises.

    >>> import engine
    >>> instance_norm(engine.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    if not use_input_stats:
        return _fixed("instance_norm", input, running_mean, running_var, weight, bias, eps)
    made = group_norm(input, input.shape[1], weight, bias, eps)
    if running_mean is not None:
        x = _array(input)
        axes: Shape = tuple(range(2, x.ndim))
        mean, var = x.mean(axes).mean(0), x.var(axes, ddof=1).mean(0)
        _move(running_mean, running_var, mean, var, momentum, None)
    return made
