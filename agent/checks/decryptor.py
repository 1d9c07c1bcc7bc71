"""The ways that change who decrypts, instead of where an SPN stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agent.checks.actions import Action, asked_of, asking, delete, set_auth, set_page
from agent.checks.case import Case
from agent.checks.files import at_server_level, is_in_web_config, set_together
from agent.checks.holders import host_serves, is_answered_by, wrong_holders
from agent.checks.ways import Way, cannot_run
from agent.model import Application, ApplicationRef, Place, Requirement
from agent.names import AccountName, Spn, folded


class Joined(NamedTuple):
    """Applications of which a setting changes for all or for none: they share names, which decrypt with one account, or
    the file that the setting stands in.
    """

    applications: tuple[Application, ...]
    requirements: tuple[Requirement, ...]


def _joined(case: Case, first: Sequence[Requirement]) -> Joined:
    applications: dict[ApplicationRef, Application] = {}
    requirements: dict[Spn, Requirement] = {requirement.spn: requirement for requirement in first}
    open_ends = list(first)
    while open_ends:
        unseen = (a for a in case.applications_of(open_ends.pop()) if a.reference not in applications)
        for application in set_together(case, unseen):
            applications[application.reference] = application
            for judged in case.judged_for(application):
                other = judged.requirement
                if other.need != "optional" and other.spn not in requirements:
                    requirements[other.spn] = other
                    open_ends.append(other)
    return Joined(tuple(applications.values()), tuple(requirements.values()))


def has_own_places(case: Case, application: Application) -> bool:
    """Whether a directory below says for itself who decrypts: a change at the application does not reach it."""
    if any(place.negotiates for place in application.places):
        return True
    known = case.by_label[application.server].effective(application.reference)
    for _, auth in known.places if known is not None else ():
        said = (auth.origins.kernel_mode, auth.origins.pool_credentials)
        if auth.settings is not None and any(origin is not None and origin.why == "explicit" for origin in said):
            return True
    return False


class Decider(NamedTuple):
    """What says who decrypts: an application, or a page below one that does not negotiate itself."""

    application: Application
    page: Place | None = None

    @property
    def place(self) -> Application | Place:
        return self.page or self.application


def deciders(case: Case, applications: Iterable[Application]) -> tuple[Decider, ...] | None:
    """What says who decrypts for these; None where an application and a page below it both do."""
    found: list[Decider] = []
    for application in applications:
        pages = [page for page in application.places if page.negotiates]
        if not has_own_places(case, application):
            found.append(Decider(application))
        elif application.negotiates or not pages or not _is_ours(case, application, pages):
            return None
        else:
            found += [Decider(application, page) for page in pages]
    return tuple(found)


def _is_ours(case: Case, application: Application, pages: Iterable[Place]) -> bool:
    """Whether the settings of the pages stand in this server's own applicationHost.config, where they can be set."""
    if len(case.readers(application.reference, in_web_config=False)) > 1:
        return False
    return not any(is_in_web_config(page, attribute) for page in pages for attribute in _ATTRIBUTES)


_ATTRIBUTES = ("useKernelMode", "useAppPoolCredentials")


def set_for(
    case: Case,
    changing: Iterable[Decider],
    attribute: str,
    value: bool,
    spn: Spn | None = None,
    holder: AccountName | None = None,
) -> Iterator[Action]:
    """Change one setting of these, each where it stands."""
    these = tuple(changing)
    yield from set_auth(case, [one.application for one in these if one.page is None], attribute, value, spn, holder)
    for application, page in these:
        if page is not None:
            yield set_page(case, application, page, attribute, value, spn, holder)


def let_pool(case: Case, requirement: Requirement, holder: AccountName) -> Way | None:
    """Let the pool's account decrypt, where it holds every SPN of these applications already."""
    joined = _joined(case, [requirement])
    these = deciders(case, joined.applications)
    if these is None or not _runs_as(case, joined.applications, holder) or cannot_run(case, holder):
        return None
    if not all(is_answered_by(case, other.spn, holder) for other in joined.requirements):
        return None
    differing = [decider for decider in these if decider.place.decrypts_as != holder]
    settings = set_for(case, differing, "useAppPoolCredentials", True, requirement.spn, holder)
    return Way(f"let {holder} decrypt, nothing changes in AD", tuple(settings))


def _runs_as(case: Case, applications: Iterable[Application], account: AccountName) -> bool:
    """Whether the pools of all these applications run as the account, so that a setting lets it decrypt."""
    identities = [case.identity_of(application) for application in applications]
    return all(i is not None and i.certain and i.account == account for i in identities)


def let_computer_again(case: Case, requirement: Requirement, holder: AccountName) -> Way | None:
    """Let the computer decrypt for these applications, where it holds every SPN of theirs already, and where they got
    useAppPoolCredentials=true from the level of the server, which nobody set for them.
    """
    joined = _joined(case, [requirement])
    these = deciders(case, joined.applications)
    if these is None or not all(_is_of_computer(case, application, holder) for application in joined.applications):
        return None
    differing = [decider for decider in these if decider.place.decrypts_as != holder]
    if not all(_follows_server(decider.place) for decider in differing):
        return None
    if not all(is_answered_by(case, other.spn, holder) for other in joined.requirements):
        return None
    settings = set_for(case, differing, "useAppPoolCredentials", False, requirement.spn, holder)
    return Way(f"let {holder} decrypt again, nothing changes in AD", tuple(settings))


def _is_of_computer(case: Case, application: Application, account: AccountName) -> bool:
    return case.by_label[application.server].account == account


def _follows_server(decider: Application | Place) -> bool:
    """Whether the pool decrypts in kernel mode for no other reason than what stands at the level of the server."""
    settings = decider.windows_auth
    is_kernel = settings is not None and settings.kernel_mode
    return is_kernel and at_server_level(decider, "useAppPoolCredentials") is not None


def let_computer(case: Case, requirements: Sequence[Requirement]) -> Way | None:
    """Let the computer decrypt, where only its own names are served and its HOST/ SPNs answer for all of them.

    Of an SPN that several accounts need, all requirements: where the settings alone differ that ends the conflict.
    """
    joined = _joined(case, requirements)
    if len({application.server for application in joined.applications}) > 1:
        return None
    these = deciders(case, joined.applications)
    if these is None or not case.only_own_names(joined.applications):
        return None
    if not all(can_use_kernel_mode(decider.place) for decider in these):
        return None
    if any(name.evidence for application in joined.applications for name in case.hidden_behind(application)):
        return None
    computer = case.by_label[joined.applications[0].server].account
    if computer is None:
        return None
    actions = list(to_computer(case, these))
    asked = next(filter(None, (asked_of(case, application) for application in joined.applications)), None)
    for other in joined.requirements:
        wrong = wrong_holders(case, other.spn, computer)
        if not _is_all(case, other.spn, joined) or not host_serves(case, other, computer):
            return None
        actions += [asking(delete(case, other.spn, holder), asked) for holder in wrong]
    return Way("the computer decrypts, its HOST/ SPN answers", tuple(actions))


def _is_all(case: Case, name: Spn, joined: Joined) -> bool:
    """Whether nobody needs an SPN but the applications whose setting changes."""
    needing = {place for requirement in case.demand(name).needed for place in requirement.applications}
    return needing <= {application.reference for application in joined.applications}


def can_use_kernel_mode(decider: Application | Place) -> bool:
    """`Negotiate:Kerberos` and kernel mode exclude each other."""
    settings = decider.windows_auth
    return settings is not None and "negotiate:kerberos" not in folded(settings.providers)


def to_computer(case: Case, changing: Iterable[Decider]) -> Iterator[Action]:
    """The settings that let the computer decrypt."""
    these = [(decider, decider.place.windows_auth) for decider in changing]
    user_mode = [decider for decider, auth in these if auth is not None and not auth.kernel_mode]
    yield from set_for(case, user_mode, "useKernelMode", True)
    of_pool = [decider for decider, auth in these if auth is not None and auth.pool_credentials]
    yield from set_for(case, of_pool, "useAppPoolCredentials", False)
