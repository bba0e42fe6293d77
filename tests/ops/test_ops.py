"""Every op of the table: its value, its gradients at first and second order, and its manners."""

import inspect
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import engine
from engine.opnode import OpNode
from engine.ops import COMPOSED, OPS
from engine.ops.arithmetic import flat
from engine.ops.op import Op
from tests.ops import checks
from tests.ops.case import Case, Sample, is_shape
from tests.ops.cases import CASES

THREADS = 8

ALL = [(case, sample) for case in CASES for sample in case.samples]
SMOOTH = [(case, sample) for case, sample in ALL if case.order]


MISSING = pytest.mark.skip("needs a package that is not installed")


def each(pairs):
    def label(case: Case, sample: Sample) -> str:
        return f"{case.name}-{case.samples.index(sample)}"

    params = [
        pytest.param(*pair, id=label(*pair), marks=[] if pair[0].available else MISSING)
        for pair in pairs
    ]
    return pytest.mark.parametrize(("case", "sample"), params)


def test_every_op_has_a_case_and_every_case_an_op():
    names = [case.name for case in CASES]
    assert sorted(names) == sorted([*OPS, *COMPOSED])
    smooth = {case.name for case in CASES if case.order} - set(COMPOSED)
    assert smooth == {name for name, op in OPS.items() if op.rules}


def test_the_samples_of_a_case_ask_for_every_gradient_that_there_is():
    for case in CASES:
        op = checks.row_of(case)
        if not isinstance(op, Op) or op.variadic:
            continue
        asked = {op.inputs[i] for s in case.samples for i in checks.differentiable(case, s)}
        assert asked == checks.answered(op), case.name


# Values


@each(ALL)
def test_value_is_what_numpy_computes(case, sample):
    values = checks.arrays(case, sample)
    expected = np.asarray(checks.apply(case.numpy, case, sample, values))
    got = checks.run(case, sample, checks.tensors(case, sample, values)).detach().numpy()
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@each([(case, sample) for case, sample in ALL if not case.order])
def test_ops_without_a_gradient_stop_it(case, sample):
    out = checks.run(case, sample, checks.tensors(case, sample, checks.arrays(case, sample)))
    assert not out.requires_grad


# Gradients


@each(SMOOTH)
def test_first_order(case, sample):
    checks.check_first_order(case, sample)


@each(SMOOTH)
def test_second_order(case, sample):
    checks.check_second_order(case, sample)


@each([(case, sample) for case, sample in SMOOTH if case.torch and sample.peer])
def test_pytorch_agrees(case, sample):
    torch = pytest.importorskip("torch")
    values = checks.arrays(case, sample)
    ours = checks.gradients(case, sample, values)
    theirs = checks.torch_gradients(torch, case, sample, values)
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-10, atol=1e-12)
    for got, want in zip(ours.first + ours.second, theirs.first + theirs.second, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


# Dtypes


def singles(case: Case, sample: Sample) -> list[Any]:
    """The arguments in float32, unless NumPy answers those in another dtype."""
    values = checks.arrays(case, sample, "float32")
    if np.asarray(checks.apply(case.numpy, case, sample, values)).dtype not in SINGLE:
        pytest.skip("widens")
    return values


SINGLE = ("float32", "complex64")


@each(SMOOTH)
def test_float32_gives_float32(case, sample):
    single = checks.gradients(case, sample, singles(case, sample))
    double = checks.gradients(case, sample, checks.arrays(case, sample))
    assert single.value.dtype in SINGLE
    for got, want in zip(single.first + single.second, double.first + double.second, strict=True):
        assert got.dtype in SINGLE
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@each([(case, sample) for case, sample in SMOOTH if case.name in OPS])
def test_rules_work_in_the_dtype_of_their_inputs(case, sample):
    """The loop would cast a float64 gradient back, after twice the work in twice the memory."""
    given = checks.tensors(case, sample, singles(case, sample))
    out = checks.run(case, sample, given)
    node, seen = out.grad_fn, set()
    while not isinstance(node, OpNode) or node.op.name != case.name:  # past what `after` made
        node = next(edge[0] for edge in node.edges if edge is not None)
    seeds = [checks.seed_for(np.zeros(*node.output(port)), 1) for port in range(node.outputs)]
    pulled = node.pull(seeds[0] if node.outputs == 1 else seeds, node.edges, True)
    seen = {np.asarray(g).dtype.name for g in pulled if g is not None}
    assert seen <= set(SINGLE)
    assert seen


# Layouts


def layouts(array: np.ndarray) -> Iterator[np.ndarray]:
    """The same numbers: read-only, in Fortran's order, with gaps, backwards."""
    locked = array.copy()
    locked.flags.writeable = False
    yield locked
    yield array.copy(order="F")
    if array.ndim:
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 99.0, array.dtype)
        wide[..., ::2] = array
        yield wide[..., ::2]
        yield array[::-1].copy()[::-1]


@each(SMOOTH)
def test_no_layout_matters_and_no_input_is_written_to(case, sample):
    plain = checks.gradients(case, sample, checks.arrays(case, sample))
    for variant in range(4):
        values = checks.arrays(case, sample)
        for i, arg in enumerate(sample.args):
            if is_shape(arg):
                values[i] = list(layouts(values[i]))[variant % (4 if arg else 2)]
        before = [value.copy() if isinstance(value, np.ndarray) else value for value in values]
        got = checks.gradients(case, sample, values)
        for value, old in zip(values, before, strict=True):
            np.testing.assert_array_equal(value, old)
        np.testing.assert_allclose(got.value, plain.value, rtol=1e-13)
        for a, b in zip(got.first + got.second, plain.first + plain.second, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@each(SMOOTH)
def test_nothing_that_is_handed_out_shares_memory(case, sample):
    values = checks.arrays(case, sample)
    given = checks.tensors(case, sample, values)
    out = checks.run(case, sample, given)
    owned = [value for value in values if isinstance(value, np.ndarray)]
    if case.name in OPS and not OPS[case.name].view:
        assert not any(np.may_share_memory(out.detach().numpy(), value) for value in owned)
    seed = engine.tensor(checks.seed_for(out.detach().numpy(), 1))
    sources = [given[i] for i in checks.differentiable(case, sample)]
    grads = [g.numpy() for g in checks.grad(out, sources, seed)]
    others = [*owned, seed.numpy(), out.detach().numpy()]
    for i, g in enumerate(grads):
        assert g.flags.writeable
        assert g.flags.owndata
        assert not any(np.may_share_memory(g, other) for other in others + grads[:i])


# Threads


def bits(case: Case, sample: Sample) -> list[bytes]:
    values = checks.arrays(case, sample, "float32")
    if not case.order:
        return [checks.forward(case, sample, values).tobytes()]
    found = checks.gradients(case, sample, values)
    return [array.tobytes() for array in (found.value, *found.first, *found.second)]


EACH = THREADS // 2


@pytest.mark.timeout(240)
def test_all_ops_at_once_from_many_threads_give_the_sequential_bits():
    """Eight threads at a time, and each op in two of them at once."""
    here = [(case, sample) for case, sample in ALL if case.available]
    expected = [bits(case, sample) for case, sample in here]
    start = threading.Barrier(THREADS)
    wrong: list[str] = []

    def work(offset: int) -> None:
        start.wait()
        mine = range(offset % EACH, len(here), EACH)
        wrong.extend(here[at][0].name for at in mine if bits(*here[at]) != expected[at])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# The tests themselves: a rule made wrong by 0.05 % is caught

RULES = [
    (case, name)
    for case in CASES
    if case.order and case.available and case.name in OPS
    for name, rule in OPS[case.name].rules.items()
    if name in checks.answered(OPS[case.name])
    if rule is not flat  # which cannot be wrong by a factor
]
WRONG = 1.0005


def replace_rule(monkeypatch, case: Case, name: str, rule) -> None:
    """Put another op in the table, with `rule(original, g, *asked)` in place of one rule."""
    op = OPS[case.name]
    original = op.rules[name]

    def wrong(*args):
        if op.together is None:
            return rule(original, *args)
        grads = list(original(*args))
        index = slice(None) if op.variadic else slice(op.inputs.index(name), None)
        for i in range(*index.indices(len(grads)))[: None if op.variadic else 1]:
            if grads[i] is not None:
                grads[i] = rule(lambda g, *asked, i=i: grads[i], *args)
        return grads

    wrong.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    twin = Op(
        op.name,
        op.forward,
        ("*" if op.variadic else "") + " ".join(op.inputs),
        dict.fromkeys(op.rules, wrong) if op.together else {**op.rules, name: wrong},
        residuals=op.residuals,
        outputs=op.outputs,
        view=op.view,
        cost=op.cost,
        together=wrong if op.together else None,
    )
    monkeypatch.setitem(OPS, op.name, twin)


def caught(check, case: Case) -> bool:
    for sample in case.samples:
        try:
            check(case, sample)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize(("case", "name"), RULES, ids=[f"{c.name}-{n}" for c, n in RULES])
def test_a_wrong_rule_is_caught(monkeypatch, case, name):
    replace_rule(monkeypatch, case, name, lambda rule, g, *asked: rule(g, *asked) * WRONG)
    assert caught(checks.check_first_order, case)


@pytest.mark.parametrize(("case", "name"), RULES, ids=[f"{c.name}-{n}" for c, n in RULES])
def test_a_rule_that_is_wrong_on_tensors_alone_is_caught(monkeypatch, case, name):
    def wrong(rule, g, *asked):
        recorded = any(isinstance(one, engine.Tensor) for one in (g if type(g) is list else [g]))
        return rule(g, *asked) * (WRONG if recorded else 1)

    replace_rule(monkeypatch, case, name, wrong)
    assert not caught(checks.check_first_order, case)
    assert caught(checks.check_second_order, case)


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "sqrt", "log", "square", "reciprocal"])
def test_a_rule_whose_derivative_alone_is_wrong_is_caught(monkeypatch, name):
    def wrong(rule, g, asked):
        if isinstance(g, engine.Tensor):
            still = asked.detach()
            asked = still + (asked - still) * WRONG  # the same value, with another slope
        return rule(g, asked)

    case = next(case for case in CASES if case.name == name)
    replace_rule(monkeypatch, case, "x", wrong)
    assert not caught(checks.check_first_order, case)
    assert caught(checks.check_second_order, case)
