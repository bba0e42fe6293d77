"""Saving and loading arrays by name: safetensors, which PyTorch reads too, and NumPy's ``.npz``.

Both hold numbers and names and no code: nothing is pickled, and a file from a stranger can do no
worse than be refused. The safetensors format is eight bytes for the length of a header, the header
in JSON, and the arrays one after the other. Written here because its library has no wheel for
free-threaded Python.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, OperandError
from ..tensor import Tensor, from_array

# The format's names for NumPy's dtypes, little-endian. Immutable.
_NAMES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "C64": "<c8",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_DTYPES = {np.dtype(kind): name for name, kind in _NAMES.items()}


def save(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write Tensors or arrays by name, as ``module.state_dict()`` gives them, to a file.

    The suffix chooses the format: ``.safetensors`` or ``.npz``. The file appears whole or not at
    all: it is written under another name first. What threads write to the arrays meanwhile may be
    torn: externally synchronised, or save ``engine.hogwild.snapshot``. Raises ``ArgumentError`` for
    another suffix, ``DTypeError`` for what the format cannot hold.

    >>> import tempfile, engine
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save({"w": engine.ones(2)}, f"{folder}/model.safetensors")
    ...     load(f"{folder}/model.safetensors")
    {'w': tensor([1., 1.])}
    """
    target = Path(path)
    write = {".safetensors": _write_safetensors, ".npz": _write_npz}.get(target.suffix)
    if write is None:
        raise _suffix(target)
    arrays = {name: _array(name, value) for name, value in state.items()}
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(partial, arrays)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """What ``save`` wrote, or PyTorch's ``safetensors`` did: names to new Tensors.

    Raises ``ArgumentError`` for another suffix and for a file that is damaged.
    """
    source = Path(path)
    read = {".safetensors": _read_safetensors, ".npz": _read_npz}.get(source.suffix)
    if read is None:
        raise _suffix(source)
    return {name: from_array(array) for name, array in read(source).items()}


def _suffix(path: Path) -> ArgumentError:
    return ArgumentError(f"{path.name}: name it .safetensors or .npz; nothing is pickled here")


def _array(name: str, value: Any) -> np.ndarray:
    if not isinstance(name, str):
        raise OperandError(f"save: names are strings, got {name!r}")
    array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"save: {name} is no numeric array but {array.dtype}")
    return array


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, KeyError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ArgumentError(f"{path.name} is no .npz of plain arrays: {error}") from error


def _write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header: dict[str, Any] = {}
    blobs, at = [], 0
    for name, array in arrays.items():
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        if little.dtype not in _DTYPES:
            raise DTypeError(
                f"save: safetensors has no name for {array.dtype}, of {name}; use .npz"
            )
        end = at + little.nbytes
        header[name] = {
            "dtype": _DTYPES[little.dtype],
            "shape": list(array.shape),
            "data_offsets": [at, end],
        }
        blobs.append(little)
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for blob in blobs:
            file.write(blob.tobytes())


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    try:
        length = int.from_bytes(data[:8], "little")
        if length > len(data) - 8:
            raise ValueError(f"a header of {length} bytes in a file of {len(data)}")
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        return {n: _part(memoryview(data)[8 + length :], **entry) for n, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArgumentError(f"{path.name} is no safetensors file: {error}") from error


def _part(data: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    """One array of the file. Raises ``ValueError`` and others where the header does not fit it."""
    start, end = data_offsets
    kind = np.dtype(_NAMES[dtype])
    if not 0 <= start <= end <= len(data) or end - start != math.prod(shape) * kind.itemsize:
        raise ValueError(f"an array {dtype}{shape} cannot lie at {start}..{end}")
    return np.frombuffer(data[start:end], kind).reshape(shape).astype(kind.newbyteorder("="))
