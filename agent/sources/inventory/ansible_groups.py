"""An Ansible inventory as hosts in groups, and which of several values of a variable counts for a host.

Ansible's rule (docs: "How variables are merged"): `all`, then parent groups before child groups, within a depth by
ansible_group_priority and name; then group_vars in the same order; then the host's own, then host_vars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from msgspec import Struct, field

from agent.errors import UsageError
from agent.names import address_of, printable
from agent.sources.endpoint import MOST_NAMES, expand
from agent.sources.inventory.ansible_variables import GROUP_PRIORITY, Value, Variables

ALL, UNGROUPED = "all", "ungrouped"


class Group(Struct):
    """`variables` are those of the inventory itself, `from_files` those of group_vars."""

    variables: Variables = field(default_factory=dict)
    from_files: Variables = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)


class Host(Struct):
    """`place` names the line where it stood first; variables as for a group."""

    place: str
    variables: Variables = field(default_factory=dict)
    from_files: Variables = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)


class Tree:
    """Hosts in the order they were named, groups, and who stands in which; `notes` on what was passed over."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.groups = {ALL: Group(), UNGROUPED: Group()}
        self.hosts: dict[str, Host] = {}
        self.notes: list[str] = []

    def group(self, name: str) -> Group:
        """The group of this name, made where it is new."""
        return self.groups.setdefault(name, Group())

    def add_child(self, parent: str, child: str) -> None:
        """Put one group below another, both made where they are new."""
        self.group(parent)
        self.group(child).parents.add(parent)

    def add_host(self, name: str, group: str, place: str) -> Host:
        """The host of this name, made where it is new, put into a group. Raises UsageError beyond MOST_NAMES."""
        host = self.hosts.setdefault(name, Host(place))
        if len(self.hosts) > MOST_NAMES:
            raise UsageError(f"more than {MOST_NAMES} servers")
        host.groups.add(group)
        return host

    def add_hosts(self, pattern: str, group: str, variables: Variables, place: str) -> None:
        """Hosts by name or range with an optional port, which counts where the host is new, as in Ansible."""
        names, port = _without_port(pattern)
        for name in expand(names):
            is_new = name not in self.hosts
            host = self.add_host(name, group, place)
            if is_new and port:
                host.variables["ansible_port"] = Value("ansible_port", place, (port,))
            host.variables |= variables


_WITH_PORT = re.compile(r"(\[.+\]|(?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)")


def _without_port(pattern: str) -> tuple[str, str | None]:
    match = _WITH_PORT.fullmatch(pattern)
    name, port = (match[1], match[2]) if match else (pattern, None)
    return (name.strip("[]") if address_of(name) is not None else name), port


# -- precedence ----------------------------------------------------------------------------------------------------


class Precedence:
    """The variables of the hosts of a finished tree. Raises UsageError where groups stand within themselves."""

    def __init__(self, tree: Tree) -> None:
        self._groups = tree.groups
        depths = _depths(tree)
        self._rank = {name: (depths[name], _priority(group), name) for name, group in tree.groups.items()}
        self._merged: dict[frozenset[str], Variables] = {}

    def variables(self, host: Host) -> Variables:
        """All variables of a host, each with the value that counts."""
        inside = frozenset(host.groups - {ALL, UNGROUPED}) or frozenset({UNGROUPED})
        if inside not in self._merged:
            self._merged[inside] = self._of_groups(inside)
        return {**self._merged[inside], **host.variables, **host.from_files}

    def _of_groups(self, names: Iterable[str]) -> Variables:
        ordered = [self._groups[name] for name in sorted(self._with_ancestors(names), key=self._rank.__getitem__)]
        merged: Variables = {}
        for group in ordered:
            merged |= group.variables
        for group in ordered:
            merged |= group.from_files
        return merged

    def _with_ancestors(self, names: Iterable[str]) -> set[str]:
        found, left = {ALL}, list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self._groups[name].parents
        return found


def _depths(tree: Tree) -> dict[str, int]:
    """How many groups stand above each on the longest way; a group without parents stands below `all`."""
    parents = {name: sorted(group.parents) or [ALL] for name, group in tree.groups.items()}
    parents[ALL] = sorted(tree.groups[ALL].parents)
    depths: dict[str, int] = {}
    try:
        for name in TopologicalSorter(parents).static_order():
            depths[name] = max((depths[parent] + 1 for parent in parents[name]), default=0)
    except CycleError as error:
        names = ", ".join(printable(name) for name in sorted(set(error.args[1]))[:3])
        raise UsageError(f"{tree.place}: groups stand within themselves: {names}") from None
    return depths


def _priority(group: Group) -> int:
    value = group.variables.get(GROUP_PRIORITY)
    if value is None:
        return 1
    text = value.text() or ""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise UsageError(f"{value.place}: {GROUP_PRIORITY} is a number")
    return int(text)
