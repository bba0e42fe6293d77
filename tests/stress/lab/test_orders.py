"""Orders and their sums: the known numbers come out, and a policy that does not keep its word."""

from unittest.mock import patch

import numpy as np
import pytest

from engine.runtime.accumulate.tickets import Tickets
from stress.lab.bits import apart, digest, exact_sum, packed, relative, ulps, unpacked
from stress.lab.orders import Orders, contributions, held, measure, orders_of, orders_table
from stress.lab.policies import POLICIES, Policy, through
from stress.mutants.sequences import fold_at_once

BY_NAME = {policy.name: policy for policy in POLICIES}
BOTH = ("float32", "float64")


def rows(*names, **options):
    what = Orders(**{"counts": (4,), "dtypes": ("float32",), **options})
    return list(measure(what, [BY_NAME[name] for name in names]))


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize(("count", "orders", "patterns"), [(2, 2, 1), (3, 6, 3), (4, 24, 12)])
def test_so_many_sums_have_so_few_contributions(dtype, count, orders, patterns):
    (row,) = rows("arrival", counts=(count,), dtypes=(dtype,))
    assert (row.orders, row.every, row.patterns) == (orders, True, patterns)
    assert row.which[0] == 0
    assert len(row.errors) == patterns


def test_of_many_sampled_orders_almost_each_has_a_sum_of_its_own():
    (row,) = rows("arrival", counts=(8,), samples=200)
    assert not row.every
    assert row.orders == 200
    assert row.patterns > 190


@pytest.mark.parametrize("dtype", BOTH)
def test_what_promises_one_pattern_has_one(dtype):
    promised = [policy.name for policy in POLICIES if policy.promised]
    assert {"ordered", "reproducible", "tree", "fsum", "fixed-point"} == set(promised)
    found = rows(*promised, dtypes=(dtype,), elements=200)
    assert [row.patterns for row in found] == [1] * len(promised)
    assert not any(row.broken for row in found)


def test_a_reproducible_sum_is_the_exact_one_rounded_once():
    exact, ordered, fsum = rows("reproducible", "ordered", "fsum", counts=(5,), samples=5)
    assert exact.ulp <= 0.5
    assert fsum.ulp <= 0.5
    assert ordered.ulp > 0.5


def test_a_compensated_sum_is_nearer_than_a_plain_one():
    plain, compensated = rows("arrival", "two-sum", counts=(6,), samples=50)
    assert compensated.ulp < plain.ulp


@pytest.mark.parametrize("name", ["ordered", "reproducible", "tree", "fsum", "fixed-point"])
def test_a_policy_that_breaks_its_promise_is_seen(name):
    liar = Policy(name, "as they come, whatever it says", True, True, through("locked"))
    (row,) = measure(Orders((3,), ("float32",), 100), [liar])
    assert row.patterns == 3
    assert row.broken
    assert "BROKEN" in orders_table([row]).rows[0]


def test_an_engine_that_ignores_tickets_is_seen():
    with patch.object(Tickets, "arrive", fold_at_once):
        (row,) = rows("ordered", counts=(3,))
    assert row.broken


def test_what_waits_is_counted():
    what = Orders((8,), ("float64",), 10_000)
    terms = contributions(what, "float64", 8)
    array = terms.arrays[0].nbytes
    assert held(BY_NAME["ordered"], terms) > 0.8 * array  # seven of eight wait for the first
    assert held(BY_NAME["arrival"], terms) < 0.3 * array


def test_all_orders_are_all_and_samples_depend_on_the_seed_alone():
    every, complete = orders_of(Orders(samples=24), 4)
    assert complete
    assert len(set(every)) == 24
    some, complete = orders_of(Orders(samples=23), 4)
    assert not complete
    assert some == orders_of(Orders(samples=23), 4)[0]
    assert some != orders_of(Orders(samples=23, seed=1), 4)[0]
    assert all(sorted(order) == [0, 1, 2, 3] for order in some)


# Bits


def test_the_reference_knows_what_a_float64_cannot_hold():
    terms = [np.array([2.0**60]), np.array([1.0]), np.array([-(2.0**60)]), np.array([2.0**-40])]
    assert exact_sum(terms)[0] == 1.0 + 2.0**-40
    tiny = exact_sum([np.array([1.0]), np.array([2.0**-58])])
    assert float(tiny[0] - 1) in (2.0**-58, 0.0)  # 0 where a long double is a float64


def test_errors_in_units_in_the_last_place():
    exact = np.array([1.0, -8.0, 0.5], np.longdouble)
    found = exact.astype("f4")
    assert (ulps(found, exact), relative(found, exact)) == (0, 0)
    found[1] = np.nextafter(found[1], np.float32(0))  # below a power of two units are half as large
    assert ulps(found, exact) == 0.5
    assert relative(found, exact) == 2.0**-24
    assert apart(exact.astype("f4"), found) == (1, 0.5, 2.0**-21)


def test_an_array_survives_as_text_bit_by_bit():
    array = np.array([[np.nan, -0.0, 1e-45], [np.inf, 1.0, -2.5]], "f4")
    assert unpacked(packed(array)).tobytes() == array.tobytes()
    assert digest([array]) == digest([unpacked(packed(array))])
    assert len({digest([array]), digest([array.T]), digest([array.astype("f8")])}) == 3
