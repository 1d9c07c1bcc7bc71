"""Ansible inventories: which hosts WinRM would be used for, and the variables that say how.

INI, YAML and the JSON of `ansible-inventory --list`, with the `group_vars` and `host_vars` beside the file. Variables
count as they do in Ansible (docs: "How variables are merged"): `all`, then parent groups before child groups, within a
depth by ansible_group_priority and name; then group_vars in the same order; then the host's own, then host_vars.
Passwords are never read, vaults never opened, templates never filled in.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import warnings
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from agent.errors import UsageError
from agent.names import address_of, printable
from agent.sources.endpoint import HTTP_PORT, MOST_NAMES, Defaults, Endpoint, Transport, expand, host_of, port_of

if TYPE_CHECKING:
    import yaml

Format = Literal["ini", "yaml", "json"]

MOST_NODES = 1_000_000
"""Values of one YAML file, an alias counted each time it is used."""
DEEPEST = 100
LONGEST_LITERAL = 1000
VARIABLE_FILE_SIZE = 1024 * 1024


class _PlacedError(UsageError):
    """Its text begins with file and line already."""


class Found(NamedTuple):
    """The servers to ask, each with the place that names it, and sentences on what was left out."""

    servers: list[tuple[Endpoint, str]]
    notes: list[str]


def read(text: str, kind: Format, place: str, folder: Path | None, defaults: Defaults) -> Found:
    """The hosts of an inventory that Ansible would reach by winrm or psrp. Raises UsageError with file and line.

    `folder` is where `group_vars` and `host_vars` are looked for. A host without ansible_connection is asked unless
    another one of the inventory has winrm or psrp: Ansible's own default is ssh.
    """
    tree = _Tree(place)
    merged = False
    if kind == "ini":
        _read_ini(text, tree)
    elif kind == "json":
        merged = _read_json(text, tree)
    else:
        _read_yaml(_yaml(text, place), tree)
    if folder is not None and not merged:
        _read_beside(folder, tree)
    return _asked(tree, defaults)


# -- variables -----------------------------------------------------------------------------------------------------

_CONNECTION = "ansible_connection"
_PRIORITY = "ansible_group_priority"


class _Plugin(NamedTuple):
    """The variables of a connection plugin; of several that are set, the last one counts."""

    host: tuple[str, ...]
    port: tuple[str, ...]
    user: tuple[str, ...]
    scheme: str
    transport: str
    kerberos_host: str


_WINRM = _Plugin(
    ("ansible_host", "ansible_winrm_host"),
    ("ansible_port", "ansible_winrm_port"),
    ("ansible_user", "ansible_winrm_user"),
    "ansible_winrm_scheme",
    "ansible_winrm_transport",
    "ansible_winrm_kerberos_hostname_override",
)
_PSRP = _Plugin(
    ("ansible_host", "ansible_psrp_host"),
    ("ansible_port", "ansible_psrp_port"),
    ("ansible_user", "ansible_psrp_user"),
    "ansible_psrp_protocol",
    "ansible_psrp_auth",
    "ansible_psrp_negotiate_hostname_override",
)
_PLUGINS = {"winrm": _WINRM, "psrp": _PSRP}

_PASSWORDS = frozenset({"ansible_password", "ansible_winrm_password", "ansible_winrm_pass", "ansible_ssh_pass"})
_VALIDATIONS = frozenset({"ansible_winrm_server_cert_validation", "ansible_psrp_cert_validation"})
_NOT_READ = frozenset(
    {
        *("ansible_winrm_path", "ansible_winrm_ca_trust_path", "ansible_winrm_cert_pem", "ansible_winrm_cert_key_pem"),
        *("ansible_psrp_path", "ansible_psrp_ca_cert", "ansible_psrp_certificate_pem", "ansible_psrp_proxy"),
        *("ansible_psrp_certificate_key_pem", "ansible_psrp_configuration_name"),
    }
)
_HONOURED = frozenset(
    name for plugin in (_WINRM, _PSRP) for part in plugin for name in ((part,) if isinstance(part, str) else part)
) | {_CONNECTION, _PRIORITY}
_KNOWN = _HONOURED | _PASSWORDS | _VALIDATIONS | _NOT_READ

_VAULTED = "is vaulted, and vaults are not opened here: write the value in clear, or leave it to the command line"
_TEMPLATE = "is a template that only Ansible can fill in: write the value out, or leave it to the command line"


@dataclass(frozen=True, slots=True)
class _Value:
    """One value of a variable. `texts` is empty for null; `fault` says why it cannot be used."""

    place: str
    texts: tuple[str, ...] = ()
    fault: str | None = None


Variables = dict[str, _Value]


def _value(name: str, texts: Sequence[str], place: str, *, is_literal: bool = False) -> _Value:
    """A value as far as it is of use: of a password only that there is one."""
    if name in _PASSWORDS:
        return _Value(place)
    if any(text.lstrip().startswith("$ANSIBLE_VAULT;") for text in texts):
        return _Value(place, fault=_VAULTED)
    if not is_literal and any("{{" in text or "{%" in text for text in texts):
        return _Value(place, fault=_TEMPLATE)
    return _Value(place, tuple(text.strip() for text in texts))


# -- hosts and groups ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Group:
    variables: Variables = field(default_factory=dict)
    from_files: Variables = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Host:
    place: str
    variables: Variables = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)


class _Tree:
    """An inventory: hosts in the order they were named, groups, and who stands in which."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.groups = {"all": _Group(), "ungrouped": _Group()}
        self.hosts: dict[str, _Host] = {}
        self.notes: list[str] = []
        self._combined: dict[tuple[str, ...], Variables] = {}
        self._rank: dict[str, tuple[int, int, str]] = {}

    def group(self, name: str) -> _Group:
        return self.groups.setdefault(name, _Group())

    def add_child(self, parent: str, child: str) -> None:
        self.group(parent)
        self.group(child).parents[parent] = None

    def add_hosts(self, pattern: str, group: str, variables: Variables, place: str) -> None:
        """Hosts by name or range with an optional port, which counts where the host is new, as in Ansible."""
        name, port = _without_port(pattern)
        for each in expand(name):
            if each not in self.hosts:
                self.hosts[each] = _Host(place, {"ansible_port": _Value(place, (port,))} if port else {})
                if len(self.hosts) > MOST_NAMES:
                    raise UsageError(f"more than {MOST_NAMES} servers")
            host = self.hosts[each]
            host.groups[group] = None
            host.variables |= variables

    # .. precedence ..

    def settle(self) -> None:
        """Bring the groups into the order in which their variables count. Raises UsageError for a loop."""
        depths = self._depths()
        self._rank = {name: (depths[name], _priority(group), name) for name, group in self.groups.items()}

    def variables(self, host: _Host) -> Variables:
        """All variables of a host, merged."""
        inside = host.groups.keys() - {"all", "ungrouped"} or {"ungrouped"}
        key = tuple(sorted(inside))
        if key not in self._combined:
            self._combined[key] = self._of_groups(key)
        return {**self._combined[key], **host.variables}

    def _of_groups(self, names: Sequence[str]) -> Variables:
        ordered = sorted(self._with_ancestors(names), key=self._rank.__getitem__)
        merged: Variables = {}
        for group in (self.groups[name] for name in ordered):
            merged |= group.variables
        for group in (self.groups[name] for name in ordered):
            merged |= group.from_files
        return merged

    def _with_ancestors(self, names: Iterable[str]) -> set[str]:
        found, left = {"all"}, list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self.groups[name].parents
        return found

    def _depths(self) -> dict[str, int]:
        """How many groups stand above each on the longest way."""
        parents = {name: set(group.parents) or {"all"} for name, group in self.groups.items()}
        parents["all"] = set()
        children: dict[str, list[str]] = {}
        for name, above in parents.items():
            for parent in above:
                children.setdefault(parent, []).append(name)
        depths, ready = {"all": 0}, ["all"]
        while ready:
            parent = ready.pop()
            for child in children.get(parent, ()):
                depths[child] = max(depths.get(child, 0), depths[parent] + 1)
                parents[child].discard(parent)
                if not parents[child]:
                    ready.append(child)
        loop = [name for name, above in parents.items() if above]
        if loop or self.groups["all"].parents:
            names = ", ".join(printable(name) for name in sorted(loop)[:3] or ["all"])
            raise UsageError(f"{self.place}: groups stand within themselves: {names}")
        return depths


def _priority(group: _Group) -> int:
    value = group.variables.get(_PRIORITY)
    if value is None:
        return 1
    text = _text(value, _PRIORITY) or ""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise UsageError(f"{value.place}: {_PRIORITY} is a number")
    return int(text)


_WITH_PORT = re.compile(r"(\[.+\]|(?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)")


def _without_port(pattern: str) -> tuple[str, str | None]:
    match = _WITH_PORT.fullmatch(pattern)
    name, port = (match[1], match[2]) if match else (pattern, None)
    return (name.strip("[]") if address_of(name) is not None else name), port


# -- INI -----------------------------------------------------------------------------------------------------------

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_NEEDS_SHLEX = re.compile(r"[\"'\\#]")


def _read_ini(text: str, tree: _Tree) -> None:
    reader = _IniReader(tree)
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            here = f"{tree.place}:{number}"
            try:
                reader.read(stripped, here)
            except UsageError as error:
                raise UsageError(f"{here}: {error}") from None
    reader.refuse_undefined()


class _IniReader:
    """Line after line; the messages never repeat one, since a password may stand in it."""

    def __init__(self, tree: _Tree) -> None:
        self._tree = tree
        self._group, self._kind = "ungrouped", "hosts"
        self._declared = {"all", "ungrouped"}
        self._mentioned: dict[str, str] = {}

    def read(self, line: str, here: str) -> None:
        section = _SECTION.fullmatch(line)
        if section:
            self._open(section[1], section[2] or "hosts", here)
        elif line.startswith("[") and line.endswith("]"):
            raise UsageError("a section is written [group], [group:children] or [group:vars], without blanks")
        elif self._kind == "hosts":
            self._read_hosts(line, here)
        elif self._kind == "vars":
            self._read_variable(line, here)
        else:
            self._read_child(line, here)

    def refuse_undefined(self) -> None:
        """As Ansible does: a group of which only the children of another or the variables are known is a slip."""
        for name, here in self._mentioned.items():
            if name not in self._declared:
                raise UsageError(f"{here}: there is no group [{printable(name)}] in this file")

    def _open(self, group: str, kind: str, here: str) -> None:
        if kind not in {"hosts", "children", "vars"}:
            raise UsageError(f"[{printable(group)}:{kind}]: only :children and :vars are known")
        self._group, self._kind = group, kind
        self._tree.group(group)
        if kind == "vars":
            self._mentioned.setdefault(group, here)
        else:
            self._declared.add(group)

    def _read_hosts(self, line: str, here: str) -> None:
        pattern, *assignments = _words(line)
        variables: Variables = {}
        for assignment in assignments:
            name, equals, raw = assignment.partition("=")
            if not equals:
                raise UsageError("after the host only name=value may follow (quote a value that holds blanks)")
            if name in _KNOWN:
                variables[name] = _ini_value(name, raw, here)
        self._tree.add_hosts(pattern, self._group, variables, here)

    def _read_variable(self, line: str, here: str) -> None:
        name, equals, raw = (part.strip() for part in line.partition("="))
        if not equals:
            raise UsageError(f"in [{printable(self._group)}:vars] each line is name=value")
        if name in _KNOWN:
            self._tree.group(self._group).variables[name] = _ini_value(name, raw, here)

    def _read_child(self, line: str, here: str) -> None:
        match = _GROUP_NAME.fullmatch(line)
        if match is None:
            raise UsageError(f"in [{printable(self._group)}:children] each line is the name of a group")
        self._mentioned.setdefault(match[1], here)
        self._tree.add_child(self._group, match[1])


def _words(line: str) -> list[str]:
    if not _NEEDS_SHLEX.search(line):
        return line.split()
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        raise UsageError("a quotation does not end, or a backslash stands last") from None


def _ini_value(name: str, raw: str, place: str) -> _Value:
    """A value as Ansible reads it from INI: a Python literal where it is one, else the text."""
    literal: object = raw
    if name not in _PASSWORDS and len(raw) <= LONGEST_LITERAL:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                literal = ast.literal_eval(raw)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            literal = raw
    if literal is None:
        return _Value(place)
    parts = literal if isinstance(literal, list | tuple) else [literal]
    return _value(name, [str(part) for part in parts], place)


# -- YAML ----------------------------------------------------------------------------------------------------------
# A file is read event by event: libyaml's own composer recurses in C, and deep nesting ends the process.


@dataclass(frozen=True, slots=True)
class _Node:
    """A YAML value with its line; `tag` as written (`!vault`), `content` a text, or the nodes inside."""

    line: int
    kind: Literal["text", "null", "list", "map"]
    tag: str | None
    text: str = ""
    inside: list[_Node] = field(default_factory=list)


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_CORE_TAG = "tag:yaml.org,2002:"


def _yaml(text: str, place: str) -> _Node | None:
    """The document as nodes, None where it is empty. Raises UsageError."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _composed(yaml.parse(text, Loader=loader), place)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        here = f"{place}:{mark.line + 1}" if mark else place
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        raise UsageError(f"{here}: not YAML: {printable(str(problem))}") from None


def _composed(events: Iterable[yaml.Event], place: str) -> _Node | None:
    import yaml

    root = _Node(0, "list", None)
    open_nodes, anchors = [root], dict[str, _Node]()
    for count, event in enumerate(events):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if count > MOST_NODES or len(open_nodes) > DEEPEST:
            raise UsageError(f"{place}:{line}: too large, or nested too deeply, for an inventory")
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor = event.anchor or ""
            if anchor not in anchors:
                raise UsageError(f"{place}:{line}: not YAML: the alias *{printable(anchor)} names no anchor")
            open_nodes[-1].inside.append(anchors[anchor])
        elif isinstance(event, yaml.NodeEvent):
            node = _node_of(event, line)
            anchors |= {event.anchor: node} if event.anchor else {}
            open_nodes[-1].inside.append(node)
            open_nodes += [node] if isinstance(event, yaml.CollectionStartEvent) else []
    if len(root.inside) > 1:
        raise UsageError(f"{place}:{root.inside[1].line}: a second YAML document; an inventory is one")
    return root.inside[0] if root.inside else None


def _node_of(event: yaml.NodeEvent, line: int) -> _Node:
    import yaml

    if isinstance(event, yaml.ScalarEvent):
        is_null = event.implicit[0] and event.value in _NULLS
        return _Node(line, "null" if is_null else "text", event.tag, event.value)
    kind: Literal["map", "list"] = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
    return _Node(line, kind, event.tag if isinstance(event, yaml.CollectionStartEvent) else None)


class _YamlReader:
    """Walks nodes; aliases may make few of them into many, or into endless ones, so the steps are counted."""

    def __init__(self, tree: _Tree, place: str) -> None:
        self._tree = tree
        self._place = place
        self._left = MOST_NODES

    def read_groups(self, document: _Node) -> None:
        for name, group in self._pairs(document):
            if name.text == "plugin":
                words = "this configures an inventory plugin: give the output of ansible-inventory -i FILE --list"
                raise _PlacedError(f"{self._at(name)}: {words}")
            self._read_group(name, group, 0)

    def read_variables(self, document: _Node) -> Variables:
        pairs = self._pairs(document, _KNOWN)
        return {name.text: self._value(name.text, value) for name, value in pairs if name.text in _KNOWN}

    def _read_group(self, name: _Node, group: _Node, depth: int) -> None:
        if depth > DEEPEST:
            raise _PlacedError(f"{self._at(group)}: groups are nested too deeply, or stand within themselves")
        made = self._tree.group(name.text)
        for key, content in self._pairs(group):
            if content.kind == "null":
                continue
            if key.text == "hosts":
                self._read_hosts(name.text, content)
            elif key.text == "vars":
                made.variables |= self.read_variables(content)
            elif key.text == "children":
                for child, inside in self._names(content):
                    self._tree.add_child(name.text, child.text)
                    self._read_group(child, inside, depth + 1)
            else:
                known = "known are hosts, children and vars"
                self._tree.notes.append(f"{self._at(key)}: '{printable(key.text)}' in a group is passed over; {known}")

    def _read_hosts(self, group: str, hosts: _Node) -> None:
        for pattern, variables in self._names(hosts):
            try:
                self._tree.add_hosts(pattern.text, group, self.read_variables(variables), self._at(pattern))
            except _PlacedError:
                raise
            except UsageError as error:
                raise _PlacedError(f"{self._at(pattern)}: {error}") from None

    def _names(self, node: _Node) -> Iterator[tuple[_Node, _Node]]:
        """Names with what belongs to them; a single name may stand without a mapping."""
        if node.kind == "text":
            yield node, _Node(node.line, "null", None)
        else:
            yield from self._pairs(node)

    def _pairs(self, node: _Node, single: Container[str] | None = None) -> Iterator[tuple[_Node, _Node]]:
        """Keys and values of a mapping, those of merge keys (`<<`) first. Null is an empty mapping.

        A key of `single` (None: any key) that stands twice is refused: Ansible warns and forgets the first.
        """
        if node.kind == "null":
            return
        if node.kind != "map":
            raise _PlacedError(f"{self._at(node)}: a mapping (name: ...) is expected here")
        own = self._own_pairs(node)
        self._refuse_twice([key for key, _ in own if single is None or key.text in single])
        for key, value in own:
            if key.text == "<<":
                yield from self._merged(value, {one.text for one, _ in own}, 0)
        yield from (pair for pair in own if pair[0].text != "<<")

    def _own_pairs(self, node: _Node) -> list[tuple[_Node, _Node]]:
        pairs = list(zip(node.inside[::2], node.inside[1::2], strict=True))
        self._left -= len(pairs) + 1
        if self._left < 0:
            raise _PlacedError(f"{self._at(node)}: too large for an inventory, its aliases counted")
        for key, _ in pairs:
            if key.kind != "text":
                raise _PlacedError(f"{self._at(key)}: a name is expected here")
        return pairs

    def _refuse_twice(self, keys: Iterable[_Node]) -> None:
        lines: dict[str, int] = {}
        for key in keys:
            if key.text in lines:
                words = f"'{printable(key.text)}' stands here a second time, the first is in line {lines[key.text]}"
                raise _PlacedError(f"{self._at(key)}: {words}")
            lines[key.text] = key.line

    def _merged(self, node: _Node, taken: set[str], depth: int) -> Iterator[tuple[_Node, _Node]]:
        """The pairs that a merge key brings: the mapping's own count more, and of several the first (YAML 1.1)."""
        if depth > DEEPEST:
            raise _PlacedError(f"{self._at(node)}: merge keys are nested too deeply")
        if node.kind == "list":
            self._left -= len(node.inside) + 1
            for one in node.inside:
                yield from self._merged(one, taken, depth + 1)
        elif node.kind == "map":
            own = self._own_pairs(node)
            new = [pair for pair in own if pair[0].text not in taken]
            taken.update(key.text for key, _ in own)
            yield from (pair for pair in new if pair[0].text != "<<")
            for key, value in own:
                if key.text == "<<":
                    yield from self._merged(value, taken, depth + 1)
        else:
            raise _PlacedError(f"{self._at(node)}: only mappings can be merged")

    def _value(self, name: str, node: _Node) -> _Value:
        here = self._at(node)
        parts = node.inside if node.kind == "list" else [node]
        tags = {part.tag for part in (node, *parts)} - {None}
        if any(tag in {"!vault", "!vault-encrypted"} for tag in tags) and name not in _PASSWORDS:
            return _Value(here, fault=_VAULTED)
        strange = [tag for tag in tags if tag and tag not in {"!unsafe", "!"} and not tag.startswith(_CORE_TAG)]
        if name not in _PASSWORDS and (strange or any(part.kind in {"list", "map"} for part in parts)):
            return _Value(here, fault="is neither a text nor a list of texts")
        texts = [part.text for part in parts if part.kind == "text"]
        return _value(name, texts, here, is_literal="!unsafe" in tags)

    def _at(self, node: _Node) -> str:
        return f"{self._place}:{node.line}"


def _read_yaml(document: _Node | None, tree: _Tree) -> None:
    if document is not None:
        _YamlReader(tree, tree.place).read_groups(document)


# -- JSON ----------------------------------------------------------------------------------------------------------


def _read_json(text: str, tree: _Tree) -> bool:
    """Read `ansible-inventory --list` (True: all variables are in it already), or the YAML form written as JSON."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{tree.place}:{error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{tree.place}: not JSON: nested too deeply, or a number of thousands of digits") from None
    if not isinstance(document, dict):
        raise UsageError(f"{tree.place}: no inventory: an object with groups is expected")
    if not _is_list_output(document):
        _read_yaml(_yaml(text, tree.place), tree)
        return False
    _ListOutput(text, tree).read(document)
    return True


def _is_list_output(document: Mapping[str, object]) -> bool:
    parts = [part for group in document.values() for part in _lists_of(group)]
    return "_meta" in document or any(isinstance(part, list) for part in parts)


def _lists_of(group: object) -> Iterator[object]:
    if isinstance(group, dict):
        yield from (group.get(key) for key in ("hosts", "children"))
    else:
        yield group


class _ListOutput:
    """The output format of inventory scripts and of `ansible-inventory --list` (names are names, no ranges)."""

    def __init__(self, text: str, tree: _Tree) -> None:
        self._text = text
        self._tree = tree
        self._position, self._line = 0, 1

    def read(self, document: Mapping[str, object]) -> None:
        for name, content in document.items():
            if name != "_meta":
                self._read_group(name, content if isinstance(content, dict) else {"hosts": content})
        meta = document.get("_meta")
        variables = meta.get("hostvars") if isinstance(meta, dict) else None
        self._position, self._line = 0, 1
        for name, own in self._mapping(variables or {}, "hostvars").items():
            host = self._host(name, "ungrouped")
            host.place = self._at(name)
            host.variables |= self._variables(name, own)

    def _read_group(self, name: str, content: Mapping[str, object]) -> None:
        for host in self._names(content.get("hosts"), name):
            self._host(host, name)
        for child in self._names(content.get("children"), name):
            self._tree.add_child(name, child)
        self._tree.group(name).variables |= self._variables(name, content.get("vars") or {})

    def _host(self, name: str, group: str) -> _Host:
        host = self._tree.hosts.setdefault(name, _Host(self._tree.place))
        host.groups[group] = None
        return host

    def _names(self, part: object, owner: str) -> list[str]:
        if part is None:
            return []
        if not isinstance(part, list) or not all(isinstance(one, str) for one in part):
            raise UsageError(f"{self._at(owner)}: the group '{printable(owner)}' must list names")
        return part

    def _variables(self, owner: str, variables: object) -> Variables:
        own = self._mapping(variables, owner)
        return {name: self._value(owner, name, value) for name, value in own.items() if name in _KNOWN}

    def _value(self, owner: str, name: str, value: object) -> _Value:
        here = self._at(owner, name)
        if isinstance(value, dict) and isinstance(value.get("__ansible_unsafe"), str):
            return _value(name, [value["__ansible_unsafe"]], here, is_literal=True)
        parts = value if isinstance(value, list) else [value]
        if name not in _PASSWORDS and any(isinstance(part, dict | list) for part in parts):
            is_vaulted = any(isinstance(part, dict) and "__ansible_vault" in part for part in parts)
            return _Value(here, fault=_VAULTED if is_vaulted else "is neither a text nor a list of texts")
        return _value(name, [str(part) for part in parts if part is not None], here)

    def _mapping(self, value: object, owner: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise UsageError(f"{self._at(owner)}: an object is expected for '{printable(owner)}'")
        return value

    def _at(self, owner: str, name: str | None = None) -> str:
        """Where a variable of an owner stands. JSON keeps no lines: they are looked up in the text, going forward."""
        found = self._text.find(f"{json.dumps(owner)}:", self._position)
        if found > self._position:
            self._line += self._text.count("\n", self._position, found)
            self._position = found
        inner = self._text.find(f"{json.dumps(name)}:", self._position) if name else -1
        return (
            f"{self._tree.place}:{self._line + self._text.count(chr(10), self._position, max(inner, self._position))}"
        )


# -- group_vars and host_vars --------------------------------------------------------------------------------------

_VARIABLE_SUFFIXES = ("", ".yml", ".yaml", ".json")


def _read_beside(folder: Path, tree: _Tree) -> None:
    """Ansible's variable files next to the inventory: of one name the first of NAME, NAME.yml, NAME.yaml, NAME.json."""
    for kind, owners in (("group_vars", tree.groups), ("host_vars", tree.hosts)):
        names = _listing(folder / kind)
        for owner, entry in owners.items() if names else ():
            found = next((names[owner + end] for end in _VARIABLE_SUFFIXES if owner + end in names), None)
            if found is None:
                continue
            for file in _variable_files(found, 0):
                variables = _read_variable_file(file, tree)
                if isinstance(entry, _Group):
                    entry.from_files |= variables
                else:
                    entry.variables |= variables


def _listing(folder: Path) -> dict[str, Path]:
    """What stands in a folder; names come from here only, so that no group's name leads elsewhere."""
    try:
        return {path.name: path for path in sorted(folder.iterdir())}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror or error}") from None


def _variable_files(path: Path, depth: int) -> Iterator[Path]:
    if not path.is_dir():
        yield path
    elif depth < DEEPEST:
        for name, inside in _listing(path).items():
            is_wanted = not name.startswith(".") and not name.endswith("~")
            if is_wanted and inside.suffix in (("",) if inside.is_dir() else _VARIABLE_SUFFIXES):
                yield from _variable_files(inside, depth + 1)


def _read_variable_file(path: Path, tree: _Tree) -> Variables:
    try:
        with path.open("rb") as stream:
            data = stream.read(VARIABLE_FILE_SIZE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    if len(data) > VARIABLE_FILE_SIZE:
        raise UsageError(f"{path}: larger than {VARIABLE_FILE_SIZE // 1024 // 1024} MB")
    if text.startswith("$ANSIBLE_VAULT;"):
        tree.notes.append(
            f"{path} is vaulted and passed over: what it says of users, ports and transports is not known"
        )
        return {}
    document = _yaml(text, str(path))
    return _YamlReader(tree, str(path)).read_variables(document) if document is not None else {}


# -- from hosts to endpoints ---------------------------------------------------------------------------------------


def _asked(tree: _Tree, defaults: Defaults) -> Found:
    tree.settle()
    every = [(name, host, tree.variables(host)) for name, host in tree.hosts.items()]
    connections = [_connection(variables) for _, _, variables in every]
    unsaid = "winrm" if not _PLUGINS.keys() & set(connections) else "ssh, as Ansible's default"
    servers: list[tuple[Endpoint, str]] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for (name, host, variables), connection in zip(every, connections, strict=True):
        if (connection or unsaid) not in _PLUGINS:
            left_out[connection or unsaid] += 1
            continue
        seen |= variables.keys() - {one for one in _VALIDATIONS & variables.keys() if not _ignores(variables[one])}
        servers.append((_endpoint(name, host, variables, connection, defaults), host.place))
    return Found(servers, [*tree.notes, *_notes(tree.place, left_out, seen, empty=not servers)])


def _connection(variables: Variables) -> str | None:
    """The plugin's name without its collection: `ansible.builtin.winrm` is winrm."""
    value = variables.get(_CONNECTION)
    text = _text(value, _CONNECTION) if value else None
    return text.rpartition(".")[2] if text else None


def _ignores(value: _Value) -> bool:
    return value.texts == ("ignore",)


def _notes(place: str, left_out: Counter[str], seen: set[str], *, empty: bool) -> Iterator[str]:
    if left_out:
        kinds = ", ".join(f"{count} {printable(kind)}" for kind, count in left_out.most_common())
        count = sum(left_out.values())
        subject = "1 host is" if count == 1 else f"{count} hosts are"
        yield f"{place}: {subject} not asked, ansible_connection is neither winrm nor psrp: {kinds}"
    if empty and not left_out:
        yield f"{place}: no host is named"
    if seen & _PASSWORDS:
        yield f"{place}: passwords of an inventory are not read; they come from a prompt or --password-stdin"
    if seen & _VALIDATIONS:
        yield f"{place}: certificates are always validated, 'ignore' is not honoured; name the authority with --ca FILE"
    if seen & _NOT_READ:
        yield f"{place}: not honoured: {', '.join(sorted(seen & _NOT_READ))}"


def _text(value: _Value, name: str) -> str | None:
    """The one text of a value, None for null. Raises UsageError where it cannot be used."""
    if value.fault is not None:
        raise _PlacedError(f"{value.place}: {name} {value.fault}")
    if len(value.texts) > 1 or any(not text.isprintable() for text in value.texts):
        raise _PlacedError(f"{value.place}: {name} is not one line of text")
    return value.texts[0] if value.texts and value.texts[0] else None


def _last(variables: Variables, names: Sequence[str]) -> str | None:
    """Of the variables for one thing the last that is set, as Ansible takes it."""
    texts = [_text(variables[name], name) for name in names if name in variables]
    return next((text for text in reversed(texts) if text), None)


def _endpoint(name: str, host: _Host, variables: Variables, connection: str | None, defaults: Defaults) -> Endpoint:
    plugin = _PLUGINS[connection or "winrm"]
    try:
        port, tls = _port_and_tls(name, variables, plugin, defaults if connection else None)
        return defaults.endpoint(
            name,
            host_of(_last(variables, plugin.host) or name),
            port=port,
            tls=tls,
            transport=_transport(variables, plugin.transport),
            user=_last(variables, plugin.user),
            kerberos_host=_kerberos_host(_last(variables, [plugin.kerberos_host])),
        )
    except _PlacedError:
        raise
    except UsageError as error:
        raise UsageError(f"{host.place}: {printable(name)}: {error}") from None


def _port_and_tls(
    name: str, variables: Variables, plugin: _Plugin, defaults: Defaults | None
) -> tuple[int | None, bool | None]:
    """What the inventory says of both, None for what it leaves open.

    Where winrm or psrp is said (`defaults`), Ansible's own rule holds: TLS unless the port is 5985, which is not the
    default.
    """
    text = _last(variables, plugin.port)
    port = port_of(text, f"{name}:{text}") if text else None
    scheme = _last(variables, [plugin.scheme])
    if scheme not in {None, "http", "https"}:
        raise UsageError(f"{plugin.scheme} is http or https, not '{printable(scheme or '')}'")
    if scheme is not None:
        return port, scheme == "https"
    if defaults is None:
        return port, None
    port = port or defaults.port
    return port, defaults.tls or port != HTTP_PORT


_TRANSPORTS: dict[str, Transport] = {
    "kerberos": "kerberos",
    "ntlm": "ntlm",
    "credssp": "credssp",
    "certificate": "certificate",
    "basic": "basic",
    "ssl": "basic",
    "negotiate": "auto",
}
"""pywinrm's and pypsrp's words. Its `ssl` is Basic within TLS, or the client's certificate where one is named."""


def _transport(variables: Variables, name: str) -> Transport | None:
    """The transport, None where none is said; of several, `auto` where it tries the same ones, else the first."""
    value = variables.get(name)
    if value is None:
        return None
    if value.fault is not None:
        raise _PlacedError(f"{value.place}: {name} {value.fault}")
    words = [word.strip() for text in value.texts for word in text.lower().split(",") if word.strip()]
    for word in words:
        if word == "plaintext":
            raise _PlacedError(f"{value.place}: {name}: plaintext sends the password in clear; use kerberos or ntlm")
        if word not in _TRANSPORTS:
            raise _PlacedError(f"{value.place}: {name}: '{printable(word)}' is no transport that is known here")
    has_certificate = "ansible_winrm_cert_pem" in variables
    found: list[Transport] = ["certificate" if w == "ssl" and has_certificate else _TRANSPORTS[w] for w in words]
    if len(set(found)) > 1 and set(found) <= {"auto", "kerberos", "ntlm"}:
        return "auto"
    return found[0] if found else None


def _kerberos_host(text: str | None) -> str | None:
    return host_of(text) if text else None
