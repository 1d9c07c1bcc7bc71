"""Every axis an input can grow along, at N, 2N and 4N: what twice as much costs.

python -m benchmarks.growth [--only WORD] [--times 1] [--rounds 3]

Each step is wanted at most 2.2 times the one before. CPU seconds of reading, judging and (where the axis is a format)
writing; the best of the rounds, sizes interleaved.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.cli.formats import Command, Format, known_by
from agent.history import compare
from agent.model import Report
from agent.render.screen import Screen, Shown
from benchmarks import axes
from benchmarks.documents import DOCUMENTS, document
from benchmarks.files import FILES
from benchmarks.measure import interleaved, table
from tests.worlds import server

WANTED = 2.2


class Axis(NamedTuple):
    """What grows; `make` prepares the input of a size, and what it gives is measured. `size` takes some tenths of a
    second.
    """

    size: int
    make: Callable[[int], Callable[[], object]]


# -- writing -------------------------------------------------------------------------------------------------------


def writing(
    form: Format, command: Command, what: str, shown: Shown = "causes"
) -> Callable[[int], Callable[[], object]]:
    def make(n: int) -> Callable[[], object]:
        made = document(command, what, n)
        return lambda: sum(map(len, form.pieces(made, Screen(100, False, shown))))

    return make


def unasked(n: int) -> Callable[[], object]:
    """The first screen of as many sites, of which nobody looked up who holds what."""
    report: Report = axes.judged(server(*axes.named(n), pool=r"TEST\svc", creds=True))().report
    return lambda: sum(map(len, known_by("inspect")["table"].pieces(report, Screen(100, False))))


def compared(n: int) -> Callable[[], object]:
    """What changed where every SPN was registered."""
    old, new = axes.missing(n)().report, axes.held(n)().report
    return lambda: compare(old, new)


def made() -> Iterator[tuple[str, Axis]]:
    """The making of what is written, where that is more than a report."""
    for command, documents in DOCUMENTS.items():
        if command not in {"inspect", "plan"}:
            for what, (size, make) in documents.items():
                yield f"{command}: {what}", Axis(size, lambda n, make=make: lambda: make(n))


def written() -> Iterator[tuple[str, Axis]]:
    """Each document of each command in each format that the command knows; a table as far as it can be asked for."""
    for command, documents in DOCUMENTS.items():
        for what, (size, _) in documents.items():
            for name, form in known_by(command).items():
                for shown, option in SHOWN if form.for_screen else SHOWN[:1]:
                    yield f"{command} {name}{option}: {what}", Axis(size, writing(form, command, what, shown))


SHOWN: Sequence[tuple[Shown, str]] = (("causes", ""), ("origins", " --verbose"), ("all", " --all"))


AXES: Mapping[str, Axis] = {
    "sites": Axis(1000, axes.sites),
    "bindings": Axis(1000, axes.bindings),
    "pools": Axis(500, axes.pools),
    "applications": Axis(1000, axes.applications),
    "locations": Axis(1000, axes.locations),
    "segments of a location": Axis(60, axes.depth),
    "providers": Axis(1000, axes.offered),
    "sections nobody reads": Axis(10000, axes.unread_sections),
    "tags that are emptied": Axis(5000, axes.tags),
    "web.config files": Axis(1000, axes.web_configs),
    "virtual directories, and web.config files below each": Axis(100, axes.virtual_directories),
    "LDIF entries": Axis(10000, axes.entries),
    "values of one account": Axis(10000, axes.values),
    "SPNs that an account holds and needs": Axis(500, axes.held),
    "findings with steps": Axis(500, axes.misplaced),
    "findings": Axis(500, axes.missing),
    "duplicates": Axis(500, axes.duplicates),
    "holders of one SPN": Axis(1000, axes.holders),
    "accounts": Axis(500, axes.accounts),
    "misspelt SPNs": Axis(1000, axes.misspelt),
    "characters of a misspelt SPN": Axis(60, axes.misspelling),
    "acceptances, and findings": Axis(250, axes.accepted),
    "zone records": Axis(10000, axes.zone_records),
    "aliases": Axis(500, axes.aliases),
    "an alias chain": Axis(1000, axes.alias_chain),
    "wildcard sites, and names": Axis(250, axes.wildcard_sites),
    "names under one wildcard": Axis(500, axes.one_wildcard),
    "lines in an unclosed ( of a zone": Axis(5000, axes.parentheses),
    "farm names of two servers": Axis(250, axes.farm_names),
    "names behind a proxy, and sites that check it": Axis(250, axes.proxied),
    "names of a farm file": Axis(500, axes.farm_file),
    "servers": Axis(250, axes.servers),
    "servers of one name": Axis(100, axes.servers_of_one_name),
    "servers of one farm": Axis(100, axes.servers_of_one_farm),
    "servers of one account": Axis(100, axes.servers_of_one_account),
    "machines of one name": Axis(250, axes.machines_of_one_name),
    "inspect table: findings that nobody looked up": Axis(500, unasked),
    "changes": Axis(500, compared),
    **{name: Axis(*given) for name, given in FILES.items()},
    **dict(made()),
    **dict(written()),
}


def measured(axis: Axis, times: float, rounds: int) -> Sequence[float]:
    """The least seconds of each size."""
    sizes = [int(axis.size * times) * factor for factor in (1, 2, 4)]
    timings = interleaved({str(size): axis.make(size) for size in sizes}, rounds)
    return [min(timings.seconds[str(size)]) for size in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="axes with this word in their name")
    parser.add_argument("--times", type=float, default=1.0, help="all sizes times this")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for name, axis in AXES.items():
        if options.only in name:
            one, two, four = measured(axis, options.times, options.rounds)
            worst = max(two / one, four / two)
            rows.append(
                [
                    name,
                    int(axis.size * options.times),
                    one,
                    two,
                    four,
                    two / one,
                    four / two,
                    "" if worst <= WANTED else "over",
                ]
            )
            print(*rows[-1], flush=True)
    print()
    table(("axis", "N", "N, s", "2N, s", "4N, s", "2N / N", "4N / 2N", ""), rows)


if __name__ == "__main__":
    main()
