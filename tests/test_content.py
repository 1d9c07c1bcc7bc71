"""Which web.config files take part, and what becomes of those that cannot be read."""

import json
from pathlib import Path

import pytest
from configurations import (
    ROOT,
    application,
    auth_at,
    configuration,
    element,
    evaluate,
    location,
    paths_of,
    site,
    web_config,
    windows,
)
from msgspec.structs import replace
from worlds import ad, computer, server, user, world
from worlds import site as worlds_site

from agent import explain, inspect
from agent.cli.program import main
from agent.iis.snapshot import Machine, Snapshot, SourceFile, file_key
from agent.model import Report, WindowsAuth
from agent.names import path_key

ON = web_config(windows(enabled="true"))
OPEN = configuration(mode="Allow")


def enabled(text: str, path: str, files: dict[str, bytes], machine: Machine | None = None) -> bool:
    auth = auth_at(text, path, files, machine)
    assert auth.settings is not None, auth.fault
    return auth.settings.enabled


def fault(text: str, path: str, files: dict[str, bytes]) -> tuple[str, str, int | None]:
    auth = auth_at(text, path, files)
    found = auth.fault
    assert found is not None
    assert auth.settings is None, "what IIS refuses has no effect"
    return found.id, found.file, found.line


# -- physical paths ------------------------------------------------------------------------------------------------


LOST = (
    r"%NO_SUCH_VARIABLE%\x",
    r"inetpub\wwwroot",
    r"\inetpub\wwwroot",
    r"C:inetpub",
    r"C:\web\..\other",
    "C:\\web.\\x",
    "C:\\web \\x",
    "C:\\web.",
    r"\\srv\share.\app",
    r"\\.\C:\web",
    r"\\?\Volume{0}\web",
    "",
)
"""Paths of which nobody can tell which folder is meant."""


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (r"%SystemDrive%\inetpub\wwwroot", "files/c/inetpub/wwwroot"),
        (r"%systemdrive%\Inetpub\WWWRoot" + "\\", "files/c/inetpub/wwwroot"),
        (r"%windir%\web", "files/c/windows/web"),
        ("D:/sites/a", "files/d/sites/a"),
        ("D:\\", "files/d"),
        ("d:", "files/d"),
        (r"\\FileServer\Share\app", "files/unc/fileserver/share/app"),
        ("\\\\srv\\share\\app\\", "files/unc/srv/share/app"),
        (r"\\?\C:\long", "files/c/long"),
        (r"\\?\UNC\srv\share\app", "files/unc/srv/share/app"),
        (r"\\?\unc\srv\share", "files/unc/srv/share"),
        (r"C:\.\web", "files/c/web"),
        (r"C:\50% off", "files/c/50% off"),
        *[(path, None) for path in LOST],
    ],
)
def test_where_a_physical_path_stands_in_a_snapshot(written: str, key: str | None) -> None:
    found = file_key(written, {})
    assert (found.rstrip("/") if found else found) == key


def test_variables_come_from_the_machine() -> None:
    text = configuration(sites=site("Site", application("/", r"%SystemDrive%\%Web%")), mode="Allow")
    machine = Machine(name="X", environment={"SYSTEMDRIVE": "E:", "web": "web"})
    assert enabled(text, "Site", {r"E:\web\web.config": ON}, machine)
    assert not enabled(text, "Site", {r"C:\web\web.config": ON}, machine)


def test_a_share() -> None:
    text = configuration(sites=site("Site", application("/", r"\\srv\share\web")), mode="Allow")
    assert enabled(text, "Site/sub/x", {r"\\SRV\Share\web\sub\web.config": ON})


# -- which directories ---------------------------------------------------------------------------------------------


def test_every_directory_on_the_way_takes_part() -> None:
    files = {
        r"C:\web\web.config": ON,
        r"C:\web\dir\web.config": web_config(windows(useKernelMode="false")),
        r"C:\app\web.config": web_config(windows(useAppPoolCredentials="true")),
    }

    def found(path: str) -> tuple[bool, bool, bool]:
        settings = auth_at(OPEN, path, files).settings
        assert settings is not None
        return settings.enabled, settings.kernel_mode, settings.pool_credentials

    assert found("Site") == (True, True, False)
    assert found("Site/dir/page.aspx") == (True, False, False)
    assert found("Site/app/dir") == (True, True, True)


def test_the_longest_virtual_directory_wins_over_the_folder_of_that_name() -> None:
    mounted = element("virtualDirectory", path="/docs", physicalPath=r"D:\docs")
    text = configuration(sites=site("Site", application("/", r"C:\web", mounted)), mode="Allow")
    assert not enabled(text, "Site/docs", {r"C:\web\docs\web.config": ON})
    assert enabled(text, "Site/docs/x", {r"D:\docs\web.config": ON})


@pytest.mark.parametrize("reverse", [True, False])
def test_an_application_wins_over_a_virtual_directory_of_its_parent(reverse: bool) -> None:
    stale = element("virtualDirectory", path="/app", physicalPath=r"D:\stale")
    applications = [application("/", r"C:\web", stale), application("/app", r"C:\app")]
    text = configuration(sites=site("Site", *applications[:: -1 if reverse else 1]), mode="Allow")
    assert enabled(text, "Site/app/x", {r"C:\app\web.config": ON})
    assert not enabled(text, "Site/app/x", {r"D:\stale\web.config": ON})


@pytest.mark.parametrize("where", ["virtualDirectory", "application", "site", "sites"])
def test_allow_sub_dir_config_of_the_directory_or_a_default(where: str) -> None:
    off = element("virtualDirectoryDefaults", allowSubDirConfig="false")
    folder = element("virtualDirectory", path="/", physicalPath=r"C:\web")
    if where == "virtualDirectory":
        folder = folder.replace('path="/"', 'path="/" allowSubDirConfig="False"')
    root = element("application", folder + off * (where == "application"), path="/")
    sites = element("site", root + off * (where == "site"), name="Site", id="1") + off * (where == "sites")
    text = configuration(sites=sites, mode="Allow")
    assert enabled(text, "Site", {r"C:\web\web.config": ON})
    assert not enabled(text, "Site/dir", {r"C:\web\dir\web.config": ON})


def test_the_nearer_default_wins() -> None:
    far = element("virtualDirectoryDefaults", allowSubDirConfig="false")
    near = element("virtualDirectoryDefaults", allowSubDirConfig="true")
    sites = site("Site", application("/", r"C:\web", near)) + far
    assert enabled(configuration(sites=sites, mode="Allow"), "Site/dir", {r"C:\web\dir\web.config": ON})


def test_one_folder_mounted_twice_is_read_twice() -> None:
    sites = site("Site", application("/", r"C:\web"), application("/app", r"C:\web"))
    adds = {r"C:\web\web.config": web_config(windows('<providers><add value="Negotiate:Kerberos" /></providers>'))}
    text = configuration(sites=sites, mode="Allow")
    assert auth_at(text, "Site", adds).fault is None
    found = auth_at(text, "Site/app", adds).fault
    assert found is not None
    assert (found.id, "duplicate collection entry" in found.message) == ("config-invalid", True)


def test_two_sites_on_one_folder_do_not_disturb_each_other() -> None:
    sites = site("One", application("/", r"C:\web")) + site("Two", application("/", r"c:\WEB"), id="2")
    adds = {r"C:\web\web.config": web_config(windows('<providers><add value="Negotiate:Kerberos" /></providers>'))}
    text = configuration(sites=sites, mode="Allow")
    for name in ("One", "Two"):
        found = auth_at(text, name, adds).settings
        assert found is not None
        assert found.providers == ("Negotiate", "NTLM", "Negotiate:Kerberos")


# -- <location> in a web.config ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "child"), [("false", False), ("true", True)])
def test_inherit_in_child_applications(scope: str, child: bool) -> None:
    tag = location(".", windows(enabled="true"), inheritInChildApplications=scope)
    files = {r"C:\web\web.config": web_config(tag)}
    assert enabled(OPEN, "Site", files)
    assert enabled(OPEN, "Site/dir", files)
    assert enabled(OPEN, "Site/app", files) == child
    assert enabled(OPEN, "Site/app/dir", files) == child


def test_inherit_in_child_applications_for_a_directory_below() -> None:
    tag = location("dir", windows(enabled="true"), inheritInChildApplications="false")
    sites = site("Site", application("/", r"C:\web"), application("/dir/app", r"C:\app"))
    text = configuration(sites=sites, mode="Allow")
    files = {r"C:\web\web.config": web_config(tag)}
    assert enabled(text, "Site/dir/x", files)
    assert not enabled(text, "Site/dir/app", files)


def test_a_location_of_a_web_config_reaches_down_only() -> None:
    files = {r"C:\app\web.config": web_config(location("Site", windows(enabled="true")))}
    assert not enabled(OPEN, "Site", files)
    assert not enabled(OPEN, "Site/app", files)
    assert enabled(OPEN, "Site/app/Site", files)


# -- places below an application -----------------------------------------------------------------------------------


def test_a_sub_directory_of_its_own_settings_is_a_place_of_its_application() -> None:
    files = {
        r"C:\web\reports\web.config": ON,
        r"C:\app\x\y\web.config": ON,
        r"C:\elsewhere\web.config": ON,
    }
    text = configuration(mode="Allow", body=location("Site/app/z", windows(enabled="true")))
    root, app = evaluate(text, files).sites[0].applications
    assert [path for path, auth in root.places if auth.settings and auth.settings.enabled] == ["/reports"]
    assert [path for path, auth in app.places if auth.settings and auth.settings.enabled] == ["/app/x/y", "/app/z"]


# -- configSource --------------------------------------------------------------------------------------------------

SOURCED = web_config("\n" + windows(configSource="win.config"))


def with_source(data: bytes | None, error: str | None = None) -> Snapshot:
    files = {"files/c/web/web.config": SourceFile("web.config", SOURCED)}
    if data is not None:
        files["files/c/web/win.config"] = SourceFile("win.config", data, error)
    return Snapshot(source="x", machine=Machine(name="X"), files=files)


def test_config_source_in_a_web_config() -> None:
    files = {r"C:\web\web.config": SOURCED, r"C:\web\WIN.config": b"\n<windowsAuthentication enabled='true' />"}
    auth = auth_at(OPEN, "Site", files)
    assert auth.settings is not None
    assert auth.settings.enabled


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, ("config-malformed", r"C:\web\web.config", 2)),
        (b"<other />", ("config-malformed", r"C:\web\win.config", 1)),
        (b"\n<windowsAuthentication", ("config-malformed", r"C:\web\win.config", 2)),
    ],
)
def test_a_config_source_that_gives_nothing(source: bytes | None, expected: tuple[str, str, int]) -> None:
    files = {r"C:\web\web.config": SOURCED} | ({r"C:\web\win.config": source} if source is not None else {})
    assert fault(OPEN, "Site/app", files) == expected


@pytest.mark.parametrize("source", [r"..\win.config", r"sub\..\..\win.config", r"C:\web\win.config"])
def test_a_config_source_stays_below_its_file(source: str) -> None:
    files = {r"C:\web\sub\web.config": web_config(windows(configSource=source)), r"C:\web\win.config": b"<x/>"}
    assert fault(OPEN, "Site/sub", files) == ("config-malformed", r"C:\web\sub\web.config", 1)


def test_config_source_is_refused_in_application_host_config() -> None:
    text = configuration(body="\n" + location("Site", windows(configSource="win.config")))
    assert fault(text, "Site", {r"C:\web\win.config": b"<windowsAuthentication />"}) == (
        "config-invalid",
        "applicationHost.config",
        2,
    )


# -- files IIS refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "id", "line"),
    [
        (b"", "config-malformed", 1),
        (b"<configuration>\n<oops>", "config-malformed", 2),
        (b"<!DOCTYPE configuration><configuration/>", "config-malformed", 1),
        (web_config("\n<system.webServer><noSuchSection/></system.webServer>"), "config-invalid", 2),
        (web_config("\n<system.webServer><security><nope/></security></system.webServer>"), "config-invalid", 2),
        (web_config("\n" + windows(windows())), "config-invalid", 2),
        (web_config("\n<location path='x' allowOverride='true' overrideMode='Deny' />"), "config-invalid", 2),
        (web_config("\n<system.webServer><x/></system.webServer>" + windows()), "config-invalid", 2),
    ],
)
def test_a_file_that_is_refused_takes_its_level_and_all_below(data: bytes, id: str, line: int) -> None:  # noqa: A002
    files = {r"C:\web\web.config": data}
    for path in ("Site", "Site/dir", "Site/app"):
        assert fault(OPEN, path, files) == (id, r"C:\web\web.config", line)
    assert auth_at(OPEN, "Other", files).fault is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<system.web><noSuchSection/></system.web><runtime><x/></runtime><appSettings/>",
        "<system.webServer><modules><add name='x'/></modules><handlers/><rewrite><rules/></rewrite></system.webServer>",
        "<system.webServer><security><requestFiltering/><authorization/></security></system.webServer>",
        "<configSections><section name='mine'/></configSections><mine/>",
    ],
)
def test_files_that_say_nothing_about_it_change_nothing(body: str) -> None:
    for data in (web_config(body), b"\xef\xbb\xbf" + web_config(body)):
        assert auth_at(configuration(), "Site", {r"C:\web\web.config": data}).fault is None


OF_IIS = """
    applicationInitialization asp aspNetCore caching cgi compression defaultDocument directoryBrowse diskCache farm
    fastCgi globalModules handlers heliconZoo httpCompression httpErrors httpLogging httpPlatform httpProtocol
    httpRedirect httpTracing httpsRedirect isapiFilters management media modules odbcLogging proxy
    rewrite/allowedServerVariables
    rewrite/globalRules rewrite/outboundRules rewrite/providers rewrite/rewriteMaps rewrite/rules security/access
    security/applicationDependencies security/authentication/anonymousAuthentication
    security/authentication/basicAuthentication security/authentication/clientCertificateMappingAuthentication
    security/authentication/digestAuthentication
    security/authentication/iisClientCertificateMappingAuthentication security/authentication/windowsAuthentication
    security/authorization security/dynamicIpSecurity security/ipSecurity security/isapiCgiRestriction
    security/requestFiltering serverRuntime serverSideInclude staticContent tracing/traceFailedRequests
    tracing/traceProviderDefinitions urlCompression validation webFarms webSocket webdav/authoring
    webdav/authoringRules webdav/globalSettings
"""
"""Sections of <system.webServer> that IIS (its configuration reference), URL Rewrite, ARR, the ASP.NET Core Module and
HeliconZoo bring: whether a server has the module, its applicationHost.config need not tell."""


@pytest.mark.parametrize("name", OF_IIS.split())
def test_a_section_of_iis_or_of_its_known_modules_is_never_taken_for_unregistered(name: str) -> None:
    *groups, section = name.split("/")
    body = f"<{section}/>"
    for group in reversed(["system.webServer", *groups]):
        body = f"<{group}>{body}</{group}>"
    if section != "windowsAuthentication":
        assert auth_at(OPEN, "Site", {r"C:\web\web.config": web_config(body)}).fault is None
    slip = body.replace(f"<{section}/>", f"<{section}X/>")
    assert fault(OPEN, "Site", {r"C:\web\web.config": web_config(slip)})[0] == "config-invalid"


def test_a_section_that_the_server_registers_is_known() -> None:
    declared = '<section name="theirs" />'
    text = configuration(mode="Allow").replace(
        '<sectionGroup name="security">', declared + '<sectionGroup name="security">'
    )
    assert (
        auth_at(
            text, "Site", {r"C:\web\web.config": web_config("<system.webServer><theirs/></system.webServer>")}
        ).fault
        is None
    )


def test_a_web_config_must_not_declare_a_section_again() -> None:
    declared = element("section", name="windowsAuthentication", overrideModeDefault="Allow")
    for group in ("authentication", "security", "system.webServer"):
        declared = element("sectionGroup", declared, name=group)
    files = {r"C:\web\web.config": web_config(element("configSections", "\n" + declared))}
    assert fault(configuration(), "Site", files) == ("config-invalid", r"C:\web\web.config", 2)


# -- files that could not be read ----------------------------------------------------------------------------------


def unread(path: str) -> Machine:
    return Machine(name="IIS01", content_looked=True, unread=((path, "access denied"),))


@pytest.mark.parametrize("below", ["", "\\dir"])
def test_unread_content_matters_only_where_the_section_is_unlocked(below: str) -> None:
    machine = unread(rf"C:\web{below}\web.config")
    path = "Site" + below.replace("\\", "/")
    locked = auth_at(configuration(), path, machine=machine)
    assert locked.fault is None
    found = auth_at(OPEN, path, machine=machine).fault
    assert found is not None
    assert (found.id, "access denied" in found.message) == ("content-unread", True)
    one = configuration(body=location("Site", "<x/>" + windows(), overrideMode="Allow"))
    assert auth_at(one, path, machine=machine).fault is not None


@pytest.mark.parametrize(
    ("path", "unread_path", "matters"),
    [
        ("Site", r"C:\web", True),
        ("Site", "C:\\", True),
        ("Site/sub", r"C:\web\sub", True),
        ("Site/sub/x", r"C:\web\sub", True),
        ("Site", r"C:\web\sub", False),
        ("Site", r"C:\we", False),
        ("Site", r"D:\web", False),
    ],
)
def test_what_stands_in_an_unread_folder_is_not_known(path: str, unread_path: str, matters: bool) -> None:
    fault = auth_at(OPEN, path, machine=unread(unread_path)).fault
    assert (fault is not None) is matters
    assert auth_at(configuration(), path, machine=unread(unread_path)).fault is None


def test_why_no_folder_can_be_told_is_said_as_it_was_told() -> None:
    text = configuration(sites=site("Site", application("/", r"%Nobody%\x")), mode="Allow")
    told = Machine(name="X", content_looked=True, unread=((r"%nobody%\X", "the variable %Nobody% is not known"),))
    for machine, said in ((told, "the variable %Nobody% is not known"), (replace(told, unread=()), "no full path")):
        fault = auth_at(text, "Site", machine=machine).fault
        assert fault is not None
        assert fault.message.endswith(said)


def test_file_that_was_read_in_an_unread_folder_is_known(tmp_path: Path) -> None:
    assert enabled(OPEN, "Site", {r"C:\web\web.config": ON}, unread("C:\\"))
    target = folder(tmp_path, OPEN, r"C:\web\sub")
    assert [server.status for server in inspect([target]).servers] == ["partial"], "a place of its own"


def test_an_unread_config_source_is_not_called_malformed() -> None:
    from agent.iis.effective import Evaluation
    from agent.iis.parse import parse

    paths = Evaluation(parse(OPEN.encode(), "a.config"), with_source(b"", "access denied")).authentication
    found = paths.at("site").fault
    assert found is not None
    assert (found.id, found.file) == ("content-unread", "win.config")


def folder(tmp_path: Path, text: str, unread_path: str) -> Path:
    facts = {
        "name": "IIS01",
        "dns_name": "iis01.test.com",
        "domain": "test.com",
        "netbios_domain": "TEST",
        "content": {"looked": True, "unread": [{"path": unread_path, "why": "UNC: second hop"}]},
    }
    (tmp_path / "machine.json").write_text(json.dumps(facts))
    (tmp_path / "applicationHost.config").write_text(text)
    return tmp_path


@pytest.mark.parametrize("path", [r"C:\web\web.config", r"C:\web\sub\web.config", r"c:\APP\a\b\Web.Config"])
@pytest.mark.parametrize(("mode", "status", "code"), [("Allow", "partial", 2), ("Deny", "ok", 0)])
def test_unread_content_of_a_snapshot(tmp_path: Path, path: str, mode: str, status: str, code: int) -> None:
    target = folder(tmp_path, configuration(mode=mode), path)
    report: Report = inspect([target])
    assert [server.status for server in report.servers] == [status]
    assert report.complete == (status == "ok")
    assert [finding.id for finding in report.findings if finding.severity == "error"] == (
        ["content-unread"] if status == "partial" else []
    )
    assert main(["inspect", str(target), "--ad", "off", "--format", "json", "--output", str(tmp_path / "out")]) == code


@pytest.mark.parametrize("physical", LOST)
@pytest.mark.parametrize(("mode", "status"), [("Allow", "partial"), ("Deny", "ok")])
@pytest.mark.parametrize("looked", [True, False])
def test_a_folder_that_cannot_be_told_is_not_an_empty_one(
    tmp_path: Path, physical: str, mode: str, status: str, looked: bool
) -> None:
    target = folder(
        tmp_path, configuration(sites=site("Site", application("/", physical)), mode=mode), r"C:\x\web.config"
    )
    facts = json.loads((target / "machine.json").read_text())
    facts["content"] = {"looked": looked, "unread": []}
    (target / "machine.json").write_text(json.dumps(facts))
    report = inspect([target])
    assert report.servers[0].status == (status if looked else "ok"), "where nobody looked, that is said once"
    told = [found for found in report.findings if found.id == "content-unread"]
    assert bool(told) == (looked and status == "partial")
    assert all("environment in machine.json" in found.fix[0] for found in told)


def test_an_unread_file_that_nobody_can_place_is_told_where_a_section_is_unlocked(tmp_path: Path) -> None:
    unplaced = r"%APPS%\other\web.config"
    report = inspect([folder(tmp_path, configuration(mode="Allow"), unplaced)])
    assert report.servers[0].status == "partial"
    (told,) = [found for found in report.findings if found.id == "content-unread"]
    assert told.evidence[0].file == unplaced
    assert inspect([folder(tmp_path, configuration(mode="Deny"), unplaced)]).complete


UNREAD_FOLDERS = (r"C:\x", *LOST)
"""Physical paths under which `folder` says that a web.config was not opened, or nobody can tell which one it is."""


@pytest.mark.parametrize("physical", UNREAD_FOLDERS)
@pytest.mark.parametrize("server", ["true", "false"])
@pytest.mark.parametrize("path", ["/", "/App"])
def test_what_could_not_be_read_is_not_said_to_be_refused_by_iis(
    tmp_path: Path, physical: str, server: str, path: str
) -> None:
    applications = application("/", r"C:\read") + (application(path, physical) if path != "/" else "")
    own = applications if path != "/" else application("/", physical)
    text = configuration(root=windows(enabled=server), sites=site("Site", own), mode="Allow")
    target = folder(tmp_path, text, r"C:\x\web.config")
    report = inspect([target])
    (found,) = [each for each in report.applications if each.path == path]
    assert (found.why_not, found.decryption, found.negotiates) == ("unread", "uncertain", False)
    assert not report.complete
    for form in ("table", "markdown"):
        main(["inspect", str(target), "--ad", "off", "--all", "--format", form, "--output", str(tmp_path / form)])
        told = (tmp_path / form).read_text()
        assert "a web.config could not be read" in " ".join(told.split())
        assert "IIS refuses" not in told
    answers = explain(f"http://iis01.test.com{path}", [target]).outcomes
    assert {each.outcome for each in answers} == {"uncertain"}


def test_what_is_broken_is_refused_by_iis(tmp_path: Path) -> None:
    target = folder(tmp_path, OPEN, r"C:\nowhere\web.config")
    broken = tmp_path / "files/C/web/web.config"
    broken.parent.mkdir(parents=True)
    broken.write_text("<configuration>")
    found, _ = inspect([target]).applications
    assert (found.why_not, found.decryption) == ("refused", "none")


@pytest.mark.parametrize("order", [("unread", "refused"), ("refused", "unread")])
def test_what_is_refused_and_what_could_not_be_read_stand_beside_each_other(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    """Neither has settings: the one must not be told for the other, whichever comes first."""
    below = [application(f"/{name}", rf"C:\{name}") for name in order]
    target = folder(
        tmp_path,
        configuration(sites=site("Site", application("/", r"C:\web"), *below), mode="Allow"),
        r"C:\unread\web.config",
    )
    broken = tmp_path / "files/C/refused/web.config"
    broken.parent.mkdir(parents=True)
    broken.write_text("<configuration>")
    found = {each.path: (each.why_not, each.decryption) for each in inspect([target]).applications if each.path != "/"}
    assert found == {"/unread": ("unread", "uncertain"), "/refused": ("refused", "none")}


def test_a_list_of_unread_files_alone_is_no_look(tmp_path: Path) -> None:
    target = folder(tmp_path, OPEN, r"C:\other\web.config")
    facts = json.loads((target / "machine.json").read_text())
    facts["content"]["looked"] = False
    (target / "machine.json").write_text(json.dumps(facts))
    assert "content-not-collected" in [problem.id for problem in inspect([target]).servers[0].problems]


@pytest.mark.parametrize(
    ("mode", "looked", "outcome"),
    [("Allow", False, "uncertain"), ("Allow", True, "modified"), ("Deny", False, "modified")],
)
def test_what_a_web_config_may_change_is_uncertain_where_nobody_looked(mode: str, looked: bool, outcome: str) -> None:
    """The SPN is right where a web.config sets useAppPoolCredentials."""
    built = server(worlds_site("*:80:contoso.test.com"), pool=r"TEST\svc", mode=mode, facts={"content_looked": looked})
    found = world(built, ad=ad(computer(), user("svc", "HTTP/contoso.test.com")), dns="contoso A 10.0.5.2")
    assert found.outcome("HTTP/contoso.test.com") == outcome
    assert bool(found.errors) == (outcome == "modified")
    assert bool(found.report.plan.steps) == (outcome == "modified")


def test_content_not_looked_at_is_said_once_and_changes_no_code(tmp_path: Path) -> None:
    file = tmp_path / "applicationHost.config"
    file.write_text(OPEN)
    report = inspect([file], computer="iis01.test.com")
    assert [problem.id for problem in report.servers[0].problems] == ["content-not-collected"]
    assert report.complete


def test_a_locked_section_is_an_error_at_its_level_and_below_only(tmp_path: Path) -> None:
    text = configuration(
        root=windows(ROOT, enabled="true"), sites=site("Site") + site("Two", application("/", r"C:\two"), id="2")
    )
    content = tmp_path / "files" / "C" / "app"
    content.mkdir(parents=True)
    (content / "web.config").write_bytes(ON)
    (tmp_path / "applicationHost.config").write_text(text)
    (tmp_path / "machine.json").write_text(
        '{"name": "IIS01", "dns_name": "iis01.test.com", "content": {"looked": true}}'
    )
    report = inspect([tmp_path])
    auth: dict[str, WindowsAuth | None] = {a.site + a.path: a.windows_auth for a in report.applications}
    assert {name for name, found in auth.items() if found is None} == {"Site/app"}
    (locked,) = [finding for finding in report.findings if finding.id == "section-locked"]
    assert (locked.path, locked.evidence[0].line) == ("/app", 1)
    assert report.complete


def test_paths_fold_like_the_rest() -> None:
    files = {r"C:\WEB\Dir\Web.Config": ON}
    evaluated = paths_of(OPEN, files)
    assert evaluated.at(path_key("SITE/dIR")).settings == evaluated.at(path_key("site/dir")).settings
    assert enabled(OPEN, "SITE/dIR", files)
