"""Cases of `engine.ops.softmax`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import Case, call
from tests.ops.reduce import reduction

ONE_AXIS = (
    call((3, 4)),
    call((3, 4), axis=0),
    call((2, 3, 2), axis=-2),
    call((100, 3)),
    call(()),
    call((0, 3)),
)


def along(name: str, function: Callable[..., Any]) -> Case:
    peer = lambda torch, x, axis=-1: getattr(torch, name)(x, dim=axis)  # noqa: E731
    return Case(name, (*ONE_AXIS, call((2, 3), axis=(0, 1), peer=False)), function, peer)


def softmax(x, axis=-1):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


SOFTMAX = (
    reduction(
        "logsumexp", lambda x, **keywords: np.log(np.sum(np.exp(x), **keywords)), call((100, 3))
    ),
    along("softmax", softmax),
    along("log_softmax", lambda x, axis=-1: np.log(softmax(x, axis))),
)
