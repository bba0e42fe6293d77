"""Module: parameters with names. After ``torch.nn.Module``, cut down to what training needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from ..creation import tensor
from ..errors import ArgumentError, OperandError, ShapeError
from ..tensor import Tensor


def Parameter(data: Any, requires_grad: bool = True) -> Tensor:
    """``data`` as a leaf that requires a gradient: what a Module registers when it is assigned.

    A Tensor keeps its memory and loses its history; anything else is copied into float32, as by
    ``engine.tensor``. A function, not a class: a parameter is an ordinary Tensor.
    """
    made = data.detach() if isinstance(data, Tensor) else tensor(data)
    return made.requires_grad_(requires_grad)


class LoadReport(NamedTuple):
    """What ``load_state_dict(strict=False)`` did not find: names. Immutable."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of layers and models: assign Tensors and Modules to attributes, write ``forward``.

    A leaf that requires a gradient becomes a parameter, another Module a child, and
    ``register_buffer`` names a Tensor that is saved and not trained. Registration, ``train()`` and
    ``load_state_dict`` are externally synchronised: do them before threads begin, or between steps.
    Calling a module reads parameters and writes none, so any number of threads may call it at once:
    internally synchronised. A layer that writes in ``forward`` says so.

    >>> import engine
    >>> from engine import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 8)
    ...         self.out = nn.Linear(8, 2)
    ...
    ...     def forward(self, x):
    ...         return self.out(nn.functional.relu(self.hidden(x)))
    >>> net = Net()
    >>> [name for name, _ in net.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    >>> net(engine.ones(3, 4)).shape
    (3, 2)
    """

    training: bool

    # Names in order of assignment. Externally synchronised, as everything that is not called.
    _parameters: dict[str, Tensor | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module]

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, {})
        self.training = True

    # -- registration ------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise OperandError(
                f"{type(self).__name__}: call super().__init__() before attributes are assigned"
            )
        kept = self._table_for(name, value)
        for table in (self._parameters, self._buffers, self._modules):
            if table is not kept:
                table.pop(name, None)
        if kept is None:
            object.__setattr__(self, name, value)
        else:
            self.__dict__.pop(name, None)
            kept[name] = value

    def _table_for(self, name: str, value: Any) -> dict[str, Any] | None:
        """The table that an attribute belongs to; None for an ordinary one."""
        if isinstance(value, Module):
            return self._modules
        if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
            return self._parameters
        if name in self._buffers and (value is None or isinstance(value, Tensor)):
            return self._buffers
        if name in self._parameters and (value is None or isinstance(value, Tensor)):
            return self._parameters  # a frozen one, or one taken out
        return None

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table, {})
            if name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                return
        object.__delattr__(self, name)

    def register_parameter(self, name: str, parameter: Tensor | None) -> None:
        """Name a parameter; None keeps the name for one that this instance does without."""
        if parameter is not None and not (isinstance(parameter, Tensor) and parameter.is_leaf):
            raise OperandError(f"register_parameter: {name!r} must be a leaf Tensor or None")
        self.__dict__.pop(name, None)
        self._parameters[name] = parameter

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Name a Tensor that is saved and loaded with the parameters, and not trained."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise OperandError(f"register_buffer: {name!r} must be a Tensor or None")
        self.__dict__.pop(name, None)
        self._buffers[name] = tensor

    # -- what it is made of ------------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        """The modules assigned to it."""
        return iter(self._modules.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """It and all below it, each once, with dotted names; its own name is ``prefix``."""
        seen: set[Module] = set()
        waiting = [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            if module not in seen:
                seen.add(module)
                yield name, module
                below = [(f"{name}.{n}" if name else n, m) for n, m in module._modules.items()]
                waiting += reversed(below)

    def modules(self) -> Iterator[Module]:
        """It and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _named(self, table: str, prefix: str) -> Iterator[tuple[str, Tensor]]:
        seen = set()
        for name, module in self.named_modules(prefix):
            for key, value in getattr(module, table).items():
                if value is not None and value not in seen:
                    seen.add(value)
                    yield f"{name}.{key}" if name else key, value

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its dotted name; one that is shared, under its first name alone."""
        return self._named("_parameters", prefix)

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its dotted name."""
        return self._named("_buffers", prefix)

    def buffers(self) -> Iterator[Tensor]:
        """Every buffer, each once."""
        return (buffer for _, buffer in self.named_buffers())

    # -- modes and gradients -----------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Behave as in training, here and below: dropout drops, statistics are of the batch."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Behave as in use: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze its parameters, or thaw them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """``zero_grad`` of every parameter, each atomic."""
        for parameter in self.parameters():
            if parameter.requires_grad:
                parameter.zero_grad(set_to_none)

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call ``function`` with every module below it, then with it: to initialise, say."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # -- state -------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}" if name else key: value
            for name, module in self.named_modules()
            for key, value in {**module._parameters, **module._buffers}.items()
            if value is not None
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, detached: they share memory with the module.

        What threads write meanwhile shows; for values that nobody tears see
        ``engine.hogwild.snapshot``.
        """
        return {name: value.detach() for name, value in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Copy values **in place**: a thread or an optimiser that holds the parameters goes on.

        ``state``: names to Tensors or arrays of the same shapes, cast to the dtypes here.
        ``strict``: every name must be there, and no other. Everything is checked before anything
        is written: raises ``ShapeError`` or ``ArgumentError``, and then nothing has changed.
        """
        mine = self._state()
        report = LoadReport(
            [n for n in mine if n not in state], [n for n in state if n not in mine]
        )
        if strict and (report.missing_keys or report.unexpected_keys):
            raise ArgumentError(
                f"load_state_dict: {type(self).__name__} misses {report.missing_keys} and does not "
                f"know {report.unexpected_keys}; strict=False loads the rest"
            )
        arrays = {name: _array(name, state[name]) for name in mine if name in state}
        wrong = [
            f"{name} has shape {array.shape}, here {mine[name].shape}"
            for name, array in arrays.items()
            if array.shape != mine[name].shape
        ]
        if wrong:
            raise ShapeError(f"load_state_dict: {'; '.join(wrong)}")
        for name, array in arrays.items():
            mine[name].data.copy_(array)
        return report

    # -- calling -----------------------------------------------------------------------------------

    def forward(self, *args: Any, **keywords: Any) -> Any:
        """What the module computes: written by each subclass."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(): write one")

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.forward(*args, **keywords)

    def extra_repr(self) -> str:
        """What stands in the brackets of its ``repr``."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {module!r}" for name, module in self._modules.items()]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        inner = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {inner}\n)"


def _array(name: str, value: Any) -> np.ndarray:
    array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise OperandError(f"load_state_dict: {name} is no numeric array but {array.dtype}")
    return array
