"""What is given on a command line, of any size: snapshots, options, files of options, evidence, a plan to carry out.

`FILES` has them by the words that give them; each is measured through the command itself where that asks nobody.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from agent import exits
from agent.change.apply import apply, roll_back
from agent.change.journal import Files
from agent.change.writer import RefusedError
from agent.cli.program import main
from agent.model import Step
from agent.model.document import json_pieces
from agent.names import AccountName, fold, spn
from agent.render import asked as told
from agent.sources.endpoint import Defaults
from agent.sources.inventory.servers import combined, read_inventory, words
from agent.sources.shares import Shares
from agent.sources.snapshots import store, sweep_file
from agent.sources.snapshots.document import document_of
from agent.sources.snapshots.sweep_file import Failed, Sweep
from agent.sweep import remote
from agent.watch.files import Drop
from agent.watch.run import Agent, Places, Seen
from agent.watch.told import Log, Teller
from benchmarks import axes, documents
from tests.fuzz.evidence import SEEDS
from tests.wants import gmsa, node, want
from tests.worlds import ad, app, server, site, user

Work = Callable[[], object]

_FOLDER = tempfile.TemporaryDirectory()
_NUMBERS = count()


def folder() -> Path:
    """A new one, which is there until the program ends."""
    path = Path(_FOLDER.name, str(next(_NUMBERS)))
    path.mkdir()
    return path


def file(name: str, *parts: str | bytes) -> str:
    path = folder() / name
    path.write_bytes(b"".join(part.encode() if isinstance(part, str) else part for part in parts))
    return str(path)


def ran(*words: str) -> Work:
    """A command, whose output goes to a file."""
    output = folder() / "output"

    def run() -> None:
        code = main([*words, "--output", str(output)])
        assert code in {exits.CLEAN, exits.FINDINGS, exits.INCOMPLETE}, (code, words)

    return run


def server_file(*hosts: str) -> str:
    """A snapshot of one server with a site of each name."""
    return snapshot_file(folder(), "IIS01", *hosts)


def snapshot_file(place: Path, name: str, *hosts: str) -> str:
    sites = [site(f"*:80:{host}", name=f"Site{at}") for at, host in enumerate(hosts)]
    one = server(*sites, name=name, pool=axes.SERVICE, creds=True)
    return str(store.write(place, name, document_of(one)))


def hosts(n: int) -> list[str]:
    return [f"s{i}.test.com" for i in range(n)]


# -- TARGET --------------------------------------------------------------------------------------------------------


def snapshots(n: int) -> Work:
    """A folder of them."""
    place = folder()
    for i in range(n):
        snapshot_file(place, f"WEB{i}", f"s{i}.test.com")
    return ran("inspect", str(place), "--ad", "off")


def targets(n: int) -> Work:
    place = folder()
    return ran("inspect", *(snapshot_file(place, f"WEB{i}") for i in range(n)), "--ad", "off")


def content(n: int) -> Work:
    """The files of one snapshot."""
    text = "<configuration />"
    one = server(site(), mode="Allow", web={rf"\d{i}": text for i in range(n)})
    return ran("inspect", str(store.write(folder(), "IIS01", document_of(one))), "--ad", "off")


def failures(n: int) -> Work:
    """Servers that the record of a sweep knows, and that have no snapshot."""
    place = folder()
    snapshot_file(place, "IIS01")
    sweep_file.add_run(place, swept(n))
    return ran("inspect", str(place), "--ad", "off")


def swept(n: int) -> Sweep:
    failed = tuple(Failed(f"web{i}", "connection", "refused", "Ask.") for i in range(n))
    moment = "2026-11-22T00:00:00Z"
    return Sweep(started=moment, finished=moment, asked=tuple(one.host for one in failed), failed=failed)


def reports(n: int) -> Work:
    """OLD and NEW as JSON, with as many changes."""
    every = [axes.missing(n)().report, axes.held(n)().report]
    return ran("diff", *(file("report.json", *json_pieces(report)) for report in every))


# -- options -------------------------------------------------------------------------------------------------------


def inspected(
    option: str, text: Callable[[int], str], known: Callable[[int], Iterable[str]] = hosts
) -> Callable[[int], Work]:
    """`inspect` of one server that answers to these names, with a file for an option."""
    return lambda n: ran("inspect", server_file(*known(n)), "--ad", "off", option, file("given.txt", text(n)))


def one(_: int) -> Iterable[str]:
    return ["contoso.test.com"]


def lines(line: str) -> Callable[[int], str]:
    return lambda n: "".join(f"{line.format(i)}\n" for i in range(n))


def directories(n: int) -> Work:
    """An LDIF for each account."""
    exports = [file("a.ldif", f"dn: CN=u{i},DC=test,DC=com\nsAMAccountName: u{i}\n\n") for i in range(n)]
    return ran("inspect", server_file(), *(word for path in exports for word in ("--ad", path)))


def setspn(text: Callable[[int], str]) -> Callable[[int], Work]:
    return lambda n: ran("inspect", server_file(*hosts(n)), "--ad", file("setspn.txt", text(n)))


def listed(n: int) -> str:
    held = "".join(f"\tHTTP/s{i}.test.com\n" for i in range(n))
    return f"Registered ServicePrincipalNames for CN=svc,DC=test,DC=com:\n{held}"


HELD = "CN=svc{0},DC=test,DC=com\n\tHTTP/s{0}.test.com\n\nExisting SPN found!\n"
SHARED = "HTTP/s{0}.test.com is registered on these accounts:\n\tCN=a{0},DC=test,DC=com\n\tCN=b{0},DC=test,DC=com\n"


def accept_written(n: int) -> Work:
    accept = folder() / "accept.toml"
    return ran(
        "inspect",
        server_file(*hosts(n)),
        "--ad",
        file("a.ldif", ad(node("IIS01"), user("contososvc"))),
        "--write-accept",
        str(accept),
    )


def configured(n: int) -> Work:
    """`--config`, which lists as many files."""
    names = [file("names.txt", f"n{i}.test.com\n") for i in range(n)]
    return ran(
        "inspect", server_file(), "--ad", "off", "--config", file("iis-spn.toml", f"names = {json.dumps(names)}")
    )


ACCEPT = '[[accept]]\nid = "spn-missing"\nsubject = "HTTP/s{}.test.com"\nreason = "known"\n'
FARM = '[[name]]\nhost = "f{}.test.com"\nservers = ["IIS01"]\nsite = "Site0"\n'


def wanted(n: int) -> Work:
    """`plan --want`, of as many names."""
    text = "".join(want(host, "IIS01", account=r"TEST\gmsaWeb$") for host in hosts(n))
    given = file("a.ldif", ad(node("IIS01", *axes.spns(n)), gmsa(read_by=[1101])))
    sites = [site(f"*:80:{host}", name=f"Site{at}", apps=[app(pool=f"Pool{at}")]) for at, host in enumerate(hosts(n))]
    one = server(*sites, pools={f"Pool{at}": "NetworkService" for at in range(n)})
    target = str(store.write(folder(), "IIS01", document_of(one)))
    return ran("plan", target, "--ad", given, "--want", file("want.toml", text))


# -- servers to ask ------------------------------------------------------------------------------------------------


def inventory(name: str, text: Callable[[int], str]) -> Callable[[int], Work]:
    def make(n: int) -> Work:
        path = file(name, text(n))
        return lambda: combined([read_inventory(path, Defaults())])

    return make


def grouped(n: int) -> str:
    """Groups of one host each, below one, and as many below each other with a host at the end."""
    groups = "".join(f"[g{i}]\nweb{i}\n[c{i}:children]\nc{i + 1}\n" for i in range(n))
    return f"{groups}[c{n}]\nlast\n[web:children]\n" + "".join(f"g{i}\n" for i in range(n))


def varied(n: int) -> str:
    return "[web]\n" + "".join(f"web{i} ansible_host=10.0.{i // 250}.{i % 250}\n" for i in range(n))


def in_yaml(n: int) -> str:
    return "all:\n  hosts:\n" + "".join(f"    web{i}:\n      ansible_port: 5986\n" for i in range(n))


def in_json(n: int) -> str:
    names = [f"web{i}" for i in range(n)]
    values = {name: {"ansible_host": f"{name}.test.com"} for name in names}
    return json.dumps({"web": {"hosts": names}, "_meta": {"hostvars": values}})


def named(n: int) -> Work:
    return lambda: words([f"web{i}" for i in range(n)], Defaults())


def ranged(n: int) -> Work:
    return lambda: words([f"web[1:{n}]"], Defaults())


def collected(n: int) -> Work:
    """What `collect` prints."""
    run = documents.asked(n)
    return lambda: told.to_text(run.asked, remote.troubles(run.outcomes), 100, color=False)


def recorded(n: int) -> Work:
    """A run that is added to the record of one before."""
    place = folder()
    sweep_file.add_run(place, swept(n))
    return lambda: sweep_file.add_run(place, swept(n))


def forgotten(n: int) -> Work:
    place = folder()
    sweep_file.add_run(place, swept(n))
    return lambda: sweep_file.forget(place, [f"web{i}" for i in range(n)])


# -- evidence ------------------------------------------------------------------------------------------------------


def evidence(kind: str, *options: str) -> Callable[[int], Work]:
    """As many copies of what a fuzzer begins with: something of each kind."""
    return lambda n: ran("diagnose", file("captured.txt", *(SEEDS[kind][:1] * n)), *options)


def logged(n: int) -> Work:
    """Names in an IIS log, each once."""
    head = "#Fields: date time cs-host sc-status sc-substatus sc-win32-status time-taken\n"
    rows = (f"2026-08-12 10:00:00 h{i}.test.com 401 1 2148074310 15\n" for i in range(n))
    return ran("diagnose", "--names", file("u_ex.log", head, *rows))


def refused(n: int) -> Work:
    """One account that cannot decrypt tickets for as many names which it should."""
    text = "".join(documents.EVENT.format("contososvc", name) for name in axes.spns(n))
    given = ad(node("IIS01"), user("contososvc", *axes.spns(n)))
    return ran("diagnose", file("events.txt", text), server_file(*hosts(n)), "--ad", file("a.ldif", given))


# -- a plan that is carried out ------------------------------------------------------------------------------------


class Controller:
    """A domain in memory: an account for each SPN. With `refuses` it takes nothing back."""

    server = "dc1.test.com"

    def __init__(self, accounts: Iterable[str]) -> None:
        self.held: dict[str, set[str]] = {dn: set() for dn in accounts}
        self.owners: dict[str, str] = {}
        self.refuses = False

    def values(self, dn: str) -> tuple[str, ...]:
        return tuple(self.held[dn])

    def holders(self, text: str) -> tuple[str, ...]:
        return (self.owners[fold(text)],) if fold(text) in self.owners else ()

    def add_value(self, dn: str, text: str) -> None:
        self.held[dn].add(text)
        self.owners[fold(text)] = dn

    def delete_value(self, dn: str, text: str) -> None:
        if self.refuses:
            raise RefusedError("no")
        self.held[dn].discard(text)
        del self.owners[fold(text)]


def _steps(n: int) -> Sequence[Step]:
    return [
        Step(
            order=i + 1,
            kind="spn-add",
            spn=spn(f"HTTP/s{i}.test.com"),
            account=AccountName("TEST", f"svc{i}"),
            command="setspn",
            rollback="setspn",
            finding="spn-missing",
            dn=f"CN=svc{i},DC=test,DC=com",
        )
        for i in range(n)
    ]


def _agreed(_text: str) -> bool:
    return True


def applied(n: int) -> Work:
    steps = _steps(n)
    files, controller = Files.of(folder() / "rollback.json"), Controller(step.dn or "" for step in steps)
    return lambda: apply(steps, None, controller, files, frozenset(), _agreed)


def taken_back(n: int, *, refuses: bool = False) -> Work:
    steps = _steps(n)
    files, controller = Files.of(folder() / "rollback.json"), Controller(step.dn or "" for step in steps)
    apply(steps, None, controller, files, frozenset(), _agreed)
    controller.refuses = refuses
    return lambda: roll_back(files.rollback, controller, _agreed)


# -- the agent -----------------------------------------------------------------------------------------------------


class Changing:
    """A server on which everything is otherwise each time."""

    def __init__(self, n: int) -> None:
        one = server(*axes.named(n), pool=axes.SERVICE, creds=True)
        self._seen = [Seen(one, make(n)().report) for make in (axes.missing, axes.held)]

    def inspect(self) -> Seen:
        self._seen.reverse()
        return self._seen[0]

    def stamps(self) -> Mapping[str, object]:
        return {}

    def wait(self, seconds: float) -> None:
        """Nobody waits."""


def watched(n: int) -> Work:
    """The second look: what changed is told, and everything is written."""
    state = folder()
    places = Places(state=state, drop=Drop(state / "drop", Shares()), textfile=state / "iis.prom")
    agent = Agent(Changing(n), places, Teller(Log(state / "log"), lambda _line: None))  # type: ignore[arg-type]
    agent.once()
    return agent.once


# -- all of them ---------------------------------------------------------------------------------------------------

FILES: Mapping[str, tuple[int, Callable[[int], Work]]] = {
    "inspect TARGET: snapshots of a folder": (50, snapshots),
    "inspect TARGET: words": (50, targets),
    "inspect TARGET: files of a snapshot": (500, content),
    "inspect TARGET: servers that a sweep did not reach": (200, failures),
    "inspect --inventory: servers without a snapshot": (200, inspected("--inventory", lines("web{}"), one)),
    "inspect --ad: files": (50, directories),
    "inspect --ad: setspn -L": (200, setspn(listed)),
    "inspect --ad: setspn -Q": (200, setspn(lines(HELD))),
    "inspect --ad: setspn -X": (200, setspn(lines(SHARED))),
    "inspect --ad: lines that are not understood": (1000, setspn(lines("?{}"))),
    "inspect --dns: records": (1000, inspected("--dns", lines("s{}.test.com. A 10.0.5.2"))),
    "inspect --dns: lines that are not understood": (1000, inspected("--dns", lines("s{} ? ?"))),
    "inspect --farm: names": (200, inspected("--farm", lines(FARM), one)),
    "inspect --names: names": (1000, inspected("--names", lines("n{}.test.com"), one)),
    "inspect --accept: findings": (200, inspected("--accept", lines(ACCEPT))),
    "inspect --write-accept: findings": (200, accept_written),
    "inspect --config: files": (100, configured),
    "plan --want: names": (20, wanted),
    "plan --apply: steps": (50, applied),
    "plan --rollback: steps": (50, taken_back),
    "plan --rollback: steps that are refused": (50, lambda n: taken_back(n, refuses=True)),
    "diff OLD NEW: changes": (100, reports),
    "sweep HOST: words": (1000, named),
    "sweep HOST: a range": (1000, ranged),
    "sweep --inventory: lines": (1000, inventory("farm.txt", lines("web{}"))),
    "sweep --inventory: variables in INI": (200, inventory("farm.ini", varied)),
    "sweep --inventory: groups in INI": (100, inventory("farm.ini", grouped)),
    "sweep --inventory: hosts in YAML": (200, inventory("farm.yml", in_yaml)),
    "sweep --inventory: hosts in JSON": (200, inventory("farm.json", in_json)),
    "collect: servers that failed": (500, collected),
    "collect --to: servers of an earlier run": (500, recorded),
    "collect --forget: servers": (200, forgotten),
    **{f"diagnose FILE: {kind}": (20, evidence(kind)) for kind in SEEDS},
    "diagnose --names: names in a log": (500, logged),
    "diagnose FILE TARGET: events of one account": (100, refused),
    "agent: changes": (50, watched),
}
