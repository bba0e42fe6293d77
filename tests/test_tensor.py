"""Tensors behave as PyTorch's do: flags, `.grad`, sharing, writes in place.

Numbers are those of the list of cases in `test_autograd`. Each body that takes `lib` runs against
PyTorch too, where it is installed.
"""

import numpy as np
import pytest

import engine


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


def leaf(lib, *values, **options):
    """A leaf of the values, in float32; of one value, a scalar."""
    data = values[0] if len(values) == 1 else list(values)
    return lib.tensor(data, requires_grad=True, **options)


def has_grad(x):
    return x.grad is not None


# Flags


def test_flags_of_leaves_and_of_what_is_computed(lib):
    x, c = leaf(lib, 1.0), lib.tensor(1.0)
    y, d = x * 2, c * 2
    assert (x.is_leaf, x.requires_grad, x.grad_fn) == (True, True, None)
    assert (c.is_leaf, c.requires_grad, c.grad_fn) == (True, False, None)
    assert (d.is_leaf, d.requires_grad, d.grad_fn) == (True, False, None)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    assert y.grad_fn.name() == "MulBackward0"
    assert (y + c).requires_grad
    assert not (x > 0).requires_grad


def test_the_graph_can_be_walked(lib):
    x, c = leaf(lib, 1.0), lib.tensor(1.0)
    y = (x * 2).exp() + c
    (exp, _), (none, _) = y.grad_fn.next_functions
    assert (exp.name(), none) == ("ExpBackward0", None)
    (mul, _), *_ = exp.next_functions
    (accumulate, number), *_ = mul.next_functions
    assert "AccumulateGrad" in accumulate.name()
    assert number == 0


def test_requires_grad_may_be_switched_on_and_off_on_leaves(lib):
    x = lib.tensor([1.0, 2.0])
    assert x.requires_grad_() is x
    assert x.requires_grad
    x.requires_grad = False
    assert not x.requires_grad
    x.requires_grad_(False)


@pytest.mark.parametrize("values", [[1, 2], [True]])
def test_case_31_only_floats_can_require_gradients(lib, values):
    with pytest.raises(RuntimeError, match="floating point"):
        lib.tensor(values, requires_grad=True)
    with pytest.raises(RuntimeError, match="floating point"):
        lib.tensor(values).requires_grad_()


def test_case_31_what_was_computed_keeps_its_flag(lib):
    y = leaf(lib, 1.0) * 2
    with pytest.raises(RuntimeError, match="leaf variables"):
        y.requires_grad = False
    y.requires_grad_()


def test_case_32_a_leaf_that_was_switched_off_gets_no_gradient(lib):
    x = leaf(lib, 1.0)
    y = x * 2
    x.requires_grad_(False)
    y.backward()
    assert not has_grad(x)


def test_a_cast_to_integers_stops_the_gradient():
    assert not leaf(engine, 1.5, 2.5).astype("int64").requires_grad


# .grad


def test_case_30_what_may_be_assigned_to_grad(lib):
    x = leaf(lib, 1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"grad|size"):
        x.grad = lib.ones(3)
    with pytest.raises(RuntimeError, match="grad"):
        x.grad = lib.tensor(np.ones(2))
    with pytest.raises(TypeError, match="grad"):
        x.grad = 1.0
    with pytest.raises(RuntimeError, match="own grad"):
        x.grad = x
    assert not has_grad(x)
    mine = lib.ones(2)
    x.grad = mine
    assert x.grad is mine
    x.sum().backward()
    assert mine.tolist() == [2, 2]
    x.grad = None
    assert not has_grad(x)


def test_a_read_only_array_cannot_be_a_gradient():
    array = np.ones(2)
    array.flags.writeable = False
    x = engine.tensor(np.ones(2), requires_grad=True)
    with pytest.raises(engine.errors.InPlaceError, match="read-only"):
        x.grad = engine.from_numpy(array)


def test_take_grad_leaves_none():
    x = leaf(engine, 1.0, 2.0)
    assert x.take_grad() is None
    (x * x).sum().backward()
    taken = x.take_grad()
    assert taken.tolist() == [2, 4]
    assert not has_grad(x)
    (x * x).sum().backward()
    assert x.grad is not taken
    assert taken.tolist() == [2, 4]


def test_zero_grad_forgets_or_fills_in_place():
    x = leaf(engine, 1.0, 2.0)
    x.zero_grad()
    x.sum().backward()
    mine = x.grad
    x.zero_grad(set_to_none=False)
    assert x.grad is mine
    assert mine.tolist() == [0, 0]
    x.zero_grad()
    assert not has_grad(x)


def test_the_gradient_of_an_inner_tensor_warns_unless_it_is_retained(lib):
    y = leaf(lib, 1.0) * 2
    with pytest.warns(UserWarning, match="not a leaf"):
        assert not has_grad(y)
    y.retain_grad()
    (y * 3).backward()
    assert y.grad.item() == 3


# Sharing


def test_tensor_copies_and_from_numpy_shares(lib):
    array = np.zeros(2, "f4")
    copy, shared = lib.tensor(array), lib.from_numpy(array)
    array[0] = 5
    assert copy.tolist() == [0, 0]
    assert shared.tolist() == [5, 0]
    assert np.shares_memory(shared.numpy(), array)


def test_detach_and_data_share_memory_without_history(lib):
    x = leaf(lib, 1.0, 2.0)
    y = x * 2
    for view in (y.detach(), y.data):
        assert not view.requires_grad
        assert np.shares_memory(view.numpy(), y.detach().numpy())


def test_numpy_refuses_what_would_lose_its_history(lib):
    x = leaf(lib, 1.0)
    for lose in (lambda: x.numpy(), lambda: np.asarray(x), lambda: (x * 2).numpy()):
        with pytest.raises(RuntimeError, match=r"detach\(\).numpy\(\)"):
            lose()
    assert np.asarray(x.detach()) == 1


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(2, 2),
        lambda x: x.T,
        lambda x: x[1:],
        lambda x: x[0],
        lambda x: x[None],
        lambda x: x.unsqueeze(0),
        lambda x: x.squeeze(),
        lambda x: x.swapaxes(0, 1),
        lambda x: x.expand(3, 2, 2),
        lambda x: x.flatten(),
        lambda x: x.detach(),
    ],
)
def test_views_share_memory_and_versions(lib, view):
    """A write through either shows in both, and a backward that needs the old value says so."""
    x, w = lib.ones(2, 2), leaf(lib, 3.0)
    y = (x * w).sum()
    seen = view(x)
    with lib.no_grad():
        x.mul_(2)
    assert float(seen.reshape(-1)[0]) == 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    z = (view(x) * w).sum()
    with lib.no_grad():
        x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


@pytest.mark.parametrize("copy", [lambda x: x[[0, 1]], lambda x: x + 0, lambda x: x.clone()])
def test_copies_share_neither(lib, copy):
    x, w = lib.ones(2, 2), leaf(lib, 3.0)
    y = (x * w).sum()
    with lib.no_grad():
        copy(x).mul_(2)
    assert x.tolist() == [[1, 1], [1, 1]]
    y.backward()
    assert w.grad.item() == 4


def test_an_element_of_a_vector_is_a_view(lib):
    x = lib.zeros(3)
    x[1].add_(5)
    assert x.tolist() == [0, 5, 0]


# Writing in place


def test_case_33_a_saved_input_must_not_be_written_to(lib):
    x, c = leaf(lib, 1.0, 2.0), lib.ones(2)
    unsaved, saved = (x + c).sum(), (x * c).sum()
    with lib.no_grad():
        c.add_(1)
    unsaved.backward()
    with pytest.raises(RuntimeError, match=r"version 1|version \(1\)|at version 1"):
        saved.backward()


def test_case_33_a_saved_output_must_not_be_written_to(lib):
    x = leaf(lib, 1.0, 2.0)
    y = x.exp()
    with lib.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_case_33_the_message_names_both_lines():
    x, c = leaf(engine, 1.0, 2.0), engine.ones(2)
    y = (x * c).sum()
    c.add_(1)
    with pytest.raises(engine.errors.SavedValueChangedError) as caught:
        y.backward()
    assert str(caught.value).count(f"{__file__}:") == 2


def test_case_34_data_writes_behind_the_back(lib):
    x, c = leaf(lib, 1.0, 2.0), lib.ones(2)
    y = (x * c).sum()
    c.data.mul_(5)
    y.backward()
    assert x.grad.tolist() == [5, 5]


def test_case_33_also_in_a_backward_that_was_recorded():
    x = leaf(engine, 1.0, 2.0)
    (slope,) = engine.grad((x**3).sum(), x, create_graph=True)
    with engine.no_grad():
        x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        engine.grad(slope.sum(), x)


def test_case_36_a_leaf_is_not_written_to_while_recording(lib):
    x = leaf(lib, 1.0, 2.0)
    writes = [
        lambda: x.add_(1),
        lambda: x.mul_(2),
        lambda: x.copy_(lib.zeros(2)),
        lambda: x.zero_(),
        lambda: x.__setitem__(0, 1.0),
        lambda: x.__iadd__(1),
    ]
    for write in writes:
        with pytest.raises(RuntimeError, match="leaf"):
            write()
    assert x.tolist() == [1, 2]


def test_case_36_under_no_grad_it_is(lib):
    x = leaf(lib, 1.0, 2.0)
    before = x
    with lib.no_grad():
        x.add_(1).sub_(lib.ones(2), alpha=3).mul_(lib.tensor([2.0, -4.0])).div_(2)
        x -= 0.5
        x += lib.ones(2)
        x *= 2
        x /= 4
        x[0] = 7.0
    assert x is before
    assert x.requires_grad
    assert x.is_leaf
    np.testing.assert_allclose(x.tolist(), [7.0, 0.25])
    with lib.no_grad():
        x.copy_(lib.tensor([[1.0], [2.0]])[1])
        assert x.tolist() == [2, 2]
        x.zero_()
    assert x.tolist() == [0, 0]


def test_the_loop_of_every_tutorial_trains(lib):
    w = leaf(lib, 0.0)
    for _ in range(20):
        ((w - 3) ** 2).backward()
        with lib.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    assert abs(w.item() - 3) < 0.1


def test_sums_may_be_collected_with_plus_equals(lib):
    w, total = leaf(lib, 2.0), 0
    for k in range(3):
        total += w * k
    total += w
    total.backward()
    assert w.grad.item() == 4


def test_writes_that_do_not_fit_name_what_met():
    x = engine.zeros(2, 3)
    with pytest.raises(engine.errors.ShapeError, match=r"add_\(float32\[2, 3\], float32\[4\]\)"):
        x.add_(engine.ones(4))
    with pytest.raises(engine.errors.ShapeError, match=r"copy_\(float32\[2, 3\]"):
        x.copy_(np.ones((3, 2)))
    with pytest.raises(engine.errors.OperandError, match="add_"):
        engine.tensor([1, 2]).add_(0.5)
