"""Special functions: ``scipy.special`` and ``torch.special`` over the op table; most need SciPy.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .surface import namespace as _namespace

if _TYPE_CHECKING:

    def __getattr__(name: str) -> _Any: ...  # the functions of the op table


_FUNCTIONS = _namespace("special.")
globals().update(_FUNCTIONS)

__all__ = sorted(_FUNCTIONS)
