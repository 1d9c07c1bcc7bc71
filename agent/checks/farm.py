"""What only several servers, or several applications behind one name, show together: conflicts and farms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from agent.checks.answered import farm_line
from agent.checks.case import Case, Judged, finding
from agent.checks.demand import Demand, Serving
from agent.model import AccountUse, Application, ApplicationRef, Evidence, Finding, Origin, Place
from agent.names import AccountName, Spn, fold, http_spn
from agent.spn.clients import PORTS_NEVER_ASKED
from agent.spn.hidden import HiddenName


def spoken_for(case: Case) -> frozenset[Spn]:
    """SPNs for which a conflict or a farm speaks, not each requirement: needed on several accounts of one of these."""
    return frozenset(name for name, demand in case.shared.items() if _is_told_as_one(case, name, demand))


def _is_told_as_one(case: Case, name: Spn, demand: Demand) -> bool:
    servings = [serving for on_one in demand.servings.values() for serving in on_one]
    if len({serving.account for serving in servings}) < 2:
        return False
    if case.opens_for_several(servings):
        return bool(demand.conflicts)
    return bool(demand.conflicts) or case.answered.is_farm(name.host, demand.servings)


def is_differing_farm(case: Case, name: Spn) -> bool:
    """Whether several servers are one farm for a name, and decrypt in different ways for it."""
    demand = case.demand(name)
    if len(demand.servings) < 2 or not _is_told_as_one(case, name, demand):
        return False
    if not case.answered.is_farm(name.host, demand.servings) or case.opens_for_several(demand.nodes):
        return False
    if not any(_pooled(case, servings) for servings in demand.servings.values()):
        return True  # each with its own computer account
    return len({frozenset(_by_place(case, servings)) for servings in demand.servings.values()}) > 1


def _by_place(case: Case, servings: Sequence[Serving]) -> Iterator[tuple[str, AccountName | None]]:
    """Which account decrypts where on one server, None for its own computer; one alone decrypts everywhere."""
    for serving in servings:
        own = serving.account == case.by_label[serving.server].account
        places = serving.applications if len(servings) > 1 else ()
        for path in [fold(place.path) for place in places] or [""]:
            yield path, None if own else serving.account


def farm(case: Case) -> Iterator[Finding]:
    """Every finding that needs more than one application or server to be seen."""
    for name, demand in case.shared.items():
        differs = is_differing_farm(case, name)
        for servings in demand.conflicts:
            if not (differs and len({each.account for each in _pooled(case, servings)}) < 2):
                yield _conflict(case, name, servings)
        if differs:
            yield _farm(case, name, demand)
    yield from (_suspected(name, servers) for name, servers in _suspicions(case))
    yield from (_hidden(case, name) for name in case.hidden if name.evidence)
    yield from _node_names(case)


def _pooled(case: Case, servings: Iterable[Serving]) -> list[Serving]:
    return [each for each in servings if each.account != case.by_label[each.server].account]


# -- one server ----------------------------------------------------------------------------------------------------


def _conflict(case: Case, name: Spn, servings: list[Serving]) -> Finding:
    wanted = "; ".join(f"{serving.account} for {_places(serving.applications)}" for serving in servings)
    applications = [case.application_at[ref] for serving in servings for ref in serving.applications]
    return finding(
        "spn-conflict",
        f"{name} is needed on {len(servings)} accounts at once: {wanted}. An SPN has no path and no port for default "
        "clients: whichever account holds it, the others get KRB_AP_ERR_MODIFIED",
        at=servings[0].applications[0],
        spn=name,
        holders=case.demand(name).requirements[0].holders or (),
        evidence=_deciding(applications),
        fix=tuple(_settling(case, name, servings)),
    )


def _settling(case: Case, name: Spn, servings: Sequence[Serving]) -> Iterator[str]:
    """What may settle a conflict, as far as it fits these applications."""
    yield (
        "Let all of these applications decrypt with one account, which holds the SPN: the same pool identity and the "
        "same settings."
    )
    if not case.answered.is_farm(name.host, case.demand(name).servings) and not case.answered.several(name.host):
        yield (
            "Or set useAppPoolCredentials=false with kernel mode on for all of them, with the SPN on the computer (one "
            "server only)."
        )
    if len({fold(place.site) for serving in servings for place in serving.applications}) > 1:
        yield "Or give each account a host header of its own with a DNS A record."
    else:
        yield "Or give what needs another account a site of its own, with a host header and a DNS A record."
    ports = [_asked_ports(case, name, serving) for serving in servings]
    if sum(map(len, ports)) == len(set().union(*ports)):
        yield "Or register SPNs with the port, and set the policy that includes it on every client."


def _asked_ports(case: Case, name: Spn, serving: Serving) -> set[int | None]:
    """The ports that tell applications apart for clients that add them to the SPN: never 80 and 443."""
    reach = case.by_label[serving.server].reach
    named = (each for place in serving.applications for each in reach[place.site].names if each.host == name.host)
    return {None if port in PORTS_NEVER_ASKED else port for each in named for port in each.ports}


def _places(references: Iterable[ApplicationRef]) -> str:
    return ", ".join(f"{reference.site}{reference.path}" for reference in references)


def _deciding(applications: Sequence[Application]) -> tuple[Evidence, ...]:
    """The lines that make each application decrypt as it does."""
    lines: dict[Evidence, None] = {}
    for application in applications:
        settings = application.windows_auth
        if settings is None:
            continue
        texts = (
            (application.origins.kernel_mode, f"useKernelMode={str(settings.kernel_mode).lower()}"),
            (application.origins.pool_credentials, f"useAppPoolCredentials={str(settings.pool_credentials).lower()}"),
            (application.origins.identity_type, f"pool {application.pool}: {application.identity_type}"),
        )
        for origin, text in texts:
            lines[_line(origin, f"{application.site}{application.path}: {text}")] = None
    return tuple(lines)


def _line(origin: Origin | None, text: str) -> Evidence:
    if origin is None or origin.file is None:
        return Evidence(None, None, f"{text} (IIS default)")
    return Evidence(origin.file, origin.line, text)


# -- several servers -----------------------------------------------------------------------------------------------


def _farm(case: Case, name: Spn, demand: Demand) -> Finding:
    nodes = [serving for on_one in demand.servings.values() for serving in on_one]
    applications = [case.application_at[node.applications[0]] for node in nodes]
    if not _pooled(case, nodes):
        told = "; ".join(f"{node.server} decrypts as {node.account}" for node in nodes)
        return finding(
            "farm-machine-identity",
            f"{name.host} is answered by {len(nodes)} servers, each decrypting with its own computer account "
            f"({told}): no single account can hold {name}",
            server=None,
            fix=(
                "Run the pools of all nodes as one domain account or gMSA, set useAppPoolCredentials=true on every "
                f"node, and register {name} on that account only.",
            ),
            spn=name,
            servers=list(demand.servings),
            evidence=_deciding(applications),
        )
    told = "; ".join(
        f"{node.server} decrypts as {node.account}"
        + (f" for {_places(node.applications)}" if len(demand.servings[node.server]) > 1 else "")
        for node in nodes
    )
    return finding(
        "farm-nodes-differ",
        f"{name.host} is answered by servers that decrypt differently: {told}. Users fail on some nodes only",
        server=None,
        fix=("Make identity, useKernelMode and useAppPoolCredentials the same on every node.",),
        spn=name,
        servers=list(demand.servings),
        evidence=_deciding(applications),
    )


def _suspicions(case: Case) -> Iterator[tuple[Spn, tuple[str, ...]]]:
    for name in case.shared if case.suspected else ():
        if name.port is None and name.host in case.suspected:
            yield name, case.suspected[name.host]


def _suspected(name: Spn, servers: tuple[str, ...]) -> Finding:
    return finding(
        "farm-suspected",
        f"{name.host} is bound on {', '.join(servers)} with different decrypting accounts: if clients reach all of "
        "them by this name, they fail on some",
        server=None,
        servers=servers,
        spn=name,
        fix=(
            f"If they are one farm, put this into the farm file: {farm_line(name.host, servers)}",
            "If they are not, give DNS with --dns: it shows which of them the name leads to.",
        ),
    )


def _hidden(case: Case, name: HiddenName) -> Finding:
    """A name of a load balancer or proxy, where nothing but the account's SPN shows it (rule R15.2)."""
    fails = any(
        judged.requirement.account == name.account
        and judged.requirement.need == "optional"
        and judged.requirement.spn in case.own_spns
        for judged in case.judged
    )
    return finding(
        "name-suspected",
        f"{http_spn(name.host)} is on {name.account}, which decrypts on {', '.join(name.servers)}, and no inspected "
        f"site claims that name ({name.evidence}): do clients come through a load balancer or proxy?",
        server=name.servers[0] if len(name.servers) == 1 else None,
        servers=name.servers,
        spn=http_spn(name.host),
        account=name.account,
        holders=(name.account,),
        fix=(
            f"If they do, put this into the farm file: {farm_line(name.host, name.servers)}",
            *(("Then test by that name: the servers' own names fail behind it, which is normal.",) if fails else ()),
        ),
    )


def _node_names(case: Case) -> Iterator[Finding]:
    """A node's own name behind a declared farm name fails where the pool decrypts: normal (rule R6.4)."""
    seen: set[str] = set()
    for judged in case.judged:
        requirement = judged.requirement
        server = case.own_spns.get(requirement.spn)
        if server is None or requirement.need != "optional" or requirement.outcome not in {"modified", "duplicate"}:
            continue
        declared = server.names.farm
        sites = {fold(reference.site) for reference in requirement.applications}
        if server.label in seen or not any(name.site is None or fold(name.site) in sites for name in declared):
            continue
        seen.add(server.label)
        yield finding(
            "farm-node-name",
            f"the farm's site does not work by the node's own name {requirement.spn.host}: normal, its HOST/ SPN is "
            "the computer's",
            at=requirement.applications[0],
            spn=requirement.spn,
            account=requirement.account,
            holders=requirement.holders or (),
            fix=("Test with the farm's name and a hosts entry for the node; put no node name on the pool account.",),
        )


# -- the account's side --------------------------------------------------------------------------------------------


def account_uses(case: Case) -> Iterator[AccountUse]:
    """Every account that must hold an SPN, in the order in which the applications need them."""
    by_account: dict[AccountName, list[Judged]] = {}
    for judged in case.judged:
        account = judged.requirement.account
        if account is not None:
            by_account.setdefault(account, []).append(judged)
    open_ended, catching = frozenset(_open_ended(case)), frozenset(_catching_all(case))
    for name, all_judged in by_account.items():
        if any(judged.requirement.matters for judged in all_judged):
            use = _account_use(case, name, all_judged)
            is_open = name in open_ended or (name in catching and _is_unlooked(case, use.elsewhere or ()))
            yield replace(use, elsewhere=None) if is_open else use


def _open_ended(case: Case) -> Iterator[AccountName]:
    """The accounts that decrypt, or may, for names that nobody said, or where who decrypts is open."""
    for application in case.applications:
        is_open = case.is_open(application)
        if is_open or application.is_unnamed:
            deciders: tuple[Application | Place, ...] = (application, *application.places)
            computer = case.by_label[application.server].account if is_open else None
            accounts = (application.pool_account, computer, *(decider.decrypts_as for decider in deciders))
            yield from (account for account in accounts if account is not None)


def _catching_all(case: Case) -> Iterator[AccountName]:
    """The accounts that decrypt in sites without a host header, which answer whatever name leads to the server."""
    for application in case.applications:
        site = case.by_label[application.server].configuration.site(application.site)
        if site is not None and any(binding.host is None and binding.serves for binding in site.bindings):
            deciders: tuple[Application | Place, ...] = (application, *application.places)
            yield from (decider.decrypts_as for decider in deciders if decider.decrypts_as is not None)


def _is_unlooked(case: Case, names: Iterable[Spn]) -> bool:
    """Whether nobody looked where one of these names leads; a server's own name leads to that server."""
    hosts = {name.host for name in names if http_spn(name.host) not in case.own_spns}
    return any(case.service is None or case.service.resolve(host) is None for host in hosts)


def _account_use(case: Case, name: AccountName, all_judged: list[Judged]) -> AccountUse:
    requirements = [judged.requirement for judged in all_judged]
    known = case.account(name)
    needs = dict.fromkeys(r.spn for r in requirements if r.need in {"explicit", "port-variant"})
    covered = dict.fromkeys(r.spn for r in requirements if r.need == "covered")
    holds = None if known is None else tuple([spn for spn in known.spns if spn.service == "http"])
    return AccountUse(
        account=name,
        kind=None if known is None else known.kind,
        applications=tuple(dict.fromkeys(ref for r in requirements for ref in r.applications)),
        needs=tuple(needs),
        covered=tuple(covered),
        holds=holds,
        lacks=None if holds is None else _lacking(needs, frozenset(holds), all_judged),
        # one that another account must hold is misplaced, not used elsewhere
        elsewhere=None if holds is None else tuple([spn for spn in holds if not case.needs(spn)]),
    )


def _lacking(needs: Iterable[Spn], held: frozenset[Spn], all_judged: Iterable[Judged]) -> tuple[Spn, ...]:
    """What an account must hold, and does not, as far as that is settled and no other key of the computer serves."""
    settled: set[Spn] = set()
    by_other_keys: set[Spn] = set()
    for judged in all_judged:
        name, outcome = judged.requirement.spn, judged.requirement.outcome
        if outcome != "uncertain":
            settled.add(name)
        if judged.wanted.decision.further != () and outcome in {"kerberos", "uncertain"}:
            by_other_keys.add(name)
    return tuple([name for name in needs if name in settled and name not in held and name not in by_other_keys])
