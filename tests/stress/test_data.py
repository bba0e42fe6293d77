"""The data sets: the digits are the real ones, the split is fixed, bad files are told apart."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from stress.data import BUILT_IN, DataError, load


@pytest.fixture
def npz(tmp_path):
    """Write an .npz file of the given arrays and return its path."""

    def write(**arrays):
        path = tmp_path / "own.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def csv(tmp_path):
    """Write a .csv file of the given text and return its path."""

    def write(text):
        path = tmp_path / "own.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10) % 3


# The digits


def test_the_digits_are_the_published_ones():
    with np.load(BUILT_IN["digits"]) as arrays:
        x, y = arrays["x"], arrays["y"]
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((1797, 64), np.uint8, (1797,), np.uint8)
    assert (x.min(), x.max()) == (0, 16)
    # Examples per digit as published with the data set.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    digest = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_the_digits_come_scaled_and_split():
    digits = load("digits")
    assert digits.name == "digits"
    assert (digits.features, digits.classes) == (64, 10)
    assert digits.x_train.shape == (1437, 64)
    assert digits.x_test.shape == (360, 64)
    for x, y in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test)):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert (x.min(), x.max()) == (0.0, 1.0)
        assert len(x) == len(y)


def test_the_split_is_the_documented_one():
    digits = load("digits")
    assert digits.split == "1437 train / 360 test, shuffled by numpy.random.RandomState(0)"
    with np.load(BUILT_IN["digits"]) as arrays:
        labels = arrays["y"][np.random.RandomState(0).permutation(1797)]
    assert np.array_equal(np.concatenate([digits.y_train, digits.y_test]), labels)


def test_the_split_keeps_each_example_once_and_with_its_label(npz):
    x = np.arange(101.0)[:, None]
    data = load(npz(x=x, y=np.arange(101)))
    assert (len(data.x_train), len(data.x_test)) == (80, 21)
    labels = np.concatenate([data.y_train, data.y_test])
    assert sorted(labels.tolist()) == list(range(101))
    order = np.argsort(data.y_train)
    assert np.all(np.diff(data.x_train[order, 0]) > 0)


def test_a_data_set_cannot_be_written_to():
    digits = load("digits")
    with pytest.raises(ValueError, match="read-only"):
        digits.x_train[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        digits.y_test[0] = 1


# Files


def test_the_test_part_does_not_leak_into_the_scale(npz):
    order = np.random.RandomState(0).permutation(10)
    x = np.ones((10, 3))
    x[order[:8], 0] = np.linspace(-4.0, 4.0, 8)
    x[order[8:], 0] = (-100.0, 100.0)
    data = load(npz(x=x, y=Y))
    np.testing.assert_allclose(data.x_train[:, 0], np.linspace(0.0, 1.0, 8), rtol=1e-6)
    assert data.x_test[:, 0].tolist() == [0.0, 1.0]
    assert not data.x_train[:, 1:].any()  # a constant feature says nothing


def test_csv_and_npz_of_the_same_numbers_are_the_same(npz, csv):
    text = "".join(f"{a},{b},{label}\n" for (a, b), label in zip(X, Y, strict=True))
    one, other = load(npz(x=X, y=Y)), load(csv("\ufeff" + text + "\n"))
    assert one.x_train.tobytes() == other.x_train.tobytes()
    assert one.y_test.tobytes() == other.y_test.tobytes()
    assert one.classes == other.classes == 3


def test_labels_may_be_stored_as_floats(npz):
    assert load(npz(x=X, y=Y.astype(np.float32))).y_train.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"x": X}, "does not hold both arrays x and y"),
        ({"x": X, "labels": Y}, "does not hold both arrays x and y"),
        ({"x": X, "y": Y[:-1]}, r"x has shape \(10, 2\) and y has shape \(9,\)"),
        ({"x": X.reshape(10, 2, 1), "y": Y}, r"x has shape \(10, 2, 1\)"),
        ({"x": X, "y": Y[:, None]}, r"y has shape \(10, 1\)"),
        ({"x": X[:, :0], "y": Y}, r"x has shape \(10, 0\)"),
        ({"x": X[:1], "y": Y[:1]}, "two are the least"),
        ({"x": X.astype(str), "y": Y}, "x holds <U.*real numbers"),
        ({"x": X.astype(complex), "y": Y}, "x holds complex128"),
        ({"x": X.astype(object), "y": Y}, "cannot be decoded.*savez"),
        ({"x": np.where(X == 7.0, np.nan, X), "y": Y}, "feature 1 of example 3 is nan"),
        ({"x": np.where(X == 8.0, -np.inf, X), "y": Y}, "feature 0 of example 4 is -inf"),
        ({"x": np.where(X == 9.0, 1e39, X), "y": Y}, "feature 1 of example 4 is 1e\\+39"),
        ({"x": X, "y": Y + 0.5}, "label 0.5 of example 0"),
        ({"x": X, "y": Y - 1}, "label -1 of example 0"),
        ({"x": X, "y": np.where(Y == 1, 10, Y)}, "label 10 of example 1"),
        ({"x": X, "y": np.where(Y == 2, np.nan, Y)}, "label nan of example 2"),
    ],
)
def test_bad_arrays_are_named(npz, arrays, what):
    path = npz(**arrays)
    with pytest.raises(DataError, match=what) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("width,height,kind\n1,2,0\n", "'width'.*remove a header line"),
        ("1,2,0\n3,1\n", "columns changed.*same number"),
        ("1,2,0\n3,,1\n", "could not convert.*same number"),
        ("1,2,0\nnan,4,1\n", "feature 0 of example 1 is nan"),
        ("0\n1\n0\n", r"x has shape \(3, 0\)"),
        ("1;2;0\n3;4;1\n", "separated by commas"),
    ],
)
def test_bad_text_is_named(csv, text, what):
    path = csv(text)
    with pytest.raises(DataError, match=what) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_damaged_files_are_named(npz, tmp_path):
    whole = npz(x=X, y=Y).read_bytes()
    flipped = whole.replace(X.tobytes(), X.tobytes()[::-1])
    for content in (b"", b"no archive", whole[: len(whole) // 2], flipped):
        path = tmp_path / "damaged.npz"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"damaged\.npz"):
            load(path)
    np.save(tmp_path / "single.npy", X)
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    with pytest.raises(DataError, match=r"single\.npz.*savez"):
        load(tmp_path / "single.npz")


def test_text_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe1,2")
    with pytest.raises(DataError, match=r"binary\.csv: is not text"):
        load(path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv: there is no such file"):
        load(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="digit: no data set of that name; use one of: digits"):
        load("digit")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DataError, match=r"folder\.npz: cannot be read"):
        load(Path(tmp_path / "folder.npz"))
