"""Each layer against PyTorch's of the same name, with the same parameters under the same names."""

import numpy as np
import pytest

import engine
from engine import nn
from engine.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(5)


def array(*shape: int) -> np.ndarray:
    return np.asarray(RNG.standard_normal(shape).astype("f4"))


IDS = np.array([[1, 3, 3], [0, 6, 1]])
LAYERS = [
    ("Linear", (5, 4), {}, [array(3, 2, 5)]),
    ("Linear", (5, 4), {"bias": False}, [array(5)]),
    ("Identity", (), {}, [array(2, 3)]),
    ("Flatten", (), {}, [array(2, 3, 4)]),
    ("Unflatten", (1, (2, 3)), {}, [array(2, 6, 4)]),
    ("Conv1d", (4, 6, 3), {"padding": 1}, [array(2, 4, 9)]),
    ("Conv1d", (4, 6, 3), {"stride": 2, "groups": 2}, [array(2, 4, 9)]),
    ("Conv2d", (3, 8, 3), {}, [array(2, 3, 7, 6)]),
    ("Conv2d", (4, 8, (3, 2)), {"stride": 2, "padding": 1, "groups": 2}, [array(2, 4, 7, 6)]),
    ("Conv2d", (3, 4, 3), {"padding": "same", "dilation": 2, "bias": False}, [array(2, 3, 7, 6)]),
    ("MaxPool2d", (2,), {}, [array(2, 3, 6, 7)]),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, [array(2, 3, 6, 7)]),
    ("AvgPool2d", (2,), {}, [array(2, 3, 6, 7)]),
    ("LayerNorm", (5,), {}, [array(2, 3, 5)]),
    ("LayerNorm", ((3, 5),), {"bias": False}, [array(2, 3, 5)]),
    ("LayerNorm", (5,), {"elementwise_affine": False, "eps": 1e-3}, [array(2, 5)]),
    ("RMSNorm", (5,), {"eps": 1e-6}, [array(2, 3, 5)]),
    ("RMSNorm", (5,), {}, [array(2, 5)]),
    ("BatchNorm1d", (4,), {}, [array(6, 4)]),
    ("BatchNorm1d", (4,), {"affine": False}, [array(3, 4, 5)]),
    ("BatchNorm2d", (4,), {"momentum": None}, [array(3, 4, 5, 2)]),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, [array(3, 4, 5, 2)]),
    ("Embedding", (7, 4), {"padding_idx": 1}, [IDS]),
    ("LSTMCell", (3, 5), {}, [array(2, 3)]),
    ("LSTMCell", (3, 5), {"bias": False}, [array(2, 3), (array(2, 5), array(2, 5))]),
    ("GRUCell", (3, 5), {}, [array(2, 3), array(2, 5)]),
    ("GRUCell", (3, 5), {}, [array(2, 3)]),
    ("ReLU", (), {}, [array(3, 4)]),
    ("LeakyReLU", (0.2,), {}, [array(3, 4)]),
    ("ELU", (0.7,), {}, [array(3, 4)]),
    ("GELU", (), {}, [array(3, 4)]),
    ("SiLU", (), {}, [array(3, 4)]),
    ("Softplus", (), {}, [array(3, 4)]),
    ("Sigmoid", (), {}, [array(3, 4)]),
    ("Tanh", (), {}, [array(3, 4)]),
    ("Softmax", (1,), {}, [array(3, 4)]),
    ("LogSoftmax", (-1,), {}, [array(3, 4)]),
    ("MSELoss", (), {}, [array(3, 4), array(3, 4)]),
    ("L1Loss", (), {"reduction": "sum"}, [array(3, 4), array(3, 4)]),
    ("HuberLoss", (), {"delta": 0.5}, [array(3, 4), array(3, 4)]),
    ("CrossEntropyLoss", (), {}, [array(2, 4), np.array([1, 3])]),
    ("NLLLoss", (), {}, [array(2, 4), np.array([1, 3])]),
    ("BCEWithLogitsLoss", (), {}, [array(3, 4), abs(array(3, 4)) % 1]),
    ("BCELoss", (), {}, [abs(array(3, 4)) % 1, abs(array(3, 4)) % 1]),
    ("KLDivLoss", (), {"reduction": "batchmean"}, [array(3, 4), abs(array(3, 4))]),
]
ATTENTION = [
    ({}, {}),
    ({"batch_first": True}, {}),
    ({"bias": False}, {"average_attn_weights": False}),
    ({}, {"need_weights": False}),
]


def each_layer():
    labels = [f"{name}-{index}" for index, (name, *_) in enumerate(LAYERS)]
    return pytest.mark.parametrize(("name", "args", "options", "inputs"), LAYERS, ids=labels)


def pair(torch, name, args, options):
    """Ours and PyTorch's layer, with PyTorch's parameters in both."""
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    report = ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    assert report == ([], [])
    return ours, theirs


def given(make, inputs):
    """The inputs as tensors that require a gradient where they can."""
    made = []
    for value in inputs:
        if isinstance(value, tuple):
            made.append(tuple(given(make, value)))
        else:
            tensor = make(value.copy())
            made.append(tensor.requires_grad_() if value.dtype.kind == "f" else tensor)
    return made


def flat(values):
    return [x for v in values for x in (v if isinstance(v, tuple) else (v,)) if x is not None]


def compare(ours, theirs, mine, yours, **keywords):
    """Outputs, gradients of inputs and of parameters, and buffers afterwards."""
    outs, wanted = flat([ours(*mine, **keywords)]), flat([theirs(*yours, **keywords)])
    assert len(outs) == len(wanted)
    for out, want in zip(outs, wanted, strict=True):
        close(out, want)
        (out * out).sum().backward(retain_graph=True)
        (want * want).sum().backward(retain_graph=True)
    for tensor, peer in zip(flat(mine), flat(yours), strict=True):
        if peer.grad is not None:
            close(tensor.grad, peer.grad)
    named = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        close(p.grad, named[name].grad)
    for name, tensor in theirs.state_dict().items():
        close(ours.state_dict()[name], tensor)


def close(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-4, atol=1e-5)


@each_layer()
def test_a_layer_is_pytorchs(name, args, options, inputs):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, name, args, options)
    compare(ours, theirs, given(engine.from_numpy, inputs), given(torch.from_numpy, inputs))


@each_layer()
def test_a_layer_in_use_is_pytorchs(name, args, options, inputs):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, name, args, options)
    for _ in range(2):  # statistics move before they are used
        ours(*given(engine.from_numpy, inputs))
        theirs(*given(torch.from_numpy, inputs))
    ours, theirs = ours.eval(), theirs.eval()
    compare(ours, theirs, given(engine.from_numpy, inputs), given(torch.from_numpy, inputs))


@pytest.mark.parametrize(("options", "call"), ATTENTION)
@pytest.mark.parametrize("same", [True, False])
def test_attention_is_pytorchs(options, call, same):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "MultiheadAttention", (8, 2), options)
    x = [array(5, 3, 8)] if same else [array(4, 3, 8), array(5, 3, 8), array(5, 3, 8)]
    if options.get("batch_first") and not same:
        x = [array(3, 4, 8), array(3, 5, 8), array(3, 5, 8)]
    mine, yours = given(engine.from_numpy, x), given(torch.from_numpy, x)
    compare(
        ours, theirs, mine * (4 - len(x)) if same else mine, yours * 3 if same else yours, **call
    )


def test_masked_attention_is_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "MultiheadAttention", (8, 2), {})
    x = array(5, 3, 8)
    causal = np.triu(np.ones((5, 5), bool), 1)
    padding = np.zeros((3, 5), bool)
    padding[1, 3:] = True
    heads = np.where(RNG.random((6, 5, 5)) < 0.3, -np.inf, array(6, 5, 5)).astype("f4")
    heads[:, :, 0] = 0
    for masks in ({"attn_mask": causal}, {"key_padding_mask": padding}, {"attn_mask": heads}):
        for weights in (True, False):
            mine, yours = given(engine.from_numpy, [x]), given(torch.from_numpy, [x])
            got, _ = ours(*mine * 3, need_weights=weights, **masks)
            tensors = {name: torch.from_numpy(mask) for name, mask in masks.items()}
            want, _ = theirs(*yours * 3, need_weights=weights, **tensors)
            close(got, want)
            (got * got).sum().backward()
            (want * want).sum().backward()
            close(mine[0].grad, yours[0].grad)
    single = given(engine.from_numpy, [x[:, 0]])
    close(ours(*single * 3)[0], theirs(*[torch.from_numpy(x[:, 0])] * 3)[0])


def test_dropout_scales_what_it_keeps_and_rests_in_use():
    layer, x = nn.Dropout(0.25), engine.ones(100, 100)
    kept = layer(x).numpy()
    assert set(np.unique(kept)) == {0, np.float32(1 / 0.75)}
    assert kept.mean() == pytest.approx(1, abs=0.03)
    assert layer.eval()(x) is x or (layer(x).numpy() == 1).all()


def test_sparse_embedding_gives_the_rows_that_were_read():
    dense, sparse = nn.Embedding(50, 4), nn.Embedding(50, 4, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    for layer in (dense, sparse):
        (layer(IDS) ** 2).sum().backward()
    grad = sparse.weight.grad
    assert isinstance(grad, engine.RowSparse)
    assert sorted(set(grad.ids.tolist())) == [0, 1, 3, 6]
    whole = np.asarray(grad.to_dense())
    np.testing.assert_allclose(whole, dense.weight.grad.numpy(), rtol=1e-6)


def test_misuse_is_named():
    with pytest.raises(ArgumentError, match="groups=3 must divide"):
        nn.Conv2d(4, 6, 3, groups=3)
    with pytest.raises(ArgumentError, match="num_heads=3 must divide"):
        nn.MultiheadAttention(8, 3)
    with pytest.raises(ArgumentError, match="padding_idx=9"):
        nn.Embedding(4, 2, padding_idx=9)
    with pytest.raises(ArgumentError, match="p is a probability"):
        nn.Dropout(1.5)
    with pytest.raises(ShapeError, match="BatchNorm2d: expected 4 axes"):
        nn.BatchNorm2d(3)(engine.ones(2, 3))
    with pytest.raises(ShapeError, match="MultiheadAttention: expected"):
        nn.MultiheadAttention(8, 2)(*[engine.ones(2, 3, 7)] * 3)


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "LSTMCell", "BatchNorm1d", "Embedding"])
def test_layers_print_their_sizes(name):
    args = {"Conv2d": (3, 8, 3), "BatchNorm1d": (4,)}.get(name, (3, 4))
    assert repr(getattr(nn, name)(*args)).startswith(f"{name}({args[0]}")
