"""The picture: names, the SPN they lead to, the account that holds it, the account that decrypts, what runs there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.model import Outcome
from agent.names import AccountName, printable
from agent.render.page.elements import TONES, E, Tone, of_class
from agent.render.page.ties import End, Knot, Tie
from agent.render.wording import MEANINGS, WORDS, held_by, listed, plural, shortly

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_COLUMNS = (
    ("people type", 0, 205),
    ("a ticket is asked for", 237, 240),
    ("held by", 521, 205),
    ("decrypts", 834, 190),
    ("application, pool, server", 1056, 205),
)
"""Heading, left edge and width of each column, in units of the drawing."""
_WIDTH = 1262
_LINE, _PADDING, _TOP = 17, 9, 26
_GAPS = (14, 14, 36, 36, 14)
"""What stands between the boxes of a column; the marks of two lines need room."""
_LETTER = 7.3
"""Width of a letter, in the same units: names are set in type of one width."""
_SHOWN = 3

_MARKS: dict[Outcome, str] = {
    "kerberos": "M-4.5 0.5 L-1.2 4 L5 -4",
    "ntlm-fallback": "M-5 0 H5",
    "modified": "M-4 -4 L4 4 M-4 4 L4 -4",
    "duplicate": "M-4 -4 L4 4 M-4 4 L4 -4",
    "impossible": "M-4 -4 L4 4 M-4 4 L4 -4",
    "uncertain": "M-3 -2 C-3 -6 3 -6 3 -2 C3 0.5 0 0 0 2.5 M0 5 V5.6",
    "unchecked": "M-3 -2 C-3 -6 3 -6 3 -2 C3 0.5 0 0 0 2.5 M0 5 V5.6",
}
"""What stands on the line between holder and decrypting account: a tick, a bar, a cross, a question mark."""


@dataclass(eq=False)
class _Box:
    """Some lines of text in a column."""

    column: int
    lines: Sequence[str]
    tone: Tone | None = None
    top: float = field(default=0.0)

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PADDING - 3

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    @property
    def left(self) -> int:
        return _COLUMNS[self.column][1]

    @property
    def right(self) -> int:
        return self.left + _COLUMNS[self.column][2]


class _Drawing:
    """One knot, laid out: a box for each thing, one below the other in its column, and the lines between them."""

    def __init__(self, knot: Knot) -> None:
        self._boxes: dict[object, _Box] = {}
        self._lines: dict[tuple[_Box, _Box], Outcome | None] = {}
        accounts = {end.account: self._box(3, end.account, (_told(end.account),)) for end in knot.ends}
        spns = [self._box(1, at, _few([str(spn) for spn in tie.spns])) for at, tie in enumerate(knot.ties)]
        for at, tie in enumerate(knot.ties):
            self._held(tie, spns[at], accounts)
        for end in knot.ends:
            self._end(end, spns, accounts[end.account])
        self.height = self._place()

    def _box(self, column: int, key: object, lines: Sequence[str]) -> _Box:
        return self._boxes.setdefault((column, key), _Box(column, lines))

    def _held(self, tie: Tie, spn: _Box, accounts: dict[AccountName | None, _Box]) -> None:
        """Whom the KDC finds, and whether that is who decrypts."""
        for need in tie.needs:
            for holder in _holders(tie):
                box = self._box(2, holder, (holder,))
                self._lines[spn, box] = None
                if need.account in accounts:
                    is_right = need.outcome == "duplicate" and holder == _told(need.account)
                    self._lines[box, accounts[need.account]] = None if is_right else need.outcome

    def _end(self, end: End, spns: list[_Box], account: _Box) -> None:
        names = tuple(dict.fromkeys(host.host.text for one in end.applications for host in one.hosts))
        if names:
            box = self._box(0, names, _few(names))
            self._lines |= {(box, spns[at]): None for at in end.ties}
        if end.applications:
            self._lines[account, self._box(4, (end.account, end.ties), tuple(_where(end)))] = None

    def _place(self) -> float:
        columns = [[box for box in self._boxes.values() if box.column == at] for at in range(len(_COLUMNS))]
        heights = [
            sum(box.height for box in boxes) + gap * max(len(boxes) - 1, 0)
            for boxes, gap in zip(columns, _GAPS, strict=True)
        ]
        for boxes, height, gap in zip(columns, heights, _GAPS, strict=True):
            top = _TOP + (max(heights) - height) / 2
            for box in boxes:
                box.top = top
                top += box.height + gap
        return _TOP + max(heights) + 4

    def elements(self) -> Iterator[Element]:
        for title, left, _ in _COLUMNS:
            yield E.text(title, of_class("head"), {"x": str(left + 2), "y": "12"})
        for (start, end), outcome in self._lines.items():
            yield _line(start, end, outcome)
        yield from map(_drawn, self._boxes.values())
        for (start, end), outcome in self._lines.items():
            if outcome is not None:
                yield _mark(start, end, outcome)


def drawn(knot: Knot, title: str) -> Element:
    """The picture of one knot; what it shows stands in its description, too."""
    drawing = _Drawing(knot)
    return E.svg(
        E.title(title),
        E.desc(" ".join(told(knot))),
        *drawing.elements(),
        {"viewBox": f"0 0 {_WIDTH} {drawing.height:.0f}", "role": "img", "class": "knot"},
    )


def told(knot: Knot) -> Iterator[str]:
    """The same in sentences."""
    for tie in knot.ties:
        names = shortly([str(spn) for spn in tie.spns], _SHOWN)
        for need in tie.needs:
            on = ", ".join(_holders(tie))
            who = _told(need.account)
            places = plural(len(need.applications), "application")
            yield f"{names}: held by {on}; {who} decrypts for {places}: {WORDS[need.outcome]}."


# -- what stands in a box ------------------------------------------------------------------------------------------


def _holders(tie: Tie) -> tuple[str, ...]:
    """Each account that answers for these SPNs; one word where there is none, or nobody looked."""
    need = tie.needs[0]
    if need.holders:
        return tuple(listed([account]) for account in need.holders)
    return (held_by(need) or "not known",)


def _told(account: AccountName | None) -> str:
    return "nobody that can be named" if account is None else listed([account])


def _where(end: End) -> Iterator[str]:
    first = end.applications[0]
    yield from _few([f"{one.site} {one.path}" for one in end.applications[:1]], len(end.applications) - 1)
    pools = dict.fromkeys(one.pool or "no pool" for one in end.applications)
    yield from _few([first.pool or "no pool"], len(pools) - 1)
    servers = list(dict.fromkeys(one.server for one in end.applications))
    yield shortly(servers, 2)


def _few(names: Sequence[str], more: int = 0) -> tuple[str, ...]:
    rest = len(names) - _SHOWN + more if len(names) > _SHOWN else more
    shown = tuple(names[:_SHOWN])
    return (*shown[:-1], f"{shown[-1]} +{rest}") if rest > 0 else shown


# -- lines and letters ---------------------------------------------------------------------------------------------


def _drawn(box: _Box) -> Element:
    width = box.right - box.left
    rect = {"x": box.left, "y": box.top, "width": width, "height": box.height, "rx": 7}
    texts = [
        _cut(line, width, {"x": str(box.left + 10), "y": f"{box.top + _PADDING + 11 + at * _LINE:.1f}"})
        for at, line in enumerate(box.lines)
    ]
    return E.g(E.rect({name: f"{value:g}" for name, value in rect.items()}), *texts, of_class("box", f"c{box.column}"))


def _cut(text: str, width: int, place: dict[str, str]) -> Element:
    """A name with its middle left out where the box is too narrow; whole in what a pointer shows."""
    room, shown = int((width - 18) / _LETTER), printable(text)
    if len(shown) <= room:
        return E.text(shown, place)
    kept = room - 1
    return E.text(f"{shown[: kept - kept // 2]}…{shown[len(shown) - kept // 2 :]}", place, E.title(shown[:300]))


def _ends_of(start: _Box, end: _Box) -> tuple[float, float, float, float]:
    return start.right, start.middle, end.left, end.middle


def _line(start: _Box, end: _Box, outcome: Outcome | None) -> Element:
    x1, y1, x2, y2 = _ends_of(start, end)
    bend = (x2 - x1) / 2
    path = f"M{x1} {y1:.1f} C{x1 + bend} {y1:.1f} {x2 - bend} {y2:.1f} {x2} {y2:.1f}"
    return E.path({"d": path}, of_class("line", *([outcome, TONES[outcome]] if outcome is not None else [])))


def _mark(start: _Box, end: _Box, outcome: Outcome) -> Element:
    x1, y1, x2, y2 = _ends_of(start, end)
    middle = f"translate({(x1 + x2) / 2:.1f} {(y1 + y2) / 2:.1f})"
    return E.g(
        E.circle({"r": "10"}),
        E.path({"d": _MARKS[outcome]}),
        E.text(WORDS[outcome], {"y": "-15", "text-anchor": "middle"}),
        of_class("mark", TONES[outcome]),
        {"transform": middle},
    )


def legend(outcomes: Iterable[Outcome]) -> Element:
    """What the marks mean."""
    items = []
    for outcome in outcomes:
        mark = E.g(E.circle({"r": "10"}), E.path({"d": _MARKS[outcome]}), of_class("mark", TONES[outcome]))
        picture = E.svg(mark, {"viewBox": "-12 -12 24 24", "aria-hidden": "true", "class": "key"})
        items.append(E.li(picture, " ", E.b(WORDS[outcome]), f" {MEANINGS[outcome]}"))
    return E.ul(of_class("legend"), *items)
