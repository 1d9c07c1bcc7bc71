"""What stands in the text of `setspn -L`, `-Q` and `-X`, in any language: several runs may stand in one file.

Windows translates the sentences, so only the structure is read: who stands at the margin, who is indented, what is a
distinguished name. A line of another form may be the rest of the line above it, which a console has broken, or
somebody's remark: it is told, and nothing is taken from the block of lines that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from msgspec import Struct, field

from agent.errors import MalformedError
from agent.names import printable

LONGEST_LINE = 8192
"""Characters; a distinguished name has at most 4,096."""


# -- what a text says ----------------------------------------------------------------------------------------------


class Holding(NamedTuple):
    """A distinguished name and the SPNs that stand with it."""

    dn: str
    spns: tuple[str, ...]


class Answer(NamedTuple):
    """One block of output: an account and what it holds (-L, -Q), or an SPN and who holds it (-X), and its line."""

    line: int
    dns: tuple[str, ...]
    spns: tuple[str, ...]
    is_shared: bool


class Absence(NamedTuple):
    """A question that was echoed before the answer of `setspn -Q`, which named no account.

    `root` is the distinguished name of the domain that was asked, or of the root of the forest (`-F`); `line` is that
    of the question.
    """

    spn: str
    root: str
    in_forest: bool
    line: int


class Remark(NamedTuple):
    """Something that is not as setspn prints it, and the line where it stands."""

    line: int
    text: str


class SetspnText(NamedTuple):
    """What a text says: block by block who holds what, what nobody holds, and what of it was not understood."""

    answers: tuple[Answer, ...]
    absences: tuple[Absence, ...]
    remarks: tuple[Remark, ...]

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """Each account that is named, once, with all that stands with it."""
        return holdings((dn, answer.spns) for answer in self.answers for dn in answer.dns)


def holdings(said: Iterable[tuple[str, Sequence[str]]]) -> tuple[Holding, ...]:
    """Each distinguished name once, with every SPN that is said of it."""
    found: dict[str, dict[str, None]] = {}
    for dn, spns in said:
        found.setdefault(dn, {}).update(dict.fromkeys(spns))
    return tuple(Holding(dn, tuple(spns)) for dn, spns in found.items())


def said_in(text: str, file: str) -> SetspnText:
    """What one or several runs say (reference 7.2). Raises MalformedError for another text."""
    reading = _Reading()
    whole, last = _cut_off(text)
    for block in _blocks(whole):
        reading.take(block)
    reading.end()
    if last is not None:
        reading.remarks.append(last)
    if not _NAMES.search(text):
        raise MalformedError(file, 1, "no distinguished name stands in it: neither LDIF nor the output of setspn")
    return reading.said()


def said_among_others(text: str) -> SetspnText:
    """The same of a text in which other things stand too: only blocks that begin as setspn's do are told of."""
    reading = _Reading()
    for block in map(_without_lead, _blocks(text)):
        if not block or _is_ours(block):
            reading.take(block)
    reading.end()
    return reading.said()


def _without_lead(block: list[_Line]) -> list[_Line]:
    """A block without what stands above the first line that setspn may have printed."""
    begins = (at for at, (_, line) in enumerate(block) if not line[0].isspace() and _form(line) is not None)
    return block[next(begins, 0) :]


def _is_ours(block: Sequence[_Line]) -> bool:
    """Whether a line of it is one that nothing else prints, or all of them may stand in setspn's output."""
    forms = {form[0] if form else None for _, line in block if not line[0].isspace() for form in [_form(line)]}
    has_names = any(line[0].isspace() and _DN.fullmatch(line.strip()) for _, line in block if len(line) <= LONGEST_LINE)
    if forms & {"holder", "listed"} or ("shared" in forms and has_names):
        return True
    return (forms == {"sentence"} or "root" in forms) and not isinstance(_items(block), Remark)


def _cut_off(text: str) -> tuple[str, Remark | None]:
    """The text without half a distinguished name at its end, and that it was cut: setspn ends every line.

    A prompt, and a sentence that is whole, may stand there without an end.
    """
    above, _, last = text.rpartition("\n")
    if not last.strip():
        last = above.rpartition("\n")[2] if last else ""
    form = _form(last.rstrip())
    if not last.strip() or _PROMPT.match(last) or (form is not None and form[0] in {"sentence", "aside"}):
        return text, None
    remark = Remark(text.count("\n") + 1, f"the text ends in the middle of a line: it was cut: {_shown(last)}")
    return above if _NAMES.search(last) else text, remark


# -- one line ------------------------------------------------------------------------------------------------------

Kind = Literal["holder", "listed", "shared", "asked", "root", "sentence", "aside"]
"""`holder`: a bare DN, above its SPNs (-Q). `listed`: a sentence about a DN, above its SPNs (-L). `shared`: one about
an SPN, above the DNs that hold it (-X). `asked`: an SPN echoed as a line of its own. `root`: the domain asked.
`sentence`: the end of a search. `aside`: a heading, or how far a search is."""

_SPN = r"[^\s/]+/\S+"
_COLON = r"[:\uff1a]\Z"

_NAMES = re.compile(r"\b(?:CN|DC)=", re.IGNORECASE)
_DN = re.compile(r"CN=.+,DC=[\w-]+", re.IGNORECASE)
_DN_START = re.compile(r"(?<![\w=,])CN=", re.IGNORECASE)
_SHARED = re.compile(rf"({_SPN})\s.*{_COLON}")
_ASKED = re.compile(rf"({_SPN})\Z")
_ROOT = re.compile(r"[^=]+?(?<![\w=,])(DC=[\w-]+(?:,DC=[\w-]+)*)(?![\w,-])[^=]*\Z", re.IGNORECASE)
_SENTENCE = re.compile(r"(?=\S*[\s\u0080-\uffff])([^=/\\]*[.!\u2026\u3002\uff01])\Z")
_HEADING = re.compile(rf"(?=\S*[\s\u0080-\uffff])([^=/\\]*){_COLON}")
_PROGRESS = re.compile(r"([^=/\\\d]+\d{1,9}(?!\d)[^=/\\\d]*)\Z")
_FORMS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("shared", _SHARED),
    ("asked", _ASKED),
    ("root", _ROOT),
    ("sentence", _SENTENCE),
    ("aside", _HEADING),
    ("aside", _PROGRESS),
)
_ERROR = re.compile(r"\b0x[0-9a-f]+", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_FOUND = re.compile(r"found (\d+) group", re.IGNORECASE)
_FOREST = re.compile(
    r"forest|gesamtstruktur|for\u00eat|bosque|foresta|floresta|\u043b\u0435\u0441|\u30d5\u30a9\u30ec\u30b9\u30c8"
    r"|\u6797|\ud3ec\ub9ac\uc2a4\ud2b8",
    re.IGNORECASE,
)
"""How `-F` is known: by what the line calls the root. In a language that is not here it counts as a domain."""

_PROMPT = re.compile(
    r"(?:\[[^\]]*\]: )?(?:PS )?(?:[A-Za-z]:\\|\\\\)[^>]*>|(?:PS ?)?>+ ?(?:setspn\b.*)?\Z", re.IGNORECASE
)
_BANNER = re.compile(r"Microsoft Windows \[|(?:copyright )?\(c\) .*Microsoft|Windows PowerShell\Z", re.IGNORECASE)


def _form(line: str) -> tuple[Kind, str] | None:
    """What stands at the margin, and the name in it; None for what setspn does not print there."""
    if len(line) > LONGEST_LINE:
        return None
    start = _DN_START.search(line)
    dn = _DN.match(line, start.start()) if start else None
    if dn is not None and dn.group() == line:
        return "holder", line
    if dn is not None and line.endswith((":", "\uff1a")) and line[dn.end()] not in ",=-":
        return "listed", dn.group()
    matches = ((kind, pattern.match(line)) for kind, pattern in _FORMS)
    return next(((kind, found[1]) for kind, found in matches if found), None)


# -- blocks of lines -----------------------------------------------------------------------------------------------

_Line = tuple[int, str]


def _lines(text: str) -> Iterator[_Line]:
    """`setspn -X` rewrites its "Processing entry" line with a bare CR, and some redirections double the CR."""
    for number, line in enumerate(text.split("\n"), 1):
        yield from ((number, part.rstrip()) for part in line.rstrip("\r").split("\r"))


def _blocks(text: str) -> Iterator[list[_Line]]:
    """The lines between empty lines, prompts and what a shell says when it starts; a prompt is an empty block.

    What `setspn -L` begins with, begins a block too: words stand before the DN, and no rest of a line ends like it.
    """
    block: list[_Line] = []
    for number, line in _lines(text):
        is_prompt = _PROMPT.match(line) is not None
        is_line = bool(line) and not is_prompt and not _BANNER.match(line)
        if block and (not is_line or _begins_a_list(line)):
            yield block
            block = []
        if is_line:
            block.append((number, line))
        elif is_prompt:
            yield []
    if block:
        yield block


def _begins_a_list(line: str) -> bool:
    form = _form(line) if line.endswith((":", "\uff1a")) else None
    return form is not None and form[0] == "listed" and not line.startswith(form[1])


class _Item(Struct, frozen=True):
    """A line at the margin with what is indented below it."""

    line: int
    kind: Kind
    text: str
    value: str
    below: list[str] = field(default_factory=list)


def _items(block: Sequence[_Line]) -> list[_Item] | Remark:
    """A block taken apart, or what of it is not as setspn prints it."""
    items: list[_Item] = []
    for number, line in block:
        if line[0].isspace():
            if not items or not _belongs(line.strip(), items[-1].kind):
                return _strange(number, line)
            items[-1].below.append(line.strip())
            continue
        form = _form(line)
        if _ERROR.search(line) and (form is None or form[0] != "holder"):
            return Remark(number, f"setspn reports an error: {_shown(line)}")
        if form is None:
            return _strange(number, line)
        items.append(_Item(number, form[0], line, form[1]))
    broken = next((one for one, after in zip_longest(items, items[1:]) if not _is_whole(one, after)), None)
    return items if broken is None else _strange(broken.line, broken.text)


def _belongs(line: str, kind: Kind) -> bool:
    """Whether an indented line may stand below one of this kind."""
    is_dn = len(line) <= LONGEST_LINE and _DN.fullmatch(line) is not None
    if kind in {"holder", "listed"}:
        return _NAMES.search(line) is None and not any(map(str.isspace, line))
    return kind == "shared" and is_dn


def _is_whole(item: _Item, after: _Item | None) -> bool:
    """Whether there stands below it what must: SPNs, two accounts, the domain that was asked."""
    if item.kind == "asked":
        return after is not None and after.kind == "root"
    return len(item.below) >= {"holder": 1, "shared": 2}.get(item.kind, 0)


def _strange(number: int, line: str) -> Remark:
    return Remark(number, f"setspn -L, -Q and -X print no such line; the lines around it do not count: {_shown(line)}")


def _shown(line: str) -> str:
    return printable(line.strip()[:80])


# -- one text ------------------------------------------------------------------------------------------------------


class _Reading(Struct):
    """Where the reading stands: `begun` is a search (-Q, -X) whose last sentence has not been read."""

    answers: list[Answer] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    begun: _Item | None = None
    question: _Item | None = None
    roots: list[_Item] = field(default_factory=list)
    groups: int = 0

    def said(self) -> SetspnText:
        return SetspnText(tuple(self.answers), tuple(self.absences), tuple(sorted(self.remarks)))

    def take(self, block: Sequence[_Line]) -> None:
        """Take one block, or the prompt before a new command."""
        items = _items(block)
        if isinstance(items, Remark):
            self.remarks.append(items)
            self._close()
        elif items:
            for item in items:
                self._item(item)
        else:
            self.end()

    def end(self) -> None:
        """No more of this command follows."""
        if self.begun is not None:
            text = f"the answer is cut off, its last sentence is missing: {_shown(self.begun.text)}"
            self.remarks.append(Remark(self.begun.line, text))
        self._close()

    def _close(self) -> None:
        self.begun = self.question = None
        self.roots = []
        self.groups = 0

    def _item(self, item: _Item) -> None:
        if item.kind == "asked":
            self.end()
            self.question = item
        elif item.kind == "root":
            self._root(item)
        elif item.kind == "sentence":
            self._sentence(item)
        elif item.kind != "aside":
            self._held(item)

    def _root(self, item: _Item) -> None:
        if self.begun is not None and self.begun.kind != "root":
            self.end()
        self.begun = item
        self.roots.append(item)

    def _held(self, item: _Item) -> None:
        if item.kind == "listed":
            self.end()
        else:
            self.begun, self.question = item, None
        self.groups += item.kind == "shared"
        one, below = (item.value,), tuple(item.below)
        dns, spns = (below, one) if item.kind == "shared" else (one, below)
        self.answers.append(Answer(item.line, dns, spns, item.kind == "shared"))

    def _sentence(self, item: _Item) -> None:
        """The last sentence of a search; that of -X says how many SPNs it found on several accounts."""
        number = _NUMBER.search(item.text)
        if self.groups and number is None:
            return
        counts = self.groups > 0 or _FOUND.match(item.text) is not None
        if counts and number is not None and int(number[0]) != self.groups:
            text = f"{self.groups} of them stand above it, the others are missing: {_shown(item.text)}"
            self.remarks.append(Remark(item.line, text))
        elif self.question is not None and number is None:
            spn, line = self.question.value, self.question.line
            self.absences += [Absence(spn, r.value, bool(_FOREST.search(r.text)), line) for r in self.roots]
        self._close()
