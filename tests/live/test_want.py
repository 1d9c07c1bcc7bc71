"""`plan --want` on a real domain controller: the SPN side in the directory, the IIS side on copies of the files.

After every step a real ticket is asked for each SPN that a client of these servers asks for, and decrypted with the
keys of the account that is said to decrypt then. A group managed service account has a common password here: Samba 4.17
has no managed ones. Who may read it, and a dMSA, are looked at in memory only (tests/test_want.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from console import Ldif
from inputs import Inputs
from test_want import Watched, done
from wants import KINDS

from agent import plan
from agent.cli.program import main
from agent.model import Report, Step
from agent.names import fold

from .samba import DomainController, add_spn, computer, delete_spn, managed_account, user
from .scenarios import KIND_OF
from .test_apply import _state

if TYPE_CHECKING:
    from .conftest import Observe

pytestmark = pytest.mark.live

OWN = {"IIS0": "W~N0", "iis0": "w~n0", "portal": "portal-w~", "start": "start-w~", "reports": "reports-w~"}
ACCOUNTS = {
    "gmsaWeb": "gmsaW~",
    r"\old": r"\oldw~",
    r"\svc": r"\svcw~",
    ": old": ": oldw~",
    ": svc": ": svcw~",
    ": new": ": neww~",
}
"""Other names for each kind: the directory is shared."""


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> Iterator[DomainController]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{domain_controller.kinit('Administrator')}")
        yield domain_controller


@pytest.fixture(params=range(len(KINDS)), ids=list(KINDS))
def bench(request: pytest.FixtureRequest, dc: DomainController, tmp_path: Path) -> Inputs:
    """One of the five kinds: its files, and its accounts in the directory, each test with names of its own."""
    mark = f"{'ab'['apply' in request.node.name]}{request.param}"
    given = list(KINDS.values())[request.param].written(tmp_path / "given")
    for path in given.folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for old, new in (OWN | ACCOUNTS).items():
                text = text.replace(old, new.replace("~", mark))
            path.write_text(text, encoding="utf-8")
    for folder in given.servers:
        folder.rename(folder.with_name(folder.name.replace("IIS0", f"W{mark}N0")))
    for entry in Ldif(given.directory[0]).entries:
        spns = entry.values("servicePrincipalName")
        if entry.is_computer and "gmsa" not in entry.account:
            dc.apply(computer(entry.account.removesuffix("$"), spns=spns))
        elif entry.account:
            make = managed_account if entry.account.endswith("$") else user
            dc.apply(make(entry.account.removesuffix("$"), spns=spns))
    return given


def inspected(given: Inputs, dc: DomainController) -> Report:
    return plan(given.servers, want=given.want, ad=f"ldap://{dc.address}", dns=given.zones)


def agrees(report: Report, observe: Observe) -> dict[str, str]:
    """Predicted is observed, for every SPN; what was seen of each."""
    seen = {}
    for requirement in report.requirements:
        assert requirement.account is not None
        kind = observe(str(requirement.spn), requirement.account.name).kind
        assert kind == KIND_OF[requirement.outcome], f"{requirement.spn} for {requirement.account}"
        seen[fold(str(requirement.spn))] = max(kind, seen.get(fold(str(requirement.spn)), ""), key=_ORDER.index)
    return seen


_ORDER = ("", "kerberos", "no-ticket", "modified")
"""The worst last: one name may be asked for at two servers."""


def carried_out(step: Step, given: Inputs, dc: DomainController) -> None:
    if step.changes_spn:
        name, account = step.value
        dc.apply((add_spn if step.is_add else delete_spn)(account.name, name.text))
    else:
        done(step, given)


def test_after_each_step_predicted_is_observed(bench: Inputs, dc: DomainController, observe: Observe) -> None:
    before = inspected(bench, dc)
    assert [goal.reached for goal in before.plan.wanted] == [False]
    worked = {name for name, kind in agrees(before, observe).items() if kind == "kerberos"}
    heard = Watched({}, set())
    for step in before.plan.steps:
        carried_out(step, bench, dc)
        heard.hear(step)
        seen = agrees(inspected(bench, dc), observe)
        failing = {name for name in worked if seen.get(name) == "modified"}
        assert failing <= {fold(str(name)) for name in heard.open_at(step.order)}, f"step {step.order}"
    after = inspected(bench, dc)
    assert [(goal.reached, goal.steps) for goal in after.plan.wanted] == [(True, ())]
    assert agrees(after, observe)[f"http/{after.plan.wanted[0].host}"] == "kerberos"


def state(dc: DomainController, given: Inputs) -> dict[str, frozenset[str]]:
    """All values of the accounts of one kind: each has its mark in its name."""
    return _state(dc, given.servers[0].name[:3])


def test_apply_goes_as_far_as_iis_lets_it_and_then_on(
    bench: Inputs,
    dc: DomainController,
    observe: Observe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Called, then IIS and DNS as it said, then called again; each run is taken back by its own file."""
    monkeypatch.chdir(tmp_path)
    before, steps = state(dc, bench), inspected(bench, dc).plan.steps
    looking = ["--ad", f"ldap://{dc.address}", "--dns", str(bench.zones[0]), "--want", str(bench.want)]
    apply = ["plan", *map(str, bench.servers), *looking, "--apply"]

    def run(*words: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
        code = main(words)
        told.append("".join(capsys.readouterr()))
        return code

    told: list[str] = []
    assert run(*apply) == 1
    first = set(tmp_path.glob("iis-spn-rollback-*.json"))
    for step in steps:
        if not step.changes_spn:
            assert (step.command or step.note or "") in told[0], "it says what has to be done"
            done(step, bench)
    if any(step.after for step in steps):
        assert run(*apply) == 0
    report = inspected(bench, dc)
    assert report.plan.is_reached
    agrees(report, observe)
    assert run(*apply) == 0, "nothing is left"
    second = set(tmp_path.glob("iis-spn-rollback-*.json")) - first
    for file in (*second, *first):
        run("plan", "--ad", f"ldap://{dc.address}", "--rollback", str(file))
    assert state(dc, bench) == before
