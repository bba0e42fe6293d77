"""Messages of any length and with any character: what is shown of them, and that nothing breaks."""

import io
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from stress import cli
from stress.core.result import Row
from stress.core.scenario import Params
from stress.core.source import SHIPPED
from stress.environment import probe
from stress.report import html, terminal
from stress.report.document import ran
from stress.report.junit import junit
from stress.report.stream import Stream
from stress.report.terminal import Table, complain, progress, say, show
from stress.report.text import LONGEST
from stress.report.verdicts import detail
from tests.stress.test_html import ENVIRONMENT, FAILED, Page

ACTIVE = "\x1b[2J\x00\x07\x9b1m\r \udcff \ud800 \ufffe"
WRITTEN_OUT = "\\x1b[2J\\x00\\x07\\x9b1m\\r \\udcff \\ud800 \\ufffe"
HUGE = "begin " + 3_000_000 * "x" + " end"

EVERYWHERE = replace(
    FAILED, name=f"name {ACTIVE}", reason=f"reason {ACTIVE}", unit=f"unit {ACTIVE}",
    notes=(f"note {ACTIVE}",), stacks=f"stack {ACTIVE}", tokens=(f"a:{ACTIVE}",),
    rows=(Row(f"key {ACTIVE}", 1, "forbidden", f"why {ACTIVE}"),),
    timelines=(((f"thread {ACTIVE}", f"point {ACTIVE}", f"subject {ACTIVE}"),),),
)  # fmt: skip
LONG = replace(
    FAILED, reason=HUGE, notes=(HUGE,), stacks=f"{HUGE}\nlast",
    rows=(Row(HUGE, 1, "forbidden", HUGE),),
)  # fmt: skip


class Terminal(io.TextIOWrapper):
    """A terminal of some encoding."""

    def __init__(self, encoding):
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)

    def isatty(self):
        return True

    @property
    def text(self):
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


@pytest.fixture
def page():
    pytest.importorskip("jinja2")
    return lambda *results, **given: html.render(results, ENVIRONMENT, **given)


# Characters that act


@pytest.mark.parametrize("rich", [True, False])
def test_nothing_that_is_printed_moves_the_terminal(monkeypatch, rich):
    if rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    screen = Terminal("utf-8")
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    detail(EVERYWHERE, SHIPPED, interesting=True)
    for text in ("key", "reason", "note"):
        assert f"{text} {WRITTEN_OUT}" in " ".join(screen.text.split())
    assert "\x1b[2J" not in screen.text  # rich has sequences of its own
    assert not {"\x00", "\x07", "\x9b", "\r"} & set(screen.text)


def test_a_stream_of_few_characters_gets_the_others_written_out(monkeypatch):
    out, err = Terminal("ascii"), Terminal("ascii")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    say("π → \udcff")
    complain("π → \udcff")
    assert out.text == "\\u03c0 \\u2192 \\udcff\n"
    assert err.text == "stress: error: \\u03c0 \\u2192 \\udcff\n"


def test_a_cell_of_several_lines_stays_in_its_row(capsys):
    show(Table("", ("key", "n"), [("one\ntwo", "1"), ("a", "2")], frozenset({"key"})))
    assert capsys.readouterr().out == "\nkey       n\none\\ntwo  1\na         2\n"


def test_the_page_has_text_alone(page):
    text = page(EVERYWHERE, scenarios="dir\udcff/mine.py")
    assert not {"\x1b", "\x00", "\x07", "\x9b", "\r"} & set(text)
    said = " ".join(Page(text).texts)
    for place in ("name", "reason", "unit", "note", "stack", "key", "why", "thread", "subject"):
        assert f"{place} {WRITTEN_OUT}" in said
    assert "dir\\udcff/mine.py" in text.encode("utf-8").decode("utf-8")


def test_junit_is_xml_whatever_was_said(tmp_path):
    path = tmp_path / "junit.xml"
    junit(path, [replace(EVERYWHERE, params=Params("locked", dtype=ACTIVE))])
    (case,) = ElementTree.parse(path).getroot().iter("testcase")
    assert case.get("name", "").startswith(f"name {WRITTEN_OUT}[locked")
    assert f"forbidden: key {WRITTEN_OUT}" in {one.get("name") for one in case.iter("property")}
    (failure,) = case.iter("failure")
    assert failure.get("message") == f"FAIL: reason {WRITTEN_OUT}"
    assert failure.text == f"note {WRITTEN_OUT}\nstack {WRITTEN_OUT}"


def test_all_of_it_is_in_the_stream_and_can_be_shown_again(tmp_path, capsys):
    path, again = tmp_path / "results.jsonl", tmp_path / "again.xml"
    with path.open("w", encoding="utf-8") as file:
        stream = Stream(file)
        stream.write("begin", schema=2, command="run", seed=0, environment=probe().as_dict())
        stream.write("result", **ran(EVERYWHERE))
        stream.write("end", exit_code=1, seconds=1.0)
    assert cli.main(["report", str(path), "--junit", str(again)]) == 1
    assert WRITTEN_OUT in capsys.readouterr().out
    assert again.exists()


# Length


def test_what_is_too_long_is_shown_with_its_ends_and_a_word_of_the_rest(page, tmp_path, capsys):
    path = tmp_path / "junit.xml"
    junit(path, [LONG])
    detail(LONG, SHIPPED, interesting=True)
    for text in (page(LONG), path.read_text("utf-8"), capsys.readouterr().out):
        assert len(text) < 300_000
        left = len(HUGE) - LONGEST
        assert f"x [... {left:,} characters left out ...] x" in text
        assert "begin x" in text
        assert "x end" in text
        assert "last" in text


# Names with brackets, which rich takes for markup


@pytest.mark.parametrize("name", ["step[float32]", "step[/x]", "[bold]step[/bold]", ":warning:"])
def test_brackets_in_names_are_names(monkeypatch, name):
    pytest.importorskip("rich")
    out, err = Terminal("utf-8"), Terminal("utf-8")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    detail(replace(FAILED, name=name, unit=name), SHIPPED, interesting=True)
    assert f"{name}  mode=locked" in out.text
    assert out.text.count(name) >= 3  # also the head of a column, and the place
    with progress(1) as bar:
        bar.begin(name)
        bar.update(0.5, name)
    assert err.text.count(name) >= 2


def test_where_streams_are_closed_nothing_is_said_and_nothing_breaks(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert cli.main(["list"]) == 0
    assert cli.main(["list", "-t", "nothing of the kind"]) == 5


def test_a_narrow_terminal_shows_the_last_column_as_well(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", screen := Terminal("utf-8"))
    columns = ("scenario", "mode", "size", "samples", "loss rate", "overlap", "verdict")
    show(Table("", columns, [("fine", "racy", "10,000", "20", "-", "100 %", "INCONCLUSIVE")]))
    assert "INCONCLUSIVE" in screen.text
