"""Files damaged in ways that people damage them: each is read as the whole is, or it is told where it is damaged.

What is told may cost an answer; it never gives another one, and no step that the whole does not give.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from damage import HARMFUL, HARMLESS, begun_late, cut
from inputs import Inputs, written
from msgspec.structs import replace
from worlds import NOW, app, computer, config, cross_reference, server, site, user, whole

from agent import inspect
from agent.errors import UsageError
from agent.model import Report
from agent.sources.endpoint import Defaults
from agent.sources.inventory.servers import read_inventory
from agent.sources.snapshots.packed import SCHEMA

UNIT = "OU=Service Accounts,OU=Tier 1,OU=Intranet and Portals,DC=test,DC=com"
SITES = {
    "right": ("svc-right", ["svc-right"]),
    "wrong": ("svc-wrong", ["svc-other"]),
    "twice": ("svc-twice", ["svc-twice", "svc-twice-of-the-old-portal"]),
    "none": ("svc-none", []),
}
"""By the first label of its name: the account of a site's pool, and who holds the SPN."""


def host(label: str) -> str:
    return f"{label}.intranet.test.com"


def spns(account: str) -> list[str]:
    return [f"HTTP/{host(label)}" for label, (_, holders) in SITES.items() if account in holders]


ACCOUNTS = tuple(dict.fromkeys(one for pool, holders in SITES.values() for one in (pool, *holders)))


def dn(account: str) -> str:
    return f"CN={account},{UNIT}"


def ldif(account: str) -> str:
    held = "".join(f"servicePrincipalName: {name}\n" for name in [*spns(account), "MSSQLSvc/db.test.com:1433"])
    return f"dn: {dn(account)}\nobjectClass: user\nsAMAccountName: {account}\n{held}\n"


def folded(text: str) -> str:
    """As `ldapsearch` folds: after 76 characters."""
    return "".join(line[:76] + "".join(f"\n {line[at:at + 75]}" for at in range(76, len(line), 75)) + "\n"
                   for line in text.splitlines())  # fmt: skip


ENTRIES = whole() + cross_reference("TEST") + "".join(map(ldif, ACCOUNTS))
BY_LDAPSEARCH = (
    f"# extended LDIF\n#\n# LDAPv3\n# requesting: ALL \n#\n\n{folded(ENTRIES)}"
    "# search result\nsearch: 2\nresult: 0 Success\n\n# numResponses: 9\n# numEntries: 8\n"
)


def answer(label: str) -> str:
    found = "".join(f"{dn(account)}\n\tHTTP/{host(label)}\n" for account in SITES[label][1])
    return f"Checking forest DC=test,DC=com\n{found}\n{'Existing SPN found!' if found else 'No such SPN found.'}\n"


def question(label: str, service: str = "HTTP") -> str:
    nobody = "Checking forest DC=test,DC=com\n\nNo such SPN found.\n"
    return f"{service}/{host(label)}\n{answer(label) if service == 'HTTP' else nobody}"


QUERIES = "".join(f"C:\\>setspn -F -Q HTTP/{host(label)}\n{answer(label)}\n" for label in SITES)
QUESTIONS = "".join(question(label, service) for label in SITES for service in ("HTTP", "HOST"))
LISTS = "".join(
    f"Registered ServicePrincipalNames for {dn(account)}:\n" + "".join(f"        {name}\n" for name in spns(account))
    for account in ACCOUNTS
)
SHARED = (
    f"Checking domain DC=test,DC=com\nProcessing entry 0\nHTTP/{host('twice')} is registered on these accounts:\n"
    + "".join(f"\t{dn(account)}\n" for account in SITES["twice"][1])
    + "\nfound 1 group of duplicate SPNs.\n"
)
DIRECTORIES = {
    "LDIF of ldifde": ENTRIES,
    "LDIF of ldapsearch": BY_LDAPSEARCH,
    "setspn -Q": QUERIES,
    "setspn -F -Q with its questions": QUESTIONS,
    "setspn -L": LISTS,
    "setspn -X": SHARED,
}


TOLD = frozenset({"directory-incomplete", "dns-incomplete", "config-malformed"})


class Said(NamedTuple):
    """What a report says of each SPN, what it would do, and which damage it tells."""

    outcomes: dict[str, tuple[str, ...]]
    steps: frozenset[str]
    told: tuple[str, ...]
    complete: bool


def said(report: Report) -> Said:
    outcomes = {
        f"{one.spn} on {one.account}": (one.outcome, *sorted(map(str, one.holders or ())))
        for one in report.requirements
    }
    # which kind of account it is, an account of which nothing is known does not say
    steps = frozenset(f"{step.kind} {step.command}".replace(" -U", "") for step in report.plan.steps)
    told = [f"{at.file}:{at.line}" for found in report.findings for at in found.evidence if found.id in TOLD]
    return Said(outcomes, steps, tuple(told), report.complete)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    sites = [site(f"*:80:{host(label)}", name=label, apps=()) for label in SITES]
    pools = {pool: f"TEST\\{pool}" for pool, _ in SITES.values()}
    named = [
        one.__class__(one.name, one.bindings, tuple(app.__class__(pool=SITES[one.name][0]) for app in one.apps))
        for one in sites
    ]
    room = tmp_path_factory.mktemp("damaged")
    dns = "$ORIGIN intranet.test.com.;" + ";".join(f"{label} A 10.0.5.2" for label in SITES)
    return written(room / "whole", [server(*named, pools=pools, creds=True)], ad="", dns=dns)


def inspected(bench: Inputs, data: bytes) -> Said:
    (file,) = bench.directory
    file.write_bytes(data)
    return said(bench.inspected())


UNKNOWN = {"unchecked", "uncertain"}
POORER = {
    **dict.fromkeys(["kerberos", "modified", "ntlm-fallback"], UNKNOWN),
    "duplicate": {*UNKNOWN, "kerberos", "modified"},
}
"""What may be said where a part is missing: of two holders one was seen (contract)."""


def wrong(found: Said, right: Said, file: Path) -> Iterator[str]:
    """What a damaged file must not give."""
    if found == right:
        return
    if found.complete or not any(place.startswith(f"{file}:") for place in found.told):
        yield f"silently another answer: {found}"
    for name, outcome in found.outcomes.items():
        if outcome[0] not in POORER.get(right.outcomes[name][0], ()) and outcome[0] != right.outcomes[name][0]:
            yield f"{name}: {outcome} instead of {right.outcomes[name]}"
        if not set(outcome[1:]) <= set(right.outcomes[name][1:]):
            yield f"{name}: a holder that is none: {outcome}"
    yield from (f"a step more: {step}" for step in found.steps - right.steps if not does_nothing(step))


def does_nothing(step: str) -> bool:
    """Whether a step registers an SPN on an account that has it already, where the other of two holders was seen."""
    return step in {
        f"spn-add setspn -F -S HTTP/{host(label)} TEST\\{account}"
        for label, (_, accounts) in SITES.items()
        for account in accounts
    }


@pytest.mark.parametrize("kind", DIRECTORIES)
def test_the_whole_is_understood(bench: Inputs, kind: str) -> None:
    found = inspected(bench, DIRECTORIES[kind].encode())
    outcome = {label: {o[0] for name, o in found.outcomes.items() if host(label) in name} for label in SITES}
    proves = kind.startswith("LDIF") or "questions" in kind
    expected = {"right": "kerberos", "wrong": "modified", "twice": "duplicate", "none": "ntlm-fallback"}
    assert (found.told, found.complete) == ((), True)
    assert outcome["twice"] == {"duplicate"}
    if kind != "setspn -X":
        assert outcome == {k: {v if proves or k != "none" else "unchecked"} for k, v in expected.items()}


@pytest.mark.parametrize("kind", DIRECTORIES)
@pytest.mark.parametrize("damage", HARMLESS)
def test_an_encoding_changes_nothing(bench: Inputs, kind: str, damage: str) -> None:
    text = DIRECTORIES[kind]
    assert inspected(bench, HARMLESS[damage](text)) == inspected(bench, text.encode())


@pytest.mark.parametrize("kind", DIRECTORIES)
def test_damage_of_directory_files(bench: Inputs, kind: str) -> None:
    text, (file,) = DIRECTORIES[kind], bench.directory
    right = inspected(bench, text.encode())
    for name, damage in HARMFUL.items():
        found = list(wrong(inspected(bench, damage(text)), right, file))
        assert not found, (name, found)


@pytest.mark.parametrize("kind", DIRECTORIES)
def test_directory_files_cut(bench: Inputs, kind: str) -> None:
    """At the end of a line a text that has no end of its own (ldifde, `setspn -L`) does not show that it was cut.

    What setspn was not asked, or no longer answers, is not known; that is said of each SPN.
    """
    text, (file,) = DIRECTORIES[kind], bench.directory
    right = inspected(bench, text.encode())
    late = [] if kind == "setspn -L" else begun_late(text, 37)  # what is listed says nothing of other accounts
    for name, data in [*cut(text, 11), *late]:
        if kind in {"LDIF of ldifde", "setspn -L"} and text.startswith(data.decode()) and data.endswith(b"\n"):
            continue
        found = inspected(bench, data)
        unknown = {**right.outcomes, **{k: o for k, o in found.outcomes.items() if o[0] in UNKNOWN}}
        if kind.startswith("setspn") and (found.complete, found.outcomes) == (True, unknown):
            continue
        faults = list(wrong(found, right, file))
        assert not faults, (name, data[-100:], faults)


# -- zones ---------------------------------------------------------------------------------------------------------

RECORDS = "".join(
    f"{name:23} {record}\n"
    for name, record in [
        *(("@", "[AGE:3731000] 600\tA\t10.0.5.1"), ("_gc._tcp", "600\tSRV\t0 100 3268\tdc01.test.com.")),
        *(("dc01", "3600\tA\t10.0.5.1"), ("iis01", "[AGE:3731000] 1200\tA\t10.0.5.2")),
        *(("portal", "A\t10.0.5.2"), ("vip", "A\t10.0.5.20"), ("other", "A\t10.0.5.21")),
        ("wiki", "CNAME\ta-rather-long-name-behind-which-the-wiki-stands.intranet.test.com."),
        ("a-rather-long-name-behind-which-the-wiki-stands.intranet", "A\t10.0.5.2"),
    ]
)
SOA = (
    "@                       IN  SOA dc01.test.com. hostmaster.test.com. (\n"
    "                        \t\t412          ; serial number\n                        \t\t900          ; refresh\n"
    "                        \t\t600          ; retry\n                        \t\t86400        ; expire\n"
    "                        \t\t3600       ) ; default TTL\n\n;\n;  Zone NS records\n;\n\n"
    "@                       NS\tdc01.test.com.\n\n;\n;  Zone records\n;\n\n"
)
ZONES = {
    "dnscmd": f";\n;  Database file (null) for test.com zone.\n;      Zone version:  412\n;\n\n{SOA}{RECORDS}",
    "a zone scope": f";\n;  Database file (null) for Default zone scope in zone test.com.\n;\n\n{SOA}{RECORDS}",
    "$ORIGIN": f"$ORIGIN test.com.\n{SOA}{RECORDS}",
    "$ORIGIN above each part": f"$ORIGIN test.com.\n{SOA}$ORIGIN test.com.\n{RECORDS}",
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A site without a host header: DNS says by which names it is reached."""
    everything = whole() + cross_reference("TEST") + computer() + user("svc", "HTTP/portal.test.com")
    room = tmp_path_factory.mktemp("zones")
    pools = [server(site(), pool=r"TEST\svc", creds=True)]
    return written(room / "whole", pools, ad=everything, dns="portal A 10.0.5.2")


def by_zone(named: Inputs, data: bytes) -> Said:
    (file,) = named.zones
    file.write_bytes(data)
    renamed = file.with_name("export.txt")
    file.rename(renamed)
    try:
        return said(named.inspected())
    finally:
        renamed.rename(file)


def wrongly_named(found: Said, right: Said, nothing: Said) -> Iterator[str]:
    """What a damaged zone file must not give: another answer in silence, a name that the whole does not, or a step
    that neither the whole gives nor a run without DNS."""
    if found == right:
        return
    if found.complete or not any("export.txt:" in place for place in found.told):
        yield f"silently another answer: {found}"
    yield from (f"a name that is none: {name}" for name in found.outcomes.keys() - right.outcomes)
    yield from (f"a step more: {step}" for step in found.steps - right.steps - nothing.steps)


def without_a_zone(named: Inputs) -> Said:
    (file,) = named.zones
    kept = file.rename(named.folder / "aside")
    try:
        return said(named.inspected())
    finally:
        kept.rename(file)


@pytest.mark.parametrize("kind", ZONES)
@pytest.mark.parametrize("damage", HARMLESS)
def test_an_encoding_of_a_zone_changes_nothing(named: Inputs, kind: str, damage: str) -> None:
    found = by_zone(named, HARMLESS[damage](ZONES[kind]))
    assert (found.told, found.complete) == ((), True)
    assert found == by_zone(named, ZONES["$ORIGIN"].encode())
    assert {name.partition(" ")[0] for name in found.outcomes} > {
        "HTTP/portal.test.com",
        "HTTP/wiki.test.com",
        "HTTP/a-rather-long-name-behind-which-the-wiki-stands.intranet.test.com",
    }


@pytest.mark.parametrize("kind", ZONES)
def test_damage_of_zones(named: Inputs, kind: str) -> None:
    right, nothing = by_zone(named, ZONES[kind].encode()), without_a_zone(named)
    for name, damage in HARMFUL.items():
        faults = list(wrongly_named(by_zone(named, damage(ZONES[kind])), right, nothing))
        assert not faults, (name, faults)


@pytest.mark.parametrize("kind", ZONES)
def test_zones_cut(named: Inputs, kind: str) -> None:
    """Whether more records stood below the end of a line, a zone file does not say; nor, without a title and with full
    names only, that it is a part."""
    right, nothing = by_zone(named, ZONES[kind].encode()), without_a_zone(named)
    for name, data in [*cut(ZONES[kind], 11), *begun_late(ZONES[kind], 37)]:
        is_start = ZONES[kind].startswith(data.decode())
        if data.endswith(b"\n") if is_start else b"\nvip" not in data:
            continue
        faults = list(wrongly_named(by_zone(named, data), right, nothing))
        assert not faults, (name, data[-60:], faults)


# -- configuration -------------------------------------------------------------------------------------------------

CONFIGURATION = '<?xml version="1.0" encoding="UTF-8"?>\n' + config(
    [
        site("*:80:a-portal-with-a-rather-long-name.intranet.test.com", name="Portal"),
        site("*:80:wiki.intranet.test.com", name="Wiki of the whole company and its friends"),
    ],
    {"Pool": r"TEST\svc-of-the-portal-and-of-the-wiki-of-the-whole-company"},
    app(enabled=True, kernel=True, creds=True, providers=("Negotiate", "NTLM")),
)
DECLARED = {"UTF-8": CONFIGURATION, "UTF-16": CONFIGURATION.replace("UTF-8", "UTF-16"), "none": CONFIGURATION[39:]}


def configured(room: Path, data: bytes) -> tuple[object, tuple[str, ...]]:
    """What a report says of a bare file, and what of the file it tells."""
    file = room / "applicationHost.config"
    file.write_bytes(data)
    report = inspect([file], ad="off", computer="iis01.test.com", now=NOW)
    told = [f"{at.file}:{at.line}" for found in report.findings for at in found.evidence if found.id in TOLD]
    shown = [replace(one, origins=None) for one in report.applications]
    assert report.complete or told
    return (shown, report.requirements), tuple(told)


@pytest.mark.parametrize("declared", DECLARED)
@pytest.mark.parametrize("damage", HARMLESS)
def test_a_byte_order_mark_wins_over_what_the_file_declares(tmp_path: Path, declared: str, damage: str) -> None:
    data = HARMLESS[damage](DECLARED[declared])
    if declared == "UTF-16" and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        assert configured(tmp_path, data)[1]
    else:
        assert configured(tmp_path, data) == configured(tmp_path, CONFIGURATION.encode())


def test_damage_of_a_configuration(tmp_path: Path) -> None:
    """XML ends by itself: what is cut is not well-formed. A value that a console has broken is told, never joined."""
    right, told = configured(tmp_path, CONFIGURATION.encode())
    assert told == ()
    damaged = {name: damage(CONFIGURATION) for name, damage in HARMFUL.items()}
    damaged |= {"no declaration, " + name: damage(DECLARED["none"]) for name, damage in HARMFUL.items()}
    for name, data in [*damaged.items(), *cut(CONFIGURATION.rstrip(), 13), *begun_late(DECLARED["none"], 13)]:
        found, told = configured(tmp_path, data)
        assert told or found == right, name
        assert found == right or found == ([], ()), name
        assert not told or told[0].startswith(str(tmp_path / "applicationHost.config")), name
    assert configured(tmp_path, damaged["no declaration, indented by a tab"]) == (right, ())


def test_a_line_end_in_a_value_that_is_not_read_is_nobodys_business(tmp_path: Path) -> None:
    text = CONFIGURATION.replace(
        "</configuration>", '<appSettings><add key="a" value="b\nc" /></appSettings></configuration>'
    )
    assert configured(tmp_path, text.encode()) == configured(tmp_path, CONFIGURATION.encode())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\3\4\x14\0", "a zip archive"),
        (b"\x1f\x8b\x08", "gzip data"),
        (b"iis-spn-snapshot 1 gzip 12\r\n", "what collect.ps1 prints"),
        ('{"schema": "iis-spn/report/2", "tool": {}}', "a report of iis-spn"),
        ('{"schema": "iis-spn/snapshot/1", "machine": {}}', "a snapshot"),
        ('{\n  "schema": "iis-spn/sweep/1"}', "the record of a sweep"),
        ('{"name": "IIS01"}', "JSON"),
        ("<!DOCTYPE html>\n<html>", "a web page"),
        (ENTRIES, "LDIF"),
        (LISTS, "the text of setspn"),
        (QUERIES, "the text of setspn"),
        (ZONES["dnscmd"], "a zone file"),
        (ZONES["$ORIGIN"], "a zone file"),
        ('[[name]]\nhost = "portal.test.com"\n', "TOML"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_no_target_is_told_by_what_it_looks_like(
    tmp_path: Path, data: bytes | str, kind: str, encoding: str
) -> None:
    file = tmp_path / "given"
    file.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    report = inspect([file], ad="off", now=NOW)
    (found,) = [one for one in report.findings if one.id == "config-malformed"]
    assert (kind in found.message, len(found.fix), found.evidence[0].line) == (True, 1, 1)
    assert not report.complete


def test_a_configuration_is_mistaken_for_nothing(tmp_path: Path) -> None:
    hidden = CONFIGURATION.replace(
        "<configuration>", f"<configuration><!--\n{ENTRIES}\n{ZONES['dnscmd']}\n[[name]]\n-->"
    )
    assert configured(tmp_path, hidden.encode()) == configured(tmp_path, CONFIGURATION.encode())


# -- lists of servers ----------------------------------------------------------------------------------------------

SERVERS = "# the farm\nweb01.test.com\nweb02.test.com:5986\n\nweb[03:05].test.com\n"
INVENTORIES = {
    "text": SERVERS,
    "ini": "[web]\nweb01.test.com\nweb02.test.com ansible_port=5986\n\n[web:vars]\nansible_connection=winrm\n",
    "yaml": "all:\n  hosts:\n    web01.test.com:\n    web02.test.com:\n      ansible_port: 5986\n"
    "  vars:\n    ansible_connection: winrm\n",
}


def asked(file: Path, data: bytes) -> list[tuple[str, int]] | None:
    """Whom an inventory names, None where it is refused with file and line."""
    file.write_bytes(data)
    try:
        return [(one.host, one.port) for one in read_inventory(file, Defaults()).endpoints]
    except UsageError as error:
        refused = str(error)
    assert re.match(rf"{re.escape(str(file))}:\d+: ", refused), refused
    return None


@pytest.mark.parametrize("kind", INVENTORIES)
def test_damage_of_inventories(tmp_path: Path, kind: str) -> None:
    file, text = tmp_path / "farm", INVENTORIES[kind]
    right = asked(file, text.encode())
    assert right is not None
    for name, damage in HARMLESS.items():
        assert asked(file, damage(text)) == right, name
    another = {"second half indented"} if kind == "yaml" else set()  # in YAML that is another list
    for name in HARMFUL.keys() - another:
        assert asked(file, HARMFUL[name](text)) in (right, None), name


# -- machine.json and what collect.ps1 prints ----------------------------------------------------------------------

FACTS = json.dumps(
    {
        "name": "IIS01",
        "dns_name": "iis01.test.com",
        "domain": "test.com",
        "netbios_domain": "TEST",
        "addresses": ["10.0.5.2"],
        "content": {"looked": True},
    },
    indent=2,
)


def of_server(folder: Path) -> tuple[object, list[str]]:
    report = inspect([folder], ad="off", now=NOW)
    told = [f"{at.file}" for found in report.findings for at in found.evidence if found.id in TOLD]
    assert report.complete or told
    return [(one.spn, one.account, one.need) for one in report.requirements], told


def test_damage_of_machine_json(tmp_path: Path) -> None:
    """A string of JSON holds no line end, and the whole ends with its brace: what is damaged is refused."""
    (tmp_path / "IIS01").mkdir()
    (tmp_path / "IIS01" / "applicationHost.config").write_text(CONFIGURATION)
    file = tmp_path / "IIS01" / "machine.json"
    file.write_text(FACTS)
    right = of_server(tmp_path / "IIS01")
    assert right[1] == []
    damaged = [*((name, damage(FACTS)) for name, damage in HARMFUL.items()), *cut(FACTS, 7), *begun_late(FACTS, 7)]
    for name, damage in HARMLESS.items():
        file.write_bytes(damage(FACTS))
        assert of_server(tmp_path / "IIS01") == right, name
    for name, data in damaged:
        file.write_bytes(data)
        found = of_server(tmp_path / "IIS01")
        assert found == right or found[1] == [str(file)], name


def test_damage_of_what_collect_prints(tmp_path: Path) -> None:
    document = {
        "schema": SCHEMA,
        "machine": json.loads(FACTS),
        "files": {"applicationHost.config": {"text": CONFIGURATION}},
    }
    content = base64.b64encode(gzip.compress(json.dumps(document).encode(), mtime=0)).decode()
    lines = [f"|{content[at : at + 76]}|" for at in range(0, len(content), 76)]
    text = "\n".join([f"iis-spn-snapshot 1 gzip {len(content)}", *lines, f"iis-spn-snapshot end {len(content)}", ""])
    file = tmp_path / "IIS01.snapshot"
    file.write_text(text)
    right = of_server(file)
    assert right[1] == []
    for name, damage in HARMLESS.items():
        file.write_bytes(damage(text))
        assert of_server(file) == right, name
    damaged = [
        *((name, damage(text)) for name, damage in HARMFUL.items()),
        *cut(text.rstrip(), 7),
        *begun_late(text, 7),
    ]
    for name, data in damaged:
        file.write_bytes(data)
        found = of_server(file)
        assert found in (right, ([], [str(file)])), name
