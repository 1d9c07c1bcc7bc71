"""`--apply` against a directory in memory: killed anywhere, surprised, resumed and taken back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.change import journal
from agent.change.apply import Applied, apply, roll_back
from agent.change.draft import by_hand, waiting
from agent.change.journal import Files
from agent.change.plan import held_back
from agent.change.writer import RefusedError
from agent.cli import line as lines
from agent.cli.options import Plan
from agent.cli.plan import _changed
from agent.cli.program import main
from agent.errors import SourceError, UsageError
from agent.model import Step, StepKind
from agent.names import AccountName, Spn, fold, spn
from agent.sources.ad import modify
from agent.sources.selected import LiveLogon
from agent.spn.directory import Account, Directory

State = dict[str, frozenset[str]]
NOBODY: frozenset[Spn] = frozenset()


class Killed(BaseException):
    """Nothing of ours may catch it."""


@dataclass
class Memory:
    """Accounts by DN as one controller shows them; refuses what Active Directory refuses."""

    accounts: dict[str, list[str]]
    server: str = "dc1.test.com"
    is_unique: bool = True
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    log: list[str] = field(default_factory=list)

    def values(self, dn: str) -> tuple[str, ...]:
        self.before("values")
        if dn not in self.accounts:
            raise RefusedError(f"the account {dn} is not there any more")
        return tuple(self.accounts[dn])

    def holders(self, text: str) -> tuple[str, ...]:
        if not self.is_unique:
            return ()
        return tuple(dn for dn, held in self.accounts.items() if fold(text) in map(fold, held))

    def add_value(self, dn: str, text: str) -> None:
        self.before("add")
        if any(fold(text) in map(fold, held) for held in self.accounts.values()):
            raise RefusedError("the SPN is not unique in the forest (error 0x21C7, 8647)")
        self.accounts[dn].append(text)
        self.log.append(f"+{text}@{dn}")
        self.after("add")

    def delete_value(self, dn: str, text: str) -> None:
        self.before("delete")
        held = [value for value in self.accounts[dn] if fold(value) == fold(text)]
        if not held:
            raise RefusedError("the account does not hold this value any more (noSuchAttribute)")
        self.accounts[dn].remove(held[0])
        self.log.append(f"-{text}@{dn}")
        self.after("delete")

    @property
    def state(self) -> State:
        return {dn: frozenset(held) for dn, held in self.accounts.items()}


def dn_of(name: str) -> str:
    return f"CN={name},DC=test,DC=com"


def memory(**spns: list[str]) -> Memory:
    return Memory({dn_of(name): list(held) for name, held in spns.items()})


def step(kind: StepKind, text: str | None, account: str | None, *, order: int = 1, confirm: bool = False) -> Step:
    return Step(
        order=order,
        kind=kind,
        spn=spn(text) if text else None,
        account=AccountName("TEST", account) if account else None,
        command=f"command {order}",
        rollback="",
        finding="spn-misplaced",
        dn=dn_of(account) if account else None,
        confirm=confirm,
    )


def delete(text: str, account: str, **more: bool) -> Step:
    return step("spn-delete", text, account, **more)


def add(text: str, account: str) -> Step:
    return step("spn-add", text, account)


MOVES = [
    delete("HTTP/iis01", "wrong"),
    delete("HTTP/iis01.test.com", "wrong"),
    add("HTTP/iis01", "right"),
    add("HTTP/iis01.test.com", "right"),
]


def misplaced() -> Memory:
    return memory(wrong=["HTTP/other", "http/IIS01", "HTTP/iis01.Test.com"], right=["HOST/x"], third=[])


MOVED = {
    dn_of("wrong"): frozenset({"HTTP/other"}),
    dn_of("right"): frozenset({"HOST/x", "HTTP/iis01", "HTTP/iis01.test.com"}),
    dn_of("third"): frozenset(),
}


def yes(_: str) -> bool:
    return True


def _showing(shown: list[str], *, answer: bool) -> Callable[[str], bool]:
    def confirm(text: str) -> bool:
        shown.append(text)
        return answer

    return confirm


@pytest.fixture(autouse=True)
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The disk is not waited for; the list has an entry for each time that it would have been."""
    calls: list[int] = []
    monkeypatch.setattr("os.fsync", calls.append)
    return calls


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.of(tmp_path / "way back.json")


def run(steps: list[Step], writer: Memory, files: Files, confirmed: frozenset[Spn] = NOBODY) -> Applied:
    numbered = [replace(one, order=order) for order, one in enumerate(steps, start=1)]
    return apply(numbered, None, writer, files, confirmed, yes)


# -- the straight way ----------------------------------------------------------------------------------------------


def test_a_move_and_its_way_back(files: Files) -> None:
    writer = misplaced()
    before = writer.state
    done = run(MOVES, writer, files)
    assert (done.outcome, len(done.done), done.left, done.failed) == ("done", 4, (), None)
    assert writer.state == MOVED
    assert [line[0] for line in writer.log] == ["-", "+", "-", "+"], "one name after the other"
    back = roll_back(files.rollback, writer, yes)
    assert back.outcome == "done"
    assert "Not as before" not in back.message
    assert writer.state == before
    assert roll_back(files.rollback, writer, yes).outcome == "nothing"


def test_it_asks_with_the_diff_and_takes_no_for_an_answer(files: Files) -> None:
    writer = misplaced()
    shown: list[str] = []
    declined = apply(
        [step("iis-setting", None, None, order=1), *MOVES, step("manual", None, None, order=9)],
        None,
        writer,
        files,
        NOBODY,
        _showing(shown, answer=False),
    )
    assert declined.outcome == "declined"
    assert writer.log == []
    assert not files.rollback.exists()
    assert not files.journal.exists()
    lines = [line.strip() for line in shown[0].splitlines()]
    assert "These servicePrincipalName values change, on dc1.test.com:" in lines
    assert f"- http/IIS01  from TEST\\wrong ({dn_of('wrong')})" in lines
    assert f"+ HTTP/iis01  to TEST\\right ({dn_of('right')})" in lines
    assert "Not done by --apply, do it first: command 1" in lines
    assert "Not done by --apply, do it yourself: command 9" in lines
    assert f'The way back: iis-spn plan --ad ldap://dc1.test.com --rollback "{files.rollback}"' in lines


def test_the_way_back_is_on_disk_before_anything_changes(files: Files) -> None:
    writer = misplaced()

    def look(_: str) -> None:
        plain = json.loads(files.rollback.read_text())
        assert plain["schema"] == "iis-spn/rollback/1"
        assert plain["steps"][0] == {
            "kind": "spn-delete",
            "dn": dn_of("wrong"),
            "account": "TEST\\wrong",
            "spn": "http/IIS01",
            "finding": "spn-misplaced",
        }
        assert plain["before"][dn_of("wrong")] == ["HTTP/other", "http/IIS01", "HTTP/iis01.Test.com"]
        assert json.loads(files.journal.read_text().splitlines()[-1])["event"] == "intent"
        raise Killed

    writer.before = lambda what: look(what) if what == "delete" else None
    with pytest.raises(Killed):
        run(MOVES, writer, files)


TIME = re.compile(r"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ")


def test_both_files_say_where_when_and_what(files: Files) -> None:
    """For people who read them without iis-spn, and for the same program on another day."""
    assert run(MOVES[:1], misplaced(), files).outcome == "done"
    plain = json.loads(files.rollback.read_text())
    assert TIME.fullmatch(plain["created"])
    assert (plain["server"], plain["journal"]) == ("dc1.test.com", "way back.journal")
    roll_back(files.rollback, memory(wrong=[]), yes)
    lines = [json.loads(line) for line in files.journal.read_text().splitlines()]
    assert all(TIME.fullmatch(line.pop("at")) for line in lines)
    began = {"schema": "iis-spn/journal/1", "server": "dc1.test.com"}
    assert lines == [
        {"event": "begin", **began, "steps": plain["steps"]},
        {"event": "intent", "step": 1},
        {"event": "done", "step": 1},
        {"event": "end"},
        {"event": "undoing", **began},
        {"event": "undo", "step": 1},
        {"event": "undone", "step": 1},
        {"event": "restored"},
    ]
    assert plain["steps"] == [
        {
            "kind": "spn-delete",
            "dn": dn_of("wrong"),
            "account": r"TEST\wrong",
            "spn": "http/IIS01",
            "finding": "spn-misplaced",
        }
    ]


def test_every_line_is_flushed_to_the_disk(files: Files, synced: list[int]) -> None:
    run(MOVES, misplaced(), files)
    lines = files.journal.read_text().splitlines()
    folders = 2 if os.name == "posix" else 0
    assert len(lines) == 2 + 2 * len(MOVES)
    assert len(synced) == 1 + len(lines) + folders


def test_nothing_to_do(files: Files) -> None:
    nothing = run([step("iis-setting", None, None)], misplaced(), files)
    assert nothing.outcome == "nothing"
    assert "command 1" in nothing.message
    assert not files.rollback.exists()


def test_the_dn_comes_from_the_step_the_directory_or_the_look_up(files: Files) -> None:
    account = AccountName("TEST", "right")
    bare = replace(add("HTTP/a", "right"), dn=None)
    directory = Directory(source="", accounts=(Account(name=AccountName("test", "RIGHT"), dn=dn_of("right")),))
    writer, other = misplaced(), Files.of(files.rollback.with_name("b.json"))
    with pytest.raises(UsageError, match=r"where TEST\\right stands is not known"):
        apply([bare], None, writer, files, NOBODY, yes)
    assert apply([bare], directory, writer, files, NOBODY, yes).outcome == "done"
    looked = {account: dn_of("third")}
    bare = replace(bare, spn=spn("HTTP/b"))
    assert apply([bare], None, writer, other, NOBODY, yes, looked.get).outcome == "done"
    assert writer.state[dn_of("right")] == {"HOST/x", "HTTP/a"}
    assert writer.state[dn_of("third")] == {"HTTP/b"}


def test_hostile_names_are_shown_escaped(files: Files) -> None:
    writer = memory(wrong=["HTTP/a\x1b[2J"], right=[])
    shown: list[str] = []
    apply([delete("HTTP/a\x1b[2J", "wrong")], None, writer, files, NOBODY, _showing(shown, answer=True))
    assert writer.state[dn_of("wrong")] == frozenset()
    assert "\x1b" not in shown[0] + files.rollback.read_text() + files.journal.read_text()
    roll_back(files.rollback, writer, yes)
    assert writer.state[dn_of("wrong")] == {"HTTP/a\x1b[2J"}


# -- confirmation --------------------------------------------------------------------------------------------------


def test_an_unconfirmed_delete_is_skipped_with_what_depends_on_it(files: Files) -> None:
    writer = misplaced()
    steps = [
        delete("HTTP/iis01", "wrong", confirm=True),
        delete("HTTP/iis01.test.com", "wrong"),
        add("HTTP/iis01", "right"),
        add("HTTP/iis01.test.com", "right"),
    ]
    done = run(steps, writer, files)
    assert done.outcome == "done"
    assert [c.spn for c in done.done] == ["HTTP/iis01.Test.com", "HTTP/iis01.test.com"]
    assert len(done.not_done) == 2
    assert "--confirm-delete HTTP/iis01" in done.not_done[0]
    assert r"HTTP/iis01 is not added to TEST\right" in done.not_done[1]
    assert "http/IIS01" in writer.state[dn_of("wrong")]


def test_what_is_left_to_people_says_what_waits_for_what() -> None:
    setting = replace(step("iis-setting", "HTTP/x", "right", order=2, confirm=True), note="ask who uses it")
    steps = [
        step("dns", None, None, order=1),
        setting,
        replace(delete("HTTP/x", "wrong"), order=3),
        replace(add("HTTP/x", "right"), order=4),
        replace(delete("HTTP/y", "wrong", confirm=True), order=5, note="ask its owner"),
        replace(add("HTTP/y", "right"), order=6),
        replace(step("manual", None, None, order=7), command=None, note="Tell them."),
    ]
    assert waiting(steps, held_back(steps)) == (
        "Not done by --apply, do it first: command 1",
        "Not done by --apply, do it first: command 2",
        r"HTTP/x stays on TEST\wrong, which waits for: command 2",
        r"HTTP/x is not added to TEST\right, which waits for: command 2",
        r"HTTP/y stays on TEST\wrong: ask its owner. Then add --confirm-delete HTTP/y",
        r"HTTP/y is not added to TEST\right, which waits for: remove HTTP/y from TEST\wrong",
        "Not done by --apply, do it yourself: Tell them.",
    )
    both = [replace(each, confirm=each.spn == spn("HTTP/y"), note="ask") for each in steps[4:6]]
    assert [line.partition("Then add ")[2] for line in waiting(both, held_back(both))] == ["--confirm HTTP/y"] * 2


def test_what_a_setting_has_to_come_before_is_left_until_the_next_call(files: Files) -> None:
    """Nobody holds the SPN meanwhile: clients use NTLM, and none gets a 401."""
    writer = misplaced()
    gone = replace(delete("HTTP/iis01", "wrong"), order=1)
    setting = replace(step("iis-setting", None, None, order=2), server="IIS01")
    moved = replace(add("HTTP/iis01", "right"), order=3, after=(2,))
    done = run([gone, setting, moved], writer, files)
    assert [(c.kind, c.spn) for c in done.done] == [("spn-delete", "http/IIS01")]
    assert done.not_done == (
        "Not done by --apply, do it first: command 2",
        r"HTTP/iis01 is not added to TEST\right yet: do step 2 first, then call this again with new snapshots",
    )
    assert run([replace(moved, order=1, after=())], writer, Files.of(files.rollback.with_name("second.json"))).done


def test_how_people_take_back_what_was_theirs() -> None:
    steps = [
        replace(step("dns", None, None, order=1), rollback="dns back"),
        delete("HTTP/x", "wrong"),
        replace(step("iis-setting", None, None, order=3), server="IIS01", rollback="setting back"),
        replace(step("manual", None, None, order=4), command=None, rollback=None, note="Tell them."),
    ]
    assert by_hand(steps) == (
        "Not done by --rollback, where it was done: take back by hand: Tell them.",
        "Not done by --rollback, where it was done on IIS01: setting back",
        "Not done by --rollback, where it was done: dns back",
    )


def test_confirmed_in_any_case(files: Files) -> None:
    writer = misplaced()
    steps = [delete("HTTP/iis01", "wrong", confirm=True), add("HTTP/iis01", "right")]
    assert len(run(steps, writer, files, frozenset({spn("http/IIS01")})).done) == 2


def test_an_add_that_asks_is_carried_out_when_its_spn_is_confirmed(files: Files) -> None:
    writer = misplaced()
    steps = [
        delete("HTTP/iis01", "wrong", confirm=True),
        replace(add("HTTP/iis01", "right"), confirm=True, note="nobody else inspected answers iis01"),
    ]
    left = run(steps, writer, files)
    assert left.outcome == "nothing"
    assert all("--confirm HTTP/iis01" in text for text in left.not_done)
    assert "nobody else inspected answers iis01" in left.not_done[1]
    numbered = [replace(one, order=order) for order, one in enumerate(steps, start=1)]
    assert len(apply(numbered, None, writer, files, frozenset({spn("http/IIS01")}), yes).done) == 2


def test_agreeing_to_a_removal_is_not_agreeing_to_what_follows(files: Files) -> None:
    writer = misplaced()
    steps = [delete("HTTP/iis01", "wrong", confirm=True), replace(add("HTTP/iis01", "right"), confirm=True)]
    numbered = [replace(one, order=order) for order, one in enumerate(steps, start=1)]
    done = apply(numbered, None, writer, files, NOBODY, yes, deletable=frozenset({spn("HTTP/iis01")}))
    assert [change.kind for change in done.done] == ["spn-delete"]
    assert len(done.not_done) == 1


# -- surprises -----------------------------------------------------------------------------------------------------


def _changed_before(steps: list[Step], change: Callable[[Memory], None], files: Files) -> tuple[Applied, Memory]:
    writer = misplaced()
    change(writer)
    return run(steps, writer, files), writer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.accounts[dn_of("wrong")].remove("http/IIS01"), "does not hold HTTP/iis01 any more"),
        (lambda m: m.accounts[dn_of("right")].append("HTTP/IIS01"), "HTTP/IIS01 already"),
        (lambda m: m.accounts[dn_of("third")].append("HTTP/IIS01"), f"HTTP/iis01 is on {dn_of('third')} now"),
        (lambda m: m.accounts.pop(dn_of("right")), "is not there any more"),
    ],
)
def test_changed_since_the_plan(change: Callable[[Memory], None], words: str, files: Files) -> None:
    stopped, writer = _changed_before(MOVES, change, files)
    assert stopped.outcome == "stopped"
    assert "Nothing was changed" in stopped.message
    assert words in stopped.message
    assert writer.log == []
    assert not files.rollback.exists()


@pytest.mark.parametrize(
    ("kind", "count", "done"),
    [("delete", 1, 0), ("delete", 2, 2), ("delete", 3, 4), ("values", 1, 0), ("values", 2, 2), ("values", 3, 2)],
)
def test_changed_meanwhile(kind: str, count: int, done: int, files: Files) -> None:
    """Somebody else changes the value right before our request, or right before we look."""
    writer = misplaced()
    before, calls = writer.state, 0

    def meddle(what: str) -> None:
        nonlocal calls
        calls += what == kind and files.journal.exists()
        if what == kind and calls == count:
            writer.accounts[dn_of("wrong")] = ["HTTP/other"]

    writer.before = meddle
    stopped = run(MOVES, writer, files)
    assert len(stopped.done) == done
    if done == len(MOVES):
        assert stopped.outcome == "done"
        return
    assert stopped.outcome == "stopped"
    assert "any more" in stopped.message
    assert stopped.failed is not None
    assert f"Stopped at:  - {stopped.failed.spn}" in stopped.message
    writer.before = lambda _: None
    rest = [add for add in MOVES[2:] if add.spn not in {spn(change.spn) for change in stopped.done}]
    assert run(rest, writer, Files.of(files.rollback.with_name("new.json"))).outcome == "done"
    for path in (files.rollback.with_name("new.json"), files.rollback):
        assert roll_back(path, writer, yes).outcome in {"done", "nothing"}
    ours = {c.spn for c in stopped.done}
    theirs = before[dn_of("wrong")] - ours - {"HTTP/other"}
    assert writer.state == {**before, dn_of("wrong"): before[dn_of("wrong")] - theirs}


def test_a_refused_add_says_that_nobody_holds_it_now(files: Files) -> None:
    writer = misplaced()
    before = writer.state

    def refuse(what: str) -> None:
        if what == "add":
            raise RefusedError("the SPN is not unique in the forest (error 0x21C7, 8647)")

    writer.before = refuse
    stopped = run(MOVES, writer, files)
    assert (stopped.outcome, len(stopped.done), len(stopped.left)) == ("stopped", 1, 3)
    assert "0x21C7" in stopped.message
    assert re.findall(r"(\S+) was deleted already, so no account of this plan holds it now", stopped.message) == [
        "http/IIS01"
    ], "one name, and it is named"
    assert "--rollback" in stopped.message
    with pytest.raises(UsageError, match="belongs to an earlier run"):
        run(MOVES, writer, files)
    writer.before = lambda _: None
    assert roll_back(files.rollback, writer, yes).outcome == "done"
    assert writer.state == before


def test_a_refused_delete_is_not_put_back(files: Files) -> None:
    """The value went meanwhile by other hands: it is not ours to bring back."""
    writer = misplaced()

    def race(what: str) -> None:
        if what == "delete":
            writer.accounts[dn_of("wrong")].remove("http/IIS01")

    writer.before = race
    assert run(MOVES, writer, files).outcome == "stopped"
    writer.before = lambda _: None
    assert roll_back(files.rollback, writer, yes).outcome == "nothing"
    assert "http/IIS01" not in writer.state[dn_of("wrong")]


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_a_lost_connection_is_an_open_question(made: bool, back: bool, files: Files) -> None:
    writer = misplaced()
    before = writer.state

    def lose(what: str) -> None:
        if what == "add":
            raise SourceError("dc1 closed the connection before its answer was complete")

    setattr(writer, "after" if made else "before", lose)
    broken = run(MOVES, writer, files)
    assert broken.outcome == "interrupted"
    assert "not known" in broken.message
    writer.before = writer.after = lambda _: None
    if back:
        assert roll_back(files.rollback, writer, yes).outcome == "done"
        assert writer.state == before
    else:
        assert run([], writer, files).outcome == "done"
        assert writer.state == MOVED


@pytest.mark.parametrize("kind", ["values", "delete", "add"])
def test_control_c_says_how_to_go_on(kind: str, files: Files) -> None:
    writer = misplaced()
    before = writer.state

    def press(what: str) -> None:
        if what == kind and files.journal.exists():
            raise KeyboardInterrupt

    writer.before = press
    broken = run(MOVES, writer, files)
    assert broken.outcome == "interrupted"
    assert "run the same command again" in broken.message
    writer.before = lambda _: None
    assert run(MOVES, writer, files).outcome == "done"
    assert writer.state == MOVED
    writer.before = press
    assert roll_back(files.rollback, writer, yes).outcome == "interrupted"
    writer.before = lambda _: None
    assert roll_back(files.rollback, writer, yes).outcome == "done"
    assert writer.state == before


def test_a_second_control_c_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is told, with how to go on; who presses again does not wait for the connection to be closed."""

    @contextmanager
    def pressed(_source: object) -> Iterator[object]:
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr(modify, "writer", pressed)
    line = lines.read(["plan", "--apply", "--ad", "ldap://dc1.test.com"])
    assert isinstance(line.command, Plan)
    logon = LiveLogon(None, str)
    assert _changed(line.command, logon, lambda _: Applied("interrupted", "")) == 130
    with pytest.raises(KeyboardInterrupt):
        _changed(line.command, logon, lambda _: Applied("done", ""))


def test_taking_back_meets_a_surprise_and_goes_on_later(files: Files) -> None:
    writer = misplaced()
    before = writer.state
    run(MOVES, writer, files)
    writer.accounts[dn_of("third")].append("HTTP/IIS01")
    writer.accounts[dn_of("right")].remove("HTTP/iis01")
    stopped = roll_back(files.rollback, writer, yes)
    assert stopped.outcome == "stopped"
    assert f"is on {dn_of('third')} now" in stopped.message
    with pytest.raises(UsageError, match="taking back was broken off"):
        run(MOVES, writer, files)
    writer.accounts[dn_of("third")].clear()
    assert roll_back(files.rollback, writer, yes).outcome == "done"
    assert writer.state == before


def test_what_others_changed_stays_and_is_said(files: Files) -> None:
    writer = misplaced()
    run(MOVES, writer, files)
    writer.accounts[dn_of("right")].append("HTTP/new")
    back = roll_back(files.rollback, writer, yes)
    assert back.outcome == "done"
    assert f"Not as before, by other hands: {dn_of('right')} has in addition HTTP/new." in back.message
    assert "HTTP/new" in writer.state[dn_of("right")]


def test_a_directory_that_lets_duplicates_in(files: Files) -> None:
    """There the request itself would not fail: the holders are looked at before each add."""
    writer = misplaced()
    writer.accounts[dn_of("third")].append("HTTP/IIS01")
    assert run(MOVES, writer, files).outcome == "stopped"
    assert writer.log == []


def test_one_controller_for_all(files: Files) -> None:
    writer = misplaced()
    writer.before = lambda what: _kill() if what == "add" else None
    with pytest.raises(Killed):
        run(MOVES, writer, files)
    writer.before, writer.server = lambda _: None, "dc2.test.com"
    for attempt in (partial(run, MOVES, writer, files), partial(roll_back, files.rollback, writer, yes)):
        with pytest.raises(UsageError, match=r"use --ad ldap://dc1\.test\.com"):
            attempt()


def _kill() -> None:
    raise Killed


# -- killed anywhere -----------------------------------------------------------------------------------------------


class Deaths:
    """Counts every moment at which a program can die, and dies at one: around each request and each write, and
    in the middle of a write."""

    def __init__(self, at: int | None, patch: pytest.MonkeyPatch, writer: Memory) -> None:
        self.at, self.count = at, 0
        patch.setattr(journal, "write_whole", self.around(journal.write_whole))
        patch.setattr(journal, "append", self.around(self.torn(journal.append)))
        writer.before = writer.after = lambda _: self.moment()

    def around(self, write: Callable[..., None]) -> Callable[..., None]:
        def written(*what: Any, **how: Any) -> None:
            self.moment()
            write(*what, **how)
            self.moment()

        return written

    def torn(self, append: Callable[[Path, bytes], None]) -> Callable[[Path, bytes], None]:
        def appended(path: Path, data: bytes) -> None:
            if self.is_next():
                append(path, data[: len(data) // 2])
            self.moment()
            append(path, data)

        return appended

    def is_next(self) -> bool:
        return self.count == self.at

    def moment(self) -> None:
        if self.is_next():
            raise Killed
        self.count += 1


def _attempt(at: int | None, work: Callable[[], Applied], writer: Memory) -> int:
    """How many moments it lived."""
    with pytest.MonkeyPatch.context() as patch:
        deaths = Deaths(at, patch, writer)
        try:
            work()
        except Killed:
            assert at is not None
        else:
            assert at is None
    writer.before = writer.after = lambda _: None
    return deaths.count


def _moments(tmp_path: Path) -> int:
    writer, files = misplaced(), Files.of(tmp_path / "count.json")
    for path in files:
        path.unlink(missing_ok=True)
    return _attempt(None, lambda: run(MOVES, writer, files), writer)


def _kills(tmp_path: Path) -> Iterator[tuple[int, Memory, Files]]:
    for at in range(_moments(tmp_path)):
        writer, files = misplaced(), Files.of(tmp_path / f"{at}.json")
        assert _attempt(at, partial(run, MOVES, writer, files), writer) == at
        yield at, writer, files


def _has_ended(files: Files) -> bool:
    return journal.Journal(files.journal).phase == "end"


def test_killed_at_any_moment_and_resumed(tmp_path: Path) -> None:
    before, seen, last = misplaced().state, set(), _moments(tmp_path) - 1
    for at, writer, files in _kills(tmp_path):
        seen.add(len(writer.log))
        if _has_ended(files):
            assert at == last
        else:
            assert run(MOVES, writer, files).outcome == "done", at
        assert writer.state == MOVED
        assert len(writer.log) == 4  # nothing twice
        assert roll_back(files.rollback, writer, yes).outcome == "done"
        assert writer.state == before
    assert seen == {0, 1, 2, 3, 4}


def test_killed_at_any_moment_and_taken_back(tmp_path: Path) -> None:
    before = misplaced().state
    for at, writer, files in _kills(tmp_path):
        if files.rollback.exists():
            assert roll_back(files.rollback, writer, yes).outcome in {"done", "nothing"}, at
        assert writer.state == before, at


def test_taking_back_killed_at_any_moment(tmp_path: Path) -> None:
    before, at, moments = misplaced().state, 0, 1
    while at < moments:
        writer, files = misplaced(), Files.of(tmp_path / f"{at}.json")
        run(MOVES, writer, files)
        work = partial(roll_back, files.rollback, writer, yes)
        if at == 0:
            moments = _attempt(None, work, writer)
        else:
            assert _attempt(at, work, writer) == at
            if "undoing" in files.journal.read_text().splitlines()[-1] or len(writer.log) > 4:
                with pytest.raises(UsageError):
                    run(MOVES, writer, files)
            roll_back(files.rollback, writer, yes)
        assert writer.state == before, at
        at += 1
    assert moments > 20


@given(deaths=st.lists(st.integers(0, 30), max_size=6))
def test_killed_again_and_again(deaths: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    writer, files = misplaced(), Files.of(tmp_path_factory.mktemp("deaths") / "a.json")
    before = writer.state
    for at in deaths:
        with pytest.MonkeyPatch.context() as patch:
            Deaths(at, patch, writer)
            try:
                if run(MOVES, writer, files).outcome == "done":
                    break
            except Killed:
                pass
            except UsageError as error:
                assert "earlier run" in str(error)  # noqa: PT017  # it had come to its end already
    writer.before = writer.after = lambda _: None
    if not _has_ended(files):
        assert run(MOVES, writer, files).outcome == "done"
    assert writer.state == MOVED
    assert len(writer.log) == 4
    roll_back(files.rollback, writer, yes)
    assert writer.state == before


def test_a_rest_that_is_declined_stays_open(files: Files) -> None:
    writer = misplaced()
    writer.before = lambda what: _kill() if what == "add" else None
    with pytest.raises(Killed):
        run(MOVES, writer, files)
    writer.before = lambda _: None
    shown: list[str] = []
    declined = apply([], None, writer, files, NOBODY, _showing(shown, answer=False))
    assert declined.outcome == "declined"
    assert "- http/IIS01" not in shown[0]
    assert "+ HTTP/iis01 " in shown[0]
    assert run([], writer, files).outcome == "done"
    assert writer.state == MOVED


# -- files ---------------------------------------------------------------------------------------------------------


def test_the_files_of_a_broken_run_are_found_again(tmp_path: Path) -> None:
    files = Files.within(tmp_path)
    assert files != Files.within(tmp_path)
    writer = misplaced()
    writer.before = lambda what: _kill() if what == "add" else None
    with pytest.raises(Killed):
        run(MOVES, writer, files)
    writer.before = lambda _: None
    assert Files.within(tmp_path) == files
    assert run(MOVES, writer, files).outcome == "done"
    assert Files.within(tmp_path) != files


def test_several_broken_runs(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"iis-spn-rollback-{name}.journal").write_text('{"event": "begin"}\n')
    with pytest.raises(UsageError, match="several broken off runs"):
        Files.within(tmp_path)


def test_the_way_back_of_another_run_is_not_overwritten(files: Files) -> None:
    writer = misplaced()
    run(MOVES, writer, files)
    files.journal.unlink()
    text = files.rollback.read_text()
    with pytest.raises(UsageError, match="keep it"):
        run([add("HTTP/new", "third")], writer, files)
    assert files.rollback.read_text() == text
    back = roll_back(files.rollback, writer, yes)
    assert back.outcome == "done"
    assert writer.state == misplaced().state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"schema": "iis-spn/rollback/2", "server": "dc1", "steps": [], "before": {}, "not_done": []}',
        '{"schema": "iis-spn/rollback/1", "server": 1, "steps": [], "before": {}, "not_done": []}',
        '{"schema": "iis-spn/rollback/1", "server": "dc1", "steps": [{"kind": "dns"}], "before": {}, "not_done": []}',
        '{"schema": "iis-spn/rollback/1", "server": "dc1", "steps": [{"kind": "dns", "dn": "CN=x", "account": "T", '
        '"spn": "HTTP/x", "finding": "x"}], "before": {}, "not_done": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_rollback_file(text: str, files: Files) -> None:
    files.rollback.write_text(text)
    with pytest.raises(UsageError, match="is no rollback file"):
        roll_back(files.rollback, misplaced(), yes)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        roll_back(tmp_path / "none.json", misplaced(), yes)
    writer = misplaced()
    with pytest.raises(UsageError, match="nothing was changed: cannot write"):
        run(MOVES, writer, Files.of(tmp_path / "none" / "a.json"))
    assert writer.log == []
    (tmp_path / "a.journal").mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        run(MOVES, writer, Files.of(tmp_path / "a.json"))


def test_a_full_disk_stops_it_before_the_next_change(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, real = misplaced(), journal.append

    def full(path: Path, data: bytes) -> None:
        if writer.log and b"intent" in data:
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(journal, "append", full)
    stopped = run(MOVES, writer, files)
    assert stopped.outcome == "interrupted"
    assert "No space left" in stopped.message
    assert len(writer.log) == 1
    monkeypatch.undo()
    assert run(MOVES, writer, files).outcome == "done"
    assert writer.state == MOVED


def test_strange_lines_in_the_journal_are_nothing(files: Files) -> None:
    files.journal.write_text('{"event": 1}\n{"event": "done"}\n[]\nnull\n{"event": "intent", "step": "x"}\n{"ev')
    writer = misplaced()
    assert run(MOVES, writer, files).outcome == "done"
    assert writer.state == MOVED


# -- nothing begins that cannot end --------------------------------------------------------------------------------


def pairs(count: int, new: str = "right") -> tuple[list[Step], Memory]:
    """As many SPNs to be moved, removals first, as an older plan may have them."""
    names = [f"HTTP/n{number}" for number in range(count)]
    steps = [delete(name, "wrong") for name in names] + [add(name, new) for name in names]
    return steps, memory(wrong=names, right=[])


@pytest.mark.parametrize("moment", ["before the question", "after the yes"])
def test_an_account_that_is_not_there_at_the_seventh_step(moment: str, files: Files) -> None:
    steps, writer = pairs(3)
    before = writer.state
    steps.append(add("HTTP/seventh", "late"))
    writer.accounts[dn_of("late")] = []

    def leave(_: str) -> bool:
        del writer.accounts[dn_of("late")]
        return True

    if moment == "before the question":
        leave("")
    ask = yes if moment == "before the question" else leave
    numbered = [replace(one, order=order) for order, one in enumerate(steps, start=1)]
    stopped = apply(numbered, None, writer, files, NOBODY, ask)
    assert stopped.outcome == "stopped"
    assert "Nothing was changed" in stopped.message
    assert dn_of("late") in stopped.message
    assert (writer.log, writer.state) == ([], before)
    assert not files.rollback.exists()
    assert not files.journal.exists()


def test_what_is_spelt_anew_after_the_question_is_not_what_was_shown(files: Files) -> None:
    writer = misplaced()

    def respell(_: str) -> bool:
        writer.accounts[dn_of("wrong")][1] = "HTTP/IIS01"
        return True

    stopped = apply(MOVES, None, writer, files, NOBODY, respell)
    assert stopped.outcome == "stopped"
    assert "not as it was when this was asked" in stopped.message
    assert writer.log == []


def test_a_right_that_is_not_shown_warns_and_does_not_stop(files: Files) -> None:
    writer, shown = misplaced(), list[str]()
    done = apply(
        MOVES, None, writer, files, NOBODY, _showing(shown, answer=True), may_write=lambda dn: dn == dn_of("wrong")
    )
    assert done.outcome == "done"
    doubts = [line for line in shown[0].splitlines() if "does not show that this logon may write" in line]
    assert len(doubts) == 1
    assert dn_of("right") in doubts[0]


def test_killed_anywhere_at_most_one_name_has_no_holder(tmp_path: Path) -> None:
    steps, writer = pairs(4)
    moments = _attempt(None, partial(run, steps, writer, Files.of(tmp_path / "count.json")), writer)
    worst = 0
    for at in range(moments):
        steps, writer = pairs(4)
        assert _attempt(at, partial(run, steps, writer, Files.of(tmp_path / f"{at}.json")), writer) == at
        held = {value for values in writer.accounts.values() for value in values}
        worst = max(worst, 4 - len(held))
    assert worst == 1


@pytest.mark.parametrize("refused", range(4))
def test_a_refused_add_leaves_one_name_and_says_which(refused: int, files: Files) -> None:
    steps, writer = pairs(4)
    adds = 0

    def refuse(what: str) -> None:
        nonlocal adds
        adds += what == "add"
        if what == "add" and adds == refused + 1:
            raise RefusedError("the SPN is not unique in the forest (error 0x21C7, 8647)")

    writer.before = refuse
    stopped = run(steps, writer, files)
    assert stopped.outcome == "stopped"
    assert re.findall(r"(\S+) was deleted already", stopped.message) == [f"HTTP/n{refused}"]
    held = {value for values in writer.accounts.values() for value in values}
    assert {f"HTTP/n{number}" for number in range(4)} - held == {f"HTTP/n{refused}"}


# -- taking back goes on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["delete", "add"])
@pytest.mark.parametrize("failing", range(4))
def test_taking_back_goes_on_after_a_change_that_fails(kind: str, failing: int, files: Files) -> None:
    steps, writer = pairs(4)
    before = writer.state
    run(steps, writer, files)
    calls = 0

    def refuse(what: str) -> None:
        nonlocal calls
        calls += what == kind
        if what == kind and calls == failing + 1:
            raise RefusedError("the logon may not write servicePrincipalName (insufficientAccessRights)")

    writer.before = refuse
    stopped = roll_back(files.rollback, writer, yes)
    name = f"HTTP/n{3 - failing}"
    assert stopped.outcome == "stopped"
    assert {change.spn for change in stopped.left} == {name}
    assert f"Not taken back:  {stopped.left[0]}" in stopped.message
    told = stopped.message.partition("Taken back:\n")[2].partition("\n\n")[0]
    assert told.splitlines() == [f"  {change}" for change in stopped.done]
    assert "Nothing was taken back" not in stopped.message
    assert "insufficientAccessRights" in stopped.message
    assert set(before[dn_of("wrong")]) - writer.state[dn_of("wrong")] == {name}, "all others are back"
    writer.before = lambda _: None
    assert roll_back(files.rollback, writer, yes).outcome == "done"
    assert writer.state == before


def test_taking_back_ends_where_the_controller_goes_away(files: Files) -> None:
    steps, writer = pairs(4)
    before = writer.state
    run(steps, writer, files)
    calls = 0

    def lose(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise SourceError("dc1 closed the connection before its answer was complete")

    writer.before = lose
    broken = roll_back(files.rollback, writer, yes)
    assert broken.outcome == "interrupted"
    assert "Not begun:" in broken.message
    writer.before = lambda _: None
    assert roll_back(files.rollback, writer, yes).outcome == "done"
    assert writer.state == before


def test_what_was_left_to_people_is_theirs_to_take_back(files: Files) -> None:
    writer = misplaced()
    setting = replace(step("iis-setting", None, None), rollback="appcmd back", server="IIS01")
    assert len(run([setting, *MOVES], writer, files).not_done) == 1
    back = roll_back(files.rollback, writer, yes)
    assert back.outcome == "done"
    assert back.not_done == ("Not done by --rollback, where it was done on IIS01: appcmd back",)
    assert back.not_done[0] in back.message


# -- no silent omissions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["lost", "cut off", "emptied"])
def test_a_lost_rollback_file_is_told_with_what_the_journal_knows(damage: str, files: Files) -> None:
    writer = misplaced()
    writer.before = lambda what: _kill() if what == "add" else None
    with pytest.raises(Killed):
        run(MOVES, writer, files)
    writer.before = lambda _: None
    if damage == "lost":
        files.rollback.unlink()
    else:
        files.rollback.write_text(files.rollback.read_text()[:50] if damage == "cut off" else "")
    state = writer.state
    for attempt in (partial(roll_back, files.rollback, writer, yes), partial(run, MOVES, writer, files)):
        with pytest.raises(UsageError) as caught:
            attempt()
        said = str(caught.value).splitlines()
        assert str(files.rollback) in said[0]
        assert f"  step 1, done: - http/IIS01  from TEST\\wrong ({dn_of('wrong')})" in said
        assert f"  step 2, begun, perhaps done: + HTTP/iis01  to TEST\\right ({dn_of('right')})" in said
        by_hand = said[next(at for at, line in enumerate(said) if line.startswith("To take them back by hand")) + 1 :]
        assert [line.split()[:2] for line in by_hand[:2]] == [["-", "HTTP/iis01"], ["+", "http/IIS01"]]
    assert writer.state == state


def test_a_lost_rollback_file_is_told_before_a_controller_is_asked(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    run(MOVES, misplaced(), files)
    files.rollback.unlink()
    assert main(["plan", "--ad", "ldap://192.0.2.1", "--rollback", str(files.rollback)]) == 64
    said = capsys.readouterr().err
    assert "knows these steps:" in said
    assert f"step 4, done: + HTTP/iis01.test.com  to TEST\\right ({dn_of('right')})" in said


def test_agreeing_to_what_is_not_planned_is_a_usage_error(files: Files) -> None:
    writer = misplaced()
    other = frozenset({spn("HTTP/other")})
    with pytest.raises(UsageError, match=r"--confirm-delete HTTP/other: no step of this plan deletes it"):
        apply(MOVES, None, writer, files, NOBODY, yes, deletable=other)
    with pytest.raises(UsageError, match=r"--confirm-delete HTTP/new: no step of this plan deletes it"):
        apply([add("HTTP/new", "third")], None, writer, files, NOBODY, yes, deletable=frozenset({spn("HTTP/new")}))
    with pytest.raises(UsageError, match=r"--confirm HTTP/other: no step of this plan is about it"):
        apply(MOVES, None, writer, files, other, yes)
    assert writer.log == []


@pytest.mark.parametrize("words", [["--confirm", "HTTP/a"], ["--confirm-delete", "HTTP/a"]])
@pytest.mark.parametrize("more", [[], ["--rollback", "a.json"]])
def test_agreeing_without_apply_is_a_usage_error(
    words: list[str], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--ad", "off", *words, *more]) == 64
    assert f"{words[0]} HTTP/a says what --apply may do" in capsys.readouterr().err


def test_apply_and_rollback_are_two_things(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--ad", "ldap://dc1", "--apply", "--rollback", "a.json"]) == 64
    assert "one of them at a time" in capsys.readouterr().err


# -- two at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["asking", "changing", "taking back"])
def test_the_second_run_in_a_folder_is_told_who_works_there(moment: str, tmp_path: Path, files: Files) -> None:
    writer, said = misplaced(), list[str]()
    before = writer.state

    def second(_: str = "") -> bool:
        writer.before = writer.after = lambda _: None
        for attempt in (
            lambda: run(MOVES, writer, files),
            lambda: run([], writer, files),
            lambda: roll_back(files.rollback, writer, yes),
        ):
            with pytest.raises(UsageError) as caught:
                attempt()
            said.append(str(caught.value))
        return True

    if moment == "changing":
        writer.after = lambda what: None if what != "delete" else (second(), None)[1]
    done = apply(MOVES, None, writer, files, NOBODY, second if moment == "asking" else yes)
    assert (done.outcome, writer.state) == ("done", MOVED)
    back = roll_back(files.rollback, writer, second if moment == "taking back" else yes)
    assert (back.outcome, writer.state) == ("done", before)
    assert len(said) == 3
    for words in said:
        assert words.startswith(f"nothing was changed: process {os.getpid()} of ")
        assert f"works in {tmp_path} ({files.lock.name}): wait for its end" in words
    assert not list(tmp_path.glob("*.lock")), "nothing is left that a person would have to remove"


def test_a_run_that_was_killed_locks_nobody_out(tmp_path: Path) -> None:
    """The system lets go of a lock when its process ends; the file that it leaves is no lock."""
    code = "import os, pathlib, sys; from agent.change.lock import alone\n"
    code += "held = alone(pathlib.Path(sys.argv[1]) / 'a.lock'); held.__enter__(); print('locked', flush=True)\n"
    code += "sys.stdin.read(); os._exit(9)"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"locked" + os.linesep.encode()
        with pytest.raises(UsageError, match=f"process {killed.pid} of"):
            run(MOVES, misplaced(), Files.of(tmp_path / "a.json"))
        killed.communicate()
    assert list(tmp_path.glob("*.lock"))
    assert run(MOVES, misplaced(), Files.of(tmp_path / "a.json")).outcome == "done"
    assert not list(tmp_path.glob("*.lock"))


# -- any directory -------------------------------------------------------------------------------------------------

NAMES = [f"HTTP/h{n}" for n in range(4)]
ACCOUNTS = ["a", "b", "c"]


@given(
    places=st.lists(st.sampled_from(ACCOUNTS), min_size=4, max_size=4),
    targets=st.lists(st.sampled_from(ACCOUNTS), min_size=4, max_size=4),
    upper=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_any_move_comes_back_exactly(
    places: list[str], targets: list[str], upper: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    held: dict[str, list[str]] = {account: [] for account in ACCOUNTS}
    for name, place, loud in zip(NAMES, places, upper, strict=True):
        held[place].append(name.upper() if loud else name)
    writer, files = memory(**held), Files.of(tmp_path_factory.mktemp("moves") / "a.json")
    before = writer.state
    moves = [(n, p, t) for n, p, t in zip(NAMES, places, targets, strict=True) if p != t]
    steps = [delete(n, p) for n, p, _ in moves] + [add(n, t) for n, _, t in moves]
    outcome = run(steps, writer, files).outcome
    assert outcome == ("done" if moves else "nothing")
    for name, target in zip(NAMES, targets, strict=True):
        assert [fold(name) in map(fold, writer.accounts[dn_of(a)]) for a in ACCOUNTS] == [a == target for a in ACCOUNTS]
    if moves:
        roll_back(files.rollback, writer, yes)
    assert writer.state == before


# -- the request (RFC 4511 4.6) ------------------------------------------------------------------------------------


class Wire:
    """A connection whose server gives one answer."""

    server = "dc1.test.com:389"

    def __init__(self, answer: bytes) -> None:
        from sansldap import LDAPClient

        self.client, self.answer, self.sent = LDAPClient(), answer, b""

    def exchange(self, request: Callable[[object], int]) -> object:
        request(self.client)
        self.sent = self.client.data_to_send()
        return self.client.receive(self.answer)[0]


def _tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def _response(code: int, text: str = "", tag: int = 0x67) -> bytes:
    result = _tlv(0x0A, bytes([code])) + _tlv(0x04) + _tlv(0x04, text.encode())
    return _tlv(0x30, _tlv(0x02, b"\x01"), _tlv(tag, result))


@pytest.mark.parametrize(("operation", "number"), [("add", 0), ("delete", 1)])
def test_the_bytes_of_a_modify_request(operation: str, number: int) -> None:
    ldap_modify = pytest.importorskip("agent.sources.ad.modify", exc_type=ImportError)
    wire = Wire(_response(0))
    ldap_modify.modify(wire, "CN=a", operation, "servicePrincipalName", b"HTTP/a")
    values = _tlv(0x31, _tlv(0x04, b"HTTP/a"))
    change = _tlv(0x30, _tlv(0x0A, bytes([number])), _tlv(0x30, _tlv(0x04, b"servicePrincipalName"), values))
    assert wire.sent == _tlv(0x30, _tlv(0x02, b"\x01"), _tlv(0x66, _tlv(0x04, b"CN=a"), _tlv(0x30, change)))


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (8, "", "strongerAuthRequired"),
        (10, "", "name a writable controller"),
        (16, "00002085: AtrErr: DSID-03152804", r"noSuchAttribute.*00002085"),
        (19, "000021C7: AtrErr: DSID-03200BBA, #1:\n\t0: 000021C7", r"0x21C7, 8647.*HOST/"),
        (19, "00002082: AtrErr", "constraintViolation"),
        (20, "", "attributeOrValueExists"),
        (32, "", "moved, renamed or deleted"),
        (50, "00002098: SecErr: DSID-031514A0, problem 4003", "insufficientAccessRights"),
        (51, "", "busy"),
        (53, "", "unwillingToPerform"),
        (68, "", "entryAlreadyExists"),
        (118, "", "LDAP result 118"),
    ],
)
def test_what_a_refusal_means(code: int, text: str, words: str) -> None:
    ldap_modify = pytest.importorskip("agent.sources.ad.modify", exc_type=ImportError)
    with pytest.raises(RefusedError, match=words) as caught:
        ldap_modify.modify(Wire(_response(code, text)), "CN=a", "add", "servicePrincipalName", b"HTTP/a")
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert "\n" not in str(caught.value)


def test_another_answer_settles_nothing() -> None:
    ldap_modify = pytest.importorskip("agent.sources.ad.modify", exc_type=ImportError)
    with pytest.raises(SourceError, match="something else") as caught:
        ldap_modify.modify(Wire(_response(0, tag=0x61)), "CN=a", "add", "servicePrincipalName", b"HTTP/a")
    assert not isinstance(caught.value, RefusedError)


def test_a_catalog_is_not_written_to() -> None:
    ldap_modify = pytest.importorskip("agent.sources.ad.modify", exc_type=ImportError)
    from agent.sources.ad.ldap import LdapSource

    with pytest.raises(UsageError, match="global catalog"), ldap_modify.writer(LdapSource(target="gc://dc1")):
        pass
