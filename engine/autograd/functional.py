"""Products with Jacobians and Hessians, and these themselves, under ``torch.autograd``'s names.

The same code as ``engine.func``, with other manners: values in, values out. ``inputs`` is a Tensor
or a tuple of Tensors, and ``func`` returns a Tensor or a tuple of Tensors; results are tuples where
these were. No ``.grad`` and no flag of the caller's tensors changes: internally synchronised.

``create_graph``: results carry history, also through ``inputs`` that require a gradient.
``strict``: raise ``UnusedInputError`` where something is independent of an input, instead of
answering with the zeros that this means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..creation import ones_like
from ..errors import (
    NonScalarError,
    NotSupportedError,
    OperandError,
    ShapeError,
    UnusedInputError,
)
from ..errors import StrategyError as StrategyError
from ..func.arguments import kind
from ..func.jacobians import by_columns, by_rows
from ..func.trace import Trace, alias, materialized, ones_for, pull, recording, trace
from ..tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Tensor | tuple[Tensor, ...]


def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and ``v`` times its Jacobian.

    ``v``: of the output's shape; may be left out where that has one element.

    >>> import engine
    >>> vjp(lambda x: x * x, engine.tensor([1.0, 2.0]), engine.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    traced = _run("vjp", func, inputs, create_graph, strict)
    seeds = _vectors("vjp", v, traced.outputs, "the output of func")
    pulled = pull(traced.outputs, traced.sources, seeds, graph=create_graph)
    product = _filled(pulled, traced.sources, "output", strict, create_graph)
    return traced.shown(traced.value), _unpacked(traced.shown(product), inputs)


def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and its Jacobian times ``v``: two reverse passes, no forward mode.

    ``v``: of the inputs' shape; may be left out for one input of one element.

    >>> import engine
    >>> jvp(lambda x: x * x, engine.tensor([1.0, 2.0]), engine.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    traced = _run("jvp", func, inputs, create_graph, strict)
    tangents = _vectors("jvp", v, traced.sources, "inputs")
    if strict:
        _check_dependent(traced, traced.outputs, create_graph)
    product = tuple(traced.shown(traced.pushing()(tangents)))
    return traced.shown(traced.value), _unpacked(product, traced.value)


def vhp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, which must have one element, and ``v`` times its Hessian.

    >>> import engine
    >>> vhp(lambda x: (x ** 3).sum(), engine.tensor([1.0, 2.0]), engine.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, which must have one element, and its Hessian times ``v``.

    The Hessian is symmetric, so this is ``vhp`` and costs no more.

    >>> import engine
    >>> hvp(lambda x: (x ** 3).sum(), engine.tensor([1.0, 2.0]), engine.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of ``func`` at ``inputs``: of shape ``(*output, *input)``.

    For tuples, ``result[i][j]`` is that of output ``i`` by input ``j``. ``vectorize`` changes
    nothing: rows are computed one after the other. ``strategy="forward-mode"`` goes by columns,
    as ``engine.func.jacfwd``; as in PyTorch it takes ``vectorize=True`` and no ``create_graph``.

    >>> import engine
    >>> jacobian(lambda x: x * x, engine.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy("jacobian", "strategy", strategy, create_graph, vectorize)
    traced = _run("jacobian", func, inputs, create_graph, strict)
    if strict:
        for output in traced.outputs:
            _check_dependent(traced, [output], create_graph)
    blocks = (by_rows if strategy == "reverse-mode" else by_columns)(traced)
    result = tuple(_unpacked(traced.shown(row), inputs) for row in blocks)
    return _unpacked(result, traced.value)


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of ``func``, which must return one element: of shape ``(*input, *input)``.

    For a tuple of inputs, ``result[i][j]`` is the block of inputs ``i`` and ``j``. Options as in
    ``jacobian``.

    >>> import engine
    >>> hessian(lambda x: (x ** 3).sum(), engine.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs: Tensor) -> tuple[Tensor, ...]:
        return _gradient("hessian", func, xs, strict)

    where = "outer_jacobian_strategy"
    _check_strategy("hessian", where, outer_jacobian_strategy, create_graph, vectorize)
    whole = jacobian(
        gradient,
        inputs if isinstance(inputs, tuple) else (inputs,),
        create_graph,
        strict,
        vectorize,
        outer_jacobian_strategy,
    )
    return whole if isinstance(inputs, tuple) else whole[0][0]


# -- how the results come about --------------------------------------------------------------------


def _run(
    name: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool
) -> Trace:
    sources = _tensors(inputs, f"{name}: inputs")
    with recording():
        aliases = [alias(source, create_graph) for source in sources]
    traced = trace(func, aliases, {}, aliases, follow=create_graph)
    _tensors(traced.value, f"{name}: the output of func")
    if strict:
        for index, output in enumerate(traced.outputs):
            if not output.requires_grad:
                raise UnusedInputError(
                    f"{name}: output {index} of func does not require gradients: in strict mode it "
                    "must be computed from the inputs"
                )
    return replace(traced, graph=create_graph)


def _gradient(
    name: str, func: Callable[..., Any], xs: tuple[Tensor, ...], strict: bool
) -> tuple[Tensor, ...]:
    """The gradient of a function of one element, with history."""
    traced = _run(name, func, xs, True, strict)
    return _gradient_of(name, traced, strict)


def _gradient_of(name: str, traced: Trace, strict: bool) -> tuple[Tensor, ...]:
    if not isinstance(traced.value, Tensor) or traced.value.numel() != 1:
        met = ", ".join(map(kind, traced.outputs))
        raise NonScalarError(f"{name}: func must return a single element, got {met}: call .sum()")
    with recording():
        ones = ones_for(traced.outputs)
        pulled = pull(traced.outputs, traced.sources, ones, graph=True)
    return _filled(pulled, traced.sources, "output", strict, True)


def _hessian_product(
    name: str,
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None,
    create_graph: bool,
    strict: bool,
) -> tuple[Any, Any]:
    traced = _run(name, func, inputs, create_graph, strict)
    vectors = _vectors(name, v, traced.sources, "inputs")
    gradient = _gradient_of(name, traced, strict)
    pulled = pull(gradient, traced.sources, vectors, graph=create_graph)
    product = _filled(pulled, traced.sources, "jacobian", strict, create_graph)
    return traced.shown(traced.value), _unpacked(traced.shown(product), inputs)


def _check_dependent(traced: Trace, outputs: Sequence[Tensor], create_graph: bool) -> None:
    pulled = pull(outputs, traced.sources, ones_for(outputs), graph=create_graph)
    _filled(pulled, traced.sources, "output", True, create_graph)


def _filled(
    pulled: Sequence[Tensor | None],
    sources: Sequence[Tensor],
    what: str,
    strict: bool,
    create_graph: bool,
) -> tuple[Tensor, ...]:
    """Zeros for what is independent of an input; an error in strict mode."""
    if strict:
        for index, g in enumerate(pulled):
            if g is None:
                raise UnusedInputError(
                    f"The {what} of func is independent of input {index}: not allowed in strict "
                    "mode; without strict=True its derivative is zeros"
                )
            if create_graph and not g.requires_grad:
                raise UnusedInputError(
                    f"The derivative of the {what} of func is independent of input {index}: not "
                    "allowed in strict mode with create_graph=True, as there is nothing to "
                    "differentiate again"
                )
    return tuple(materialized(pulled, sources))


# -- arguments -------------------------------------------------------------------------------------


def _tensors(value: Any, what: str) -> tuple[Tensor, ...]:
    several = value if isinstance(value, tuple) else (value,)
    for part in several:
        if not isinstance(part, Tensor):
            raise OperandError(
                f"{what} must be a Tensor or a tuple of Tensors, got {kind(part)} in it"
            )
    return several


def _vectors(name: str, v: Any, refs: Sequence[Tensor], what: str) -> list[Tensor]:
    """``v`` as one Tensor for each of ``refs``."""
    if v is None:
        if len(refs) != 1 or refs[0].numel() != 1:
            met = ", ".join(map(kind, refs))
            raise NonScalarError(
                f"{name}: v can only be left out for a single element, but {what} is {met}: pass v"
            )
        return [ones_like(refs[0])]
    vectors = _tensors(v, f"{name}: v")
    if len(vectors) != len(refs):
        raise ShapeError(f"{name}: v has {len(vectors)} tensors, {what} {len(refs)}")
    for index, (vector, ref) in enumerate(zip(vectors, refs, strict=True)):
        if vector.shape != ref.shape:
            raise ShapeError(
                f"{name}: entry {index} of v is {kind(vector)}, that of {what} {kind(ref)}; "
                "shapes must be equal"
            )
    return list(vectors)


def _check_strategy(
    name: str, option: str, strategy: str, create_graph: bool, vectorize: bool
) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise StrategyError(
            f"{name}: {option} must be 'reverse-mode' or 'forward-mode', got {strategy!r}"
        )
    if strategy == "forward-mode" and (create_graph or not vectorize):
        raise NotSupportedError(
            f"{name}: {option}='forward-mode' needs vectorize=True and create_graph=False; use "
            "'reverse-mode', or engine.func.jacfwd"
        )


def _unpacked(parts: Any, given: Any) -> Any:
    """A tuple where a tuple was given, else what is in it."""
    return tuple(parts) if isinstance(given, tuple) else parts[0]
