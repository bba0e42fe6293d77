"""The bench of the pool: it measures what it says, and holds it against its bar."""

import json
import threading
from argparse import ArgumentParser

import pytest

import engine
from stress.bench import add_arguments, command, main, pool
from stress.bench.measure import Ratio
from stress.exits import Exit


def test_the_branches_are_independent_and_heavy_enough_for_a_hand_off():
    """Two threads work on one backward: else there would be nothing to measure."""
    seen = set()

    def hook(point, subject):
        if point == "node.begin":
            seen.add(threading.current_thread().name)

    with engine.sync.hooked(hook):
        for _ in range(50):
            pool.on(1, pool.branches(4, 200))()
            if len(seen) == 2:
                break
    assert len(seen) == 2


def test_a_crowd_begins_in_the_order_of_submission():
    waits = pool.crowd(50, 1)
    assert waits.overtaken == 0
    assert 0 <= waits.middle <= waits.longest


@pytest.mark.parametrize(("figure", "met"), [(1.8, True), (1.6, False)])
def test_the_bar(figure, met):
    times = pool.PoolTimes(
        {pool.ONE: 0.02, pool.TWO: 0.02 / figure},
        Ratio(figure, figure, figure),
        Ratio(figure, figure, figure),
        pool.Waits(1000, 2, 0.1, 0.2, 0.3, 1),
    )
    (bar,) = pool.pool_bars(times)
    assert bar.met is met
    assert "8 heavy branches" in bar.line()
    assert pool.pool_table(times).rows[1][2].startswith(f"{figure:.2f}")
    assert not pool.pool_caveats(times)
    assert pool.waits_table(times.waits).rows == [("100.0", "200.0", "300.0", "1")]


def test_a_busy_machine_is_told():
    times = pool.PoolTimes({}, Ratio(1, 1, 1), Ratio(1, 1, 1), pool.Waits(1, 1, 0, 0, 0, 0))
    (caution,) = pool.pool_caveats(times)
    assert "only 1.00x of one" in caution


def test_plain_threads_are_as_many_as_asked_for():
    pool.bare(2, 2, 4)()


def test_the_command_measures_the_pool_when_it_is_asked_for(monkeypatch, capsys, tmp_path):
    waits = pool.Waits(1000, 2, 0.1, 0.2, 0.3, 1)
    times = pool.PoolTimes({pool.ONE: 0.02}, Ratio(1.9, 1.9, 1.9), Ratio(1.9, 1.9, 1.9), waits)
    monkeypatch.setattr(command, "time_pool", lambda seconds: times)
    parser = ArgumentParser()
    add_arguments(parser)
    file = tmp_path / "bench.json"
    assert main(parser.parse_args(["--only", "^pool", "--json", str(file)])) == Exit.PASS
    assert "8 heavy branches: 1.90x, bar 1.7x: met" in capsys.readouterr().out
    (row,) = json.loads(file.read_text())["pool"]
    assert row["waits"]["overtaken"] == 1
