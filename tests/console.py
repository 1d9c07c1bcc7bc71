r"""An administrator who types what the plan prints: `setspn`, `appcmd` and `dnscmd`, done to copies of the files.

Only the printed words count, never the model's fields. Like the real programs it refuses what does not fit the state:
`setspn -S` finds a duplicate, `dnscmd` knows only the zones it serves, `appcmd` only the sites there are. Sources:
`setspn /?`, `dnscmd /?`, [MC-IISA] 3.1.4 (where a section is written), Microsoft's pages on `<location>`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cmd_reader
from inputs import Inputs
from lxml import etree
from worlds import readers_of

from agent.names import Spn


class Refused(Exception):  # noqa: N818  the program's answer, not a fault of the test
    """The program would answer with an error."""


def typed(command: str, on: Inputs, server: str | None = None, *, unique: bool = True) -> None:
    """Type one printed line: at `server` where it has one, else at any machine of the domain. Raises Refused.

    `unique` False: neither setspn nor the domain controller looks for a second holder.
    """
    line = command.replace("%windir%", r"C:\Windows")
    for part in cmd_reader._parts(line):
        program, *arguments = cmd_reader.arguments(part.strip())
        name = program.lower().rpartition("\\")[2].removesuffix(".exe")
        if name == "appcmd":
            _appcmd(arguments, on, server)
        elif name == "setspn":
            _setspn(arguments, on, unique=unique)
        elif name == "dnscmd":
            _dnscmd(arguments, on)
        elif program == "Set-ADServiceAccount":
            _set_readers(arguments, on)
        else:
            raise Refused(f"'{program}' is not recognized as an internal or external command")


# -- setspn --------------------------------------------------------------------------------------------------------


def _setspn(arguments: list[str], on: Inputs, *, unique: bool) -> None:
    switches = {word.upper() for word in arguments if word.startswith("-")}
    names = [word for word in arguments if not word.startswith("-")]
    (action,) = switches - {"-F", "-C", "-U"}
    value, target = names
    directory = [Ldif(path) for path in on.directory]
    account = _account(directory, target, switches & {"-C", "-U"})
    held = [one for file in directory for one in file.entries if one.holds(value)]
    if action == "-S":
        if "-F" not in switches:
            raise Refused("only this domain would be searched for a duplicate")
        if held and (unique or account in held):
            raise Refused(f"Duplicate SPN found, aborting operation! {held[0].dn}")
        account.add(value)
    elif action == "-D":
        account.remove(value)
    else:
        raise Refused(f"the plan does not use {action}")
    for file in directory:
        file.write()


def _account(directory: Iterable[Ldif], target: str, kinds: set[str]) -> Entry:
    r"""`DOMAIN\name` or a bare name: `-C` a computer, `-U` a user, else a computer before a user of that name."""
    domain, _, name = target.rpartition("\\")
    files = list(directory)
    entries = [entry for file in files for entry in file.entries if entry.account]
    suffixes = _domains(files)
    if domain:
        entries = [e for e in entries if suffixes.get(e.domain, e.domain.partition(".")[0]).lower() == domain.lower()]
    wanted = [f"{name.removesuffix('$')}$", name] if not kinds else [f"{name}$"] if kinds == {"-C"} else [name]
    for each in dict.fromkeys(wanted):
        found = [e for e in entries if e.account.lower() == each.lower() and (kinds != {"-U"} or not e.is_computer)]
        if len(found) > 1:
            raise Refused(f"{target} is more than one account")
        if found:
            return found[0]
    raise Refused(f"FindDomainForAccount: could not find account {target}")


def _domains(directory: Iterable[Ldif]) -> Mapping[str, str]:
    """NetBIOS names by DNS domain, as far as the partitions were exported."""
    found = {}
    for file in directory:
        for entry in file.entries:
            if entry.values("nCName") and entry.values("nETBIOSName"):
                found[_dns_of(entry.values("nCName")[0])] = entry.values("nETBIOSName")[0]
    return found


def _dns_of(dn: str) -> str:
    return ".".join(re.findall(r"(?:^|,)DC=([^,]+)", dn, re.IGNORECASE)).lower()


def holders(on: Inputs, value: Spn) -> list[str]:
    """The distinguished names of the accounts that hold an SPN."""
    return [entry.dn for path in on.directory for entry in Ldif(path).entries if entry.holds(value.text)]


def _set_readers(arguments: list[str], on: Inputs) -> None:
    """In PowerShell: the list of who may read a gMSA's password is replaced by this one."""
    name, parameter, listed = arguments
    if parameter != "-PrincipalsAllowedToRetrieveManagedPassword":
        raise Refused(f"the plan does not use {parameter}")
    files = [Ldif(path) for path in on.directory]
    entries = [entry for file in files for entry in file.entries]
    (account,) = [entry for entry in entries if entry.account.lower() == f"{name}$".lower()]
    sids = [_sid_of(reader, entries) for reader in listed.split(",")]
    account.replace("msDS-GroupMSAMembership", readers_of(sids))
    for file in files:
        file.write()


def _sid_of(reader: str, entries: Iterable[Entry]) -> bytes:
    for entry in entries:
        if entry.sid and reader.lower() in {entry.account.lower(), sid_text(entry.sid).lower()}:
            return entry.sid
    raise Refused(f"Cannot find an object with identity: '{reader}'")


def sid_text(sid: bytes) -> str:
    """`S-1-5-21-...`"""
    parts = [int.from_bytes(sid[at : at + 4], "little") for at in range(8, len(sid), 4)]
    return "-".join(map(str, ("S-1", int.from_bytes(sid[2:8], "big"), *parts)))


class Entry:
    """One entry of an LDIF: its lines, unfolded."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in map(_value, self.lines) if name == attribute.lower()]

    @property
    def dn(self) -> str:
        return next(iter(self.values("dn")), "")

    @property
    def account(self) -> str:
        return next(iter(self.values("sAMAccountName")), "")

    @property
    def domain(self) -> str:
        return _dns_of(self.dn)

    @property
    def sid(self) -> bytes:
        for line in self.lines:
            if line.lower().startswith("objectsid:: "):
                return base64.b64decode(line.partition(":: ")[2])
        return b""

    def replace(self, attribute: str, value: bytes) -> None:
        gone = attribute.lower()
        self.lines = [line for line in self.lines if line.partition(":")[0].lower() != gone]
        self.lines.append(f"{attribute}:: {base64.b64encode(value).decode()}")

    @property
    def is_computer(self) -> bool:
        return "computer" in self.values("objectClass")

    def holds(self, value: str) -> bool:
        return value.lower() in map(str.lower, self.values("servicePrincipalName"))

    def add(self, value: str) -> None:
        self.lines.append(f"servicePrincipalName:: {base64.b64encode(value.encode()).decode()}")

    def remove(self, value: str) -> None:
        if not self.holds(value):
            raise Refused(f"{self.dn} does not hold {value}")
        gone = ("serviceprincipalname", value.lower())
        self.lines = [line for line in self.lines if (_value(line)[0], _value(line)[1].lower()) != gone]


def _value(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or name.startswith("#"):
        return "", ""
    if value.startswith(":"):
        return name.lower(), base64.b64decode(value[1:].strip()).decode("utf-8", "surrogateescape")
    return name.lower(), value.strip()


class Ldif:
    """A file of entries (RFC 2849), written back line by line as it was, but not folded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\n ", "")
        self.entries = [Entry(block.split("\n")) for block in re.split(r"\n{2,}", text.strip("\n"))]

    def write(self) -> None:
        self.path.write_text("\n\n".join("\n".join(entry.lines) for entry in self.entries) + "\n", encoding="utf-8")


# -- appcmd --------------------------------------------------------------------------------------------------------


def _appcmd(arguments: list[str], on: Inputs, server: str | None) -> None:
    verb, kind, place, *options = arguments
    if (verb, kind) in {("set", "apppool"), ("set", "site")}:
        host = _Host(on.folder / "servers" / (server or ""))
        host.set_pool(place, options) if kind == "apppool" else host.set_bindings(place, options)
        for copy in host.copies(on.servers):
            copy.write_bytes(host.path.read_bytes())
        return
    section, settings, commit = "", {}, ""
    for option in options:
        name, _, value = option[1:].partition(":")
        if name == "section":
            section = value
        elif name == "commit":
            commit = value
        else:
            settings[name] = value
    if verb not in {"set", "clear"} or kind != "config" or commit not in {"", "apphost"} or not settings:
        raise Refused(f"the plan does not use {arguments}")
    folder = on.folder / "servers" / (server or "")
    host = _Host(folder)
    application = host.application_above(place)
    if commit:
        host.clear(place, section, settings) if verb == "clear" else host.set(place, section, settings)
        for copy in host.copies(on.servers):
            copy.write_bytes(host.path.read_bytes())
    else:
        written = _Configuration(host.web_config(application))
        written.set("", section, settings)
        for copy in host.copies_of(written.path, on.servers):
            copy.write_bytes(written.path.read_bytes())


class _Configuration:
    """One configuration file; where it is not there, an empty one comes to be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = etree.fromstring(path.read_bytes() if path.exists() else b"<configuration />")

    def set(self, place: str, section: str, settings: Mapping[str, str]) -> None:
        """Write attributes of the section of a path: a section stands once for each path of a file."""
        homes = list(self._homes(place))
        present = [found for home in homes if (found := home.find(section)) is not None]
        node = present[0] if present else self._new(homes, place, section)
        for name, value in settings.items():
            node.set(name, value)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(etree.tostring(self.root))

    def clear(self, place: str, section: str, names: Iterable[str]) -> None:
        """Take attributes out of the section of a path; what is inherited holds then."""
        for home in self._homes(place):
            if (node := home.find(section)) is not None:
                for name in names:
                    node.attrib.pop(name, None)
        self.path.write_bytes(etree.tostring(self.root))

    def _homes(self, place: str) -> Iterator[etree._Element]:
        if not place:
            yield self.root
        for location in self.root.findall("location"):
            path = location.get("path", "").strip("/")
            if (path if path != "." else "").lower() == place.lower():
                yield location

    def _new(self, homes: Iterable[etree._Element], place: str, section: str) -> etree._Element:
        plain = [home for home in homes if set(home.keys()) <= {"path"}]
        node = plain[0] if plain else etree.SubElement(self.root, "location", path=place)
        for tag in section.split("/"):
            child = node.find(tag)
            node = etree.SubElement(node, tag) if child is None else child
        return node


_BINDING = re.compile(r"/([+-])bindings\.\[protocol='(\w+)',bindingInformation='([^']+)'\]")


class _Host(_Configuration):
    """The applicationHost.config that is in force in a snapshot folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise Refused(f"no machine {folder.name}")
        self.shared = _shared(folder)
        path = _below(folder, f"{self.shared}/applicationHost.config" if self.shared else "applicationHost.config")
        if not path.exists():
            raise Refused(f"cannot read configuration file {path}")
        super().__init__(path)

    def set_pool(self, name: str, options: Iterable[str]) -> None:
        """`set apppool`: attributes of its processModel; an empty value is as if it were not there."""
        found = [node for node in self.root.iterfind(".//applicationPools/add") if node.get("name") == name]
        if not found:
            raise Refused(f"Cannot find APPPOOL object with identifier {name}")
        for option in options:
            key, _, value = option.removeprefix("/processModel.").partition(":")
            model = found[0].find("processModel")
            model = etree.SubElement(found[0], "processModel") if model is None else model
            model.set(key, value)
            if not value:
                del model.attrib[key]
        self.path.write_bytes(etree.tostring(self.root))

    def set_bindings(self, name: str, options: Iterable[str]) -> None:
        """`set site`: one binding more (`/+`), or one less (`/-`)."""
        found = [node for node in self.root.iter("site") if node.get("name") == name]
        if not found:
            raise Refused(f"Cannot find SITE object with identifier {name}")
        for option in options:
            match = _BINDING.fullmatch(option)
            if match is None:
                raise Refused(f"the plan does not use {option}")
            sign, protocol, information = match.groups()
            bindings = found[0].find("bindings")
            same = [b for b in bindings if (b.get("protocol"), b.get("bindingInformation")) == (protocol, information)]
            if (sign == "+") == bool(same):
                raise Refused(f"Cannot add or remove the binding {information}")
            if sign == "+":
                etree.SubElement(bindings, "binding", protocol=protocol, bindingInformation=information)
            for node in same:
                bindings.remove(node)
        self.path.write_bytes(etree.tostring(self.root))

    def copies(self, folders: Iterable[Path]) -> Iterator[Path]:
        """The same file in the snapshots of the other servers that read it from the share."""
        for folder in folders:
            if self.shared.startswith("files/UNC/") and folder != self.folder:
                shared = _shared(folder)
                if shared.lower() == self.shared.lower():
                    yield _below(folder, f"{shared}/applicationHost.config")

    def copies_of(self, path: Path, folders: Iterable[Path]) -> Iterator[Path]:
        """A web.config on a share, in the snapshots of the other servers whose sites read it there."""
        relative = path.relative_to(self.folder).as_posix()
        for folder in folders:
            copy = _below(folder, relative)
            if relative.lower().startswith("files/unc/") and folder != self.folder and copy.exists():
                yield copy

    def application_above(self, place: str) -> etree._Element:
        """The application that a path of a site is in: a section can be set for any path below one."""
        while True:
            try:
                return self.application(place)
            except Refused:
                if "/" not in place:
                    raise
                place = place.rpartition("/")[0]

    def application(self, place: str) -> etree._Element:
        """The application of exactly this path, as an appcmd object."""
        name, _, rest = place.partition("/")
        for site in self.root.iter("site"):
            for application in site.iter("application"):
                path = application.get("path", "")
                if site.get("name", "").lower() == name.lower() and path.lower() == f"/{rest}".lower():
                    return application
        raise Refused(f"Cannot find SITE object or application with identifier {place}")

    def web_config(self, application: etree._Element) -> Path:
        (root,) = [node for node in application.iter("virtualDirectory") if node.get("path") == "/"]
        return _below(self.folder, f"{_place_of(root.get('physicalPath', ''))}/web.config")


def _shared(folder: Path) -> str:
    """Where below the snapshot the shared configuration stands, "" where it is not shared."""
    path = _below(folder, "redirection.config")
    if not path.exists():
        return ""
    node = etree.fromstring(path.read_bytes()).find("configurationRedirection")
    is_on = node is not None and node.get("enabled", "false").lower() == "true"
    return _place_of(node.get("path", "")) if node is not None and is_on else ""


def _place_of(physical: str) -> str:
    physical = re.sub("%systemdrive%", "C:", physical, flags=re.IGNORECASE)
    return "files/" + re.sub(r"^\\\\", "UNC/", physical).replace(":", "").replace("\\", "/").rstrip("/")


def _below(folder: Path, relative: str) -> Path:
    """A file of a snapshot: names of Windows have no case."""
    for name in relative.split("/"):
        present = {path.name.lower(): path for path in folder.iterdir()} if folder.is_dir() else {}
        folder = present.get(name.lower(), folder / name)
    return folder


# -- dnscmd --------------------------------------------------------------------------------------------------------


def _dnscmd(arguments: list[str], on: Inputs) -> None:
    action, zone, node, kind, *rest = arguments
    for path in on.zones:
        file = Zone(path)
        if zone.lower().rstrip(".") in file.served:
            owner = _absolute(node, f"{zone.rstrip('.')}.")
            if action == "/RecordDelete":
                file.delete(owner, kind, *(word for word in rest if word != "/f"))
            elif action == "/RecordAdd":
                file.add(owner, kind, rest[0])
            else:
                raise Refused(f"the plan does not use {action}")
            return file.write()
    raise Refused(f"DNS_ERROR_ZONE_DOES_NOT_EXIST: {zone}")


def _absolute(name: str, origin: str) -> str:
    return origin if name == "@" else name if name.endswith(".") else f"{name}.{origin}"


@dataclass
class Record:
    """One line of a zone with what it says of names: `kind` is "" for a line that is no record of an address."""

    line: str
    owner: str
    kind: str


class Zone:
    """A master file (RFC 1035 section 5), changed line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self.served: set[str] = set()
        origin, owner, depth = f"{path.name.removesuffix('.dns')}.", "", 0
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.partition(";")[0]
            words = text.split()
            inside, depth = depth > 0, depth + text.count("(") - text.count(")")
            if inside or not words or words[0].startswith("$"):
                origin = words[1] if words and words[0] == "$ORIGIN" else origin
                self.records.append(Record(line, "", ""))
                continue
            if not text[0].isspace():
                owner = _absolute(words.pop(0), origin)
            kinds = [word.upper() for word in words if not word.isdigit() and word.upper() != "IN"]
            self.records.append(Record(line, owner.lower(), kinds[0]))
            if kinds[0] == "SOA":
                self.served.add(owner.lower().rstrip("."))

    def delete(self, owner: str, kind: str, data: str = "") -> None:
        """All records of a kind, or the one with this data."""
        gone = [one for one in self.records if (one.owner, one.kind) == (owner.lower(), kind.upper())]
        gone = [one for one in gone if data in {"", one.line.split()[-1]}]
        if not gone:
            raise Refused(f"DNS_ERROR_RECORD_DOES_NOT_EXIST: {owner} {kind}")
        self.records = [one for one in self.records if one not in gone]

    def add(self, owner: str, kind: str, data: str) -> None:
        there = {one.kind for one in self.records if one.owner == owner.lower()}
        if there and ("CNAME" in there or kind.upper() == "CNAME"):
            raise Refused(f"DNS_ERROR_CNAME_COLLISION: {owner}")
        if kind.upper() == "CNAME" and not data.endswith("."):
            raise Refused("a relative name: it would lead below the zone")
        self.records.append(Record(f"{owner} {kind} {data}", owner.lower(), kind.upper()))

    def write(self) -> None:
        """Every owner in full, so that no line leans on the one before it."""
        lines = [f"{one.owner} {one.line}" if one.line[:1].isspace() and one.kind else one.line for one in self.records]
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
