"""Every case of the numbered list has a test under its number."""

import re
from pathlib import Path

CASES = range(1, 75)
TESTS = Path(__file__).parent.parent


def numbers(source: str) -> set[int]:
    """The numbers of the cases that have a test in the source of a module."""
    names = re.findall(r"^ *def test_case_((?:\d+_)+)[a-z]", source, re.MULTILINE)
    return {int(number) for name in names for number in name.split("_") if number}


def test_numbers_are_those_of_tests():
    assert numbers("def test_case_08_two(lib):\n    def test_case_66_67_both(self):") == {8, 66, 67}
    assert numbers("# test_case_01_none\ndef helper_case_02_a():\ndef test_case_03():") == set()


def test_every_case_has_a_test():
    found: set[int] = set()
    for path in TESTS.rglob("test_*.py"):
        if path != Path(__file__):
            found |= numbers(path.read_text(encoding="utf-8"))
    assert sorted(found.symmetric_difference(CASES)) == []
