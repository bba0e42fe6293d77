"""Linear algebra and Fourier transforms where a convention decides, or an answer is refused."""

from typing import Any

import numpy as np
import pytest

import engine
from engine import fft, linalg
from engine.errors import LinAlgError, NotSupportedError, ShapeError
from engine.ops import OPS
from tests.ops.checks import differences

INF = float("inf")
SINGULAR = [[1.0, 2.0], [2.0, 4.0]]


@pytest.fixture(params=["engine", "torch"])
def lib(request) -> Any:
    return engine if request.param == "engine" else pytest.importorskip("torch")


def leaf(values, lib: Any = engine) -> Any:
    return lib.tensor(np.asarray(values, float), requires_grad=True)


def slope(x, out) -> np.ndarray:
    (g,) = engine.grad(out.sum(), [x])
    return g.numpy()


# det and its relatives at a singular matrix


@pytest.mark.parametrize(
    ("matrix", "cofactors"),
    [
        (SINGULAR, [[4.0, -2.0], [-2.0, 1.0]]),
        (np.zeros((2, 2)), np.zeros((2, 2))),
        ([[0.0]], [[1.0]]),
        (np.diag([2.0, 3.0, 0.0]), np.diag([0.0, 0.0, 6.0])),
        (np.diag([2.0, 0.0, 0.0]), np.zeros((3, 3))),
        ([[1j, 2j], [1.0, 2.0]], [[2.0, -1.0], [2j, -1j]]),
    ],
)
def test_the_gradient_of_det_is_right_at_a_singular_matrix(matrix, cofactors):
    x = engine.tensor(np.asarray(matrix), requires_grad=True)
    out = linalg.det(x)
    g = engine.grad(out.real, [x])[0].numpy()
    np.testing.assert_allclose(g, cofactors, atol=1e-12)


def test_det_near_a_singular_matrix_keeps_its_digits():
    near = np.asarray(SINGULAR) + np.diag([1e-13, 0.0])
    x = leaf(near)
    np.testing.assert_allclose(slope(x, linalg.det(x)), [[4, -2], [-2, 1]], rtol=1e-9)


def test_one_singular_matrix_in_a_batch_spoils_no_other():
    x = leaf([SINGULAR, [[2.0, 0.0], [0.0, 3.0]]])
    expected = [[[4, -2], [-2, 1]], [[3, 0], [0, 2]]]
    np.testing.assert_allclose(slope(x, linalg.det(x)), expected, atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_second_derivative_of_det_is_right_at_every_rank(rank):
    rng = np.random.default_rng(rank)
    matrix = rng.standard_normal((3, rank)) @ rng.standard_normal((rank, 3))
    direction = engine.tensor(rng.standard_normal((3, 3)))
    x = leaf(matrix)
    (first,) = engine.grad(linalg.det(x), [x], create_graph=True)
    found = slope(x, first * direction)
    values = matrix.copy()

    def along() -> float:
        y = leaf(values)
        return float((slope(y, linalg.det(y)) * direction.numpy()).sum())

    np.testing.assert_allclose(found, differences(along, values), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["inv", "cholesky"])
def test_a_matrix_without_an_answer_raises_what_numpy_and_what_pytorch_raise(name):
    bad = leaf([[1.0, 2.0], [2.0, 4.0]] if name == "inv" else [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(LinAlgError, match=rf"linalg.{name}\(x: float64\[2, 2\]\)") as caught:
        getattr(linalg, name)(bad)
    assert isinstance(caught.value, np.linalg.LinAlgError | RuntimeError)
    assert isinstance(caught.value, RuntimeError)
    with pytest.raises(LinAlgError):
        linalg.solve(leaf(SINGULAR), leaf([1.0, 2.0]))
    with pytest.raises(LinAlgError):
        linalg.inv(leaf(np.ones((2, 3))))


def test_slogdet_of_a_singular_matrix_has_a_value_and_no_gradient():
    x = leaf(SINGULAR)
    out = linalg.slogdet(x)
    assert out.logabsdet.item() == -INF
    with pytest.raises(LinAlgError):
        out.logabsdet.backward()
    assert x.grad is None


def test_logdet_of_a_negative_determinant_is_nan(lib):
    assert np.isnan(lib.logdet(leaf([[-1.0]], lib)).item())


# norms


@pytest.mark.parametrize("ord", [0, 0.5, 1, 1.5, 2, 3, INF, -INF])
def test_norm_of_zero_has_gradient_zero(lib, ord):
    x = leaf([0.0, 0.0], lib)
    out = lib.linalg.vector_norm(x, ord)
    assert out.item() == 0
    if ord or lib is engine:  # PyTorch has None for a count
        out.backward()
        assert x.grad.tolist() == [0.0, 0.0]


def test_the_largest_elements_share_the_gradient_of_the_norm(lib):
    x = leaf([3.0, -3.0, 1.0], lib)
    lib.linalg.vector_norm(x, INF).backward()
    assert x.grad.tolist() == [0.5, -0.5, 0.0]


def test_norms_of_matrices_at_zero_and_at_equal_singular_values(lib):
    x = leaf(np.zeros((2, 2)), lib)
    lib.linalg.norm(x).backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]
    y = leaf(np.eye(2), lib)
    lib.linalg.matrix_norm(y, "nuc").backward()
    np.testing.assert_allclose(y.grad.numpy(), np.eye(2), atol=1e-15)


def test_the_norm_method_takes_a_matrix_for_a_vector_and_linalg_does_not(lib):
    x = leaf([[3.0, 0.0], [0.0, 4.0]], lib)
    assert x.norm(2).item() == 5
    assert x.norm(p=1, dim=0).tolist() == [3, 4]
    assert lib.linalg.norm(x, 2).item() == 4
    assert lib.linalg.norm(x).item() == 5


def test_a_norm_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="ord must be"):
        linalg.matrix_norm(leaf(np.eye(2)), 3)
    with pytest.raises(ValueError, match="no norm of order 'fro'"):
        linalg.norm(leaf([1.0]), "fro")
    with pytest.raises(ValueError, match="no norm of order 2"):
        linalg.norm(leaf(np.ones((2, 2, 2))), 2)


# decompositions


def test_values_have_a_gradient_where_vectors_have_none():
    x = leaf(np.eye(3))
    np.testing.assert_allclose(slope(x, linalg.eigvalsh(x)), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(slope(x, linalg.svdvals(x)), np.eye(3), atol=1e-15)
    for vectors in (linalg.eigh(x).eigenvectors, linalg.svd(x).U, linalg.svd(x).Vh):
        assert np.isnan(slope(x, vectors**2)).any()


def test_gradients_of_what_reads_one_half_are_symmetric():
    rng = np.random.default_rng(1)
    a = rng.standard_normal((3, 3))
    x = leaf(a @ a.T + np.eye(3))
    weights = engine.tensor(rng.standard_normal((3, 3)))
    for out in (
        linalg.cholesky(x) * weights,
        linalg.cholesky(x, upper=True) * weights,
        linalg.eigvalsh(x) * weights[0],
        linalg.eigh(x).eigenvectors * weights,
    ):
        g = slope(x, out)
        np.testing.assert_allclose(g, g.T, rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (3, 3)])
def test_one_output_of_several_alone(shape):
    """The terms of the others are left out, and what is left is what PyTorch has."""
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(2).standard_normal(shape)
    parts = [
        lambda lib, x: lib.linalg.svd(x, full_matrices=False)[0] ** 2,
        lambda lib, x: lib.linalg.svd(x, full_matrices=False)[2] ** 2,
        lambda lib, x: lib.linalg.qr(x)[0],
        lambda lib, x: lib.linalg.qr(x)[1],
        lambda lib, x: lib.linalg.lu(x)[1] ** 2,
        lambda lib, x: lib.linalg.lu(x)[2] ** 2,
        lambda lib, x: lib.linalg.eigh(x @ x.mT)[1][:, -1] ** 2,
        lambda lib, x: lib.linalg.slogdet(x @ x.mT + 1)[1],
    ]
    for part in parts:
        x, y = leaf(values), leaf(values, torch)
        out, theirs = part(engine, x).reshape(-1), part(torch, y).reshape(-1)
        weights = np.arange(1.0, 1 + len(out))
        (theirs * torch.tensor(weights)).sum().backward()
        found = slope(x, out * engine.tensor(weights))
        np.testing.assert_allclose(found, y.grad.numpy(), rtol=1e-8, atol=1e-10)


def test_vectors_that_complete_a_basis_have_a_value_and_no_gradient():
    x = leaf(np.random.default_rng(3).standard_normal((3, 2)))
    u, s, _ = linalg.svd(x)
    assert u.shape == (3, 3)
    np.testing.assert_allclose(slope(x, s), slope(x, linalg.svdvals(x)))
    with pytest.raises(NotSupportedError, match="full_matrices=False"):
        linalg.svd(x)[0].sum().backward()
    with pytest.raises(NotSupportedError, match="complete"):
        linalg.qr(x, mode="complete").Q.sum().backward()
    with pytest.raises(NotSupportedError, match=r"qr\(x\).R"):
        linalg.qr(x, mode="r")


def test_eig_answers_in_complex_numbers():
    out = linalg.eig(leaf(np.diag([1.0, 2.0])))
    assert out.eigenvalues.dtype == out.eigenvectors.dtype == "complex128"
    single = linalg.eigvals(engine.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert single.dtype == "complex64"


def test_lstsq_gives_gradients_of_residuals_and_singular_values():
    rng = np.random.default_rng(4)
    a, b = leaf(rng.standard_normal((4, 2))), leaf(rng.standard_normal((4, 3)))
    out = linalg.lstsq(a, b)
    assert out.rank.item() == 2
    assert not out.rank.requires_grad
    again = ((b - a @ linalg.pinv(a) @ b) ** 2).sum(axis=0)
    weights = engine.tensor([1.0, 2.0, 3.0])
    for one, same in ((out.residuals, again), (out.singular_values, linalg.svdvals(a))):
        total, expected = (one * weights[: len(one)]).sum(), (same * weights[: len(one)]).sum()
        found = engine.grad(total, [a, b], retain_graph=True, materialize_grads=True)
        wanted = engine.grad(expected, [a, b], materialize_grads=True)
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0])
def test_matrix_exp_at_any_size(lib, scale):
    """Rotations, whose exponential is known."""
    x = leaf([[0.0, -scale], [scale, 0.0]], lib)
    out = lib.linalg.matrix_exp(x)
    rotation = [[np.cos(scale), -np.sin(scale)], [np.sin(scale), np.cos(scale)]]
    np.testing.assert_allclose(out.tolist(), rotation, rtol=1e-11, atol=1e-12)


def test_matrix_exp_of_what_is_not_finite_is_nan():
    assert np.isnan(linalg.matrix_exp(leaf([[INF, 0.0], [0.0, 0.0]])).tolist()).all()


# einsum and products


def test_einsum_in_all_its_spellings():
    a, b = leaf(np.arange(6.0).reshape(2, 3)), leaf(np.arange(12.0).reshape(3, 4))
    expected = (a @ b).tolist()
    for out in (
        engine.einsum("ij,jk->ik", a, b),
        engine.einsum("ij,jk", [a, b]),
        engine.einsum(a, [0, 1], b, [1, 2], [0, 2]),
        engine.einsum(a, [..., 1], b, [1, 2], [..., 2]),
        engine.einsum(a, [0, 1], b, [1, 2]),
        np.einsum("ij,jk->ik", a, b, optimize=True),
        np.einsum("ij,jk", a.detach().numpy(), b),
    ):
        assert out.tolist() == expected
        assert out.requires_grad


@pytest.mark.parametrize(
    "subscripts",
    ["ij,jk,kl", "ijk,jk", "ij,j->ik", "ij,jk->ii", "i1,jk", "ij,kj->i"],
)
def test_einsum_refuses_what_does_not_fit(subscripts):
    with pytest.raises(ShapeError, match="einsum"):
        engine.einsum(subscripts, leaf(np.ones((2, 3))), leaf(np.ones((4, 5))))


def test_attention_is_left_to_blas(monkeypatch):
    q, k = (leaf(np.random.default_rng(i).standard_normal((2, 2, 4, 3))) for i in (5, 6))

    def loops(*args, **keywords):
        raise AssertionError("a product in loops")

    monkeypatch.setattr(np, "einsum", loops)
    scores = engine.einsum("bhqd,bhkd->bhqk", q, k)
    seed = engine.tensor(np.random.default_rng(7).standard_normal(scores.shape))
    found = engine.grad(scores, [q, k], seed)
    again = engine.grad(q @ k.mT, [q, k], seed)
    for one, same in zip(found, again, strict=True):
        np.testing.assert_allclose(one.numpy(), same.numpy(), rtol=1e-12)


def test_multi_dot_takes_the_order_with_the_fewest_multiplications(monkeypatch):
    shapes: list[tuple[int, ...]] = []
    matmul = OPS["matmul"].forward

    def noted(a, b):
        shapes.append((*a.shape, b.shape[1]))
        return matmul(a, b)

    monkeypatch.setattr(OPS["matmul"], "forward", noted)
    a, b, c = (leaf(np.ones(shape)) for shape in ((10, 100), (100, 5), (5, 50)))
    assert linalg.multi_dot([a, b, c]).shape == (10, 50)
    assert shapes == [(10, 100, 5), (10, 5, 50)]
    shapes.clear()
    assert linalg.multi_dot([b, c, leaf(np.ones(50))]).shape == (100,)
    assert shapes == [(5, 50, 1), (100, 5, 1)]
    with pytest.raises(ValueError, match="two arrays"):
        linalg.multi_dot([a])


def test_tensordot_takes_its_axes_by_place_and_by_name(lib):
    a, b = leaf(np.arange(6.0).reshape(2, 3), lib), leaf(np.arange(6.0).reshape(3, 2), lib)
    expected = (a @ b).tolist()
    assert lib.tensordot(a, b, 1).tolist() == expected
    assert lib.tensordot(a, b, dims=([1], [0])).tolist() == expected


def test_axes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="tensordot: axis 1"):
        engine.tensordot(leaf(np.ones((2, 1))), leaf(np.ones((3, 2))), 1)
    with pytest.raises(ShapeError, match="matmul"):
        engine.matmul(leaf(np.ones((2, 2, 3))), leaf(np.ones((2, 3))))


def test_transposes_of_matrices(lib):
    x = lib.tensor(np.arange(12.0).reshape(2, 3, 2) * (1 + 2j))
    assert x.mT.tolist() == np.swapaxes(x.numpy(), 1, 2).tolist()
    assert x.mH.tolist() == np.swapaxes(x.numpy().conj(), 1, 2).tolist()
    assert x[0].H.tolist() == x.numpy()[0].conj().T.tolist()
    with pytest.raises(RuntimeError):
        x.H  # noqa: B018


# Fourier transforms


def test_transforms_take_dim_and_axes(lib):
    x = leaf(np.arange(24.0).reshape(2, 3, 4), lib)
    for name in ("fft2", "rfft2", "fftn", "rfftn"):
        out = getattr(lib.fft, name)(x, dim=(0, 1))
        expected = getattr(np.fft, name)(x.detach().numpy(), axes=(0, 1))
        np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-12)
    shifted = lib.fft.fftshift(x, dim=1).tolist()
    assert shifted == np.fft.fftshift(x.detach().numpy(), axes=1).tolist()
    assert fft.fft(leaf([1.0, 2.0]), dim=0).shape == (2,)


def test_frequencies(lib):
    assert lib.fft.fftfreq(5, 0.5).tolist() == pytest.approx(np.fft.fftfreq(5, 0.5), rel=1e-6)
    assert lib.fft.rfftfreq(4).tolist() == [0, 0.25, 0.5]
    assert str(lib.fft.rfftfreq(4).dtype).endswith("float32")
    assert str(
        lib.fft.fftfreq(4, dtype="float64" if lib is engine else lib.float64).dtype
    ).endswith("float64")


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 lengths for 1 axes"):
        fft.fftn(leaf(np.ones((2, 2))), s=(2, 2), axes=(0,))
    with pytest.raises(ValueError, match="norm"):
        fft.hfft(leaf([1.0, 2.0]), norm="other")
    with pytest.raises(ShapeError, match=r"fft.fft\(x: float64\[2\]\)"):
        fft.fft(leaf([1.0, 2.0]), n=0)


def test_a_transform_keeps_single_precision():
    x = engine.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = fft.ifft(fft.fft(x))
    assert out.dtype == "complex64"
    assert engine.grad(out.real.sum(), [x])[0].dtype == "float32"
