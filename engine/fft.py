"""Fourier transforms: ``numpy.fft`` and ``torch.fft`` over the op table.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

import numpy as _np

from .creation import DEFAULT_DTYPE as _DEFAULT_DTYPE
from .creation import tensor as _tensor
from .surface import namespace as _namespace
from .tensor import Tensor as _Tensor

if _TYPE_CHECKING:

    def __getattr__(name: str) -> _Any: ...  # the functions of the op table


def fftfreq(n: int, d: float = 1.0, *, dtype: _Any = None) -> _Tensor:
    """The frequencies of ``fft`` for ``n`` samples ``d`` apart; float32 if no ``dtype`` is given.

    >>> fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return _tensor(_np.fft.fftfreq(n, d), dtype=dtype or _DEFAULT_DTYPE)


def rfftfreq(n: int, d: float = 1.0, *, dtype: _Any = None) -> _Tensor:
    """The frequencies of ``rfft`` for ``n`` samples ``d`` apart; float32 if no ``dtype`` is given.

    >>> rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _tensor(_np.fft.rfftfreq(n, d), dtype=dtype or _DEFAULT_DTYPE)


_FUNCTIONS = _namespace("fft.")
globals().update(_FUNCTIONS)

__all__ = sorted(["fftfreq", "rfftfreq", *_FUNCTIONS])
