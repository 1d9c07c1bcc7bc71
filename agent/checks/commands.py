"""The command lines an administrator pastes: `setspn`, `appcmd`, `dnscmd`. No name in them can add a command.

They are pasted into cmd.exe and into PowerShell, so a name may hold only what both take as it stands (`word`). It is a
list of what is allowed: PowerShell acts on `$(...)`, backticks, braces, and Unicode's dashes and quotes, which cmd.exe
does not, and whoever lists what is forbidden forgets one.
A setspn line is the same in both; `appcmd` needs %windir%, and two commands of `dnscmd` their &&: those are cmd's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from agent.model import PrincipalKind
from agent.names import AccountName, Guess, Spn

APPCMD = r"%windir%\System32\inetsrv\appcmd.exe"

_PLAIN = re.compile(r"[A-Za-z0-9._\-/\\:*]+")
_IN_QUOTES = frozenset(" (),+=#&@[]")
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
_LIKE_QUOTES = range(0x2B0, 0x300)
"""Modifier letters: code pages that lack them make `'`, `"`, `^` or a backtick of some."""


def word(text: str, *, is_account: bool = False) -> str | None:
    """A name as one argument of a pasted line: as it stands, in double quotes, or None where neither is safe.

    What begins like an option could be taken for one, and a backslash at its end would escape the closing quote. An
    account's name may end in `$`.
    """
    if text.startswith(("-", "/")) or text.endswith("\\"):
        return None
    bare = text.removesuffix("$") if is_account else text
    if _PLAIN.fullmatch(bare):
        return text
    return f'"{text}"' if bare and all(map(_is_quotable, bare)) else None


def _is_quotable(character: str) -> bool:
    if character.isascii():
        return character in _IN_QUOTES or _PLAIN.match(character) is not None
    return unicodedata.category(character) in _LETTERS and ord(character) not in _LIKE_QUOTES


_WORDS = re.compile(r' (?:(?P<list>"[^"]*"(?:,"[^"]*")+)|"(?P<quoted>[^"]*)"|(?P<bare>[^ "]+))')
_BINDING = re.compile(r"/[+-]bindings\.\[protocol='https?',bindingInformation='[A-Za-z0-9.:*\-]+'\]")


def is_pasteable(line: str) -> bool:
    """Whether a line is a program's name and arguments that a person can paste whole, whatever made it."""
    arguments = line.removeprefix("%windir%")
    position = len(arguments) if " " not in arguments else arguments.index(" ")
    if not _PLAIN.fullmatch(arguments[:position]):
        return False
    while position < len(arguments):
        found = _WORDS.match(arguments, position)
        if found is None or not _is_word(found):
            return False
        position = found.end()
    return True


def _is_word(found: re.Match[str]) -> bool:
    if found["list"] is not None:
        return all(map(_is_quotable, re.sub(r'\$?"(?:,"|\Z)|\A"', "", found["list"])))
    if (quoted := found["quoted"]) is not None:
        return all(map(_is_quotable, quoted.removesuffix("$")))
    if _BINDING.fullmatch(found["bare"]):
        return True
    return found["bare"] == "&&" or _PLAIN.fullmatch(found["bare"].removesuffix("$")) is not None


def is_for_cmd(line: str) -> bool:
    """Whether a command means something else, or nothing, in PowerShell."""
    return line.startswith("%") or " && " in line


def setspn(action: str, name: Spn, account: AccountName, kind: PrincipalKind | None) -> str | None:
    """`setspn -F -S` or `-D` for one SPN, None where a name cannot be pasted.

    `-C` and `-U` say which object is meant: without them a user is taken for the computer of the same name. A
    managed service account takes neither.
    """
    target, value = _target(account, kind), word(name.text)
    if target is None or value is None:
        return None
    forest = "-F " if action == "-S" else ""
    return f"setspn {forest}{target[0]}{action} {value} {target[1]}"


def setspn_list(account: AccountName, kind: PrincipalKind | None) -> str | None:
    """`setspn -L`: what an account holds; None where its name cannot be pasted."""
    target = _target(account, kind)
    return None if target is None else f"setspn {target[0]}-L {target[1]}"


def setspn_query(name: Spn) -> str | None:
    """`setspn -F -Q`: who in the forest holds an SPN; None where it cannot be pasted."""
    value = word(name.text)
    return None if value is None else f"setspn -F -Q {value}"


_LISTED = re.compile(r"(?!-)[A-Za-z0-9._:\-]+")
"""What `for` of cmd.exe takes as one thing of a list, as it stands: no wildcard, no quotes, no separator."""

HELD = "held.txt"
"""The file that `setspn_questions` write."""

LONGEST_LINE = 8000
"""Characters; cmd.exe takes 8,191 (Microsoft, "Command prompt line string limitation")."""


def setspn_questions(instances: Iterable[str]) -> tuple[str, ...]:
    """Lines for cmd.exe that ask who in the forest holds HTTP/ and HOST/ SPNs, each question before its answer.

    `setspn -Q` says "No such SPN found" without the SPN: only the echo tells what nobody holds. A name that could be
    more than one word of a list is left out. As many lines as cmd.exe needs; the first one makes the file anew.
    """
    rows, size = [list[str]()], len(_questions([], ">"))
    for name in dict.fromkeys(instances):
        if _LISTED.fullmatch(name) is None:
            continue
        if size + len(name) + 1 > LONGEST_LINE:
            rows, size = [*rows, []], len(_questions([], ">>"))
        rows[-1].append(name)
        size += len(name) + 1
    return tuple(_questions(row, ">>" if at else ">") for at, row in enumerate(rows) if row)


def _questions(names: Sequence[str], into: str) -> str:
    asked = f"(for %s in (HTTP HOST) do @for %n in ({' '.join(names)}) do @echo %s/%n& setspn -F -Q %s/%n)"
    return f"{asked} {into} {HELD}"


EXPORTED = (
    *("objectClass", "objectCategory", "objectSid", "sAMAccountName", "msDS-PrincipalName", "servicePrincipalName"),
    *("userPrincipalName", "dNSHostName", "msDS-AdditionalDnsHostName", "userAccountControl", "primaryGroupID"),
    *("pwdLastSet", "lastLogonTimestamp", "whenCreated", "memberOf", "msDS-SupportedEncryptionTypes"),
    *("msDS-GroupMSAMembership", "msDS-AllowedToDelegateTo", "msDS-AllowedToActOnBehalfOfOtherIdentity"),
    *("msDS-SupersededServiceAccountState", "msDS-SupersededManagedAccountLink"),
)
"""What every judgement of accounts needs."""

_EXPORTED_ENTRIES = "(|(objectClass=domainDNS)(objectClass=user)(objectClass=group)(servicePrincipalName=*))"
_DNS_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def ldifde_export(domain: str, file: str = "directory.ldif") -> str | None:
    """The one line that exports all that is judged of a domain, for cmd and PowerShell; None where it is none."""
    if not _DNS_NAME.fullmatch(domain) or domain.startswith("-"):
        return None
    base = ",".join(f"DC={label}" for label in domain.split("."))
    return f'ldifde -f {file} -d "{base}" -r "{_EXPORTED_ENTRIES}" -l {",".join(EXPORTED)}'


def klist_get(name: Spn) -> str | None:
    """`klist get`: a ticket for an SPN; None where it cannot be pasted."""
    value = word(name.text)
    return None if value is None else f"klist get {value}"


def _target(account: AccountName, kind: PrincipalKind | None) -> tuple[str, str] | None:
    """The switch that says what kind of object is meant, and the account's name as `setspn` takes it.

    Without a domain, which stays out where its NetBIOS name is a guess, setspn looks in the domain of the logon.
    """
    whole = account.name if isinstance(account.domain, Guess) else str(account)
    named = word(whole.removesuffix("$") if kind == "computer" else whole, is_account=True)
    if named is None:
        return None
    switch = "-C " if kind == "computer" else "-U " if kind == "user" and not account.name.endswith("$") else ""
    return switch, named


def appcmd(site: str, path: str, setting: str, value: str, *, in_web_config: bool = False) -> str | None:
    """Set one windowsAuthentication attribute for one application, in applicationHost.config or its web.config."""
    return _config("set", site, path, f"{setting}:{value}", in_web_config=in_web_config)


def appcmd_clear(site: str, path: str, setting: str) -> str | None:
    """Take one windowsAuthentication attribute out of applicationHost.config again: what is inherited holds then.

    `clear config` removes a section, a collection or one attribute (IIS 7.0 Resource Kit, "Using Command Line Tools").
    """
    return _config("clear", site, path, setting, in_web_config=False)


def _config(verb: str, site: str, path: str, setting: str, *, in_web_config: bool) -> str | None:
    place = f"{site}{path}".rstrip("/")
    if word(place) is None:
        return None
    section = "system.webServer/security/authentication/windowsAuthentication"
    commit = "" if in_web_config else " /commit:apphost"
    return f'{APPCMD} {verb} config "{place}" -section:{section} /{setting}{commit}'


def appcmd_pool(pool: str, identity: str, user: str) -> str | None:
    """Let a pool run as a built-in identity, or as an account that has no password to type: `user`, else empty."""
    if word(pool) is None or (user and word(user, is_account=True) != user):
        return None
    return f'{APPCMD} set apppool "{pool}" /processModel.identityType:{identity} /processModel.userName:{user}'


_INFORMATION = re.compile(r"[A-Za-z0-9.:*\-]+")


def appcmd_binding(sign: str, site: str, protocol: str, information: str) -> str | None:
    """Add (`+`) or remove (`-`) a binding of a site; `information` is `IP:port:host`."""
    if word(site) is None or _INFORMATION.fullmatch(information) is None:
        return None
    return f"{APPCMD} set site \"{site}\" /{sign}bindings.[protocol='{protocol}',bindingInformation='{information}']"


def dnscmd_record(action: str, zone: str, name: str, kind: str, address: str) -> str | None:
    """Add or remove (`/RecordAdd`, `/RecordDelete`) one record of a name; None where not pasteable."""
    if any(word(each) != each for each in (zone, name, address)):
        return None
    return f"dnscmd {action} {zone} {name} {kind} {address}{' /f' if action == '/RecordDelete' else ''}"


def set_readers(account: AccountName, readers: Iterable[str]) -> str | None:
    """`Set-ADServiceAccount`: who may read a gMSA's password; the list is replaced by this one."""
    name, several = word(account.name.removesuffix("$")), tuple(readers)
    if name is None or any(word(reader, is_account=True) is None for reader in several):
        return None
    listed = ",".join(f'"{reader}"' for reader in several)
    return f"Set-ADServiceAccount {name} -PrincipalsAllowedToRetrieveManagedPassword {listed}"


def dnscmd(zone: str, name: str, gone: str, new: str) -> str | None:
    """Put one record of a name in the place of another (type, and data of the new one); None where not pasteable."""
    if any(word(each) != each for each in (zone, name, *new.split(" "))):
        return None
    return f"dnscmd /RecordDelete {zone} {name} {gone} /f && dnscmd /RecordAdd {zone} {name} {new}"


_SET = re.compile(r'(\S+appcmd\.exe) set config ("[^"]+") (-section:\S+) /(\w+):(\w+)')
_POOL = re.compile(r'(\S+appcmd\.exe) set apppool ("[^"]+") \S+ /processModel\.userName:(\S*)')
_SITE = re.compile(
    r"""(\S+appcmd\.exe) set site ("[^"]+") /\+bindings\.\[protocol='\w+',bindingInformation='([^']+)'"""
)
_RECORD = re.compile(r"dnscmd /RecordAdd (\S+) (\S+) (?:A|AAAA) (\S+)")


def shown_by(command: str | None) -> tuple[str, str] | None:
    """The command line that shows what an appcmd or dnscmd line did, and what it shows then; None for any other."""
    if (setting := _SET.match(command or "")) is not None:
        program, place, section, name, value = setting.groups()
        return f"{program} list config {place} {section}", f'{name}="{value}"'
    if (pool := _POOL.match(command or "")) is not None:
        program, name, user = pool.groups()
        return f"{program} list apppool {name} /text:processModel.userName", user or "nothing"
    if (binding := _SITE.match(command or "")) is not None:
        program, name, information = binding.groups()
        return f"{program} list site {name} /text:bindings", information
    if (record := _RECORD.search(command or "")) is not None:
        zone, name, address = record.groups()
        return f"nslookup {name}.{zone}.", f"{address} and no alias"
    return None
