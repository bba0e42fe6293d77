"""The HTML page: what stands in it, its pictures, and that only its own script is alive in it."""

import re
import shlex
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stress import cli
from stress.core.result import Loss, Result, Row, Verdict
from stress.core.scenario import MODES, Params
from stress.core.source import SHIPPED
from stress.core.tactics import Tactics
from stress.environment import Blas, Environment
from stress.exits import Exit
from stress.report import html, plot, tables, view
from stress.report.lanes import lanes

TOP = Path(__file__).parents[2]

ENVIRONMENT = Environment(
    python="3.13", free_threaded_build=True, gil_enabled=False, numpy="2.4",
    blas=(Blas("openblas", "0.3", 1),), cores=2, platform="Linux", switch_interval=0.005,
    gil_release_size=None,
)  # fmt: skip
RESULT = Result(
    3, "accumulate.sizes", Params("racy"), "PASS", unit="contributions", samples=100, trials=4,
    seconds=0.5, overlap=0.75, loss=Loss(5, 1000, 0.005, 0.002, 0.01),
    rows=(Row("kept", 99, "acceptable", "all there"), Row("lost", 1, "interesting", "gone")),
    notes=("thread 0 #1",),
)  # fmt: skip
TIMELINE = (
    ("actor-0", "grad.read", "leaf"),
    ("actor-1", "grad.read", "leaf"),
    ("actor-1", "grad.store", "leaf"),
    ("actor-0", "grad.store", "leaf"),
)
FAILED = replace(
    RESULT, name="step.counted", params=Params("locked", explored=True), verdict="FAIL",
    reason="forbidden outcome 'lost'", tokens=("step.counted:ae2q",), timelines=(TIMELINE,),
)  # fmt: skip
HOSTILE = "</script><script>window.hurt=1</script>\"' onload=window.hurt=1 <img src=x onerror=hurt>"


def hostile():
    """A result in which every text tries to be more than text."""
    return replace(
        FAILED, name=HOSTILE, params=Params(HOSTILE, dtype=HOSTILE), verdict=HOSTILE, unit=HOSTILE,
        reason=HOSTILE, rows=(Row(HOSTILE, 1, HOSTILE, HOSTILE),), notes=(HOSTILE,), stacks=HOSTILE,
        tokens=(HOSTILE,), timelines=(((HOSTILE, HOSTILE, HOSTILE),),),
        tactics=Tactics(HOSTILE, HOSTILE),
    )  # fmt: skip


class Page(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def render():
    pytest.importorskip("jinja2")
    return lambda *results, **given: html.render(results, ENVIRONMENT, **given)


# What stands in it


def test_every_verdict_has_a_sign_of_its_own_and_its_word(render):
    signs = {view.symbol(verdict.value) for verdict in Verdict}
    assert len(signs) == len(Verdict)
    page = render(*(replace(RESULT, verdict=verdict.value) for verdict in Verdict))
    for verdict in Verdict:
        assert re.search(rf"{re.escape(view.symbol(verdict.value))}</span> {verdict.value}<", page)


def test_the_page_says_what_ran_on_what_and_how_it_ended(render):
    text = " ".join(Page(render(RESULT, command="check", seed=7, code=Exit.CRASH)).texts)
    for words in ("check", "seed 7", "exit code 8", "openblas 0.3", "free-threaded build",
                  "all there", "thread 0 #1", "0.5 % [0.2, 1]"):  # fmt: skip
        assert words in text


def test_a_run_without_an_end_says_so(render):
    assert "it did not come to its end" in render(RESULT, code=None)


def test_a_page_of_nothing_can_be_drawn(render):
    assert "0 runs of 0 scenarios" in render()


def test_shares_have_intervals_only_where_samples_were_drawn():
    drawn, explored = view.lines(RESULT), view.lines(FAILED)
    assert drawn[1].interval == view.interval(1, 100)
    assert [line.interval for line in explored] == ["", ""]


def test_schedules_with_several_outcomes_have_shares_of_all_outcomes():
    rows = (Row("kept", 30, "acceptable", ""), Row("lost", 10, "forbidden", ""))
    shown = view.lines(replace(FAILED, samples=20, rows=rows))
    assert [line.share for line in shown] == [0.75, 0.25]


def test_one_of_a_million_does_not_read_as_none_nor_all_but_one_as_all():
    rows = (Row("kept", 999_999, "acceptable", ""), Row("lost", 1, "forbidden", ""))
    rare = replace(RESULT, samples=1_000_000, rows=rows)
    words = ["> 99.999 %", "< 0.001 %"]
    assert [line.percent for line in view.lines(rare)] == words
    assert [row[2] for row in tables.outcome_table(rare).rows] == words


def test_the_terminal_shows_the_shares_that_the_page_shows():
    rows = (Row("kept", 30, "acceptable", ""), Row("lost", 10, "forbidden", ""))
    result = replace(FAILED, samples=20, rows=rows)
    shown = [line.percent for line in view.lines(result)]
    assert (
        [row[2] for row in tables.outcome_table(result).rows] == shown == ["75.000 %", "25.000 %"]
    )


def test_a_cell_shows_the_worst_run_and_leads_to_it():
    results = [replace(RESULT, verdict=name) for name in ("PASS", "FAIL", "TIMEOUT", "SKIPPED")]
    row = view.matrix(view.runs(results, SHIPPED), ["racy", "locked"])
    worst = view.Cell("TIMEOUT", "run-3", "1 TIMEOUT, 1 FAIL, 1 PASS, 1 SKIPPED")
    assert row == [("accumulate.sizes", [worst, None])]


def test_skipping_is_not_worse_than_passing():
    results = [replace(RESULT, verdict=name) for name in ("SKIPPED", "PASS")]
    row = view.matrix(view.runs(results, SHIPPED), ["racy"])
    assert row == [("accumulate.sizes", [view.Cell("PASS", "run-2", "1 PASS, 1 SKIPPED")])]


def test_the_worst_come_first():
    results = [replace(RESULT, verdict=name) for name in ("INCONCLUSIVE", "PASS", "FAIL", "CRASH")]
    found = view.wrong(view.runs(results, SHIPPED))
    assert [run.result.verdict for run in found] == ["CRASH", "FAIL", "INCONCLUSIVE"]


def test_links_lead_to_places_that_are_there(render):
    page = Page(render(RESULT, FAILED))
    there = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(there) == len(set(there))
    assert {link["href"][1:] for link in page.all("a")} <= set(there)


# Commands


@pytest.mark.parametrize(
    "result",
    [
        RESULT,
        FAILED,
        replace(RESULT, params=Params("ordered", 4, 501, seed=9)),
        replace(RESULT, tactics=Tactics("free", "starve", 1e-6)),
    ],
)
@pytest.mark.parametrize("scenarios", [SHIPPED, "my scenarios.py"])
def test_the_command_shown_is_understood_and_asks_for_the_same(result, scenarios):
    python, *words = shlex.split(view.again(result, scenarios))
    assert (python, words[:2]) == ("python", ["-m", "stress"])
    args = cli.parser().parse_args(words[2:])
    params = result.params
    assert args.mode == (params.mode,)
    assert (args.seed, args.scenarios) == (params.seed, scenarios)
    if params.explored:
        assert args.scenario == [result.name]
        return
    assert args.test.fullmatch(result.name)
    assert (tuple(args.threads), tuple(args.sizes)) == ((params.threads,), (params.size,))
    given = Tactics(args.sync, args.chaos, *args.switch_interval)
    assert given == result.tactics


def test_a_training_is_trained_again():
    command = view.again(replace(RESULT, number=0, params=Params("serial", 1)), SHIPPED)
    args = cli.parser().parse_args(shlex.split(command)[3:])
    assert (args.command, args.mode, args.threads) == ("train", "serial", 1)


def test_a_token_stays_one_word_whatever_it_holds():
    words = shlex.split(view.replay("a:b; rm -r x", "my file.py"))
    assert words[3:] == ["replay", "a:b; rm -r x", "--trace", "--scenarios", "my file.py"]


# Nothing in it is alive but its own script


def test_what_results_say_is_never_markup(render):
    page = Page(render(hostile(), command=HOSTILE, scenarios=HOSTILE))
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert HOSTILE in page.texts


def test_the_page_needs_nothing_else(render):
    text = render(RESULT, FAILED)
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|WebSocket", text)
    for tag, attrs in page.elements:
        assert "src" not in attrs, tag
        assert attrs.get("href", "#").startswith("#"), tag


def test_the_policy_allows_the_one_script_and_the_one_style_alone(render):
    text = render(RESULT)
    (policy,) = [meta["content"] for meta in Page(text).all("meta") if "http-equiv" in meta]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    for name in ("script", "style"):
        (inside,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.S)
        hashed = b64encode(sha256(inside.encode()).digest()).decode()
        assert allowed.pop(f"{name}-src") == f"'sha256-{hashed}'"
    assert set(allowed) == {"default-src"}


# Pictures


def losing(rate, **params):
    """A result that lost so much, or nothing."""
    loss = Loss(int(1e9 * rate), 10**9, rate, rate / 2, max(2 * rate, 1e-6))
    return replace(RESULT, loss=loss, params=Params(**{"mode": "racy", **params}))


def test_more_loss_stands_higher_and_the_interval_around_it():
    (panel,) = plot.panels([losing(0.001, size=500), losing(0.1, size=501)])
    low, high = panel.marks
    assert low.x < high.x
    assert low.y > high.y  # SVG counts downwards
    for mark in panel.marks:
        assert panel.top <= mark.high < mark.y < mark.low <= panel.bottom
    assert [tick.text for tick in panel.across] == ["500", "501"]


def test_a_tick_stands_where_a_mark_of_its_rate_does():
    (panel,) = plot.panels([losing(0.01), losing(0.1)])
    ticks = {tick.text: tick.at for tick in panel.up}
    assert [mark.y for mark in panel.marks] == [ticks["1 %"], ticks["10 %"]]


def test_where_nothing_was_lost_the_mark_is_the_bound():
    (panel,) = plot.panels([losing(0.0)])
    (mark,) = panel.marks
    assert mark.bound
    assert (mark.y, mark.low) == (mark.high, panel.bottom)
    assert "(< 0.0001 %)" in mark.text


def test_threads_are_an_axis_only_where_they_vary():
    assert [panel.axis for panel in plot.panels([losing(0.1)])] == ["size"]
    both = plot.panels([losing(0.1, threads=2), losing(0.1, threads=4)])
    assert [panel.axis for panel in both] == ["size", "threads"]


def test_marks_of_one_place_stand_side_by_side_in_the_order_of_modes():
    (panel,) = plot.panels([losing(0.1, mode=mode) for mode in reversed(MODES)])
    assert [mark.mode for mark in panel.marks] == list(MODES)
    assert len({mark.x for mark in panel.marks}) == len(MODES)
    assert all(panel.left < mark.x < panel.right for mark in panel.marks)


def test_modes_differ_in_shape():
    assert set(plot.SHAPES) == set(MODES)
    assert len(set(plot.SHAPES.values())) == len(MODES)


def test_a_scenario_that_offers_nothing_to_lose_has_no_panel():
    assert plot.panels([replace(RESULT, loss=None)]) == []


def test_the_key_names_the_modes_that_are_drawn(render):
    page = render(losing(0.1), replace(RESULT, params=Params("functional"), loss=None))
    (key,) = re.findall(r'<ul class="key">(.*?)</ul>', page, re.S)
    assert "racy" in key
    assert "functional" not in key


def test_a_schedule_has_a_lane_for_each_thread_and_a_line_at_each_switch():
    drawn = lanes(TIMELINE)
    assert drawn is not None
    assert drawn.threads == ("actor-0", "actor-1")
    assert [step.lane for step in drawn.steps] == [0, 1, 1, 0]
    assert [step.switched for step in drawn.steps] == [False, True, False, True]
    assert drawn.path.count("M") == drawn.switches == 2
    assert lanes(()) is None


def test_lanes_stand_in_the_order_of_names_below_the_thread_that_began():
    drawn = lanes([(name, "begin", "") for name in ("trial", "actor 10", "actor 2", "actor 0")])
    assert drawn is not None
    assert drawn.threads == ("trial", "actor 0", "actor 2", "actor 10")
    assert [step.lane for step in drawn.steps] == [0, 3, 2, 1]


def test_a_long_schedule_gets_narrow_steps_that_can_still_be_hit():
    short, long = lanes(TIMELINE), lanes(TIMELINE * 500)
    assert short is not None
    assert long is not None
    assert long.step_width < short.step_width
    assert long.step_width >= 5
    assert len(long.ticks) < 300


def test_of_a_schedule_without_an_end_both_ends_are_drawn(render):
    endless = 5_000 * TIMELINE
    drawn = lanes(endless)
    assert drawn is not None
    numbers = [step.number for step in drawn.steps]
    assert numbers == [*range(1_000), *range(19_000, 20_000)]
    assert (drawn.total, drawn.left_out, drawn.switches) == (20_000, 18_000, 10_000)
    assert drawn.steps[1_000].x == drawn.steps[999].x + drawn.step_width
    page = render(replace(FAILED, timelines=(endless,)))
    assert "20,000 steps, 10,000 switches of thread; 18,000 steps in the middle are left" in page
    assert len(page) < 2_000_000


def test_each_finding_has_its_schedule_and_each_step_a_place_of_its_own(render):
    two = replace(FAILED, tokens=("a:aa", "a:bb"), timelines=(TIMELINE, TIMELINE[:3]))
    page = Page(render(two))
    assert sum(attrs.get("class") == "lanes" for attrs in page.all("svg")) == 2
    text = "".join(page.texts)
    assert "Schedule 1 of the 2 above, 4 steps" in text
    assert "Schedule 2 of the 2 above, 3 steps" in text
    places = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(places) == len(set(places))
    links = [attrs["href"][1:] for attrs in page.all("a") if attrs.get("href", "").startswith("#")]
    assert set(links) <= set(places)


# The option


def test_without_jinja2_the_option_says_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(html, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--html", str(tmp_path / "page.html")])
    assert ended.value.code == Exit.USAGE
    assert "hogwild-engine[report]" in capsys.readouterr().err
    with pytest.raises(ImportError, match="Jinja2"):
        html.render([], ENVIRONMENT)


def test_the_harness_runs_without_jinja2():
    script = "import sys; sys.modules['jinja2'] = None; from stress import cli; cli.main(['list'])"
    ended = subprocess.run([sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True,
                           timeout=50, check=True)  # fmt: skip
    assert "accumulate.ones" in ended.stdout


def test_a_run_and_its_file_make_the_same_page(tmp_path, capsys):
    pytest.importorskip("jinja2")
    run, again = tmp_path / "run.html", tmp_path / "again.html"
    words = ["-t", "^accumulate.ones$", "--mode", "functional", "--seconds", "0.05"]
    assert cli.main(["run", *words, "-o", str(tmp_path), "--html", str(run)]) == 0
    assert cli.main(["report", str(tmp_path / "results.jsonl"), "--html", str(again)]) == 0
    assert "accumulate.ones" in run.read_text("utf-8")
    assert again.read_text("utf-8") == run.read_text("utf-8")


def test_an_exploration_shows_its_schedules(tmp_path, capsys):
    pytest.importorskip("jinja2")
    path = tmp_path / "page.html"
    words = ["accumulate.ones", "--mode", "racy", "--jobs", "1", "--budget", "5s"]
    cli.main(["explore", *words, "--html", str(path)])
    page = Page(path.read_text("utf-8"))
    assert any("replay accumulate.ones:" in text for text in page.texts)
    assert any(attrs.get("class") == "lanes" for attrs in page.all("svg"))
