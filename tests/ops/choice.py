"""Cases of `engine.ops.choice`."""

import numpy as np

from tests.ops.arithmetic import binary
from tests.ops.case import MASK, Case, call

MANY = np.random.default_rng(3).random((90, 50)) < 0.5
NAN, INF = float("nan"), float("inf")


def of_tensors(name):
    return lambda torch, a, b: getattr(torch, name)(torch.as_tensor(a), torch.as_tensor(b))


def bounded(x, low, high):
    return np.minimum(
        np.maximum(x, -np.inf if low is None else low), np.inf if high is None else high
    )


EXTREMES = tuple(
    binary(
        name,
        function,
        torch=of_tensors(name),
    )
    for name, function in {
        "maximum": np.maximum,
        "minimum": np.minimum,
        "fmax": np.fmax,
        "fmin": np.fmin,
    }.items()
)

CONDITIONS = (
    Case(
        "where",
        (
            call(MASK, (2, 3), (2, 3)),
            call(MASK, (3,), (2, 1)),
            call(MASK, (), 0.5),
            call(MASK[:, :1], (2, 1), (1, 3)),
            call(MASK[:0], (3,), (0, 3)),
            call(MASK, (2, 3), (3,), cplx=True),
            call(MASK, (2, 3), 0.5, cplx=True),
        ),
        np.where,
        lambda torch, c, x, y: torch.where(c, x, y),
    ),
    Case(
        "masked_fill",
        (
            call((2, 3), MASK, 0.5),
            call((2, 3), MASK, -INF, peer=False),
            call((3,), MASK, ()),
            call((2, 3), MASK[:, :1], ()),
            call((0, 3), MASK[:0], 1.5),
            call((2, 3), MASK, 0.5, cplx=True),
        ),
        lambda x, mask, value: np.where(mask, value, x),
        lambda torch, x, mask, value: torch.masked_fill(x, mask, value),
        after=lambda out: out.clip(-9, 9) if out.dtype in (np.float32, np.float64) else out,
    ),
    Case(
        "numpy.select",
        (call(MASK, ~MASK, (2, 3), (3,), ()), call(MASK, MASK, (2, 3), (2, 1), 0.5)),
        np.select,
        before=lambda c, d, x, y, default: ([c, d & c], [x, y], default),
    ),
    Case(
        "choose",
        (
            call(np.array([[0, 1, 1], [1, 0, 0]]), (2, 3), (3,)),
            call(np.array([5, -1, 1]), (2, 3), (3,), mode="wrap"),
            call(np.array([5, -1, 1]), (2, 3), (), mode="clip"),
            call(np.array(1), (2, 3), (3,), cplx=True),
        ),
        np.choose,
        before=lambda which, x, y: (which, [x, y]),
    ),
)

BOUNDS = (
    Case(
        "clip",
        (
            call((3, 4), -0.5, 0.7),
            call((3, 4), None, 0.7),
            call((3, 4), -0.5, None),
            call((2, 4), np.array([-1.0, 0.0, 0.0, 0.5]), 0.7),
            call((3, 4), (4,), None),
            call((3, 4), None, (3, 1)),
            call((3, 4), (3, 4), (4,)),
            call((), -0.5, 0.7),
            call((0, 3), -0.5, 0.7),
        ),
        bounded,
        lambda torch, x, low, high: torch.clamp(
            x,
            torch.as_tensor(low) if isinstance(high, torch.Tensor) and low is not None else low,
            torch.as_tensor(high) if isinstance(low, torch.Tensor) and high is not None else high,
        ),
        kinks=(-0.5, 0.7),
    ),
    Case(
        "nan_to_num",
        (
            call((2, 3)),
            call((2, 3), nan=0.5, posinf=3.0, neginf=-3.0),
            call(()),
            call((0, 3)),
        ),
        np.nan_to_num,
        lambda torch, x, **keywords: torch.nan_to_num(x, **keywords),
    ),
)
