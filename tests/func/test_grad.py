"""`grad` and `value_and_grad`: what PyTorch and JAX agree on, and what arguments may be."""

from collections import OrderedDict, defaultdict, namedtuple

import numpy as np

import engine
import engine.func as func
from tests.func.lib import equal, numbers

Pair = namedtuple("Pair", "left right")


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
