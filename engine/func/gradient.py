"""``grad`` and ``value_and_grad``: a function in, the function of its gradient out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from ..errors import ArgumentError, NoGraphError, OperandError
from ..tensor import Tensor
from .arguments import PositionError, checked_positions, kind, label, located
from .containers import leaves, sketch
from .trace import OutputError, Trace, check_scalar, ones_for, refilled, split_pair, trace_positions

_WAYS_OUT = (
    "call .sum(), use jacrev for the whole Jacobian, vjp for a combination of its rows, or spell "
    "it grad_position= to differentiate the sum of all elements"
)

Weights = Tensor | Iterable[Tensor] | Mapping[str, Tensor]


def grad(
    fn: Callable[..., Any],
    grad_position: int | tuple[int, ...] | None = 0,
    weights: Weights | None = None,
    has_aux: bool = False,
    return_ids: bool = False,
    *,
    argnums: int | tuple[int, ...] | None = None,
) -> Callable[..., Any]:
    """The function that computes the gradient of ``fn`` with respect to some of its arguments.

    It takes what ``fn`` takes. The chosen positional arguments may be Tensors, ndarrays and floats,
    and dicts, lists, tuples and namedtuples of these; gradients come in the same containers.
    Keyword arguments are never differentiated. An int chooses one argument and gives one gradient;
    a tuple gives a tuple, also ``(0,)``. What ``fn`` does not depend on has gradient zero.

    The spelling decides between two conventions:

    * ``grad_position`` is MindSpore's, and the default. Positions count from 0. ``fn`` may return
      any shape, and several tensors: the gradient is that of the sum of all elements. With
      ``has_aux`` it returns ``(loss, aux, ...)`` and the result is ``(gradient, (aux, ...))``.
    * ``argnums`` is JAX's. Positions may be negative. ``fn`` must return a scalar. With
      ``has_aux`` it returns ``(loss, aux)`` and the result is ``(gradient, aux)``.

    ``weights``: tensors that ``fn`` uses without being passed them: one, several, or a dict by
    name. The result is then ``(gradients of arguments, gradients of weights)``, or with
    ``grad_position=None`` those of the weights alone. ``return_ids``: each gradient becomes a pair
    ``(position, gradient)``; of weights ``(name, gradient)``, or ``(weight, gradient)`` without
    names. See ``get_grad``.

    No ``.grad`` and no flag of the caller's tensors changes: what is differentiated are aliases.
    So any number of threads may call it at once, on shared arguments: internally synchronised. The
    result carries history where it depends on other tensors that require a gradient (a network's
    parameters, say, or what a transform around this one differentiates), unless the caller is in
    ``no_grad``. ``weights`` count only for transforms around this one.

    Raises ``PositionError`` (a RuntimeError, TypeError, IndexError and ValueError) for a missing
    argument, ``ArgumentError`` for a repeated one, ``OperandError`` for other than ints,
    ``DTypeError`` for integer arguments, ``NonScalarError``, ``OutputError`` (a RuntimeError,
    TypeError and ValueError) for a function that returns no tensor, or no tuple with ``has_aux``.

    >>> import engine
    >>> engine.func.grad(lambda x: x ** 3)(2.0)
    tensor(12.)
    >>> engine.func.grad(engine.func.grad(lambda x: x ** 3))(2.0)
    tensor(12.)
    >>> z = engine.tensor([1.0], requires_grad=True)
    >>> def net(x, y):
    ...     return engine.matmul(x * z, y)
    >>> x = engine.tensor([[0.5, 0.6, 0.4], [1.2, 1.3, 1.1]])
    >>> y = engine.tensor([[0.01, 0.3, 1.1], [0.1, 0.2, 1.3], [2.1, 1.2, 3.3]])
    >>> engine.func.grad(net)(x, y).detach()
    tensor([[1.4100, 1.6000, 6.6000],
            [1.4100, 1.6000, 6.6000]])
    >>> engine.func.grad(net, None, weights=z)(x, y)
    tensor([15.3370])
    """
    request = _Request.of("grad", fn, grad_position, weights, has_aux, return_ids, argnums)

    @wraps(fn, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        traced, gradients = request.run(args, kwargs)
        return (gradients, traced.shown(traced.aux)) if has_aux else gradients

    return gradient


def value_and_grad(
    fn: Callable[..., Any],
    grad_position: int | tuple[int, ...] | None = 0,
    weights: Weights | None = None,
    has_aux: bool = False,
    return_ids: bool = False,
    *,
    argnums: int | tuple[int, ...] | None = None,
) -> Callable[..., Any]:
    """The function that computes what ``fn`` returns together with its gradient.

    Its result is ``(returned, gradients)``, all that ``fn`` returned, aux included. Everything else
    is as in ``grad``.

    >>> import engine
    >>> engine.func.value_and_grad(lambda w: (w["a"] * w["b"]).sum())({"a": 2.0, "b": 5.0})
    (tensor(10.), {'a': tensor(5.), 'b': tensor(2.)})
    """
    request = _Request.of(
        "value_and_grad", fn, grad_position, weights, has_aux, return_ids, argnums
    )

    @wraps(fn, updated=())
    def both(*args: Any, **kwargs: Any) -> Any:
        traced, gradients = request.run(args, kwargs)
        value, aux = traced.shown(traced.value), traced.shown(traced.aux)
        if not has_aux:
            return value, gradients
        return ((value, aux) if argnums is not None else (value, *aux)), gradients

    return both


def get_grad(gradients: Any, identifier: Any) -> Any:
    """The gradient of one argument or weight, out of what ``return_ids=True`` gave.

    ``identifier``: the argument's position, the weight's name, or the weight itself. Raises
    ``PositionError``, a RuntimeError, if it is not there.

    >>> import engine
    >>> gradients = engine.func.grad(lambda x, y: x * y, (0, 1), return_ids=True)(2.0, 5.0)
    >>> gradients
    ((0, tensor(5.)), (1, tensor(2.)))
    >>> engine.func.get_grad(gradients, 1)
    tensor(2.)
    """
    found = _find(gradients, identifier)
    if found is None:
        shown = kind(identifier) if isinstance(identifier, Tensor) else repr(identifier)
        raise PositionError(
            f"get_grad: no gradient has the id {shown}: ids are positions of arguments and names "
            "of weights, and are there only with return_ids=True"
        )
    return found[1]


def _find(gradients: Any, identifier: Any) -> Any:
    """The pair whose first entry is ``identifier``, or None."""
    if not isinstance(gradients, tuple):
        return None
    if len(gradients) == 2 and _same(gradients[0], identifier):
        return gradients
    return next((pair for part in gradients if (pair := _find(part, identifier))), None)


def _same(found: Any, identifier: Any) -> bool:
    if found is identifier:
        return True
    return type(found) is type(identifier) and isinstance(found, int | str) and found == identifier


@dataclass(frozen=True, slots=True)
class _Request:
    """What ``grad`` was asked for, checked. Immutable."""

    name: str
    fn: Callable[..., Any]
    where: str  # "grad: argnums", for messages
    positions: tuple[int, ...]  # () for weights alone
    one: bool  # a bare int was given
    weights: Any  # None, a Tensor, a tuple, or a dict by name
    has_aux: bool
    return_ids: bool
    scalar: bool  # JAX's convention

    @classmethod
    def of(
        cls,
        name: str,
        fn: Callable[..., Any],
        grad_position: Any,
        weights: Any,
        has_aux: bool,
        return_ids: bool,
        argnums: Any,
    ) -> _Request:
        if not callable(fn):
            raise OperandError(f"{name}: fn must be callable, got {kind(fn)}")
        for key, flag in (("has_aux", has_aux), ("return_ids", return_ids)):
            if not isinstance(flag, bool):
                raise OperandError(f"{name}: {key} must be a bool, got {flag!r}")
        if argnums is not None and grad_position not in (0, None):
            raise ArgumentError(f"{name}: give grad_position or argnums, not both")
        spelling = "argnums" if argnums is not None else "grad_position"
        where, asked = f"{name}: {spelling}", grad_position if argnums is None else argnums
        if asked is None and weights is None:
            raise ArgumentError(
                f"{name}: grad_position and weights can not be None at the same time: "
                "say what to differentiate"
            )
        positions = () if asked is None else checked_positions(where, asked)
        if argnums is None and any(position < 0 for position in positions):
            raise ArgumentError(
                f"{where} must not be negative, got {asked!r}: argnums= counts from the end, too"
            )
        one = not isinstance(asked, list | tuple)
        given = _checked_weights(name, weights)
        return cls(name, fn, where, positions, one, given, has_aux, return_ids, argnums is not None)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Trace, Any]:
        """Run the function; the gradients as they were asked for."""
        positions = located(self.where, self.positions, len(args))
        weights = leaves(self.weights)
        for weight in weights:
            if not weight.requires_grad:
                raise NoGraphError(
                    f"{self.name}: the weight {kind(weight)} does not require grad: make it with "
                    "requires_grad=True before the function uses it"
                )
        traced = trace_positions(
            self.name, self.fn, args, kwargs, positions, split=self._split(), weights=weights
        )
        if self.scalar:
            check_scalar(traced, self.name, self.fn, _WAYS_OUT)
        # Weights may come with a history of the caller's own, which is not ours to release.
        pulled = iter(traced.pull(ones_for(traced.outputs), retain=bool(weights)))
        inputs = refilled([args[position] for position in positions], pulled)
        return traced, self._arranged(positions, inputs, refilled([self.weights], pulled)[0])

    def _arranged(self, positions: list[int], inputs: tuple[Any, ...], weights: Any) -> Any:
        """Gradients in the shape of the request, with ids if it wants them."""
        if self.return_ids:
            inputs = tuple(zip(positions, inputs, strict=True))
            weights = _with_ids(self.weights, weights)
        chosen = inputs[0] if self.one and inputs else inputs
        if self.weights is None:
            return chosen
        return (chosen, weights) if positions else weights

    def _split(self) -> Callable[[Any], tuple[Any, Any]] | None:
        """How to tell what is differentiated from aux."""
        if not self.has_aux:
            return None
        if self.scalar:
            return split_pair(self.name, self.fn)
        return partial(_split_loss, self.name, self.fn)


def _split_loss(name: str, fn: Callable[..., Any], returned: Any) -> tuple[Any, Any]:
    if not isinstance(returned, tuple) or len(returned) < 2:
        raise OutputError(
            f"{name}: with has_aux=True {label(fn)} must return a tuple (loss, aux, ...), got "
            f"{sketch(returned)}"
        )
    return returned[0], returned[1:]


def _checked_weights(name: str, weights: Any) -> Any:
    if weights is None or isinstance(weights, Tensor):
        return weights
    if not isinstance(weights, Iterable):
        raise OperandError(f"{name}: weights must be Tensors, got {kind(weights)}")
    several = dict(weights) if isinstance(weights, Mapping) else tuple(weights)
    for weight in several.values() if isinstance(several, dict) else several:
        if not isinstance(weight, Tensor):
            raise OperandError(f"{name}: weights must be Tensors, got {kind(weight)}")
    return several


def _with_ids(weights: Any, gradients: Any) -> Any:
    if isinstance(weights, dict):
        return tuple(gradients.items())
    if isinstance(weights, tuple):
        return tuple(zip(weights, gradients, strict=True))
    return weights, gradients
