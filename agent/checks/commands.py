"""The command lines an administrator types: `setspn` and `appcmd`, quoted so that no name can add a command."""

from __future__ import annotations

from agent.model import PrincipalKind
from agent.names import AccountName, Guess, Spn

APPCMD = r"%windir%\System32\inetsrv\appcmd.exe"

_REFUSED = frozenset('"%&^|<>!')
"""Characters that cmd.exe or CommandLineToArgvW may act on even within quotes."""


def is_safe(text: str) -> bool:
    """Whether a name may stand in a command line; one that may not is described in words instead.

    One that begins like an option could be taken for one, and a backslash at its end would escape the closing quote.
    """
    if not text or text.startswith(("-", "/")) or text.endswith("\\"):
        return False
    return text.isprintable() and not _REFUSED & set(text)


def setspn(action: str, name: Spn, account: AccountName, kind: PrincipalKind | None) -> str | None:
    """`setspn -F -S` or `-D` for one SPN, None where a name cannot be quoted.

    `-C` and `-U` say which object is meant: without them a user is taken for the computer of the same name. A
    managed service account takes neither.
    """
    target = _target(account, kind)
    if target is None or not is_safe(name.text):
        return None
    forest = "-F " if action == "-S" else ""
    return f"setspn {forest}{target[0]}{action} {_quoted(name.text)} {target[1]}"


def setspn_list(account: AccountName, kind: PrincipalKind | None) -> str | None:
    """`setspn -L`: what an account holds; None where its name cannot be quoted."""
    target = _target(account, kind)
    return None if target is None else f"setspn {target[0]}-L {target[1]}"


def setspn_query(name: Spn) -> str | None:
    """`setspn -F -Q`: who in the forest holds an SPN; None where it cannot be quoted."""
    return f"setspn -F -Q {_quoted(name.text)}" if is_safe(name.text) else None


def _target(account: AccountName, kind: PrincipalKind | None) -> tuple[str, str] | None:
    """The switch that says what kind of object is meant, and the account's name as `setspn` takes it.

    Without a domain, which stays out where its NetBIOS name is a guess, setspn looks in the domain of the logon.
    """
    whole = account.name if isinstance(account.domain, Guess) else str(account)
    text = whole.removesuffix("$") if kind == "computer" else whole
    if not is_safe(text):
        return None
    switch = "-C " if kind == "computer" else "-U " if kind == "user" and not account.name.endswith("$") else ""
    return switch, _quoted(text)


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
