"""Transforms: functions in, functions of their derivatives out. Nothing of the caller's is written.

Names and conventions are those of ``torch.func``, JAX and MindSpore; where these differ, the
docstrings say which one is followed.
"""

from ..checkpointing import checkpoint
from .arguments import PositionError
from .gradient import get_grad, grad, value_and_grad
from .jacobians import hessian, jacfwd, jacrev
from .products import hvp, jvp, vjp
from .trace import OutputError
from .vectorize import vmap

__all__ = [
    "OutputError",
    "PositionError",
    "checkpoint",
    "get_grad",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "value_and_grad",
    "vjp",
    "vmap",
]
