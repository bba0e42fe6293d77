"""Hooks on tensors, nodes, accumulations: what they see, in which order, and what they may do.

Numbers are those of the list of cases in `test_autograd`. Each body that takes `lib` runs against
PyTorch too, where it is installed.
"""

import threading

import numpy as np
import pytest

import engine
from engine.autograd import graph


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")


def leaf(lib, *values):
    """A leaf of the values; of one value, a scalar."""
    return lib.tensor(values[0] if len(values) == 1 else list(values), requires_grad=True)


def accumulator(x):
    """The node at which the gradient of a leaf ends."""
    return (x * 1).grad_fn.next_functions[0][0]


def test_case_45_a_hook_may_look_or_replace(lib):
    x, seen = leaf(lib, 1.0, 2.0), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 3).sum().backward()
    assert seen == [[3, 3], [6, 6]]
    assert x.grad.tolist() == [6, 6]


def test_case_45_a_hook_keeps_the_shape_and_the_type(lib):
    for wrong, kind in ((lambda g: lib.ones(3), RuntimeError), (lambda g: 1.0, TypeError)):
        x = leaf(lib, 1.0, 2.0)
        x.register_hook(wrong)
        with pytest.raises(kind):
            (x * 3).sum().backward()
        assert x.grad is None


def test_case_45_a_hook_can_be_removed_more_than_once(lib):
    seen: list[object] = []
    x = leaf(lib, 1.0)
    handle = x.register_hook(seen.append)
    handle.remove()
    handle.remove()
    with x.register_hook(seen.append):
        pass
    (x * 3).backward()
    assert seen == []


def test_hooks_need_something_to_hook_to(lib):
    with pytest.raises(RuntimeError, match="require"):
        lib.ones(1).register_hook(print)
    with pytest.raises(RuntimeError, match="retain_grad"):
        lib.ones(1).retain_grad()


def test_case_46_the_order_of_hooks_on_a_leaf(lib):
    order: list[object] = []
    x = leaf(lib, 1.0)
    node = accumulator(x)
    node.register_hook(lambda inputs, outputs: order.append("node post"))
    x.register_post_accumulate_grad_hook(lambda t: order.append(("accumulated", t.grad.item())))
    node.register_prehook(lambda outputs: order.append("node pre"))
    x.register_hook(lambda g: order.append("tensor"))
    (x * 3).backward()
    assert order == ["tensor", "node pre", ("accumulated", 3.0), "node post"]


def test_case_46_a_retained_gradient_is_the_hooked_one(lib):
    x = leaf(lib, 1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 3).backward()
    assert (y.grad.item(), x.grad.item()) == (30, 60)


def test_node_hooks_see_and_replace_what_goes_in_and_out(lib):
    x, seen = leaf(lib, 1.0), []
    y = x * 2
    y.grad_fn.register_prehook(lambda outputs: (outputs[0] * 10,))
    y.grad_fn.register_hook(
        lambda inputs, outputs: seen.append((inputs[0].item(), outputs[0].item()))
    )
    handle = y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] + 1, None))
    (y * 3).backward(retain_graph=True)
    assert seen == [(60, 30)]
    assert x.grad.item() == 61
    handle.remove()
    x.grad = None
    (y * 3).backward()
    assert x.grad.item() == 60


def test_case_47_a_hook_after_accumulation_may_use_the_gradient_up(lib):
    x = leaf(lib, 1.0)

    def step(p):
        with lib.no_grad():
            p.sub_(p.grad * 0.5)
        p.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 3).backward()
    assert x.grad is None
    assert x.item() == -0.5


def test_case_47_such_a_hook_returns_nothing_and_needs_a_leaf(lib):
    x = leaf(lib, 1.0)
    handle = x.register_post_accumulate_grad_hook(lambda p: 1)
    with pytest.raises((TypeError, RuntimeError)):
        (x * 3).backward()
    handle.remove()
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError):
        lib.ones(1).register_post_accumulate_grad_hook(print)


def multi(lib):
    return graph if lib is engine else lib.autograd.graph


def test_case_48_a_hook_on_several_tensors_is_called_once_a_backward(lib):
    a, b, seen = leaf(lib, 1.0), leaf(lib, 2.0), []

    def note(grads):
        seen.append([None if g is None else g.item() for g in grads])

    handle = multi(lib).register_multi_grad_hook([a, b], note)
    (a * b).backward()
    (a * 3).backward()
    handle.remove()
    (a * b).backward()
    assert seen == [[2, 1], [3, None]]


def test_case_48_or_with_the_first_of_them(lib):
    a, b, seen = leaf(lib, 1.0), leaf(lib, 2.0), []
    with multi(lib).register_multi_grad_hook([a, b], lambda g: seen.append(g.item()), mode="any"):
        (a * b).backward()
        (a * 3).backward()
    assert len(seen) == 2
    assert seen[1] == 3


def test_case_49_a_hook_stays_where_it_was_when_the_tensor_is_written_to(lib):
    a, seen = leaf(lib, 1.0), []
    b = a * 4
    b.register_hook(lambda g: seen.append(g.item()))
    b.mul_(10)
    b.backward()
    assert seen == [10]
    assert a.grad.item() == 40


def test_case_50_callbacks_run_when_every_gradient_is_there():
    with pytest.raises(RuntimeError, match="during backward"):
        graph.queue_callback(print)
    a, b, seen = leaf(engine, 1.0), leaf(engine, 2.0), []
    late = a * 1
    early = b * 1
    early.register_hook(
        lambda g: graph.queue_callback(lambda: seen.append((a.grad.item(), b.grad.item())))
    )
    (late * early).backward()
    assert seen == [(2, 1)]


def test_a_hook_sees_recorded_gradients_with_create_graph(lib):
    x, seen = leaf(lib, 2.0), []
    y = x * 1
    y.register_hook(lambda g: seen.append(g.requires_grad))
    lib.autograd.grad(y**3, x, create_graph=True)
    lib.autograd.grad(y**3, x)
    assert seen == [True, False]


def test_case_71_a_hook_after_accumulation_may_call_backward_on_the_same_leaf():
    x = leaf(engine, 1.0)
    done: list[bool] = []

    def again(p):
        if not done:
            done.append(True)
            with engine.enable_grad():
                (x * 10).backward()

    x.register_post_accumulate_grad_hook(again)
    (x * 3).backward()
    assert x.grad.item() == 13


def test_case_70_one_hook_runs_in_many_threads_at_once():
    x = engine.tensor(np.ones(4), requires_grad=True)
    meet = threading.Barrier(4)

    def hook(g):
        meet.wait(10)  # under a lock they would never meet

    x.register_hook(hook)
    threads = [threading.Thread(target=lambda: (x * 2).sum().backward()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.grad.tolist() == [8, 8, 8, 8]


def test_hooks_registered_by_many_threads_are_all_called():
    x, seen = leaf(engine, 1.0), []
    start = threading.Barrier(8)

    def register():
        start.wait()
        x.register_hook(lambda g: seen.append(1))

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (x * 2).backward()
    assert len(seen) == 8
