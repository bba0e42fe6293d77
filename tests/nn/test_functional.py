"""`engine.nn.functional` answers as PyTorch's does: values and gradients of the same calls."""

import threading
from typing import Any

import numpy as np
import pytest

import engine
from engine.errors import EngineError
from engine.nn import functional as ours

IDS = np.array([2, 0, 1])
SIGNS = np.array([1, -1, 1])
MAPS = np.array([[[2, 0], [1, -100]], [[0, 1], [2, 2]]])
WEIGHT = np.array([0.5, 1.0, 2.0])
BAGS = np.array([[1, 2, 1], [0, 3, 3]])
ROW = np.array([1, 2, 1, 0, 3])
HIDDEN = np.array([[True, False, True], [True, True, True]])


def call(name: str, *args: Any, **keywords: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """A function, its arguments, of which each S is to be drawn, and keywords."""
    return name, args, keywords


class S(tuple[int, ...]):
    """The shape of an array to draw."""


CALLS = [
    call("conv1d", S((2, 3, 7)), S((4, 3, 3)), S((4,)), stride=2, padding=1),
    call("conv1d", S((3, 7)), S((4, 3, 2)), padding="same", dilation=3),
    call("conv2d", S((2, 4, 6, 5)), S((6, 2, 3, 2)), S((6,)), (2, 1), (1, 0), 1, 2),
    call("conv2d", S((2, 3, 5, 5)), S((2, 3, 2, 4)), padding="same"),
    call("conv2d", S((2, 3, 5, 5)), S((2, 3, 2, 3)), padding="valid", stride=(1, 2)),
    call("conv3d", S((1, 2, 3, 4, 3)), S((2, 2, 2, 2, 2)), S((2,)), padding=1, stride=2),
    call("conv_transpose1d", S((2, 3, 4)), S((3, 2, 3)), S((2,)), 2, 1, 1),
    call(
        "conv_transpose2d", S((2, 4, 3, 3)), S((4, 2, 3, 2)), S((4,)), (2, 1), 1, (1, 0), 2, (1, 2)
    ),
    call("conv_transpose2d", S((4, 3, 3)), S((4, 2, 2, 2))),
    call("conv_transpose3d", S((1, 2, 2, 2, 2)), S((2, 1, 2, 2, 2)), None, 2),
    call("max_pool1d", S((2, 3, 7)), 3, 2, 1, ceil_mode=True),
    call("max_pool2d", S((2, 3, 7, 6)), 2),
    call("max_pool2d", S((3, 7, 6)), (3, 2), (2, 1), (1, 0), dilation=(1, 2), ceil_mode=True),
    call("max_pool2d", S((1, 1, 5, 5)), 2, 3, 1, ceil_mode=True),
    call("max_pool3d", S((1, 2, 4, 4, 4)), 2),
    call("avg_pool1d", S((2, 3, 7)), 3, 2, 1, count_include_pad=False),
    call("avg_pool2d", S((2, 3, 7, 6)), 2, ceil_mode=True),
    call("avg_pool2d", S((2, 3, 7, 6)), 3, 2, 1, ceil_mode=True, count_include_pad=False),
    call("avg_pool2d", S((2, 3, 8, 6)), 3, 2, 1, ceil_mode=True),
    call("avg_pool2d", S((3, 7, 6)), (3, 2), divisor_override=5),
    call("avg_pool3d", S((1, 2, 4, 5, 4)), 2, padding=1),
    call("adaptive_avg_pool1d", S((2, 3, 7)), 3),
    call("adaptive_avg_pool2d", S((2, 3, 7, 6)), (None, 3)),
    call("adaptive_avg_pool2d", S((2, 3, 7, 6)), 1),
    call("adaptive_avg_pool3d", S((1, 2, 4, 5, 4)), (2, 3, 1)),
    call("unfold", S((2, 2, 5, 4)), (2, 3), 1, (1, 0), 2),
    call("fold", S((2, 8, 12)), (4, 5), 2),
    call("interpolate", S((2, 3, 5)), scale_factor=1.7),
    call("interpolate", S((2, 3, 5)), 8, mode="linear"),
    call("interpolate", S((1, 2, 4, 5)), scale_factor=(1.5, 0.6), mode="bilinear"),
    call("interpolate", S((1, 2, 4, 5)), (3, 9), mode="bilinear", align_corners=True),
    call("interpolate", S((1, 2, 4, 5)), scale_factor=1.9, mode="bicubic"),
    call(
        "interpolate",
        S((1, 2, 4, 5)),
        scale_factor=1.9,
        mode="bilinear",
        recompute_scale_factor=True,
    ),
    call("interpolate", S((1, 2, 4, 5)), (3, 7), mode="nearest-exact"),
    call("interpolate", S((1, 2, 4, 5)), (3, 2), mode="area"),
    call("interpolate", S((1, 1, 2, 3, 2)), 4, mode="trilinear"),
    call("pixel_shuffle", S((2, 8, 2, 3)), 2),
    call("pixel_unshuffle", S((2, 2, 4, 6)), 2),
    call("layer_norm", S((2, 3, 4)), (3, 4), S((3, 4)), S((3, 4)), 1e-3),
    call("layer_norm", S((2, 3, 4)), [4]),
    call("rms_norm", S((2, 3, 4)), (4,), S((4,))),
    call("batch_norm", S((4, 3)), None, None, S((3,)), S((3,)), True),
    call("batch_norm", S((2, 3, 4)), np.zeros(3), np.ones(3), S((3,)), S((3,)), True, 0.3),
    call("batch_norm", S((2, 3, 4, 2)), WEIGHT, WEIGHT + 1, S((3,)), S((3,))),
    call("group_norm", S((2, 6, 4)), 3, S((6,)), S((6,))),
    call("instance_norm", S((2, 3, 4)), None, None, S((3,)), S((3,))),
    call("instance_norm", S((2, 3, 4)), np.zeros(3), np.ones(3), momentum=0.3),
    call("instance_norm", S((2, 3, 4)), WEIGHT, WEIGHT, use_input_stats=False),
    call("scaled_dot_product_attention", S((2, 3, 4)), S((2, 5, 4)), S((2, 5, 2))),
    call(
        "scaled_dot_product_attention", S((2, 2, 3, 4)), S((2, 2, 5, 4)), S((2, 2, 5, 2)), S((3, 5))
    ),
    call(
        "scaled_dot_product_attention", S((1, 2, 4)), S((1, 3, 4)), S((1, 3, 2)), HIDDEN, scale=0.3
    ),
    call("scaled_dot_product_attention", S((1, 4, 4)), S((1, 4, 4)), S((1, 4, 2)), is_causal=True),
    call(
        "scaled_dot_product_attention",
        S((1, 4, 3, 2)),
        S((1, 2, 3, 2)),
        S((1, 2, 3, 2)),
        enable_gqa=True,
    ),
    call("embedding", BAGS, S((5, 3))),
    call("embedding", BAGS, S((5, 3)), padding_idx=-2),
    call("embedding_bag", BAGS, S((5, 3))),
    call("embedding_bag", BAGS, S((5, 3)), mode="max"),
    call("embedding_bag", ROW, S((5, 3)), np.array([0, 2, 2]), mode="sum"),
    call("embedding_bag", ROW, S((5, 3)), np.array([0, 2, 2]), mode="max"),
    call(
        "embedding_bag", ROW, S((5, 3)), np.array([0, 2, 5]), mode="mean", include_last_offset=True
    ),
    call("embedding_bag", ROW, S((5, 3)), np.array([0, 2]), mode="mean", padding_idx=1),
    call("embedding_bag", BAGS, S((5, 3)), mode="sum", per_sample_weights=S((2, 3))),
    call("linear", S((2, 3)), S((4, 3)), S((4,))),
    call("bilinear", S((2, 3)), S((2, 4)), S((5, 3, 4)), S((5,))),
    call("cosine_similarity", S((2, 3)), S((2, 3)), dim=0),
    call("pairwise_distance", S((2, 3)), S((2, 3)), p=3.0, keepdim=True),
    call("normalize", S((2, 3)), p=1.0, dim=0),
    call("mse_loss", S((2, 3)), S((2, 3)), reduction="sum"),
    call("l1_loss", S((2, 3)), S((2, 3))),
    call("huber_loss", S((2, 3)), S((2, 3)), "none", 0.4),
    call("smooth_l1_loss", S((2, 3)), S((2, 3)), beta=0.4),
    call("smooth_l1_loss", S((2, 3)), S((2, 3)), reduction="sum", beta=0.0),
    call("cross_entropy", S((3, 4)), IDS),
    call("cross_entropy", S((3, 3)), IDS, WEIGHT, reduction="sum"),
    call("cross_entropy", S((3, 3)), np.array([2, -100, 1])),
    call("cross_entropy", S((3, 3)), IDS, ignore_index=2, reduction="none"),
    call("cross_entropy", S((2, 3, 2, 2)), MAPS, WEIGHT, label_smoothing=0.2),
    call("cross_entropy", S((2, 3, 2, 2)), MAPS, label_smoothing=0.2, reduction="none"),
    call("cross_entropy", S((4,)), np.array(2)),
    call("cross_entropy", S((2, 3)), S((2, 3)), WEIGHT, label_smoothing=0.1),
    call("cross_entropy", S((2, 3, 2)), S((2, 3, 2)), WEIGHT, reduction="none"),
    call("cross_entropy", S((3,)), S((3,))),
    call("nll_loss", S((2, 3, 2, 2)), MAPS, WEIGHT),
    call("binary_cross_entropy_with_logits", S((2, 3)), S((2, 3)), WEIGHT),
    call(
        "binary_cross_entropy_with_logits", S((2, 3)), S((2, 3)), pos_weight=WEIGHT, reduction="sum"
    ),
    call("gaussian_nll_loss", S((2, 3)), S((2, 3)), np.array([[0.5], [2.0]]), full=True),
    call("gaussian_nll_loss", S((2, 3)), S((2, 3)), np.array([0.5, 2.0])),
    call("poisson_nll_loss", S((2, 3)), S((2, 3)), full=False),
    call("soft_margin_loss", S((3,)), SIGNS, reduction="none"),
    call("multilabel_soft_margin_loss", S((2, 3)), np.array([[1.0, 0, 1], [0, 0, 1]]), WEIGHT),
    call("hinge_embedding_loss", S((3,)), SIGNS, 0.3),
    call("margin_ranking_loss", S((3,)), S((3,)), SIGNS, 0.1, reduction="sum"),
    call("cosine_embedding_loss", S((3, 4)), S((3, 4)), SIGNS, -0.5),
    call("triplet_margin_loss", S((3, 4)), S((3, 4)), S((3, 4)), swap=True, p=1.0),
    call("multi_margin_loss", S((3, 3)), IDS, 2, 0.7, WEIGHT),
]
LABELS = [f"{name}-{i}" for i, (name, _, _) in enumerate(CALLS)]


def arguments(given: tuple[Any, ...], keywords: dict[str, Any], make: Any, plain: Any) -> Any:
    """The same numbers for whoever asks: what was drawn, and all arguments."""
    rng, drawn = np.random.default_rng(0), []

    def one(arg: Any) -> Any:
        if isinstance(arg, S):
            drawn.append(make(rng.standard_normal(arg)))
            return drawn[-1]
        return plain(arg.copy()) if isinstance(arg, np.ndarray) else arg

    return drawn, [one(arg) for arg in given], {name: one(arg) for name, arg in keywords.items()}


@pytest.mark.filterwarnings("ignore::UserWarning")  # of PyTorch, about itself
@pytest.mark.parametrize(("name", "args", "keywords"), CALLS, ids=LABELS)
def test_pytorch_agrees(name, args, keywords):
    torch = pytest.importorskip("torch")
    drawn, given, named = arguments(
        args, keywords, lambda a: engine.from_numpy(a).requires_grad_(), engine.from_numpy
    )
    theirs, expected, options = arguments(
        args, keywords, lambda a: torch.tensor(a, requires_grad=True), torch.tensor
    )
    out = getattr(ours, name)(*given, **named)
    want = getattr(torch.nn.functional, name)(*expected, **options)
    assert out.dtype == want.detach().numpy().dtype
    np.testing.assert_allclose(out.detach().numpy(), want.detach().numpy(), rtol=1e-9, atol=1e-11)
    seed = np.cos(np.arange(out.detach().numpy().size)).reshape(out.shape)
    found = engine.grad(out, drawn, engine.tensor(seed))
    wanted = torch.autograd.grad(want, theirs, torch.tensor(seed))
    for g, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-8, atol=1e-10)
    for mine, other in zip(given, expected, strict=True):  # running statistics
        if isinstance(mine, engine.Tensor):
            np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-9)


# What a table of calls does not show


def test_places_of_maxima():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 6))
    cases: tuple[dict[str, Any], ...] = (
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
    )
    for options in cases:
        best, places = ours.max_pool2d(engine.from_numpy(x), **options, return_indices=True)
        want, at = (
            torch.max_pool2d(torch.tensor(x), **options),
            torch.nn.functional.max_pool2d(torch.tensor(x), **options, return_indices=True)[1],
        )
        np.testing.assert_array_equal(best.numpy(), want.numpy())
        np.testing.assert_array_equal(places.numpy(), at.numpy())
    assert ours.max_pool1d(engine.ones(3, 4), 2, return_indices=True)[1].shape == (3, 2)


def test_the_first_of_equal_elements_gets_the_gradient_and_a_nan_wins():
    x = engine.tensor([[[[1.0, 1.0], [1.0, 1.0]]]], requires_grad=True)
    ours.max_pool2d(x, 2).backward()
    assert x.grad.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]
    x = engine.tensor([[[1.0, np.nan, 3.0]]], requires_grad=True)
    y = ours.max_pool1d(x, 3)
    assert np.isnan(y.item())
    y.sum().backward()
    assert x.grad.sum().item() == 1


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ctc_behind_a_log_softmax_is_pytorchs(reduction):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((12, 4, 6))
    targets = np.array([[1, 2, 2, 5], [3, 3, 3, 0], [1, 0, 0, 0], [4, 5, 4, 5]])
    steps, lengths = np.array([12, 9, 7, 4]), np.array([4, 3, 1, 4])
    mine, theirs = engine.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    rows = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])
    for said in (targets, rows):
        got = ours.ctc_loss(
            ours.log_softmax(mine, -1), engine.tensor(said), steps, lengths, reduction=reduction
        )
        want = torch.nn.functional.ctc_loss(
            torch.log_softmax(theirs, -1),
            torch.tensor(said),
            torch.tensor(steps),
            torch.tensor(lengths),
            reduction=reduction,
        )
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-9)
        (g,), (w,) = engine.grad(got.sum(), [mine]), torch.autograd.grad(want.sum(), theirs)
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-7, atol=1e-10)


def test_ctc_of_what_cannot_be():
    x = engine.zeros(2, 1, 3, requires_grad=True)
    given = ours.log_softmax(x, -1), np.array([[1, 1]]), np.array([2]), np.array([2])
    assert ours.ctc_loss(*given).item() == np.inf
    loss = ours.ctc_loss(*given, zero_infinity=True)
    assert loss.item() == 0
    loss.backward()
    assert not x.grad.numpy().any()
    single = ours.ctc_loss(engine.zeros(3, 2).log_softmax(-1), [1], 3, 1, reduction="none")
    assert single.shape == ()
    np.testing.assert_allclose(single.item(), -np.log(6 / 8), rtol=1e-6)


def test_attention_of_queries_that_see_nothing():
    q = engine.ones(2, 3, requires_grad=True)
    mask = np.array([[False, False], [True, True]])
    out = ours.scaled_dot_product_attention(q, q, q, mask)
    assert out.tolist() == [[0, 0, 0], [1, 1, 1]]
    out.sum().backward()
    assert np.isfinite(q.grad.numpy()).all()


def test_attention_drops_weights():
    engine.manual_seed(0)
    q = engine.zeros(50, 8, 4)
    out = ours.scaled_dot_product_attention(q, q, q + 1, dropout_p=0.5)
    assert set(np.round(out.numpy() * 4).ravel()) <= set(range(9))
    assert abs(out.mean().item() - 1) < 0.05
    assert 0.1 < out.std().item() < 0.5


def test_batch_norm_keeps_statistics():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for momentum in (0.2, None):
        mine = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
        mean, var = engine.zeros(3, dtype="float64"), engine.ones(3, dtype="float64")
        count = engine.tensor(0)
        for _ in range(3):
            x = rng.standard_normal((5, 3))
            ours.batch_norm(engine.tensor(x), mean, var, None, None, True, momentum, 1e-5, count)
            mine(torch.tensor(x))
        np.testing.assert_allclose(mean.numpy(), mine.running_mean.numpy(), rtol=1e-10)
        np.testing.assert_allclose(var.numpy(), mine.running_var.numpy(), rtol=1e-10)
        assert count.item() == 3


def test_no_batch_is_lost_by_running_statistics():
    """With a momentum of 1 / n the mean is that of n batches, if each was counted once."""
    channels, threads, rounds = 20_000, 4, 25
    mean, var = engine.zeros(channels), engine.ones(channels)
    count, start = engine.tensor(0), threading.Barrier(threads)
    x = engine.tensor(np.stack([np.zeros(channels, "f4"), np.full(channels, 2, "f4")]))

    def work(shift: int) -> None:
        start.wait()
        for k in range(rounds):
            batch = x + float(shift * rounds + k)
            ours.batch_norm(batch, mean, var, None, None, True, None, 1e-5, count)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert count.item() == threads * rounds
    np.testing.assert_allclose(mean.numpy(), 1 + (threads * rounds - 1) / 2, rtol=1e-4)
    np.testing.assert_allclose(var.numpy(), 2, rtol=1e-4)


def test_probabilities_at_the_edge():
    p = engine.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = ours.binary_cross_entropy(p, engine.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert loss.tolist() == [0, 0, 100, 100]
    loss.sum().backward()
    assert np.isfinite(p.grad.numpy()).all()


def test_one_hot():
    assert ours.one_hot(engine.tensor([[1], [0]]), 3).tolist() == [[[0, 1, 0]], [[1, 0, 0]]]
    assert ours.one_hot(np.zeros((0,), int)).shape == (0, 0)


X, IMAGE = engine.ones(3, 4), engine.ones(1, 2, 4, 4)
MISUSE: dict[str, Any] = {
    "conv2d of a matrix": lambda: ours.conv2d(X, engine.ones(1, 1, 2, 2)),
    "conv2d of other channels": lambda: ours.conv2d(IMAGE, engine.ones(1, 3, 2, 2)),
    "conv2d of a small image": lambda: ours.conv2d(IMAGE, engine.ones(1, 2, 5, 5)),
    "conv2d with a long bias": lambda: ours.conv2d(IMAGE, engine.ones(1, 2, 2, 2), engine.ones(2)),
    "conv2d with a flat weight": lambda: ours.conv2d(IMAGE, X),
    "conv2d same and strided": lambda: ours.conv2d(
        IMAGE, engine.ones(1, 2, 2, 2), padding="same", stride=2
    ),
    "conv2d padding": lambda: ours.conv2d(IMAGE, engine.ones(1, 2, 2, 2), padding="full"),
    "conv2d stride 0": lambda: ours.conv2d(IMAGE, engine.ones(1, 2, 2, 2), stride=0),
    "conv2d three strides": lambda: ours.conv2d(IMAGE, engine.ones(1, 2, 2, 2), stride=(1, 1, 1)),
    "conv2d groups": lambda: ours.conv2d(IMAGE, engine.ones(3, 1, 2, 2), groups=2),
    "conv2d no groups": lambda: ours.conv2d(IMAGE, engine.ones(3, 1, 2, 2), groups=0),
    "conv_transpose2d channels": lambda: ours.conv_transpose2d(IMAGE, engine.ones(3, 1, 2, 2)),
    "conv_transpose2d output": lambda: ours.conv_transpose2d(
        IMAGE, engine.ones(2, 1, 2, 2), output_padding=1
    ),
    "max_pool2d padding": lambda: ours.max_pool2d(IMAGE, 2, padding=2),
    "max_pool2d too large": lambda: ours.max_pool2d(IMAGE, 5),
    "avg_pool2d divisor": lambda: ours.avg_pool2d(IMAGE, 2, divisor_override=0),
    "adaptive sizes": lambda: ours.adaptive_avg_pool2d(IMAGE, (1, 2, 3)),
    "interpolate both": lambda: ours.interpolate(IMAGE, 2, 2.0),
    "interpolate mode": lambda: ours.interpolate(IMAGE, 2, mode="linear"),
    "interpolate corners": lambda: ours.interpolate(IMAGE, 2, align_corners=True),
    "interpolate antialias": lambda: ours.interpolate(IMAGE, 2, mode="bilinear", antialias=True),
    "pixel_shuffle": lambda: ours.pixel_shuffle(IMAGE, 2),
    "pixel_unshuffle": lambda: ours.pixel_unshuffle(IMAGE, 3),
    "fold": lambda: ours.fold(engine.ones(1, 4, 3), (2, 3), 2),
    "layer_norm": lambda: ours.layer_norm(X, 3),
    "layer_norm weight": lambda: ours.layer_norm(X, 4, engine.ones(3)),
    "rms_norm": lambda: ours.rms_norm(X, (3,)),
    "batch_norm weight": lambda: ours.batch_norm(X, None, None, engine.ones(3), training=True),
    "batch_norm of one": lambda: ours.batch_norm(engine.ones(1, 3), None, None, training=True),
    "batch_norm statistics": lambda: ours.batch_norm(X, None, None),
    "group_norm": lambda: ours.group_norm(X, 3),
    "attention masks": lambda: ours.scaled_dot_product_attention(X, X, X, X, 0.0, True),
    "attention shapes": lambda: ours.scaled_dot_product_attention(X, engine.ones(3, 5), X),
    "attention dropout": lambda: ours.scaled_dot_product_attention(X, X, X, dropout_p=2.0),
    "embedding of floats": lambda: ours.embedding(X, X),
    "embedding out of range": lambda: ours.embedding([5], X),
    "embedding_bag mode": lambda: ours.embedding_bag([[1]], X, mode="min"),
    "embedding_bag offsets": lambda: ours.embedding_bag([1, 2], X, [1]),
    "one_hot": lambda: ours.one_hot([3], 2),
    "cross_entropy class": lambda: ours.cross_entropy(X, [0, 1, 4]),
    "cross_entropy weighted class": lambda: ours.cross_entropy(X, [0, 1, 4], engine.ones(4)),
    "cross_entropy shape": lambda: ours.cross_entropy(X, [0, 1], label_smoothing=0.1),
    "cross_entropy probabilities": lambda: ours.cross_entropy(X, engine.ones(3, 3)),
    "cross_entropy reduction": lambda: ours.cross_entropy(X, [0, 1, 2], reduction="median"),
    "weighted reduction": lambda: ours.mse_loss(X, X, "median", X),
    "bce of logits": lambda: ours.binary_cross_entropy(X + 1, X),
    "bce shape": lambda: ours.binary_cross_entropy(X, engine.ones(4)),
    "gaussian variance": lambda: ours.gaussian_nll_loss(X, X, -X),
    "ctc lengths": lambda: ours.ctc_loss(IMAGE[0], [[1], [1]], [9, 1], [1, 1]),
    "ctc reduction": lambda: ours.ctc_loss(IMAGE[0], [[1]], [1], [1], reduction="median"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name):
    with pytest.raises(EngineError) as caught:
        MISUSE[name]()
    assert isinstance(caught.value, ValueError | TypeError | NotImplementedError)
    assert str(caught.value)
