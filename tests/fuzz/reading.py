"""Readers of files and words, each as a function that takes bytes, and the judgement that follows."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.change.journal import Files, Journal, Record
from agent.checks.accept import Wildcard
from agent.cli.formats import known_by
from agent.cli.line import read as read_line
from agent.errors import IisSpnError
from agent.evidence.tokens import challenges, read_bytes, read_token
from agent.iis.redirection import APPLICATION_HOST, REDIRECTION_FILE
from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.model import Report
from agent.names import account_name, address_of, host_fault, host_name, printable, spn, spn_fault, user_name
from agent.render.screen import Screen
from agent.sources.ad.exports import read_exports
from agent.sources.ad.locate import parse_target
from agent.sources.certificates import dns_names
from agent.sources.dns import live
from agent.sources.dns.zone import read_zones
from agent.sources.endpoint import Defaults
from agent.sources.inventory import servers
from agent.sources.names_file import names_file
from agent.sources.option_files import accept_file, farm_file, want_file
from agent.sources.security_context import channel_bindings
from agent.sources.snapshots import targets
from agent.sources.snapshots.blanking import blanked
from agent.sources.snapshots.framed import unframe
from agent.sources.snapshots.machine_file import read_machine
from agent.sources.snapshots.sweep_file import read_sweep
from agent.spn.nameservice import NameService
from agent.story import explain, read_url

SAMPLES = Path(__file__).parents[2] / "sample_configs"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
URL = "http://intranet.test.com/"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


MACHINE, _ = read_machine(SourceFile("machine.json", sample("IIS01/machine.json")))
SMALL = b"""<configuration>
<configSections><sectionGroup name="system.webServer"><sectionGroup name="security">
<sectionGroup name="authentication"><section name="windowsAuthentication" overrideModeDefault="Allow" /></sectionGroup>
</sectionGroup></sectionGroup></configSections>
<system.applicationHost><applicationPools>
<add name="P"><processModel identityType="SpecificUser" userName="TEST\\contososvc" /></add>
</applicationPools><sites><site name="Intranet" id="1">
<application path="/" applicationPool="P"><virtualDirectory path="/" physicalPath="C:\\web" /></application>
<bindings><binding protocol="http" bindingInformation="*:80:intranet.test.com" /></bindings>
</site></sites></system.applicationHost>
<system.webServer><security><authentication><windowsAuthentication enabled="true">
<providers><add value="Negotiate" /></providers>
</windowsAuthentication></authentication></security></system.webServer>
</configuration>
"""
"""One site with Windows authentication."""


# -- what comes after reading --------------------------------------------------------------------------------------


def judged(snapshot: Snapshot, **sources: Any) -> None:
    """The report and the explanation in every format: no fault of ours, no control character, read back the same."""
    url = read_url(URL)
    analysis = analyse([snapshot], Sources(now=NOW, typed=[url.typed], **sources))
    for told in (*analysis.report.findings, *(each for one in analysis.report.servers for each in one.problems)):
        assert told.id != "internal-error", told.message
    _written(analysis.report, "inspect")
    _written(analysis.report, "plan")
    _written(explain(analysis, URL), "explain")
    text = analysis.report.to_json()
    assert Report.from_json(text).to_json() == text


def _written(report: Report, command: Any) -> None:
    for form in known_by(command).values():
        text = "".join(form.pieces(report, Screen(80, False)))
        text.encode(form.encoding)
        for line in text.replace("\r\n", "\n").split("\n"):
            assert printable(line) == line, f"{command} {form.name}: {line!r}"


def server(files: Mapping[str, bytes] = MappingProxyType({}), machine: Machine = MACHINE) -> Snapshot:
    """A server of one site, and with these files besides or in their place."""
    every = {APPLICATION_HOST: SMALL, **files}
    files = {name: SourceFile(name, data) for name, data in every.items()}
    return Snapshot(source="IIS01", machine=machine, files=files, problems=())


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def file(data: bytes, name: str = "file") -> Iterator[Path]:
    with folder() as place:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        yield path


# -- configuration -------------------------------------------------------------------------------------------------


def configuration(data: bytes) -> None:
    judged(server({APPLICATION_HOST: data}))


def web_config(data: bytes) -> None:
    judged(server({"files/c/web/web.config": data}))


def redirection(data: bytes) -> None:
    judged(server({REDIRECTION_FILE: data}))


def emptied(data: bytes) -> None:
    """What has been emptied of secrets once has none left."""
    once = blanked(data)
    assert blanked(once) == once


# -- snapshots -----------------------------------------------------------------------------------------------------


def machine(data: bytes) -> None:
    found, _problems = read_machine(SourceFile("machine.json", data))
    judged(server(machine=found))


def document(data: bytes) -> None:
    judged(targets.from_document(data, "IIS01", "IIS01", {}))


def packed(data: bytes) -> None:
    document(gzip.compress(data, 1, mtime=0))


def frame(data: bytes) -> None:
    document(unframe(data, "IIS01.snapshot"))


def kept(data: bytes) -> None:
    """A snapshot folder: each part after the first begins with the line that names its file."""
    with folder() as place:
        for part in data.split(b"\n== "):
            name, _, text = part.partition(b"\n")
            path = place / "IIS01" / name.decode("latin-1")
            with contextlib.suppress(OSError, ValueError):  # a name that no file can have
                if path.resolve().is_relative_to(place / "IIS01"):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(text)
        judged(targets.read_target(place / "IIS01", None, {}))


def record(data: bytes) -> None:
    with file(data, "sweep.json") as path:
        read_sweep(path.parent)


# -- directory and names -------------------------------------------------------------------------------------------


def directory(data: bytes) -> None:
    with file(data) as path:
        judged(server(), directory=lambda question: read_exports([path], question))


def zone(data: bytes) -> None:
    with file(data, "test.com.dns") as path:
        found: NameService = read_zones([path])
        judged(server(), names=lambda _hosts, _addresses: found)


def certificate(data: bytes) -> None:
    dns_names(data)
    channel_bindings(data)


def token(data: bytes) -> None:
    """As a header has it, or out of its base64; nothing in it looks whole and is not of its kind."""
    text = data.decode("latin-1")
    for found in (read_token(text), read_bytes(data), *(read_token(each.text) for each in challenges(text))):
        assert found.facts.known or found.unread


ACCOUNTS = b"""dn: DC=test,DC=com
objectClass: domainDNS

dn: CN=IIS01,DC=test,DC=com
objectClass: computer
sAMAccountName: IIS01$
servicePrincipalName: HOST/iis01.test.com

dn: CN=svc,DC=test,DC=com
objectClass: user
sAMAccountName: svc
"""

# -- options -------------------------------------------------------------------------------------------------------


def farm(data: bytes) -> None:
    with file(data) as path:
        judged(server(), farm=farm_file(path))


def config(data: bytes) -> None:
    """For commands with different options: what one has, another passes over."""
    with file(data) as path:
        for command in ("inspect", "collect"):
            read_line([command, "a", "--config", str(path)])


def want(data: bytes) -> None:
    """With a directory that has the accounts, so that there are steps."""
    with file(data) as path, file(ACCOUNTS) as accounts:
        judged(server(), wants=want_file(path), directory=lambda question: read_exports([accounts], question))


def accept(data: bytes) -> None:
    with file(data) as path:
        judged(server(), accepted=accept_file(path))


def names(data: bytes) -> None:
    with file(data) as path:
        judged(server(), logged=[names_file(path)])


def inventory(name: str) -> Callable[[bytes], None]:
    """An inventory that is called so; what is beside an inventory is read from below `group_vars`."""

    def read(data: bytes) -> None:
        with file(data, name) as path:
            if path.parent.name == "group_vars":
                path = path.parent.parent / "hosts.ini"
                path.write_bytes(b"[iis]\nweb01\nweb02 ansible_port=5986\n")
            servers.read_inventory(path, Defaults())

    return read


def line(data: bytes) -> None:
    """A command line, a word in each line; read, not carried out."""
    words = data.decode("utf-8", "surrogateescape").split("\n")
    quiet = io.StringIO()
    # --help ends the program
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), contextlib.suppress(SystemExit):
        read_line(words)


def word(data: bytes) -> None:
    """A word through everything that reads words; `account_name` raises ValueError for what has no domain."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError):
        account_name(text)
    for reader in _WORDS:
        with contextlib.suppress(IisSpnError):
            reader(text)


_WORDS: tuple[Callable[[str], object], ...] = (
    lambda text: servers.words([text], Defaults()),
    lambda text: host_fault(host_name(text)),
    lambda text: str(host_name(text)),
    lambda text: (spn_fault(text), spn(text).host, spn(text).port),
    lambda text: user_name(text, "IIS01"),
    lambda text: Wildcard(text).matches(text + text),
    address_of,
    printable,
    read_url,
    parse_target,
    live.endpoint,
)


# -- what this program wrote ---------------------------------------------------------------------------------------


def report(data: bytes) -> None:
    Report.from_json(data)


def journal(data: bytes) -> None:
    with file(data) as path:
        list(Journal(path).known())


def rollback(data: bytes) -> None:
    with file(data, "rollback.json") as path:
        Record.read(Files.of(path))


# -- seeds ---------------------------------------------------------------------------------------------------------


def snapshot_document() -> bytes:
    facts = json.loads(sample("IIS01/machine.json"))
    files = {APPLICATION_HOST: {"text": SMALL.decode()}, "files/C/web/web.config": {"text": "<configuration />"}}
    return json.dumps({"schema": "iis-spn/snapshot/1", "machine": facts, "files": files}).encode()


def framed() -> bytes:
    content = base64.b64encode(gzip.compress(snapshot_document(), 1, mtime=0))
    lines = b"".join(b"|%b|\r\n" % content[at : at + 200] for at in range(0, len(content), 200))
    return b"iis-spn-snapshot 1 gzip %d\r\n%biis-spn-snapshot end %d\r\n" % (len(content), lines, len(content))


def folded() -> bytes:
    files = {"machine.json": sample("IIS01/machine.json"), "files/C/web/web.config": b"<configuration />"}
    return b"applicationHost.config\n" + SMALL + b"".join(b"\n== %b\n%b" % (n.encode(), t) for n, t in files.items())


def finished() -> bytes:
    return analyse([server()], Sources(now=NOW)).report.to_json().encode()
