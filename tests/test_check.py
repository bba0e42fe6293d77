"""`gradcheck` and `gradgradcheck` let right rules pass and find wrong ones."""

import itertools
import warnings
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

import engine
from engine.check import GradcheckError, gradcheck, gradgradcheck
from engine.errors import ArgumentError, EngineError, OperandError
from engine.function import Function

TIGHT = {"atol": 1e-8, "rtol": 1e-4}  # sees an error of 0.05 %


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    """What the bodies below need of either library."""
    if request.param == "engine":
        return SimpleNamespace(
            module=engine,
            Function=Function,
            gradcheck=gradcheck,
            gradgradcheck=gradgradcheck,
            GradcheckError=GradcheckError,
        )
    torch = pytest.importorskip("torch")
    checks = import_module("torch.autograd.gradcheck")
    return SimpleNamespace(
        module=torch,
        Function=torch.autograd.Function,
        gradcheck=checks.gradcheck,
        gradgradcheck=checks.gradgradcheck,
        GradcheckError=checks.GradcheckError,
    )


def point(module, *values):
    """A leaf in double precision."""
    return module.tensor(np.array(values)).requires_grad_()


def cube(lib, first=1.0, second=1.0, backward=None):
    """x^3 by hand, its first and second derivative off by a factor."""

    class Slope(lib.Function):  # type: ignore[name-defined, misc]
        """The gradient of the cube, with a gradient of its own."""

        @staticmethod
        def forward(ctx, x, g):
            ctx.save_for_backward(x, g)
            return first * 3 * g * x * x

        @staticmethod
        def backward(ctx, h):
            x, g = ctx.saved_tensors
            return second * 6 * first * x * g * h, first * 3 * x * x * h

    class Cube(lib.Function):  # type: ignore[name-defined, misc]
        """The cube."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return backward(x, g) if backward is not None else Slope.apply(x, g)

    return Cube.apply


# What is right passes


@pytest.mark.parametrize("fast_mode", [False, True])
def test_case_56_right_rules_pass(lib, fast_mode):
    x = point(lib.module, 0.5, -1.0, 2.0)
    y = point(lib.module, 1.5, 1.0, 0.5)

    def f(x, y):
        return (x * y).exp().sum(), (x.tanh() / y)

    for check in (lib.gradcheck, lib.gradgradcheck):
        assert check(f, (x, y), fast_mode=fast_mode) is True
        assert check(cube(lib), x, fast_mode=fast_mode, **TIGHT) is True
    assert x.grad is None


def test_case_56_nothing_to_check(lib):
    x = lib.module.tensor([1.0, 2.0])
    for check in (lib.gradcheck, lib.gradgradcheck):
        with pytest.raises(ValueError, match="at least one input"):
            check(lambda x: x * x, (x,), raise_exception=False)


@pytest.mark.filterwarnings("ignore:.*double precision")
@pytest.mark.filterwarnings("ignore:gradcheck. input 0 is float32")
def test_case_56_single_precision_fails(lib):
    x = lib.module.tensor([0.3, 1.7], requires_grad=True)
    with pytest.raises(lib.GradcheckError, match="mismatch"):
        lib.gradcheck(lambda x: x.exp(), (x,))


def test_single_precision_warns_where_the_check_is_called():
    x = engine.tensor([0.3], requires_grad=True)
    with pytest.warns(UserWarning, match=r"input 0 is float32\[1\], not float64") as seen:
        gradcheck(lambda x: x * 2, x, eps=0.25)
    assert seen[0].filename == __file__


def test_inputs_that_are_not_differentiated(lib):
    x, constant = point(lib.module, 0.5, 1.0), lib.module.tensor(np.array([2.0, 3.0]))
    assert lib.gradcheck(lambda x, c, n: x**n * c, (x, constant, 3))
    assert lib.gradgradcheck(lambda x, c, n: x**n * c, (x, constant, 3))


def test_a_function_that_ignores_an_input(lib):
    x, y = point(lib.module, 0.5, 1.0), point(lib.module, 2.0)
    assert lib.gradcheck(lambda x, y: x * x, (x, y))
    assert lib.gradcheck(lambda x, y: (x * x, y.detach() * 0), (x, y))


def test_outputs_that_are_not_differentiable():
    x = point(engine, 0.5, 1.0)
    assert gradcheck(lambda x: (x.exp(), x.argmax()), x)
    assert gradgradcheck(lambda x: (x.exp(), x.argmax()), x)
    assert gradgradcheck(lambda x: x.detach() * 0, x)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_shapes(fast_mode):
    matrix = engine.randn(2, 3, dtype="float64").requires_grad_()
    empty = engine.zeros(0, 3, dtype="float64", requires_grad=True)
    number = engine.tensor(np.float64(2.0), requires_grad=True)
    for check in (gradcheck, gradgradcheck):
        assert check(lambda a, n: (a * n).T @ a, (matrix, number), fast_mode=fast_mode)
        assert check(lambda a, n: (a * n, n * n), (empty, number), fast_mode=fast_mode)


def test_chosen_grad_outputs(lib):
    x, v = point(lib.module, 0.5, 1.0), point(lib.module, 2.0, 3.0)
    assert lib.gradgradcheck(lambda x: x**3, x, v)
    assert lib.gradgradcheck(lambda x: (x**3, x.exp()), (x,), (v, v))


def test_the_callers_tensors_are_left_alone():
    x = point(engine, 0.5, 1.0)
    x.grad = engine.tensor(np.array([7.0, 8.0]))
    memory = x.detach().numpy()
    memory.flags.writeable = False
    assert gradcheck(lambda x: x**3, x)
    assert gradgradcheck(lambda x: x**3, x)
    assert x.grad.tolist() == [7.0, 8.0]
    assert memory.tolist() == [0.5, 1.0]


def test_it_works_without_grad_mode():
    with engine.no_grad():
        assert gradcheck(engine.exp, point(engine, 0.5))
        assert gradgradcheck(engine.exp, point(engine, 0.5))
        assert not gradcheck(cube(our(), 1.1), point(engine, 0.5), raise_exception=False)


def our():
    return SimpleNamespace(Function=Function)


# What is wrong is found


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("factor", [1.0005, 0.9995, 0.0, -1.0])
def test_a_wrong_first_derivative(lib, factor, fast_mode):
    x = point(lib.module, 0.5, -1.0, 2.0)
    f = cube(lib, first=factor)
    with pytest.raises(lib.GradcheckError, match="mismatch"):
        lib.gradcheck(f, x, fast_mode=fast_mode, **TIGHT)
    assert lib.gradcheck(f, x, fast_mode=fast_mode, raise_exception=False, **TIGHT) is False
    # The wrong gradient is differentiated rightly.
    assert lib.gradgradcheck(f, x, fast_mode=fast_mode, **TIGHT)


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("factor", [1.0005, 0.9995, 0.0, -1.0])
def test_a_wrong_second_derivative(lib, factor, fast_mode):
    x = point(lib.module, 0.5, -1.0, 2.0)
    f = cube(lib, second=factor)
    assert lib.gradcheck(f, x, fast_mode=fast_mode, **TIGHT)
    with pytest.raises(lib.GradcheckError, match="mismatch"):
        lib.gradgradcheck(f, x, fast_mode=fast_mode, **TIGHT)
    assert lib.gradgradcheck(f, x, fast_mode=fast_mode, raise_exception=False, **TIGHT) is False


def test_the_defaults_see_half_a_permille():
    x = point(engine, 0.5, -1.0, 2.0)
    assert not gradcheck(cube(our(), first=1.0005), x, raise_exception=False)
    assert not gradgradcheck(cube(our(), second=1.0005), x, raise_exception=False)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_one_wrong_element(lib, fast_mode):
    mask = lib.module.tensor(np.array([1.0, 1.0, 0.9]))
    x = point(lib.module, 0.5, -1.0, 2.0)
    f = cube(lib, backward=lambda x, g: 3 * x * x * g * mask)
    with pytest.raises(lib.GradcheckError, match="mismatch"):
        lib.gradcheck(f, x, fast_mode=fast_mode)


def test_a_gradient_where_there_is_none(lib):
    """A rule that says 1 where the derivative is 0."""

    class Floor(lib.Function):  # type: ignore[name-defined, misc]
        """Constant between the integers."""

        @staticmethod
        def forward(ctx, x):
            return x.floor()

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(lib.GradcheckError, match="mismatch"):
        lib.gradcheck(Floor.apply, point(lib.module, 0.5, 1.3))


def test_a_missing_gradient(lib):
    x, y = point(lib.module, 0.5, 1.0), point(lib.module, 2.0, 3.0)
    with pytest.raises(lib.GradcheckError):
        lib.gradcheck(lambda x, y: x.detach() * y, (x, y))
    with pytest.raises(lib.GradcheckError):
        lib.gradcheck(cube(lib, backward=lambda x, g: None), x)
    detached_twice = cube(lib, backward=lambda x, g: 3 * g * x.detach() ** 2)
    assert lib.gradcheck(detached_twice, x)
    with pytest.raises(lib.GradcheckError):
        lib.gradgradcheck(detached_twice, x)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_no_gradient_at_all(fast_mode):
    x = point(engine, 0.5, 1.0)
    with pytest.raises(GradcheckError, match="mismatch"):
        gradcheck(lambda x: x.detach() ** 2, x, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_a_random_function(fast_mode):
    x = point(engine, 0.5, 1.0)
    with pytest.raises(GradcheckError, match="not deterministic: output 0"):
        gradcheck(lambda x: x * engine.rand(2, dtype="float64"), x, fast_mode=fast_mode)
    steps = itertools.count()
    with pytest.raises(GradcheckError, match="not deterministic: output 1"):
        gradcheck(lambda x: (x * 2, x + next(steps)), x, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_a_backward_that_is_not_the_same_twice(lib, fast_mode):
    steps = itertools.count()
    noisy = cube(lib, backward=lambda x, g: 3 * x * x * g * (1 + 1e-7 * (next(steps) % 7)))
    x = point(lib.module, 0.5, 1.0)
    with pytest.raises(lib.GradcheckError, match="reentrant"):
        lib.gradcheck(noisy, x, fast_mode=fast_mode)
    assert lib.gradcheck(noisy, x, nondet_tol=1e-4, fast_mode=fast_mode)


def test_nan_is_a_mismatch():
    f = cube(our(), backward=lambda x, g: g * np.nan)
    with pytest.raises(GradcheckError, match="analytical nan"):
        gradcheck(f, point(engine, 0.5), nondet_tol=1.0)


# What is said


def test_the_worst_entry_is_named():
    wrong = engine.tensor(np.array([[1.0, 1.0], [1.25, 1.1]]))
    f = cube(our(), backward=lambda x, g: 3 * x * x * g * wrong)
    matrix = engine.tensor(np.array([[1.0, 2.0], [3.0, 1.0]]), requires_grad=True)
    other = point(engine, 1.0)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, x: (a * 2, f(x)), (other, matrix))
    message = str(caught.value)
    assert "output 1 (float64[2, 2]) with respect to input 1 (float64[2, 2])" in message
    assert "element [1, 0] of the output and element [1, 0] of the input" in message
    assert "analytical 33.75, numerical 27.0" in message
    assert "numerical:\n[[" in message
    assert "analytical:\n[[" in message
    assert isinstance(caught.value, EngineError)
    assert isinstance(caught.value, RuntimeError)


def test_fast_mode_says_as_much_and_sees_less():
    x = point(engine, 0.5, -1.0)
    with pytest.raises(GradcheckError, match="worst for element"):
        gradcheck(cube(our(), first=1.1), x, fast_mode=True)
    n = 100
    mask = np.ones(n)
    mask[17] += 1e-4
    broad = engine.tensor(np.linspace(0.9, 1.1, n), requires_grad=True)
    f = cube(our(), backward=lambda x, g: 3 * x * x * g * engine.tensor(mask))
    assert gradcheck(f, broad, fast_mode=True)
    assert not gradcheck(f, broad, atol=0.0, rtol=1e-5, raise_exception=False)


def test_fast_mode_runs_the_function_a_fixed_number_of_times():
    runs = itertools.count()

    def f(x):
        next(runs)
        return x.exp()

    assert gradcheck(f, engine.randn(500, dtype="float64").requires_grad_(), fast_mode=True)
    assert next(runs) == 4  # twice as it is, once to either side


def test_misuse():
    x = point(engine, 0.5)
    with pytest.raises(ArgumentError, match="no floating point"):
        gradcheck(lambda x: x.argmax(), x)
    with pytest.raises(OperandError, match="must return a Tensor or a tuple of Tensors, got float"):
        gradcheck(lambda x: 1.0, x)
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: x / (1 // 0), x, raise_exception=False)


def test_double_precision_does_not_warn():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gradcheck(engine.exp, point(engine, 0.5))
    assert not seen
