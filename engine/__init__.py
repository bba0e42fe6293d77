"""A gradient engine for NumPy that many threads can drive at once, with Hogwild at its heart."""

from . import autograd as autograd
from . import errors as errors
from . import hogwild as hogwild
from . import nn as nn
from . import optim as optim
from . import sync as sync
from .autograd import backward, grad
from .creation import (
    arange,
    from_numpy,
    full,
    full_like,
    manual_seed,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    tensor,
    zeros,
    zeros_like,
)
from .modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .runtime.accumulate import accumulation, set_accumulation
from .runtime.pool import WorkerPool, set_num_workers
from .surface import FUNCTIONS as _FUNCTIONS
from .tensor import Tensor

globals().update(_FUNCTIONS)

__version__ = "0.1.0"
__all__ = sorted(
    {
        *_FUNCTIONS,
        "Tensor", "WorkerPool", "accumulation", "arange", "autograd", "backward", "enable_grad",
        "errors", "from_numpy", "full", "full_like", "grad", "hogwild", "is_grad_enabled",
        "manual_seed", "nn", "no_grad", "ones", "ones_like", "optim", "rand", "rand_like", "randn",
        "randn_like", "set_accumulation", "set_grad_enabled", "set_num_workers", "sync", "tensor",
        "zeros", "zeros_like",
    }
)
