"""The changes that are no SPN: who may read a password, bindings, identities, settings, and DNS.

Each is done to the overlay too, so that what follows from it is judged and not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from agent.change.overlay import Overlay
from agent.change.want import Aim, ObstacleError, pool_as
from agent.change.want_move import READERS, SETTING, Move, in_words
from agent.change.want_records import records
from agent.checks.accounts import may_read
from agent.checks.actions import Action, by_hand
from agent.checks.case import Case
from agent.checks.commands import appcmd_binding, appcmd_pool, set_readers
from agent.checks.decryptor import can_use_kernel_mode, deciders, set_for
from agent.iis.bindings import Binding
from agent.iis.effective import Pool, Site
from agent.model import Application, ApplicationRef, Step
from agent.names import AccountName, Guess, HostName, fold, printable
from agent.spn.directory import Account
from agent.spn.identity import PoolIdentity, decide


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
    return [*_readers(overlay.case, aim, changing), *found, *records(overlay, aim, is_new=is_new)]


def _asking(case: Case, label: str, site: str) -> list[Application]:
    """The applications of a site that ask for tickets."""
    every = case.of_site(label, site)
    where = f"{printable(site)} on {printable(label)}"
    if any(each.windows_auth is None for each in every):
        raise ObstacleError(f"IIS refuses the configuration of {where}: correct it first.")
    if any(case.is_open(each) for each in every):
        why = f"web.config files of {where} were not looked at, and may say who decrypts."
        raise ObstacleError(why, unlooked=True)
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
        yield Move(in_words(step, f"give {site_name} the binding {information} ({protocol})"), SETTING)


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
    is_sure = aim.want.account is None or not isinstance(aim.account.domain, Guess)
    user = str(aim.account) if is_sure else aim.want.account or ""
    before = {ref: overlay.decryptors(ref) for ref in at}
    overlay.pool(labels, replace(pool_as(user, pool.name), origin=pool.origin, starts=pool.starts))
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
    return Move(in_words(step, f"give the application pool {pool.name} the identity {user}"), SETTING, at, switched)


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


# -- words ---------------------------------------------------------------------------------------------------------


def _called(application: Application) -> str:
    return printable(f"{application.site}{application.path} on {application.server}")
