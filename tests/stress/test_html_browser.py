"""The HTML page in a real browser: it opens in silence, filters, copies, and can be read."""

import re
from dataclasses import replace

import pytest

from stress.core.scenario import MODES, Params
from stress.report import html
from tests.stress.browser import CHROMIUM, chromium
from tests.stress.test_html import ENVIRONMENT, FAILED, RESULT, hostile

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
pytest.importorskip("jinja2")

RESULTS = [
    RESULT,
    replace(RESULT, params=Params("locked"), loss=None),
    replace(RESULT, name="pool.order", params=Params("ordered"), notes=("A Rare Note",)),
    replace(RESULT, name="pool.order", params=Params("racy"), verdict="INCONCLUSIVE",
            reason="actors never overlapped"),
    FAILED,
]  # fmt: skip
VISIBLE = "[...document.querySelectorAll('{}')].filter((one) => one.checkVisibility())"
RUNS = VISIBLE.format(".run") + ".map((one) => one.id)"


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(html.render(RESULTS, ENVIRONMENT), encoding="utf-8")
    return path


@pytest.fixture
def shown(browser, page):
    """The page, opened; nothing may have complained when the test is over."""
    browser.problems.clear()
    browser.open(page)
    yield browser
    assert browser.run("document.title").startswith("stress")
    assert browser.problems == []


def click(browser, selector):
    browser.run(f"document.querySelector({selector!r}).click()")


def toggle(browser, value):
    click(browser, f'.toggle[data-value="{value}"]')


def words(browser, selector):
    return browser.run(VISIBLE.format(selector) + ".map((one) => one.textContent.trim())")


def test_it_opens_without_a_complaint_and_asks_for_nothing(shown, page):
    assert shown.run(RUNS) == [f"run-{number}" for number in range(1, 6)]
    assert shown.asked == [page.as_uri()]


def test_a_page_that_is_not_allowed_to_do_something_is_heard(browser, tmp_path, page):
    broken = tmp_path / "broken.html"
    text = page.read_text("utf-8").replace("</main>", "<img src='http://127.0.0.1:9/x.png'></main>")
    broken.write_text(text.replace('"use strict";', '"use strict"; '), encoding="utf-8")
    browser.problems.clear()
    browser.open(broken)
    assert len([said for said in browser.problems if "Content Security Policy" in said]) == 2


def test_where_nothing_was_run_no_filter_is_to_blame(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(html.render([], ENVIRONMENT), encoding="utf-8")
    browser.open(path)
    assert browser.run("document.title") == "stress run: no runs"
    assert words(browser, "#runs .note") == ["Nothing was run."]


def test_verdicts_filter(shown):
    toggle(shown, "FAIL")
    assert shown.run(RUNS) == ["run-5"]
    assert words(shown, ".matrix tbody th") == ["step.counted"]
    assert words(shown, "#shown") == ["1 of 5 runs"]
    toggle(shown, "INCONCLUSIVE")
    assert shown.run(RUNS) == ["run-4", "run-5"]
    toggle(shown, "FAIL")
    toggle(shown, "INCONCLUSIVE")
    assert len(shown.run(RUNS)) == 5


def test_modes_filter_runs_columns_and_marks(shown):
    toggle(shown, "racy")
    assert shown.run(RUNS) == ["run-1", "run-4"]
    assert words(shown, ".matrix thead th") == ["scenario", "racy"]
    assert words(shown, "figure figcaption")[0].startswith("accumulate.sizes")
    toggle(shown, "ordered")
    assert shown.run(RUNS) == ["run-1", "run-3", "run-4"]


def test_text_filters_by_every_word_in_any_case(shown):
    shown.press("/")
    for letter in "POOL rare":
        shown.press(letter, letter)
    assert shown.run(RUNS) == ["run-3"]
    assert shown.run("document.querySelector('.first').checkVisibility()") is False
    shown.press("x", "x")
    assert shown.run(RUNS) == []
    assert shown.run("document.getElementById('nothing').checkVisibility()")
    click(shown, "#all")
    assert len(shown.run(RUNS)) == 5


def test_escape_and_reset_show_all_again(shown):
    for undo in (lambda: shown.press("Escape"), lambda: click(shown, "#reset")):
        shown.run("document.getElementById('text').focus()")
        shown.press("q", "q")
        toggle(shown, "FAIL")
        assert shown.run(RUNS) == []
        undo()
        assert len(shown.run(RUNS)) == 5
        assert shown.run("location.hash") == ""


def test_the_address_keeps_the_filters(shown, page):
    toggle(shown, "PASS")
    toggle(shown, "locked")
    place = shown.run("location.hash")
    shown.open(page, place)
    assert shown.run(RUNS) == ["run-2"]
    pressed = words(shown, '[aria-pressed="true"]')
    assert len(pressed) == 2


def test_a_cell_leads_to_its_run_and_opens_it(shown):
    assert not shown.run("document.getElementById('run-3').open")
    click(shown, ".cell[href='#run-3']")
    shown.run("new Promise((done) => setTimeout(done))")  # the event is another task
    assert shown.run("document.getElementById('run-3').open")
    assert shown.run("document.activeElement.parentElement.id") == "run-3"


def test_what_failed_is_open_at_first_sight(shown):
    opened = shown.run("[...document.querySelectorAll('.run[open]')].map((one) => one.id)")
    assert opened == ["run-5"]  # what is inconclusive is listed, not spread out
    assert len(shown.run("[...document.querySelectorAll('.first li')]")) == 2


def test_a_command_is_copied(shown):
    shown("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    click(shown, "#run-5 .commands .copy")
    shown.run("new Promise((done) => setTimeout(done, 50))")
    assert words(shown, "#run-5 .commands .copy") == ["Copied"]
    copied = shown.run("navigator.clipboard.readText()")
    assert copied == "python -m stress replay step.counted:ae2q --trace"


def test_a_command_is_copied_the_old_way_where_the_new_is_barred(shown):
    shown("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    shown.run("navigator.clipboard.writeText = async () => { throw new Error('no'); }")
    click(shown, "#run-5 .again .copy")
    shown.run("new Promise((done) => setTimeout(done, 50))")
    assert words(shown, "#run-5 .again .copy") == ["Copied"]
    assert "explore step.counted" in shown.run("navigator.clipboard.readText()")


def test_a_command_that_cannot_be_copied_is_selected(shown):
    shown.run("navigator.clipboard.writeText = async () => { throw new Error('no'); }")
    shown.run("document.execCommand = () => false")
    click(shown, "#run-5 .commands .copy")
    shown.run("new Promise((done) => setTimeout(done))")
    assert shown.run("getSelection().toString()").startswith("python -m stress replay")


def luminance(colour):
    """The relative luminance of a CSS colour, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(share * v for share, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("selector", "part"),
    [("#text", "::placeholder"), (".toggle", ""), (".copy", ""), (".command code", "")],
)
def test_words_stand_out_from_their_ground(shown, theme, selector, part):
    shown.theme(theme)
    style = f"getComputedStyle(document.querySelector('{selector}'), '{part}').color"
    ground = f"getComputedStyle(document.querySelector('{selector}')).backgroundColor"
    low, high = sorted(map(luminance, map(shown.run, (style, ground))))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_on_paper_nothing_is_cut_off(browser, tmp_path):
    path = tmp_path / "page.html"
    wide = [replace(RESULT, name="a.scenario", params=Params(mode)) for mode in MODES]
    tokens = (f"step.counted:{200 * 'a'}",)
    path.write_text(html.render([*wide, replace(FAILED, tokens=tokens)], ENVIRONMENT))
    browser("Emulation.setEmulatedMedia", media="print")
    browser("Emulation.setDeviceMetricsOverride", width=640, height=900, deviceScaleFactor=1,
            mobile=False)  # fmt: skip
    try:
        browser.open(path)
        cut = VISIBLE.format(".scroll, .first, .command code, body") + (
            ".filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth)"
            ".map((one) => one.className || one.tagName)"
        )
        assert browser.run(cut) == []
        assert browser.run("getComputedStyle(document.querySelector('.tall')).overflowY") == (
            "visible"
        )
    finally:
        browser("Emulation.setEmulatedMedia", media="")
        browser("Emulation.clearDeviceMetricsOverride")


def test_the_keyboard_is_enough(shown):
    reached = []
    for _ in range(12):
        shown.press("Tab")
        reached.append(shown.run("document.activeElement.dataset.value || document.activeElement.id"
                                 " || document.activeElement.className"))  # fmt: skip
        if reached[-1] == "FAIL":
            break
    assert reached[0] == "skip"
    assert "text" in reached
    assert reached[-1] == "FAIL"
    assert shown.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    shown.press(" ", " ")
    assert shown.run(RUNS) == ["run-5"]


def test_without_scripts_everything_can_be_read(browser, page):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert len(browser.run(RUNS)) == 5
        assert not browser.run("document.getElementById('filters').checkVisibility()")
        assert browser.run(VISIBLE.format(".copy")) == []
    finally:
        browser("Emulation.setScriptExecutionDisabled", value=False)


def test_hostile_results_do_nothing(browser, tmp_path):
    path = tmp_path / "hostile.html"
    path.write_text(html.render([hostile(), RESULT], ENVIRONMENT), encoding="utf-8")
    browser.problems.clear()
    browser.open(path)
    assert browser.run("typeof window.hurt") == "undefined"
    assert browser.problems == []
    assert browser.asked == [path.as_uri()]
    browser.run("document.querySelectorAll('.toggle').forEach((one) => one.click())")
    assert browser.run(RUNS) == ["run-1", "run-2"]


# The ratio of luminances that WCAG 2 defines, of each text to the first background behind it.
FAINTEST = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour.startsWith("rgb(") ? colour : behind(one.parentElement);
  };
  const ratios = [...document.querySelectorAll("body *")]
    .filter((one) => !one.closest("svg, script") && one.checkVisibility())
    .filter((one) => [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((one) => {
      const pair = [getComputedStyle(one).color, behind(one)].map((c) => light(parts(c)));
      const [low, high] = pair.sort((a, b) => a - b);
      return [(high + 0.05) / (low + 0.05), one.className || one.tagName];
    });
  return ratios.sort((a, b) => a[0] - b[0])[0];
})()"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_in_both_themes(shown, theme):
    shown.theme(theme)
    bright = sum(map(int, shown.run(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g)"))) > 384  # fmt: skip
    assert bright is (theme == "light")
    ratio, where = shown.run(FAINTEST)
    assert ratio >= 4.5, where


def test_a_narrow_window_scrolls_only_downwards(shown):
    shown("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1,
          mobile=False)  # fmt: skip
    try:
        wide = shown.run("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
    finally:
        shown("Emulation.clearDeviceMetricsOverride")


def test_a_picture_of_the_page_can_be_taken(shown, tmp_path):
    shown.shoot(tmp_path / "page.png", whole=True)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
