"""`grad` and `value_and_grad` with MindSpore's keywords."""

import numpy as np
import pytest

import engine
import engine.func as func
from engine.errors import (
    NonScalarError,
)
from engine.func import PositionError
from tests.func.lib import equal


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
