"""Reading one big applicationHost.config: the whole `parse -> effective -> require` beside what XML alone costs.

python -m benchmarks.parse [--sites 10000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lxml import etree

from agent.iis.effective import effective
from agent.iis.parse import parse
from agent.iis.snapshot import Machine, Snapshot
from agent.inspection.stages import patient_collector
from agent.spn.clients import DEFAULT_CLIENTS
from agent.spn.computer_names import names_of
from agent.spn.domains import domains_of
from agent.spn.require import Required, require, server_view
from benchmarks.measure import ROUNDS, Timings, interleaved, memory_of, peak_memory, table

ACCOUNTS = 500
MACHINE = Machine(name="IIS01", dns_name="IIS01.test.com", domain="test.com", netbios_domain="TEST")
DOMAINS = domains_of(None, [MACHINE])


# -- files ---------------------------------------------------------------------------------------------------------

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<configuration>
    <configSections>
        <sectionGroup name="system.applicationHost">
            <section name="applicationPools" overrideModeDefault="Deny" />
            <section name="sites" overrideModeDefault="Deny" />
        </sectionGroup>
        <sectionGroup name="system.webServer">
            <sectionGroup name="security">
                <sectionGroup name="authentication">
                    <section name="anonymousAuthentication" overrideModeDefault="Deny" />
                    <section name="windowsAuthentication" overrideModeDefault="Deny" />
                </sectionGroup>
            </sectionGroup>
        </sectionGroup>
    </configSections>
    <system.webServer>
        <security>
            <authentication>
                <anonymousAuthentication enabled="true" userName="IUSR" />
                <windowsAuthentication enabled="{enabled}">
                    <providers>
                        <add value="Negotiate" />
                        <add value="NTLM" />
                    </providers>
                </windowsAuthentication>
            </authentication>
        </security>
    </system.webServer>
    <system.applicationHost>
        <applicationPools>
"""
_POOL = """\
            <add name="Pool{n}" autoStart="true" managedRuntimeVersion="v4.0">
                <processModel identityType="SpecificUser" userName="TEST\\svc-{account}" password="[enc:x:enc]" />
            </add>
"""
_BINDING = '                    <binding protocol="http{s}" bindingInformation="*:{port}:www{n}.test.com" />\n'
_APPLICATION = """\
                <application path="{path}" applicationPool="Pool{pool}">
                    <virtualDirectory path="/" physicalPath="C:\\inetpub\\site{n}" />
                </application>
"""
_LOCATION = """\
    <location path="Site{n}{below}">
        <system.webServer>
            <security>
                <authentication>
                    <anonymousAuthentication enabled="false" />
                    <windowsAuthentication enabled="true" useKernelMode="true" useAppPoolCredentials="true" />
                </authentication>
            </security>
        </system.webServer>
    </location>
"""


def _site(number: int, applications: str, bindings: str) -> str:
    return (
        f'            <site name="Site{number}" id="{number + 1}" serverAutoStart="true">\n{applications}'
        f"                <bindings>\n{bindings}                </bindings>\n            </site>\n"
    )


def _file(pools: Iterator[str], sites: Iterator[str], locations: Iterator[str], *, enabled: bool = False) -> str:
    head = _HEAD.format(enabled=str(enabled).lower())
    middle = "        </applicationPools>\n        <sites>\n"
    tail = "        </sites>\n    </system.applicationHost>\n"
    return "".join((head, *pools, middle, *sites, tail, *locations, "</configuration>\n"))


def _pools(numbers: Iterable[int]) -> Iterator[str]:
    return (_POOL.format(n=n, account=n % ACCOUNTS) for n in numbers)


def _bindings(number: int) -> str:
    return _BINDING.format(s="", port=80, n=number) + _BINDING.format(s="s", port=443, n=number)


def _application(number: int, path: str = "/", pool: int = 0) -> str:
    return _APPLICATION.format(path=path, pool=pool, n=number)


def sites(numbers: Sequence[int]) -> str:
    """Sites with a pool, a location and two bindings each; site n answers for wwwN and runs as svc-(N modulo 500)."""
    made = (_site(n, _application(n, pool=n), _bindings(n)) for n in numbers)
    return _file(_pools(numbers), made, (_LOCATION.format(n=n, below="") for n in numbers))


def bindings_of_one_site(count: int) -> str:
    """One site, many bindings of different names."""
    many = "".join(_BINDING.format(s="", port=80, n=n) for n in range(count))
    return _file(_pools([0]), iter([_site(0, _application(0), many)]), iter(()), enabled=True)


def locations_of_one_site(count: int) -> str:
    """One site, many locations below it."""
    one = iter([_site(0, _application(0), _bindings(0))])
    return _file(_pools([0]), one, (_LOCATION.format(n=0, below=f"/folder{n % 100}/file{n}") for n in range(count)))


def pools(count: int) -> str:
    """One site, many pools."""
    return _file(_pools(range(count)), iter([_site(0, _application(0), _bindings(0))]), iter(()), enabled=True)


def applications_of_one_site(count: int) -> str:
    """One site, many applications."""
    many = "".join(_application(0, path=f"/app{n}" if n else "/") for n in range(count))
    return _file(_pools([0]), iter([_site(0, many, _bindings(0))]), iter(()), enabled=True)


ALONE: Mapping[str, Callable[[int], str]] = {
    "bindings in one site": bindings_of_one_site,
    "locations below one site": locations_of_one_site,
    "pools": pools,
    "applications in one site": applications_of_one_site,
}


# -- subjects ------------------------------------------------------------------------------------------------------


@patient_collector()
def whole(path: Path) -> Required:
    """From the file to all its requirements, with the collector of cyclic garbage as `agent.inspection` sets it."""
    document = parse(path.read_bytes(), path.name)
    configuration = effective(document, Snapshot(source=path.name, machine=MACHINE, files={}))
    view = server_view("IIS01", MACHINE, configuration, names_of(MACHINE, (), None), DOMAINS)
    return require([view], DEFAULT_CLIENTS, DOMAINS, None)


def tree(path: Path) -> etree._ElementTree:
    """The baseline: lxml alone, as it comes."""
    return etree.parse(str(path))


def one_pass(root: etree._Element) -> int:
    """The other baseline: visit each element of a parsed tree once, read its tag, its attributes and its line."""
    seen = 0
    for element in root.iter():
        if element.tag and element.sourceline:
            for name, value in element.attrib.items():
                seen += name is not value
    return seen


def stages(path: Path) -> Mapping[str, Callable[[], object]]:
    """Each stage on the finished result of the one before it."""
    data = path.read_bytes()
    document = parse(data, path.name)
    snapshot = Snapshot(source=path.name, machine=MACHINE, files={})
    configuration = effective(document, snapshot)
    names = names_of(MACHINE, (), None)
    view = server_view("IIS01", MACHINE, configuration, names, DOMAINS)
    made: Mapping[str, Callable[[], object]] = {
        "parse": lambda: parse(data, path.name),
        "effective": lambda: effective(document, snapshot),
        "names (reach)": lambda: server_view("IIS01", MACHINE, configuration, names, DOMAINS),
        "require": lambda: require([view], DEFAULT_CLIENTS, DOMAINS, None),
    }
    return {name: patient_collector()(stage) for name, stage in made.items()}


# -- reports -------------------------------------------------------------------------------------------------------


def _against_lxml(path: Path, rounds: int) -> Timings:
    root = tree(path).getroot()
    subjects = {"bare tree": lambda: tree(path), "one pass": lambda: one_pass(root), "whole": lambda: whole(path)}
    return interleaved(subjects, rounds)


def _speed(name: str, small: Path, double: Path, rounds: int) -> list[object]:
    timings = interleaved({"once": lambda: whole(small), "twice": lambda: whole(double)}, rounds)
    return [name, timings.median("once"), timings.median("twice"), timings.ratio("twice", "once")]


def _report(count: int, rounds: int, folder: Path) -> None:
    small, double = (_written(folder, "sites", sites(range(n))) for n in (count, 2 * count))
    memory = {name: memory_of("benchmarks.parse", name, str(small)) for name in ("tree", "whole")}
    print(f"{count} sites, {small.stat().st_size / 1e6:.1f} MB\n")
    timings = _against_lxml(small, rounds)
    table(
        ["", "seconds", "x bare tree", "x one pass", "peak MB", "x tree's"],
        [
            ["bare lxml.etree.parse", timings.median("bare tree"), 1.0, "", memory["tree"], 1.0],
            ["one pass over its elements", timings.median("one pass"), "", 1.0, "", ""],
            [
                "parse, effective, require",
                timings.median("whole"),
                timings.ratio("whole", "bare tree"),
                timings.ratio("whole", "one pass"),
                memory["whole"],
                memory["whole"] / memory["tree"],
            ],
        ],
    )
    parts = interleaved(stages(small), rounds)
    total = sum(map(parts.median, parts.seconds))
    shares = [[name, parts.median(name), round(100 * parts.median(name) / total)] for name in parts.seconds]
    table(["stage", "seconds", "%"], shares)
    rows = [_speed("sites", small, double, rounds)]
    for name, make in ALONE.items():
        paths = [_written(folder, name.replace(" ", "-"), make(n)) for n in (count, 2 * count)]
        rows.append(_speed(name, *paths, rounds))
    table([f"{count} and {2 * count} of", "seconds", "seconds", "ratio"], rows)


def _start(rounds: int) -> None:
    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    subjects = {"pass": lambda: run("-c", "pass"), "help": lambda: run("-m", "agent", "--help")}
    timings = interleaved(subjects, max(rounds, 15), time.perf_counter)
    rows = [
        ["python -c pass", timings.median("pass") * 1000, 1.0],
        ["iis-spn --help", timings.median("help") * 1000, timings.ratio("help", "pass")],
    ]
    table(["process", "ms", "ratio"], rows)


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}-{len(text)}.config"
    path.write_text(text, encoding="utf-8")
    return path


def _memory(name: str, path: Path) -> None:
    before = peak_memory()
    kept = whole(path) if name == "whole" else tree(path)
    print(peak_memory() - before)
    del kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        _memory(options.memory[0], Path(options.memory[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        _report(options.sites, options.rounds, Path(folder))
    _start(options.rounds)


if __name__ == "__main__":
    main()
