"""Files of arrays: what is written comes back, and what is damaged is refused."""

import json
import pickle

import numpy as np
import pytest

import engine
from engine import nn
from engine.errors import ArgumentError, DTypeError, OperandError

KINDS = ["f8", "f4", "f2", "c8", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
ARRAYS = {
    **{f"of {kind}": (np.arange(6).reshape(2, 3) % 2).astype(kind) for kind in KINDS},
    "a number": np.array(3.5),
    "nothing": np.zeros((0, 3), "f4"),
    "big-endian": np.arange(4, dtype=">f4"),
    "strided": np.arange(12.0)[::3],
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_what_is_saved_comes_back(tmp_path, suffix):
    path = tmp_path / f"state.{suffix}"
    nn.save(ARRAYS, path)
    loaded = nn.load(str(path))
    assert list(loaded) == list(ARRAYS)
    for name, array in ARRAYS.items():
        got = loaded[name].numpy()
        assert got.dtype == array.dtype.newbyteorder("=") or got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
        assert got.flags.writeable
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_safetensors_library_reads_ours_and_we_read_its_files(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    nn.save(ARRAYS, tmp_path / "ours.safetensors")
    theirs = library.load_file(tmp_path / "ours.safetensors")
    plain = {n: np.array(a, a.dtype.newbyteorder("="), order="C") for n, a in ARRAYS.items()}
    for name, array in plain.items():
        np.testing.assert_array_equal(theirs[name], array.reshape(ARRAYS[name].shape))
    library.save_file(plain, tmp_path / "theirs.safetensors", metadata={"format": "np"})
    ours = nn.load(tmp_path / "theirs.safetensors")
    assert sorted(ours) == sorted(plain)
    for name, array in plain.items():
        np.testing.assert_array_equal(ours[name].numpy(), array)


def test_pytorch_loads_a_model_of_ours(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    nn.save(ours.state_dict(), tmp_path / "m.safetensors")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    theirs.load_state_dict(library.load_file(tmp_path / "m.safetensors"))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("f4")
    np.testing.assert_allclose(
        ours(engine.from_numpy(x)).detach().numpy(),
        theirs(torch.from_numpy(x)).detach().numpy(),
        rtol=1e-5,
        atol=1e-6,
    )


def test_other_formats_and_what_is_no_array_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="nothing is pickled"):
        nn.save({}, tmp_path / "model.pt")
    with pytest.raises(ArgumentError, match="nothing is pickled"):
        nn.load(tmp_path / "model.pkl")
    with pytest.raises(DTypeError, match="no numeric array"):
        nn.save({"a": np.array([object()])}, tmp_path / "m.npz")
    with pytest.raises(DTypeError, match="safetensors has no name for complex128"):
        nn.save({"a": np.ones(1, complex)}, tmp_path / "m.safetensors")
    with pytest.raises(OperandError, match="names are strings"):
        nn.save({1: np.ones(1)}, tmp_path / "m.npz")  # type: ignore[dict-item]
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "absent.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.safetensors"
    nn.save({"a": np.ones(2)}, path)
    with pytest.raises(DTypeError):
        nn.save({"a": np.zeros(2), "b": np.ones(1, complex)}, path)
    np.testing.assert_array_equal(nn.load(path)["a"].numpy(), [1, 1])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def header(**entry):
    text = json.dumps({"a": entry}).encode()
    return len(text).to_bytes(8, "little") + text


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"12345678",
        (2**63).to_bytes(8, "little") + b"{}",
        header(**GOOD),
        header(**GOOD) + b"1234567",
        header(**{**GOOD, "shape": [3]}) + b"12345678",
        header(**{**GOOD, "shape": [-2]}) + b"12345678",
        header(**{**GOOD, "dtype": "F7"}) + b"12345678",
        header(**{**GOOD, "data_offsets": [8, 0]}) + b"12345678",
        header(**{**GOOD, "data_offsets": [-8, 0]}) + b"12345678",
        header(**{**GOOD, "more": 1}) + b"12345678",
        header(dtype="F32") + b"12345678",
        (2).to_bytes(8, "little") + b"[]",
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match="no safetensors file"):
        nn.load(path)


def test_code_in_a_file_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("code was run",)

    (tmp_path / "trap.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ArgumentError, match=r"no \.npz"):
        nn.load(tmp_path / "trap.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(ArgumentError, match=r"no \.npz"):
        nn.load(tmp_path / "objects.npz")
