"""One KDC for each forest: a directory that several forests were read into is taken apart again (rule R15.3).

A forest is known by the root of its configuration naming context. Domains of which nobody says that are one forest
only if their names share a suffix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from agent.names import fold
from agent.spn.directory import Directory, ForestSettings


def forests_of(roots: Mapping[str, str | None]) -> dict[str, str]:
    """The forest of each domain, by folded DNS names: its root where that is said, else one of its domains."""
    forest = {domain: root or domain for domain, root in roots.items()}
    for domain in sorted(roots, key=len):
        if roots[domain] is None:
            forest[domain] = next((forest[other] for other in sorted(roots, key=len) if _share(domain, other)), domain)
    return forest


def _share(domain: str, other: str) -> bool:
    """Whether one name stands below the other, or both below one that is no top-level domain."""
    if domain == other or domain.endswith(f".{other}") or other.endswith(f".{domain}"):
        return True
    return domain.split(".")[-2:] == other.split(".")[-2:] and domain.count(".") > 1 and other.count(".") > 1


def by_forest(directory: Directory) -> tuple[Directory, ...]:
    """One directory for each forest, in the order of their names; the same where there is one."""
    forest = forests_of({fold(domain.dns_name): domain.forest for domain in directory.domains})
    keys = sorted(set(forest.values()))
    return tuple(_of(directory, forest, key) for key in keys) if len(keys) > 1 else (directory,)


def _of(directory: Directory, forest: Mapping[str, str], key: str) -> Directory:
    domains = tuple(domain for domain in directory.domains if forest[fold(domain.dns_name)] == key)
    settings = directory.settings.get(key) or ForestSettings()
    return replace(
        directory,
        domains=domains,
        accounts=tuple(account for account in directory.accounts if forest.get(account.name.dns) == key),
        mapped_to_host=settings.mapped_to_host,
        ds_heuristics=settings.ds_heuristics,
        aes_since=_earliest(directory.aes_by_domain.get(fold(domain.dns_name)) for domain in domains),
        duplicates_elsewhere=directory.duplicates_by_forest.get(key, 0),
    )


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min(filter(None, moments), default=None)
