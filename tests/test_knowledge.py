"""Less knowledge loses answers and never gains a wrong one: every source left out, over samples and truth table.

Each test takes one source away from every world there is and holds the two reports side by side.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import test_truth_table
import worlds
from hypothesis import Phase, given, settings
from knowledge import (
    LABEL,
    LEFT_OUT,
    MAY_ADD_A_NAME,
    MAY_ADD_A_STEP,
    Document,
    Run,
    Told,
    declared,
    renamed,
    server_names,
    url_of,
)
from test_plan import farms
from test_truth_table import ROWS
from worlds import server, site, windows

from agent import explain, inspect
from agent.cli.program import main
from agent.iis.snapshot import Snapshot
from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.names import spn
from agent.sources import option_files
from agent.sources.ad.exports import read_exports
from agent.sources.dns import zone
from agent.sources.snapshots import targets
from tests.pages import in_text

SAMPLES = Path(__file__).parents[1] / "sample_configs"

# -- worlds --------------------------------------------------------------------------------------------------------


def _samples() -> Iterator[Run]:
    """Each server of the samples, and all of them."""
    sources = Sources(
        directory=lambda asked: read_exports([SAMPLES / "directory.ldif"], asked, {}),
        names=lambda _hosts, _addresses: zone.read_zones([SAMPLES / "zone.txt"]),
        farm=option_files.farm_file(SAMPLES / "farm.toml"),
        now=worlds.NOW,
    )
    servers = tuple(targets.read_target(path, None, {}) for path in sorted(SAMPLES.glob("IIS0?")))
    yield from (Run(one.label, (one,), sources) for one in servers)
    yield Run("IIS01 to IIS07", servers, sources)


def _recorded(name: str, build: Callable[[], object]) -> Iterator[Run]:
    """The worlds that a test makes."""
    found: list[Run] = []

    def recording(snapshots: Iterable[Snapshot], sources: Sources) -> Analysis:
        kept = tuple(snapshots)
        if not sources.typed:
            found.append(Run(f"{name}#{len(found) + 1}", kept, sources))
        return analyse(kept, sources)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "analyse", recording)
        build()
    yield from found


OTHER_ROWS = ("test_farm_rows", "test_rows_with_two_applications", "test_constrained_delegation_into_another_domain")
Case = tuple[str, bool | None, bool | None, str]
"""A row of the truth table, useKernelMode, useAppPoolCredentials and the pool's identity."""


def _cases() -> list[Case]:
    return [param.values for param in test_truth_table._cases()]  # type: ignore[attr-defined]


def _truth_table() -> Iterator[Run]:
    for name, *how in _cases():
        yield from _recorded(f"{name} {how}", partial(test_truth_table._world, ROWS[name], *how))
    for function in OTHER_ROWS:
        yield from _recorded(function, getattr(test_truth_table, function))
    for name in test_truth_table.CLIENT_ROWS:
        yield from _recorded(name, partial(test_truth_table.test_a_client_row, name))


def _unlocked() -> Iterator[Run]:
    """Rows of the truth table whose settings stand in a web.config: applicationHost.config shows IIS's defaults."""
    for name, *how in _cases():
        if how[:2] != [True, False]:
            yield from _recorded(f"{name} {how} in web.config", partial(_in_web_config, name, *how))


def _in_web_config(name: str, kernel: bool | None, credentials: bool | None, identity: str) -> object:
    row = ROWS[name]
    said = {"useKernelMode": kernel, "useAppPoolCredentials": credentials}
    section = windows(**{key: str(value).lower() for key, value in said.items() if value is not None})
    web = {"": f"<configuration>{section}</configuration>"}
    built = server(site(*row.bindings), name=row.name, pool=identity, mode="Allow", web=web, facts=row.facts)
    return worlds.world(built, ad=row.ad, dns=row.dns, clients=row.clients)


@cache
def _runs() -> tuple[Run, ...]:
    return (*_samples(), *_truth_table())


@cache
def _renamed() -> tuple[Run, ...]:
    return tuple(map(renamed, _runs()))


def _runs_for(source: str) -> Iterator[Run]:
    """The worlds that say most about one source."""
    yield from _runs()
    if source == "web.config":
        yield from _unlocked()
    if source in {"NetBIOS name", "machine.json", "machine.json, not --computer"}:
        yield from _renamed()


def _urls(report: Document) -> list[str]:
    """Of each name that the full report speaks of."""
    return list(dict.fromkeys(url_of(spn(requirement["spn"])) for requirement in report["requirements"]))


# -- what may never be ---------------------------------------------------------------------------------------------

WRONG = frozenset({"modified", "duplicate", "impossible"})
OPEN = frozenset({"unchecked", "uncertain"})
NOT_READ = frozenset({"config-malformed", "content-unread", "source-unreadable", "server-unreachable"})
"""Errors that say that something could not be read."""

Place = tuple[str, str, str]
"""An application: the folder of its server (whose name may not be known), its site and path."""


class Pair(NamedTuple):
    """What is said with all knowledge, and with less: without `source`."""

    source: str
    full: Told
    less: Told


def _outcomes(report: Document) -> dict[tuple[str, Place], set[str]]:
    """By SPN and application; places below one application may differ."""
    sources = server_names(report)
    found: dict[tuple[str, Place], set[str]] = {}
    for requirement in report["requirements"]:
        for at in requirement["applications"]:
            place = (sources[at["server"]], at["site"], at["path"])
            found.setdefault((requirement["spn"].lower(), place), set()).add(requirement["outcome"])
    return found


def _working(report: Document) -> set[tuple[str, Place]]:
    return {key for key, outcomes in _outcomes(report).items() if outcomes == {"kerberos"}}


def _errors(document: Document) -> list[Document]:
    return [one for one in document["findings"] if one["severity"] == "error" and one["accepted"] is None]


def _names(finding: Document, name: str) -> bool:
    if (finding["spn"] or "").lower() == name:
        return True
    return re.search(rf"(?<![\w.:-]){re.escape(name)}(?![\w.:-])", finding["message"].lower()) is not None


def nothing_that_works_is_broken(pair: Pair) -> Iterator[str]:
    less = _outcomes(pair.less.report)
    for key in sorted(_working(pair.full.report)):
        if wrong := less.get(key, set()) & {*WRONG, "ntlm-fallback"}:
            yield f"{key[0]} at {key[1]}: kerberos, now {wrong}"


def no_outcome_is_another(pair: Pair) -> Iterator[str]:
    """An answer stays or is lost. Of several holders a part of the directory may show one, and that is the answer."""
    full = _outcomes(pair.full.report)
    for key, said in _outcomes(pair.less.report).items():
        allowed = full.get(key, set()) | OPEN
        if pair.source == "part of the directory" and "duplicate" in allowed:
            allowed |= {"kerberos", "modified"}
        if key in full and not said <= allowed:
            yield f"{key[0]} at {key[1]}: {full[key]}, now {said}"
        if key not in full and said & WRONG and pair.source not in MAY_ADD_A_NAME:
            yield f"{key[0]} at {key[1]} is required only now, and {said}"


def _leads_if(provided: Sequence[str] | None) -> bool:
    """Whether a verdict stands only if a name leads to a server, which nothing shows."""
    return any(" leads to " in condition for condition in provided or ())


def _may_be_named(pair: Pair) -> Iterator[str]:
    """SPNs of which an error may be told on a condition that holds no more with all knowledge (contract)."""
    yield from (r["spn"].lower() for r in pair.less.report["requirements"] if _leads_if(r["provided"]))
    for requirement in pair.full.report["requirements"]:
        name = requirement["spn"].lower()
        if pair.source == "DNS" and _host(requirement) in pair.full.aliases:
            yield name  # "if no name is an alias"
        if pair.source == "farm file" and requirement["need"] == "optional":
            yield name  # a node's own name behind a declared one


def _is_unreached(finding: Document, pair: Pair) -> bool:
    """Whether with all knowledge nobody reaches the site by the name: a name that is bound stands else (contract)."""
    about = ((finding["spn"] or "").lower(), _plain(finding["account"]))
    whose = [r for r in pair.full.report["requirements"] if r["spn"].lower() == about[0]]
    if finding["id"] == "spn-conflict":
        return len({r["account"] for r in whose if r["need"] != "optional"}) < 2
    return {r["need"] for r in whose if about[1] in {"", _plain(r["account"])}} == {"optional"}


def no_error_names_what_works(pair: Pair) -> Iterator[str]:
    working = {name for name, _ in _working(pair.full.report)} - set(_may_be_named(pair))
    for document in (pair.less.report, *pair.less.stories.values()):
        for name in working:
            if not any(_names(one, name) for one in _errors(pair.full.report)):
                named = (one for one in _errors(document) if _names(one, name) and not _is_unreached(one, pair))
                yield from (f"{name}: {one['id']}: {one['message']}" for one in named)


def no_error_is_new(pair: Pair) -> Iterator[str]:
    """Of a site or an account, whatever SPN it names; where a name may come in, of nothing that worked (above)."""
    if pair.source in MAY_ADD_A_NAME:
        return
    known = {_about(one, pair.full.report) for one in _errors(pair.full.report)}
    broken_ones = [r for r in pair.full.report["requirements"] if _is_named(r, pair)]
    named = {(r["spn"].lower(), account) for r in broken_ones for account in (_plain(r["account"]), "")}
    for one in _errors(pair.less.report):
        kind = "spn-duplicate" if pair.source == "part of the directory" and one["id"] == "spn-misplaced" else one["id"]
        is_same = bool({_about({**one, "id": i}, pair.less.report) for i in (kind, one["id"])} & known)
        is_same = is_same or ((one["spn"] or "").lower(), _plain(one["account"])) in named
        if kind not in NOT_READ and not is_same and not _is_unreached(one, pair):
            yield f"{one['id']}: {one['message']}"


def _is_named(requirement: Document, pair: Pair) -> bool:
    """Whether it is broken with all knowledge, and an error names it: a conflict, or a farm, where this is one."""
    name = requirement["spn"].lower()
    return requirement["outcome"] in WRONG and any(_names(one, name) for one in _errors(pair.full.report))


def _about(finding: Document, report: Document) -> tuple[object, ...]:
    server = server_names(report).get(finding["server"])
    return (finding["id"], server, finding["site"], finding["path"], (finding["spn"] or "").lower())


# -- steps ---------------------------------------------------------------------------------------------------------


def _steps(report: Document) -> list[Document]:
    plan = report["plan"]
    return [*plan["steps"], *(step for way in plan["alternatives"] for step in way["steps"])]


_DOMAIN = re.compile(rf"\b(?:TEST|{LABEL})\\", re.IGNORECASE)


def _change(step: Document, report: Document) -> tuple[object, ...]:
    """What a step changes; an account of a domain whose NetBIOS name is not known is named without it (contract)."""
    texts = [_DOMAIN.sub("", step[key] or "").lower() for key in ("spn", "account", "command")]
    return (step["kind"], *texts, server_names(report).get(step["server"], ""))


def no_step_is_new(pair: Pair) -> Iterator[str]:
    """Whoever is in no part of a directory may hold an SPN already: adding it once more changes nothing."""
    known = {_change(step, pair.full.report) for step in _steps(pair.full.report)}
    is_part = pair.source == "part of the directory"
    needed = _needed(pair.full.report) if is_part else frozenset()
    twice = (
        {r["spn"].lower() for r in pair.full.report["requirements"] if r["outcome"] == "duplicate"}
        if is_part
        else set()
    )
    for step in _steps(pair.less.report):
        may = pair.source in MAY_ADD_A_STEP and (
            _needs_no_question(step, pair.less) or not list(_unasked(pair.source, step))
        )
        again = step["kind"] == "spn-add" and (step["spn"].lower(), _plain(step["account"])) in needed
        of_several = not twice.isdisjoint(_spns_of(step, pair.less.report))  # one holder seen is all that is known
        if _change(step, pair.less.report) not in known and not (may or again or of_several):
            yield f"{step['kind']} {step['spn']} {step['account']}: {step['command']}: {step['note']}"


def _spns_of(step: Document, report: Document) -> set[str]:
    """What a step is about; of a change without an SPN, all that its site's names need."""
    if step["spn"] is not None:
        return {step["spn"].lower()}
    return {f"http/{host['host'].lower()}" for site in _sites(step, report) for host in site["hosts"]}


def _needs_no_question(step: Document, told: Told) -> bool:
    """The names that inspected servers alone answer, by what was read (contract): a setting's are all of its site's."""
    if step["spn"] is not None:
        return _is_own(step, told.report) or _host(step) in told.declared | told.led
    if step["kind"] == "dns":
        return (step["command"] or "").split()[3] in told.declared | told.led
    hosts = [host["host"].lower() for site in _sites(step, told.report) for host in site["hosts"]]
    own = [host in _own_names(told.report) for host in hosts]
    return any(own) if step["kind"] == "manual" else all(own) and bool(own)


def _sites(step: Document, report: Document) -> list[Document]:
    """The applications of the sites that a setting, or the advice to give a host header, is about."""
    advised = re.search(r"Give (.+?) a host header", step["note"] or "")
    places = [tuple(place.split(" on ")) for place in advised[1].split(", ")] if advised else []
    if named := re.search(r'set config "([^/"]+)', step["command"] or ""):
        places.append((named[1], step["server"]))
    return [one for one in report["applications"] if (one["site"], one["server"]) in places]


def _needed(report: Document) -> frozenset[tuple[str, str]]:
    """SPNs, and the accounts that must hold them."""
    return frozenset((r["spn"].lower(), _plain(r["account"])) for r in report["requirements"])


def _unasked(source: str, step: Document) -> Iterator[str]:
    """What a step lacks that nobody's knowledge stands behind: the question, and the contract's note."""
    note = step["note"] or ""
    name = step["spn"].partition("/")[2].partition(":")[0] if step["spn"] else r"[\w.-]+"
    pattern = re.escape(name) if step["spn"] else name
    if not step["confirm"]:
        yield "confirm"
    if not re.search(rf"nobody else inspected answers {pattern}\b", note, re.IGNORECASE):
        yield "nobody else inspected answers NAME"
    if source == "DNS" and not re.search(rf"if {pattern} is no alias", note, re.IGNORECASE):
        yield "if NAME is no alias"


def no_step_rests_on_a_guess(pair: Pair) -> Iterator[str]:
    """Without DNS a step for a name that is neither the computer's own nor declared has to be confirmed."""
    for step in _steps(pair.less.report) if pair.source == "DNS" else ():
        is_sure = _is_own(step, pair.less.report) or _host(step) in pair.less.declared
        is_malformed = step["finding"] == "spn-malformed"  # no client asks for it
        if step["kind"] in {"spn-add", "spn-delete"} and not (is_sure or is_malformed):
            lacks = list(_unasked("DNS", step))
            yield from (
                [f"{step['kind']} {step['spn']} {step['account']} lacks {lacks}: {step['note']}"] if lacks else []
            )


def _host(step: Document) -> str:
    return (step["spn"] or "").lower().partition("/")[2].partition(":")[0]  # type: ignore[no-any-return]


def _is_own(step: Document, report: Document) -> bool:
    """Whether it is for a computer's own name; an additional one (msDS-AdditionalDnsHostName) is told by its note."""
    return _host(step) in _own_names(report) or "WinRM" in (step["note"] or "")


def _own_names(report: Document) -> set[str]:
    return {(server[key] or "").lower() for server in report["servers"] for key in ("name", "dns_name")}


# -- claims --------------------------------------------------------------------------------------------------------


def nothing_needed_is_elsewhere(pair: Pair) -> Iterator[str]:
    """`elsewhere` says that no inspected server needs an SPN: not where a need may not have been seen."""
    if pair.source in {"one server", "farm file"}:  # who else needs it is said nowhere else
        return
    needed = _needed(pair.full.report)
    for use in pair.less.report["accounts"]:
        for name in use["elsewhere"] or ():
            if pair.source == "DNS" and name.lower() in pair.full.ends:  # "if no name is an alias"
                continue
            if (name.lower(), _plain(use["account"])) in needed:
                yield f"{use['account']} holds {name} elsewhere"
        if pair.source == "directory" and use["elsewhere"] is not None:
            yield f"{use['account']} is said to hold {use['elsewhere']} elsewhere"


def _plain(account: str | None) -> str:
    return _DOMAIN.sub("", account or "").lower()


def what_is_open_is_counted(pair: Pair) -> Iterator[str]:
    """The counts are those of the requirements that matter, and the first line shows what nobody knows."""
    mattering = [r for r in pair.less.report["requirements"] if r["need"] != "optional"]
    spns = pair.less.report["summary"]["spns"]
    unchecked = sum(r["outcome"] == "unchecked" for r in mattering)
    if spns["not_checked"] != unchecked or spns["uncertain"] < sum(r["outcome"] == "uncertain" for r in mattering):
        yield f"{spns}, but {[r['outcome'] for r in mattering]}"
    if spns["ok"] != sum(r["outcome"] == "kerberos" for r in mattering):
        yield f"ok: {spns['ok']}"
    is_open = spns["not_checked"] + spns["uncertain"] > 0
    if is_open and "NOT CHECKED" not in pair.less.first_line:
        yield f"all clear: {pair.less.first_line}"


def what_was_asked_is_said(pair: Pair) -> Iterator[str]:
    """`summary.read` tells which source nobody asked."""
    kind = {"directory": "directory", "DNS": "dns"}.get(pair.source)
    asked = {one["kind"] for one in pair.less.report["summary"]["read"] if one["asked"]}
    if kind in asked:
        yield f"{kind} was asked"


def a_verdict_carries_its_if(pair: Pair) -> Iterator[str]:
    """Without DNS a bound name is taken for an address record, without a NetBIOS name TEST for test.com (contract)."""
    for requirement in pair.less.report["requirements"]:
        for condition in _conditions(pair, requirement) if requirement["outcome"] not in {*OPEN, "impossible"} else ():
            if condition not in " ".join(requirement["provided"]):
                yield f"{requirement['spn']} is {requirement['outcome']}, provided {requirement['provided']}"


def _conditions(pair: Pair, requirement: Document) -> Iterator[str]:
    host, account = requirement["spn"].lower().partition("/")[2], requirement["account"] or ""
    hosts = [host for application in pair.less.report["applications"] for host in application["hosts"]]
    bound = {one["host"].lower() for one in hosts if one["source"] == "binding"}
    if pair.source == "DNS" and host in bound and "." in host and requirement["need"] != "optional":
        yield "alias"
    unlabelled = {one["name"] for one in pair.less.report["servers"] if "netbios_domain" in one["guessed"]}
    is_labelled = account.startswith("TEST\\") and not account.endswith("$") and "DEC-23" not in pair.less.name  # a UPN
    if is_labelled and {a["server"] for a in requirement["applications"]} & unlabelled:
        yield "is test.com"


# -- explain -------------------------------------------------------------------------------------------------------


def explain_loses_answers_only(pair: Pair) -> Iterator[str]:
    for url, full in pair.full.stories.items():
        if _answers_nowhere(full):
            continue
        less = _unconditional(pair.less.stories[url], _servers(full) if pair.source in MAY_ADD_A_NAME else None)
        before, after = _by_client(full), _by_client(less)
        for client, ends in after.items():
            yield from (f"{url}: {client}: {text}" for text in _gained(pair.source, before.get(client, {}), ends))


def _answers_nowhere(story: Document) -> bool:
    """With all knowledge the name leads past every binding of it, which would stand without (contract)."""
    return not _servers(story)


def _unconditional(story: Document, servers: Collection[str] | None) -> Document:
    """Without what is said of a server only if the name leads there, which nothing shows; and of others than these."""
    sure = [one for one in story["outcomes"] if not _leads_if(one["provided"])]
    kept = [one for one in sure if servers is None or one["server"] in {*servers, None}]
    return {**story, "outcomes": kept}


def _servers(story: Document) -> set[str]:
    return {one["server"] for one in story["outcomes"]} - {None}


def _by_client(story: Document) -> dict[str, dict[str, set[str]]]:
    """Outcomes by client and by the SPN that it asks for."""
    found: dict[str, dict[str, set[str]]] = {}
    for one in story["outcomes"]:
        found.setdefault(one["client"], {}).setdefault((one["spn"] or "").lower(), set()).add(one["outcome"] or "none")
    return found


def _gained(source: str, before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> Iterator[str]:
    """A client that asks for another SPN than with DNS does so `if the name is no alias`, which explain says."""
    known = set().union(*before.values())
    for name, ends in after.items():
        allowed = before.get(name, ends if source == "DNS" else known)
        if source == "part of the directory" and "duplicate" in allowed:
            allowed = {*allowed, "kerberos", "modified"}
        if not ends <= allowed | OPEN:
            yield f"{name} is {ends}, with all knowledge {dict(before)}"


# -- the doors: the library, and every command ---------------------------------------------------------------------


class Given(NamedTuple):
    """Files, and what is said about them."""

    targets: tuple[Path, ...]
    ad: Path | None = SAMPLES / "directory.ldif"
    dns: Path | None = SAMPLES / "zone.txt"
    farm: Path | None = SAMPLES / "farm.toml"
    computer: str | None = None

    @property
    def words(self) -> list[str]:
        """As the command line has them."""
        said = {"--ad": self.ad, "--dns": self.dns, "--farm": self.farm, "--computer": self.computer}
        return [*map(str, self.targets), *(str(word) for pair in said.items() if pair[1] is not None for word in pair)]

    def told(self, urls: Iterable[str] | None = None) -> Told:
        """What the library says, and what the commands end with; that both plan and require the same is asserted."""
        how: dict[str, Any] = {"ad": self.ad, "dns": self.dns, "farm": self.farm, "computer": self.computer}
        report = inspect(self.targets, **how, now=worlds.NOW)
        document = json.loads(report.to_json())
        asked = list(urls) if urls is not None else _urls(document)[:3]
        stories = {url: json.loads(explain(url, self.targets, **how, now=worlds.NOW).to_json()) for url in asked}
        commanded = {words[-1]: _run(*words, *self.words) for words in (["inspect"], ["plan"], *_explaining(asked))}
        for key in ("requirements", "plan"):
            assert document[key] == commanded["inspect"][1][key] == commanded["plan"][1][key]
        for url in asked:
            assert stories[url]["outcomes"] == commanded[url][1]["outcomes"]
        first_line = in_text(report, 100, color=False).partition("\n")[0]
        name = " ".join(self.words)
        exits = {words: code for words, (code, _) in commanded.items()}
        named = declared(option_files.farm_file(self.farm) if self.farm is not None else ())
        return Told(name, document, stories, first_line, exits, named)


def _explaining(urls: Iterable[str]) -> Iterator[list[str]]:
    yield from (["explain", url] for url in urls)


def _run(*words: str) -> tuple[int, Document]:
    """One command, through the front door."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        code = main([*words, "--format", "json"])
    return code, json.loads(out.getvalue())


def _copied(one: Path, folder: Path, without: str) -> Path:
    """A snapshot folder without one key of its machine.json; without its `content`, without web.config files."""
    kept = folder / one.name
    kept.mkdir()
    machine = json.loads((one / "machine.json").read_text(encoding="utf-8"))
    del machine[without]
    (kept / "machine.json").write_text(json.dumps(machine), encoding="utf-8")
    shutil.copy(one / "applicationHost.config", kept)
    if without != "content" and (one / "files").is_dir():
        shutil.copytree(one / "files", kept / "files")
    return kept


def _ldif(folder: Path, without: str) -> Path:
    """The samples' export without the entries of one object class."""
    path = folder / "directory.ldif"
    entries = (SAMPLES / "directory.ldif").read_text(encoding="utf-8").split("\n\n")
    path.write_text("\n\n".join(one for one in entries if f"objectClass: {without}\n" not in one), encoding="utf-8")
    return path


_OPTIONS = {"directory": "ad", "DNS": "dns", "farm file": "farm"}


def _files_left_out(source: str, full: Given, folder: Path) -> Iterator[Given]:
    targets = full.targets
    bare = tuple(one / "applicationHost.config" for one in targets)
    if source in _OPTIONS:
        yield full._replace(**{_OPTIONS[source]: None})
    elif source == "domain entry":
        yield full._replace(ad=_ldif(folder, "domainDNS"))
    elif source == "machine.json":
        yield full._replace(targets=bare)
    elif source == "machine.json, not --computer" and len(targets) == 1:
        yield full._replace(targets=bare, computer=f"{targets[0].name.lower()}.test.com")
    elif source == "NetBIOS name":
        copies = tuple(_copied(one, folder, "netbios_domain") for one in targets)
        yield full._replace(targets=copies, ad=_ldif(folder, "crossRef"))
    elif source == "web.config":
        yield full._replace(targets=tuple(_copied(one, folder, "content") for one in targets))
    elif source == "one server" and len(targets) > 1:
        yield from (full._replace(targets=tuple(t for t in targets if t != one)) for one in targets)


GIVEN = tuple(Given(tuple(SAMPLES / name for name in names)) for names in (["IIS01"], ["IIS05"], ["IIS06", "IIS07"]))


@cache
def _given_all(given: Given) -> Told:
    return given.told()


def _pairs_of_files(source: str) -> Iterator[Pair]:
    for whole in GIVEN:
        full = _given_all(whole)
        with tempfile.TemporaryDirectory() as folder:
            for less in _files_left_out(source, whole, Path(folder)):
                yield Pair(source, full, less.told(full.stories))


def exit_codes_claim_nothing(pair: Pair) -> Iterator[str]:
    """1 needs an error, 2 says that something could not be read, and a plan of which nothing is known is not done."""
    exits, report = pair.less.exits, pair.less.report
    for command, code in exits.items():
        if pair.full.exits[command] == 0 and code not in {0, 2}:
            yield f"{command}: {pair.full.exits[command]}, now {code}"
    if exits and exits["inspect"] == 1 and not _errors(report):
        yield "inspect: 1 without an error"
    if exits and (exits["inspect"] == 2) is report["complete"]:
        yield f"inspect: {exits['inspect']}, complete: {report['complete']}"
    mattering = {r["outcome"] for r in report["requirements"] if r["need"] != "optional"}
    if exits and mattering and mattering <= OPEN and exits["plan"] != 2:
        yield f"plan: {exits['plan']}, though nothing is known"


Invariant = Callable[[Pair], Iterator[str]]
INVARIANTS: Mapping[str, Invariant] = {
    one.__name__: one
    for one in (
        nothing_that_works_is_broken,
        no_outcome_is_another,
        no_error_names_what_works,
        no_error_is_new,
        no_step_is_new,
        no_step_rests_on_a_guess,
        nothing_needed_is_elsewhere,
        what_is_open_is_counted,
        what_was_asked_is_said,
        a_verdict_carries_its_if,
        explain_loses_answers_only,
        exit_codes_claim_nothing,
    )
}


# -- the matrix ----------------------------------------------------------------------------------------------------


def _full(run: Run) -> Told:
    return run.told(_urls(run.told().report))


_known = cache(_full)


@cache
def _violations(source: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in INVARIANTS}
    for run in _runs_for(source):
        for name, texts in _of(source, run, _known(run)).items():
            found[name] += texts
    for pair in _pairs_of_files(source):
        for name, texts in broken(pair).items():
            found[name] += [f"{pair.less.name}: {text}" for text in texts]
    return found


def _of(source: str, run: Run, full: Told) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in INVARIANTS}
    for less in LEFT_OUT[source](run):
        pair = Pair(source, full, less.told(full.stories))
        for name, texts in broken(pair).items():
            found[name] += [f"{less.name}: {text}" for text in texts]
    return found


def broken(pair: Pair) -> dict[str, list[str]]:
    """What of `INVARIANTS` does not hold, and how."""
    found = {}
    for name, invariant in INVARIANTS.items():
        try:
            found[name] = list(invariant(pair))
        except KeyError as missing:
            found[name] = [f"the report has no {missing}"]
    return found


@pytest.mark.parametrize("name", INVARIANTS)
@pytest.mark.parametrize("source", LEFT_OUT)
def test_less_knowledge(source: str, name: str) -> None:
    assert _violations(source)[name] == []


@pytest.mark.parametrize("source", LEFT_OUT)
def test_every_source_is_somebody_s(source: str) -> None:
    """A row that leaves out nothing would prove nothing."""
    assert sum(1 for run in _runs() for _ in LEFT_OUT[source](run)) >= 8


# -- random farms --------------------------------------------------------------------------------------------------


@settings(max_examples=40, phases=[Phase.generate], derandomize=True)
@given(farms().map(lambda one: Run("random", one.snapshots, one.sources)))
def test_less_knowledge_of_random_farms(run: Run) -> None:
    full = _full(run)
    for source in LEFT_OUT:
        for name, texts in _of(source, run, full).items():
            assert texts == [], (source, name)
