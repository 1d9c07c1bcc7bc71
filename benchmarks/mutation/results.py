"""What came of the trials: the score of each room, and the mutants that live."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .mutants import Mutant

ACCEPTED = Path(__file__).with_name("accepted.txt")


def found(folder: Path) -> dict[tuple[str, str], str]:
    """What became of a mutant, by its name and the digest of the text that it was tried in."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("found*.jsonl"))]
    each: list[dict[str, Any]] = [json.loads(line) for text in texts for line in text.splitlines()]
    return {(one["name"], one["digest"]): one["found"] for one in each}


def gather(folder: Path, outcomes: dict[tuple[str, str], str]) -> None:
    """Put what is known into the first file: what is added to others is later, and counts."""
    lines = [json.dumps({"name": name, "digest": digest, "found": what}) for (name, digest), what in outcomes.items()]
    (folder / "found.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for path in folder.glob("found?*.jsonl"):
        path.unlink()


def add(path: Path, mutant: Mutant, what: str, seconds: float) -> None:
    """Note a trial at once: who stops a run loses nothing."""
    one = {"name": mutant.name, "digest": mutant.digest, "found": what, "seconds": round(seconds, 2)}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(one) + "\n")


def accepted() -> dict[str, str]:
    """The survivors that may live, with the reason of their group: a line that begins with `# `."""
    reasons, reason = {}, ""
    for line in ACCEPTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        elif line:
            reasons[line] = reason
    return reasons


def told(mutants: Sequence[Mutant], outcomes: dict[tuple[str, str], str]) -> Iterator[str]:
    """The score of each room, every survivor that nobody accepted, and what is accepted without need."""
    known = accepted()
    tried = [(mutant, outcomes[key]) for mutant in mutants if (key := (mutant.name, mutant.digest)) in outcomes]
    alive = [mutant for mutant, what in tried if not what.startswith("killed")]
    yield f"{'room':8} {'mutants':>8} {'tried':>6} {'killed':>7} {'accepted':>9} {'score':>7}"
    for room in [*dict.fromkeys(mutant.room for mutant in mutants), "all"]:
        counts = [_count(each, room) for each in (mutants, [mutant for mutant, _ in tried], alive)]
        accepted_here = _count([mutant for mutant in alive if mutant.name in known], room)
        yield _row(room, *counts, accepted_here)
    what_of = dict(tried)
    yield from sorted(f"{what_of[mutant]:12} {mutant.name}" for mutant in alive if mutant.name not in known)
    dead = {mutant.name for mutant, _ in tried} - {mutant.name for mutant in alive}
    yield from (f"accepted, but killed: {name}" for name in sorted(known.keys() & dead))


def _count(mutants: Sequence[Mutant], room: str) -> int:
    return sum(room in {mutant.room, "all"} for mutant in mutants)


def _row(room: str, mutants: int, tried: int, alive: int, forgiven: int) -> str:
    score = f"{100 * (tried - alive) / tried:6.1f}%" if tried else "      -"
    return f"{room:8} {mutants:8} {tried:6} {tried - alive:7} {forgiven:9} {score}"
