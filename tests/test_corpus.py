"""Real configuration files: all are read, and Exchange's effective values agree with an independent reading."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from configurations import snapshot
from lxml import etree
from parts import CORPUS, corpus, needs_corpus

from agent import inspect
from agent.errors import MalformedError
from agent.iis.authentication import AuthenticationPaths
from agent.iis.effective import Configuration, Evaluation, effective
from agent.iis.parse import Document, parse
from agent.iis.redirection import configuration_file
from agent.iis.schema import APPLICATION_POOLS
from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.names import path_key

# -- all of it is read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", corpus("*.config", without="redirection"))
def test_every_file_is_read(file: Path) -> None:
    report = inspect([file], computer="iis01.test.com")
    (server,) = report.servers
    assert server.status == "ok"
    assert report.complete
    root = etree.parse(file).getroot()
    applications = root.xpath("system.applicationHost/sites/site[@name]/application")
    unique = {(a.getparent().get("name").lower(), a.get("path").lower()) for a in applications}
    assert {(a.site.lower(), a.path.lower()) for a in report.applications} == unique


FAULTY = {
    "original2_invalid_attribute": set(),  # an attribute nobody here reads: newer servers have newer schemas
    "original2_missing_required": {"missing required attribute 'name' on <add>"},
    "original2_no_root_vdir": {"application '/' of site 'WebSite1' has no virtual directory '/'"},
    "expected_site_add": {"duplicate site id '2' (first in line 172)"},  # so it was expected of the other program
}


@pytest.mark.parametrize("file", corpus("*.config", without="redirection"))
def test_files_of_working_servers_have_no_fault_and_broken_ones_their_own(file: Path) -> None:
    found = effective(parse(file.read_bytes(), file.name), snapshot())
    expected = next((words for name, words in FAULTY.items() if f"__{name}@" in file.name), set())
    assert {notice.message for notice in found.notices} == expected
    refused = [a for s in found.sites for a in s.applications for a in (a.auth, *(b for _, b in a.places)) if a.fault]
    assert refused == []


@pytest.mark.parametrize("file", corpus("*redirection*"))
def test_redirection_files_are_read(file: Path) -> None:
    own = SourceFile("applicationHost.config", b"<configuration/>")
    both = {"applicationhost.config": own, "redirection.config": SourceFile(file.name, file.read_bytes())}
    assert configuration_file(Snapshot(source="x", machine=Machine(), files=both)).file == own


BROKEN = {
    "Mattza__SL2": (2, "XDT"),
    "NCIOCPL__pubslocator": (57, "not well-formed"),
    "original2_missing_closing": (1134, "not well-formed"),
    "BadApplicationHost": (128, "not well-formed"),
    "nttlong__jd-apps": (28, "not well-formed"),
    "srdYkambara": (6, "<httpCompression>"),
}


@pytest.mark.parametrize("file", corpus("broken/*"))
def test_broken_files_are_told_with_their_line(file: Path) -> None:
    report = inspect([file, CORPUS / "c1982__IIS-SharedGitConfig__applicationHost@ff76c00.config"])
    ((line, words),) = [expected for name, expected in BROKEN.items() if name in file.name]
    broken, healthy = report.servers
    (problem,) = broken.problems
    assert (broken.status, problem.id, problem.file, problem.line) == ("failed", "config-malformed", str(file), line)
    assert words in problem.message
    assert healthy.status == "ok"
    assert report.applications
    assert not report.complete


@pytest.mark.parametrize("file", corpus("webconfig/*"))
def test_every_web_config_is_read(file: Path) -> None:
    document = parse(file.read_bytes(), file.name)
    assert document.faults == ()
    raw = etree.parse(file).getroot()
    assert len(document.locations) == 1 + len(raw.findall("location"))
    assert [not x.inherit_in_child_applications for x in document.locations[1:]] == [
        x.get("inheritInChildApplications") == "false" for x in raw.findall("location")
    ]


@pytest.mark.parametrize("file", corpus("*.config"))
def test_no_encrypted_text_comes_through(file: Path) -> None:
    data = file.read_bytes()
    shown = repr(parse(data, file.name))
    secrets = etree.fromstring(data).xpath("//@*[starts-with(., '[enc:')] | //@password[string-length(.) > 3]")
    assert not any(str(secret) in shown for secret in secrets)


# -- Exchange, read a second way -----------------------------------------------------------------------------------

EXCHANGE = corpus("microsoft__CSS-Exchange__*")
SECTION = "system.webServer/security/authentication/windowsAuthentication"
DEFAULTS = {"enabled": "false", "useKernelMode": "true", "useAppPoolCredentials": "false"}


@cache
def raw(file: Path) -> dict[str, Any]:
    """The windowsAuthentication element of each location, "" for the level of the file."""
    root = etree.parse(file).getroot()
    found = {"": root.find(SECTION)}
    for place in root.findall("location"):
        section = place.find(SECTION)
        if section is not None:
            path = place.get("path", "")
            assert found.get(path) is None
            found[path] = section
    return found


def upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def nearest(file: Path, path: str, below: str, attribute: str, default: str) -> str:
    for level in upwards(path):
        section = raw(file).get(level)
        for found in section.xpath(f"{below}/@{attribute}") if section is not None else ():
            return str(found)
    return default


def provider_list(file: Path, path: str) -> list[str]:
    current: list[str] = []
    for level in reversed(list(upwards(path))):
        section = raw(file).get(level)
        if section is None:
            continue
        if section.find("providers/clear") is not None:
            current = []
        removed = section.xpath("providers/remove/@value")
        current = [name for name in current if name not in removed] + section.xpath("providers/add/@value")
    return current


@cache
def evaluated(file: Path) -> tuple[Document, AuthenticationPaths]:
    document = parse(file.read_bytes(), file.name)
    return document, Evaluation(document, snapshot()).authentication


@pytest.mark.parametrize("file", EXCHANGE)
def test_exchange_agrees_with_an_independent_reading_at_every_location(file: Path) -> None:
    _, paths = evaluated(file)
    asked = [path for path in raw(file) if path] + ["Default Web Site", "Exchange Back End", "Default Web Site/none/x"]
    assert len(asked) > 15
    for path in asked:
        found = paths.at(path_key(path)).settings
        assert found is not None
        assert {
            "enabled": str(found.enabled).lower(),
            "useKernelMode": str(found.kernel_mode).lower(),
            "useAppPoolCredentials": str(found.pool_credentials).lower(),
        } == {name: nearest(file, path, ".", name, default) for name, default in DEFAULTS.items()}
        assert found.token_checking == nearest(file, path, "extendedProtection", "tokenChecking", "None")
        assert list(found.providers) == provider_list(file, path)


@pytest.mark.parametrize("file", EXCHANGE)
def test_exchange_values_stand_in_the_line_that_is_named(file: Path) -> None:
    _, paths = evaluated(file)
    lines = file.read_text(encoding="utf-8").split("\n")
    seen = set()
    for path in (path for path in raw(file) if path):
        origin = paths.at(path_key(path)).origins.enabled
        assert origin is not None
        if origin.line is not None:
            seen.add(origin.line)
            assert "<windowsAuthentication" in lines[origin.line - 1]
            assert "enabled=" in lines[origin.line - 1]
    assert len(seen) > 10


def token_checking(name: str) -> dict[str, str]:
    (file,) = CORPUS.glob(f"*{name}*")
    _, paths = evaluated(file)
    found = {}
    for path in (path for path in raw(file) if path):
        settings = paths.at(path_key(path)).settings
        assert settings is not None
        found[path] = settings.token_checking
    return found


FACT_66 = {"EWS", "Microsoft-Server-ActiveSync", "Microsoft-Server-ActiveSync/Proxy", "OAB"}


@needs_corpus
@pytest.mark.parametrize("name", ["E16_Configured", "E19_Configured", "E15_Configured_Both"])
def test_fact_66_extended_protection_of_configured_servers(name: str) -> None:
    found = token_checking(f"__{name}_ApplicationHost")
    allowed = {path for path, value in found.items() if value == "Allow"}
    assert allowed == {f"Default Web Site/{path}" for path in FACT_66}
    for path in ("Default Web Site/Autodiscover", "Default Web Site/PowerShell", "Exchange Back End/Autodiscover"):
        assert found[path] == "None"
    assert sum(value == "Require" for value in found.values()) >= 18


@needs_corpus
def test_fact_67_extended_protection_of_a_server_not_configured() -> None:
    assert set(token_checking("E15_NotConfigured_Cas").values()) == {"None"}


# -- facts 1 to 65: what is asserted against Microsoft.Web.Administration ------------------------------------------

BASE = CORPUS / "jexuswebserver__JexusManager__Tests__original2@4cd55a0.config"
WINDOWS = "<windowsAuthentication>"
WEBSITE1 = r"C:\tests\WebSite1\web.config"
MACHINE = Machine(name="X", environment={"JEXUS_TEST_HOME": r"C:\tests"}, content_looked=True)
ENABLED = (
    "<system.webServer><security><authentication><windowsAuthentication {} />"
    "</authentication></security></system.webServer>"
)


def edited(*changes: tuple[str, str]) -> str:
    text = BASE.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def read(*changes: tuple[str, str], web: str | None = None) -> Configuration:
    files = {} if web is None else {"files/c/tests/website1/web.config": SourceFile(WEBSITE1, web.encode())}
    document = parse(edited(*changes).encode(), "applicationHost.config")
    return effective(document, Snapshot(source="x", machine=MACHINE, files=files))


def web(body: str) -> str:
    return f"<configuration>\n{body}</configuration>"


UNLOCK = ('"windowsAuthentication" overrideModeDefault="Deny"', '"windowsAuthentication" overrideModeDefault="Allow"')
ON = web(ENABLED.format('enabled="true"'))


def says(found: Configuration, words: str) -> bool:
    return any(words in notice.message for notice in found.notices)


@needs_corpus
def test_facts_1_to_4_pools_sites_defaults() -> None:
    found = read()
    assert len(found.pools) == 5
    assert len(found.sites) == 12
    first = found.sites[0]
    assert (first.name, len(first.bindings)) == ("WebSite1", 14)
    (root,) = first.applications
    assert root.pool_name == "Clr4IntegratedAppPool"
    assert root.pool is found.pools["clr4integratedapppool"]
    assert root.pool.user_name == ""
    assert root.auth.settings is not None
    assert root.auth.settings.enabled is False


@needs_corpus
def test_fact_6_a_location_of_the_same_file_is_not_locked() -> None:
    tag = f'<location path="WebSite1">{ENABLED.format(chr(101) + "nabled=" + chr(34) + "true" + chr(34))}</location>'
    settings = read(("</configuration>", tag + "</configuration>")).sites[0].applications[0].auth.settings
    assert settings is not None
    assert settings.enabled


@needs_corpus
def test_facts_7_and_26_a_locked_section_in_a_web_config() -> None:
    found = read(web=ON).sites
    fault = found[0].applications[0].auth.fault
    assert fault is not None
    assert (fault.id, fault.file, fault.line) == ("section-locked", WEBSITE1, 2)
    assert found[1].applications[0].auth.fault is None


@needs_corpus
def test_fact_9_a_location_of_a_site_that_is_gone_is_harmless() -> None:
    assert "Default Web Site" not in {s.name for s in read().sites}
    assert read().notices == ()


@needs_corpus
def test_fact_12_a_location_without_path_unlocks() -> None:
    opened = f'<location path="" overrideMode="Allow">{ENABLED.format("")}</location></configuration>'
    document = edited(("</configuration>", opened))
    cut = document[: document.index(WINDOWS)] + document[document.index("</windowsAuthentication>") + 24 :]
    files = {"files/c/tests/website1/web.config": SourceFile(WEBSITE1, ON.encode())}
    parsed = parse(cut.encode(), "applicationHost.config")
    settings = effective(parsed, Snapshot(source="x", machine=MACHINE, files=files)).sites[0].applications[0].auth
    assert settings.settings is not None
    assert settings.settings.enabled


@needs_corpus
@pytest.mark.parametrize("value", ["true", "false"])
def test_facts_14_and_16_web_config_wins_where_the_section_is_unlocked(value: str) -> None:
    other = {"true": "false", "false": "true"}[value]
    tag = f'<location path="WebSite1">{ENABLED.format("enabled=" + repr(other))}</location></configuration>'
    body = web(ENABLED.format("enabled=" + repr(value)))
    settings = read(UNLOCK, ("</configuration>", tag), web=body).sites[0].applications[0].auth.settings
    assert settings is not None
    assert settings.enabled == (value == "true")


@needs_corpus
@pytest.mark.parametrize(
    "body",
    [
        '<runtime><assemblyBinding xmlns="urn:schemas-microsoft-com:asm.v1"><a/></assemblyBinding></runtime>',
        "",
    ],
)
def test_facts_17_and_47_foreign_or_empty_web_config(body: str) -> None:
    assert read(web=web(body)).sites[0].applications[0].auth.fault is None
    assert read(web="<configuration/>").sites[0].applications[0].auth.fault is None


@needs_corpus
@pytest.mark.parametrize("path", ["WebSite1/iisstart.htm", "WebSite1/not/there", "NotExist"])
def test_facts_22_to_24_locations_of_files(path: str) -> None:
    tag = f'<location path="{path}">{ENABLED.format("enabled=" + repr("true"))}</location></configuration>'
    document = parse(edited(("</configuration>", tag)).encode(), "applicationHost.config")
    settings = Evaluation(document, snapshot()).authentication.at(path_key(path)).settings
    assert settings is not None
    assert settings.enabled
    assert effective(document, snapshot()).notices == ()


@needs_corpus
@pytest.mark.parametrize(
    ("lock", "below", "fault"),
    [
        ('lockAttributes="noSuchAttr"', "", "config-invalid"),
        ('lockAttributes="*"', "", None),
        ('lockAttributes="enabled"', 'enabled="true"', "section-locked"),
        ('lockAttributes="*"', 'enabled="true"', "section-locked"),
    ],
)
def test_facts_27_to_29_locked_attributes(lock: str, below: str, fault: str | None) -> None:
    body = web(ENABLED.format(below)) if below else None
    found = read(UNLOCK, (WINDOWS, f"<windowsAuthentication {lock}>"), web=body).sites[0].applications[0].auth.fault
    assert (found and found.id) == fault


@needs_corpus
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('<site name="GuessMeWeb"', "<site "), "missing required attribute 'name'"),
        (('<add name="UnmanagedClassicAppPool"', '<add name=""'), "cannot be the name"),
        (
            ('bindingInformation=":8080:*"', 'bindingInformation=":8080:localhost"'),
            "duplicate binding",
        ),
        (('<add name="Clr4ClassicAppPool"', '<add name="Clr4IntegratedAppPool"'), "duplicate collection entry"),
        (('<application path="/">', '<application path="/x">'), "no application '/'"),
        (('sslFlags="1"', 'sslFlags="NotExist"'), "sslFlags is not an unsigned integer"),
        (
            ('<section name="asp" overrideModeDefault="Deny" />', '<section name="asp" /><section name="asp" />'),
            "declared twice",
        ),
        (("</configSections>", "</configSections><configSections></configSections>"), "<configSections> stands once"),
        (("  <configSections>\n    <", "<runtime/><configSections><"), "<configSections> stands once"),
    ],
    ids=["35", "36", "39", "40", "42", "54", "49", "49 two", "49 late"],
)
def test_facts_35_to_54_what_ii_s_refuses(change: tuple[str, str], words: str) -> None:
    found = read(change)
    assert says(found, words)
    assert len(found.notices) == 1
    assert len(found.sites) >= 11


@needs_corpus
@pytest.mark.parametrize("attribute", ["testAuto", "configSource"])
def test_facts_37_and_51_unknown_attributes(attribute: str) -> None:
    fault = read((WINDOWS, f'<windowsAuthentication {attribute}="x">')).sites[0].applications[0].auth.fault
    assert fault is not None
    assert f"unrecognized attribute '{attribute}'" in fault.message


@needs_corpus
def test_fact_41_no_pools() -> None:
    text = edited()
    start, end = text.index("<applicationPools>"), text.index("</applicationPools>") + len("</applicationPools>")
    document = parse((text[:start] + text[end:]).encode(), "x")
    assert document.section(APPLICATION_POOLS) is None
    assert effective(document, snapshot()).pools == {}


AGAIN = '<configSections><sectionGroup name="system.webServer"><section name="asp" /></sectionGroup></configSections>'


@needs_corpus
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("", "config-malformed"),
        (web("<system.webServer><noSuch/></system.webServer>"), "config-invalid"),
        (web(AGAIN), "config-invalid"),
        (web(ENABLED.format('configSource="missing.config"')), "config-malformed"),
    ],
    ids=["46", "48", "49", "53"],
)
def test_facts_46_to_53_web_config_files_that_are_refused(body: str, fault: str) -> None:
    found = read(UNLOCK, web=body).sites[0].applications[0].auth.fault
    assert found is not None
    assert (found.id, found.file) == (fault, WEBSITE1)
    assert found.line in {1, 2}


@needs_corpus
def test_fact_34_a_missing_closing_tag() -> None:
    with pytest.raises(MalformedError, match="not well-formed"):
        parse(edited(("</sites>", "")).encode(), "x")


@needs_corpus
def test_facts_56_to_65_bindings() -> None:
    first, second = read().sites[0].bindings, read().sites[1].bindings
    web_bindings = [b for b in first if b.is_http]
    assert [(b.address, b.port, str(b.host) if b.host else None) for b in web_bindings] == [
        ("", 8080, "localhost"),
        ("", 8080, None),
        ("", 443, "localhost"),
        ("", 44300, None),
    ]
    assert {b.protocol for b in first if not b.is_http} == {"net.tcp", "net.msmq", "msmq.formatname", "net.pipe", "ftp"}
    assert all(b.host is None and b.fault is None for b in first if not b.is_http)
    assert [b.ssl_flags for b in second] == [0, 1]


@needs_corpus
@pytest.mark.parametrize(
    ("information", "address"),
    [
        ("*:161902:localhost", None),
        ("*:localhost:localhost", None),
        ("1.1.1.1.1:61902:localhost", None),
        ("1.1.1:61902:localhost", "1.1.0.1"),
        (":", None),
        ("::", None),
        ("*:80:", ""),
    ],
)
def test_facts_58_to_63_a_broken_binding_does_not_break_the_file(information: str, address: str | None) -> None:
    found = read(('bindingInformation="*:61902:localhost"', f'bindingInformation="{information}"'))
    binding = found.sites[1].bindings[0]
    assert (binding.address if binding.serves else None) == address
    assert [notice.id for notice in found.notices] == (["binding-malformed"] if address is None else [])
    assert len(found.sites) == 12
