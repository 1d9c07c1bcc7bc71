"""The oracle: what the program predicts is what a real KDC and real keys show, row by row.

Each row of `scenarios` stands in a real directory. The program reads it over LDAP with a Kerberos ticket; then a real
ticket is asked for each SPN that it says a client asks for, and decrypted with the key that it says decrypts.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from msgspec.structs import replace

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from words import INVARIANTS

from agent.inspection.stages import Analysis
from agent.model import Explanation, Requirement
from agent.names import fold
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.logon import Logon
from agent.story import explain

from .samba import DomainController, password_of, user
from .scenarios import KIND_OF, NOT_EXPRESSED, NOT_YET, VERDICTS, Row, analysis, rows, set_up

if TYPE_CHECKING:
    from .conftest import Observe
    from .kdc import Observation

pytestmark = pytest.mark.live

READER = "oracle-reader"
PASSWORD_MARK = "Passw0rd"
"""What all passwords of the lab have in common."""

Look = Callable[[str, str], "Observation"]


class Told(NamedTuple):
    """A row, what the program told about it, and what was seen."""

    row: Row
    analysis: Analysis
    explanations: tuple[Explanation, ...]
    look: Look


@pytest.fixture(scope="module")
def ticket(domain_controller: DomainController) -> Iterator[Path]:
    """A credential cache in use, of a user who may do nothing but read."""
    domain_controller.apply(user(READER))
    set_up(domain_controller)
    cache = domain_controller.kinit(READER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{cache}")
        yield cache


@pytest.fixture(scope="module")
def told(
    domain_controller: DomainController,
    observe: Observe,
    ticket: Path,  # noqa: ARG001 - in use while the program looks
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Told]:
    return [_told(row, domain_controller, _remembering(observe), tmp_path_factory.mktemp("row")) for row in rows()]


def _told(row: Row, dc: DomainController, look: Look, folder: Path) -> Told:
    live = LdapSource(target=f"ldap://{dc.host}", address=dc.address, seconds=20)
    found = analysis([row], live.ask, folder, datetime.now(UTC))
    return Told(row, found, tuple(explain(found, url) for url in row.urls), look)


def _remembering(observe: Observe) -> Look:
    """Every question to the KDC once."""
    seen: dict[tuple[str, str], Observation] = {}

    def look(spn: str, account: str) -> Observation:
        key = (fold(spn), fold(account))
        if key not in seen:
            seen[key] = observe(spn, account)
        return seen[key]

    return look


# -- the table -----------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    row: str
    verdict: str
    spn: str
    account: str
    outcome: str
    predicted: str
    observed: str
    code: int | None

    @property
    def agrees(self) -> bool:
        return self.predicted == self.observed

    def __str__(self) -> str:
        code = "" if self.code is None else f" ({self.code})"
        start = f"{self.row:<12}{self.verdict:<29}{self.spn:<36}{self.account:<18}"
        return f"{start}{self.outcome:<14}{self.observed + code:<16}{'=' if self.agrees else 'DIFFERS'}"


def _lines(one: Told) -> Iterator[Line]:
    for requirement in one.analysis.report.requirements:
        yield _line(one, requirement)


def _line(one: Told, requirement: Requirement) -> Line:
    assert requirement.account is not None, f"{one.row.id}: nobody is said to decrypt {requirement.spn}"
    name, account = str(requirement.spn), requirement.account.name
    if (said := _says(one.row, name)) is not None:
        return Line(one.row.id, one.row.verdict, name, account, requirement.outcome, requirement.outcome, said, None)
    seen = one.look(name, account)
    predicted = KIND_OF.get(requirement.outcome, "nothing")
    return Line(one.row.id, one.row.verdict, name, account, requirement.outcome, predicted, seen.kind, seen.code)


def _says(row: Row, name: str) -> str | None:
    """What must be said of an SPN, whatever is seen."""
    return next((said for text, said in row.says.items() if fold(text) == fold(name)), None)


def test_predicted_is_observed(told: list[Told], capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for one in told for line in _lines(one)]
    with capsys.disabled():
        print("\n" + "\n".join(map(str, lines)))
        print(f"{len(told)} rows, {len(lines)} requirements, {sum(line.agrees for line in lines)} as predicted")
    assert [str(line) for line in lines if not line.agrees and line.row not in NOT_YET] == []
    assert all(one.analysis.report.requirements for one in told)
    assert {one.row.id for one in told if not _asks_what_must_be_said(one)} <= set(NOT_YET)


def test_the_observation_is_what_the_table_says(told: list[Told]) -> None:
    """Without the program's SPN or account: the rows themselves say what must be seen."""
    wrong = []
    for row, _, _, look in told:
        seen = {account: look(row.asks, account).kind for account in row.sees}
        allowed = VERDICTS.get(row.verdict)
        if seen != row.sees or (allowed and not allowed & set(seen.values())):
            wrong.append(f"{row.id}: {row.verdict}, {row.asks}, expected {row.sees}, seen {seen}")
    assert wrong == []


def test_explain_tells_what_is_observed(told: list[Told]) -> None:
    assert [text for one in told if one.row.id not in NOT_YET for text in _told_wrongly(one)] == []


def _told_wrongly(one: Told) -> Iterator[str]:
    row = one.row
    outcomes = [outcome for explanation in one.explanations for outcome in explanation.outcomes]
    for outcome in outcomes:
        if outcome.spn is None or outcome.decrypts_as is None:
            yield f"{row.id}: {outcome}"
        elif (said := _says(row, str(outcome.spn))) is not None:
            if outcome.outcome != said:
                yield f"{row.id}: {outcome.client} {outcome.spn} {outcome.outcome}, which must be {said}"
        elif KIND_OF.get(outcome.outcome) != (seen := one.look(str(outcome.spn), outcome.decrypts_as.name).kind):
            yield f"{row.id}: {outcome.client} {outcome.spn} {outcome.outcome}, seen {seen}"
    mine = [o for o in outcomes if o.client == row.client and o.decrypts_as]
    kinds = {(str(o.spn), o.decrypts_as.name, KIND_OF.get(o.outcome)) for o in mine if o.decrypts_as}
    expected = {(row.asks, account, kind) for account, kind in row.sees.items()}
    if row.asks in row.says:
        kinds, expected = {(str(o.spn), "", None) for o in mine}, {(row.asks, "", None)}
    if {_folded(item) for item in kinds} != {_folded(item) for item in expected}:
        yield f"{row.id}: explain says {kinds}, the row {expected}"


def test_what_is_predicted_now_is_no_longer_excused(told: list[Told]) -> None:
    by_name = {one.row.id: one for one in told}
    excused = [by_name[name] for name in NOT_YET]
    right = [
        one.row.id
        for one in excused
        if all(line.agrees for line in _lines(one)) and not list(_told_wrongly(one)) and _asks_what_must_be_said(one)
    ]
    assert right == []


def _asks_what_must_be_said(one: Told) -> bool:
    required = {fold(str(requirement.spn)) for requirement in one.analysis.report.requirements}
    return {fold(name) for name in one.row.says} <= required


def _folded(item: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(fold(str(text)) for text in item)


def test_explain_and_inspect_agree(told: list[Told]) -> None:
    wrong = []
    for one in told:
        required = {(r.spn, r.account): r.outcome for r in one.analysis.report.requirements}
        for explanation in one.explanations:
            for outcome in explanation.outcomes:
                said = required.get((outcome.spn, outcome.decrypts_as)) if outcome.spn else None
                if said != outcome.outcome:
                    wrong.append(f"{one.row.id}: {outcome.client} {outcome.spn} {outcome.outcome}, inspect: {said}")
    assert wrong == []


@pytest.mark.parametrize("name", INVARIANTS)
def test_the_words_agree_with_the_model(told: list[Told], name: str) -> None:
    assert [f"{one.row.id}: {text}" for one in told for text in INVARIANTS[name](one.analysis)] == []


def test_every_report_is_complete(told: list[Told]) -> None:
    assert [one.row.id for one in told if not one.analysis.report.complete] == []
    assert [one.row.id for one in told if any(s.status != "ok" for s in one.analysis.report.servers)] == []


def test_the_article_is_there() -> None:
    names = {row.id for row in rows()}
    right = {f"SEED-S{number}" for number in range(1, 9)} | {"extra-1", "extra-2"}
    wrong = {f"SEED-{name}" for name in ("W1", "W2", "W3A", "W3B", "DUP", "CNAME")}
    assert right | wrong <= names
    assert len(names) == len(rows())
    assert names.isdisjoint(name for left_out in NOT_EXPRESSED.values() for name in left_out)


# -- no secrets ----------------------------------------------------------------------------------------------------


def test_no_password_and_no_ticket_in_any_output(told: list[Told], ticket: Path) -> None:
    documents = [report.to_json() for one in told for report in (one.analysis.report, *one.explanations)]
    text = "\n".join([*documents, *(str(line) for one in told for line in _lines(one))])
    _assert_no_secret(text, ticket)


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize(
    ("password", "address"),
    [
        pytest.param(password_of(READER), None, id="right"),
        pytest.param(f"{PASSWORD_MARK}!wrong", None, id="wrong"),
        pytest.param(password_of(READER), "127.0.0.254", id="nobody there"),
    ],
)
def test_no_password_in_messages_and_logs(
    domain_controller: DomainController,
    ticket: Path,
    tmp_path: Path,
    password: str,
    address: str | None,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    live = LdapSource(
        target=f"ldap://{domain_controller.host}",
        address=address or domain_controller.address,
        seconds=20,
        logon=Logon(f"{READER}@TEST.COM", lambda: password),
    )
    found = analysis(rows()[:2], live.ask, tmp_path, datetime.now(UTC))
    assert found.report.complete == (password == password_of(READER) and address is None)
    said = [found.report.to_json(), repr(live), repr(found.cases[0].directory), caplog.text, *capfd.readouterr()]
    _assert_no_secret("\n".join(said), ticket)


def test_no_secret_in_an_exception(domain_controller: DomainController, ticket: Path, tmp_path: Path) -> None:
    """A fault on the way: what a traceback with all its messages and values would show."""

    def fail() -> str:
        raise RuntimeError("the prompt was interrupted")

    live = LdapSource(target=f"ldap://{domain_controller.host}", address=domain_controller.address)
    for logon in (Logon(READER, fail), Logon(f"{READER}@TEST.COM", lambda: "\0" + PASSWORD_MARK)):
        asker = replace(live, logon=logon)
        try:
            text = analysis(rows()[:1], asker.ask, tmp_path, datetime.now(UTC)).report.to_json()
        except RuntimeError as error:
            chain = [error, error.__cause__, error.__context__]
            text = "\n".join(f"{link!r} {link}" for link in chain)
        _assert_no_secret(text, ticket)


def _assert_no_secret(text: str, ticket: Path) -> None:
    assert PASSWORD_MARK not in text
    assert "YII" not in text  # how every token begins in base64
    assert not re.search(r"[A-Za-z0-9+/]{100}|[0-9A-Fa-f]{100}", text)
    for form in _forms(ticket.read_bytes()):
        assert not any(form[at : at + 32] in text for at in range(0, len(form) - 32, 16))


def _forms(data: bytes) -> Iterator[str]:
    yield data.hex()
    yield data.hex().upper()
    yield repr(data)
    for start in range(3):
        yield base64.b64encode(data[start:]).decode()
