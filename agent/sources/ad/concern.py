"""Which accounts of a directory a question is about."""

from __future__ import annotations

import re

from agent.names import Spn, fold, spn, spn_fault
from agent.spn.directory import Account, Question

_WEB_CLASSES = frozenset({"http", "https", "host"})


class Concern:
    """Which accounts a question is about: those it wants, and those that hold a misspelt form of its names."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._hosts = frozenset(name.host.key for name in question.spns)
        self._host_lines = "\n".join(self._hosts)

    def covers(self, account: Account) -> bool:
        """Whether the account answers the question, shadows one of its names, or holds a wrong spelling of one.

        setspn output names a computer by its CN, without the `$` of its sAMAccountName.
        """
        return (
            self._question.wants(account)
            or (account.kind == "unknown" and f"{fold(account.name.name)}$" in self._question.account_names)
            or account.kind == "dMSA"  # few, and any kept account may turn out to be superseded by one
            or (account.upn is not None and self._shadows(account.upn))
            or any(self._misspells(name) for name in account.spns)
        )

    def _shadows(self, upn: str) -> bool:
        """A userPrincipalName `HTTP/host[@realm]` (rule R4.9)."""
        name = spn(upn.partition("@")[0])
        return name.service in _WEB_CLASSES and name.host.key in self._hosts

    def _misspells(self, name: Spn) -> bool:
        odd = spn_fault(name.text) is not None or name.port is not None
        return odd and self._is_of_the_web(name) and self._mentions(name.key)

    @staticmethod
    def _is_of_the_web(name: Spn) -> bool:
        """Ports and third parts are ordinary in other classes: `MSSQLSvc/sql01:1433`, `ldap/dc01/test.com`."""
        well_formed = bool(_PORT_OR_THIRD_PART.match(name.key))
        return name.service in _WEB_CLASSES or not well_formed

    def _mentions(self, key: str) -> bool:
        return any(self._is_host(part) for part in re.split(r"[/\\:@]+", "".join(key.split())))

    def _is_host(self, part: str) -> bool:
        """Whether a part is one of the hosts; a character no DNS name has may stand for any one, or for none."""
        if part in self._hosts or _PLAIN.match(part):
            return part in self._hosts
        loose = "".join(".*" if c == "*" else re.escape(c) if c.isascii() and c.isprintable() else ".?" for c in part)
        return re.search(f"^(?:{loose})$", self._host_lines, re.MULTILINE) is not None


_PORT_OR_THIRD_PART = re.compile(r"[a-z0-9_-]+/[a-z0-9._-]+(?::[^/]*)?(?:/[^/]+)?\Z")
_PLAIN = re.compile(r"[a-z0-9._-]*\Z")
