"""XML to configuration sections, with the file and line of every element: the only reader of XML.

One pass of expat, which alone gives the exact line of a start tag that spans several. What is kept is what
`agent.iis.schema.READ` lists: nothing else of a document becomes an object, so a file costs what is read of it, and no
object holds a password. No document with a DTD is read: an entity would be expanded inside attributes, and this
configuration is all attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from sys import intern
from typing import NamedTuple
from xml.parsers import expat

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
from agent.iis.xml_text import BROKEN, ENCODINGS, broken_values, may_be_broken, unmarked
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


class Node(NamedTuple):
    """An element: its attributes without secrets, the 1-based first line of its start tag, its child elements."""

    name: str
    attributes: Mapping[str, str]
    line: int
    children: tuple[Node, ...]

    @property
    def text(self) -> str:
        """The start tag as evidence for a reader."""
        shown = "".join(f' {name}="{printable(value)}"' for name, value in self.attributes.items())
        return f"<{self.name}{shown}>"


class Location(NamedTuple):
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
    return _Builder(file, encoding, plain if unbroken and may_be_broken(plain) else b"").build(plain)


class _Open:
    """An element whose end has not come. `path` is its row in READ, None where nothing of it is read but its name."""

    __slots__ = ("attributes", "children", "line", "name", "path", "seen")

    def __init__(self, name: str, line: int, path: str | None, attributes: dict[str, str]) -> None:
        self.name = name
        self.line = line
        self.path = path
        self.attributes = attributes
        self.children: list[Node] = []
        self.seen: set[str] = set()
        """Names of children of which nothing is read: each is kept once."""

    def node(self) -> Node:
        return Node(self.name, self.attributes, self.line, tuple(self.children))


class _Builder:
    """Makes nodes of what READ lists, and of the first of each other name beside it; passes over all else."""

    def __init__(self, file: str, encoding: str | None, maybe_broken: bytes) -> None:
        self.file = file
        self.maybe_broken = maybe_broken
        self.open: list[_Open] = []
        self.passed_over = self.tags = self.count = 0
        self.is_transform = False
        self.parser = expat.ParserCreate(encoding, namespace_separator="}")
        self.parser.ordered_attributes = True

    def build(self, data: bytes) -> Node:
        parser = self.parser
        document = self.open = [_Open("", 0, "", {})]
        parser.XmlDeclHandler = self.declaration
        parser.StartElementHandler = self.start
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
        (root,) = document[0].children
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
        self.is_transform |= uri == XDT_NAMESPACE and len(self.open) == 1

    def start(self, tag: str, attributes: list[str]) -> None:
        if len(self.open) + self.passed_over > MAXIMUM_DEPTH:
            raise self.refuse(f"its elements stand more than {MAXIMUM_DEPTH} deep in each other")
        self.tags += 1
        if self.tags > MAXIMUM_TAGS:
            raise self.refuse(f"more than {MAXIMUM_TAGS:,} elements")
        above, name = self.open[-1], intern(tag[tag.rfind("}") + 1 :])
        path = None if self.passed_over else self.path_of(above, name)
        if path is None and (self.passed_over or not self.is_told(above, name)):
            self.passed_over += 1
            return
        self.count += 1
        if self.count > MAXIMUM_ELEMENTS:
            raise self.refuse(f"more than {MAXIMUM_ELEMENTS:,} elements that this program reads")
        kept = _kept(path, attributes) if attributes and path is not None else {}
        if (
            kept
            and self.maybe_broken
            and not broken_values(self.maybe_broken, self.parser.CurrentByteIndex).isdisjoint(kept)
        ):
            raise self.refuse(BROKEN)
        self.open.append(_Open(name, self.parser.CurrentLineNumber, path, kept))

    def path_of(self, above: _Open, name: str) -> str | None:
        if len(self.open) == 1:
            return row(name)
        return below(above.path, name) if above.path is not None else None

    def is_told(self, above: _Open, name: str) -> bool:
        """Whether the name alone is kept of an element that is not read: the root's, and the first where it matters."""
        if len(self.open) == 1:
            return True
        if above.path is None or not _names_matter(above.path) or name in above.seen:
            return False
        above.seen.add(name)
        return True

    def end(self, _tag: str) -> None:
        if self.passed_over:
            self.passed_over -= 1
        else:
            done = self.open.pop()
            self.open[-1].children.append(done.node())


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


@cache
def _names_matter(path: str) -> bool:
    """Whether the mere name of an element that is not read says something: a section, or one that IIS refuses."""
    return path in {"", "location"} or path in SECTION_GROUPS or path.startswith(WINDOWS_AUTHENTICATION)


_NOT_READ = "..."


def _kept(path: str, attributes: list[str]) -> dict[str, str]:
    """The attributes that are read; where IIS would refuse a name that it does not know, such names too."""
    listed = READ[path]
    pairs = zip(attributes[::2], attributes[1::2], strict=True)
    is_strict = path.startswith(STRICT)
    return {
        name: value if name in listed else _NOT_READ
        for name, value in pairs
        if (name in listed or is_strict) and not value.startswith("[enc:")
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
            name = child.name
            if name == "location":
                locations.append(self._location(child))
            elif name == "configSections":
                if child is not root.children[0]:
                    self.faults.append(Fault(child.line, "<configSections> stands once, and before all else"))
                self._definitions(child, "")
            else:
                body.extend(self._sections(child, name, ""))
        locations[0] = locations[0]._replace(sections=tuple(body), others=tuple(self.others))
        return Document(self.file, self.definitions, tuple(locations), tuple(self.faults))

    def _location(self, element: Node) -> Location:
        path = element.attributes.get("path", "")
        path = "" if path == "." else path
        line = element.line
        demand_segments(path, self.file, line)
        self._check_location(element, path, line)
        before, self.others = self.others, []
        sections = [found for child in element.children for found in self._sections(child, child.name, path)]
        if (reason := _path_fault(path)) is not None:
            self.faults.append(Fault(line, f"location path '{printable(path)}' is not understood: {reason}"))
            sections = []
        others, self.others = tuple(self.others), before
        inherit = _BOOLEANS.get(fold(element.attributes.get("inheritInChildApplications", "")), True)
        return Location(path, line, _override(element), inherit, tuple(sections), others)

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

    def _sections(self, element: Node, path: str, location: str) -> Iterator[tuple[str, Node]]:
        if path in READ_SECTIONS:
            yield path, element
        elif path in SECTION_GROUPS:
            for child in element.children:
                yield from self._sections(child, f"{path}/{child.name}", location)
        else:
            self._other(element, path, location)

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
    return "it holds a wildcard" if any(c in path for c in "*?") else None
