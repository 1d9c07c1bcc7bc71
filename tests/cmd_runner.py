"""Carries out a batch file of ours, line by line, against a `setspn` in memory. What it does not know is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import cmd_reader


class Ended(NamedTuple):
    """How a batch file ended, and what it showed."""

    code: int
    shown: tuple[str, ...]
    waits: int


class Forest:
    """Accounts by `DOMAIN\\name`, and the SPNs that each holds; `refuses` says of a change whether it is refused."""

    def __init__(
        self,
        accounts: Mapping[str, list[str]],
        refuses: Callable[[str, str, str], bool] = lambda _action, _spn, _account: False,
    ) -> None:
        self.accounts = {name: list(held) for name, held in accounts.items()}
        self.refuses = refuses
        self.after: Callable[[Forest], None] = lambda _: None
        self.log: list[tuple[str, str, str]] = []

    def holders(self, name: str) -> list[str]:
        return [account for account, held in self.accounts.items() if name.lower() in [one.lower() for one in held]]

    def setspn(self, words: tuple[str, ...]) -> list[str]:
        """What `setspn` prints; its sentences are translated on other Windows and decide nothing."""
        action = next(word for word in words if word in {"-L", "-Q", "-S", "-D"})
        last = words[-1]
        if action == "-Q":
            found = [line for account in self.holders(last) for line in self._listed(account)]
            return found or ["No such SPN found."]
        account = f"{last}$" if "-C" in words else last
        if account not in self.accounts:
            return [f"FindDomainForAccount: Call to DsGetDcNameWithAccountW failed; unable to find {last}"]
        if action == "-L":
            return self._listed(account)
        name = words[-2]
        if self.refuses(action, name, account) or (action == "-S" and self.holders(name)):
            return ["Duplicate SPN found, aborting operation!"]
        self.log.append((action, name, account))
        held = self.accounts[account]
        if action == "-S":
            held.append(name)
        else:
            self.accounts[account] = [one for one in held if one.lower() != name.lower()]
        self.after(self)
        return ["Updated object"]

    def _listed(self, account: str) -> list[str]:
        name = account.partition("\\")[2].removesuffix("$")
        return [f"CN={name},CN=Users,DC=test,DC=com", *(f"\t{one}" for one in self.accounts[account])]


def run(text: str, forest: Forest) -> Ended:
    """Run it to its `exit /b`."""
    return _Run(text.split("\r\n"), forest).ended()


class _Run:
    def __init__(self, lines: list[str], forest: Forest) -> None:
        self.lines, self.forest = lines, forest
        self.labels = {line[1:]: at for at, line in enumerate(lines) if line.startswith(":")}
        self.variables: dict[str, str] = {}
        self.shown: list[str] = []
        self.at = self.errorlevel = self.waits = 0

    def ended(self) -> Ended:
        for _ in range(10_000):
            line = re.sub(r"%(IIS_SPN_\w+)%", lambda found: self.variables.get(found[1], ""), self.lines[self.at])
            self.at += 1
            verb, _, rest = self._taken(line.removeprefix("@")).partition(" ")
            if verb == "exit":
                assert rest.startswith("/b ")
                return Ended(int(rest[3:]), tuple(self.shown), self.waits)
            if verb and not verb.startswith(":") and verb not in {"rem", "setlocal"} and rest != "off":
                self._do(verb, rest)
        raise AssertionError("it does not end")

    def _taken(self, line: str) -> str:
        """What is left of a line behind its condition; nothing where that does not hold."""
        condition = re.match(r"if (not )?(?:errorlevel (\d+)|defined (\w+)|(\d+) GEQ (\d+)) ", line)
        if condition is None:
            return line
        negated, level, name, left, right = condition.groups()
        holds = int(left) >= int(right) if left else name in self.variables if name else self.errorlevel >= int(level)
        return "" if holds == bool(negated) else line[condition.end() :]

    def _do(self, verb: str, rest: str) -> None:
        if verb == "echo":
            self.shown.append(rest)
        elif verb == "goto":
            self.at = self.labels[rest]
        elif verb == "timeout":
            self.waits += 1
            self.forest.after(self.forest)
        elif verb == "set":
            _set(rest, self.variables)
        elif verb == "setspn":
            self.errorlevel = _pipe(rest, self.forest)
        else:
            raise cmd_reader.BatchError(f"{verb} {rest}")


def _set(rest: str, variables: dict[str, str]) -> None:
    counted = re.fullmatch(r"/a (\w+)\+=1", rest)
    if counted:
        variables[counted[1]] = str(int(variables[counted[1]]) + 1)
        return
    name, _, value = rest.partition("=")
    variables.pop(name, None)
    if value:
        variables[name] = value


def _pipe(line: str, forest: Forest) -> int:
    """The arguments of `setspn`, alone or into `findstr`: the error level. That of setspn itself says nothing."""
    command, _, search = line.partition(" | ")
    printed = forest.setspn(cmd_reader.arguments(command))
    if not search:
        return 0
    found = re.fullmatch(r'findstr (/I /E )?/L /C:"(.*)" >nul', search)
    assert found is not None, search
    wanted = found[2].replace("\\\\", "\\").lower()
    whole = [text.lower() for text in printed]
    return 0 if any(text.endswith(wanted) if found[1] else wanted in text for text in whole) else 1
