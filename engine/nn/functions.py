"""Activations and losses as modules: each calls the function of ``functional`` with its options."""

from __future__ import annotations

from inspect import signature
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Calls(Module):
    """A function with its options, given in its order or by name. Internally synchronised."""

    function: str
    inputs: int  # how many arguments come with the call, before the options

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        names = list(signature(getattr(F, self.function)).parameters)[self.inputs :]
        self.options = dict(zip(names, args, strict=False)) | options
        unknown = sorted(self.options.keys() - set(names))
        if unknown or len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes ({', '.join(names)}), got {unknown}")

    def forward(self, *inputs: Any) -> Tensor:
        """What the function says."""
        made: Tensor = getattr(F, self.function)(*inputs, **self.options)
        return made

    def extra_repr(self) -> str:
        """Its options."""
        return ", ".join(f"{name}={value}" for name, value in self.options.items())


def _of(name: str, function: str, inputs: int) -> Any:
    about = f"``functional.{function}`` as a module: see there. Internally synchronised."
    return type(name, (_Calls,), {"function": function, "inputs": inputs, "__doc__": about})


ReLU = _of("ReLU", "relu", 1)
LeakyReLU = _of("LeakyReLU", "leaky_relu", 1)
ELU = _of("ELU", "elu", 1)
GELU = _of("GELU", "gelu", 1)
SiLU = _of("SiLU", "silu", 1)
Softplus = _of("Softplus", "softplus", 1)
Sigmoid = _of("Sigmoid", "sigmoid", 1)
Tanh = _of("Tanh", "tanh", 1)
Softmax = _of("Softmax", "softmax", 1)
LogSoftmax = _of("LogSoftmax", "log_softmax", 1)

MSELoss = _of("MSELoss", "mse_loss", 2)
L1Loss = _of("L1Loss", "l1_loss", 2)
HuberLoss = _of("HuberLoss", "huber_loss", 2)
CrossEntropyLoss = _of("CrossEntropyLoss", "cross_entropy", 2)
NLLLoss = _of("NLLLoss", "nll_loss", 2)
BCELoss = _of("BCELoss", "binary_cross_entropy", 2)
BCEWithLogitsLoss = _of("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", 2)
KLDivLoss = _of("KLDivLoss", "kl_div", 2)
