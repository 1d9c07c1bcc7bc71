"""Boxes in five layers and the lines between them as SVG: layers side by side, or for a narrow page below each other.

It knows nothing of what stands in the boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from agent.model import Outcome
from agent.names import printable
from agent.render.page.elements import TONES, E, of_class
from agent.render.wording import WORDS, WORST_FIRST

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_COLUMNS = ((0, 205), (237, 240), (521, 205), (834, 190), (1056, 205))
"""Left edge and width of each layer of the wide drawing, in its units."""
_WIDE, _NARROW = 1262, 340
_GAPS = (14, 14, 44, 44, 14)
"""What stands between boxes that are below each other; the marks of two lines need room."""
_HEAD, _MARKED, _UNMARKED, _BESIDE = 26, 66, 40, 10
_LINE, _PADDING = 17, 9
_LETTER = 7.3
"""Width of a letter, in the same units: names are set in type of one width."""

_CROSS = "M-4 -4 L4 4 M-4 4 L4 -4"
_QUESTION = "M-3 -2 C-3 -6 3 -6 3 -2 C3 0.5 0 0 0 2.5 M0 5 V5.6"
_MARKS: Mapping[Outcome, str] = {
    "kerberos": "M-4.5 0.5 L-1.2 4 L5 -4",
    "ntlm-fallback": "M-5 0 H5",
    "modified": _CROSS,
    "duplicate": _CROSS,
    "impossible": _CROSS,
    "uncertain": _QUESTION,
    "unchecked": _QUESTION,
}
"""What stands on a line with an outcome: a tick, a bar, a cross, a question mark."""


class Box(Struct, eq=False):
    """Some lines of text in a layer, and where they are drawn."""

    layer: int
    lines: Sequence[str]
    left: float = field(default=0.0)
    top: float = field(default=0.0)
    width: float = field(default=0.0)

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PADDING - 3

    @property
    def center(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2


_Run = Callable[[Box, Box], str]
"""How a line runs from box to box."""


class Drawing:
    """What is drawn: a box for each thing, and lines, some of them with an outcome."""

    def __init__(self, heads: Sequence[str]) -> None:
        self._heads = heads
        self._boxes: dict[object, Box] = {}
        self._lines: dict[tuple[Box, Box], Outcome | None] = {}

    def box(self, layer: int, key: object, lines: Sequence[str]) -> Box:
        """The box of a thing, made where it is not there yet."""
        return self._boxes.setdefault((layer, key), Box(layer, lines))

    def tie(self, start: Box, end: Box, outcome: Outcome | None = None) -> None:
        """A line between two boxes; with an outcome it is marked, of two with the worse."""
        before = self._lines.get((start, end))
        told = [each for each in (before, outcome) if each is not None]
        self._lines[start, end] = min(told, key=WORST_FIRST.index, default=None)

    def pictures(self, title: str, description: str) -> tuple[Element, Element]:
        """The wide and the narrow one; a page shows one of them."""
        height = self._in_columns()
        wide = self._svg("wide", (_WIDE, height), title, description, _across)
        height = self._in_rows()
        return wide, self._svg("narrow", (_NARROW, height), title, description, _down)

    def _layers(self) -> list[list[Box]]:
        return [[box for box in self._boxes.values() if box.layer == at] for at in range(len(_COLUMNS))]

    def _in_columns(self) -> float:
        layers = self._layers()
        heights = [
            sum(box.height for box in boxes) + gap * max(len(boxes) - 1, 0)
            for boxes, gap in zip(layers, _GAPS, strict=True)
        ]
        for boxes, height, gap, (left, width) in zip(layers, heights, _GAPS, _COLUMNS, strict=True):
            top = _HEAD + (max(heights) - height) / 2
            for box in boxes:
                box.left, box.top, box.width = left, top, width
                top += box.height + gap
        return _HEAD + max(heights) + 4

    def _in_rows(self) -> float:
        """At most two boxes beside each other."""
        top = 0.0
        marked = {start.layer for (start, _), outcome in self._lines.items() if outcome is not None}
        for at, boxes in enumerate(self._layers()):
            top += _HEAD - 8
            width = _NARROW if len(boxes) < 2 else (_NARROW - _BESIDE) / 2
            for first in range(0, len(boxes), 2):
                row = boxes[first : first + 2]
                for beside, box in enumerate(row):
                    box.left, box.top, box.width = beside * (width + _BESIDE), top, width
                top += max(box.height for box in row) + _BESIDE
            top += (_MARKED if at in marked else _UNMARKED) - _HEAD - _BESIDE
        return top - _UNMARKED + _HEAD + 4

    # -- as SVG ----------------------------------------------------------------------------------------------------

    def _svg(self, name: str, size: tuple[float, float], title: str, description: str, path: _Run) -> Element:
        return E.svg(
            E.title(title),
            E.desc(description),
            *self._elements(path),
            {"viewBox": f"0 0 {size[0]} {size[1]:.0f}", "role": "img", "class": f"knot {name}"},
        )

    def _elements(self, path: _Run) -> Iterator[Element]:
        for title, boxes in zip(self._heads, self._layers(), strict=True):
            if boxes:
                top = 12 if path is _across else boxes[0].top - 6
                yield E.text(title, of_class("head"), {"x": f"{boxes[0].left + 2:g}", "y": f"{top:g}"})
        for (start, end), outcome in self._lines.items():
            classes = [outcome, TONES[outcome]] if outcome is not None else []
            yield E.path({"d": path(start, end)}, of_class("line", *classes))
        yield from map(_box, self._boxes.values())
        for (start, end), outcome in self._lines.items():
            if outcome is not None:
                yield _mark(start, end, outcome, is_across=path is _across)


def _across(start: Box, end: Box) -> str:
    """From the right side of a box to the left side of another."""
    x1, y1, x2, y2 = start.left + start.width, start.center[1], end.left, end.center[1]
    bend = (x2 - x1) / 2
    return f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"


def _down(start: Box, end: Box) -> str:
    """From the bottom of a box to the top of another."""
    x1, y1, x2, y2 = start.center[0], start.top + start.height, end.center[0], end.top
    bend = (y2 - y1) / 2
    return f"M{x1:.1f} {y1:.1f} C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"


def _box(box: Box) -> Element:
    rect = {"x": box.left, "y": box.top, "width": box.width, "height": box.height, "rx": 7}
    texts = [
        _cut(line, box.width, {"x": f"{box.left + 10:g}", "y": f"{box.top + _PADDING + 11 + at * _LINE:g}"})
        for at, line in enumerate(box.lines)
    ]
    return E.g(E.rect({name: f"{value:g}" for name, value in rect.items()}), *texts, of_class("box", f"c{box.layer}"))


def _cut(text: str, width: float, place: dict[str, str]) -> Element:
    """A name with its middle left out where the box is too narrow; whole in what a pointer shows."""
    room, shown = max(int((width - 18) / _LETTER), 3), printable(text)
    if len(shown) <= room:
        return E.text(shown, place)
    kept = room - 1
    return E.text(f"{shown[: kept - kept // 2]}…{shown[len(shown) - kept // 2 :]}", place, E.title(shown[:300]))


def _mark(start: Box, end: Box, outcome: Outcome, *, is_across: bool) -> Element:
    if is_across:
        x, y = (start.left + start.width + end.left) / 2, (start.center[1] + end.center[1]) / 2
        word = {"y": "-15", "text-anchor": "middle"}
    else:
        x, y = (start.center[0] + end.center[0]) / 2, (start.top + start.height + end.top) / 2
        word = {"x": "15", "y": "4"}
    return E.g(
        *_sign(outcome),
        E.text(WORDS[outcome], word),
        of_class("mark", TONES[outcome]),
        {"transform": f"translate({x:.1f} {y:.1f})"},
    )


def _sign(outcome: Outcome) -> tuple[Element, Element]:
    return E.circle({"r": "10"}), E.path({"d": _MARKS[outcome]})


def legend(outcomes: Iterable[Outcome], meanings: Mapping[Outcome, str]) -> Element:
    """What the marks mean."""
    items = []
    for outcome in outcomes:
        mark = E.g(*_sign(outcome), of_class("mark", TONES[outcome]))
        picture = E.svg(mark, {"viewBox": "-12 -12 24 24", "aria-hidden": "true", "class": "key"})
        items.append(E.li(picture, " ", E.b(WORDS[outcome]), f" {meanings[outcome]}"))
    return E.ul(of_class("legend"), *items)
