"""What is lost is counted, seeds are told from repeats, and what takes long says how far it is."""

from dataclasses import replace

import pytest

from stress.lab import loss
from stress.lab.loss import Contention, contentions, loss_table, losses, measured, trial
from stress.lab.spread import Ended, Spreading, spread_table, spreads


def test_what_is_lost_is_counted(monkeypatch):
    plain = Contention(mode="locked", size=600, each=10)
    assert trial(plain, 0) == (0, 2 * 10 * 600)
    assert trial(replace(plain, leaves=3), 0) == (0, 2 * 10 * 600)
    assert trial(replace(plain, share=0.5), 0) == (0, 2 * 10 * 300)
    real, calls = loss.contribute, iter(range(1000))

    def forgetful(*arguments):
        if next(calls) % 10:  # every tenth is lost
            real(*arguments)

    monkeypatch.setattr(loss, "contribute", forgetful)
    found = measured(plain, 1e-9)
    assert found.trials == ((1200, 12_000),)
    assert found.rate == 0.1
    assert found.low < 0.1 < found.high
    assert "10 %" in loss_table([found]).rows[0]


def test_each_trial_is_told_so_that_a_long_measurement_is_no_hang():
    two = [Contention(mode="locked", size=50, each=1)] * 2
    said = []
    found = losses(two, 0.02, lambda fraction, note: said.append((fraction, note)))
    trials = [f"size, locked, trial {n + 1}" for lost in found for n in range(len(lost.trials))]
    assert [note for _, note in said] == trials
    assert len(set(said)) == len(said)  # what is the same is no progress
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.5 <= fractions[-1] <= 1


def test_one_thing_is_changed_at_a_time():
    for what in contentions("racy", (2, 4)):
        plain = Contention(sweep=what.sweep)
        changed = [name for name in ("size", "leaves", "share", "threads")
                   if getattr(what, name) != getattr(plain, name)]  # fmt: skip
        assert changed in ([], [what.sweep.split()[0]])


def test_spread_over_seeds_and_repeats():
    what = Spreading(("serial", "ordered"), seeds=2, repeats=2, epochs=1)
    found = list(spreads(what))
    for mode in what.modes:
        hashes = [end.hash for end in found if end.mode == mode]
        assert len(set(hashes)) == 2  # one for each seed
    assert all(0.3 < end.accuracy < 1 for end in found)


@pytest.mark.parametrize(("mode", "steps"), [("serial", 180), ("ordered", 89)])
def test_each_epoch_is_told_so_that_a_long_training_is_no_hang(mode, steps):
    said = []
    what = Spreading((mode,), seeds=1, repeats=2, epochs=2)
    list(spreads(what, lambda fraction, note: said.append((fraction, note))))
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)
    assert {0.5, 1.0} <= set(fractions)
    for repeat in range(2):
        told = {note for _, note in said if note.startswith(f"{mode}, seed 0, run {repeat}, step ")}
        assert len(told) >= 2
        assert f"{mode}, seed 0, run {repeat}, step {steps} of {steps}" in told


def test_the_table_tells_seeds_from_repeats():
    found = [Ended("racy", seed, repeat, f"{seed} {repeat and seed}", seed + repeat * seed, 0.5)
             for seed in (0, 1) for repeat in (0, 1)]  # fmt: skip
    assert spread_table(found).rows == [
        ("racy", "2", "1 of 2", "0.7500", "0.7500", "0.25000", "50.00 %")
    ]
