"""A search reaches every schedule once, ends when it is told to, and goes on where it stood."""

import threading
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

import pytest

import engine
from engine import sync
from stress.core.child import Crash, Failure
from stress.core.outcome import acceptable, interesting, required
from stress.core.scenario import Observation
from stress.explore import campaign, search, trial, work
from stress.explore.campaign import turns
from stress.explore.checkpoint import Checkpoint
from stress.explore.explore import Plan, conclude
from stress.explore.search import Search, Settings, work_through
from stress.explore.show import timeline as shown_as_rows
from stress.explore.token import decode
from stress.explore.work import Request, repeat
from tests.stress.explore.toys import (
    ABBA,
    COUNT,
    HERE,
    LOSING,
    Dies,
    aim,
    all_schedules,
    here,
    keys,
    searched,
    steps,
    toy,
)


def judged(found, tmp_path, **options):
    return conclude(found, Plan(found.settings, options.get("minimise", False), tmp_path), HERE)


def test_it_runs_what_there_is_and_says_that_this_was_all(tmp_path):
    found = searched(LOSING, bound=2)
    assert found.exhausted
    assert found.tally.schedules == 14
    assert found.tally.outcomes == keys(all_schedules(COUNT, 2))
    explored = judged(found, tmp_path)
    assert (explored.result.verdict, explored.result.reason) == ("PASS", "")
    assert (explored.exhaustive, explored.distinct) == (True, 2)


@pytest.mark.parametrize(("asked", "count"), [(None, 6), (2, 14)])
def test_the_bound_is_the_scenarios_unless_another_is_asked_for(asked, count):
    one = toy(COUNT.actor, setup=COUNT.setup, outcomes=LOSING.outcomes, bound=1)
    assert searched(one, bound=asked).tally.schedules == count


def test_few_preemptions_come_first():
    found = searched(LOSING, bound=2)
    assert found.tally.examples["kept"].number == 1
    assert found.tally.examples["lost"].number in (3, 4, 5, 6)  # after the two without any


@pytest.mark.parametrize(("scenario", "key"), [(COUNT, "lost"), (ABBA, "deadlock")])
def test_a_failure_ends_it_and_is_replayed_before_it_is_told(scenario, key, tmp_path):
    found = searched(scenario, bound=2)
    assert not found.exhausted
    explored = judged(found, tmp_path, minimise=True)
    assert explored.result.verdict == "FAIL"
    assert repr(key) in explored.result.reason
    (finding,) = explored.findings
    assert (finding.key, finding.reproduced) == (key, 10)
    assert "1 → 1 preemptions" in finding.smaller
    assert finding.token in explored.result.notes[0]
    assert "reproduced 10/10" in explored.result.notes[0]


def test_each_finding_has_its_token_and_its_timeline(tmp_path):
    shown = {"racy": lambda params: [interesting("kept", ""), required("lost", "")]}
    found = searched(toy(COUNT.actor, setup=COUNT.setup, arbiter=COUNT.arbiter, outcomes=shown))
    result = judged(found, tmp_path).result
    assert len(result.tokens) == len(result.timelines) == 2
    assert len(set(result.timelines)) == 2
    for token, timeline in zip(result.tokens, result.timelines, strict=True):
        again = repeat(Request(aim(COUNT), decode(token).decisions, times=1), lambda number: None)
        assert shown_as_rows(again.schedule) == timeline


def test_what_a_replay_shows_takes_no_locks():
    """The same decisions, although the subject of a point has a ``.grad`` that is read with one."""

    def announce(state, index):
        for _ in range(2):
            assert sync.hook is not None
            sync.hook("toy", state)

    def leaf(params):
        made = engine.zeros(1, requires_grad=True)
        made.grad = engine.ones(1)
        return made

    scenario = toy(announce, setup=leaf)
    for schedule in all_schedules(scenario, 1):
        again = repeat(Request(aim(scenario), schedule.chosen, times=2), lambda number: None)
        assert again.problem == ""


def test_what_is_required_and_out_of_reach_is_inconclusive(tmp_path):
    explored = judged(searched(LOSING, bound=0), tmp_path)
    assert explored.result.verdict == "INCONCLUSIVE"
    assert "'lost' was never reached" in explored.result.reason


def test_a_budget_that_ends_is_inconclusive(tmp_path):
    found = searched(toy(steps(30)), seconds=0.3, bound=3)
    explored = judged(found, tmp_path)
    assert found.left
    assert explored.result.verdict == "INCONCLUSIVE"
    assert "the budget ended" in explored.result.reason


@pytest.mark.parametrize(("schedules", "done"), [(0, -1), (1, -1), (2, 0), (5, 0), (6, 1), (14, 2)])
def test_it_is_known_how_many_preemptions_are_done(schedules, done):
    found = searched(LOSING, bound=2, schedules=schedules)
    assert found.tally.schedules == schedules
    assert found.done == done
    assert found.exhausted == (done == 2)


@pytest.mark.parametrize(
    ("schedules", "words"),
    [(0, "before its first schedule"),
     (1, "after 1 schedules; "),
     (7, "after 7 schedules, every one of up to 1 preemptions among them; ")],
)  # fmt: skip
def test_what_a_budget_that_ended_has_proved_is_said(schedules, words, tmp_path):
    found = searched(toy(steps(2)), bound=2, schedules=schedules)
    found.settings = Settings(bound=2)  # it could have gone on
    explored = judged(found, tmp_path)
    assert explored.result.verdict == "INCONCLUSIVE"
    assert words in explored.result.reason
    assert explored.part == ("up to 1" if schedules == 7 else "some")


def test_a_dfs_that_was_cut_short_has_not_passed(tmp_path):
    explored = judged(searched(toy(steps(2)), bound=2, schedules=7), tmp_path)
    assert explored.result.verdict == "INCONCLUSIVE"
    assert explored.result.reason.startswith(
        "stopped after --schedules 7, every one of up to 1 preemptions among them; "
    )
    assert explored.result.reason.endswith("known beginnings are left: a larger --schedules")
    assert judged(searched(LOSING, bound=2, schedules=14), tmp_path).result.verdict == "PASS"


def test_what_a_thread_out_of_control_does_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "Lab", partial(trial.Lab, patience=0.5))

    def actor(state, index):
        with state:
            here()

    outside = toy(actor, setup=lambda params: threading.Lock())
    explored = judged(searched(outside, bound=1), tmp_path)
    assert explored.result.verdict == "FAIL"
    assert "unknown outcome 'stuck'" in explored.result.reason
    assert "with state:" in explored.result.stacks


def test_nothing_to_decide_is_inconclusive(tmp_path):
    alone = toy(steps(3), crew=lambda params: 1)
    explored = judged(searched(alone), tmp_path)
    assert explored.result.verdict == "INCONCLUSIVE"
    assert "nothing could race" in explored.result.reason


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_other_strategies_run_as_many_as_were_asked_for(strategy, tmp_path):
    found = searched(LOSING, strategy=strategy, schedules=80, seed=3)
    assert found.tally.schedules == 80
    assert judged(found, tmp_path).result.verdict == "PASS"
    again = searched(LOSING, strategy=strategy, schedules=80, seed=3)
    assert again.tally == found.tally
    other = searched(LOSING, strategy=strategy, schedules=80, seed=4)
    assert other.tally.outcomes != found.tally.outcomes


def uneven():
    """Every second run has a point more than the first."""
    turn = count()

    def actor(state, index):
        if index == 0 and next(turn) % 2:
            here("odd")
        here()

    return toy(actor)


def fickle():
    """The same points, and another outcome."""
    turn = count()
    return toy(steps(0), arbiter=lambda state: Observation({f"kept {next(turn) % 2}": 1}),
               outcomes={"racy": lambda params: [acceptable("*", "")]})  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "words"),
    [(uneven, "was 'actor 0: toy', and the second time 'actor 0: odd'"),
     (fickle, "the outcome was 'kept 0', and the second time 'kept 1'")],
)  # fmt: skip
def test_what_is_not_deterministic_is_reported_with_the_first_difference(scenario, words, tmp_path):
    found = searched(scenario())
    assert found.tally.schedules == 1
    explored = judged(found, tmp_path)
    assert explored.result.verdict == "ERROR"
    assert "not deterministic under control" in explored.result.reason
    assert words in explored.result.reason
    assert "Likely causes: a clock, random numbers" in explored.result.reason
    assert found.fresh  # new threads were no help


@pytest.mark.parametrize(
    ("level", "beginning", "words"),
    [(0, b"\1\1\1\2\2\2\2", "3 decisions, where 7 were made in a schedule that began alike"),
     (2, b"\1\2", "1 preemptions, where a schedule that began alike had 2")],
)  # fmt: skip
def test_a_beginning_that_leads_elsewhere_than_before_is_noticed(level, beginning, words):
    """Though both runs of that schedule are alike: something has changed since it was found."""
    batch = work.Batch(aim(toy(steps(2))), "dfs", level=level, beginnings=(beginning,))
    assert work.run_batch(batch, lambda number: None).unsteady == words


def test_what_is_alike_twice_and_not_as_before_is_not_called_all():
    """Every second pair of runs has more points."""
    turn = count()

    def actor(state, index):
        for _ in range(1 if index else state):
            here()

    ageing = toy(actor, setup=lambda params: 4 - 3 * (next(turn) // 2 % 2))
    found = searched(ageing, bound=2)
    assert found.tally.unsteady
    assert not found.exhausted


def test_a_failure_that_is_not_deterministic_is_an_error_that_names_both(tmp_path):
    turn = count()
    odd = toy(steps(1), arbiter=lambda state: Observation({("lost", "kept")[next(turn) % 2]: 1}))
    result = judged(searched(odd), tmp_path).result
    assert result.verdict == "ERROR"
    assert "forbidden outcome 'lost'" in result.reason
    assert "not deterministic under control: the outcome was 'lost', and" in result.reason


@pytest.mark.parametrize(
    ("error", "verdict"), [(Crash(-11, "stacks"), "CRASH"), (Failure("E", "stacks"), "ERROR")]
)
def test_a_process_that_dies_is_a_result(error, verdict, tmp_path):
    found = Search(aim(LOSING), Settings())
    dies: Any = Dies(error)
    work_through(found, [dies], 5.0, lambda search: None)
    assert found.levels[0][0] == b""  # nothing is lost
    explored = judged(found, tmp_path)
    assert (explored.result.verdict, explored.result.stacks) == (verdict, "stacks")


class Shown:
    """Writes down what is shown."""

    def __init__(self):
        self.said = []

    def begin(self, what):
        self.said.append(("begin", what))

    def resume(self, what):
        self.said.append(("resume", what))

    def update(self, fraction, note):
        self.said.append(("update", note))


def test_every_turn_is_shown_under_the_name_of_its_search(monkeypatch):
    monkeypatch.setattr(campaign, "FIRST", 0.02)
    monkeypatch.setattr(search, "NOTICE", 0.01)
    searches = [Search(aim(toy(steps(99), name=name)), Settings()) for name in ("one", "two")]
    searches[0].seconds = 1.0  # before its checkpoint
    shown: Any = Shown()
    kept = Checkpoint(None, Settings())
    assert not list(turns(searches, [HERE], monotonic() + 3.0, kept, shown))
    names = [(what, words.split()[0]) for what, words in shown.said if what != "update"]
    assert names[:4] == [("begin", "one"), ("begin", "two"), ("resume", "one"), ("resume", "two")]
    notes = [words for what, words in shown.said if what == "update"]
    assert notes
    assert not any("one" in note or "two" in note for note in notes)
