"""A trap on ``.grad``: records every access, so that "never touched" is seen and not inferred.

Looking at ``.grad`` afterwards would miss a write that was undone, and every read.
"""

from __future__ import annotations

from collections import Counter
from inspect import getattr_static
from types import TracebackType
from typing import Any

import engine

__all__ = ["GradTrap"]


class GradTrap:
    """Record accesses to the ``grad`` of all tensors, in all threads, for a ``with`` block.

    Two nets: the ``grad`` property of ``Tensor``, and the engine's hook, whose points ``grad.*``
    tell of accumulation that bypasses the property. Process-wide, so externally synchronised: set
    it while no backward runs. ``touched`` is internally synchronised.

    >>> x = engine.tensor([1.0, 2.0], requires_grad=True)
    >>> with GradTrap() as trap:
    ...     _ = engine.grad(x.sum(), [x])
    ...     trap.touched()
    []
    >>> with GradTrap() as trap:
    ...     x.sum().backward()
    ...     trap.touched()
    ['grad.commit']
    """

    def __init__(self) -> None:
        self._seen: list[str] = []  # append-only until cleared; list.append is atomic

    def __enter__(self) -> GradTrap:
        self._property: Any = getattr_static(engine.Tensor, "grad")
        self._owned = "grad" in vars(engine.Tensor)  # or inherited
        self._hook = engine.sync.hook
        engine.sync.hook = self._observe
        # `type.__setattr__`, because mypy refuses a plain assignment to a property.
        type.__setattr__(engine.Tensor, "grad", property(self._read, self._write, self._delete))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._owned:
            type.__setattr__(engine.Tensor, "grad", self._property)
        else:
            type.__delattr__(engine.Tensor, "grad")
        engine.sync.hook = self._hook

    def touched(self) -> list[str]:
        """What was touched since the last call, in the order it was seen."""
        seen, self._seen = self._seen, []
        return list(Counter(seen))

    def _observe(self, point: str, subject: object) -> None:
        if point.startswith("grad."):
            self._seen.append(point)
        if self._hook is not None:
            self._hook(point, subject)

    def _read(self, tensor: Any) -> Any:
        self._seen.append(".grad read")
        return self._property.__get__(tensor)

    def _write(self, tensor: Any, value: Any) -> None:
        self._seen.append(".grad written")
        self._property.__set__(tensor, value)

    def _delete(self, tensor: Any) -> None:
        self._seen.append(".grad deleted")
        self._property.__delete__(tensor)
