"""The tests of this folder fail when the engine is broken on purpose."""

from contextlib import nullcontext

import numpy as np
import pytest

import engine
from engine import graph, modes, sync
from engine.errors import GraphReleasedError
from engine.runtime import accumulate, execute
from engine.runtime.accumulate import merge, ordered, policy, racy
from engine.runtime.accumulate.tickets import Tickets
from engine.runtime.task import Gather
from engine.sparse import RowSparse
from engine.sync import Threads
from tests import test_optim, test_rows
from tests.runtime import test_execute, test_gather
from tests.runtime.fakes import Term
from tests.threads import (
    test_accumulation,
    test_aliasing,
    test_functional,
    test_modes_of_workers,
    test_one_graph,
    test_ordered,
    test_ordered_bits,
)

Caught = (AssertionError, pytest.fail.Exception)


class Unlocked(Threads):
    """Leaves whose lock does nothing."""

    rlock = staticmethod(nullcontext)  # type: ignore[assignment]


@pytest.mark.parametrize(
    "test",
    [
        test_accumulation.test_under_locked_additions_exclude_each_other,
        test_optim.test_steps_exclude_each_other,
    ],
)
def test_a_lock_that_does_nothing_is_noticed(test):
    test()
    with sync.controlled(Unlocked()), pytest.raises(Caught):
        test()


def test_a_contribution_that_is_counted_twice_is_noticed(monkeypatch):
    def twice(leaf, buffer, g):
        np.add(buffer, g, out=buffer)
        np.add(buffer, g, out=buffer)

    monkeypatch.setattr(racy, "_add_racy", twice)
    with pytest.raises(Caught):
        test_accumulation.test_racy_adds_each_contribution_once()


def test_a_gradient_that_is_rebound_is_noticed(monkeypatch):
    def rebind(leaf, buffer, g):
        leaf.grad = buffer + g

    monkeypatch.setattr(racy, "_add_racy", rebind)
    with pytest.raises(Caught):
        test_accumulation.test_racy_never_rebinds()


def test_an_early_commit_is_noticed(monkeypatch):
    """Adding at once, as racy does, under the name of `locked`."""
    monkeypatch.setitem(accumulate.POLICIES, "locked", accumulate.Racy)
    with pytest.raises(Caught):
        test_accumulation.test_a_backward_that_raises_leaves_every_grad_under_locked()


def test_sums_in_the_order_of_arrival_are_noticed(monkeypatch):
    def whatever_came(self):
        came = [
            (port, cell)
            for port, cell in zip(self.ports, self.cells, strict=True)
            if isinstance(cell, Term)
        ]
        self.cells = [None if isinstance(c, Term) else c for c in self.cells]
        self.done += len(came)
        return came

    monkeypatch.setattr(Gather, "prefix", whatever_came)
    with pytest.raises(Caught):
        test_execute.test_the_order_of_additions_does_not_depend_on_who_makes_them(1)
    with pytest.raises(Caught):
        test_gather.test_any_order_of_arrival_gives_the_same_sum()


def test_a_graph_that_anybody_may_release_is_noticed(monkeypatch):
    monkeypatch.setattr(execute, "_claim", lambda plan: ())
    with pytest.raises((*Caught, GraphReleasedError)):
        test_one_graph.test_whoever_begins_first_wins_wherever_it_is(
            test_one_graph.chain, "task.begin"
        )


def test_modes_that_do_not_travel_are_noticed(monkeypatch):
    monkeypatch.setattr(modes.Snapshot, "run", lambda seen, function, **also: function())
    with pytest.raises(Caught):
        test_modes_of_workers.test_workers_see_the_error_state_of_the_caller()
    with pytest.raises(Caught):
        test_modes_of_workers.test_a_nested_backward_accumulates_as_its_task_says()


def test_gradients_that_are_handed_on_as_they_are_are_noticed(monkeypatch):
    for module in (merge, policy):
        monkeypatch.setattr(module, "private", lambda cells, key: np.asarray(cells[key]))
    with pytest.raises(Caught):
        test_aliasing.test_grads_seeds_and_data_are_apart("add", "locked", 0)
    with pytest.raises(Caught):
        test_aliasing.test_functional_gradients_are_apart("add")


def test_a_functional_grad_that_looks_at_a_leaf_is_noticed(monkeypatch):
    def look(self, position, g):
        g.fill(self.nodes[position].grad is None)

    monkeypatch.setattr(accumulate.Capture, "receive", look)
    trap = test_functional.Trap(vars(graph.Leaf)["grad"])
    monkeypatch.setattr(graph.Leaf, "grad", trap)
    x = engine.ones(3, requires_grad=True)
    before = trap.touched
    engine.grad((x * 2).sum(), x, allow_unused=True)
    assert trap.touched > before


def test_contributions_in_the_order_of_arrival_are_noticed(monkeypatch):
    def first_come(self, number, fold):
        if sync.hook is not None:
            sync.hook("ticket.arrive", self)
        fold()
        self._begun[number] = lambda: None
        self._waiting += 1
        self._advance()

    monkeypatch.setattr(Tickets, "arrive", first_come)
    with pytest.raises(Caught):
        test_ordered_bits.test_every_order_of_arrival_gives_the_bits_of_the_order_of_tickets("cba")


def test_a_ticket_that_is_never_released_is_noticed(monkeypatch):
    monkeypatch.setattr(Tickets, "abandon", lambda self, number: None)
    with pytest.raises(Caught):
        test_ordered.test_a_backward_that_fails_releases_its_ticket_and_leaves_every_grad()


def test_a_contribution_that_waits_in_the_caller_s_array_is_noticed(monkeypatch):
    monkeypatch.setattr(ordered, "private", lambda cells, key: cells[key])
    with pytest.raises(Caught):
        test_ordered.test_what_waits_is_not_what_the_caller_writes_to_meanwhile()


def test_a_bound_that_nobody_keeps_is_noticed(monkeypatch):
    monkeypatch.setattr(Tickets, "_has_room", lambda self, number: True)
    with pytest.raises(Caught):
        test_ordered.test_in_vain_it_raises_and_says_what_is_missing()


def test_rows_that_are_not_coalesced_are_noticed(monkeypatch):
    monkeypatch.setattr(RowSparse, "coalesce", lambda self: self)
    with pytest.raises(Caught):
        test_rows.test_no_row_is_lost_among_threads("dense")
