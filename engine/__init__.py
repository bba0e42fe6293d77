"""A gradient engine for NumPy that many threads can drive at once, with Hogwild at its heart."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from . import autograd as autograd
from . import errors as errors
from . import fft as fft
from . import func as func
from . import hogwild as hogwild
from . import linalg as linalg
from . import nn as nn
from . import optim as optim
from . import scipy as scipy
from . import special as special
from . import sync as sync
from .autograd import backward as backward
from .autograd import grad as grad
from .checkpointing import checkpoint as checkpoint
from .creation import arange as arange
from .creation import eye as eye
from .creation import fork_rng as fork_rng
from .creation import from_dlpack as from_dlpack
from .creation import from_numpy as from_numpy
from .creation import full as full
from .creation import full_like as full_like
from .creation import manual_seed as manual_seed
from .creation import ones as ones
from .creation import ones_like as ones_like
from .creation import rand as rand
from .creation import rand_like as rand_like
from .creation import randn as randn
from .creation import randn_like as randn_like
from .creation import tensor as tensor
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .modes import enable_grad as enable_grad
from .modes import inference_mode as inference_mode
from .modes import is_grad_enabled as is_grad_enabled
from .modes import is_inference_mode_enabled as is_inference_mode_enabled
from .modes import no_grad as no_grad
from .modes import set_grad_enabled as set_grad_enabled
from .runtime.accumulate import Pending as Pending
from .runtime.accumulate import Tickets as Tickets
from .runtime.accumulate import accumulation as accumulation
from .runtime.accumulate import current_tickets as current_tickets
from .runtime.accumulate import set_accumulation as set_accumulation
from .runtime.handle import Handle as Handle
from .runtime.observe import Observer as Observer
from .runtime.observe import observe as observe
from .runtime.pool import WorkerPool as WorkerPool
from .runtime.pool import set_num_workers as set_num_workers
from .runtime.stats import Stats as Stats
from .runtime.stats import measuring as measuring
from .runtime.stats import stats as stats
from .runtime.submit import as_completed as as_completed
from .runtime.submit import submit as submit
from .runtime.submit import wait as wait
from .runtime.trace import Trace as Trace
from .sparse import RowSparse as RowSparse
from .surface import FUNCTIONS as _FUNCTIONS
from .tensor import Tensor as Tensor

if _TYPE_CHECKING:

    def __getattr__(name: str) -> _Any: ...  # the functions of the op table


globals().update(_FUNCTIONS)  # engine.exp, engine.sum, ...: a row in the table is all that it takes

__version__ = "0.1.0"

_NAMES = """
Handle Observer Pending RowSparse Stats Tensor Tickets Trace WorkerPool accumulation arange
as_completed autograd backward checkpoint current_tickets enable_grad errors eye fft fork_rng
from_dlpack from_numpy full full_like func grad hogwild inference_mode is_grad_enabled
is_inference_mode_enabled linalg manual_seed measuring nn no_grad observe ones ones_like optim
rand rand_like randn randn_like scipy set_accumulation set_grad_enabled set_num_workers special
stats submit sync tensor wait zeros zeros_like
"""
__all__ = sorted([*_NAMES.split(), *_FUNCTIONS])
