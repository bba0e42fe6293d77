"""``torch.autograd.function``'s names."""

from ..function import Function as Function
from ..function import FunctionCtx as FunctionCtx
from ..function import once_differentiable as once_differentiable
