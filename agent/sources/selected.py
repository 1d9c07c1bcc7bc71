"""`--ad` and `--dns`: from the words of the command line to the sources they mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from agent.errors import UsageError
from agent.names import HostName, fold, printable
from agent.sources.text_file import is_there
from agent.spn.directory import AskDirectory
from agent.spn.nameservice import AskNames, NameService

if TYPE_CHECKING:
    from agent.sources.ad.exports import Said
    from agent.sources.ad.ldap import LdapSource


class LiveLogon(NamedTuple):
    """A user name or None for the current logon, how to get the password, and files of certificates to trust."""

    user: str | None
    password: Callable[[], str]
    ca: Sequence[Path] = ()


NAME_SERVER_SECONDS = 60.0


class DirectorySource(Struct, frozen=True):
    """Who is asked about SPNs, None for nobody; `is_live` where a domain controller is."""

    ask: AskDirectory | None
    is_live: bool


NOBODY = DirectorySource(None, False)


def directory_source(
    words: Sequence[str], logon: LiveLogon, netbios: Mapping[str, str], said: Sequence[Said] = ()
) -> DirectorySource:
    """Read the values of `--ad`; `said` is read with files, and where nobody else is asked.

    Raises UsageError where they contradict each other.
    """
    _demand_one_or_files("--ad", words, lambda word: "://" not in word and fold(word) not in {"auto", "off"})
    first = words[0]
    if "://" in first:
        return DirectorySource(ldap_source(first, logon, netbios).ask, True)
    if fold(first) == "auto":
        domain = _current_domain(logon, netbios)
        return domain if domain.is_live else _told(said, netbios)
    if fold(first) == "off":
        return _told(said, netbios)
    return DirectorySource(_files([Path(word) for word in words], netbios, said), False)


def _told(said: Sequence[Said], netbios: Mapping[str, str]) -> DirectorySource:
    return DirectorySource(_files((), netbios, said), False) if said else NOBODY


def _demand_one_or_files(option: str, words: Sequence[str], is_file: Callable[[str], bool]) -> None:
    """Several files are read together; anything else answers alone."""
    others = [word for word in words if not is_file(word)]
    if others and len(words) > 1:
        raise UsageError(f"{option} takes any number of files, or one other source: not {printable(others[0])} too")


def _files(paths: Sequence[Path], netbios: Mapping[str, str], said: Sequence[Said]) -> AskDirectory:
    from agent.sources.ad.exports import read_exports

    for path in paths:
        if not is_there(path):
            raise UsageError(f"--ad {path}: there is no such file")
    return lambda question: read_exports(paths, question, netbios, said)


def ldap_source(target: str, logon: LiveLogon, netbios: Mapping[str, str]) -> LdapSource:
    """The live directory that a value of `--ad` names."""
    from agent.sources.ad.ldap import LdapSource
    from agent.sources.ad.logon import Logon

    who = Logon(logon.user, logon.password) if logon.user is not None else None
    return LdapSource(target=target, logon=who, ca_files=logon.ca, netbios_names=netbios)


def _current_domain(logon: LiveLogon, netbios: Mapping[str, str]) -> DirectorySource:
    """`auto`: the domain this machine is in; without one, or without the LDAP extra, nobody is asked."""
    from agent.sources import extras
    from agent.sources.ad.locate import current_domain

    if current_domain() is None:
        return NOBODY
    if not extras.is_installed("ldap"):
        sys.stderr.write(f"iis-spn: the directory is not asked, that needs: {extras.how_to_install('ldap')}\n")
        return NOBODY
    return DirectorySource(ldap_source("auto", logon, netbios).ask, True)


def name_source(words: Sequence[str]) -> AskNames:
    """Read the values of `--dns`. Raises UsageError where they contradict each other."""
    _demand_one_or_files("--dns", words, _is_zone)
    first = words[0]
    if _is_meant_for_a_file(first):
        raise UsageError(f"--dns {printable(first)}: there is no such file")
    if fold(first) == "off":
        return lambda _hosts, _addresses: None
    if _is_zone(first):
        from agent.sources.dns import zone

        return lambda _hosts, _addresses: zone.read_zones([Path(word) for word in words])
    return _live_names(None if fold(first) == "system" else first)


def _is_zone(word: str) -> bool:
    return is_there(Path(word)) and not os.path.isdir(word)  # noqa: PTH112  Path.is_dir raises where nobody may look


def _is_meant_for_a_file(word: str) -> bool:
    """Whether no name server is called so, and no file is there."""
    looks = "/" in word or "\\" in word or fold(word).endswith((".txt", ".zone", ".dns", ".db"))
    return looks and not is_there(Path(word))


def _live_names(server: str | None) -> AskNames:
    from agent.sources.dns import live

    if server is not None:
        live.endpoint(server)

    def ask(hosts: Sequence[HostName], addresses: Sequence[str]) -> NameService:
        suffixes = tuple(dict.fromkeys(host.suffix for host in hosts if host.suffix))
        return live.ask(hosts, addresses, server=server, suffixes=suffixes, deadline=NAME_SERVER_SECONDS)

    return ask
