"""The changes that are no SPN: who may read a password, bindings, identities, settings, DNS.

Each is done to the overlay too, so that what follows from it is judged and not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.change.overlay import Overlay
from agent.change.want import Aim, ObstacleError, pool_as
from agent.checks.accounts import may_read
from agent.checks.actions import Action, address_record, by_hand
from agent.checks.case import Case
from agent.checks.commands import appcmd_binding, appcmd_pool, dnscmd_record, set_readers
from agent.checks.decryptor import can_use_kernel_mode, deciders, set_for
from agent.iis.bindings import Binding
from agent.iis.effective import Pool, Site
from agent.model import Application, ApplicationRef, Step
from agent.names import AccountName, Address, HostName, fold, printable
from agent.spn.directory import Account
from agent.spn.identity import PoolIdentity, decide
from agent.spn.nameservice import Resolution

ALIAS, READERS, GONE, SETTING, MOVED_RECORD, SPNS, RECORD, BALANCER = range(8)
"""The order: an alias ends before anybody is asked for its name, and a new name leads here when all is ready."""


class Move(NamedTuple):
    """One change and its place in the order. `switched` are the applications for which another account decrypts from
    then on; `at` those whose settings it touches.
    """

    action: Action
    stage: int
    at: tuple[ApplicationRef, ...] = ()
    switched: tuple[ApplicationRef, ...] = ()


def moves(overlay: Overlay, aim: Aim) -> list[Move]:
    """What must change besides SPNs. Raises ObstacleError where it cannot."""
    found: list[Move] = []
    for label, site in aim.sites:
        asking = _asking(overlay.case, label, site)
        found += _bindings(overlay, aim, label, site)
        found += _identities(overlay, aim, asking)
        found += _settings(overlay, aim, asking)
    is_new = any(move.stage == SETTING and not move.at for move in found)
    changing = {ref.server for move in found for ref in move.at}
    return [*_readers(overlay.case, aim, changing), *found, *_records(overlay, aim, is_new=is_new)]


def _asking(case: Case, label: str, site: str) -> list[Application]:
    """The applications of a site that ask for tickets."""
    every = [each for each in case.applications if (each.server, each.site) == (label, site)]
    where = f"{printable(site)} on {printable(label)}"
    if any(each.windows_auth is None for each in every):
        raise ObstacleError(f"IIS refuses the configuration of {where}: correct it first.")
    if any(case.is_open(each) for each in every):
        raise ObstacleError(f"web.config files of {where} were not looked at, and may say who decrypts.")
    asking = [each for each in every if each.negotiates or any(place.negotiates for place in each.places)]
    if not asking:
        raise ObstacleError(
            f"nothing of {where} asks for Kerberos: enable Windows authentication with Negotiate first."
        )
    return asking


# -- bindings ------------------------------------------------------------------------------------------------------


def _bindings(overlay: Overlay, aim: Aim, label: str, site_name: str) -> Iterator[Move]:
    """A host header where no binding of the site answers the name: at each endpoint that the site has."""
    configuration, host = overlay.configurations[label], aim.want.host
    site = configuration.site(site_name)
    serving = [binding for binding in site.bindings if binding.serves] if site is not None else []
    if site is None or any(_answers(binding, host, site, configuration.sites) for binding in serving):
        return
    if not serving:
        raise ObstacleError(f"{printable(site_name)} on {printable(label)} has no http or https binding: give it one.")
    for protocol, address, port in dict.fromkeys((b.protocol, b.address, b.port) for b in serving):
        information = f"{address or '*'}:{port}:{host.spn_text}"
        overlay.binding(overlay.together(label), site_name, Binding(protocol, information, 0, address, port, host))
        note = f"assign a certificate that has {host}" if protocol == "https" else None
        step = Step(
            kind="iis-setting",
            command=appcmd_binding("+", site_name, protocol, information),
            rollback=appcmd_binding("-", site_name, protocol, information),
            server=label,
            note=note,
        )
        yield Move(_told(step, f"give {site_name} the binding {information} ({protocol})"), SETTING)


def _answers(binding: Binding, host: HostName, site: Site, sites: Iterable[Site]) -> bool:
    """Whether requests for a name reach a site by a binding, and no more specific one of another site takes them."""
    if binding.host is not None:
        return binding.host == host or (binding.host.is_wildcard and host.matches_wildcard(binding.host))
    others = (other for each in sites if each.name != site.name and each.starts for other in each.bindings)
    return not any(other.host == host and other.serves and other.overlaps(binding) for other in others)


# -- identities ----------------------------------------------------------------------------------------------------


def _identities(overlay: Overlay, aim: Aim, asking: Iterable[Application]) -> Iterator[Move]:
    if aim.identity is None:
        return
    for application in asking:
        now, pool = overlay.identity(application.reference), overlay.application(application.reference).pool
        if pool is None:
            raise ObstacleError(f"the pool of {_called(application)} is not there: correct that first.")
        if not now.certain:
            raise ObstacleError(f"whom the pool {printable(pool.name)} runs as is not certain: {now.doubt}.")
        if now.account != aim.account:
            yield _identity(overlay, aim, application.server, pool)


def _identity(overlay: Overlay, aim: Aim, label: str, pool: Pool) -> Move:
    """One pool, on all servers that read its file. A managed account has no password; of another one a person is asked
    for it.
    """
    labels = overlay.together(label)
    at = tuple(
        each.reference
        for each in overlay.case.applications
        if each.server in labels and fold(each.pool or "") == fold(pool.name)
    )
    user = aim.want.account or str(aim.account)
    before = overlay.everyones(labels)
    overlay.pool(labels, pool_as(user, pool.name)._replace(origin=pool.origin, starts=pool.starts))
    switched = _switched(overlay, before)
    is_managed = (
        aim.identity is not None and aim.identity.known is not None and aim.identity.known.principal == "managed"
    )
    where = ", ".join(map(printable, labels))
    if not is_managed:
        words = f"On {where} give the application pool {printable(pool.name)} the identity {printable(user)}"
        words += " (IIS Manager, Advanced Settings, Identity: it asks for the password)."
        return Move(by_hand(words), SETTING, at, switched)
    step = Step(
        kind="iis-setting",
        command=appcmd_pool(pool.name, "SpecificUser", user),
        rollback=_former(pool),
        server=label,
        note=_about_password(pool),
    )
    return Move(_told(step, f"give the application pool {pool.name} the identity {user}"), SETTING, at, switched)


def _former(pool: Pool) -> str | None:
    """The way back; None where it would need a password."""
    if pool.identity_type == "SpecificUser":
        return appcmd_pool(pool.name, "SpecificUser", pool.user_name) if pool.user_name.endswith("$") else None
    return appcmd_pool(pool.name, pool.identity_type or "ApplicationPoolIdentity", pool.user_name)


def _about_password(pool: Pool) -> str | None:
    if pool.identity_type != "SpecificUser" or pool.user_name.endswith("$"):
        return None
    return (
        f"the way back is by hand, as the pool then asks for the password of {printable(pool.user_name)}; a managed "
        "account has none: see that the pool keeps none"
    )


# -- settings ------------------------------------------------------------------------------------------------------


def _settings(overlay: Overlay, aim: Aim, asking: Sequence[Application]) -> Iterator[Move]:
    """useAppPoolCredentials and useKernelMode, where they keep the wanted account from decrypting."""
    case = overlay.case
    for application in asking:
        if set(overlay.decryptors(application.reference)) == {aim.account}:
            continue
        these = deciders(case, [application])
        if these is None:
            raise ObstacleError(
                f"a directory below {_called(application)} says for itself who decrypts: end that first."
            )
        for attribute, value in _wanted(overlay, aim, application):
            for action in set_for(case, these, attribute, value):
                before = overlay.everyones({ref.server for ref in action.at})
                page = next((one.page.path for one in these if one.page is not None), None)
                overlay.setting(action.at, page, attribute, value)
                switched = _switched(overlay, before)
                yield Move(action, SETTING, tuple(dict.fromkeys((*action.at, *switched))), switched)
        if set(overlay.decryptors(application.reference)) != {aim.account}:
            raise ObstacleError(f"no setting lets {aim.account} decrypt for {_called(application)}.")


def _switched(
    overlay: Overlay, before: Mapping[ApplicationRef, tuple[AccountName | None, ...]]
) -> tuple[ApplicationRef, ...]:
    """The applications for which another account decrypts now."""
    return tuple(ref for ref, was in before.items() if overlay.decryptors(ref) != was)


def _wanted(overlay: Overlay, aim: Aim, application: Application) -> list[tuple[str, bool]]:
    settings = application.windows_auth
    pages = [page.windows_auth for page in application.places if page.negotiates]
    first = settings if application.negotiates else next(iter(pages), None)
    if first is None:
        return []
    if not can_use_kernel_mode(application) and (first.kernel_mode or aim.identity is None):
        raise ObstacleError(f"{_called(application)} offers Negotiate:Kerberos, which excludes kernel mode.")
    if aim.identity is not None:
        return [("useAppPoolCredentials", True)] if not first.pool_credentials else []
    found = [("useKernelMode", True)] if not first.kernel_mode else []
    identity = overlay.identity(application.reference)
    is_of_pool = first.pool_credentials and _needs_own_key(identity, overlay, application)
    return [*found, *([("useAppPoolCredentials", False)] if is_of_pool else [])]


def _needs_own_key(identity: PoolIdentity, overlay: Overlay, application: Application) -> bool:
    """Whether the pool's account would decrypt in kernel mode with useAppPoolCredentials."""
    settings, view = application.windows_auth, overlay.case.by_label[application.server]
    if settings is None:
        return False
    wanted = replace(settings, kernel_mode=True, pool_credentials=True)
    return decide(wanted, identity, view.computer, "custom name").account != view.account


# -- who may read the password -------------------------------------------------------------------------------------


def _readers(case: Case, aim: Aim, changing: set[str]) -> Iterator[Move]:
    """A gMSA's password for every server that is to run as it, before a pool does; the list is replaced as a whole."""
    known = aim.identity.known if aim.identity is not None else None
    if known is None or known.kind != "gMSA":
        return
    new = [label for label, _ in aim.sites if _must_be_let(case, known, label, changing)]
    accounts = [account for label in new if (account := case.by_label[label].account) is not None]
    if not accounts:
        return
    present = None if known.password_readers is None else _named(case, known.password_readers)
    told = ", ".join(map(str, accounts))
    command = None
    if present is not None:
        command = set_readers(known.name, [*present, *(account.name for account in accounts)])
    words = f"Let {told} read the password of {known.name}, before a pool there runs as it"
    if command is None:
        words += (
            f": give -PrincipalsAllowedToRetrieveManagedPassword all that may read it today, which was not read, and "
            f"{told}: the list is replaced"
        )
    else:
        words += ": the command has all that may today, too, for it replaces the list"
    groups = [f"{sid} is {dn}" for dn, sid in _groups(case) if sid in (present or ())]
    words += f" ({printable('; '.join(groups))})" if groups else ""
    words += f". Then Test-ADServiceAccount {printable(known.name.name.removesuffix('$'))} on each of these servers."
    yield Move(Action(Step(kind="manual", command=command, note=words), words), READERS)


def _must_be_let(case: Case, known: Account, label: str, changing: set[str]) -> bool:
    computer = case.account(case.by_label[label].account)
    allowed = may_read(case, computer, known) if computer is not None else None
    return allowed is False or (allowed is None and label in changing)


def _groups(case: Case) -> list[tuple[str, str]]:
    """The groups that the directory shows, by distinguished name, with their SIDs."""
    return sorted(case.directory.group_sids.items()) if case.directory is not None else []


def _named(case: Case, sids: Iterable[str]) -> list[str]:
    """The present readers: computers of the account's domain by name, everybody else by SID, which is taken as well."""
    known = {account.sid: account for account in case.directory.accounts} if case.directory is not None else {}
    return [known[sid].name.name if sid in known else sid for sid in sorted(sids)]


# -- DNS -----------------------------------------------------------------------------------------------------------


def _records(overlay: Overlay, aim: Aim, *, is_new: bool) -> Iterator[Move]:
    """The record, or the load balancer, that leads the name to all these servers and to no others."""
    case, host = overlay.case, aim.want.host
    views = [case.by_label[label] for label, _ in aim.sites]
    if any(host in view.names.own for view in views):
        return
    found = views[0].names.resolve(host)
    if found is None:
        if is_new:
            yield _balanced(aim, "DNS was not asked")
        return
    if found.addresses is None:
        raise ObstacleError(f"{host} is an alias of {found.canonical}, and where that leads is not known.")
    if found.is_alias and any(found.canonical in view.names.own for view in case.servers):
        yield from _without_alias(overlay, aim, found)
        return
    led, mine = set(found.addresses), {address for view in views for address in view.names.mine}
    if not led:
        yield _new_record(overlay, aim)
    elif len(views) == 1 and not led & mine and led <= views[0].names.inspected.addresses:
        yield _moved_record(overlay, aim, found)
    elif len(views) > 1 and led <= views[0].names.inspected.addresses and not all(led & {*v.names.mine} for v in views):
        yield _balanced(aim, f"today it leads to {', '.join(sorted(led))}")


def _balanced(aim: Aim, why: str) -> Move:
    """What stands between clients and servers is not read: a person sees to it."""
    servers = " and ".join(printable(label) for label, _ in aim.sites)
    if len(aim.sites) > 1:
        words = f"Let the load balancer for {aim.want.host} send requests to {servers}, and DNS lead to it ({why})."
    else:
        words = f"Let DNS lead {aim.want.host} to {servers}, with an A record and no alias ({why})."
    return Move(by_hand(words), BALANCER)


def _without_alias(overlay: Overlay, aim: Aim, found: Resolution) -> Iterator[Move]:
    """Clients ask for the name that an alias leads to: a computer's own, which is on that computer's account."""
    case, host = overlay.case, aim.want.host
    if len(aim.sites) > 1:
        yield _balanced(aim, f"today it is an alias of {found.canonical}")
    elif aim.identity is not None:
        addresses = case.by_label[aim.sites[0][0]].names.mine
        action = address_record(case, host, found.canonical, addresses)
        if action.step.command is None:
            yield Move(by_hand(action.sentence), ALIAS)
        else:
            overlay.record(host, addresses[0])
            note = f"clients that know the alias ask for HTTP/{found.canonical} until its time to live has passed: wait"
            yield Move(action._replace(step=replace(action.step, note=note)), ALIAS)


def _new_record(overlay: Overlay, aim: Aim) -> Move:
    address, node = _address(overlay, aim), _node(overlay, aim.want.host)
    if address is None or node is None:
        return _balanced(aim, "it has no record")
    overlay.record(aim.want.host, address)
    kind = "AAAA" if ":" in address else "A"
    command = dnscmd_record("/RecordAdd", *node, kind, address)
    rollback = dnscmd_record("/RecordDelete", *node, kind, address)
    return Move(_told(Step(kind="dns", command=command, rollback=rollback), f"let {aim.want.host} lead here"), RECORD)


def _moved_record(overlay: Overlay, aim: Aim, found: Resolution) -> Move:
    """The name leads to another inspected server: it is asked no more, before the SPN is on the new account."""
    address, node = _address(overlay, aim), _node(overlay, aim.want.host)
    old = found.addresses[0] if found.addresses is not None and len(found.addresses) == 1 else None
    if address is None or node is None or old is None or found.is_alias or (":" in old) != (":" in address):
        return _balanced(aim, f"today it leads to {', '.join(found.addresses or ())}")._replace(stage=MOVED_RECORD)
    overlay.record(aim.want.host, address)
    kind = "AAAA" if ":" in address else "A"
    there = [dnscmd_record("/RecordDelete", *node, kind, old), dnscmd_record("/RecordAdd", *node, kind, address)]
    back = [dnscmd_record("/RecordDelete", *node, kind, address), dnscmd_record("/RecordAdd", *node, kind, old)]
    step = Step(kind="dns", command=_both(there), rollback=_both(back), note=f"it leads to {old} until then")
    at = tuple(ref for label, site in aim.sites for ref in _references(overlay.case, label, site))
    return Move(_told(step, f"let {aim.want.host} lead to {address}"), MOVED_RECORD, at)


def _both(commands: Sequence[str | None]) -> str | None:
    lines = [line for line in commands if line is not None]
    return " && ".join(lines) if len(lines) == len(commands) else None


def _address(overlay: Overlay, aim: Aim) -> Address | None:
    """The one address of the one server."""
    mine = overlay.case.by_label[aim.sites[0][0]].names.mine
    return mine[0] if len(aim.sites) == 1 and len(mine) == 1 else None


def _node(overlay: Overlay, host: HostName) -> tuple[str, str] | None:
    """Zone and name within it, as `dnscmd` takes them."""
    zone = overlay.service.zone_of(host) if overlay.service is not None else None
    return None if zone is None else (zone.spn_text, host.spn_text[: -len(zone.key) - 1])


# -- words ---------------------------------------------------------------------------------------------------------


def _references(case: Case, label: str, site: str) -> list[ApplicationRef]:
    return [each.reference for each in case.applications if (each.server, each.site) == (label, site)]


def _called(application: Application) -> str:
    return printable(f"{application.site}{application.path} on {application.server}")


def _told(step: Step, what: str) -> Action:
    """A step with its command, else in words: a name that cannot be quoted is told as data."""
    if step.command is not None and (step.rollback is not None or step.kind != "dns"):
        return Action(step, f"{step.command}")
    where = f" on {printable(step.server)}" if step.server is not None else ""
    words = f"By hand{where}: {printable(what)}."
    return Action(replace(step, command=None, rollback=None, note=words), words)
