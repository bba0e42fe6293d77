"""The bench: what it times computes the same, how it times, and what it says about it."""

import argparse
import json
import pickle

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import engine
from stress.bench import add_arguments, command, main, measure, scaling, steps
from stress.bench.by_hand import numpy_step
from stress.bench.measure import Ratio, alternate, ratio
from stress.bench.ours import batch, forward, hogwild_step, shared_parameters
from stress.bench.report import Bar, bars, caveats, ratio_table, scaling_table, times_table
from stress.bench.scaling import Scaling, steps_per_second, threads_rate, time_threads
from stress.bench.steps import STEPS, Disagreement, StepTimes, agree, contestants, time_here
from stress.bench.workloads import MLPS, Mlp, Problem
from stress.exits import Exit
from stress.report import terminal


@pytest.fixture(autouse=True)
def _one_blas_thread():
    with threadpool_limits(1):
        yield


SMALL = Mlp("small", (6, 5, 4, 3), 7)


class Clock:
    """A clock that moves only when told to, or by sleeping."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


def arguments(*options):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(options)


# -- what is timed -----------------------------------------------------------------------------


@pytest.mark.parametrize("mlp", [SMALL, *MLPS], ids=lambda mlp: mlp.name)
def test_contestants_compute_the_same(mlp):
    with engine.WorkerPool(0):
        agree(mlp.name, contestants(Problem(mlp)))


def test_a_problem_is_the_same_every_time():
    one, two = Problem(SMALL), Problem(SMALL)
    numpy_step(one)()
    for a, b in zip(one.copies(), two.copies(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(array.size for array in one.copies()) == SMALL.parameters


def frozen(problem):
    """A contestant that only ever computes its first loss."""
    loss = numpy_step(problem)()
    return lambda: loss


@pytest.mark.parametrize("mlp", MLPS, ids=lambda mlp: mlp.name)
def test_a_contestant_that_does_not_train_is_found_out(mlp):
    problem = Problem(mlp)
    with pytest.raises(Disagreement, match="cheat"):
        agree(mlp.name, {"honest": numpy_step(problem), "cheat": frozen(problem)})


def test_a_loss_that_is_not_a_number_disagrees():
    nan = np.float32("nan")
    with pytest.raises(Disagreement):
        agree("nan", {"one": lambda: nan, "other": lambda: nan})


@pytest.mark.parametrize("mode", ["racy", "locked"])
def test_a_hogwild_step_is_the_training_step(mode):
    problem = Problem(SMALL)
    by_hand = numpy_step(problem)
    shared = shared_parameters(problem)
    step = hogwild_step(shared, problem, mode)
    with engine.WorkerPool(0):
        for _ in range(STEPS):
            step()
            by_hand()
        loss = forward(shared, *batch(problem))
    assert loss.item() == pytest.approx(by_hand().item(), rel=1e-5)
    assert all(parameter.grad is None for parameter in shared)


# -- how it is timed ---------------------------------------------------------------------------


def test_blocks_alternate_and_are_paired(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(measure, "perf_counter", clock)
    turns = []

    def contestant(name, seconds):
        def call():
            turns.append(name)
            clock.pass_by(seconds)

        return call

    blocks = alternate({"a": contestant("a", 1e-3), "b": contestant("b", 4e-3)}, seconds=0.5)
    assert len(blocks["a"]) == len(blocks["b"]) >= measure.ROUNDS
    assert blocks["a"] == pytest.approx([1e-3] * len(blocks["a"]))
    assert ratio(blocks["b"], blocks["a"]).median == pytest.approx(4.0)
    order = [name for name, before in zip(turns, [None, *turns], strict=False) if name != before]
    assert order.count("b") > measure.ROUNDS / 2


def test_a_slow_contestant_still_gets_its_rounds(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(measure, "perf_counter", clock)
    blocks = alternate({"slow": lambda: clock.pass_by(3.0)}, seconds=0.1)
    assert blocks["slow"] == pytest.approx([3.0] * measure.ROUNDS)


def test_an_outlier_hardly_moves_a_ratio():
    steady = [2.0] * 19
    assert ratio([*steady, 2.0], [1.0] * 20) == Ratio(2.0, 2.0, 2.0)
    assert ratio([*steady, 500.0], [1.0] * 20) == Ratio(2.0, 2.0, 2.0)
    assert ratio([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) == Ratio(2.0, 1.0, 3.0)


def test_workers_start_together_and_count_their_steps(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(scaling, "monotonic", clock)
    monkeypatch.setattr(scaling, "sleep", clock.pass_by)
    began = []

    def step():
        began.append(clock.now)
        clock.pass_by(0.25)

    assert steps_per_second(step, start=clock.now + 2.0, seconds=1.0) == pytest.approx(4.0)
    assert began == [102.0, 102.25, 102.5, 102.75]


def test_an_error_in_a_thread_surfaces():
    def broken():
        raise ValueError("broken step")

    with pytest.raises(ValueError, match="broken step"):
        threads_rate([lambda: None, broken], start=0.0, seconds=0.01)


def test_threads_are_held_against_two_processes():
    measured = time_threads(SMALL, 0.2)
    assert list(measured.rates) == ["1 thread", "2 racy", "2 locked", "2 processes"]
    assert min(measured.rates.values()) > 0
    assert set(measured.to_ceiling) == {"2 racy", "2 locked"}
    for kind, share in measured.to_ceiling.items():
        assert share.low <= share.median <= share.high
        assert measured.speedup[kind].median > 0


@pytest.mark.parametrize(("gil", "threaded"), [(True, command.WITH_GIL), (False, None)])
def test_with_a_gil_only_long_steps_are_threaded(monkeypatch, gil, threaded):
    asked = []
    monkeypatch.setattr(command, "time_threads", lambda mlp, _: asked.append(mlp.name))
    monkeypatch.setattr(command, "time_step", lambda mlp, _: mlp.name)
    timed, _ = command.measure(MLPS, 0.01, gil)
    assert timed == [mlp.name for mlp in MLPS]
    assert asked == list(threaded or timed)


# -- what it says ------------------------------------------------------------------------------


def flat(value):
    return Ratio(value, value, value)


def times(name, against_torch):
    seconds = {"engine": 1e-3, "NumPy": 5e-4, "PyTorch": against_torch * 1e-3}
    ratios = {"engine vs PyTorch": flat(against_torch), "engine vs NumPy": flat(0.5)}
    return StepTimes(name, 10, seconds, ratios)


def test_bars_are_met_or_not():
    threads = Scaling("a", {}, {}, {"2 racy": flat(0.89), "2 locked": flat(0.9)})
    verdicts = {bar.what: bar.met for bar in bars([times("a", 2.0), times("b", 0.9)], [threads])}
    assert verdicts == {
        "engine vs PyTorch, a": True,
        "engine vs PyTorch, b": False,
        "engine vs PyTorch, geometric mean": True,  # sqrt(1.8) = 1.34
        "2 racy threads vs 2 processes, a": False,
        "2 locked threads vs 2 processes, a": True,
    }
    assert Bar("x", 0.999, 1.0).line() == "x: 1.00x, bar 1x: NOT MET"


def test_the_ratios_close_with_geometric_means():
    table = ratio_table([times("a", 2.0), times("b", 0.5)])
    assert table.columns == ("MLP", "engine / PyTorch", "engine / NumPy")
    assert table.rows[0][1] == "2.00 [2.00-2.00]"
    assert table.rows[-1] == ("geometric mean", "1.00", "0.50")


def test_times_are_in_microseconds():
    table = times_table([times("a", 2.0)])
    assert table.rows == [("a", "10", "1000.0", "500.0", "2000.0")]


def scaled(name, speedup=1.9):
    kinds = ("1 thread", "2 racy", "2 locked", "2 processes")
    speedup = {kind: flat(speedup) for kind in kinds[1:]}
    ceiling = {kind: flat(0.95) for kind in kinds[1:3]}
    return Scaling(name, dict.fromkeys(kinds, 12345.0), speedup, ceiling)


def test_the_scaling_table_has_a_row_for_each_kind():
    first, racy, _, processes = scaling_table([scaled("a")]).rows
    assert first == ("a", "1 thread", "12,345", "-", "-")
    assert racy == ("", "2 racy", "12,345", "1.90", "0.95 [0.95-0.95]")
    assert processes == ("", "2 processes", "12,345", "1.90", "-")


def test_a_busy_machine_is_named():
    (caveat,) = caveats([scaled("quiet"), scaled("busy", speedup=1.1)])
    assert caveat.startswith("caution, busy: two processes reached only 1.10x")


def test_tables_fit_into_80_columns(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "80")
    widest = times("784-512-512-10 b128", 1.0)
    widest.ratios["NumPy vs PyTorch"] = flat(1.0)
    tables = [
        times_table([widest]),
        ratio_table([widest]),
        scaling_table([scaled(widest.workload)]),
    ]
    for table in tables:
        terminal.show_rich(table)
        said = capsys.readouterr().out
        for row in (table.columns, *table.rows):
            assert all(cell in said for cell in row)


def test_a_bench_from_end_to_end(tmp_path, capsys):
    file = tmp_path / "bench.json"
    options = ["--seconds", "0.05", "--only", "16-32-2", "--json", str(file)]
    assert main(arguments(*options)) == Exit.PASS
    said = capsys.readouterr().out
    assert "16-32-2 b8" in said
    assert "784" not in said
    report = json.loads(file.read_text())
    (row,) = report["training_step"]
    assert row["seconds"]["engine"] > 0
    assert row["ratios"]["engine vs NumPy"]["median"] == pytest.approx(
        row["seconds"]["NumPy"] / row["seconds"]["engine"], rel=0.5
    )
    assert report["environment"]["numpy"] == np.__version__
    assert {bar["met"] for bar in report["bars"]} <= {True, False}


def test_without_pytorch_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(steps, "torch_installed", lambda: False)
    monkeypatch.setattr(command, "torch_installed", lambda: False)
    monkeypatch.setattr(command, "time_step", time_here)
    monkeypatch.setattr(command, "probe", lambda: Environment)
    assert main(arguments("--seconds", "0.05", "--only", "16-32-2")) == Exit.PASS
    said = capsys.readouterr().out
    assert "PyTorch is not installed, so it was skipped" in said
    assert "bar 1.3x" not in said


class Environment:
    gil_enabled = True
    rows = staticmethod(lambda: [("Python", "some")])


class HereChild:
    """A child process that is this one; what crosses over is pickled all the same."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def call(self, function, argument, limit):
        return pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(argument)), print)))


def test_a_disagreement_crosses_the_process(monkeypatch):
    cast = {"honest": numpy_step(Problem(SMALL)), "cheat": frozen(Problem(SMALL))}
    monkeypatch.setattr(steps, "Child", HereChild)
    monkeypatch.setattr(steps, "contestants", lambda problem: cast)
    with pytest.raises(Disagreement, match=r"small: losses differ after 10 steps: honest .*cheat"):
        steps.time_step(SMALL, 0.01)


def test_a_disagreement_ends_the_bench(monkeypatch, capsys):
    def disagree(*_):
        raise Disagreement("16-32-2 b8: losses differ")

    monkeypatch.setattr(command, "probe", lambda: Environment)
    monkeypatch.setattr(command, "time_step", disagree)
    assert main(arguments("--only", "16-32-2")) == Exit.FORBIDDEN
    assert "losses differ" in capsys.readouterr().err


def test_a_pattern_that_matches_nothing(capsys):
    assert main(arguments("--only", "resnet")) == Exit.NOTHING
    assert "784-128-10 b32" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--seconds", "0"), "more than 0"),
        (("--seconds", "nan"), "finite"),
        (("--seconds", "soon"), "number"),
        (("--only", "("), "regular expression"),
        (("--json", "no/such/directory/x.json"), "cannot write"),
        (("--json", "."), "cannot write"),
    ],
)
def test_bad_options_are_refused(options, reason, capsys):
    with pytest.raises(SystemExit):
        arguments(*options)
    assert reason in capsys.readouterr().err
