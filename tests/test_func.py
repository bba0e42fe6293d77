"""`engine.func`: transforms of functions. Bodies that take `lib` run against PyTorch, too."""

import sys
import threading
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import numpy as np
import pytest

import engine
import engine.func as func
from engine.errors import (
    ArgumentError,
    DTypeError,
    EngineError,
    NoGraphError,
    NonScalarError,
    OperandError,
    ShapeError,
)
from engine.func import OutputError, PositionError

THREADS = 8
# What torch.func itself uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is dep:DeprecationWarning")
Pair = namedtuple("Pair", "left right")


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


def numbers(tensor):
    return np.asarray(tensor.detach().tolist())


def equal(tensor, expected, **tolerances):
    """Equal in shape and nearly in value."""
    got, wanted = numbers(tensor), np.asarray(expected)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6, **tolerances)


def double(*values):
    return engine.tensor(list(values), dtype="float64")


# grad: the conventions that PyTorch and JAX share


def test_gradient_of_a_scalar_function(lib):
    x = lib.tensor([1.0, 2.0, 3.0])
    g = lib.func.grad(lambda x: (x**3).sum())(x)
    equal(g, [3.0, 12.0, 27.0])
    assert not g.requires_grad
    assert x.grad is None
    assert not x.requires_grad


def test_gradients_of_gradients(lib):
    def cube(x):
        return x**3

    x = lib.tensor(2.0)
    g = lib.func.grad
    equal(g(cube)(x), 12.0)
    equal(g(g(cube))(x), 12.0)
    equal(g(g(g(cube)))(x), 6.0)
    equal(g(g(g(g(cube))))(x), 0.0)


def test_levels_are_not_confused(lib):
    g = lib.func.grad

    def outer(x):
        return x * g(lambda y: x * y)(lib.tensor(1.0))

    equal(g(outer)(lib.tensor(3.0)), 6.0)

    def shadow(x):
        return x * g(lambda y: x * y * y)(x)

    equal(g(shadow)(lib.tensor(3.0)), 54.0)  # 2 x^3


def test_argnums(lib):
    def f(x, y):
        return (x * x * y).sum()

    x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])
    equal(lib.func.grad(f, argnums=1)(x, y), [1.0, 4.0])
    equal(lib.func.grad(f, argnums=-1)(x, y), [1.0, 4.0])
    one = lib.func.grad(f, argnums=(0,))(x, y)
    assert isinstance(one, tuple)
    assert len(one) == 1
    equal(one[0], [6.0, 16.0])
    gy, gx = lib.func.grad(f, argnums=(1, 0))(x, y)
    equal(gy, [1.0, 4.0])
    equal(gx, [6.0, 16.0])


def test_containers(lib):
    def f(parameters, pair):
        return (parameters["w"][0] * pair.left).sum() + (parameters["b"] * pair.right).sum()

    parameters = {"w": [lib.tensor([1.0, 2.0])], "b": lib.tensor(3.0)}
    pair = Pair(lib.tensor([4.0, 5.0]), lib.tensor(6.0))
    gp, gpair = lib.func.grad(f, argnums=(0, 1))(parameters, pair)
    assert list(gp) == ["w", "b"]
    assert isinstance(gp["w"], list)
    equal(gp["w"][0], [4.0, 5.0])
    equal(gp["b"], 6.0)
    assert isinstance(gpair, Pair)
    equal(gpair.left, [1.0, 2.0])
    equal(gpair.right, 3.0)


def test_argnums_with_aux_is_a_pair(lib):
    def f(x):
        return (x * x).sum(), {"doubled": x * 2}

    x = lib.tensor([1.0, 2.0])
    g, aux = lib.func.grad(f, argnums=0, has_aux=True)(x)
    equal(g, [2.0, 4.0])
    equal(aux["doubled"], [2.0, 4.0])
    assert not aux["doubled"].requires_grad


def test_a_function_that_ignores_its_argument_has_gradient_zero(lib):
    other = lib.tensor(1.0)
    equal(lib.func.grad(lambda x: other * 2)(lib.tensor([1.0, 2.0])), [0.0, 0.0])
    inner = lib.func.grad(lambda x: 3 * x.sum())
    equal(lib.func.grad(lambda x: inner(x).sum())(lib.tensor([1.0, 2.0])), [0.0, 0.0])


def test_results_carry_the_history_of_what_else_requires_a_gradient(lib):
    w = lib.tensor(3.0, requires_grad=True)
    slope = lib.func.grad(lambda x: w * w * x)(lib.tensor(2.0))
    assert slope.requires_grad
    slope.backward()
    equal(w.grad, 6.0)


def test_results_carry_the_history_of_the_arguments(lib):
    x = lib.tensor(2.0, requires_grad=True)
    slope = lib.func.grad(lambda x: x**3)(x)
    (second,) = lib.autograd.grad(slope, x)
    equal(second, 12.0)
    assert x.grad is None
    assert x.requires_grad


def test_without_grad_mode_results_have_no_history(lib):
    w = lib.tensor(3.0, requires_grad=True)
    x = lib.tensor(2.0, requires_grad=True)
    with lib.no_grad():
        slope = lib.func.grad(lambda x: w * x * x)(x)
        nested = lib.func.grad(lib.func.grad(lambda x: w * x**3))(x)
    equal(slope, 12.0)
    equal(nested, 36.0)
    assert not slope.requires_grad
    assert not nested.requires_grad


def test_no_grad_inside_the_function_is_respected(lib):
    def f(x):
        with lib.no_grad():
            constant = x * x
        return constant * x

    equal(lib.func.grad(f)(lib.tensor(3.0)), 9.0)


def test_a_network_inside_its_own_loss(lib):
    """The derivative of a network by its input, trained through."""
    w = lib.tensor([[0.5, -0.3, 0.8]], requires_grad=True)
    v = lib.tensor([[0.2], [0.7], [-0.4]], requires_grad=True)

    def u(x):
        return ((x @ w).tanh() @ v).sum()

    x = lib.tensor([[0.1], [0.4], [0.9]])
    loss = ((lib.func.grad(u)(x) - 1) ** 2).mean()
    loss.backward()
    s = 1 - np.tanh(numbers(x) @ numbers(w)) ** 2
    slope = s @ (numbers(v) * numbers(w).T)
    expected = 2 / 3 * s.T @ (slope - 1) * numbers(w).T
    equal(v.grad, expected)


# grad: what else it takes


def test_ndarrays_and_floats():
    x = np.array([1.0, 2.0])
    g = func.grad(lambda x: (x * x).sum())(x)
    equal(g, [2.0, 4.0])
    assert g.dtype == np.float64
    assert func.grad(lambda x: x * x)(3.0).item() == 6.0
    assert func.grad(lambda x: x * x)(np.float64(3.0)).dtype == np.float64


def test_arguments_are_aliased_not_copied():
    x, t = np.ones(3), engine.ones(3)
    seen = []

    def f(x, t):
        seen.extend([x, t])
        return (x * t).sum()

    func.grad(f, (0, 1))(x, t)
    assert np.shares_memory(seen[0].detach().numpy(), x)
    assert np.shares_memory(seen[1].detach().numpy(), t.numpy())
    assert seen[1] is not t


def test_what_is_not_differentiated_is_passed_as_it_is():
    seen = []

    def f(x, n, *, flag):
        seen.append((n, flag))
        return x * 2

    labels = np.arange(3)
    func.grad(f)(1.0, labels, flag="yes")
    assert seen[0][0] is labels
    assert seen[0][1] == "yes"


def test_other_dicts_and_none():
    tree = OrderedDict(a=engine.tensor(2.0), b=None)
    g = func.grad(lambda tree: tree["a"] ** 2)(tree)
    assert isinstance(g, OrderedDict)
    assert g["b"] is None
    assert g["a"].item() == 4.0
    many = defaultdict(engine.zeros, a=engine.tensor(2.0))
    assert isinstance(func.grad(lambda tree: tree["a"] ** 2)(many), defaultdict)
    assert many["a"].requires_grad is False


def test_an_object_that_is_called():
    class Square:
        """Squares."""

        def __call__(self, x):
            return x * x

    assert func.grad(Square())(3.0).item() == 6.0


def test_value_and_grad():
    value, g = func.value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    assert value.item() == 5.0
    assert not value.requires_grad
    equal(g, [2.0, 4.0])


def test_value_and_grad_with_aux_under_both_spellings():
    def f(x):
        return x * x, "note"

    for argnums in (None, 0):
        (value, aux), g = func.value_and_grad(f, has_aux=True, argnums=argnums)(3.0)
        assert (value.item(), aux, g.item()) == (9.0, "note", 6.0)
    (value, aux, more), g = func.value_and_grad(lambda x: (*f(x), 7), has_aux=True)(3.0)
    assert (value.item(), aux, more, g.item()) == (9.0, "note", 7, 6.0)


def test_a_value_keeps_the_history_that_it_has_outside():
    w = engine.tensor(3.0, requires_grad=True)
    value, _ = func.value_and_grad(lambda x: w * x)(2.0)
    value.backward()
    assert w.grad.item() == 2.0


# grad: MindSpore's conventions


@pytest.fixture
def net():
    class Net:
        """The network of MindSpore's introduction."""

        def __init__(self):
            self.z = engine.tensor(np.array([1.0], np.float32), requires_grad=True)

        def __call__(self, x, y):
            return engine.matmul(x * self.z, y)

    return Net()


@pytest.fixture
def xy():
    x = engine.tensor([[0.5, 0.6, 0.4], [1.2, 1.3, 1.1]])
    y = engine.tensor([[0.01, 0.3, 1.1], [0.1, 0.2, 1.3], [2.1, 1.2, 3.3]])
    return x, y


def test_program_net(net, xy):
    equal(func.grad(net)(*xy), [[1.41, 1.6, 6.6], [1.41, 1.6, 6.6]])
    assert "1.4100, 1.6000, 6.6000" in repr(func.grad(net)(*xy))
    assert net.z.grad is None


def test_program_net_with_weights(net, xy):
    inputs, weights = func.grad(net, 0, weights=net.z)(*xy)
    equal(inputs, [[1.41, 1.6, 6.6], [1.41, 1.6, 6.6]])
    equal(weights, [15.337])
    assert not weights.requires_grad
    (x, y), (z,) = func.grad(net, (0, 1), weights=(net.z,))(*xy)
    equal(x, inputs.detach().tolist())
    equal(y, [[1.7] * 3, [1.9] * 3, [1.5] * 3])
    equal(z, [15.337])
    assert func.grad(net, None, weights=[net.z])(*xy)[0].shape == (1,)
    equal(func.grad(net, None, weights={"z": net.z})(*xy)["z"], [15.337])
    assert net.z.grad is None


def test_program_net_matches_torch(net, xy):
    torch = pytest.importorskip("torch")
    x, y = (torch.tensor(t.tolist(), requires_grad=True) for t in xy)
    z = torch.tensor([1.0], requires_grad=True)
    expected = torch.autograd.grad(torch.matmul(x * z, y).sum(), (x, z))
    for got, wanted in zip(func.grad(net, 0, weights=net.z)(*xy), expected, strict=True):
        equal(got, wanted.tolist())


def test_grad_position_takes_any_shape_and_argnums_a_scalar():
    x = engine.tensor([1.0, 2.0])
    equal(func.grad(lambda x: x * x)(x), [2.0, 4.0])
    with pytest.raises(NonScalarError, match=r"jacrev.*grad_position"):
        func.grad(lambda x: x * x, argnums=0)(x)


def test_all_outputs_contribute():
    def f(x):
        return x * x, {"more": [x * 10], "none": x.argmax()}

    equal(func.grad(f)(engine.tensor([1.0, 2.0])), [12.0, 14.0])


def test_has_aux_gives_a_tuple():
    def f(x):
        return x * x, x * 2, "note"

    g, aux = func.grad(f, has_aux=True)(3.0)
    assert g.item() == 6.0
    assert isinstance(aux, tuple)
    assert aux[0].item() == 6.0
    assert aux[1] == "note"
    _, aux = func.grad(lambda x: (x * x, "note"), has_aux=True)(3.0)
    assert aux == ("note",)


def test_one_position_in_a_tuple_gives_a_tuple():
    (g,) = func.grad(lambda x: x * x, (0,))(3.0)
    assert g.item() == 6.0


def test_ids():
    def f(x, y):
        return x * y * w * v

    w, v = (engine.tensor(value, requires_grad=True) for value in (3.0, 5.0))
    inputs, weights = func.grad(f, (0, 1), weights=(w, v), return_ids=True)(2.0, 7.0)
    assert [i for i, _ in inputs] == [0, 1]
    assert weights[0][0] is w
    assert weights[1][0] is v
    assert func.get_grad((inputs, weights), 1).item() == 30.0
    assert func.get_grad((inputs, weights), v).item() == 42.0
    position, g = func.grad(f, 1, return_ids=True)(2.0, 7.0)
    assert (position, g.item()) == (1, 30.0)
    named = func.grad(f, None, weights={"w": w, "v": v}, return_ids=True)(2.0, 7.0)
    assert func.get_grad(named, "w").item() == 70.0
    alone = func.grad(f, None, weights=w, return_ids=True)(2.0, 7.0)
    assert func.get_grad(alone, w).item() == 70.0
    with pytest.raises(RuntimeError, match="no gradient has the id 'u'"):
        func.get_grad(named, "u")
    with pytest.raises(PositionError, match="no gradient has the id 2"):
        func.get_grad(inputs, 2)


def test_a_weight_is_differentiated_again_by_a_transform_around():
    w = engine.tensor(2.0, requires_grad=True)

    def loss():
        return w**3

    def penalty():
        return func.grad(loss, None, weights=w)() ** 2

    first = func.grad(loss, None, weights=w)()
    assert first.item() == 12.0
    assert not first.requires_grad
    assert func.grad(penalty, None, weights=w)().item() == 2 * 12 * 12  # 2 (3 w^2) (6 w)


def test_what_the_caller_computed_is_not_released():
    w = engine.tensor(2.0, requires_grad=True)
    shared = w * w
    for _ in range(2):
        assert func.grad(lambda x: shared * x, None, weights=w)(3.0).item() == 12.0
    shared.backward()
    assert w.grad.item() == 4.0


# grad: misuse


@pytest.mark.parametrize(
    ("options", "error", "kinds", "words"),
    [
        ({"grad_position": None}, ArgumentError, [ValueError], "at the same time"),
        ({"grad_position": (0, 0)}, ArgumentError, [ValueError], "twice"),
        ({"grad_position": -1}, ArgumentError, [ValueError], "negative"),
        ({"grad_position": ()}, ArgumentError, [ValueError], "names no argument"),
        ({"grad_position": 0.5}, OperandError, [TypeError], "0.5 .float"),
        ({"grad_position": (0, "x")}, OperandError, [TypeError], "'x'"),
        ({"grad_position": True}, OperandError, [TypeError], "True"),
        ({"grad_position": 1, "argnums": 0}, ArgumentError, [ValueError], "not both"),
        ({"has_aux": 1}, OperandError, [TypeError], "has_aux must be a bool"),
        ({"return_ids": None}, OperandError, [TypeError], "return_ids must be a bool"),
        ({"weights": 3}, OperandError, [TypeError], "weights must be Tensors, got int"),
        ({"weights": [np.ones(2)]}, OperandError, [TypeError], r"got float64\[2\]"),
    ],
)
@pytest.mark.parametrize("transform", [func.grad, func.value_and_grad])
def test_misuse_is_refused_before_any_call(transform, options, error, kinds, words):
    with pytest.raises(error, match=words) as caught:
        transform(lambda x: x, **options)
    assert transform.__name__ in str(caught.value)
    assert all(isinstance(caught.value, kind) for kind in [EngineError, *kinds])


def test_fn_must_be_callable():
    number: Any = 3.0
    with pytest.raises(OperandError, match="must be callable, got float"):
        func.grad(number)


@pytest.mark.parametrize("options", [{"grad_position": 2}, {"argnums": 2}, {"argnums": -3}])
def test_a_missing_argument(options):
    with pytest.raises(PositionError, match="called with 2 positional arguments") as caught:
        func.grad(lambda x, y: x * y, **options)(1.0, 2.0)
    for kind in (RuntimeError, TypeError, IndexError, ValueError):
        assert isinstance(caught.value, kind)


def test_the_same_argument_from_both_ends():
    with pytest.raises(ArgumentError, match="twice"):
        func.grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0)


@pytest.mark.parametrize("value", [3, True, np.arange(3), np.int64(3), 1j, [1.0, 2]])
def test_what_is_not_floating_point(value):
    with pytest.raises(DTypeError, match="only floating point") as caught:
        func.grad(lambda x: x)(value)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, TypeError)
    assert "argument 0 of <lambda>" in str(caught.value)


def test_integer_tensors_name_their_dtype():
    with pytest.raises(DTypeError, match=r"int64\[2\].*float32"):
        func.grad(lambda x: x)(engine.tensor([1, 2]))


@pytest.mark.parametrize("value", ["text", {1, 2}, object()])
def test_what_is_no_array(value):
    with pytest.raises(OperandError, match="only Tensors, ndarrays and floats"):
        func.grad(lambda x: x)(value)


def test_non_scalar_outputs_name_shape_and_function():
    def outputs(x):
        return x

    for x, met in ((double(1.0, 2.0), r"float64\[2\]"), (double(1.0), r"float64\[1\]")):
        with pytest.raises(NonScalarError, match=f"scalar-output.*outputs returned {met}") as error:
            func.grad(outputs, argnums=0)(x)
        assert isinstance(error.value, TypeError)
        assert isinstance(error.value, RuntimeError)
    with pytest.raises(NonScalarError):
        func.grad(lambda x: (x, x), argnums=0)(1.0)


def test_integer_outputs():
    with pytest.raises(DTypeError, match=r"int64\[\]"):
        func.grad(lambda x: x.argmax(), argnums=0)(double(1.0, 2.0))


@pytest.mark.parametrize("output", [1.0, np.ones(2), "text", None, ()])
def test_outputs_that_have_lost_their_gradient(output):
    with pytest.raises(OutputError, match="Tensor") as caught:
        func.grad(lambda x: output)(1.0)
    for kind in (RuntimeError, TypeError, ValueError):
        assert isinstance(caught.value, kind)


@pytest.mark.parametrize("options", [{}, {"argnums": 0}])
def test_has_aux_without_aux(options):
    for returned in (lambda x: x, lambda x: (x,)):
        with pytest.raises(OutputError, match=r"must return a tuple \(\w+, aux"):
            func.grad(returned, has_aux=True, **options)(1.0)
    with pytest.raises(OutputError, match=r"got \(\*, \*, \*\)"):
        func.grad(lambda x: (x, 1, 2), has_aux=True, argnums=0)(1.0)


def test_weights_must_require_a_gradient():
    with pytest.raises(NoGraphError, match=r"weight float32\[\] does not require grad"):
        func.grad(lambda x: x, weights=engine.tensor(1.0))(1.0)


def test_an_error_in_the_function_leaves_no_trace():
    w = engine.tensor(2.0, requires_grad=True)

    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        func.grad(broken)(1.0)
    assert engine.is_grad_enabled()
    # Had the depth of transforms not been restored, this would carry history.
    assert not func.grad(lambda: w * w, None, weights=w)().requires_grad


# vjp and jvp


def test_vjp(lib):
    x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])
    output, pull = lib.func.vjp(lambda x, y: x * y, x, y)
    equal(output, [3.0, 8.0])
    for _ in range(2):
        gx, gy = pull(lib.tensor([1.0, 10.0]))
        equal(gx, [3.0, 40.0])
        equal(gy, [1.0, 20.0])
    assert not output.requires_grad
    _, pull = lib.func.vjp(lambda x: x * x, x)
    (g,) = pull(lib.tensor([1.0, 10.0]))
    equal(g, [2.0, 40.0])


def test_vjp_of_containers_and_aux(lib):
    def f(tree):
        return {"a": tree["x"] * 2, "b": (tree["x"] * tree["y"],)}, tree["y"] * 3

    tree = {"x": lib.tensor([1.0, 2.0]), "y": lib.tensor([3.0, 4.0])}
    output, pull, aux = lib.func.vjp(f, tree, has_aux=True)
    equal(output["b"][0], [3.0, 8.0])
    equal(aux, [9.0, 12.0])
    ones = lib.tensor([1.0, 1.0])
    (g,) = pull({"a": ones, "b": (ones,)})
    equal(g["x"], [5.0, 6.0])
    equal(g["y"], [1.0, 2.0])


def test_vjp_is_differentiable_by_its_cotangent(lib):
    v = lib.tensor([1.0, 10.0], requires_grad=True)
    _, pull = lib.func.vjp(lambda x: x**3, lib.tensor([1.0, 2.0]))
    pull(v)[0].sum().backward()
    equal(v.grad, [3.0, 12.0])


def test_jvp(lib):
    x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])
    dx, dy = lib.tensor([1.0, 0.0]), lib.tensor([0.0, 10.0])
    output, derivative = lib.func.jvp(lambda x, y: x * y, (x, y), (dx, dy))
    equal(output, [3.0, 8.0])
    equal(derivative, [3.0, 20.0])
    assert not derivative.requires_grad


def test_jvp_of_containers_aux_and_constants(lib):
    def f(tree):
        return (tree["x"] ** 2, lib.tensor([1.0])), tree["x"] * 3

    x, dx = {"x": lib.tensor([1.0, 2.0])}, {"x": lib.tensor([1.0, 10.0])}
    (value, constant), (derivative, zero), aux = lib.func.jvp(f, (x,), (dx,), has_aux=True)
    equal(value, [1.0, 4.0])
    equal(derivative, [2.0, 40.0])
    equal(constant, [1.0])
    equal(zero, [0.0])
    equal(aux, [3.0, 6.0])


def test_jvp_inside_grad(lib):
    def f(x):
        return lib.func.jvp(lambda x: x**3, (x,), (lib.tensor(1.0),))[1]

    equal(lib.func.grad(f)(lib.tensor(2.0)), 12.0)


def test_jvp_of_one_tensor():
    _, derivative = func.jvp(lambda x: x**2, 3.0, 1.0)
    assert derivative.item() == 6.0


@pytest.mark.parametrize(
    ("vector", "error"),
    [
        (double(1.0, 2.0, 3.0), ShapeError),
        (double(1.0), ShapeError),
        ((double(1.0, 2.0), double(1.0, 2.0)), OperandError),
        ({"x": double(1.0, 2.0)}, OperandError),
        (None, OperandError),
    ],
)
def test_vectors_must_fit(vector, error):
    x = double(1.0, 2.0)
    _, pull = func.vjp(lambda x: x * x, x)
    with pytest.raises(error, match="cotangents"):
        pull(vector)
    with pytest.raises(error, match="tangents"):
        func.jvp(lambda x: x * x, (x,), vector if isinstance(vector, tuple) else (vector,))


# Jacobians and Hessians


def vector(x):
    """From 3 numbers to 2."""
    return x[:2] * x[1:] ** 2


VECTOR_JACOBIAN = [[4.0, 4.0, 0.0], [0.0, 9.0, 12.0]]


@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians(lib, name):
    jacobian = getattr(lib.func, name)
    x = lib.tensor([1.0, 2.0, 3.0])
    equal(jacobian(vector)(x), VECTOR_JACOBIAN)
    matrix = lib.tensor([[1.0, 2.0], [3.0, 4.0]])
    a, b = jacobian(lambda x, m: (m @ m).sum(0) * x[:2], argnums=(0, 1))(x, matrix)
    assert tuple(a.shape) == (2, 3)
    assert tuple(b.shape) == (2, 2, 2)
    parts = jacobian(lambda t: {"s": (t["x"] ** 2).sum(), "v": vector(t["x"])})({"x": x})
    equal(parts["s"]["x"], [2.0, 4.0, 6.0])
    equal(parts["v"]["x"], VECTOR_JACOBIAN)
    result, aux = jacobian(lambda x: (vector(x), x * 2), has_aux=True)(x)
    equal(result, VECTOR_JACOBIAN)
    equal(aux, [2.0, 4.0, 6.0])


def test_jacobians_agree():
    weights = engine.randn(3, 4, dtype="float64")

    def f(x, y):
        return ((x @ weights).tanh() * y, (x * 2).sum())

    x, y = engine.randn(2, 3, dtype="float64"), engine.randn(4, dtype="float64")
    rows, columns = (j(f, (0, 1))(x, y) for j in (func.jacrev, func.jacfwd))
    for one, other in zip(rows, columns, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)
    assert rows[0][0].shape == (2, 4, 2, 3)
    assert rows[1][1].shape == (4,)
    assert not rows[1][1].numpy().any()


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_jacobians_of_nothing(jacobian):
    assert jacobian(lambda x: x * 2)(engine.zeros(0)).shape == (0, 0)
    assert jacobian(lambda x: x[:0])(engine.zeros(2)).shape == (0, 2)
    assert jacobian(lambda x: x.sum())(engine.zeros(0)).shape == (0,)


def test_jacobians_are_differentiable(lib):
    for jacobian in (lib.func.jacrev, lib.func.jacfwd):
        g = lib.func.grad(lambda x, j=jacobian: (j(vector)(x) ** 2).sum())
        x = lib.tensor([1.0, 2.0, 3.0])
        # of b^4 + (2ab)^2 + c^4 + (2bc)^2 at (1, 2, 3)
        equal(g(x), [32.0, 32.0 + 16.0 + 144.0, 108.0 + 96.0])


def test_hessian(lib):
    def f(x):
        return (x[0] ** 3) * x[1] + x[2]

    x = lib.tensor([1.0, 2.0, 3.0])
    equal(lib.func.hessian(f)(x), [[12.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    blocks = lib.func.hessian(lambda a, b: (a * a * b).sum(), argnums=(0, 1))(x[:1], x[1:2])
    equal(blocks[0][0], [[4.0]])
    equal(blocks[0][1], [[2.0]])
    equal(blocks[1][0], [[2.0]])
    equal(blocks[1][1], [[0.0]])


def test_hvp_is_the_hessian_times_a_vector():
    def f(x, y):
        return (x.tanh() * y**2).sum()

    x, y, dx, dy = (engine.randn(4, dtype="float64") for _ in range(4))
    (xx, xy), (yx, yy) = func.hessian(f, (0, 1))(x, y)
    products = func.hvp(f, (x, y), (dx, dy))
    np.testing.assert_allclose(products[0].numpy(), (xx @ dx + xy @ dy).numpy(), rtol=1e-12)
    np.testing.assert_allclose(products[1].numpy(), (yx @ dx + yy @ dy).numpy(), rtol=1e-12)
    equal(func.hvp(lambda x: (x**3).sum(), double(1.0, 2.0), double(1.0, 1.0)), [6.0, 12.0])
    equal(func.hvp(lambda x: x.sum(), double(1.0, 2.0), double(1.0, 1.0)), [0.0, 0.0])
    with pytest.raises(NonScalarError, match=r"float64\[4\].*sum"):
        func.hvp(lambda x: x, (x,), (dx,))
    with pytest.raises(ShapeError, match="tangents"):
        func.hvp(f, (x, y), (dx, dy[:2]))


def test_jacobian_misuse():
    with pytest.raises(PositionError, match="jacrev: argnums=1"):
        func.jacrev(vector, argnums=1)(double(1.0, 2.0, 3.0))
    with pytest.raises(ArgumentError, match="twice"):
        func.jacfwd(vector, argnums=(0, 0))
    with pytest.raises(DTypeError, match="jacrev: argument 0 of vector"):
        func.jacrev(vector)(engine.arange(3))
    with pytest.raises(OutputError, match="output, aux"):
        func.jacrev(vector, has_aux=True)(double(1.0, 2.0, 3.0))


# vmap


def test_vmap(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    w = lib.tensor([10.0, 1.0])
    equal(lib.func.vmap(lambda x, w: x @ w, (0, None))(x, w), [12.0, 34.0, 56.0])
    equal(lib.func.vmap(lambda x: x * 2, 1, 1)(x), (numbers(x) * 2).tolist())
    equal(lib.func.vmap(lambda x: x.sum(), -1)(x), [9.0, 12.0])
    out = lib.func.vmap(lambda tree: {"sum": tree["x"].sum(), "row": tree["x"]})({"x": x})
    equal(out["sum"], [3.0, 7.0, 11.0])
    equal(out["row"], numbers(x).tolist())


def test_vmap_axes_by_argument_and_by_result():
    x = engine.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def f(tree, scale):
        return tree["x"] * scale, {"sum": tree["x"].sum(), "three": 3.0}

    mapped = func.vmap(f, in_axes=({"x": 0, "y": None}, 0), out_axes=(-1, 0))
    rows, rest = mapped({"x": x, "y": "kept"}, np.array([1.0, 10.0, 100.0], np.float32))
    assert rows.shape == (2, 3)
    equal(rows, [[1.0, 30.0, 500.0], [2.0, 40.0, 600.0]])
    equal(rest["sum"], [3.0, 7.0, 11.0])
    equal(rest["three"], [3.0, 3.0, 3.0])


def test_gradients_of_each_example(lib):
    def loss(w, x, y):
        return ((w * x).sum() - y) ** 2

    w = lib.tensor([1.0, 2.0])
    xs, ys = lib.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), lib.tensor([1.0, 2.0, 3.0])
    each = lib.func.vmap(lib.func.grad(loss), (None, 0, 0))(w, xs, ys)
    equal(each, [[4.0, 4.0], [0.0, 0.0], [0.0, 18.0]])


def test_gradients_flow_through_vmap(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    w = lib.tensor([1.0, 10.0], requires_grad=True)
    lib.func.vmap(lambda x: (x * x * w).sum())(x).sum().backward()
    equal(x.grad, [[2.0, 40.0], [6.0, 80.0]])
    equal(w.grad, [10.0, 20.0])

    def through(x):
        return lib.func.vmap(lambda row: (row**3).sum())(x).sum()

    equal(lib.func.hessian(through)(x)[0, 1], [[0.0, 12.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("axes", "args", "error", "words"),
    [
        (None, (double(1.0),), ArgumentError, "nothing is mapped"),
        (0, (engine.zeros(0),), ArgumentError, "no examples"),
        (0, (engine.zeros(2), engine.zeros(3)), ShapeError, r"float32\[2\].*float32\[3\]"),
        (1, (engine.zeros(2),), ShapeError, "in_axes=1"),
        ((0, 0), (engine.zeros(2),), OperandError, "in_axes"),
        (0, (3.0,), OperandError, "cannot map over float"),
        ("0", (engine.zeros(2),), OperandError, "ints or None"),
    ],
)
def test_vmap_misuse(axes, args, error, words):
    with pytest.raises(error, match=words):
        func.vmap(lambda *parts: parts[0] * 2, axes)(*args)


def test_vmap_results_must_stack():
    x = engine.zeros(2)
    with pytest.raises(OutputError, match="returned str"):
        func.vmap(lambda x: "text")(x)
    with pytest.raises(ShapeError, match="out_axes=2"):
        func.vmap(lambda x: x, 0, 2)(x)
    with pytest.raises(OperandError, match="out_axes must be ints"):
        func.vmap(lambda x: x, 0, None)(x)
    with pytest.raises(ShapeError, match="stack"):
        func.vmap(lambda x, n: engine.zeros(int(n)))(x, engine.tensor([1, 2]))
    with pytest.raises(OperandError, match="each result"):
        func.vmap(lambda n: (n,) if n else n)(engine.tensor([0, 1]))


# Threads


def together(work):
    """`work(index)` in every thread at once; the results, by thread."""
    start = threading.Barrier(THREADS)
    results, errors = [None] * THREADS, []

    def run(index):
        try:
            start.wait()
            results[index] = work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return results


@pytest.fixture
def _mixed():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_mixed")
def test_case_59_nested_gradients_from_many_threads_are_the_sequential_ones():
    calls = 500
    points = np.linspace(0.1, 2.0, calls)

    def f(x):
        return (x * x).tanh() * x

    slope = func.grad(func.grad(f))
    expected = [slope(x).item() for x in points]
    for values in together(lambda index: [slope(x).item() for x in points]):
        assert values == expected  # to the last bit


@pytest.mark.usefixtures("_mixed")
def test_threads_transform_functions_of_shared_tensors():
    x = engine.randn(50, dtype="float64")
    w = engine.randn(50, dtype="float64").requires_grad_()
    shared = w * 2

    def f(x):
        return (x * shared).tanh().sum()

    def work(index):
        out = []
        for _ in range(20):
            out.append(func.grad(f)(x))
            out.append(func.grad(f, None, weights=w)(x))
            out.append(func.hvp(f, (x,), (x,))[0])
            out.append(func.vmap(func.grad(lambda a, b: a * b * b), (0, None))(x, 2.0))
        return out

    expected = work(0)
    for results in together(work):
        for got, wanted in zip(results, expected, strict=True):
            assert np.array_equal(got.detach().numpy(), wanted.detach().numpy())
    assert x.grad is None
    assert w.grad is None
    assert not x.requires_grad


@pytest.mark.usefixtures("_mixed")
def test_one_pull_back_serves_many_threads():
    x = engine.randn(100, dtype="float64")
    _, pull = func.vjp(lambda x: x.exp() * x, x)
    seeds = [engine.full((100,), float(i), dtype="float64") for i in range(THREADS)]
    expected = [pull(seed)[0].numpy() for seed in seeds]
    for index, results in enumerate(together(lambda i: [pull(seeds[i]) for _ in range(50)])):
        assert all(np.array_equal(g.numpy(), expected[index]) for (g,) in results)


def test_transforms_of_different_threads_do_not_nest():
    """A thread's transform is none of another's: its weights' gradients stay plain."""
    w = engine.tensor(2.0, requires_grad=True)
    inside, done = threading.Event(), threading.Event()

    def waiting(x):
        inside.set()
        assert done.wait(10)
        return x * x

    other = threading.Thread(target=func.grad(waiting), args=(1.0,))
    other.start()
    assert inside.wait(10)
    plain = func.grad(lambda: w**3, None, weights=w)()
    done.set()
    other.join()
    assert not plain.requires_grad
