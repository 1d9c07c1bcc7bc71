"""Pools, sites and applications with all their defaults; who a pool runs as; shared configuration."""

from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from configurations import SITE, application, configuration, element, evaluate, site, windows
from msgspec.structs import replace

from agent import inspect
from agent.errors import MalformedError
from agent.iis.effective import Configuration, EffectiveApplication, Pool
from agent.iis.redirection import configuration_file, redirection
from agent.iis.schema import IDENTITY_TYPES
from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.names import AccountName
from agent.spn.directory import Account, Directory, Domain
from agent.spn.domains import domains_of
from agent.spn.identity import PoolIdentity, Surroundings, pool_identity

MACHINE = Machine(
    name="IIS01", dns_name="iis01.test.com", domain="test.com", netbios_domain="TEST", domain_controller=False
)


def pool_of(pools: str, name: str = "p") -> Pool:
    return evaluate(configuration(pools=pools)).pools[name]


def process(**attributes: str) -> str:
    return element("processModel", **attributes)


def only_application(sites: str) -> EffectiveApplication:
    ((found,),) = [s.applications for s in evaluate(configuration(sites=sites)).sites]
    return found


def messages(found: Configuration) -> list[tuple[int | None, str]]:
    assert {notice.id for notice in found.notices} <= {"config-invalid"}
    return [(notice.line, notice.message) for notice in found.notices]


# -- pools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", IDENTITY_TYPES)
@pytest.mark.parametrize("spelt", [str, str.upper, str.lower])
def test_the_five_identity_types(identity: str, spelt: type[str]) -> None:
    pool = pool_of(element("add", process(identityType=spelt(identity), userName=r"TEST\x"), name="P"))
    assert pool.identity_type == identity
    assert pool.user_name == (r"TEST\x" if identity == "SpecificUser" else "")


def test_the_schema_default_of_a_pool() -> None:
    for pools in (
        '<add name="P" />',
        '<add name="P"><processModel idleTimeout="0" /></add><applicationPoolDefaults />',
    ):
        pool = pool_of(pools)
        assert (pool.identity_type, pool.user_name, pool.origin.file) == ("ApplicationPoolIdentity", "", None)


DEFAULTS = element("applicationPoolDefaults", process(identityType="SpecificUser", userName=r"TEST\default"))


@pytest.mark.parametrize(
    ("own", "identity", "user"),
    [
        ("", "SpecificUser", r"TEST\default"),
        (process(idleTimeout="0"), "SpecificUser", r"TEST\default"),
        (process(userName=r"TEST\own"), "SpecificUser", r"TEST\own"),
        (process(identityType="SpecificUser"), "SpecificUser", r"TEST\default"),
        (process(identityType="NetworkService"), "NetworkService", ""),
        (process(identityType="LocalSystem", userName=r"TEST\own"), "LocalSystem", ""),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_pool_defaults_attribute_by_attribute(own: str, identity: str, user: str, first: bool) -> None:
    pool = element("add", own, name="P")
    found = pool_of(DEFAULTS + pool if first else pool + DEFAULTS)
    assert (found.identity_type, found.user_name) == (identity, user)


def test_where_the_identity_comes_from() -> None:
    text = (
        "\n" + element("add", "\n" + process(identityType="LocalSystem"), name="P") + '\n<add name="Q" />\n' + DEFAULTS
    )
    pools = evaluate(configuration(pools=text)).pools
    assert (pools["p"].origin.line, pools["p"].origin.why) == (3, "explicit")
    assert (pools["q"].origin.line, pools["q"].origin.why) == (5, "default")


def test_an_unknown_identity_type_is_told() -> None:
    found = evaluate(configuration(pools="\n" + element("add", process(identityType="4"), name="P")))
    assert found.pools["p"].identity_type is None
    ((line, message),) = messages(found)
    assert line == 2
    assert "must be one of LocalSystem" in message


def test_no_pools_at_all_is_no_error() -> None:
    text = configuration().replace("<applicationPools>", "<x>").replace("</applicationPools>", "</x>")
    found = evaluate(text)
    assert (found.pools, found.notices) == ({}, ())


# -- applications --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "near", "far", "expected"),
    [
        ("A", "B", "C", "A"),
        (None, "B", "C", "B"),
        (None, None, "C", "C"),
        (None, None, None, None),
        ("", "B", None, None),
    ],
)
def test_the_pool_of_an_application(own: str | None, near: str | None, far: str | None, expected: str | None) -> None:
    def defaults(value: str | None) -> str:
        return "" if value is None else element("applicationDefaults", applicationPool=value)

    app = element("application", path="/", **({} if own is None else {"applicationPool": own}))
    sites = element("site", app + defaults(near), name="S", id="1") + defaults(far)
    assert only_application(sites).pool_name == expected


def test_pool_names_compare_without_case_and_a_missing_pool_is_none() -> None:
    assert only_application(site("S", application("/", "x", applicationPool="pOOLa"))).pool is not None
    missing = only_application(site("S", application("/", "x", applicationPool="Nope")))
    assert (missing.pool_name, missing.pool) == ("Nope", None)


@pytest.mark.parametrize(
    ("own", "default", "serves"),
    [
        (None, None, True),
        ("http", None, True),
        ("net.tcp, HTTP", None, True),
        ("net.tcp,net.pipe", None, False),
        (None, "net.tcp", False),
        ("http", "net.tcp", True),
    ],
)
def test_enabled_protocols(own: str | None, default: str | None, serves: bool) -> None:
    app = application("/", "x", **({} if own is None else {"enabledProtocols": own}))
    defaults = "" if default is None else element("applicationDefaults", enabledProtocols=default)
    assert only_application(site("S", app) + defaults).serves_http == serves


# -- what IIS refuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sites", "pools", "words"),
    [
        (SITE + "\n" + site("sITE", id="2"), "", "duplicate collection entry of type 'site' with name 'sITE'"),
        (SITE + "\n" + site("B", id="1"), "", "duplicate site id '1'"),
        (
            site("S", application("/", "x"), application("/a", "x"), "\n" + application("/A", "x")),
            "",
            "duplicate collection entry of type 'application' with path '/A'",
        ),
        ("\n" + element("site", name="", id="9"), "", "'' cannot be the name of a <site>"),
        ("\n" + site("a/b", id="9"), "", "'a/b' cannot be the name of a <site>"),
        (SITE, '\n<add name="" />', "'' cannot be the name of a <add>"),
        (SITE, '\n<add name="a/b" />', "'a/b' cannot be the name of a <add>"),
        ("\n" + element("site", id="9"), "", "missing required attribute 'name' on <site>"),
        (SITE, '<add name="P" />\n<add name="p" />', "duplicate collection entry of type 'add' with name 'p'"),
        (SITE, '\n<add managedRuntimeVersion="" />', "missing required attribute 'name' on <add>"),
        ("\n" + site("S", application("/app", r"C:\app")), "", "no application '/'"),
        (
            "\n" + site("S", element("application", '<virtualDirectory path="/x" physicalPath="x" />', path="/")),
            "",
            "no virtual directory '/'",
        ),
        (
            site("S", application("/", "x", "\n" + element("virtualDirectory", path="/", physicalPath="y"))),
            "",
            "duplicate collection entry of type 'virtualDirectory' with path '/'",
        ),
    ],
)
def test_what_ii_s_refuses_is_told_with_its_line_and_the_rest_is_read(sites: str, pools: str, words: str) -> None:
    found = evaluate(configuration(sites=sites, pools=pools or '<add name="PoolA" />'))
    ((line, message),) = messages(found)
    assert words in message
    assert line == 2


def test_a_second_sites_section_is_told() -> None:
    second = element("system.applicationHost", element("sites", site("Other", id="7")))
    found = evaluate(configuration(body="\n" + second))
    ((line, message),) = messages(found)
    assert line == 2
    assert "system.applicationHost/sites" in message


def test_order_of_applications_and_directories_has_no_meaning() -> None:
    docs = element("virtualDirectory", path="/docs", physicalPath="x")
    root = element("application", docs + element("virtualDirectory", path="/", physicalPath="x"), path="/")
    found = evaluate(configuration(sites=site("S", application("/app", "x"), root)))
    assert found.notices == ()
    assert [a.path for a in found.sites[0].applications] == ["/app", "/"]


def test_whether_the_module_is_installed() -> None:
    def modules(*names: str) -> str:
        each = "".join(element("add", name=name) for name in names)
        return element("system.webServer", element("globalModules", each))

    assert evaluate(configuration()).module_installed is None
    assert evaluate(configuration(body=modules("UriCacheModule"))).module_installed is False
    assert evaluate(configuration(body=modules("X", "windowsauthenticationmodule"))).module_installed is True


# -- who a pool runs as --------------------------------------------------------------------------------------------


def account(name: str, **more: object) -> Account:
    fields: dict[str, object] = {"name": AccountName("CORP", name), "dn": f"CN={name},DC=test,DC=com", **more}
    return Account(**fields)  # type: ignore[arg-type]


def identity(user: str, machine: Machine = MACHINE, directory: Directory | None = None) -> PoolIdentity:
    pool = pool_of(element("add", process(identityType="SpecificUser", userName=user), name="P"))
    return pool_identity(pool, around(machine, directory))


def around(machine: Machine = MACHINE, directory: Directory | None = None) -> Surroundings:
    return Surroundings(machine, domains_of(directory, [machine]), directory)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("LocalSystem", "machine"),
        ("NetworkService", "machine"),
        ("ApplicationPoolIdentity", "machine"),
        ("LocalService", "LocalService"),
        ("SpecificUser", "unresolved"),
        ("Other", "unresolved"),
    ],
)
def test_identity_types_on_the_network(name: str, kind: str) -> None:
    pool = pool_of(element("add", process(identityType=name), name="P"))
    assert pool_identity(pool, around()).kind == kind


def test_no_pool_has_no_identity() -> None:
    assert pool_identity(None, around()).kind == "unresolved"


@pytest.mark.parametrize(
    ("user", "kind", "known", "certain"),
    [
        (r"TEST\svc", "account", r"TEST\svc", True),
        (r"test.com\svc", "account", r"TEST\svc", True),
        (r"OTHER\svc", "account", r"OTHER\svc", True),
        (r"other.example\svc", "account", r"OTHER\svc", True),
        (r"TEST\gmsa$", "account", r"TEST\gmsa$", True),
        ("svc@test.com", "account", r"TEST\svc", False),
        ("svc@other.example", "account", r"OTHER\svc", False),
        (r".\svc", "local user", None, True),
        (r"IIS01\svc", "local user", None, True),
        (r"iis01\svc", "local user", None, True),
        ("svc", "unresolved", None, False),
        (r"NT AUTHORITY\NETWORK SERVICE", "machine", None, True),
        (r"nt authority\system", "machine", None, True),
        (r"NT AUTHORITY\LOCAL SERVICE", "LocalService", None, True),
        (r"IIS APPPOOL\P", "machine", None, True),
        (r"NT SERVICE\W3SVC", "machine", None, True),
    ],
)
def test_every_form_of_a_user_name(user: str, kind: str, known: str | None, certain: bool) -> None:
    found = identity(user)
    assert (found.kind, str(found.account) if found.account else None, found.certain) == (kind, known, certain)
    assert found.certain or found.doubt


DIRECTORY = Directory(
    source="test",
    domains=(Domain(dns_name="test.com", netbios="CORP", dn="DC=test,DC=com", covered=True),),
    accounts=(
        account("svc", upn="login@test.com"),
        account("implicit"),
        account("old", superseded_state=2, superseded_by="CN=new,DC=test,DC=com"),
        account("moving", superseded_state=1, superseded_by="CN=new,DC=test,DC=com"),
        account("new$", dn="CN=new,DC=test,DC=com", kind="dMSA"),
        account("standalone$", kind="dMSA"),
    ),
)


@pytest.mark.parametrize(
    ("user", "kind", "known", "certain"),
    [
        (r"test.com\svc", "account", r"CORP\svc", True),
        (r"CORP\SVC", "account", r"CORP\svc", True),
        ("LOGIN@test.com", "account", r"CORP\svc", True),
        ("implicit@test.com", "account", r"CORP\implicit", True),
        ("nobody@test.com", "account", r"CORP\nobody", False),
        (r"CORP\old", "account", r"CORP\new$", True),
        (r"CORP\moving", "account", r"CORP\moving", True),
        (r"CORP\standalone$", "standalone dMSA", r"CORP\standalone$", False),
        (r".\svc", "local user", None, True),
    ],
)
def test_a_directory_settles_what_a_user_name_means(user: str, kind: str, known: str | None, certain: bool) -> None:
    found = identity(user, directory=DIRECTORY)
    assert (found.kind, str(found.account) if found.account else None, found.certain) == (kind, known, certain)


def test_a_domain_controller_has_no_local_users() -> None:
    controller = Machine(name="DC1", domain="test.com", netbios_domain="CORP", domain_controller=True)
    assert identity(r".\svc", controller, DIRECTORY).account == AccountName("CORP", "svc")


def test_whose_a_local_name_is_stays_open_until_the_role_is_known() -> None:
    found = identity(r".\svc", replace(MACHINE, domain_controller=None), DIRECTORY)
    assert (found.kind, found.account, found.certain) == ("unresolved", None, False)


# -- shared configuration ------------------------------------------------------------------------------------------

LOCAL = SourceFile("local/applicationHost.config", configuration().encode())
SHARED = SourceFile("shared/applicationHost.config", configuration(sites=site("Shared")).encode())


def redirected(files: dict[str, SourceFile] | None = None, machine: Machine = MACHINE, **attributes: str) -> Snapshot:
    text = element("configuration", "\n" + element("configurationRedirection", **attributes))
    own = {"applicationhost.config": LOCAL, "redirection.config": SourceFile("redirection.config", text.encode())}
    return Snapshot(source="test", machine=machine, files={**own, **(files or {})})


@pytest.mark.parametrize("attributes", [{}, {"enabled": "false", "path": r"\\srv\share"}, {"enabled": "False"}])
def test_a_redirection_that_is_off(attributes: dict[str, str]) -> None:
    found = configuration_file(redirected(**attributes))
    assert (found.file, found.problem, found.shared_key) == (LOCAL, None, None)


@pytest.mark.parametrize(
    ("path", "key", "farm"),
    [
        (r"\\Srv\Share", "files/unc/srv/share/applicationhost.config", True),
        (r"D:\Config\\", "files/d/config/applicationhost.config", False),
        (r"%SystemDrive%\shared", "files/c/shared/applicationhost.config", False),
    ],
)
def test_a_redirection_in_force(path: str, key: str, farm: bool) -> None:
    found = configuration_file(redirected({key: SHARED}, enabled="True", path=path))
    assert found.file == SHARED
    assert found.shared_key == (key if farm else None)
    assert found.problem is not None
    assert (found.problem.id, found.problem.line, found.severity) == ("shared-configuration", 2, "info")


@pytest.mark.parametrize("path", [r"\\srv\share", "relative", r"%NOPE%\x"])
def test_a_shared_configuration_that_was_not_collected_is_not_replaced_by_the_stale_copy(path: str) -> None:
    found = configuration_file(redirected(enabled="true", path=path))
    assert found.file is None
    assert found.problem is not None
    assert (found.problem.id, found.severity) == ("shared-configuration", "error")


@pytest.mark.parametrize(
    "attributes", [{"enabled": "true"}, {"enabled": "1", "path": "x"}, {"enabled": "true", "path": " "}]
)
def test_a_redirection_nobody_can_read(attributes: dict[str, str]) -> None:
    snapshot = redirected(**attributes)
    with pytest.raises(MalformedError, match=r"^redirection\.config:2: "):
        redirection(snapshot)
    found = configuration_file(snapshot)
    assert found.file is None
    assert found.problem is not None
    assert (found.problem.id, found.problem.line) == ("config-malformed", 2)


def test_a_snapshot_folder_with_shared_configuration(tmp_path: Path) -> None:
    shared = tmp_path / "files" / "UNC" / "srv" / "share"
    shared.mkdir(parents=True)
    (tmp_path / "machine.json").write_text('{"name": "IIS01", "dns_name": "iis01.test.com"}')
    (tmp_path / "applicationHost.config").write_bytes(LOCAL.data)
    (tmp_path / "redirection.config").write_bytes(
        redirected(enabled="true", path=r"\\SRV\share").files["redirection.config"].data
    )
    missing = inspect([tmp_path])
    assert (missing.servers[0].status, missing.complete, missing.applications) == ("failed", False, ())
    assert [(f.id, f.severity) for f in missing.findings] == [("shared-configuration", "error")]
    (shared / "applicationHost.config").write_bytes(SHARED.data)
    found = inspect([tmp_path])
    assert {application.site for application in found.applications} == {"Shared"}
    assert [f.severity for f in found.findings if f.id == "shared-configuration"] == ["info"]
    assert found.complete


def test_defaults_of_a_whole_file_reach_the_report(tmp_path: Path) -> None:
    file = tmp_path / "applicationHost.config"
    sites = site("S", element("application", path="/")) + element("applicationDefaults", applicationPool="P")
    pools = '<add name="P" />' + DEFAULTS
    root = windows('<providers><add value="Negotiate" /></providers>', enabled="true", useAppPoolCredentials="true")
    file.write_text(configuration(sites=sites, pools=pools, root=root))
    (found,) = inspect([file], computer="iis01.test.com").applications
    assert (found.pool, found.identity_type, str(found.pool_account)) == ("P", "SpecificUser", r"TEST\default")
    assert (found.decryption, str(found.decrypts_as)) == ("pool", r"TEST\default")


@pytest.mark.parametrize("character", "|<>&\"/[]+=;:,?*@\\~#%$!(){}^'`. -_")
def test_characters_that_no_name_of_a_site_or_pool_may_hold(character: str) -> None:
    """IIS refuses them when a site (`/?`) or a pool is made; all others are usual."""
    name = escape(f"a{character}b", {'"': "&quot;"})
    pools = evaluate(configuration(pools=element("add", name=name))).pools
    assert (f"a{character}b" in pools) is (character not in '|<>&"/[]+=;:,?*@\\')
    sites = evaluate(configuration(sites=site(name))).sites
    assert [each.name for each in sites] == ([] if character in "/?" else [f"a{character}b"])
