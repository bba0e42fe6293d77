"""docs/threading.md says of every public name which class of safety it has."""

import re
from pathlib import Path

import engine
from engine.autograd import graph
from engine.surface import FUNCTIONS

PAGE = (Path(__file__).parent.parent / "docs/threading.md").read_text(encoding="utf-8")
ROOMS = {
    "autograd",
    "errors",
    "fft",
    "func",
    "hogwild",
    "linalg",
    "nn",
    "optim",
    "scipy",
    "special",
}


def quoted() -> set[str]:
    """The names between backticks in the rows of tables."""
    rows = re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE)
    return {name for row in rows for code in re.findall(r"`([^`]*)`", row) for name in names(code)}


def names(code: str) -> list[str]:
    return re.findall(r"\w+", code)


def test_every_public_name_stands_in_a_table():
    public = {*engine.__all__, *engine.hogwild.__all__, *engine.optim.__all__, *graph.__all__}
    operations = {*FUNCTIONS}
    assert sorted(public - operations - ROOMS - {"sync"} - quoted()) == []
