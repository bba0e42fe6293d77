"""What must hold of every op, as functions of a case and a sample that raise AssertionError."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import engine
from engine.ops import COMPOSED, OPS, Composed, Op
from engine.ops.refusal import refuses
from tests.ops.case import Case, Sample, draw, is_shape

STEP = 1e-5  # of central differences in float64: their error is about 1e-10
Array = np.ndarray
grad: Any = engine.grad


class Gradients(NamedTuple):
    """Of the answer with respect to each differentiable input, and of those with respect to each
    such input and to the gradient of the answer."""

    value: Array
    first: list[Array]
    second: list[Array]


def row_of(case: Case) -> Op | Composed:
    return OPS[case.name] if case.name in OPS else COMPOSED[case.name]


def differentiable(case: Case, sample: Sample) -> list[int]:
    """The positions of the arguments that a gradient can be asked for."""
    row = row_of(case)
    shapes = [i for i, arg in enumerate(sample.args) if is_shape(arg)]
    if isinstance(row, Composed) or row.variadic:
        return shapes if case.order else []
    return [i for i in shapes if row.inputs[i] in answered(row)]


def answered(op: Op) -> set[str]:
    """The inputs that the op has a gradient for, and does not refuse."""
    return {name for name, rule in op.rules.items() if not refuses(rule)}


def arrays(case: Case, sample: Sample, dtype: str = "float64", seed: int = 0) -> list[Any]:
    drawn = draw(case, sample, seed)
    kind = {"float32": "complex64", "float64": "complex128"}[dtype] if sample.cplx else dtype
    return [a.astype(kind) if is_shape(s) else a for a, s in zip(drawn, sample.args, strict=True)]


def tensors(case: Case, sample: Sample, values: list[Any]) -> list[Any]:
    """The arguments as an op takes them: Tensors over the memory of the arrays."""
    wanted = differentiable(case, sample)
    given = [engine.from_numpy(v) if isinstance(v, Array) else v for v in values]
    for i, arg in enumerate(sample.args):
        if i in wanted or (is_shape(arg) and not case.order):
            given[i].requires_grad_()
    return given


def seed_for(value: Array, salt: int) -> Array:
    """A gradient for `value`: unequal numbers, none of them small."""
    size = max(value.size, 1)
    steps = np.random.default_rng(salt).permutation(np.linspace(0.5, 1.5, size))[: value.size]
    seed = (steps * (-1) ** np.arange(value.size)).reshape(value.shape)
    return (seed * (1 - 0.7j) if value.dtype.kind == "c" else seed).astype(value.dtype)


def along(a: Array, b: Array) -> float:
    """How much of `a` lies along `b`, numbers or complex numbers."""
    return float(np.sum((a * np.conjugate(b)).real))


def apply(function: Callable[..., Any], case: Case, sample: Sample, values: list[Any]) -> Any:
    """`function` of what the case makes of the arguments, and what it makes of the results."""
    prepared = case.before(*values)
    args = (list(prepared),) if row_of(case).variadic else prepared
    return case.after(function(*args, **sample.keywords))


def run(case: Case, sample: Sample, values: list[Any]) -> Any:
    return apply(row_of(case), case, sample, values)


def forward(case: Case, sample: Sample, values: list[Any]) -> Array:
    return np.asarray(run(case, sample, values))


def first_order(case: Case, sample: Sample, values: list[Any]) -> tuple[Array, list[Array]]:
    """The answer and its gradients, as the rules compute them on ndarrays."""
    given = tensors(case, sample, values)
    out = run(case, sample, given)
    sources = [given[i] for i in differentiable(case, sample)]
    seed = engine.tensor(seed_for(out.detach().numpy(), 1))
    found = grad(out, sources, seed)
    return out.detach().numpy(), [g.numpy() for g in found]


def gradients(case: Case, sample: Sample, values: list[Any]) -> Gradients:
    """All of them, as the rules compute them on Tensors."""
    given = tensors(case, sample, values)
    out = run(case, sample, given)
    sources = [given[i] for i in differentiable(case, sample)]
    seed = engine.tensor(seed_for(out.detach().numpy(), 1), requires_grad=True)
    first = grad(out, sources, seed, create_graph=True)
    directions = [engine.tensor(seed_for(g.detach().numpy(), 2 + k)) for k, g in enumerate(first)]
    second = grad(first, [*sources, seed], directions, materialize_grads=True)
    return Gradients(
        out.detach().numpy(), [g.detach().numpy() for g in first], [g.numpy() for g in second]
    )


def differences(function: Callable[[], float], array: Array) -> Array:
    """The gradient of `function()` with respect to `array`, which it reads, by differences."""
    out = np.zeros(array.shape, array.dtype)
    for index in np.ndindex(array.shape):
        for unit in (1, 1j) if array.dtype.kind == "c" else (1,):
            here = array[index]
            array[index] = here + STEP * unit
            above = function()
            array[index] = here - STEP * unit
            below = function()
            array[index] = here
            out[index] += (above - below) / (2 * STEP) * unit
    return out


def assert_close(got: Any, expected: Any) -> None:
    """As close as differences are, and far closer than 0.05 %."""
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)


def check_first_order(case: Case, sample: Sample) -> None:
    values = arrays(case, sample)
    out, found = first_order(case, sample, values)
    seed = seed_for(out, 1)
    for i, g in zip(differentiable(case, sample), found, strict=True):
        expected = differences(lambda: along(forward(case, sample, values), seed), values[i])
        assert_close(g, expected)


def check_second_order(case: Case, sample: Sample) -> None:
    """The rules on Tensors: the same first order, and what differences of it say."""
    values = arrays(case, sample)
    out, plain = first_order(case, sample, values)
    found = gradients(case, sample, values)
    assert_close(found.value, out)
    for got, want in zip(found.first, plain, strict=True):
        assert_close(got, want)
    directions = [seed_for(g, 2 + k) for k, g in enumerate(plain)]

    def slope() -> float:
        now = first_order(case, sample, values)[1]
        return sum(along(g, d) for g, d in zip(now, directions, strict=True))

    for i, got in zip(differentiable(case, sample), found.second, strict=False):
        assert_close(got, differences(slope, values[i]))
    check_slope_along_seed(case, sample, values, found.second[-1], directions)


def check_slope_along_seed(
    case: Case, sample: Sample, values: list[Any], found: Array, directions: list[Array]
) -> None:
    """A gradient is linear in the seed, so its slope there is a difference of forwards."""
    expected = np.zeros(found.shape, found.dtype)
    for i, direction in zip(differentiable(case, sample), directions, strict=True):
        moved = [list(values), list(values)]
        moved[0][i] = values[i] + STEP * direction
        moved[1][i] = values[i] - STEP * direction
        above, below = (forward(case, sample, each) for each in moved)
        expected += (above - below) / (2 * STEP)
    assert_close(found, expected)


def torch_inputs(torch: Any, case: Case, sample: Sample, values: list[Any]) -> list[Any]:
    """The arguments as PyTorch takes them."""
    wanted = differentiable(case, sample)
    return [
        torch.tensor(np.asarray(value), requires_grad=i in wanted)
        if is_shape(sample.args[i]) or isinstance(value, float)
        else torch.as_tensor(value)
        if isinstance(value, Array)
        else value
        for i, value in enumerate(values)
    ]


def torch_gradients(torch: Any, case: Case, sample: Sample, values: list[Any]) -> Gradients:
    """What PyTorch says to the same question."""
    wanted = differentiable(case, sample)
    given = torch_inputs(torch, case, sample, values)
    assert case.torch is not None
    out = apply(partial(case.torch, torch), case, sample, given)
    sources = [given[i] for i in wanted]
    value = out.numpy(force=True)
    seed = torch.tensor(seed_for(value, 1), requires_grad=True)
    first = torch.autograd.grad(out, sources, seed, create_graph=True)
    found = [g.numpy(force=True) for g in first]
    directions = [torch.tensor(seed_for(g, 2 + k)) for k, g in enumerate(found)]
    second = torch.autograd.grad(first, [*sources, seed], directions, materialize_grads=True)
    return Gradients(
        value,
        found,
        [g.numpy(force=True) for g in second],
    )
