"""`--apply` on a real domain controller that refuses, loses an account or is asked by two: nothing is left half done
without being named, and at no moment more than one name is without a holder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from agent.change.apply import apply, roll_back
from agent.change.journal import Files
from agent.change.writer import Writer
from agent.errors import UsageError
from agent.model import Step
from agent.names import AccountName, Spn, spn
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.modify import LdapWriter, writer

from . import samba
from .samba import DomainController, add_spn, user

pytestmark = pytest.mark.live

NOBODY: frozenset[Spn] = frozenset()
COUNT = 4
"""Names that are moved in one run: eight requests."""


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> Iterator[DomainController]:
    """The controller, with a full administrator's ticket in use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{domain_controller.kinit('Administrator')}")
        yield domain_controller


@contextmanager
def live(dc: DomainController) -> Iterator[LdapWriter]:
    with writer(LdapSource(target=f"ldap://{dc.host}", address=dc.address, seconds=20)) as made:
        yield made


def yes(_: str) -> bool:
    return True


def names(mark: str) -> list[str]:
    return [f"HTTP/half-{mark}-{number}.test.com" for number in range(COUNT)]


def dn(base: str, mark: str, which: str) -> str:
    return f"CN=half-{mark}-{which},CN=Users,{base}"


def moves(base: str, mark: str) -> list[Step]:
    """All removals, then all registrations: a plan in any order is carried out name after name."""
    steps = [("spn-delete", "old", name) for name in names(mark)]
    steps += [("spn-add", f"new{number}", name) for number, name in enumerate(names(mark))]
    return [
        Step(
            order=order,
            kind=kind,  # type: ignore[arg-type]
            spn=spn(name),
            account=AccountName("TEST", f"half-{mark}-{which}"),
            finding="spn-misplaced",
            dn=dn(base, mark, which),
        )
        for order, (kind, which, name) in enumerate(steps, start=1)
    ]


def set_up(dc: DomainController, mark: str) -> None:
    dc.apply(user(f"half-{mark}-old", spns=names(mark)), *(user(f"half-{mark}-new{n}") for n in range(COUNT)))


def homeless(by: Writer, mark: str) -> set[str]:
    """The names that no account of the domain holds."""
    return {name for name in names(mark) if not by.holders(name)}


def as_before(dc: DomainController, by: Writer, mark: str) -> bool:
    return set(by.values(dn(dc.base_dn, mark, "old"))) == set(names(mark))


class Watched:
    """The real thing, and something that happens before each request that changes."""

    def __init__(self, real: Writer, before: Callable[[str, str], None]) -> None:
        self._real, self._before = real, before
        self.server = real.server
        self.values, self.holders = real.values, real.holders

    def add_value(self, dn: str, text: str) -> None:
        self._before("add", text)
        self._real.add_value(dn, text)

    def delete_value(self, dn: str, text: str) -> None:
        self._before("delete", text)
        self._real.delete_value(dn, text)


def test_an_account_that_is_not_there_at_the_seventh_step(dc: DomainController, tmp_path: Path) -> None:
    """Found before the question, and found when it goes while the question stands."""
    for moment in ("before", "meanwhile"):
        set_up(dc, mark := f"gone-{moment}")
        files = Files.of(tmp_path / f"{mark}.json")
        steps = moves(dc.base_dn, mark)

        def leave(_: str, mark: str = mark) -> bool:
            dc.apply(samba.delete(f"half-{mark}-new2"))
            return True

        if moment == "before":
            leave("")
        with live(dc) as made:
            stopped = apply(steps, None, made, files, NOBODY, yes if moment == "before" else leave)
            assert stopped.outcome == "stopped", stopped.message
            assert "Nothing was changed" in stopped.message
            assert f"half-{mark}-new2" in stopped.message
            assert as_before(dc, made, mark)
        assert not files.rollback.exists()


def test_a_refused_add_after_its_delete(dc: DomainController, tmp_path: Path) -> None:
    """Somebody is faster by the time of one request: the controller refuses, one name is affected, and it is named."""
    set_up(dc, "late")
    dc.apply(user("half-late-third"))
    files = Files.of(tmp_path / "late.json")

    def faster(what: str, text: str) -> None:
        if what == "add" and text == names("late")[2]:
            dc.apply(add_spn("half-late-third", text))

    with live(dc) as made:
        stopped = apply(moves(dc.base_dn, "late"), None, Watched(made, faster), files, NOBODY, yes)
        assert stopped.outcome == "stopped"
        assert "0x21C7" in stopped.message
        assert stopped.message.count("was deleted already") == 1
        assert f"{names('late')[2]} was deleted already" in stopped.message
        assert [made.values(dn(dc.base_dn, "late", f"new{n}")) for n in (0, 1, 3)] == [
            (names("late")[0],),
            (names("late")[1],),
            (),
        ]
        back = roll_back(files.rollback, made, yes)
        assert back.outcome == "stopped", "the one that somebody took stays where he put it"
        assert {change.spn for change in back.left} == {names("late")[2]}
        dc.apply(samba.delete_spn("half-late-third", names("late")[2]))
        assert roll_back(files.rollback, made, yes).outcome == "done"
        assert as_before(dc, made, "late")


def test_a_rollback_goes_on_after_a_step_that_fails(dc: DomainController, tmp_path: Path) -> None:
    set_up(dc, "back")
    files = Files.of(tmp_path / "back.json")
    with live(dc) as made:
        assert apply(moves(dc.base_dn, "back"), None, made, files, NOBODY, yes).outcome == "done"
        dc.apply(samba.delete("half-back-new1"))
        stopped = roll_back(files.rollback, made, yes)
        assert stopped.outcome == "stopped"
        assert stopped.failed is not None
        assert stopped.failed.dn == dn(dc.base_dn, "back", "new1")
        assert f"Not taken back:  {stopped.failed}" in stopped.message
        assert as_before(dc, made, "back"), "with its account the SPN is gone, and so it could come back"


def test_the_rights_that_the_controller_shows(dc: DomainController, monkeypatch: pytest.MonkeyPatch) -> None:
    dc.apply(user("half-nobody"), user("half-target"))
    target = f"CN=half-target,CN=Users,{dc.base_dn}"
    with live(dc) as made:
        assert made.may_write(target)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{dc.kinit('half-nobody')}")
    with live(dc) as made:
        assert not made.may_write(target)


# -- processes -----------------------------------------------------------------------------------------------------


def die(host: str, address: str, base: str, mark: str, folder: str, at: int) -> None:
    """The program that is killed: at its request number `at`, before it is sent; with `at` -1 it waits at its question
    until it is told to go on."""
    requests = 0

    def before(_what: str, _text: str) -> None:
        nonlocal requests
        if requests == at:
            os._exit(9)
        requests += 1

    def asked(_: str) -> bool:
        if at < 0:
            print("asking", flush=True)
            sys.stdin.readline()
        return True

    with writer(LdapSource(target=f"ldap://{host}", address=address, seconds=20)) as made:
        files = Files.of(Path(folder) / f"{mark}.json")
        apply(moves(base, mark), None, Watched(made, before), files, NOBODY, asked)


def started(dc: DomainController, mark: str, folder: Path, at: int, **more: Any) -> subprocess.Popen[str]:
    root = Path(__file__).parents[1]
    code = "import sys; from live.test_apply_halfway import die; a = sys.argv[1:]; die(*a[:5], int(a[5]))"
    words = [dc.host, dc.address, dc.base_dn, mark, str(folder), str(at)]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root.parent}"}
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, text=True, **more)


def test_killed_before_any_request_at_most_one_name_has_no_holder(dc: DomainController, tmp_path: Path) -> None:
    marks = [f"dead{at}" for at in range(2 * COUNT + 1)]
    for mark in marks:
        set_up(dc, mark)
        (tmp_path / mark).mkdir()
    waiting = [started(dc, mark, tmp_path / mark, at) for at, mark in enumerate(marks)]
    assert [process.wait(120) for process in waiting] == [9] * (2 * COUNT) + [0]
    with live(dc) as made:
        assert [len(homeless(made, mark)) for mark in marks] == [0, 1] * COUNT + [0]
        for mark in marks:
            files = Files.of(tmp_path / mark / f"{mark}.json")
            assert roll_back(files.rollback, made, yes).outcome in {"done", "nothing"}
            assert as_before(dc, made, mark)


def test_two_applies_in_one_folder(dc: DomainController, tmp_path: Path) -> None:
    """The second learns who works there and changes nothing; after the first has ended it is as any other."""
    set_up(dc, "first")
    set_up(dc, "second")
    first = started(dc, "first", tmp_path, -1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdout.readline() == "asking\n"
    with live(dc) as made:
        for attempt in (
            lambda: apply(moves(dc.base_dn, "second"), None, made, Files.of(tmp_path / "first.json"), NOBODY, yes),
            lambda: apply(moves(dc.base_dn, "first"), None, made, Files.of(tmp_path / "first.json"), NOBODY, yes),
            lambda: roll_back(tmp_path / "first.json", made, yes),
        ):
            with pytest.raises(UsageError, match=f"process {first.pid} of .* works in"):
                attempt()
        assert as_before(dc, made, "first")
        assert as_before(dc, made, "second")
        first.communicate("go on\n", timeout=120)
        assert first.returncode == 0
        assert not made.values(dn(dc.base_dn, "first", "old"))
        assert apply(moves(dc.base_dn, "second"), None, made, Files.within(tmp_path), NOBODY, yes).outcome == "done"
        assert roll_back(tmp_path / "first.json", made, yes).outcome == "done"
        assert as_before(dc, made, "first")
