"""Cases of `engine.ops.scipy_linalg`, and of the convolution of more axes."""

from typing import Any

import numpy as np

from tests.ops.case import Case, call


def _scipys(part: str, name: str) -> Any:
    def function(*args: Any, **keywords: Any) -> Any:
        import scipy

        return getattr(getattr(scipy, part), name)(*args, **keywords)

    return function


def _dominant(x: Any) -> Any:
    """A matrix with eigenvalues to the right of 1, not symmetric."""
    return x * 0.3 + np.eye(x.shape[0], dtype=x.dtype) * 3


def _banded(l_and_u: Any, ab: Any, b: Any) -> tuple[Any, Any, Any]:
    """Diagonals, the main one heavy."""
    heavy = np.zeros(ab.shape, ab.dtype)
    heavy[l_and_u[1]] = 8
    return l_and_u, ab + heavy, b


def _solve_banded(l_and_u: Any, ab: Any, b: Any) -> Any:
    return _scipys("linalg", "solve_banded")(tuple(l_and_u), ab, b)


MODES = ("full", "same", "valid")

MATRICES = (
    Case(
        "linalg.sqrtm",
        (call((3, 3)), call((1, 1)), call((2, 2), cplx=True)),
        _scipys("linalg", "sqrtm"),
        before=lambda x: (_dominant(x),),
        needs="scipy",
    ),
    Case(
        "linalg.solve_sylvester",
        (call((3, 3), (2, 2), (3, 2)), call((2, 2), (2, 2), (2, 2), cplx=True)),
        _scipys("linalg", "solve_sylvester"),
        before=lambda a, b, q: (_dominant(a), _dominant(b), q),
        needs="scipy",
    ),
    Case(
        "linalg.solve_banded",
        (
            call(np.array([1, 1]), (3, 4), (4,)),
            call(np.array([2, 1]), (4, 5), (5, 2)),
            call(np.array([0, 1]), (2, 4), (4,)),
            call(np.array([1, 1]), (3, 4), (4,), cplx=True),
        ),
        _solve_banded,
        before=_banded,
        needs="scipy",
    ),
    Case(
        "scipy.signal.convolve",
        (
            call((5,), (3,)),
            *(call((4, 5), (3, 2), mode=mode) for mode in MODES),
            call((2, 3), (4, 5), mode="valid"),
            call((2, 3), (3, 2), mode="same"),
            call((3, 4), (2, 2), cplx=True),
        ),
        _scipys("signal", "convolve"),
        needs="scipy",
    ),
)
