"""Small applicationHost.config and web.config texts, and what the program makes of them."""

from collections.abc import Mapping

from agent.iis.authentication import Auth, AuthenticationPaths
from agent.iis.effective import Configuration, Evaluation, effective
from agent.iis.parse import parse
from agent.iis.snapshot import Machine, Snapshot, SourceFile, file_key
from agent.names import path_key

HTTP_80 = '<bindings><binding protocol="http" bindingInformation="*:80:" /></bindings>'
POOLS = '<add name="PoolA" /><add name="PoolB" />'
ROOT = '<providers><add value="Negotiate" /><add value="NTLM" /></providers>'


def element(tag: str, inner: str = "", /, **attributes: str) -> str:
    """One element; attribute values are XML text already."""
    shown = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{tag}{shown}>{inner}</{tag}>"


def windows(inner: str = "", **attributes: str) -> str:
    """A windowsAuthentication section in its groups."""
    section = element("windowsAuthentication", inner, **attributes)
    return f"<system.webServer><security><authentication>{section}</authentication></security></system.webServer>"


def location(path: str, inner: str, **attributes: str) -> str:
    """A `<location>` for a path."""
    return element("location", inner, path=path, **attributes)


def application(path: str, folder: str, inner: str = "", **attributes: str) -> str:
    """An application with its root virtual directory."""
    root = element("virtualDirectory", path="/", physicalPath=folder)
    return element("application", root + inner, **{"path": path, "applicationPool": "PoolA", **attributes})


def site(name: str, *applications: str, id: str = "1", inner: str = HTTP_80) -> str:  # noqa: A002  # IIS's own word
    """A site; without applications: "/" in C:\\web and "/app" in C:\\app."""
    both = applications or (application("/", r"C:\web"), application("/app", r"C:\app"))
    return element("site", "".join(both) + inner, name=name, id=id)


SITE = site("Site")


def configuration(
    *, sites: str = SITE, pools: str = POOLS, root: str = windows(ROOT), body: str = "", mode: str = "Deny"
) -> str:
    """An applicationHost.config. `mode` is windowsAuthentication's overrideModeDefault, `body` comes last."""
    declared = element("section", name="windowsAuthentication", overrideModeDefault=mode)
    for group in ("authentication", "security", "system.webServer"):
        declared = element("sectionGroup", declared, name=group)
    host = element("applicationPools", pools) + element("sites", sites)
    sections = element("configSections", declared)
    return element("configuration", sections + element("system.applicationHost", host) + root + body)


def web_config(body: str) -> bytes:
    return element("configuration", body).encode()


def snapshot(files: Mapping[str, bytes] | None = None, machine: Machine | None = None) -> Snapshot:
    """A server that has these content files, by Windows path."""
    machine = machine or Machine(name="IIS01", content_looked=files is not None)
    read = {str(file_key(path, machine.environment)): SourceFile(path, data) for path, data in (files or {}).items()}
    return Snapshot(source="test", machine=machine, files=read)


def evaluate(text: str, files: Mapping[str, bytes] | None = None, machine: Machine | None = None) -> Configuration:
    return effective(parse(text.encode(), "applicationHost.config"), snapshot(files, machine))


def paths_of(
    text: str, files: Mapping[str, bytes] | None = None, machine: Machine | None = None
) -> AuthenticationPaths:
    return Evaluation(parse(text.encode(), "applicationHost.config"), snapshot(files, machine)).authentication


def auth_at(text: str, path: str, files: Mapping[str, bytes] | None = None, machine: Machine | None = None) -> Auth:
    """Effective windowsAuthentication at any configuration path."""
    return paths_of(text, files, machine).at(path_key(path))
