"""`backward` and `grad` behave as PyTorch's do, numbered after the list of cases in the tests.

Each body that takes `lib` runs against PyTorch too, where it is installed: the oracle is checked,
not remembered.
"""

import gc
import threading
import weakref

import numpy as np
import pytest

import engine
from engine.graph import Leaf


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


def leaf(lib, *values, **options):
    """A leaf of the values, in float32; of one value, a scalar."""
    data = values[0] if len(values) == 1 else list(values)
    return lib.tensor(data, requires_grad=True, **options)


def has_grad(x):
    return x.grad is not None


def numbers(tensor):
    return np.asarray(tensor.detach().tolist())


# Running backward


def test_case_01_a_gradient_appears(lib):
    x = leaf(lib, 1.0)
    y = x * 2
    assert not has_grad(x)
    y.backward()
    assert x.grad.item() == 2


def test_case_02_two_backwards_add_into_one_buffer(lib):
    x = leaf(lib, 1.0)
    (x * 2).backward()
    first = x.grad
    (x * 3).backward()
    assert x.grad is first
    assert first.item() == 5


def test_case_03_only_a_scalar_needs_no_seed(lib):
    x = leaf(lib, 1.0, 2.0)
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        (x * 2).backward()
    (x * 2).backward(lib.ones(2))
    assert numbers(x.grad).tolist() == [2, 2]
    leaf(lib, [[3.0]]).reshape(1, 1).backward()


def test_case_04_a_seed_has_the_shape_of_its_output(lib):
    x = leaf(lib, 1.0, 2.0, 3.0)
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(lib.ones(1))
    assert not has_grad(x)


def test_case_05_a_seed_is_cast_to_the_dtype_of_its_output(lib):
    x = leaf(lib, 1.0, 2.0)
    (x * 2).backward(lib.tensor(np.ones(2)))
    assert x.grad.dtype == x.dtype


def test_case_06_a_leaf_is_its_own_root(lib):
    x = leaf(lib, 1.0)
    x.backward()
    assert x.grad.item() == 1


def test_case_07_what_requires_no_gradient_has_no_backward(lib):
    with pytest.raises(RuntimeError, match="does not require grad"):
        lib.tensor(1.0).backward()
    with lib.no_grad():
        y = leaf(lib, 1.0) * 2
    with pytest.raises(RuntimeError, match="does not require grad"):
        y.backward()


def test_case_08_saved_values_are_released_once(lib):
    x = leaf(lib, 0.0)
    y = x.exp()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 2
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    assert x.grad.item() == 2


def test_case_09_a_graph_that_saved_nothing_may_run_again(lib):
    x = leaf(lib, 1.0)
    y = x + 2
    y.backward()
    y.backward()
    assert x.grad.item() == 2


def test_case_10_several_roots(lib):
    a = leaf(lib, 1.0)
    b = a * 2
    lib.autograd.backward([b, b], [lib.tensor(1.0), lib.tensor(1.0)])
    assert a.grad.item() == 4
    seen = []
    a.register_hook(lambda g: seen.append(g.item()))
    lib.autograd.backward([a * 2, a * 3])
    assert seen == [5]
    with pytest.raises((RuntimeError, ValueError)):
        lib.autograd.backward([a * 2, a * 3], [lib.tensor(1.0)])


def test_case_11_a_leaf_that_is_used_twice_gets_one_sum(lib):
    x, seen = leaf(lib, 1.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).backward()
    assert seen == [5]
    assert x.grad.item() == 5


def test_case_12_gradients_are_reduced_to_the_shapes_of_their_inputs(lib):
    a, b = leaf(lib, [[1.0], [2.0], [3.0]]), leaf(lib, 10.0, 20.0)
    (a * b).sum().backward()
    assert numbers(a.grad).tolist() == [[30], [30], [30]]
    assert numbers(b.grad).tolist() == [6, 6]


def test_case_13_expanded_gradients_are_stored_whole():
    x = leaf(engine, 1.0, 2.0)
    x.expand(3, 2).sum().backward()
    assert x.grad.tolist() == [3, 3]
    y = engine.ones(3, 2, requires_grad=True)
    y.sum().backward()
    for grad in (x.grad, y.grad):
        assert grad.numpy().flags.c_contiguous
        assert grad.numpy().flags.writeable


def test_case_14_empty_tensors_have_empty_gradients(lib):
    x = lib.zeros(0, 3, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.shape == (0, 3)


def test_case_15_a_long_chain_neither_recurses_nor_crashes_when_freed():
    x = leaf(engine, 1.0)
    y = x
    for _ in range(200_000):
        y = y + 1.0
    y.backward()
    del y
    assert x.grad.item() == 1


def test_case_16_newer_nodes_first_and_leaves_as_soon_as_they_are_ready(lib):
    order = []

    def note(name, tensor):
        tensor.register_hook(lambda g: order.append(name))
        return tensor

    a, b = note("a", leaf(lib, 1.0)), note("b", leaf(lib, 2.0))
    old = note("old", a * 3)
    new = note("new", b * 5)
    (old * 2 + new).backward()
    assert order == ["new", "b", "old", "a"]


def test_case_17_what_no_rule_saved_is_freed_at_once(lib):
    x = lib.ones(3, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        y = x + 1
        gone = weakref.ref(y)
        z = (y + 1).sum()
        del y
        assert gone() is None
        z.backward()
        last = weakref.ref(z)
        del z
        assert last() is None
    finally:
        gc.enable()


def test_a_backward_leaves_no_cycle_and_no_node_behind():
    gc.collect()
    gc.disable()
    try:
        x = engine.ones(3, requires_grad=True)
        y = (x.exp() * x.tanh()).sum()
        nodes = [weakref.ref(y.grad_fn), weakref.ref(y.grad_fn.next_functions[0][0])]
        y.backward()
        with pytest.raises(engine.errors.GraphReleasedError):
            y.backward()
        del y
        assert [node() for node in nodes] == [None, None]
    finally:
        gc.enable()


def test_case_18_gradients_share_memory_with_nothing(lib):
    a, b, seed = leaf(lib, 1.0, 2.0), leaf(lib, 3.0, 4.0), lib.ones(2)
    (a + b).backward(seed)
    with lib.no_grad():
        a.grad.mul_(7)
        seed.mul_(5)
    assert numbers(a.grad).tolist() == [7, 7]
    assert numbers(b.grad).tolist() == [1, 1]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("view", [lambda x: x.reshape(2), lambda x: x.T])
def test_case_18_also_through_views(view, graph):
    """PyTorch gives the leaf a view of the seed here."""
    a, seed = leaf(engine, 1.0, 2.0), engine.ones(2)
    view(a).backward(seed, create_graph=graph)
    with engine.no_grad():
        seed.mul_(5)
    assert a.grad.tolist() == [1, 1]


# grad


def test_case_19_grad_leaves_grad_alone(lib):
    seen: list[object] = []
    x = leaf(lib, 1.0)
    x.register_post_accumulate_grad_hook(seen.append)
    (g,) = lib.autograd.grad(x * 2, x)
    assert g.item() == 2
    assert not has_grad(x)
    assert seen == []


def test_case_59_grad_does_not_even_look_at_grad(monkeypatch):
    x, touched, found = leaf(engine, 1.0, 2.0), [], []
    slot = Leaf.__dict__["grad"]

    def read(node):
        touched.append("read")
        return slot.__get__(node)

    def write(node, value):
        touched.append("written")
        slot.__set__(node, value)

    monkeypatch.setattr(Leaf, "grad", property(read, write))
    threads = [
        threading.Thread(target=lambda: found.extend(engine.grad((x * x).sum(), x)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [g.tolist() for g in found] == [[2, 4]] * 4
    assert touched == []
    x.sum().backward()
    assert "written" in touched


def test_case_20_an_unused_input_is_an_error_unless_it_was_expected(lib):
    x, z = leaf(lib, 1.0), leaf(lib, 2.0, 3.0)
    with pytest.raises(RuntimeError, match="not have been used"):
        lib.autograd.grad(x * 2, [x, z])
    g, none = lib.autograd.grad(x * 2, [x, z], allow_unused=True)
    assert (g.item(), none) == (2, None)
    g, zeros = lib.autograd.grad(x * 2, [x, z], materialize_grads=True)
    assert numbers(zeros).tolist() == [0, 0]
    with pytest.raises(ValueError, match="materialize_grads"):
        lib.autograd.grad(x * 2, [x, z], allow_unused=False, materialize_grads=True)


def test_case_21_an_input_may_be_asked_for_twice_and_may_be_the_output(lib):
    x = leaf(lib, 1.0)
    assert [g.item() for g in lib.autograd.grad(x * 3, [x, x])] == [3, 3]
    assert lib.autograd.grad(x, x)[0].item() == 1


def test_case_22_a_dict_of_inputs_gives_a_dict(lib):
    w, b = leaf(lib, 2.0), leaf(lib, 3.0)
    got = lib.autograd.grad(w * 5 + b, {"w": w, "b": b})
    assert {name: g.item() for name, g in got.items()} == {"w": 5, "b": 1}


def test_case_23_only_nodes_on_the_way_run(lib):
    x, z = leaf(lib, 1.0), leaf(lib, 1.0)
    seen: list[object] = []
    side = z * 2
    side.register_hook(seen.append)
    lib.autograd.grad(x * 3 + side, x)
    assert seen == []


def test_case_24_the_gradient_of_an_inner_tensor_passes_its_hooks(lib):
    a = leaf(lib, 1.0)
    b = a * 2
    b.register_hook(lambda g: g * 10)
    (g,) = lib.autograd.grad(b * 3, b)
    assert g.item() == 30


def test_case_25_and_also_when_its_leaf_is_asked_for_too():
    a = leaf(engine, 1.0)
    b = a * 2
    b.register_hook(lambda g: g * 10)
    assert [g.item() for g in engine.grad(b * 3, (a, b))] == [60, 30]


def test_case_26_create_graph_gives_higher_derivatives(lib):
    x = leaf(lib, 1.0)
    (slope,) = lib.autograd.grad(x**3, x, create_graph=True)
    (bend,) = lib.autograd.grad(slope, x, create_graph=True)
    (jerk,) = lib.autograd.grad(bend, x)
    assert (slope.item(), bend.item(), jerk.item()) == (3, 6, 6)
    assert not lib.autograd.grad(x**3, x)[0].requires_grad


def test_case_27_create_graph_records_under_no_grad_too(lib):
    x = leaf(lib, 2.0)
    y = x**3
    with lib.no_grad():
        (slope,) = lib.autograd.grad(y, x, create_graph=True)
        assert not lib.is_grad_enabled()
    assert lib.autograd.grad(slope, x)[0].item() == 12


def test_case_28_batched_seeds_give_the_rows_of_a_jacobian(lib):
    x = leaf(lib, 1.0, 2.0, 3.0)
    rows = lib.tensor(np.eye(3, dtype="f4"))
    (jacobian,) = lib.autograd.grad(x * x, x, rows, is_grads_batched=True)
    assert numbers(jacobian).tolist() == [[2, 0, 0], [0, 4, 0], [0, 0, 6]]


def test_case_29_inputs_choose_the_leaves_that_get_a_gradient(lib):
    a, b = leaf(lib, 1.0), leaf(lib, 2.0)
    (a * b).backward(inputs=[b])
    assert not has_grad(a)
    assert b.grad.item() == 1


def test_gradients_arrive_in_the_dtype_of_their_inputs():
    a = engine.tensor(np.ones(2, "f4"), requires_grad=True)
    b = engine.tensor(np.ones(2, "f8"), requires_grad=True)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_grad_mode_in_a_backward_is_create_graph(lib):
    x, seen = leaf(lib, 1.0), []
    for graph in (False, True):
        y = x * 2
        y.register_hook(lambda g: seen.append(lib.is_grad_enabled()))
        lib.autograd.grad(y, x, create_graph=graph)
    assert seen == [False, True]


def test_retained_graphs_keep_what_they_saved(lib):
    x = leaf(lib, 2.0)
    y = x * x
    for times in (1, 2, 3):
        y.backward(retain_graph=True)
        assert x.grad.item() == 4 * times
