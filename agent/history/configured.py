"""What is configured otherwise: servers, applications, their settings, and whose account decrypts."""

from __future__ import annotations

from collections.abc import Iterator

from agent.history.change import Change, Kind, Value, What
from agent.history.sides import Side
from agent.model import Application, HostSource, Origin, Place, WindowsAuth
from agent.names import fold

_SETTINGS = ("enabled", "kernel_mode", "pool_credentials", "providers", "token_checking", "flags")
_SEEN_BY: dict[HostSource, str] = {"dns": "dns", "farm": "farm", "log": "names"}
"""Which source shows a name that the server itself does not say."""


def changes(old: Side, new: Side) -> Iterator[Change]:
    """Those of servers, of applications, and of what both sides have."""
    yield from _servers(old, new)
    yield from _applications(old, new)
    for place, before in old.applications.items():
        after = new.applications.get(place)
        if after is not None:
            yield from _of_application(old, new, before, after)


def _servers(old: Side, new: Side) -> Iterator[Change]:
    for key, server in new.servers.items():
        before = old.servers.get(key)
        if before is None:
            because = f"{server.name} is not in OLD."
            yield Change(
                kind="appeared",
                what="server",
                server=server.name,
                after=server.status,
                severity="info",
                because=because,
            )
        elif before.status != server.status:
            yield Change(
                kind="changed",
                what="server",
                server=server.name,
                name="status",
                before=before.status,
                after=server.status,
                severity="info",
                because="; ".join(problem.message for problem in server.problems) or "It was read whole.",
            )
    for key, server in old.servers.items():
        if key not in new.servers:
            because = f"{server.name} is not in NEW: nobody looked at it, or it is gone."
            yield Change(
                kind="vanished",
                what="server",
                server=server.name,
                before=server.status,
                severity="warning",
                because=because,
            )


def _applications(old: Side, new: Side) -> Iterator[Change]:
    both: tuple[tuple[Side, Side, Kind], ...] = ((new, old, "appeared"), (old, new, "vanished"))
    for side, other, kind in both:
        for place, application in side.applications.items():
            if place in other.applications or not other.denies(place[:1], ()):
                continue
            state = _state(application)
            yield Change(
                kind=kind,
                what="application",
                server=application.server,
                site=application.site,
                path=application.path,
                before=None if kind == "appeared" else state,
                after=state if kind == "appeared" else None,
                severity="info",
                because=f"It is configured in {'NEW' if kind == 'appeared' else 'OLD'} only.",
            )


def _state(application: Application) -> str:
    """Why no ticket is asked for, or who decrypts it."""
    return application.why_not or application.decryption


# -- one application -----------------------------------------------------------------------------------------------


def _of_application(old: Side, new: Side, before: Application, after: Application) -> Iterator[Change]:
    settings = list(_settings(old, new, before, after)) if old.settings_known(old.key(before.server)) else []
    yield from settings
    one, two = before.decrypts_as, after.decrypts_as
    if one is not None and two is not None and old.account(one) != new.account(two):
        because = f"Tickets for it are decrypted with the keys of {two}."
        yield _changed(after, "account", "decrypts_as", str(one), str(two), because)
    elif not settings and _state(before) != _state(after):
        yield Change(
            kind="changed",
            what="application",
            server=after.server,
            site=after.site,
            path=after.path,
            name="decryption" if before.why_not is after.why_not is None else "why_not",
            before=_state(before),
            after=_state(after),
            severity="info",
            because="What decides who decrypts has changed outside its settings, or is not known on one side.",
        )


def _settings(old: Side, new: Side, before: Application, after: Application) -> Iterator[Change]:
    yield from _pool(old, new, before, after)
    yield from _of_path(old, new, after, after.path, before, after)
    below = {fold(place.path): place for place in before.places}
    for place in after.places:
        yield from _of_path(old, new, after, place.path, below.pop(fold(place.path), before), place)
    for place in below.values():
        yield from _of_path(old, new, after, place.path, place, after)
    hidden = {source for source, kind in _SEEN_BY.items() if kind not in old.asked or kind not in new.asked}
    names = [{each.host for each in one.hosts if each.source not in hidden} for one in (before, after)]
    if names[0] != names[1] and not (old.silent | new.silent) & set(_SEEN_BY.values()):
        one, two = (tuple(sorted(map(str, found))) for found in names)
        yield _changed(after, "setting", "hosts", one, two, "Clients reach it by other names.")


def _pool(old: Side, new: Side, before: Application, after: Application) -> Iterator[Change]:
    if fold(before.pool or "") != fold(after.pool or ""):
        yield _changed(after, "setting", "pool", before.pool, after.pool, "Another application pool runs it.")
    if before.identity_type != after.identity_type:
        said = _said_at(after.origins.identity_type)
        yield _changed(after, "setting", "identity_type", before.identity_type, after.identity_type, said)
    one, two = before.pool_account, after.pool_account
    if one is not None and two is not None and old.account(one) != new.account(two):
        said = _said_at(after.origins.identity_type)
        yield _changed(after, "setting", "pool_account", str(one), str(two), said)


def _of_path(
    old: Side, new: Side, application: Application, path: str, before: Application | Place, after: Application | Place
) -> Iterator[Change]:
    """The settings of one path. A directory that is in none of a side's lists has those of its application."""
    one, two = before.windows_auth, after.windows_auth
    if one is None or two is None:  # IIS refuses the configuration, and a finding says so
        if (one is None) != (two is None):
            words = ("accepted", "refused") if two is None else ("refused", "accepted")
            because = f"IIS {'refuses' if two is None else 'no longer refuses'} the configuration."
            yield _changed(application, "setting", "configuration", *words, because, path)
        return
    has_names = old.report.summary is not None and new.report.summary is not None
    for name in (*_SETTINGS, *(("service_names",) if has_names else ())):
        first, second = _value(one, name), _value(two, name)
        if first != second:
            origin = getattr(after.origins, name, None)
            yield _changed(application, "setting", name, first, second, _said_at(origin), path)


def _value(auth: WindowsAuth, name: str) -> Value:
    value: Value = getattr(auth, name)
    return tuple(sorted(value, key=fold)) if name == "service_names" and isinstance(value, tuple) else value


def _said_at(origin: Origin | None) -> str:
    if origin is None:
        return "The configuration says so."
    if origin.file is None:
        return "IIS's default, nothing sets it now."
    within = f" in <location path={origin.location!r}>" if origin.location else ""
    return f"Set in {origin.file}:{origin.line}{within}."


def _changed(
    application: Application,
    what: What,
    name: str,
    before: Value,
    after: Value,
    because: str,
    path: str | None = None,
) -> Change:
    return Change(
        kind="changed",
        what=what,
        server=application.server,
        site=application.site,
        path=application.path if path is None else path,
        name=name,
        before=before,
        after=after,
        severity="warning",
        because=because,
    )
