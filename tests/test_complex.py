"""Complex numbers across the engine, in PyTorch's convention: descent is `z -= lr * grad`."""

from typing import Any

import numpy as np
import pytest

import engine
from engine.autograd import Function, gradcheck, gradgradcheck
from engine.errors import EngineError

Z = np.array([1 + 2j, 0.5 - 1j, -2 + 0.25j])
W = np.array([0.5 + 1j, 2j, 1 - 1j])


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    """Both, so that the oracle is checked and not remembered."""
    return engine if request.param == "engine" else pytest.importorskip("torch")


def leaf(lib, value=Z):
    return lib.tensor(value, requires_grad=True)


def slope(lib, function, value=Z):
    z = leaf(lib, value)
    function(z).backward()
    return np.asarray(z.grad.tolist())


# Gradients


def test_the_convention_is_pytorchs(lib):
    assert slope(lib, lambda z: (z * z * (1 + 2j)).real, 1 + 2j) == -6 - 8j


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda z: z.real.sum(), np.ones(3)),
        (lambda z: z.imag.sum(), 1j * np.ones(3)),
        (lambda z: z.conj().imag.sum(), -1j * np.ones(3)),
        (lambda z: z.abs().sum(), Z / abs(Z)),
        (lambda z: z.angle().sum(), 1j * Z / abs(Z) ** 2),
        (lambda z: (z * z.conj()).real.sum(), 2 * Z),
        (lambda z: (z.abs() ** 2).sum(), 2 * Z),
        (lambda z: z.exp().real.sum(), np.exp(Z).conj()),
        (lambda z: z.log().imag.sum(), 1j * (1 / Z).conj()),
    ],
)
def test_slopes(lib, function, expected):
    np.testing.assert_allclose(slope(lib, function), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "function", [lambda z: z.abs(), lambda z: z.angle(), lambda z: z.sgn().real]
)
def test_at_0_the_slope_is_0(lib, function):
    assert slope(lib, lambda z: function(z).sum(), np.array([0j])).tolist() == [0]


def test_descent_finds_the_smallest(lib):
    z = leaf(lib)
    target = lib.tensor(W)
    optimizer = lib.optim.SGD([z], lr=0.1, momentum=0.5, weight_decay=1e-4)
    for _ in range(60):
        optimizer.zero_grad()
        ((z - target).abs() ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(z.tolist(), W, atol=1e-3)


def test_steps_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    found = []
    for lib in (engine, torch):
        z = leaf(lib)
        optimizer = lib.optim.SGD([z], lr=0.1, momentum=0.9, weight_decay=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            (z * z * (1 + 2j)).real.sum().backward()
            optimizer.step()
        found.append(z.tolist())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-13)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_real_input_of_a_complex_operation_has_a_real_gradient(lib, kind):
    x = leaf(lib, np.array([1.0, 2.0], kind))
    turned = x * lib.tensor(np.array([1 + 1j, 2j], "complex64"))
    turned.abs().sum().backward()
    assert str(x.grad.dtype).endswith(kind)
    np.testing.assert_allclose(x.grad.tolist(), [2**0.5, 2.0], rtol=1e-6)


def test_a_power_with_a_real_exponent_has_a_real_gradient_there(lib):
    exponent = leaf(lib, 2.0)
    (lib.tensor(Z) ** exponent).real.sum().backward()
    np.testing.assert_allclose(exponent.grad.item(), np.sum((Z**2 * np.log(Z)).real), rtol=1e-6)


def test_gradients_accumulate_and_can_be_set(lib):
    z = leaf(lib)
    for _ in range(2):
        z.imag.sum().backward()
    assert z.grad.tolist() == [2j, 2j, 2j]
    z.grad = lib.tensor(W)
    assert z.grad.tolist() == W.tolist()
    with pytest.raises(RuntimeError):
        z.grad = lib.tensor(W.real)


def test_a_complex_output_has_no_gradient_of_its_own(lib):
    z = leaf(lib, 1 + 2j)
    message = r"grad can be implicitly created only for real scalar outputs but got .*complex"
    with pytest.raises(RuntimeError, match=message):
        (z * z).backward()
    (z * z).backward(lib.tensor(1j, dtype=z.dtype))
    assert z.grad.item() == 1j * (2 + 4j).conjugate()
    with pytest.raises(RuntimeError):
        (z * z).backward(lib.tensor(1.0))


def test_hooks_see_the_conventions_gradient(lib):
    z, seen = leaf(lib), []
    w = z * 1j
    w.register_hook(lambda g: seen.append(g.tolist()))
    w.register_hook(lambda g: g * 2)
    w.imag.sum().backward()
    assert seen == [[1j, 1j, 1j]]
    assert z.grad.tolist() == [2, 2, 2]


def test_saved_tensor_hooks_pack_complex_values(lib):
    z, packed = leaf(lib), []
    hooks = lib.autograd.graph.saved_tensors_hooks

    def pack(t):
        packed.append(t)
        return t

    with hooks(pack, lambda t: t * 2):
        loss = (z * lib.tensor(W)).real.sum()
    loss.backward()
    assert packed
    np.testing.assert_allclose(z.grad.tolist(), 2 * W.conj())


def test_a_function_of_ones_own(lib):
    base: Any = lib.autograd.Function

    class Square(base):  # type: ignore[misc]
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx, g):
            (z,) = ctx.saved_tensors
            return g * (2 * z).conj()

    np.testing.assert_allclose(slope(lib, lambda z: Square.apply(z).real.sum()), (2 * Z).conj())


# Views of the parts


def test_parts_are_views_that_can_be_written_to(lib):
    z = lib.tensor(Z)
    z.real.zero_()
    z.imag[1:] = 7.0
    assert z.tolist() == [2j, 7j, 7j]


def test_writes_through_parts_are_recorded(lib):
    z = leaf(lib)
    w = z * 2
    w.real.mul_(3.0)
    w.imag.mul_(z.real)
    w[1:].real.fill_(1.0)
    (w * w * (1 + 1j)).real.sum().backward()
    x, y = Z.real, Z.imag
    real, imag = 6 * x, 2 * y * x
    d_real = np.where([True, False, False], 6, 0) * (2 * real - 2 * imag)
    d_imag = -2 * imag - 2 * np.where([True, False, False], real, 1)
    expected = d_real + d_imag * 2 * y + 1j * d_imag * 2 * x
    np.testing.assert_allclose(z.grad.tolist(), expected)


def test_parts_of_real_tensors():
    x = leaf(engine, [1.0, 2.0])
    assert x.real is x
    assert x.imag.tolist() == [0.0, 0.0]
    assert x.conj().tolist() == x.tolist()
    assert engine.real(x).tolist() == [1.0, 2.0]
    assert not x.is_complex()


# Made, shown, converted


def test_python_numbers_become_complex64(lib):
    for made in (lib.tensor([1 + 2j]), lib.full((2,), 1j), lib.complex(lib.ones(1), lib.ones(1))):
        assert str(made.dtype).endswith("complex64")
        assert made.is_complex()
    assert str(lib.tensor(Z).dtype).endswith("complex128")


def test_an_infinite_part_does_not_spoil_the_other(lib):
    z = lib.complex(lib.tensor([1.0]), lib.tensor([float("inf")]))
    assert z.tolist() == [complex(1, float("inf"))]


def test_polar(lib):
    size, turn = leaf(lib, 2.0), leaf(lib, 0.5)
    z = lib.polar(size, turn)
    z.imag.backward()
    assert z.item() == pytest.approx(2 * np.exp(0.5j), rel=1e-6)
    assert (size.grad.item(), turn.grad.item()) == pytest.approx((np.sin(0.5), 2 * np.cos(0.5)))


@pytest.mark.parametrize(
    "values",
    [
        [1 + 2j],
        [1.5 + 2j, -3 - 0.25j],
        [[1j, 2], [3, -4j]],
        [1 + 1j, 1000.5 - 2j],
        [-56 - 40j, 336 - 144j],
        [complex("nan"), 1 + 1j],
        [complex("inf"), 1 - 1j],
        [0.1 + 123.456j, 10 - 1e-3j],
        [],
    ],
)
def test_printed_as_pytorch_prints(values):
    torch = pytest.importorskip("torch")
    for kind in ("complex64", "complex128"):
        array = np.array(values, kind)
        assert repr(engine.tensor(array)) == repr(torch.tensor(array)).replace("torch.", "")


def test_python_numbers(lib):
    z = lib.tensor(1 + 2j)
    assert complex(z) == z.item() == 1 + 2j
    assert lib.tensor([1 + 2j]).tolist() == [1 + 2j]


# What has no meaning is refused


@pytest.mark.parametrize(
    "function",
    [
        lambda z: engine.relu(z),
        lambda z: engine.maximum(z, z),
        lambda z: engine.minimum(z, 0),
        lambda z: engine.fmax(z, z),
        lambda z: engine.clip(z, 0, 1),
        lambda z: engine.sign(z),
        lambda z: engine.floor(z),
        lambda z: engine.erf(z),
        lambda z: engine.hypot(z, z),
        lambda z: engine.atan2(z, z),
        lambda z: engine.logaddexp(z, z),
        lambda z: engine.nan_to_num(z),
        lambda z: engine.cbrt(z),
        lambda z: z % 2,
        lambda z: z // 2,
        lambda z: engine.softplus(z),
        lambda z: engine.nn.functional.gelu(z),
        lambda z: engine.nn.functional.elu(z),
        lambda z: engine.nn.functional.hardtanh(z),
        lambda z: engine.nn.functional.logsigmoid(z),
    ],
)
def test_what_needs_an_order_is_refused(function):
    z = leaf(engine)
    with pytest.raises((EngineError, TypeError), match=r"complex|not supported"):
        function(z)
    assert z.grad is None


# gradcheck


@pytest.mark.parametrize(
    "function",
    [
        lambda z, w: z * w,
        lambda z, w: z.abs() + w.angle(),
        lambda z, w: (z.conj() * w.exp(), z.real),
        lambda z, w: z.sgn() / w,
    ],
)
def test_gradcheck_moves_both_parts(function):
    inputs = (leaf(engine), leaf(engine, W))
    for fast in (False, True):
        assert gradcheck(function, inputs, fast_mode=fast)
        assert gradgradcheck(function, inputs, fast_mode=fast)
    assert inputs[0].grad is None


def test_gradcheck_with_real_and_complex_inputs():
    x = leaf(engine, np.array([0.5, 1.5, 2.0]))
    assert gradcheck(lambda x, z: x * z, (x, leaf(engine)))
    assert gradgradcheck(lambda x, z: x * z, (x, leaf(engine)), leaf(engine, W))


def test_gradcheck_sees_a_conjugate_that_was_forgotten():
    base: Any = Function

    class Square(base):  # type: ignore[misc]
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx, g):
            (z,) = ctx.saved_tensors
            return g * 2 * z

    for fast in (False, True):
        with pytest.raises(engine.errors.GradcheckError):
            gradcheck(Square.apply, leaf(engine), fast_mode=fast)
