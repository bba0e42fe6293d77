"""What the tests of Functions share: one body, run against the engine and against PyTorch."""

from types import SimpleNamespace
from typing import Any

import pytest

import engine
from engine.function import Function, once_differentiable

ENGINE: Any = SimpleNamespace(
    name="engine",
    Function=Function,
    once_differentiable=once_differentiable,
    backward=engine.backward,
    float64="float64",
    grad=engine.grad,
    is_grad_enabled=engine.is_grad_enabled,
    no_grad=engine.no_grad,
    enable_grad=engine.enable_grad,
    ones=engine.ones,
    tensor=engine.tensor,
)


def torch_lib() -> Any:
    """The same names in PyTorch; skips the test where that is not installed."""
    torch = pytest.importorskip("torch")
    return SimpleNamespace(
        name="torch",
        Function=torch.autograd.Function,
        once_differentiable=torch.autograd.function.once_differentiable,
        backward=torch.autograd.backward,
        float64=torch.float64,
        grad=torch.autograd.grad,
        is_grad_enabled=torch.is_grad_enabled,
        no_grad=torch.no_grad,
        enable_grad=torch.enable_grad,
        ones=torch.ones,
        tensor=torch.tensor,
    )


def leaf(lib: Any, *values: float) -> Any:
    """A vector that requires a gradient."""
    return lib.tensor(list(values), requires_grad=True)


def define(lib: Any, forward: Any, backward: Any = None, name: str = "Custom", **more: Any) -> Any:
    """A Function made of functions."""
    body = {"forward": staticmethod(forward)}
    if backward is not None:
        body["backward"] = staticmethod(backward)
    body |= {key: staticmethod(method) for key, method in more.items()}
    return type(name, (lib.Function,), body)


def exp(lib: Any) -> Any:
    """The exponential, which saves its output."""

    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y

    return define(lib, forward, backward, "Exp")
