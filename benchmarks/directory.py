"""Asking a directory: live LDAP beside `ldapsearch`, and reading a big LDIF beside a bare loop over its lines.

python -m benchmarks.directory [--accounts 20000] [--spns 2000] [--entries 100000] [--rounds 3] [--only ldap|ldif]

The first half needs what the live tests need (tests/live/samba.py), the right to listen on port 389, and `ldapsearch`.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

from agent.names import spn
from agent.sources.ad.exports import read_exports
from agent.spn.directory import Directory, Question
from benchmarks.measure import interleaved, memory_of, peak_memory, table
from benchmarks.relay import farther
from tests.live.samba import DomainController, computer, obstacle, program, samba_python, user

FILL = Path(__file__).with_name("fill.py")
DOMAIN = "test.com"
MILLISECONDS = 10
"""How far away the server is put for a second look."""


def question(names: int, accounts: int) -> Question:
    """Required SPNs, half of them short, as sites with one name each give them; with the accounts that decrypt."""
    step = max(1, accounts // names)  # half the accounts are users, and each host gives two names
    numbers = [number * step for number in range(names // 2)]
    hosts = [host for n in numbers for host in (f"app{n:05}", f"app{n:05}.{DOMAIN}")]
    return Question(
        spns=frozenset(spn(f"{service}/{host}") for host in hosts for service in ("HTTP", "HOST")),
        account_names=frozenset(f"svc{n:05}" for n in numbers),
    )


# -- live ----------------------------------------------------------------------------------------------------------


class Lab:
    """A filled, running domain, what is asked of it, and the ways to ask."""

    def __init__(self, dc: DomainController, asked: Question) -> None:
        self.dc = dc
        self.asked = asked
        self.required = sorted((name for name in asked.spns if name.service == "http"), key=lambda name: name.key)
        self.requests = 0

    def ask(self, port: int = 389) -> Directory:
        """As the program does."""
        from agent.sources.ad.ldap import LdapSource

        source = LdapSource(target=f"ldap://{self.dc.host}:{port}", address=self.dc.address, seconds=600)
        found = source.ask(self.asked)
        self.requests = source.round_trips
        return found

    def filters(self) -> list[str]:
        """The filters that `ask` sends below the domain, as text."""
        from sansldap import FilterEquality, FilterOr

        from agent.sources.ad import connection

        sent: list[str] = []
        written = connection.search_request

        def noted(number: int, search: connection.Search, **more: object) -> bytes:
            if search.scope == connection.SUBTREE:
                sent.append(str(FilterOr([FilterEquality(*one) for one in search.wanted or ()])))
            return written(number, search, **more)  # type: ignore[arg-type]

        with patch.object(connection, "search_request", noted):
            self.ask()
        return sent

    def search(self, filters: Sequence[str], port: int = 389) -> int:
        """One `ldapsearch` with a Kerberos ticket, sealed, for all filters over one connection: how many entries."""
        from agent.sources.ad.conversation import WANTED

        lines, answer = self.dc.directory / "filters.txt", self.dc.directory / "answer.ldif"
        lines.write_text("".join(f"{filter_[1:-1]}\n" for filter_ in filters))
        logon = ["-Q", "-Y", "GSSAPI", "-H", f"ldap://{self.dc.address}:{port}"]
        shape = ["-LLL", "-o", "ldif-wrap=no", "-b", self.dc.base_dn, "-s", "sub", "-f", str(lines)]
        command = [str(program("ldapsearch")), *logon, *shape, "(%s)", *WANTED]
        with answer.open("wb") as output:
            subprocess.run(command, check=True, stdout=output)
        return len({line for line in answer.read_bytes().splitlines() if line.startswith(b"dn:")})


def fill(dc: DomainController, count: int) -> None:
    """New accounts, in a domain that does not run."""
    dc.apply(user("template"), computer("TEMPLATE"))
    dc.close()
    templates = [f"CN=template,CN=Users,{dc.base_dn}", f"CN=TEMPLATE object,CN=Computers,{dc.base_dn}"]
    command = [str(samba_python()), "-I", str(FILL), str(dc.directory), *templates, str(count)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **dc.environment})


def _live(accounts: int, names: int, rounds: int) -> None:
    if reason := obstacle():
        print(f"live LDAP is not measured: {reason}\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        dc = DomainController(Path(folder) / "dc")
        try:
            dc.create()
            begun = time.perf_counter()
            fill(dc, accounts)
            filling = time.perf_counter() - begun
            dc.start()
            rows = [["create", dc.seconds["create"]], [f"fill, {accounts} accounts", filling]]
            table(["the domain controller", "seconds"], [*rows, ["start", dc.seconds["start"]]])
            os.environ.update(dc.environment, KRB5CCNAME=f"FILE:{dc.kinit('Administrator')}")
            _compare(Lab(dc, question(names, accounts)), rounds)
        finally:
            dc.close()


def _compare(lab: Lab, rounds: int) -> None:
    same = lab.filters()
    singles = [f"(servicePrincipalName={name})" for name in lab.required]
    answers: list[Directory] = []
    counts: dict[str, int] = {}
    cpu: list[float] = []

    def ask(port: int = 389) -> None:
        begun = time.process_time()
        answers[:] = [lab.ask(port)]
        cpu.append(time.process_time() - begun)

    def search(name: str, filters: Sequence[str], port: int = 389) -> None:
        counts[name] = lab.search(filters, port)

    with farther(lab.dc.address, 389, MILLISECONDS) as port:
        subjects = {
            "ask": ask,
            "same": partial(search, "same", same),
            "single": partial(search, "single", singles),
            "ask, far": partial(ask, port),
            "same, far": partial(search, "same, far", same, port),
        }
        timings = interleaved(subjects, rounds, time.perf_counter)
    (found,) = answers
    held = sum(bool(found.seen(name)) for name in lab.required)
    print(f"{len(lab.required)} required SPNs, {held} held; {len(found.accounts)} accounts kept, ", end="")
    print(f"{len(found.problems)} problems; entries by ldapsearch: {counts['same']}, one by one {counts['single']}\n")
    rows: list[list[object]] = []
    for label, name, baseline, count in (
        ("ldapsearch, the same filters", "same", "same", len(same)),
        ("LdapSource.ask", "ask", "same", lab.requests),
        ("ldapsearch, one filter per SPN", "single", "same", len(singles)),
        (f"ldapsearch, {MILLISECONDS} ms a round trip", "same, far", "same, far", len(same)),
        (f"LdapSource.ask, {MILLISECONDS} ms a round trip", "ask, far", "same, far", lab.requests),
    ):
        rows.append([label, timings.median(name), timings.ratio(name, baseline), count])
    table(["live LDAP, sealed", "seconds", "x ldapsearch there", "requests"], rows)
    print(f"of LdapSource.ask, CPU in this process: {median(cpu):.2f} seconds\n")


# -- LDIF ----------------------------------------------------------------------------------------------------------


_DOMAIN = "dn: DC=test,DC=com\nchangetype: add\nobjectClass: top\nobjectClass: domainDNS\ndc: test\n\n"
_HEAD = """\
dn: CN={name},{container}
changetype: add
objectClass: top
objectClass: person
objectClass: organizationalPerson
objectClass: user
"""
_BODY = """\
cn: {name}
distinguishedName: CN={name},{container}
instanceType: 4
whenCreated: 20240311081502.0Z
whenChanged: 20260812064417.0Z
uSNCreated: 1{n:06}
uSNChanged: 2{n:06}
name: {name}
objectGUID:: {guid}
badPwdCount: 0
codePage: 0
countryCode: 0
badPasswordTime: 0
lastLogoff: 0
lastLogon: 1337{n:014}
pwdLastSet: 1336{n:014}
objectSid:: {sid}
accountExpires: 9223372036854775807
logonCount: 12
lastLogonTimestamp: 1337{n:014}
"""
_USER = """\
userAccountControl: 66048
primaryGroupID: 513
sAMAccountName: svc{n:05}
sAMAccountType: 805306368
userPrincipalName: svc{n:05}@test.com
servicePrincipalName: HTTP/app{n:05}.test.com
servicePrincipalName: HTTP/app{n:05}
objectCategory: CN=Person,CN=Schema,CN=Configuration,DC=test,DC=com
dSCorePropagationData: 16010101000000.0Z

"""
_COMPUTER = """\
objectClass: computer
userAccountControl: 4096
primaryGroupID: 515
sAMAccountName: SRV{n:05}$
sAMAccountType: 805306369
operatingSystem: Windows Server 2022 Standard
operatingSystemVersion: 10.0 (20348)
dNSHostName: SRV{n:05}.test.com
servicePrincipalName: TERMSRV/SRV{n:05}
servicePrincipalName: TERMSRV/SRV{n:05}.test.com
servicePrincipalName: WSMAN/SRV{n:05}
servicePrincipalName: WSMAN/SRV{n:05}.test.com
servicePrincipalName: RestrictedKrbHost/SRV{n:05}
servicePrincipalName: RestrictedKrbHost/SRV{n:05}.test.com
servicePrincipalName: HOST/SRV{n:05}
servicePrincipalName: HOST/SRV{n:05}.test.com
objectCategory: CN=Computer,CN=Schema,CN=Configuration,DC=test,DC=com
isCriticalSystemObject: FALSE
dSCorePropagationData: 16010101000000.0Z

"""


def entries(count: int) -> Iterator[str]:
    """An export as `ldifde -f` writes it, without folds: the domain, then users and computers in turn."""
    yield _DOMAIN
    for number in range(count):
        n, odd = divmod(number, 2)
        name, container = (f"SRV{n:05}", "OU=Servers") if odd else (f"svc{n:05}", "OU=Services")
        sid = bytes.fromhex("010500000000000515000000010000000200000003000000") + number.to_bytes(4, "little")
        yield (_HEAD + _BODY + (_COMPUTER if odd else _USER)).format(
            n=n,
            name=name,
            container=f"{container},DC=test,DC=com",
            guid=base64.b64encode(number.to_bytes(16, "little")).decode(),
            sid=base64.b64encode(sid).decode(),
        )


def export(folder: Path, count: int, end: str) -> Path:
    """An LDIF file with this line end."""
    path = folder / f"{count}-{len(end)}.ldf"
    with path.open("w", encoding="ascii", newline=end) as stream:
        stream.writelines(entries(count))
    return path


def read(path: Path, asked: Question) -> Directory:
    """As `--ad FILE` does."""
    return read_exports([path], asked)


def lines(path: Path) -> None:
    """The baseline: every line, cut at its first colon."""
    with path.open("rb") as stream:
        for line in stream:
            line.partition(b":")


def _ldif(count: int, names: int, rounds: int) -> None:
    asked = question(names, count)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for label, size, end in (("LF", count, "\n"), ("CRLF", count, "\r\n"), ("LF", 2 * count, "\n")):
            path = export(Path(folder), size, end)
            subjects = {"read": partial(read, path, asked), "lines": partial(lines, path)}
            timings = interleaved(subjects, rounds)
            kept = len(read(path, asked).accounts)
            memory = memory_of("benchmarks.directory", str(path), "--spns", str(names), "--accounts", str(count))
            seconds = [timings.median("lines"), timings.median("read"), timings.ratio("read", "lines")]
            rows.append([f"{size} entries, {label}", round(path.stat().st_size / 1e6), *seconds, memory, kept])
            path.unlink()
    head = ["LDIF", "MB", "lines, s", "read, s", "x lines", "peak MB", "accounts kept"]
    table(head, rows)


def _memory(path: Path, names: int, accounts: int) -> None:
    asked = question(names, accounts)
    before = peak_memory()
    kept = read(path, asked)
    print(peak_memory() - before)
    del kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--spns", type=int, default=2_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("ldap", "ldif"))
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        _memory(options.memory, options.spns, options.accounts)
        return
    if options.only != "ldap":
        _ldif(options.entries, options.spns, options.rounds)
    if options.only != "ldif":
        _live(options.accounts, options.spns, options.rounds)


if __name__ == "__main__":
    main()
