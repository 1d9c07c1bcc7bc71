"""The page in a real browser: what it shows, finds and copies, whom it asks (nobody), and who can use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_pages import HOSTILE, hostile, pages, sample

from agent.render.page.report import to_html

from . import browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Opened = Iterator[Page]

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def driven() -> Iterator[browser.Driven]:
    if obstacle := browser.obstacle():
        pytest.skip(f"no browser: {obstacle}")
    with browser.running() as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each kind of page of the sample farm."""
    folder = tmp_path_factory.mktemp("pages")
    return {name: _written(folder / f"{name}.html", text) for name, text in pages().items()}


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class Reader:
    """Somebody who looks at a page; what the browser complains of, and what it asks for, is kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.asked.append(request.url))

    def choose(self, **wanted: str) -> None:
        for name, value in wanted.items():
            field = self.page.locator(f"form.tools [name={name}]")
            field.fill(value) if name == "text" else field.select_option(value)
        self.page.wait_for_timeout(250)

    @property
    def spns(self) -> set[str]:
        return {row.split()[0] for row in self.shown("tr[data-r] > td:first-child")}

    def shown(self, selector: str) -> list[str]:
        return [each.text_content() or "" for each in self.page.locator(f"{selector}:visible").all()]

    @property
    def count(self) -> str:
        return self.page.locator("form.tools output").inner_text()


@pytest.fixture
def reader(driven: browser.Driven) -> Iterator[Reader]:
    context = driven.browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield Reader(context.new_page())
    context.close()


@pytest.fixture
def inspected(reader: Reader, files: dict[str, Path]) -> Reader:
    reader.page.goto(files["inspect"].as_uri())
    return reader


# -- nothing leaves it ---------------------------------------------------------------------------------------------


def test_it_says_nothing_to_the_console_and_asks_nobody(
    driven: browser.Driven, reader: Reader, files: dict[str, Path]
) -> None:
    for path in files.values():
        reader.page.goto(path.as_uri())
        reader.page.mouse.wheel(0, 5000)
        reader.page.wait_for_timeout(100)
    assert reader.said == []
    assert reader.asked == [path.as_uri() for path in files.values()]
    assert driven.sent() == []


def test_the_policy_stops_what_somebody_would_add(driven: browser.Driven, inspected: Reader) -> None:
    inspected.page.evaluate(
        """() => {
            document.body.append(Object.assign(new Image(), {src: "http://198.51.100.1/x.png"}));
            document.body.append(Object.assign(document.createElement("script"), {textContent: "window.hit = 1"}));
            document.body.insertAdjacentHTML("beforeend", "<p id=styled style='color: rgb(1, 2, 3)'>x</p>");
            return fetch("http://198.51.100.1/").catch(() => null);
        }"""
    )
    assert inspected.page.evaluate("window.hit") is None
    assert inspected.page.evaluate("getComputedStyle(styled).color") != "rgb(1, 2, 3)"
    assert len(inspected.said) >= 4
    assert driven.sent() == []


def test_what_a_page_would_send_is_heard(driven: browser.Driven, reader: Reader) -> None:
    """Else the tests above would see nothing, whatever happened."""
    reader.page.set_content("<img src='http://198.51.100.2/x.png'>")
    reader.page.wait_for_load_state()
    assert any(b"198.51.100.2" in each for each in driven.sent())
    driven.heard.clear()


@pytest.mark.parametrize("width", [400, 1280])
def test_hostile_names_stay_text(reader: Reader, tmp_path: Path, width: int) -> None:
    path = _written(tmp_path / "page.html", "".join(to_html(hostile())))
    reader.page.set_viewport_size({"width": width, "height": 900})
    reader.page.goto(path.as_uri())
    assert reader.page.evaluate("window.hit") is None
    assert reader.said == []
    assert reader.page.locator("script").count() == 2
    assert reader.page.locator("img, iframe, object, [onclick], [onerror], [style]").count() == 0
    text = reader.page.locator("main").text_content() or ""
    assert all(name in text for name in HOSTILE.values())
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width


# -- what people do with it ----------------------------------------------------------------------------------------


def test_search_and_filters_leave_what_was_asked_for(inspected: Reader) -> None:
    inspected.choose(outcome="duplicate")
    assert inspected.count.startswith("1 of ")
    assert inspected.spns == {"HTTP/wiki.test.com"}
    assert len(inspected.shown("article.finding")) == 1
    assert len(inspected.shown(".cause")) == 1
    assert len(inspected.shown("figure.tie")) == 1
    inspected.choose(outcome="", server="IIS02")
    assert inspected.shown("details.server > summary h3") == ["IIS02"]
    inspected.choose(server="", account="TEST\\crmsvc")
    assert {row.split()[0] for row in inspected.shown("tr[data-r] > td:first-child")} == {
        "HTTP/crm.test.com",
        "HTTP/crm",
    }
    inspected.choose(account="", severity="error", text="portal")
    assert inspected.spns == {"HTTP/portal.test.com"}
    inspected.page.get_by_role("button", name="Clear").click()
    inspected.page.wait_for_timeout(250)
    assert inspected.count == ""
    assert len(inspected.shown("details.server")) == 7
    assert inspected.said == []


def test_steps_and_changes_are_searched_too(reader: Reader, files: dict[str, Path]) -> None:
    reader.page.goto(files["plan"].as_uri())
    reader.choose(text="crm")
    assert reader.count == "2 of 10 steps"
    assert len(reader.shown("article.step")) == 2
    reader.page.goto(files["diff"].as_uri())
    reader.choose(severity="warning")
    assert reader.count.startswith("5 of ")
    assert len(reader.shown("tr[data-c]")) == 5
    assert reader.said == []


def test_servers_and_columns_are_sorted(inspected: Reader) -> None:
    inspected.choose(sort="worst")
    assert inspected.shown("details.server > summary h3")[-1] in {"IIS01", "IIS03", "IIS06"}
    inspected.choose(sort="name")
    assert inspected.shown("details.server > summary h3")[0] == "IIS01"
    head = inspected.page.get_by_role("button", name="Account", exact=True)
    head.click()
    rows = inspected.shown("table.accounts tbody tr td:first-child")
    head.click()
    assert inspected.shown("table.accounts tbody tr td:first-child") == rows[::-1]
    assert rows == sorted(rows, key=str.lower)


def test_a_link_opens_what_it_leads_to(reader: Reader, files: dict[str, Path]) -> None:
    reader.page.goto(files["inspect"].as_uri())
    address = reader.page.locator("article.finding").nth(5).get_attribute("id")
    reader.page.locator("details.server").first.evaluate("each => each.open = false")
    reader.page.goto(f"{files['inspect'].as_uri()}#server-IIS01")
    assert reader.page.locator("#server-IIS01 table").is_visible()
    reader.page.goto(f"{files['inspect'].as_uri()}#{address}")
    assert reader.page.locator(f"#{address}").bounding_box() is not None
    top = reader.page.locator(f"#{address}").evaluate("each => each.getBoundingClientRect().top")
    assert 0 <= top < 900


def test_a_command_is_copied_as_it_stands(inspected: Reader) -> None:
    line = inspected.page.locator(".command").first
    line.get_by_role("button").click()
    assert inspected.page.evaluate("navigator.clipboard.readText()") == line.locator("code").inner_text()
    assert line.get_by_role("button").inner_text() == "Copied"


def test_it_is_used_with_the_keyboard_alone(inspected: Reader) -> None:
    inspected.page.keyboard.press("Tab")
    assert inspected.page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(40):
        inspected.page.keyboard.press("Tab")
        seen.add(inspected.page.evaluate("document.activeElement.tagName"))
    assert {"A", "INPUT", "SELECT", "BUTTON"} <= seen


def test_it_says_everything_without_its_script(driven: browser.Driven, files: dict[str, Path]) -> None:
    context = driven.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(files["inspect"].as_uri())
    assert page.locator("form.tools").is_hidden()
    assert page.locator("button.copy").first.is_hidden()
    assert page.locator("details.server table").count() == 7
    assert page.locator("svg.wide").first.is_visible()
    context.close()


# -- who can use it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
def test_axe_finds_nothing_serious(
    driven: browser.Driven, files: dict[str, Path], scheme: str, rules: tuple[str, ...]
) -> None:
    """What is dark differs in its colours only. These pages have all there is, and less of it than others."""
    for name in ("a small farm", "explain", "plan", "diff"):
        context = driven.browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(files[name].as_uri())
        assert (name, browser.serious(page, *rules)) == (name, [])
        context.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(reader: Reader, files: dict[str, Path], width: int) -> None:
    reader.page.set_viewport_size({"width": width, "height": 900})
    for name, path in files.items():
        reader.page.goto(path.as_uri())
        assert (name, reader.page.evaluate("document.documentElement.scrollWidth")) == (name, width)
        drawn = reader.page.locator("main svg.knot:visible").all()
        shape = "knot wide" if width == 1280 else "knot narrow"
        assert (name, {each.get_attribute("class") for each in drawn[:3]}) == (name, {shape} if drawn else set())


def test_paper_shows_servers_that_are_open_and_no_tools(inspected: Reader) -> None:
    inspected.page.emulate_media(media="print")
    assert inspected.page.locator("form.tools").is_hidden()
    assert inspected.page.locator("#server-IIS05 table").is_visible()
    assert inspected.page.pdf().startswith(b"%PDF")


def test_what_was_cut_is_said(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.render.page.part.MOST", 40)
    path = _written(tmp_path / "page.html", "".join(to_html(sample())))
    reader.page.goto(path.as_uri())
    assert "too large for one page" in reader.page.locator("#servers").inner_text()
    assert reader.page.locator(".tile").count() == 7
    assert 1 <= reader.page.locator("details.server").count() < 7
    left_out = reader.page.locator(".tile.plain").count()
    reader.choose(outcome="modified")  # who knows whether those have one?
    assert len(reader.shown(".tile.plain")) == left_out > 0
    assert reader.said == []


def test_tiles_that_were_hidden_stand_where_they_stood(reader: Reader, tmp_path: Path) -> None:
    path = _written(tmp_path / "page.html", "".join(to_html(sample())))
    reader.page.goto(path.as_uri())
    before = reader.page.locator("#farm").inner_text()
    reader.choose(text="iis03")
    assert reader.shown(".tile b") == ["IIS03"]
    reader.choose(text="")
    assert reader.page.locator("#farm").inner_text() == before
