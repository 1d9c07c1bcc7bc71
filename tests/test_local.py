"""This server as a snapshot: what is read through a Windows that a temporary folder stands in for."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.iis.redirection import configuration_file
from agent.iis.snapshot import Machine, Snapshot
from agent.sources.local import content, paths, reading, server

pytestmark = pytest.mark.windows

CONFIG = r"""<configuration>
  <system.applicationHost><sites>
    <site name="A" id="1"><application path="/">
      <virtualDirectory path="/" physicalPath="%SystemDrive%\inetpub\wwwroot" />
      <virtualDirectory path="/deep" physicalPath="C:\inetpub\wwwroot\deep\" />
      <virtualDirectory path="/gone" physicalPath="C:\gone" />
      <virtualDirectory path="/far" physicalPath="\\srv\share\app" />
    </application></site>
  </sites></system.applicationHost>
</configuration>"""
REDIRECTED = r'<configuration><configurationRedirection enabled="true" path="{}" /></configuration>'
SYSTEM = "c/Windows/System32/inetsrv/config"


@dataclass(frozen=True)
class FakeWindows:
    """Windows paths below a folder: `C:\\x` as `c/x`, `\\\\srv\\share` as `unc/srv/share`."""

    root: Path
    variables: Mapping[str, str]
    bound: Mapping[str, bytes] | None = None

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def certificates(self) -> Mapping[str, bytes] | None:
        return self.bound

    def machine(self) -> Machine:
        return Machine(name="IIS01", dns_name="iis01.test.com", membership="domain")

    def real(self, physical: str) -> Path:
        unc = physical.startswith("\\\\")
        drive, _, rest = ("unc", "", physical[2:]) if unc else physical.partition(":")
        return self.root.joinpath(drive.lower(), *[part for part in rest.split("\\") if part])


NO_LINKS = "making links takes a privilege on Windows"
VARIABLES = {"SYSTEMDRIVE": "C:", "windir": r"C:\Windows", "SECRET": "geheim", "Data": "D:"}


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.time, "sleep", lambda _seconds: None)


def put(path: Path, text: str = "<configuration/>") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def looked(root: Path, config: str | None = CONFIG, variables: Mapping[str, str] = VARIABLES) -> Snapshot:
    if config is not None:
        put(root / SYSTEM / "applicationHost.config", config)
    return server.read_this_server(FakeWindows(root, variables))


def contents(found: Snapshot) -> list[str]:
    return sorted(key for key in found.files if key.startswith("files/"))


def test_without_windows_a_target_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(UsageError, match=r"not Windows: name an applicationHost\.config or a snapshot folder"):
        server.read_this_server()


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"windir": r"C:\Windows"}, r"C:\Windows\System32\inetsrv\config"),
        (
            {"WINDIR": r"D:\W", "PROCESSOR_ARCHITECTURE": "x86", "PROCESSOR_ARCHITEW6432": "AMD64"},
            r"D:\W\Sysnative\inetsrv\config",
        ),
        ({"PROCESSOR_ARCHITECTURE": "ARM", "PROCESSOR_ARCHITEW6432": "ARM64"}, r"C:\Windows\Sysnative\inetsrv\config"),
        # an x64 process on ARM64: it is emulated, but no file is redirected, and there is no Sysnative
        ({"PROCESSOR_ARCHITECTURE": "AMD64", "PROCESSOR_ARCHITEW6432": "ARM64"}, r"C:\Windows\System32\inetsrv\config"),
        ({"PROCESSOR_ARCHITECTURE": "x86"}, r"C:\Windows\System32\inetsrv\config"),  # a 32-bit Windows
        ({}, r"C:\Windows\System32\inetsrv\config"),
    ],
)
def test_configuration_folder_is_the_real_one_for_a_32_bit_process_too(
    variables: Mapping[str, str], folder: str
) -> None:
    assert paths.configuration_folder(variables) == folder


def test_configuration_and_content_of_every_virtual_directory(tmp_path: Path) -> None:
    put(tmp_path / "c/inetpub/wwwroot/web.config")
    put(tmp_path / "c/inetpub/wwwroot/deep/er/web.config")
    put(tmp_path / "c/inetpub/wwwroot/other.config")
    put(tmp_path / "c/inetpub/elsewhere/web.config")
    put(tmp_path / "unc/srv/share/app/web.config")
    found = looked(tmp_path)
    answer = configuration_file(found)
    assert answer.file is not None
    assert answer.file.name == r"C:\Windows\System32\inetsrv\config\applicationHost.config"
    assert contents(found) == [
        "files/c/inetpub/wwwroot/deep/er/web.config",
        "files/c/inetpub/wwwroot/web.config",
        "files/unc/srv/share/app/web.config",
    ]
    assert found.files["files/c/inetpub/wwwroot/web.config"].name == r"C:\inetpub\wwwroot\web.config"
    assert found.machine.content_looked
    assert found.machine.unread == (), "a local folder that is gone has no web.config"
    assert (found.label, found.machine.dns_name) == ("IIS01", "iis01.test.com")
    assert found.machine.collected_at is not None


def with_path(physical: str) -> str:
    return CONFIG.replace(r"\\srv\share\app", physical)


@pytest.mark.parametrize(
    "physical",
    [
        *(r"%Nobody%\x", r"inetpub\x", r"\inetpub", "C:x", r"C:\web\..\x", r"C:\web.\x", "C:\\web "),
        *(r"\\.\C:\web", r"\\?\x"),
    ],
)
def test_path_of_which_no_folder_can_be_told_is_unread_as_it_is_written(tmp_path: Path, physical: str) -> None:
    put(tmp_path / "c/inetpub/wwwroot/web.config")
    found = looked(tmp_path, with_path(physical))
    ((path, why),) = found.machine.unread
    assert path == physical
    assert "an unknown variable, no full path, .. or a dot or blank" in why
    assert contents(found) == ["files/c/inetpub/wwwroot/web.config"], "the others are looked at"


@pytest.mark.parametrize(
    ("physical", "place"),
    [(r"\\?\UNC\srv\share\app", "unc/srv/share/app"), (r"\\?\C:\app", "c/app"), (r"%Data%/app/", "d/app")],
)
def test_path_that_can_be_told_is_looked_into(tmp_path: Path, physical: str, place: str) -> None:
    put(tmp_path / place / "web.config")
    found = looked(tmp_path, with_path(physical))
    assert contents(found) == [f"files/{place}/web.config"]
    assert found.machine.unread == ()


def test_long_form_of_a_local_folder_that_is_gone_has_no_web_config(tmp_path: Path) -> None:
    assert looked(tmp_path, with_path(r"\\?\C:\gone\too")).machine.unread == ()


def test_variable_of_a_pool_is_none_of_the_server(tmp_path: Path) -> None:
    pool = '<add name="P"><environmentVariables><add name="POOLDIR" value="C:\\" /></environmentVariables></add>'
    pools = f"<applicationPools>{pool}</applicationPools><sites>"
    found = looked(tmp_path, with_path(r"%POOLDIR%\x").replace("<sites>", pools))
    assert [path for path, _ in found.machine.unread] == [r"%POOLDIR%\x"]


def test_only_variables_that_paths_use_are_kept(tmp_path: Path) -> None:
    config = CONFIG.replace(r"C:\gone", r"%DATA%\site")
    put(tmp_path / "d/site/web.config")
    found = looked(tmp_path, config)
    assert contents(found) == ["files/d/site/web.config"]
    assert found.machine.environment == {"SYSTEMDRIVE": "C:", "windir": r"C:\Windows", "Data": "D:"}


def test_share_that_is_not_reached_is_unread_not_empty(tmp_path: Path) -> None:
    assert looked(tmp_path).machine.unread == ((r"\\srv\share\app\web.config", "not found"),)


def test_folder_that_may_not_be_listed_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "unc/srv/share/app/web.config")
    put(tmp_path / "c/inetpub/wwwroot/closed/web.config")
    scandir = os.scandir

    def closed(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", None, 5)  # ERROR_ACCESS_DENIED
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = looked(tmp_path)
    assert found.machine.unread == ((r"C:\inetpub\wwwroot\closed\web.config", "access denied"),)
    assert contents(found) == ["files/unc/srv/share/app/web.config"]


def test_web_config_that_cannot_be_opened_is_unread(tmp_path: Path) -> None:
    (tmp_path / "c/inetpub/wwwroot/web.config").mkdir(parents=True)
    put(tmp_path / "unc/srv/share/app/page.html")
    assert looked(tmp_path).machine.unread == ((r"C:\inetpub\wwwroot\web.config", "a folder, not a file"),)


@pytest.mark.parametrize(
    ("limit", "value", "why"),
    [("MAXIMUM_DIRECTORIES", 3, "more than 3 directories"), ("MAXIMUM_SECONDS", -1.0, "not looked at after")],
)
def test_search_ends_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, why: str
) -> None:
    for number in range(5):
        put(tmp_path / f"c/inetpub/wwwroot/{number}/web.config")
    monkeypatch.setattr(content, limit, value)
    found = looked(tmp_path)
    assert len(contents(found)) < 5
    assert found.machine.unread
    assert all(why in reason for _, reason in found.machine.unread)


def test_links_are_followed_as_iis_does_but_not_round_in_circles(tmp_path: Path) -> None:
    put(tmp_path / "c/elsewhere/web.config")
    put(tmp_path / "unc/srv/share/app/page.html")
    site = put(tmp_path / "c/inetpub/wwwroot/web.config").parent
    try:
        (site / "linked").symlink_to(tmp_path / "c/elsewhere")
        (site / "up").symlink_to(site)
        (tmp_path / "c/elsewhere/back").symlink_to(site)
    except OSError:
        pytest.skip(NO_LINKS)
    if not (site / "linked").is_symlink():  # wine makes none, and says that it did
        pytest.skip(NO_LINKS)
    found = looked(tmp_path)
    assert contents(found) == [
        "files/c/inetpub/wwwroot/linked/back/web.config",
        "files/c/inetpub/wwwroot/linked/web.config",
        "files/c/inetpub/wwwroot/web.config",
    ]


def test_config_source_of_a_section_that_is_read_comes_along(tmp_path: Path) -> None:
    section = '<windowsAuthentication configSource="{}"/>'
    web = "<configuration><system.webServer><security><authentication>{}</authentication></security></system.webServer>"
    other = '<connectionStrings configSource="secret.config"/></configuration>'
    folder = tmp_path / "c/inetpub/wwwroot"
    put(folder / "web.config", web.format(section.format("Auth.config")) + other)
    put(folder / "Auth.config", "<windowsAuthentication/>")
    put(folder / "secret.config", "<connectionStrings/>")
    put(folder / "deep/web.config", web.format(section.format(r"..\secret.config")) + "</configuration>")
    assert contents(looked(tmp_path)) == [
        "files/c/inetpub/wwwroot/auth.config",
        "files/c/inetpub/wwwroot/deep/web.config",
        "files/c/inetpub/wwwroot/web.config",
    ]


def test_shared_configuration_is_fetched_and_its_content_searched(tmp_path: Path) -> None:
    put(tmp_path / SYSTEM / "redirection.config", REDIRECTED.format(r"\\srv\config"))
    put(tmp_path / "unc/srv/config/applicationHost.config", CONFIG)
    put(tmp_path / "c/inetpub/wwwroot/web.config")
    found = looked(tmp_path, "<configuration/>")
    answer = configuration_file(found)
    assert answer.file is not None
    assert answer.file.name == r"\\srv\config\applicationHost.config"
    assert contents(found) == [
        "files/c/inetpub/wwwroot/web.config",
        "files/unc/srv/config/applicationhost.config",
    ]


def test_names_of_certificates_come_along_where_windows_says_them(tmp_path: Path) -> None:
    put(tmp_path / SYSTEM / "applicationHost.config", CONFIG)
    denied, shown = (server.read_this_server(FakeWindows(tmp_path, VARIABLES, bound)).machine for bound in (None, {}))
    assert (denied.certificate_names, [fact for fact, _ in denied.facts_unread]) == (None, ["certificates"])
    assert (shown.certificate_names, shown.facts_unread) == ((), ())
    put(tmp_path / SYSTEM / "applicationHost.config", "<nonsense")
    assert server.read_this_server(FakeWindows(tmp_path, VARIABLES, {})).machine.certificate_names is None


@pytest.mark.parametrize("path", [r"\\srv\gone", "relative"])
def test_shared_configuration_out_of_reach(tmp_path: Path, path: str) -> None:
    put(tmp_path / SYSTEM / "redirection.config", REDIRECTED.format(path))
    found = looked(tmp_path)
    answer = configuration_file(found)
    assert (answer.file, answer.severity) == (None, "error")
    assert not found.machine.content_looked


@pytest.mark.parametrize("config", [None, "<nonsense", "<configuration/>"])
def test_server_without_usable_configuration_is_still_an_answer(tmp_path: Path, config: str | None) -> None:
    found = looked(tmp_path, config)
    assert contents(found) == []
    assert (configuration_file(found).file is None) is (config is None)


def test_broken_redirection_is_left_to_be_told(tmp_path: Path) -> None:
    put(tmp_path / SYSTEM / "redirection.config", "<nonsense")
    answer = configuration_file(looked(tmp_path))
    assert answer.file is None
    assert answer.problem is not None
    assert answer.problem.id == "config-malformed"


def test_access_denied_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied", None, 5)  # ERROR_ACCESS_DENIED

    put(tmp_path / SYSTEM / "applicationHost.config", CONFIG)
    monkeypatch.setattr(Path, "open", deny)
    problem = configuration_file(looked(tmp_path, None)).problem
    assert problem is not None
    assert "Run as administrator" in problem.message
