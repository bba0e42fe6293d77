"""``gradcheck`` and ``gradgradcheck``: derivatives held against finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .autograd import grad
from .creation import from_numpy, tensor
from .errors import ArgumentError, OperandError
from .errors import GradcheckError as GradcheckError
from .modes import enable_grad
from .ops import OPS
from .tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Function = Callable[..., Any]
_JOIN = OPS["complex"]


def gradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-4,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Whether the gradients of ``func(*inputs)`` are what central differences say.

    Every floating point output is checked against every Tensor in ``inputs`` that requires a
    gradient: each entry of the Jacobian must satisfy ``|analytical - numerical| <= atol + rtol *
    |numerical|``. A complex output counts as two, its parts; of a complex input the parts are a
    last axis. What has no gradient counts as having gradient zero. ``func`` is run on copies:
    nothing of the caller's is written and no ``.grad`` changes.

    ``eps``: the step. ``nondet_tol``: by how much results of two equal runs, forward or backward,
    may differ. ``fast_mode``: compare one random combination of the entries for each pair of an
    input and an output; much faster, and overlooks an error in few entries out of many.

    Raises ``GradcheckError``, which names the input, the output and the worst entry of both
    Jacobians, or with ``raise_exception=False`` returns False. Raises ``ArgumentError`` if no input
    requires a gradient, and warns where one is not float64: differences are too coarse then.
    After ``torch.autograd.gradcheck``, with a relative tolerance ten times as strict.

    >>> import engine
    >>> x = engine.tensor([0.5, 1.0], dtype="float64", requires_grad=True)
    >>> gradcheck(engine.exp, x)
    True
    >>> gradcheck(lambda x: engine.exp(x.detach()) * x, x, raise_exception=False)
    False
    """
    func, arguments = _as_real(func, _arguments(inputs))
    check = _Check(func, arguments, eps, atol, rtol, nondet_tol)
    try:
        check.run(fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-4,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Whether the second derivatives of ``func(*inputs)`` are what central differences say.

    That is ``gradcheck`` of the gradient of ``func`` as a function of ``inputs`` and of
    ``grad_outputs``, the gradients of its outputs (random ones where they are left out). In
    messages the inputs are followed by the ``grad_outputs``, and the outputs are the gradients of
    those inputs that require one. First derivatives are not checked: call ``gradcheck``, too.

    >>> import engine
    >>> x = engine.tensor([0.5, 1.0], dtype="float64", requires_grad=True)
    >>> gradgradcheck(lambda x: x ** 3, x)
    True
    """
    func, arguments = _as_real(func, _arguments(inputs))
    count = len(arguments)
    if grad_outputs is None:
        draw = np.random.default_rng(0)
        outputs = _outputs(func, _Point(arguments).arguments())
        seeds = [from_numpy(_draw(draw, out.shape).astype(out.dtype)) for out in outputs]
    else:
        given = (grad_outputs,) if isinstance(grad_outputs, Tensor) else grad_outputs
        seeds = [part for seed in given for part in _parts(seed.detach())]

    def gradient(*args: Any) -> tuple[Tensor | None, ...]:
        outputs = _outputs(func, args[:count])
        pairs = zip(outputs, args[count:], strict=True)
        reached = [(out, seed) for out, seed in pairs if out.requires_grad]
        sources = [args[i] for i in _checked(args[:count])]
        if not reached:
            return tuple(source * 0 for source in sources)
        roots, gradients = zip(*reached, strict=True)
        pulled = grad(roots, sources, gradients, create_graph=True, materialize_grads=True)
        return tuple(pulled)

    return gradcheck(
        gradient,
        (*arguments, *[seed.requires_grad_() for seed in seeds]),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        fast_mode=fast_mode,
    )


# -- what is compared ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Point:
    """The arguments at which a function is checked. Immutable."""

    given: tuple[Any, ...]

    def arguments(self, moved: int = -1, step: np.ndarray | float = 0.0) -> tuple[Any, ...]:
        """Copies of the arguments, leaves of their own; argument ``moved`` moved by ``step``."""
        copies = list(self.given)
        for index in _checked(self.given):
            array = copies[index].detach().numpy().copy()
            if index == moved:
                array += step
            copies[index] = from_numpy(array).requires_grad_()
        return tuple(copies)


@dataclass(frozen=True, slots=True)
class _Check:
    """One function at one point, with tolerances. Immutable."""

    func: Function
    given: tuple[Any, ...]
    eps: float
    atol: float
    rtol: float
    nondet_tol: float

    def run(self, fast: bool) -> None:
        """Raise ``GradcheckError`` for what is wrong."""
        checked = _checked(self.given)
        for index in checked:
            if self.given[index].dtype != np.float64:
                warnings.warn(
                    f"gradcheck: input {index} is {self.given[index]._kind()}, not float64: "
                    "differences are likely to be too coarse",
                    UserWarning,
                    stacklevel=3,
                )
        copies = _Point(self.given).arguments()
        outputs = _outputs(self.func, copies)
        if not outputs:
            raise ArgumentError("gradcheck: func returned no floating point tensor to check")
        self._check_forward(outputs, copies)
        sources = [copies[index] for index in checked]
        for number, output in enumerate(outputs):
            if fast:
                self._compare_projections(number, output, sources)
            else:
                self._compare_entries(number, output, sources)

    def _check_forward(self, outputs: list[Tensor], copies: tuple[Any, ...]) -> None:
        for number, (first, second) in enumerate(
            zip(outputs, _outputs(self.func, copies), strict=True)
        ):
            if not self._same(first.detach().numpy(), second.detach().numpy()):
                raise GradcheckError(
                    f"func is not deterministic: output {number} differs between two runs on the "
                    f"same inputs by more than nondet_tol={self.nondet_tol}; gradients of what is "
                    "random cannot be checked: fix the seed inside func"
                )

    def _same(self, first: np.ndarray, second: np.ndarray) -> bool:
        if first.shape != second.shape:
            return False
        return np.allclose(first, second, rtol=0, atol=self.nondet_tol, equal_nan=True)

    def _compare_entries(self, number: int, output: Tensor, sources: list[Tensor]) -> None:
        """The whole Jacobians of one output."""
        analytical = _jacobians(output, sources)
        again = _jacobians(output, sources)
        for index, matrix, repeated in zip(_checked(self.given), analytical, again, strict=True):
            numerical = self._differences(number, output, index)
            if not self._fits(matrix, numerical).all():
                raise self._mismatch(number, output, index, matrix, numerical)
            self._check_repeated(number, index, matrix, repeated)

    def _compare_projections(self, number: int, output: Tensor, sources: list[Tensor]) -> None:
        """``v @ jacobian @ u`` of one output for one random ``v``, and one ``u`` for each input."""
        draw = np.random.default_rng(0)
        v = _draw(draw, output.shape)
        pulled, again = _pulled(output, sources, v), _pulled(output, sources, v)
        for index, g, repeated in zip(_checked(self.given), pulled, again, strict=True):
            u = _draw(draw, g.shape)
            analytical = np.sum(g * u)
            numerical = np.sum(self._difference(number, index, u) * v)
            if not self._fits(analytical, numerical):
                self._compare_entries(number, output, sources)  # says more, if it sees it
                raise GradcheckError(
                    f"Jacobian mismatch for output {number} with respect to input {index}: a "
                    f"random combination of its entries is analytically {analytical}, numerically "
                    f"{numerical}"
                )
            self._check_repeated(number, index, g, repeated)

    def _difference(self, number: int, index: int, direction: np.ndarray) -> np.ndarray:
        """How output ``number`` changes as input ``index`` moves in ``direction``."""
        point, step = _Point(self.given), self.eps * direction
        above, below = (
            _outputs(self.func, point.arguments(index, moved))[number]
            .detach()
            .numpy()
            .astype(np.float64)
            for moved in (step, -step)
        )
        change: np.ndarray = (above - below) / (2 * self.eps)
        return change

    def _differences(self, number: int, output: Tensor, index: int) -> np.ndarray:
        """The numerical Jacobian: a row an element of the output, a column one of the input."""
        columns = [
            self._difference(number, index, direction).ravel()
            for direction in _units(self.given[index].shape)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((output.numel(), 0))

    def _fits(self, analytical: Any, numerical: Any) -> Any:
        return np.abs(analytical - numerical) <= self.atol + self.rtol * np.abs(numerical)

    def _mismatch(
        self, number: int, output: Tensor, index: int, analytical: np.ndarray, numerical: np.ndarray
    ) -> GradcheckError:
        excess = np.abs(analytical - numerical) - self.atol - self.rtol * np.abs(numerical)
        excess = np.where(np.isnan(excess), np.inf, excess)
        row, column = np.unravel_index(np.argmax(excess), excess.shape)
        to = tuple(map(int, np.unravel_index(row, output.shape)))
        of = tuple(map(int, np.unravel_index(column, self.given[index].shape)))
        return GradcheckError(
            f"Jacobian mismatch for output {number} ({output._kind()}) with respect to input "
            f"{index} ({self.given[index]._kind()}), worst for element {list(to)} of the output "
            f"and element {list(of)} of the input: analytical {analytical[row, column]}, numerical "
            f"{numerical[row, column]}\nnumerical:\n{numerical}\nanalytical:\n{analytical}"
        )

    def _check_repeated(
        self, number: int, index: int, first: np.ndarray, second: np.ndarray
    ) -> None:
        if not self._same(first, second):
            raise GradcheckError(
                f"Backward is not reentrant: the gradient of output {number} with respect to input "
                f"{index} fits, but differs between two runs by more than "
                f"nondet_tol={self.nondet_tol}"
            )


def _as_real(func: Function, arguments: tuple[Any, ...]) -> tuple[Function, tuple[Any, ...]]:
    """The same function of real numbers: a complex number is the two numbers along a last axis.

    A complex output becomes two. So the gradient of a complex input is held against differences
    along the real and along the imaginary axis, in PyTorch's convention.
    """
    paired = {i for i in _checked(arguments) if arguments[i].is_complex()}
    given = [_paired(a) if i in paired else a for i, a in enumerate(arguments)]

    def real(*args: Any) -> tuple[Any, ...]:
        joined = [_JOIN(a[..., 0], a[..., 1]) if i in paired else a for i, a in enumerate(args)]
        returned = func(*joined)
        several = returned if isinstance(returned, tuple | list) else (returned,)
        return tuple(part for output in several for part in _parts(output))

    return real, tuple(given)


def _paired(z: Tensor) -> Tensor:
    """A leaf with the two parts of ``z`` along a last axis."""
    return from_numpy(np.stack([z._data.real, z._data.imag], -1)).requires_grad_()


def _parts(output: Any) -> tuple[Any, ...]:
    """The real and imaginary part of what is complex."""
    complex_ = isinstance(output, Tensor) and output.is_complex()
    return (output.real, output.imag) if complex_ else (output,)


def _arguments(inputs: Any) -> tuple[Any, ...]:
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not _checked(arguments):
        raise ArgumentError(
            "gradcheck expects at least one input tensor to require gradient, but none of them has "
            "requires_grad=True"
        )
    return arguments


def _checked(arguments: Sequence[Any]) -> list[int]:
    """Which arguments are differentiated."""
    return [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]


def _outputs(func: Function, arguments: Sequence[Any]) -> list[Tensor]:
    """The floating point tensors that ``func`` returns."""
    with enable_grad():
        returned = func(*arguments)
    several = returned if isinstance(returned, tuple | list) else (returned,)
    for output in several:
        if not isinstance(output, Tensor):
            raise OperandError(
                "gradcheck: func must return a Tensor or a tuple of Tensors, got "
                f"{type(output).__name__}"
            )
    return [output for output in several if output.dtype.kind == "f"]


def _pulled(output: Tensor, sources: list[Tensor], seed: np.ndarray) -> list[np.ndarray]:
    """The gradients of ``sources``; zeros where ``output`` does not depend on one."""
    if not output.requires_grad:
        return [np.zeros(source.shape) for source in sources]
    gradients = grad(
        output,
        sources,
        tensor(seed.astype(output.dtype)),
        retain_graph=True,
        materialize_grads=True,
    )
    return [g.detach().numpy().astype(np.float64) for g in gradients if g is not None]


def _jacobians(output: Tensor, sources: list[Tensor]) -> list[np.ndarray]:
    """The analytical Jacobians, shaped as the numerical ones."""
    rows = [_pulled(output, sources, seed) for seed in _units(output.shape)]
    return [
        np.stack([row[i].ravel() for row in rows]) if rows else np.zeros((0, source.numel()))
        for i, source in enumerate(sources)
    ]


def _units(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The arrays with a single 1."""
    for element in range(int(np.prod(shape))):
        unit = np.zeros(shape)
        unit.flat[element] = 1
        yield unit


def _draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers between 0.5 and 1.5 of either sign: none so small that it hides what it weighs."""
    return np.asarray(generator.uniform(0.5, 1.5, shape) * generator.choice([-1.0, 1.0], shape))
