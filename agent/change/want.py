"""What somebody wants: a name, the servers that answer it, and the account that decrypts (`--want`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from msgspec import Struct

from agent.checks.case import Case
from agent.errors import UsageError
from agent.iis.effective import Pool
from agent.model import Origin
from agent.names import AccountName, HostName, fold, printable
from agent.spn.computer_names import FarmName
from agent.spn.identity import PoolIdentity, Surroundings, pool_identity
from agent.spn.require import ServerView
from agent.spn.verdict import is_absent

COMPUTER = "computer"


class Want(Struct, frozen=True, kw_only=True):
    """One `[[want]]`; `file` and `place` are where it stands. `account` None: whoever decrypts today."""

    host: HostName
    servers: tuple[str, ...]
    site: str | None = None
    account: str | None = None
    short_name: bool = True
    file: str = ""
    place: str = ""

    @property
    def declared(self) -> FarmName:
        """The same as an entry of the farm file."""
        return FarmName(host=self.host, servers=self.servers, site=self.site, source="want", short=self.short_name)

    def refuse(self, why: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{self.place}: [[want]]: {why}" if self.place else f"[[want]]: {why}")


class Aim(NamedTuple):
    """A want, and the sites that are to answer it, by the servers' labels. `identity` is what their pools must be then;
    None where the computer itself is to decrypt.
    """

    want: Want
    sites: tuple[tuple[str, str], ...]
    account: AccountName
    identity: PoolIdentity | None


class ObstacleError(Exception):
    """Why there is no step for a want; `account` is whom it means, where that is known. `unlooked`: something was not
    looked at, so that nobody knows whether it is so.
    """

    def __init__(self, why: str, account: AccountName | None = None, *, unlooked: bool = False) -> None:
        super().__init__(why)
        self.account = account
        self.unlooked = unlooked


# -- refused -------------------------------------------------------------------------------------------------------


def demand_agreement(wants: Sequence[Want]) -> None:
    """Refuse two accounts for one name. Raises UsageError."""
    first: dict[HostName, Want] = {}
    for want in wants:
        other = first.setdefault(want.host, want)
        if fold(other.account or "") != fold(want.account or ""):
            told = " and ".join(printable(each.account or "today's account") for each in (other, want))
            want.refuse(f"{want.host} is wanted on two accounts: {told}; an SPN is on one ({other.place})")


def demand_had(wants: Iterable[Want], views: Sequence[ServerView], unread: Iterable[str]) -> None:
    """Refuse servers and sites that nobody gave; `unread` are servers that were given and could not be read.

    Raises UsageError.
    """
    lost = {fold(label) for label in unread}
    for want in wants:
        for server in want.servers:
            found = [view for view in views if _is(view, server)]
            if not found and fold(server) not in lost and fold(server.partition(".")[0]) not in lost:
                known = ", ".join(printable(view.label) for view in views) or "none"
                want.refuse(f"{printable(server)} is none of the servers given: {known}")
        if want.site is not None and not lost:
            sites = [site.name for view in views if _is_one(view, want) for site in view.configuration.sites]
            if fold(want.site) not in map(fold, sites):
                known = ", ".join(printable(name) for name in dict.fromkeys(sites)) or "none"
                want.refuse(f"no server has the site {printable(want.site)}; known: {known}")


def _is(view: ServerView, server: str) -> bool:
    return fold(server) in view.machine.said_names or fold(server) == fold(view.label)


def _is_one(view: ServerView, want: Want) -> bool:
    return any(_is(view, server) for server in want.servers)


# -- resolved ------------------------------------------------------------------------------------------------------


def aim_of(case: Case, want: Want) -> Aim:
    """What a want means for these servers. Raises ObstacleError, and UsageError for what nobody has."""
    views = [_view(case, server) for server in want.servers]
    _demand_free(case, want, views)
    sites = tuple(dict.fromkeys((view.label, _site(case, want, view)) for view in views))
    text = want.account
    if text is None:
        return _as_today(case, want, sites)
    if fold(text) == COMPUTER or _is_computer(views, text, case):
        return _computers(want, views, sites)
    identity = _identity(case, want, views[0])
    account = identity.account
    if account is None:
        raise ObstacleError(f"{printable(text)} cannot decrypt: {identity.doubt or 'it is no account of the domain'}.")
    if case.directory is not None and is_absent(account, case.directory):
        want.refuse(f"{account} is not in the directory, which has all of its domain")
    if not identity.certain:
        raise ObstacleError(f"{account}: {identity.doubt}.", account)
    return Aim(want, sites, account, identity)


def _view(case: Case, server: str) -> ServerView:
    for view in case.servers:
        if _is(view, server):
            return view
    why = f"{printable(server)} could not be read, or is of another forest: plan when it can be."
    raise ObstacleError(why, unlooked=True)


def _demand_free(case: Case, want: Want, views: Sequence[ServerView]) -> None:
    """A computer's own name leads to that computer, and its WinRM answers by it (rule R6.7)."""
    owners = [view for view in case.servers if want.host in view.names.own]
    if owners and (len(views) > 1 or owners != list(views)):
        raise ObstacleError(f"{want.host} is the own name of {printable(owners[0].label)}: choose another one.")
    if not owners and any(want.host in view.names.computers for view in views):
        raise ObstacleError(f"{want.host} is the name of another computer in the directory: choose another one.")


def _site(case: Case, want: Want, view: ServerView) -> str:
    """The site that is to answer: the one that was said, else the one that answers the name, else the only one.

    One that names it goes before one that answers every name, one that asks for tickets before one that does not, and
    one on port 80 or 443 before one on another.
    """
    sites = view.configuration.sites
    if want.site is not None:
        for site in sites:
            if fold(site.name) == fold(want.site):
                return site.name
        raise ObstacleError(f"{printable(view.label)} has no site {printable(want.site)}: create it there first.")
    serving = [site.name for site in sites if any(binding.serves for binding in site.bindings)]
    asking = {each.site for each in case.applications if each.server == view.label and each.negotiating}
    ranked = (_naming(want, view), _answering(want, view, _DEFAULT_PORTS), _answering(want, view), serving)
    for found in ranked:
        for answering in ([name for name in found if name in asking], found):
            if len(answering) == 1:
                return answering[0]
    known = ", ".join(printable(name) for name in serving or [site.name for site in sites]) or "none"
    return want.refuse(f"which site of {printable(view.label)} is to answer {want.host}? Give site; known: {known}")


_DEFAULT_PORTS = frozenset({80, 443})
"""What people reach who type a name alone."""


def _naming(want: Want, view: ServerView) -> list[str]:
    """The sites with a binding for this very name."""
    return [site.name for site in view.configuration.sites if any(one.host == want.host for one in site.bindings)]


def _answering(want: Want, view: ServerView, ports: frozenset[int] | None = None) -> list[str]:
    """The sites that people reach by the name, on one of these ports."""
    return [
        site
        for site, reached in view.reach.items()
        for name in reached.names
        if name.host == want.host and not name.optional and (ports is None or not ports.isdisjoint(name.ports))
    ]


def _is_computer(views: Sequence[ServerView], text: str, case: Case) -> bool:
    if len(views) != 1 or views[0].account is None or not text.endswith("$"):
        return False
    identity = pool_identity(pool_as(text), Surroundings(views[0].machine, case.domains, case.directory))
    return identity.account == views[0].account


def _computers(want: Want, views: Sequence[ServerView], sites: tuple[tuple[str, str], ...]) -> Aim:
    account = views[0].account
    if account is None:
        raise ObstacleError(f"the computer account of {printable(views[0].label)} is not known: give --computer.")
    return Aim(want, sites, account, None)


def _as_today(case: Case, want: Want, sites: tuple[tuple[str, str], ...]) -> Aim:
    """The account that decrypts for all these sites."""
    accounts: set[AccountName | None] = set()
    for application in case.applications:
        if (application.server, application.site) in sites:
            accounts.update(place.decrypts_as for place in application.negotiating)
    account = accounts.pop() if len(accounts) == 1 else None
    if account is None:
        raise ObstacleError("no one account decrypts for it today: say which is wanted (account).")
    computers = {case.by_label[label].account for label, _ in sites}
    if account in computers:
        if len(sites) > 1:
            raise ObstacleError(
                "each server decrypts with its own computer account: say which one is wanted (account)."
            )
        return Aim(want, sites, account, None)
    found = next(i for i in case.identities.values() if i.account == account)
    return Aim(want, sites, account, found)


def _identity(case: Case, want: Want, view: ServerView) -> PoolIdentity:
    identity = pool_identity(pool_as(want.account or ""), Surroundings(view.machine, case.domains, case.directory))
    if identity.known is not None and identity.known.kind == "computer":
        raise ObstacleError(f"{identity.known.name} is a computer: no pool can run as it.")
    return identity


def pool_as(user: str, name: str = "") -> Pool:
    """A pool that runs as an account."""
    return Pool(name, "SpecificUser", user, Origin(None, None, "", "explicit"), "")
