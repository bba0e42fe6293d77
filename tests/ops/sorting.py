"""Cases of `engine.ops.sorting`."""

from typing import Any

import numpy as np

from tests.ops.case import Case, call, constant

NUMBERS = np.array([[3.0, 1.0, 3.0], [1.0, 5.0, 4.0]])
SORTED = np.array([1.0, 2.0, 2.0, 5.0])
SORTS = (call((5,)), call((3, 4)), call((3, 4), axis=0), call((2, 3, 2), axis=1), call((0, 3)))


def _sort(x, axis=-1, descending=False):
    found = np.sort(x, axis=axis)
    return np.flip(found, -1 if axis is None else axis) if descending else found


def _torch_sort(torch, x, axis=-1, **keywords):
    return torch.sort(x, dim=axis, stable=True, **keywords).values


def _topk(x, k, axis=-1, largest=True):
    found = np.sort(x, axis=axis)
    found = np.flip(found, axis) if largest else found
    return [np.take(found, range(k), axis=axis)]


def _kthvalue(x, k, axis=-1, keepdims=False):
    found = np.take(np.sort(x, axis=axis), [k - 1], axis=axis)
    return [found if keepdims else found.squeeze(axis)]


def _partition(x, kth, axis=-1):
    order = np.argpartition(x, kth, axis=axis)
    return np.take_along_axis(x if axis is not None else x.reshape(-1), order, axis)


def _values(found: Any) -> Any:
    return found[0]


SORTING = (
    Case(
        "sort",
        (
            *SORTS,
            call((3, 4), descending=True),
            call((3, 4), axis=None, peer=False),
            call((3, 4), axis=None, descending=True, peer=False),
        ),
        _sort,
        _torch_sort,
    ),
    Case("msort", (call((5,)), call((3, 4))), lambda x: np.sort(x, 0), lambda torch, x: x.msort()),
    Case(
        "partition",
        (call((7,), kth=3), call((3, 4), kth=1, axis=0), call((3, 4), kth=(2, 5), axis=None)),
        _partition,
    ),
    Case(
        "topk",
        (
            call((5,), k=2),
            call((3, 4), k=3, axis=0),
            call((3, 4), k=4),
            call((3, 4), k=1, largest=False),
            call((3, 4), k=0),
        ),
        _topk,
        lambda torch, x, k, axis=-1, **keywords: torch.topk(x, k, dim=axis, **keywords),
        after=_values,
    ),
    Case(
        "kthvalue",
        (
            call((5,), k=2),
            call((3, 4), k=3, axis=0),
            call((3, 4), k=1, keepdims=True),
        ),
        _kthvalue,
        lambda torch, x, k, axis=-1, keepdims=False: torch.kthvalue(x, k, axis, keepdims),
        after=_values,
    ),
    constant(
        "argsort",
        lambda x, axis=-1, descending=False: np.argsort(
            -x if descending else x, axis=axis, kind="stable"
        ),
        call(NUMBERS),
        call(NUMBERS, axis=0),
        call(NUMBERS, axis=None),
        call(NUMBERS, descending=True),
    ),
    constant(
        "searchsorted",
        lambda a, v, right=False, **keywords: np.searchsorted(
            a, v, **({"side": "right"} if right else keywords)
        ),
        call(SORTED, NUMBERS),
        call(SORTED, 2.0, side="right"),
        call(SORTED, 2.0, right=True),
    ),
    Case("unique", (call((2, 3)), call((2, 3), axis=1)), np.unique),
    Case(
        "unique_all",
        (call((2, 3)), call((3, 2), axis=0), call((3, 2), axis=-1)),
        lambda x, axis=None: np.unique(x, return_index=True, axis=axis),
        after=_values,
    ),
)
