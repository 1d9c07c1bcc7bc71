"""What each command writes, of any size: reports, plans, stories, changes in which one thing grows.

`DOCUMENTS` has for each command what its documents may have many of; every format of the command writes each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from agent import __version__
from agent.checks.accept import Acceptance
from agent.cli.formats import Command
from agent.evidence.captured import Unread
from agent.evidence.diagnose import diagnose
from agent.evidence.diagnosis import Diagnosis
from agent.evidence.known import Known
from agent.evidence.observed import Reply, Seen, Sent
from agent.evidence.page import Page
from agent.evidence.probed import Probe
from agent.evidence.probed import judged as seen_as
from agent.evidence.reading import read_page
from agent.evidence.tokens import challenges, read_token
from agent.history import Difference, compare
from agent.iis.snapshot import Snapshot
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.model import Explanation, Report, Survey, Tool
from agent.names import spn
from agent.sources.endpoint import Endpoint
from agent.story import explain, read_url
from agent.story.probed import SCHEMA, Predicted, Probing, compared, with_causes
from agent.sweep import remote
from agent.sweep.collect import Collected, Run
from agent.sweep.run import Failure, Result
from benchmarks import axes
from benchmarks.axes import SERVICE, World, judged, named, spns, zone
from tests import made_tokens as made
from tests.worlds import ad, app, computer, server, site, user

Document = Report | Difference | Probing | Diagnosis
TOOL = Tool("iis-spn", __version__)


def reported(make: Callable[[int], Callable[[], World]]) -> Callable[[int], Report]:
    return lambda n: make(n)().report


# -- inspect, sweep, plan ------------------------------------------------------------------------------------------


def accepted(n: int) -> Report:
    """As many findings that may stay."""
    every = [Acceptance(id="spn-missing", subject=f"HTTP/s{i}.test.com", reason="known") for i in range(n)]
    return judged(server(*named(n), pool=SERVICE, creds=True), ad=ad(computer(), user()), accepted=every)().report


def failed(n: int) -> Report:
    """Servers that could not be read."""
    lost = [Snapshot(source=f"WEB{i}", machine=server(name=f"WEB{i}").machine, files={}) for i in range(n)]
    return judged(*lost)().report


def several_holders(n: int) -> Report:
    """SPNs that two accounts hold which are both wrong: what mends it is asked for first."""
    others = [user(name, *spns(n)) for name in ("one", "other")]
    return judged(server(*named(n), pool=SERVICE, creds=True), ad=ad(computer(), user(), *others), dns=zone(n))().report


def conflicts(n: int) -> Report:
    """Names that two applications of one server need on two accounts, which no step mends."""
    pools = {"One": r"TEST\one", "Other": r"TEST\other"}
    apps = [app(pool="One"), app("/other", pool="Other")]
    sites = [site(f"*:80:s{i}.test.com", name=f"Site{i}", apps=apps) for i in range(n)]
    return judged(server(*sites, pools=pools, creds=True), ad=ad(computer(), user("one"), user("other")))().report


def swept(n: int) -> Survey:
    """Servers that failed, each with a reason of its own, and names of one that had answered."""
    run = asked(n)
    return remote.survey(analyse(run.snapshots(), Sources()).report, run)


def asked(n: int) -> Run:
    """A run in which every server failed, or turned out to be another one's second name."""
    from agent.sources.snapshots.standing import Standing

    failures = [
        Result(
            endpoint=Endpoint(name=f"web{i}", host=f"web{i}"),
            failure=Failure("connection", f"refused by 10.0.0.{i}", "Ask."),
        )
        for i in range(n)
    ]
    aliases = [
        Result(
            endpoint=Endpoint(name=f"old{i}", host=f"old{i}"),
            answer=Collected(standing=Standing("ok"), alias_of=f"web{i}"),
        )
        for i in range(n)
    ]
    return Run([*failures, *aliases], (), {}, None)


OF_SERVERS: Mapping[str, tuple[int, Callable[[int], Report]]] = {
    "sites that work": (300, reported(axes.held)),
    "findings with steps": (300, reported(axes.misplaced)),
    "SPNs that are missing": (300, reported(axes.missing)),
    "duplicates": (200, reported(axes.duplicates)),
    "SPNs on two wrong accounts": (200, several_holders),
    "conflicts": (200, conflicts),
    "holders of one SPN": (500, reported(axes.holders)),
    "accounts": (200, reported(axes.accounts)),
    "applications of a site": (500, reported(axes.applications)),
    "names of a site": (500, reported(axes.bindings)),
    "web.config files": (500, reported(axes.web_configs)),
    "servers": (200, reported(axes.servers)),
    "servers of one name": (100, reported(axes.servers_of_one_name)),
    "servers of one farm": (100, reported(axes.servers_of_one_farm)),
    "servers of one account": (100, reported(axes.servers_of_one_account)),
    "servers that could not be read": (200, failed),
    "accepted findings": (300, accepted),
}


# -- explain -------------------------------------------------------------------------------------------------------

SHOP = "http://shop.test.com/"


def told(make: Callable[[int], Callable[[], World]], url: str = SHOP) -> Callable[[int], Explanation]:
    return lambda n: explain(make(n)().typed(read_url(url).typed), url)


def answering(n: int) -> Callable[[], World]:
    """Servers that may all answer, as no host header and no DNS says which one does."""
    names = [f"WEB{i}" for i in range(n)]
    return judged(*(server(name=name) for name in names), ad=ad(*map(computer, names)))


# -- diff ----------------------------------------------------------------------------------------------------------


def changed(
    old: Callable[[int], Callable[[], World]], new: Callable[[int], Callable[[], World]]
) -> Callable[[int], Difference]:
    return lambda n: compare(old(n)().report, new(n)().report)


def set_otherwise(n: int) -> Callable[[], World]:
    return judged(server(*named(n), kernel=False))


def other_servers(n: int) -> Callable[[], World]:
    return judged(*(axes.placed(n + i, site(f"*:80:s{i}.test.com"), name="NEW{}") for i in range(n)))


def unread_servers(n: int) -> Callable[[], World]:
    return judged(*(Snapshot(source=f"WEB{i}", machine=server(name=f"WEB{i}").machine, files={}) for i in range(n)))


# -- diagnose ------------------------------------------------------------------------------------------------------

EVENT = (
    "The Kerberos client received a KRB_AP_ERR_MODIFIED error from the server {}. The target name used was {}. This "
    "indicates that the target server failed to decrypt the ticket.\n\n"
)
TICKET = "#{}>\tClient: alice @ TEST.COM\n\tServer: HTTP/s{}.test.com @ TEST.COM\n\tKerbTicket Encryption Type: RC4\n\n"


def captured(text: str, report: Report | None = None, unread: int = 0) -> Diagnosis:
    found = read_page(Page("captured.txt", text))
    more = [Unread("captured.txt", line, "not known") for line in range(unread)]
    return diagnose(Known(found.evidence, report=report), (*found.unread, *more), TOOL)


def events(n: int) -> str:
    return "".join(EVENT.format(f"svc{i}", f"HTTP/s{i}.test.com") for i in range(n))


def tickets(n: int) -> str:
    return f"Cached Tickets: ({n})\n\n" + "".join(TICKET.format(i, i) for i in range(n))


# -- probe ---------------------------------------------------------------------------------------------------------


def probing(n: int, *, gaps: bool = False) -> Probing:
    """Names that refuse a ticket which was predicted to work; with `gaps` also what was not read."""
    said = [compared(with_causes(probe, Known(())), [_predicted()]) for probe in map(_refused, range(n))]
    return Probing(
        schema=SCHEMA,
        tool=TOOL,
        started="2026-11-22T00:00:00Z",
        finished="2026-11-22T00:00:00Z",
        probes=tuple(probe for probe, _ in said),
        findings=tuple(finding for _, finding in said if finding is not None),
        gaps=tuple(f"WEB{i}: nobody answered" for i in range(n if gaps else 0)),
    )


def _refused(number: int) -> Probe:
    error = made.written(made.response(made.framed(made.ERROR, made.krb_error(41, f"svc{number}"))))
    offers = tuple(challenges(f"Negotiate {error}"))
    name = f"s{number}.test.com"
    return seen_as(
        Seen(
            url=f"http://{name}/",
            client="edge",
            spn=spn(f"HTTP/{name}"),
            first=Reply(status=401, offers=challenges("Negotiate, NTLM")),
            sent=Sent(token=read_token(made.ASKED), ends="2026-11-22T20:00:00Z"),
            reply=Reply(status=401, offers=offers),
        )
    )


def _predicted() -> Predicted:
    return Predicted(
        outcome="kerberos", decrypts_as=None, answers=None, because=(), server="WEB1", site="Site", path="/"
    )


# -- all of them ---------------------------------------------------------------------------------------------------

Documents = Mapping[str, tuple[int, Callable[[int], Document]]]

DOCUMENTS: Mapping[Command, Documents] = {
    "inspect": OF_SERVERS,
    "sweep": {"servers that failed, and second names": (200, swept)},
    "plan": {
        "steps": (300, reported(axes.misplaced)),
        "steps that ask first": (200, reported(axes.duplicates)),
        "several ways": (200, several_holders),
        "what no step mends": (200, conflicts),
        "holders of one SPN": (500, reported(axes.holders)),
        "servers that could not be read": (200, failed),
    },
    "explain": {
        "servers that may answer": (200, told(answering)),
        "sites beside it": (200, told(axes.misplaced, "http://s0.test.com/")),
        "holders of its SPN": (200, told(axes.holders, "http://s0.test.com/")),
        "servers behind one name": (50, told(axes.servers_of_one_name, "http://portal.test.com/")),
    },
    "diff": {
        "outcomes": (200, changed(axes.missing, axes.held)),
        "settings": (200, changed(axes.sites, set_otherwise)),
        "servers that came, and that went": (100, changed(axes.servers, other_servers)),
        "servers that were not read any more": (100, changed(axes.servers, unread_servers)),
        "holders": (200, changed(axes.misplaced, axes.duplicates)),
    },
    "diagnose": {
        "events": (200, lambda n: captured(events(n))),
        "events, and sites": (200, lambda n: captured(events(n), axes.misplaced(n)().report)),
        "tickets": (200, lambda n: captured(tickets(n))),
        "what was not understood": (200, lambda n: captured(events(1), unread=n)),
    },
    "probe": {
        "names": (100, probing),
        "what was not read": (100, lambda n: probing(n, gaps=True)),
    },
}


@lru_cache(maxsize=4)
def document(command: Command, what: str, n: int) -> Document:
    """One of them; the last few are kept, for every format writes each."""
    return DOCUMENTS[command][what][1](n)
