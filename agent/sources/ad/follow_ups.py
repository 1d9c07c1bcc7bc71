"""What the answers of a directory lead to: names, accounts and groups that a second round asks about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from agent.names import fold, spn
from agent.sources.ad.attributes import allowed_sids, sid_bytes
from agent.spn.directory import DOMAIN_COMPUTERS, DOMAIN_CONTROLLERS, Question

Wanted = tuple[str, str | bytes]
"""An attribute and the value it has to have."""


class FollowUps:
    """In whatever order answers come, each base is asked once about each."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._names: dict[Wanted, None] = {}
        self._groups: dict[Wanted, None] = {}
        self._asked: set[tuple[str, *Wanted]] = set()
        self.knows_readers = False
        """Whether the password of any managed account was seen to have readers: only then do groups matter."""

    def new_names(self, base: str) -> Mapping[str, Sequence[str | bytes]]:
        """By attribute: who holds what delegation points to, and the accounts that supersede others."""
        return self._new(base, self._names)

    def new_groups(self, base: str) -> Mapping[str, Sequence[str | bytes]]:
        """By attribute: the groups that matter, which stand in other groups."""
        return self._new(base, self._groups)

    def _new(self, base: str, wanted: Iterable[Wanted]) -> Mapping[str, Sequence[str | bytes]]:
        """What this base has not been asked about; from here on it counts as asked."""
        new = [one for one in wanted if (base, *one) not in self._asked]
        self._asked.update((base, *one) for one in new)
        return {name: [value for each, value in new if each == name] for name in sorted({name for name, _ in new})}

    def remember(self, values: Mapping[str, Sequence[bytes]]) -> bool:
        """Take down where an entry leads (attributes by folded name); whether it is a computer that was asked about."""
        for target in values.get("msds-allowedtodelegateto", ()):
            held = spn(target.decode("utf-8", "replace"))
            for form in (held, held.with_service("HOST")):
                self._names["servicePrincipalName", fold(form.text)] = None
        for name in ("msds-supersededmanagedserviceaccountlink", "msds-supersededmanagedaccountlink"):
            for successor in values.get(name, ()):
                self._names["distinguishedName", successor.decode("utf-8", "replace")] = None
        return self._remember_groups(values)

    def _remember_groups(self, values: Mapping[str, Sequence[bytes]]) -> bool:
        """The groups that the computers asked about stand in, and whoever may read a managed account's password."""
        classes = {fold(value.decode("utf-8", "replace")) for value in values.get("objectclass", ())}
        name = b"".join(values.get("samaccountname", ())).decode("utf-8", "replace")
        is_asked = "computer" in classes and fold(name) in self._question.account_names
        if is_asked or "group" in classes:
            for group in values.get("memberof", ()):
                self._groups["distinguishedName", group.decode("utf-8", "replace")] = None
        if is_asked:
            rids = (DOMAIN_COMPUTERS, DOMAIN_CONTROLLERS, *_numbers(values.get("primarygroupid", ())))
            for sid in values.get("objectsid", ()):
                self._groups.update({("objectSid", sid[:-4] + rid.to_bytes(4, "little")): None for rid in rids})
        self.knows_readers |= "msds-groupmsamembership" in values
        for descriptor in values.get("msds-groupmsamembership", ()):
            with contextlib.suppress(ValueError, IndexError):
                self._groups.update({("objectSid", sid_bytes(reader)): None for reader in allowed_sids(descriptor)})
        return is_asked


def _numbers(values: Iterable[bytes]) -> list[int]:
    """Relative identifiers; what is none is left out."""
    return [int(value) for value in values if value.isdigit() and len(value) < 10]
