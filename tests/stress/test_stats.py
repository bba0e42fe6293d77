"""Intervals against published values, and against what bursts do to them."""

import numpy as np
import pytest

from stress.core.stats import Rate, rule_of_three, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_published_intervals(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_without_trials_says_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_rule_of_three():
    assert rule_of_three(300) == 0.01
    assert rule_of_three(2) == 1.0
    assert rule_of_three(0) == 1.0


def rate_of(trials):
    rate = Rate()
    for lost, offered in trials:
        rate.add(lost, offered, samples=10)
    return rate


def test_independent_losses_give_wilsons_interval():
    random = np.random.default_rng(0)
    rate = rate_of([(int(random.binomial(1000, 0.01)), 1000) for _ in range(400)])
    plain = wilson(rate.lost, rate.offered)
    assert 0.8 < (rate.interval.high - rate.interval.low) / (plain.high - plain.low) < 1.2


def test_bursts_widen_the_interval_as_much_as_trials_say():
    bursts = rate_of([(1000 if index % 100 == 0 else 0, 1000) for index in range(400)])
    by_trials = wilson(4, 400)  # whole trials are lost: so many samples there are, and no more
    assert bursts.interval.low == pytest.approx(by_trials.low, rel=0.05)
    assert bursts.interval.high == pytest.approx(by_trials.high, rel=0.05)


def test_no_loss_is_bounded_by_contributions_not_by_elements():
    clean = rate_of([(0, 1_000_000)] * 30)
    assert clean.interval.low == 0.0
    assert clean.interval.high == rule_of_three(300)


@pytest.mark.parametrize("trials", [[], [(5, 10)], [(10, 10), (10, 10)]])
def test_degenerate_data_still_give_an_interval_that_holds_the_rate(trials):
    rate = rate_of(trials)
    assert 0.0 <= rate.interval.low <= rate.value <= rate.interval.high <= 1.0
