"""Modules that hold others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import OperandError
from .module import Module


class _Numbered(Module):
    """Children under the names 0, 1, 2, ..."""

    def __init__(self, modules: Iterable[Module]) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Any:
        """Add one at the end."""
        if not isinstance(module, Module):
            raise OperandError(
                f"{type(self).__name__} holds Modules, not {type(module).__name__}: "
                "a function becomes one in a class with forward()"
            )
        self._modules[str(len(self._modules))] = module
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int) -> Module:
        return list(self._modules.values())[index]


class Sequential(_Numbered):
    """One after the other, as ``torch.nn.Sequential``. Internally synchronised if its parts are.

    >>> import engine
    >>> from engine import nn
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> net(engine.ones(5, 3)).shape
    (5, 2)
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        """The last module's answer to that of the one before, and so on."""
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(_Numbered):
    """A list whose modules are registered. It computes nothing itself."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__(modules)


class ModuleDict(Module):
    """A dict whose modules are registered. It computes nothing itself."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise OperandError(f"ModuleDict holds Modules, not {type(module).__name__}")
        self._modules[name] = module

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules
