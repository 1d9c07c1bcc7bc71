"""XML to configuration sections, with the file and line of every element: the only reader of XML.

One pass of expat, which alone gives the exact line of a start tag that spans several. What is kept is what
`agent.iis.schema.READ` lists: nothing else of a document becomes an object, so a file costs what is read of it, and no
object holds a password. No document with a DTD is read: an entity would be expanded inside attributes, and this
configuration is all attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple
from xml.parsers import expat

from msgspec import Struct

from agent.errors import MalformedError
from agent.iis.schema import (
    READ,
    READ_SECTIONS,
    SECTION_GROUPS,
    STRICT,
    TRANSPARENT,
    WINDOWS_AUTHENTICATION,
    misspelt,
)
from agent.iis.unclosed import unclosed
from agent.iis.xml_text import BROKEN, ENCODINGS, ENCRYPTED, broken_values, may_be_broken, may_be_encrypted, unmarked
from agent.names import fold, printable

MAXIMUM_SIZE = 64 * 1024 * 1024
"""Largest file read, in bytes; a real applicationHost.config has 0.05 to 2 MB."""
MAXIMUM_DEPTH = 256
"""How deep elements may stand in each other; IIS's own go 11 deep."""
MAXIMUM_ELEMENTS = 1_000_000
"""Most elements of one file that are read; a server with 8,000 sites has 50,000."""
MAXIMUM_TAGS = 4_000_000
"""Most elements of one file, read or not: 64 MB of `<add name="x" />` have no more."""

MAXIMUM_SEGMENTS = 255
"""Segments of a path. HTTP.sys answers 400 to a URL that has more (UrlSegmentMaxCount): no request gets there."""

XDT_NAMESPACE = "http://schemas.microsoft.com/XML-Document-Transform"
_NO_ELEMENTS = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
_LEFT_OPEN = frozenset({_NO_ELEMENTS, expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH]})


class Node(Struct, frozen=True, gc=False):
    """An element: its attributes without secrets, the 1-based first line of its start tag, its child elements."""

    name: str
    attributes: Mapping[str, str]
    line: int
    children: tuple[Node, ...]

    @property
    def text(self) -> str:
        """The start tag as evidence for a reader."""
        shown = [f' {name}="{printable(value)}"' for name, value in self.attributes.items()]
        return f"<{self.name}{''.join(shown)}>"


class Location(Struct, frozen=True, gc=False):
    """A `<location>`, or the level of the file itself (path ""). `override` is Allow, Deny or None for Inherit.

    `others` are sections of which only their name is read: (section path, line).
    """

    path: str
    line: int
    override: str | None
    inherit_in_child_applications: bool
    sections: tuple[tuple[str, Node], ...]
    others: tuple[tuple[str, int], ...] = ()


class Definition(NamedTuple):
    """A `<section>` of configSections."""

    override_mode_default: str | None
    line: int


class Fault(NamedTuple):
    """Something IIS would refuse in a file; `path` is the location path it concerns, None for the whole file."""

    line: int
    reason: str
    path: str | None = None


class Document(NamedTuple):
    """One configuration file."""

    file: str
    definitions: Mapping[str, Definition]
    locations: tuple[Location, ...]
    faults: tuple[Fault, ...]

    @property
    def others(self) -> tuple[tuple[str, int], ...]:
        """Sections of which only their name is read, wherever they stand: (section path, line)."""
        return tuple(found for location in self.locations for found in location.others)

    def section(self, path: str) -> Node | None:
        """The section at the level of the file itself."""
        for location in self.locations:
            if not location.path:
                for name, node in location.sections:
                    if name == path:
                        return node
        return None


def parse(data: bytes, file: str) -> Document:
    """Read a configuration file. Raises MalformedError with file and line for anything that is not one."""
    root = tree(data, file, unbroken=True)
    if root.name != "configuration":
        raise MalformedError(file, root.line, f"the root element is <{root.name}>, not <configuration>")
    return _Reader(file).read(root)


def parse_section(data: bytes, file: str, name: str) -> Node:
    """Read the file that a `configSource` names: its root element is the section itself."""
    root = tree(data, file, unbroken=True)
    if root.name != name:
        raise MalformedError(file, root.line, f"the root element is <{root.name}>, not <{name}>")
    return root


# -- bytes to tree -------------------------------------------------------------------------------------------------


def tree(data: bytes, file: str, *, unbroken: bool = False) -> Node:
    """The root element with what is read below it. Raises MalformedError for what is not well-formed, or has a DTD.

    With `unbroken` also where a line ends within a value that is read.
    """
    if len(data) > MAXIMUM_SIZE:
        raise MalformedError(file, None, f"larger than {MAXIMUM_SIZE // 1024 // 1024} MB")
    if not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0"):
        raise MalformedError(file, 1, "the file is empty")
    plain, encoding = unmarked(data, file)
    return _Builder(file, encoding, plain, unbroken=unbroken).build(plain)


class _Row(Struct, frozen=True):
    """An element that is kept, of one without a row in READ the name: which of its attributes are read, and which
    elements in it, by their names.

    `tells`: the mere name of an element in it that is not read says something: a section, or one that IIS refuses.
    """

    name: str
    listed: frozenset[str] = frozenset()
    is_strict: bool = False
    tells: bool = False
    is_leaf: bool = True
    inside: Mapping[str, _Row] = {}


def _rows() -> Mapping[str, _Row]:
    inside: dict[str, dict[str, _Row]] = {path: {} for path in READ}
    above = {path.rpartition("/")[0] for path in READ}
    rows = {}
    for path, listed in READ.items():
        as_if = TRANSPARENT.get(path, path)
        tells = not as_if or path in SECTION_GROUPS or path.startswith(WINDOWS_AUTHENTICATION)
        name = path.rpartition("/")[2] or "configuration"
        is_leaf = not tells and as_if not in above
        rows[path] = _Row(name, listed, path.startswith(STRICT), tells, is_leaf, inside[as_if])
    for path, each in rows.items():
        if path:
            inside[path.rpartition("/")[0]][each.name] = each
    return rows


ROWS = _rows()
"""READ as a parser goes through it: each row leads to those in it."""

_Open = tuple[_Row, Mapping[str, str], int, list[Node], Mapping[str, _Row], set[str] | None]
"""An element whose end has not come, with its line, and what `_Builder` held when it came."""


class _Builder:
    """Makes nodes of what READ lists, and of the first of each other name beside it; passes over all else.

    `children` are those of the element that is open, `inside` what is read in it, `told` the names of what is not: each
    is kept once.
    """

    def __init__(self, file: str, encoding: str | None, data: bytes, *, unbroken: bool) -> None:
        self.file = file
        self.maybe_broken = data if unbroken and may_be_broken(data) else b""
        self.maybe_encrypted = may_be_encrypted(data)
        self.open: list[_Open] = []
        self.children: list[Node] = []
        self.inside: Mapping[str, _Row] = {}
        self.told: set[str] | None = None
        self.passed_over = self.skipped = self.count = 0
        self.is_transform = False
        self.parser = expat.ParserCreate(encoding, namespace_separator="}")

    def build(self, data: bytes) -> Node:
        parser, document = self.parser, self.children
        parser.XmlDeclHandler = self.declaration
        parser.StartElementHandler = self.root
        parser.EndElementHandler = self.end
        parser.StartDoctypeDeclHandler = self.doctype
        parser.StartNamespaceDeclHandler = self.namespace
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise self.malformed(error, data) from None
        except (ValueError, LookupError) as error:
            raise MalformedError(self.file, parser.CurrentLineNumber, f"not well-formed XML: {error}") from None
        finally:  # they hold this object, which holds the parser: a cycle
            parser.XmlDeclHandler = parser.StartElementHandler = parser.EndElementHandler = None
            parser.StartDoctypeDeclHandler = parser.StartNamespaceDeclHandler = None
        (root,) = document
        if self.is_transform:
            raise MalformedError(self.file, root.line, "an XDT transform, not a configuration")
        return root

    def malformed(self, error: expat.ExpatError, data: bytes) -> MalformedError:
        line = error.lineno
        if line > 1 and error.offset == 0 and error.code == _NO_ELEMENTS:
            line -= 1  # the end of the file is the end of its last line
        open_one = unclosed(data) if error.code in _LEFT_OPEN else None
        told = "" if open_one is None else f": {open_one}"
        return MalformedError(self.file, line, f"not well-formed XML: {expat.ErrorString(error.code)}{told}")

    def refuse(self, reason: str) -> MalformedError:
        return MalformedError(self.file, self.parser.CurrentLineNumber, reason)

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and re.fullmatch(ENCODINGS, encoding, re.IGNORECASE) is None:
            raise self.refuse("not well-formed XML: its encoding is not known")

    def doctype(self, *_arguments: object) -> None:
        raise self.refuse("it has a document type definition (DTD), which is refused")

    def namespace(self, _prefix: str | None, uri: str | None) -> None:
        self.is_transform |= uri == XDT_NAMESPACE and not self.count

    def root(self, tag: str, attributes: dict[str, str]) -> None:
        name = _without_namespace(tag)
        path = row(name)
        self.inside = {tag: _Row(name) if path is None else ROWS[path]}
        self.parser.StartElementHandler = self.start
        self.start(tag, attributes)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.passed_over or (found := self.inside.get(tag) or self.other(_without_namespace(tag))) is None:
            self.pass_over()
            return
        self.count += 1
        is_many = self.count > MAXIMUM_ELEMENTS or self.count + self.skipped > MAXIMUM_TAGS
        if is_many or len(self.open) >= MAXIMUM_DEPTH:
            raise self.too_much()
        kept = attributes
        if self.maybe_encrypted or not found.listed.issuperset(attributes):
            kept = _kept(found, attributes)
        if self.maybe_broken:
            self.demand_unbroken(kept)
        if found.is_leaf:
            self.children.append(Node(found.name, kept, self.parser.CurrentLineNumber, ()))
            self.passed_over = 1
        else:
            self.open.append((found, kept, self.parser.CurrentLineNumber, self.children, self.inside, self.told))
            self.children, self.inside, self.told = [], found.inside, None

    def pass_over(self) -> None:
        self.skipped += 1
        if self.count + self.skipped > MAXIMUM_TAGS or len(self.open) + self.passed_over >= MAXIMUM_DEPTH:
            raise self.too_much()
        self.passed_over += 1

    def too_much(self) -> MalformedError:
        if len(self.open) + self.passed_over >= MAXIMUM_DEPTH:
            return self.refuse(f"its elements stand more than {MAXIMUM_DEPTH} deep in each other")
        if self.count + self.skipped > MAXIMUM_TAGS:
            return self.refuse(f"more than {MAXIMUM_TAGS:,} elements")
        return self.refuse(f"more than {MAXIMUM_ELEMENTS:,} elements that this program reads")

    def other(self, name: str) -> _Row | None:
        """What is kept of an element that is not read as it is written there: it may have a prefix, or only a name."""
        found = self.inside.get(name)
        if found is not None or not self.open[-1][0].tells:
            return found
        if self.told is None:
            self.told = set()
        if name in self.told:
            return None
        self.told.add(name)
        return _Row(name)

    def demand_unbroken(self, kept: Mapping[str, str]) -> None:
        if not broken_values(self.maybe_broken, self.parser.CurrentByteIndex).isdisjoint(kept):
            raise self.refuse(BROKEN)

    def end(self, _tag: str) -> None:
        if self.passed_over:
            self.passed_over -= 1
        else:
            found, kept, line, above, self.inside, self.told = self.open.pop()
            above.append(Node(found.name, kept, line, tuple(self.children)))
            self.children = above


def _without_namespace(tag: str) -> str:
    return tag[tag.rfind("}") + 1 :]


def row(root: str) -> str | None:
    """The row of READ that a root element of this name is: a whole configuration, or the file of one section."""
    if root == "configuration":
        return ""
    return next((path for path in READ_SECTIONS if path.rpartition("/")[2] == root), None)


@cache
def below(path: str, name: str) -> str | None:
    """The row of READ of an element of this name in one of that row, None where there is none."""
    above = TRANSPARENT.get(path, path)
    below = f"{above}/{name}" if above else name
    return below if below in READ else None


_NOT_READ = "..."


def _kept(found: _Row, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes that are read; where IIS would refuse a name that it does not know, such names too."""
    listed, is_strict = found.listed, found.is_strict
    return {
        name: value if name in listed else _NOT_READ
        for name, value in attributes.items()
        if (name in listed or is_strict) and not value.startswith(ENCRYPTED)
    }


# -- tree to sections ----------------------------------------------------------------------------------------------


_LOCATION_ATTRIBUTES = frozenset({"path", "overrideMode", "allowOverride", "inheritInChildApplications"})
_MODES = {"allow": "Allow", "deny": "Deny", "inherit": None}
_BOOLEANS = {"true": True, "false": False}


class _Reader:
    """Walks one document; collects what IIS would refuse instead of stopping at it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.definitions: dict[str, Definition] = {}
        self.others: list[tuple[str, int]] = []
        """Of the `<location>`, or the level of the file, that is being read."""
        self.faults: list[Fault] = []

    def read(self, root: Node) -> Document:
        locations = [Location("", root.line, None, True, ())]
        body: list[tuple[str, Node]] = []
        for child in root.children:
            if child.name == "location":
                locations.append(self._location(child))
            elif child.name == "configSections":
                if child is not root.children[0]:
                    self.faults.append(Fault(child.line, "<configSections> stands once, and before all else"))
                self._definitions(child, "")
            else:
                body += self._sections((child,), "", "")
        locations[0] = Location("", root.line, None, True, tuple(body), tuple(self.others))
        return Document(self.file, self.definitions, tuple(locations), tuple(self.faults))

    def _location(self, element: Node) -> Location:
        path = element.attributes.get("path", "")
        path = "" if path == "." else path
        line = element.line
        demand_segments(path, self.file, line)
        is_plain = element.attributes.keys() == {"path"}
        if not is_plain:
            self._check_location(element, path, line)
        before, self.others = self.others, []
        sections = self._sections(element.children, "", path)
        if (reason := _path_fault(path)) is not None:
            self.faults.append(Fault(line, f"location path '{printable(path)}' is not understood: {reason}"))
            sections = []
        others, self.others = tuple(self.others), before
        override, inherit = (None, True) if is_plain else (_override(element), _inherit(element))
        return Location(path, line, override, inherit, tuple(sections), others)

    def _check_location(self, element: Node, path: str, line: int) -> None:
        for name in element.attributes:
            if name not in _LOCATION_ATTRIBUTES:
                self.faults.append(Fault(line, f"unrecognized attribute '{printable(name)}' on <location>", path))
        if "overrideMode" in element.attributes and "allowOverride" in element.attributes:
            self.faults.append(Fault(line, "both allowOverride and overrideMode on one <location>", path))
        if fold(element.attributes.get("overrideMode", "inherit")) not in _MODES:
            self.faults.append(Fault(line, "overrideMode must be one of Allow, Deny, Inherit", path))
        for name in ("allowOverride", "inheritInChildApplications"):
            if fold(element.attributes.get(name, "true")) not in _BOOLEANS:
                self.faults.append(Fault(line, f"{name} must be true or false", path))

    def _sections(self, elements: Iterable[Node], above: str, location: str) -> list[tuple[str, Node]]:
        """The sections among elements and in groups among them; `above` is their own group's path, with a slash."""
        found: list[tuple[str, Node]] = []
        for child in elements:
            path = above + child.name
            if path in READ_SECTIONS:
                found.append((path, child))
            elif path in SECTION_GROUPS:
                found += self._sections(child.children, f"{path}/", location)
            else:
                self._other(child, path, location)
        return found

    def _other(self, element: Node, path: str, location: str) -> None:
        line = element.line
        if path == "location":
            self.faults.append(Fault(line, "a <location> inside a <location>", location))
        elif (right := misspelt(path)) is not None:
            reason = f"unrecognized element <{element.name}>: names are case-sensitive, IIS knows "
            self.faults.append(Fault(line, f"{reason}<{right.rpartition('/')[2]}>", location))
        else:
            self.others.append((path, line))

    def _definitions(self, element: Node, prefix: str) -> None:
        for child in element.children:
            path = prefix + child.attributes.get("name", "")
            if child.name == "sectionGroup":
                self._definitions(child, f"{path}/")
            elif child.name == "section":
                if path in self.definitions:
                    self.faults.append(Fault(child.line, f"section '{printable(path)}' is declared twice"))
                mode = _MODES.get(fold(child.attributes.get("overrideModeDefault", "")))
                self.definitions[path] = Definition(mode, child.line)


def demand_segments(path: str, file: str, line: int) -> None:
    """Raises MalformedError for a path that no request gets to, and that would take long to follow."""
    if path.count("/") > MAXIMUM_SEGMENTS:
        reason = f"a path of {path.count('/') + 1} segments: more than {MAXIMUM_SEGMENTS} are not read"
        raise MalformedError(file, line, reason)


def _inherit(element: Node) -> bool:
    return _BOOLEANS.get(fold(element.attributes.get("inheritInChildApplications", "")), True)


def _override(element: Node) -> str | None:
    if "overrideMode" in element.attributes:
        return _MODES.get(fold(element.attributes.get("overrideMode", "")))
    legacy = _BOOLEANS.get(fold(element.attributes.get("allowOverride", "")))
    return None if legacy is None else ("Allow" if legacy else "Deny")


def _path_fault(path: str) -> str | None:
    """Why .NET refuses a location path (BaseConfigurationRecord); IIS's own wording is not documented."""
    if path.startswith("/") or path.endswith("/") or "//" in path:
        return "it has an empty segment"
    if "\\" in path:
        return "it holds a backslash"
    if path != path.strip() or path.startswith("."):
        return "it begins or ends with a blank or begins with a dot"
    return "it holds a wildcard" if "*" in path or "?" in path else None
