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
        return any(map(_Loose(part).matches, self._hosts))


class _Loose:
    """A text in which `*` stands for anything, and a character that no DNS name has for any one, or for none.

    All ways to match it are followed at once, as the bits of a number (Shift-And): whoever may write an SPN of one
    account could keep the regular expression busy for good.
    """

    def __init__(self, text: str) -> None:
        self._end = 1 << len(text)
        self._kept = self._any = 0
        self._of: dict[str, int] = {}
        for place, c in enumerate(text):
            bit = 1 << place
            if c == "*":
                self._kept |= bit
            elif not c.isascii() or not c.isprintable():
                self._any |= bit
            else:
                self._of[c] = self._of.get(c, 0) | bit
        self._skipped = self._kept | self._any

    def matches(self, host: str) -> bool:
        """Whether the whole host is written so."""
        reached = self._on(1)
        for c in host:
            reached = self._on((reached & (self._any | self._of.get(c, 0))) << 1 | reached & self._kept)
            if not reached:
                return False
        return bool(reached & self._end)

    def _on(self, reached: int) -> int:
        """With the places behind what may stand for nothing: the carry of an addition runs through all in a row."""
        return reached | (((reached & self._skipped) + self._skipped) ^ self._skipped)


_PORT_OR_THIRD_PART = re.compile(r"[a-z0-9_-]+/[a-z0-9._-]+(?::[^/]*)?(?:/[^/]+)?\Z")
_PLAIN = re.compile(r"[a-z0-9._-]*\Z")
