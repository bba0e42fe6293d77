"""The bench of the accumulation modes: all compute the same, and each is held against its bar."""

import pytest
from threadpoolctl import threadpool_limits

from stress.bench.modes import MODES, mode_bars, mode_step, mode_table, time_here
from stress.bench.workloads import MLPS, Problem


@pytest.fixture(autouse=True)
def _one_blas_thread():
    with threadpool_limits(1):
        yield


def test_every_accumulation_mode_takes_the_training_step():
    problem = Problem(MLPS[0])
    steps = [mode_step(problem, mode, backwards) for mode in MODES for backwards in (1, 4)]
    losses = {round(float([step() for _ in range(5)][-1].item()), 5) for step in steps}
    assert len(losses) == 1


def test_accumulation_modes_are_held_against_each_other():
    with_all = [time_here(MLPS[0], backwards, 0.01) for backwards in (1, 4)]
    bars = mode_bars(with_all)
    assert [bar.limit for bar in bars] == [0.95, 0.91, 0.67] * 2
    assert all(bar.figure > 0 for bar in bars)
    table = mode_table(with_all)
    assert [row[:2] for row in table.rows[:5]] == [
        ("1", "racy"),
        ("", "locked"),
        ("", "ordered"),
        ("", "reproducible"),
        ("4", "racy"),
    ]
