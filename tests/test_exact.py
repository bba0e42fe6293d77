"""Exact sums: no order, one rounding, and what plain sums make of infinities and NaN."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import RowSparse
from engine.exact import CHUNK, TERMS, WIDTH, ExactSum, Limbs

DTYPES = ["f2", "f4", "f8"]


def total(terms, dtype):
    """The exact sum of numbers, as the engine has it."""
    arrays = [np.array([term], dtype) for term in terms]
    result = ExactSum(arrays[0].copy())
    for array in arrays[1:]:
        result.add(array)
    return result.value()[0]


def nearest(terms, dtype):
    """The number of `dtype` that is nearest to the sum, by rational arithmetic alone."""
    whole = sum(map(Fraction, map(float, terms)))
    with np.errstate(over="ignore"):
        try:
            near = np.dtype(dtype).type(float(whole))
        except OverflowError:
            return np.dtype(dtype).type(math.inf if whole > 0 else -math.inf)
        around = [np.nextafter(near, -np.inf, dtype=dtype), near, np.nextafter(near, np.inf)]
    finite = [a for a in around if np.isfinite(a)]
    if not np.isfinite(near):
        return near
    unsigned = np.dtype(dtype).str.replace("f", "u")
    return min(finite, key=lambda a: (abs(Fraction(float(a)) - whole), int(a.view(unsigned)) & 1))


def floats(dtype):
    width = np.dtype(dtype).itemsize * 8
    anything = st.floats(width=width, allow_nan=False, allow_infinity=False)
    small = st.integers(-40, 40).map(lambda n: float(np.dtype(dtype).type(math.ldexp(n, -12))))
    powers = st.integers(-24, 15).map(lambda n: math.ldexp(1.0, n))
    return st.one_of(anything, small, powers, powers.map(lambda p: -p))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_is_the_nearest_number_in_any_order_and_partition(dtype, data):
    terms = data.draw(st.lists(floats(dtype), min_size=2, max_size=12))
    order = data.draw(st.permutations(terms))
    expected = nearest(terms, dtype)
    got = total(terms, dtype)
    assert got == expected
    assert total(order, dtype).tobytes() == got.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_it_is_no_worse_than_a_sum_in_float64(dtype, data):
    terms = data.draw(st.lists(floats(dtype).filter(lambda x: abs(x) < 1e300), min_size=2))
    plain = np.float64(0)
    for term in terms:
        plain += np.float64(term)
    whole = sum(map(Fraction, terms))
    got = total(terms, dtype)
    with np.errstate(over="ignore"):
        plain = plain.astype(dtype)
    if np.isfinite(got) and np.isfinite(plain):
        assert abs(Fraction(float(got)) - whole) <= abs(Fraction(float(plain)) - whole)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
@example([1.7e308, 1.7e308, -1.7e308])
@example([2.0**1023, 2.0**1023 - 2.0**970, 2.0**969])
@example([5e-324] * 3)
@example([1.0, *[1.7534886460088487e98] * 3])
@example([5e-324, 1e308, -1e308])
def test_it_is_what_fsum_says(terms):
    try:
        expected = math.fsum(terms)
    except OverflowError:
        return  # of an intermediate result: fsum is not exact there
    assert total(terms, "f8") == expected


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "terms",
    [
        [math.inf, 1.0],
        [1.0, -math.inf, 2.0],
        [math.inf, -math.inf],
        [math.inf, math.nan],
        [math.nan, 1.0],
        [math.inf, math.inf, 3.0],
    ],
)
def test_infinities_and_nan_as_in_a_plain_sum_in_any_order(terms, dtype):
    expected = np.array([sum(terms)], dtype)
    rotated = [terms[i:] + terms[:i] for i in range(len(terms))]
    seen = {total(order, dtype).tobytes() for order in rotated}
    assert len(seen) == 1
    np.testing.assert_array_equal(np.frombuffer(seen.pop(), dtype), expected)


def test_what_is_too_large_is_infinite_only_if_the_sum_is():
    big = float(np.finfo("f4").max)
    assert total([big, big, -big], "f4") == np.float32(big)
    assert total([big, big], "f4") == np.inf
    assert total([-1.7e308, -1.7e308], "f8") == -np.inf


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (2, CHUNK // 2 + 7)])
def test_arrays_of_any_shape(dtype, shape):
    rng = np.random.default_rng(0)

    def term():
        wide = rng.standard_normal((2, *shape)) * np.exp(rng.uniform(-60, 40, (2, *shape)))
        return np.asarray(wide[0] + 1j * wide[1] if dtype[0] == "c" else wide[0]).astype(dtype)

    terms = [term() for _ in range(5)]
    seen = set()
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        result = ExactSum(terms[order[0]].copy())
        for i in order[1:]:
            result.add(terms[i])
        value = result.value()
        assert (value.shape, value.dtype) == (shape, dtype)
        seen.add(value.tobytes())
    assert len(seen) == 1
    flat = [np.ascontiguousarray(t).view(np.empty(0, dtype).real.dtype).ravel() for t in terms]
    got = np.ascontiguousarray(value).view(flat[0].dtype).ravel()
    for at in range(0, len(got), max(1, len(got) // 50)):
        assert got[at] == nearest([f[at] for f in flat], flat[0].dtype.str[1:])


def test_layouts_other_than_c():
    first = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    result = ExactSum(first)
    result.add(np.ones((4, 3)).T)
    result.add(np.ones((6, 8))[::2, ::2])
    assert result.value() is first
    np.testing.assert_array_equal(first, np.arange(12.0).reshape(3, 4) + 2)


def many(count):
    """So many of the largest that a limb takes, less `count`: what is left and what should be."""
    odd = 1 - 2.0**-WIDTH
    term = np.array([odd, -odd])
    result = ExactSum(term.copy())
    for _ in range(count - 1):
        result.add(term)
    result.add(np.array([-count, count], float))
    return result.value().tolist(), [-count * 2.0**-WIDTH, count * 2.0**-WIDTH]


def test_more_terms_than_a_limb_has_room_for():
    got, expected = many(5 * TERMS + 1)
    assert got == expected


def test_a_limb_that_is_never_carried_is_noticed(monkeypatch):
    """The test above sees a limb that overflows."""
    monkeypatch.setattr(Limbs, "_carry", lambda self, grow: None)
    got, expected = many(5 * TERMS + 1)
    assert got != expected


def test_reading_changes_nothing():
    terms = [np.array([x], "f4") for x in (1.0, 2.0**-24, 2.0**-24, 2.0**-30)]
    quiet, watched = ExactSum(terms[0].copy()), ExactSum(terms[0].copy())
    for term in terms[1:]:
        quiet.add(term)
        watched.add(term)
        before = watched.value()
        assert watched.value() is before
    assert quiet.value().tobytes() == watched.value().tobytes()


def test_writing_to_what_was_read_counts():
    result = ExactSum(np.array([1.0, 2.0], "f4"))
    result.add(np.array([2.0**-30, 1.0], "f4"))
    value = result.value()
    value *= 2
    result.add(np.array([1.0, 1.0], "f4"))
    assert result.value().tolist() == [3.0, 7.0]
    assert result.value() is value


# Rows


def rows(ids, amount, shape=(6, 2)):
    return RowSparse(ids, np.full((len(ids), *shape[1:]), amount, "f4"), shape)


def test_rows_stay_rows_and_hold_what_they_touch():
    orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2]]
    terms = [rows([1, 4], 1.0), rows([4, 0, 4], 2.0**-25), rows([4], -1.0)]
    seen = set()
    for order in orders:
        result = ExactSum(terms[order[0]])
        for i in order[1:]:
            result.add(terms[i])
        value = result.value()
        assert isinstance(value, RowSparse)
        assert value.ids.tolist() == [0, 1, 4]
        assert result.value() is value
        seen.add(value.rows.tobytes())
    assert len(seen) == 1
    assert value.to_dense()[4, 0] == 2.0**-24


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]])
def test_rows_and_arrays_meet(order):
    terms = [rows([1, 1], 1.0), np.full((6, 2), 2.0**-30, "f4"), rows([1, 5], -2.0)]
    result = ExactSum(terms[order[0]].copy())
    for i in order[1:]:
        result.add(terms[i])
    expected = np.full((6, 2), 2.0**-30, "f4")
    expected[5] = np.float32(2.0**-30 - 2)
    value = result.value()
    assert type(value) is np.ndarray
    np.testing.assert_array_equal(value, expected)


def test_no_rows():
    result = ExactSum(rows([], 0.0))
    result.add(rows([], 0.0))
    assert result.value().nnz == 0
    result.add(rows([3], 1.0))
    assert result.value().ids.tolist() == [3]
