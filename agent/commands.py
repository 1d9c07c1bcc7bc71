"""The command lines an administrator types: `setspn` and `appcmd`, quoted so that no name can add a command."""

from __future__ import annotations

from agent.names import AccountName, Spn

APPCMD = r"%windir%\System32\inetsrv\appcmd.exe"

_REFUSED = frozenset('"%&^|<>!')
"""Characters that cmd.exe or CommandLineToArgvW may act on even within quotes."""


def is_safe(text: str) -> bool:
    """Whether a name may stand in a command line; one that may not is described in words instead."""
    return bool(text) and text.isprintable() and not _REFUSED & set(text) and not text.endswith("\\")


def setspn(action: str, name: Spn, account: AccountName, *, computer: bool | None) -> str | None:
    """`setspn -F -S` or `-D` for one SPN, None where a name cannot be quoted.

    `-C` and `-U` say which object is meant: without them a user is taken for the computer of the same name. A
    managed service account (`computer` None, name ending in `$`) takes neither.
    """
    text = f"{account.domain}\\{account.name}"
    if not (is_safe(name.text) and is_safe(text)):
        return None
    forest = "-F " if action == "-S" else ""
    if computer:
        return f"setspn {forest}-C {action} {_quoted(name.text)} {_quoted(text.removesuffix('$'))}"
    kind = "" if computer is None or account.name.endswith("$") else "-U "
    return f"setspn {forest}{kind}{action} {_quoted(name.text)} {_quoted(text)}"


def appcmd(site: str, path: str, setting: str, value: str, *, in_web_config: bool = False) -> str | None:
    """Set one windowsAuthentication attribute for one application, in applicationHost.config or its web.config."""
    place = f"{site}{path}".rstrip("/")
    if not is_safe(place):
        return None
    section = "system.webServer/security/authentication/windowsAuthentication"
    commit = "" if in_web_config else " /commit:apphost"
    return f'{APPCMD} set config "{place}" -section:{section} /{setting}:{value}{commit}'


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text or any(c in text for c in "()=,;'`@") else text
