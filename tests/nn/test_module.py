"""Modules: what is registered under which name, and what a state dict holds and loads."""

import copy
import threading
from typing import Any

import numpy as np
import pytest

import engine
from engine import nn
from engine.errors import ArgumentError, OperandError, ShapeError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))
        self.scale = nn.Parameter([2.0])
        self.note = "no parameter"
        self.register_buffer("seen", engine.zeros(1))

    def forward(self, x):
        return self.rest(self.first(x)) * self.scale


NAMES = ["scale", "first.weight", "first.bias", "rest.1.weight"]


def test_parameters_are_named_in_order_and_found_once():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    net.again = net.first
    net.tied = net.first.weight
    found = [name for name, _ in net.named_parameters()]
    assert found == ["scale", "tied", "first.bias", "rest.1.weight"]
    assert len(list(net.parameters())) == 4
    assert len(list(net.modules())) == 5


def test_an_attribute_changes_its_kind_and_can_be_deleted():
    net = Net()
    setattr(net, "first", None)  # noqa: B010
    assert dict(vars(net))["_parameters"].get("first") is None
    assert "first.weight" not in dict(net.named_parameters())
    setattr(net, "note", nn.Linear(1, 1))  # noqa: B010
    assert "note.weight" in dict(net.named_parameters())
    del net.note
    with pytest.raises(AttributeError, match="Net has no attribute 'note'"):
        net.note  # noqa: B018


def test_a_frozen_parameter_stays_one():
    net = Net().requires_grad_(False)
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert not any(p.requires_grad for p in net.parameters())
    net.scale = engine.zeros(1)
    assert "scale" in dict(net.named_parameters())
    net.zero_grad()
    net.requires_grad_()
    assert all(p.requires_grad for p in net.parameters() if p is not net.scale)


def test_assignment_before_init_and_a_missing_forward_are_errors():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter([1.0])

    with pytest.raises(OperandError, match=r"super\(\).__init__\(\)"):
        Early()
    with pytest.raises(NotImplementedError, match="has no forward"):
        nn.Module()()
    with pytest.raises(OperandError, match="leaf Tensor"):
        nn.Module().register_parameter("p", engine.ones(1, requires_grad=True) * 2)
    function: Any = np.tanh
    with pytest.raises(OperandError, match="holds Modules"):
        nn.Sequential(function)


def test_train_and_eval_reach_all_below():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())


def test_a_state_dict_is_named_shares_memory_and_holds_buffers():
    net = Net()
    state = net.state_dict()
    assert sorted(state) == sorted([*NAMES, "seen"])
    assert not any(t.requires_grad for t in state.values())
    with engine.no_grad():
        net.scale.mul_(3)
    assert state["scale"].item() == 6


def test_loading_is_in_place_and_casts():
    net, other = Net(), Net()
    before = {name: p.detach().numpy() for name, p in net.named_parameters()}
    wide = {name: t.numpy().astype("f8") for name, t in other.state_dict().items()}
    assert net.load_state_dict(wide) == ([], [])
    for name, p in net.named_parameters():
        assert p.detach().numpy() is before[name]
        assert p.dtype == np.float32
        np.testing.assert_array_equal(before[name], wide[name].astype("f4"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("scale"), ArgumentError, r"misses \['scale'\]"),
        (lambda s: s.update(more=np.ones(1)), ArgumentError, r"does not know \['more'\]"),
        (lambda s: s.update(scale=np.ones(2)), ShapeError, r"scale has shape \(2,\), here \(1,\)"),
        (lambda s: s.update(scale=np.array(["a"])), OperandError, "no numeric array"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, message):
    net = Net()
    state = {name: t.numpy() + 1 for name, t in net.state_dict().items()}
    change(state)
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    with pytest.raises(error, match=message):
        net.load_state_dict(state)
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name])


def test_what_is_not_strict_reports_and_loads_the_rest():
    net = Net()
    report = net.load_state_dict({"scale": [5.0], "other": [1.0]}, strict=False)
    assert report.unexpected_keys == ["other"]
    assert sorted(report.missing_keys) == sorted(["seen", *NAMES[1:]])
    assert net.scale.item() == 5


def test_a_deep_copy_has_its_own_memory():
    net = Net()
    twin = copy.deepcopy(net)
    x = engine.ones(2, 3)
    np.testing.assert_array_equal(net(x).detach().numpy(), twin(x).detach().numpy())
    with engine.no_grad():
        twin.scale.zero_()
    assert net.scale.item() == 2
    assert [n for n, _ in twin.named_parameters()] == NAMES


def test_apply_goes_from_the_leaves_up():
    order = []
    Net().apply(lambda m: order.append(type(m).__name__))
    assert order == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_containers_register_what_they_hold():
    stack = nn.ModuleList(nn.Linear(2, 2) for _ in range(3)).append(nn.ReLU())
    assert len(stack) == 4
    assert isinstance(stack[-1], nn.ReLU)
    assert len(list(stack.parameters())) == 6
    table = nn.ModuleDict({"a": nn.Linear(1, 1)})
    table["b"] = nn.ReLU()
    assert list(table) == ["a", "b"]
    assert "a" in table
    assert [n for n, _ in nn.Sequential(table).named_parameters()] == ["0.a.weight", "0.a.bias"]


def test_options_of_functions_by_position_and_by_name():
    x = engine.tensor([-2.0, 2.0])
    np.testing.assert_allclose(nn.LeakyReLU(0.5)(x).numpy(), [-1, 2])
    np.testing.assert_allclose(nn.LeakyReLU(negative_slope=0.5)(x).numpy(), [-1, 2])
    assert repr(nn.LeakyReLU(0.5)) == "LeakyReLU(negative_slope=0.5)"
    with pytest.raises(TypeError, match="takes"):
        nn.ReLU(slope=1)


def test_a_module_called_from_many_threads_gives_the_same_bits():
    net, x = Net(), engine.randn(2_000, 3)
    expected, start = net(x).detach().numpy().tobytes(), threading.Barrier(8)
    wrong: list[bytes] = []

    def work():
        start.wait()
        found = [net(x).detach().numpy().tobytes() for _ in range(20)]
        wrong.extend(got for got in found if got != expected)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
