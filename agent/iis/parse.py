"""XML to configuration sections, with the file and line of every element: the only reader of XML.

lxml builds the tree; expat counts the lines, because lxml gives the *last* line of a start tag and guesses past line
65,535. No document with a DTD is read: an entity would be expanded inside attributes, and this configuration is all
attributes. Passwords are dropped here: no object made from a document holds one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache
from sys import intern
from typing import NamedTuple, cast
from xml.parsers import expat

from lxml import etree

from agent.errors import MalformedError
from agent.iis.schema import READ_SECTIONS, SECTION_GROUPS, misspelt
from agent.names import fold, printable

MAXIMUM_SIZE = 64 * 1024 * 1024
"""Largest file read, in bytes; a real applicationHost.config has 0.05 to 2 MB."""

MAXIMUM_SEGMENTS = 255
"""Segments of a path. HTTP.sys answers 400 to a URL that has more (UrlSegmentMaxCount): no request gets there."""

XDT_NAMESPACE = "http://schemas.microsoft.com/XML-Document-Transform"
_NO_ELEMENTS = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]


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
    """A `<location>`, or the level of the file itself (path ""). `override` is Allow, Deny or None for Inherit."""

    path: str
    line: int
    override: str | None
    inherit_in_child_applications: bool
    sections: tuple[tuple[str, Node], ...]


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
    """One configuration file. `others` are sections this program does not read: (section path, line)."""

    file: str
    definitions: Mapping[str, Definition]
    locations: tuple[Location, ...]
    others: tuple[tuple[str, int], ...]
    faults: tuple[Fault, ...]

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
    root, lines = _tree(data, file)
    if _local(root.tag) != "configuration":
        raise MalformedError(file, lines[root], f"the root element is <{_local(root.tag)}>, not <configuration>")
    return _Reader(file, lines).read(root)


def parse_section(data: bytes, file: str, name: str) -> Node:
    """Read the file that a `configSource` names: its root element is the section itself."""
    root, lines = _tree(data, file)
    if _local(root.tag) != name:
        raise MalformedError(file, lines[root], f"the root element is <{_local(root.tag)}>, not <{name}>")
    return _node(root, lines)


# -- bytes to tree -------------------------------------------------------------------------------------------------

_Lines = Mapping[etree._Element, int]
"""The first line of each element's start tag."""


def _tree(data: bytes, file: str) -> tuple[etree._Element, _Lines]:
    if len(data) > MAXIMUM_SIZE:
        raise MalformedError(file, None, f"larger than {MAXIMUM_SIZE // 1024 // 1024} MB")
    if not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise MalformedError(file, 1, "the file is empty")
    starts = _start_lines(data, file)
    try:
        root = etree.fromstring(data, _xml_parser())
    except etree.XMLSyntaxError as error:
        raise MalformedError(file, error.lineno, f"not well-formed XML: {printable(error.msg or '')}") from None
    if XDT_NAMESPACE in root.nsmap.values():
        raise MalformedError(file, starts[0], "an XDT transform, not a configuration")
    return root, dict(zip(root.iter("*"), starts, strict=True))


def _xml_parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_pis=True,
        remove_comments=True,
        remove_blank_text=True,
    )


def _start_lines(data: bytes, file: str) -> array[int]:
    """The first line of every start tag in document order; refuses a DTD and what is not well-formed."""
    parser = expat.ParserCreate()
    starts = array("L")
    append = starts.append

    def start(_name: str, _attributes: object) -> None:
        append(parser.CurrentLineNumber)

    def doctype(*_arguments: object) -> None:
        raise MalformedError(
            file, parser.CurrentLineNumber, "it has a document type definition (DTD), which is refused"
        )

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        line = error.lineno
        if line > 1 and error.offset == 0 and error.code == _NO_ELEMENTS:
            line -= 1  # the end of the file is the end of its last line
        raise MalformedError(file, line, f"not well-formed XML: {expat.ErrorString(error.code)}") from None
    except (ValueError, LookupError) as error:
        raise MalformedError(file, parser.CurrentLineNumber, f"not well-formed XML: {error}") from None
    finally:
        parser.StartElementHandler = parser.StartDoctypeDeclHandler = None  # they hold the parser: a cycle
    return starts


# -- tree to sections ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _local(tag: object) -> str:
    return intern(str(tag).rpartition("}")[2])


@lru_cache(maxsize=1024)
def _is_password(name: str) -> bool:
    return fold(name).endswith("password")


_FREE_NAMES = "environmentVariables"  # of an application pool: names are free there, and values may be passwords


def _node(element: etree._Element, lines: _Lines) -> Node:
    children = tuple([_node(child, lines) for child in element if child.tag != _FREE_NAMES]) if len(element) else ()
    attributes = cast("list[tuple[str, str]]", element.items())
    shown = {intern(name): text for name, text in attributes if not (_is_password(name) or text.startswith("[enc:"))}
    return Node(_local(element.tag), shown, lines[element], children)


_LOCATION_ATTRIBUTES = frozenset({"path", "overrideMode", "allowOverride", "inheritInChildApplications"})
_MODES = {"allow": "Allow", "deny": "Deny", "inherit": None}
_BOOLEANS = {"true": True, "false": False}


class _Reader:
    """Walks one document; collects what IIS would refuse instead of stopping at it."""

    def __init__(self, file: str, lines: _Lines) -> None:
        self.file = file
        self.lines = lines
        self.definitions: dict[str, Definition] = {}
        self.others: list[tuple[str, int]] = []
        self.faults: list[Fault] = []

    def read(self, root: etree._Element) -> Document:
        locations = [Location("", self.lines[root], None, True, ())]
        body: list[tuple[str, Node]] = []
        for child in root:
            name = _local(child.tag)
            if name == "location":
                locations.append(self._location(child))
            elif name == "configSections":
                if child is not root[0]:
                    self.faults.append(Fault(self.lines[child], "<configSections> stands once, and before all else"))
                self._definitions(child, "")
            else:
                body.extend(self._sections(child, name, ""))
        locations[0] = locations[0]._replace(sections=tuple(body))
        return Document(self.file, self.definitions, tuple(locations), tuple(self.others), tuple(self.faults))

    def _location(self, element: etree._Element) -> Location:
        path = element.get("path", "")
        path = "" if path == "." else path
        line = self.lines[element]
        demand_segments(path, self.file, line)
        self._check_location(element, path, line)
        sections = [found for child in element for found in self._sections(child, _local(child.tag), path)]
        if (reason := _path_fault(path)) is not None:
            self.faults.append(Fault(line, f"location path '{printable(path)}' is not understood: {reason}"))
            sections = []
        inherit = _BOOLEANS.get(fold(element.get("inheritInChildApplications", "true")), True)
        return Location(path, line, _override(element), inherit, tuple(sections))

    def _check_location(self, element: etree._Element, path: str, line: int) -> None:
        for name in element.attrib:
            if str(name) not in _LOCATION_ATTRIBUTES:
                self.faults.append(Fault(line, f"unrecognized attribute '{printable(str(name))}' on <location>", path))
        if "overrideMode" in element.attrib and "allowOverride" in element.attrib:
            self.faults.append(Fault(line, "both allowOverride and overrideMode on one <location>", path))
        if fold(element.get("overrideMode", "inherit")) not in _MODES:
            self.faults.append(Fault(line, "overrideMode must be one of Allow, Deny, Inherit", path))
        for name in ("allowOverride", "inheritInChildApplications"):
            if fold(element.get(name, "true")) not in _BOOLEANS:
                self.faults.append(Fault(line, f"{name} must be true or false", path))

    def _sections(self, element: etree._Element, path: str, location: str) -> Iterator[tuple[str, Node]]:
        if path in READ_SECTIONS:
            yield path, _node(element, self.lines)
        elif path in SECTION_GROUPS:
            for child in element:
                yield from self._sections(child, f"{path}/{_local(child.tag)}", location)
        else:
            self._other(element, path, location)

    def _other(self, element: etree._Element, path: str, location: str) -> None:
        line = self.lines[element]
        if path == "location":
            self.faults.append(Fault(line, "a <location> inside a <location>", location))
        elif (right := misspelt(path)) is not None:
            reason = f"unrecognized element <{_local(element.tag)}>: names are case-sensitive, IIS knows "
            self.faults.append(Fault(line, f"{reason}<{right.rpartition('/')[2]}>", location))
        else:
            self.others.append((path, line))

    def _definitions(self, element: etree._Element, prefix: str) -> None:
        for child in element:
            path = prefix + child.get("name", "")
            if _local(child.tag) == "sectionGroup":
                self._definitions(child, f"{path}/")
            elif _local(child.tag) == "section":
                if path in self.definitions:
                    self.faults.append(Fault(self.lines[child], f"section '{printable(path)}' is declared twice"))
                mode = _MODES.get(fold(child.get("overrideModeDefault", "")))
                self.definitions[path] = Definition(mode, self.lines[child])


def demand_segments(path: str, file: str, line: int) -> None:
    """Raises MalformedError for a path that no request gets to, and that would take long to follow."""
    if path.count("/") > MAXIMUM_SEGMENTS:
        reason = f"a path of {path.count('/') + 1} segments: more than {MAXIMUM_SEGMENTS} are not read"
        raise MalformedError(file, line, reason)


def _override(element: etree._Element) -> str | None:
    if "overrideMode" in element.attrib:
        return _MODES.get(fold(element.get("overrideMode", "")))
    legacy = _BOOLEANS.get(fold(element.get("allowOverride", "")))
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
