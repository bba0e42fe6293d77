"""The list of operations is what the table says, and PyTorch's names are PyTorch's."""

from pathlib import Path

import pytest

import engine
from engine.listing import markdown, public
from engine.ops import COMPOSED, OPS

PAGE = Path(__file__).parent.parent / "docs" / "ops.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == markdown(), "run `python -m engine.listing > docs/ops.md`"


def test_every_public_operation_is_listed_once():
    lines = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(lines) == len(public())
    assert len(public()) > 400
    assert {"put", "getitem", "view_write"}.isdisjoint(public())


def test_what_is_listed_can_be_called():
    for name in public():
        if not name.startswith("numpy."):
            assert callable(found(engine, name)), name


@pytest.mark.parametrize(
    "line",
    [
        "| `mul` | | `np.multiply` | `mul` | `a`, `b` | `a`, `b` |",
        "| `neg` | | `np.negative` | `neg` | `x` | |",
        "| `argwhere` | | `np.argwhere` | `argwhere` | | |",
        "| `hstack` | | `np.hstack` | `hstack` | made of others | |",
        "| `cat` | `concat` | `np.concatenate` | `cat` | all | |",
        "| `interp` | | `np.interp` | | made of others | |",
    ],
)
def test_a_line_says_what_a_row_says(line):
    assert line in markdown().splitlines()


def found(root, name):
    """What stands at a dotted name under `root`; nn.x means nn.functional.x."""
    for part in name.replace("nn.", "nn.functional.").split("."):
        root = getattr(root, part, None)
    return root


def test_pytorchs_names_exist_in_pytorch():
    torch = pytest.importorskip("torch")
    for name, row in public().items():
        theirs = name if row is None else row.torch
        if theirs:
            roots = (torch, torch.nn.functional, torch.Tensor)
            assert any(found(root, theirs) for root in roots), (name, theirs)


def test_numpys_names_are_numpys():
    numpys = {name for row in [*OPS.values(), *COMPOSED.values()] for name in row.numpy_names}
    assert {"multiply", "linalg.det", "fft.rfft", "concatenate"} <= numpys
