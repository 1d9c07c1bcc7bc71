"""Passwords of the run: asked for at a prompt, read from stdin a line each, or taken from a named variable.

They are held in memory only, are never an argument, and no text of this program shows them.
"""

from __future__ import annotations

import getpass
import locale
import os
import sys

from agent.errors import UsageError
from agent.sources.endpoint import account_of


class Passwords:
    """Asks for each password once; those of stdin come in this order: the KDC's or WinRM's, then LDAP's."""

    def __init__(self, *, from_stdin: bool, variable: str | None = None) -> None:
        self._from_stdin = from_stdin
        self._variable = variable
        self._known: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return "Passwords()"

    def of(self, user: str, service: str) -> str:
        """The password of `user` for "Kerberos", "WinRM" or "LDAP". Raises UsageError where none can be had."""
        key = (service, account_of(user))
        if key not in self._known:
            self._known[key] = self._ask(user, service)
        return self._known[key]

    def _ask(self, user: str, service: str) -> str:
        if self._variable is not None and service == "WinRM":
            return _from_environment(self._variable)
        if self._from_stdin:
            return _from_line(user, service)
        try:
            return _from_prompt(f"Password of {user} ({service}): ")
        except EOFError:
            raise UsageError(f"no password for {user}: nobody can be asked here, use --password-stdin") from None


def _from_prompt(prompt: str) -> str:
    """What is typed, unseen. Raises EOFError where there is no terminal."""
    if sys.platform == "win32":
        _demand_console()
    return getpass.getpass(prompt)


def _demand_console() -> None:
    """Without a console, as in a service, getpass would read the character U+FFFF for ever."""
    try:
        os.close(os.open("CONIN$", os.O_RDWR))
    except OSError:
        raise EOFError from None


def _from_environment(variable: str) -> str:
    password = os.environ.get(variable)
    if not password:
        raise UsageError(f"--password-env {variable}: there is no such variable, or it is empty")
    return password


def _from_line(user: str, service: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise UsageError(f"--password-stdin: stdin holds no line for {user} ({service})")
    return _decoded(line.removeprefix("\ufeff").rstrip("\r\n"))  # the mark is Windows PowerShell's


def _decoded(line: str) -> str:
    """Bytes that are not UTF-8 stand in it as `surrogateescape` has them: they are in this machine's own encoding."""
    if not any("\udc80" <= character <= "\udcff" for character in line):
        return line
    try:
        return line.encode("utf-8", "surrogateescape").decode(locale.getencoding())
    except UnicodeDecodeError:
        raise UsageError(f"--password-stdin: the line is neither UTF-8 nor {locale.getencoding()}") from None
