"""Data sets to train on: real handwritten digits, or a file of your own.

>>> digits = load("digits")
>>> digits.x_train.shape, digits.x_test.shape, digits.classes
((1437, 64), (360, 64), 10)
"""

import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BUILT_IN = {"digits": Path(__file__).with_name("digits.npz")}
SPLIT_SEED = 0
TEST_PART = 5  # one example in five, rounded up

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class DataError(ValueError):
    """A data set that cannot be used; the message names the file, what is wrong and the fix."""


@dataclass(frozen=True)
class Dataset:
    """A classification data set, split and scaled. Immutable: its arrays are read-only.

    x_train, x_test: float32, (examples, features), every feature scaled to 0..1 by the smallest and
    largest value that it takes in the training part (test values beyond are clipped).
    y_train, y_test: int64, (examples,), in 0..classes-1. `split` says in words how they were split.
    """

    name: str
    x_train: FloatArray
    y_train: IntArray
    x_test: FloatArray
    y_test: IntArray
    split: str

    @property
    def features(self) -> int:
        """The number of values per example."""
        return int(self.x_train.shape[1])

    @property
    def classes(self) -> int:
        """The number of classes: one more than the largest label."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1


def load(name_or_path: str | Path) -> Dataset:
    """Load a built-in data set by name, or an `.npz` (arrays x, y) or `.csv` (label last) file.

    The split is a pure function of the number of examples: the same for every run, machine, build.
    Raises `DataError` for a file that is missing, unreadable or not a classification data set.
    """
    path = BUILT_IN.get(str(name_or_path), Path(name_or_path))
    x, y = _checked(*_read(path), path)
    order = _permutation(len(x))
    test = -(-len(x) // TEST_PART)
    train = len(x) - test
    x_train, x_test = _scaled(x[order[:train]], x[order[train:]])
    arrays = x_train, y[order[:train]], x_test, y[order[train:]]
    for array in arrays:
        array.flags.writeable = False
    split = f"{train} train / {test} test, shuffled by numpy.random.RandomState({SPLIT_SEED})"
    return Dataset(path.stem, *arrays, split)


def _permutation(n: int) -> npt.NDArray[np.intp]:
    # RandomState and not default_rng: NumPy promises never to change the stream of the former.
    return np.random.RandomState(SPLIT_SEED).permutation(n).astype(np.intp)


def _scaled(
    train: npt.NDArray[np.float64], test: npt.NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    """Scale both parts by what the training part shows: the test part must not leak into it."""
    low, high = train.min(axis=0), train.max(axis=0)
    width = np.where(high > low, high - low, 1.0)

    def scale(part: npt.NDArray[np.float64]) -> FloatArray:
        scaled: FloatArray = np.clip((part - low) / width, 0.0, 1.0).astype(np.float32)
        return scaled

    return scale(train), scale(test)


def _read(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    readers = {".npz": _read_npz, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        names = ", ".join(sorted(BUILT_IN))
        raise DataError(
            f"{path}: no data set of that name; use one of: {names}, "
            "or the path of an .npz or .csv file"
        )
    try:
        return reader(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{path}: cannot be read ({why}); check the file") from error


# What numpy.load and zipfile raise for damaged archives, found by damaging them.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)


def _read_npz(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    fix = "write it with numpy.savez(path, x=x, y=y)"
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{path}: is not an .npz file; {fix}")
        try:
            with np.load(file, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in ("x", "y") if name in arrays}
        except _DAMAGE as error:
            raise DataError(f"{path}: cannot be decoded ({error}); {fix}") from error
    if len(found) < 2:
        raise DataError(f"{path}: does not hold both arrays x and y; {fix}")
    return found["x"], found["y"]


def _read_csv(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text ({error}); save it as UTF-8 CSV") from error
    rows = [line for line in lines if line.strip()]
    if not rows:
        raise DataError(f"{path}: is empty; put one example on each line")
    try:
        table = np.loadtxt(rows, delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        raise DataError(
            f"{path}: {error}; every line must hold the same number of numbers, separated by "
            "commas (remove a header line)"
        ) from error
    return table[:, :-1], table[:, -1]


def _checked(
    x: npt.NDArray[Any], y: npt.NDArray[Any], path: Path
) -> tuple[npt.NDArray[np.float64], IntArray]:
    """The features as float64 and the labels as int64, or a `DataError`."""
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "buif":
            raise DataError(f"{path}: {name} holds {array.dtype}; it must hold real numbers")
    if x.ndim != 2 or y.ndim != 1 or len(x) != len(y) or x.shape[1] == 0:
        raise DataError(
            f"{path}: x has shape {x.shape} and y has shape {y.shape}; "
            "they must be (examples, features) and (examples,)"
        )
    if len(x) < 2:
        raise DataError(f"{path}: holds {len(x)} example(s); two are the least that can be split")
    x = x.astype(np.float64)
    bad = np.argwhere(~(np.abs(x) <= np.finfo(np.float32).max))  # NaN compares false
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{path}: feature {column} of example {row} is {x[row, column]}; "
            "fill in or drop such examples"
        )
    return x, _checked_labels(y, path)


def _checked_labels(y: npt.NDArray[Any], path: Path) -> IntArray:
    """Labels index the outputs of a network, so they must be small whole numbers from 0 on."""
    with np.errstate(invalid="ignore"):  # casting NaN warns; the comparison finds it
        labels = y.astype(np.int64)
    wrong = np.flatnonzero((labels != y) | (labels < 0) | (labels >= len(y)))
    if len(wrong):
        raise DataError(
            f"{path}: label {y[wrong[0]]} of example {wrong[0]} is not a class number; "
            "number the classes 0, 1, 2, … (fewer classes than examples)"
        )
    return labels
