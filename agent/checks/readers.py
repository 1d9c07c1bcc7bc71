"""Which applications read the same place of the same file: what is set there is set for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from agent.iis.effective import EffectiveApplication
from agent.model import ApplicationRef
from agent.names import fold
from agent.spn.require import ServerView

_Place = tuple[str, ...]
"""Where settings stand: on a server (its label first), or for all that read one share."""

_MOST_KEPT = 64
"""Servers of which it is kept: for all together it is as large as what was read of them."""


class _Files(NamedTuple):
    """The place of an application in applicationHost.config, and its web.config; None where its folder is not known."""

    application_host: _Place
    web_config: _Place | None


class _Read(NamedTuple):
    """The files of each application, and the applications by each place in them."""

    files: Mapping[ApplicationRef, _Files]
    readers: Mapping[_Place, list[ApplicationRef]]


class Readers:
    """The applications of these servers, by what is read for them."""

    def __init__(self, servers: Mapping[str, ServerView]) -> None:
        self._servers = servers
        self._kept: dict[str, _Read] = {}

    def of(self, at: ApplicationRef, *, in_web_config: bool) -> list[ApplicationRef]:
        """Those for which the same place is read as for one: of applicationHost.config, or of its web.config."""
        read = self._read_on(at.server)
        place = read.files[at].web_config if in_web_config else read.files[at].application_host
        return [at] if place is None else self._of_shares.get(place) or read.readers[place]

    def _read_on(self, label: str) -> _Read:
        if label not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            files = dict(_files_of(self._servers[label]))
            self._kept[label] = _Read(files, _by_place(files.items()))
        return self._kept[label]

    @cached_property
    def _of_shares(self) -> Mapping[_Place, list[ApplicationRef]]:
        """The applications, of whatever server, by each place on a share."""
        return _by_place(chain.from_iterable(map(_files_of, self._servers.values())), _is_on_share)


def _files_of(server: ServerView) -> Iterator[tuple[ApplicationRef, _Files]]:
    for site in server.configuration.sites:
        for each in site.applications:
            yield ApplicationRef(server.label, site.name, each.path), _files(server, site.name, each)


def _files(server: ServerView, site: str, application: EffectiveApplication) -> _Files:
    shared, folder = server.configuration.shared, application.folder
    host = (f"{shared}/" if shared is not None else server.label, fold(site), fold(application.path))
    if folder is None:
        return _Files(host, None)
    return _Files(host, (folder,) if folder.startswith("files/unc/") else (server.label, folder))


def _is_on_share(place: _Place) -> bool:
    return len(place) == 1 or place[0].endswith("/")


def _by_place(
    read: Iterable[tuple[ApplicationRef, _Files]], counts: Callable[[_Place], bool] = bool
) -> dict[_Place, list[ApplicationRef]]:
    readers: dict[_Place, list[ApplicationRef]] = {}
    for reference, files in read:
        for place in files:
            if place is not None and counts(place):
                readers.setdefault(place, []).append(reference)
    return readers
