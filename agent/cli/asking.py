"""Servers asked over WinRM: what `sweep` and `collect` do alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.cli import console
from agent.cli.looking import live_logon
from agent.sources.ad import computers
from agent.sources.ad.computers import Computers
from agent.sources.selected import ldap_source
from agent.sweep import remote
from agent.sweep.collect import Run
from agent.sweep.options import Asking
from agent.sweep.passwords import Passwords


def passwords_of(asking: Asking) -> Passwords:
    return Passwords(from_stdin=asking.logon.password_stdin, variable=asking.winrm.password_env)


def ask(asking: Asking, ad: Sequence[str], netbios: Mapping[str, str], passwords: Passwords) -> Run:
    """Ask everyone. Raises UsageError for nobody, and for what must not be asked so."""
    whom = remote.whom(asking, passwords, lambda: _computers(asking, ad, netbios, passwords))
    for note in whom.notes:
        console.note(note)
    finished = remote.run(asking, whom.endpoints, remote.orders(asking, passwords, netbios))
    if finished.unrecorded is not None:
        console.note(finished.unrecorded)
    return finished


def _computers(asking: Asking, ad: Sequence[str], netbios: Mapping[str, str], passwords: Passwords) -> Computers:
    live = [word for word in ad if "://" in word] or ["auto"]
    source = ldap_source(live[0], live_logon(asking.logon, passwords), netbios)
    return computers.computers(source, asking.whom.from_ad or "", only_iis=asking.whom.only_iis)
