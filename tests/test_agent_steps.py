"""What the agent does next, and what is news to it: decided from what it knows, without a clock or a disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_findings import HEADER, SERVICE
from worlds import World, ad, computer, server, site, user, world

from agent.history import Change
from agent.model import Report
from agent.watch.events import KINDS, MAXIMUM_TEXT, kind_of, text_of
from agent.watch.news import news
from agent.watch.step import (
    FIRST_RETRY,
    LAST_RETRY,
    LOOK,
    RETRIES,
    SETTLE,
    SETTLED_BY,
    Deliver,
    Inspect,
    Standing,
    Wait,
    delivered,
    inspected,
    looked,
    next_step,
)

HOUR = 3600.0
OLD, NEW, NEWER = {"host": 1}, {"host": 2}, {"host": 3}


def at_rest(now: float = 0.0) -> Standing:
    return inspected(Standing(), OLD, now)


# -- when ----------------------------------------------------------------------------------------------------------


def test_it_inspects_when_it_starts() -> None:
    assert next_step(Standing(), 1e9, HOUR) == Inspect("the agent started")
    assert next_step(looked(Standing(), OLD, 5.0), 5.0, HOUR) == Inspect("the agent started")


def test_it_inspects_when_the_interval_is_over() -> None:
    assert next_step(at_rest(), HOUR - 1, HOUR) == Wait(1.0)
    assert next_step(at_rest(), HOUR, HOUR) == Inspect("the interval is over")
    assert next_step(at_rest(), 10.0, HOUR) == Wait(LOOK)


def test_a_change_is_inspected_once_it_has_settled() -> None:
    changed = looked(at_rest(), NEW, 100.0)
    assert next_step(changed, 100.0, HOUR) == Wait(min(SETTLE, LOOK))
    assert next_step(changed, 100.0 + SETTLE, HOUR) == Inspect("the configuration changed")
    again = looked(changed, NEWER, 101.0)
    assert isinstance(next_step(again, 100.0 + SETTLE, HOUR), Wait), "it was written once more"
    assert next_step(again, 101.0 + SETTLE, HOUR) == Inspect("the configuration changed")


def test_who_writes_without_end_is_not_waited_for() -> None:
    standing, now = at_rest(), 100.0
    while isinstance(next_step(standing, now, HOUR), Wait):
        standing = looked(standing, {"host": now}, now)
        now += 1.0
    assert now <= 100.0 + SETTLED_BY + 1


def test_a_change_that_came_while_it_was_inspected_is_inspected_too() -> None:
    """The files are looked at before the server is read."""
    standing = inspected(at_rest(), OLD, 100.0)
    assert next_step(looked(standing, NEW, 101.0), 101.0 + SETTLE, HOUR) == Inspect("the configuration changed")


def test_a_file_that_is_watched_from_now_on_did_not_change() -> None:
    standing = looked(at_rest(), {**OLD, r"\\srv\iis": 9}, 100.0)
    assert standing.first is None
    assert looked(standing, {**OLD, r"\\srv\iis": 8}, 101.0).first == 101.0
    assert looked(standing, {"host": None, r"\\srv\iis": 9}, 101.0).first == 101.0, "one that is gone is otherwise"


def test_a_failed_delivery_is_tried_again_more_and_more_seldom() -> None:
    standing, now, pauses = at_rest(), 0.0, list[float]()
    for _ in range(12):
        standing = delivered(standing, now, done=False)
        begun = now
        while not isinstance(step := next_step(standing, now, 1e9), Deliver):
            assert isinstance(step, Wait)
            now += step.seconds
        pauses.append(now - begun)
    assert pauses[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert pauses[-1] == LAST_RETRY
    assert next_step(delivered(standing, now, done=True), now, 1e9) == Wait(LOOK)


def test_what_was_not_seen_is_looked_at_again_and_not_for_ever() -> None:
    standing, now, moments = Standing(), 0.0, []
    for _ in range(RETRIES + 2):
        standing = inspected(standing, OLD, now, whole=False)
        began = now
        while isinstance(due := next_step(standing, now, HOUR), Wait):
            now += due.seconds
        moments.append((now - began, due))
    seen = Inspect("not everything was seen")
    assert moments[:RETRIES] == [(FIRST_RETRY * 2**n, seen) for n in range(RETRIES)]
    assert moments[RETRIES:] == [(HOUR, Inspect("the interval is over"))] * 2
    assert isinstance(next_step(inspected(standing, OLD, now), now + FIRST_RETRY, HOUR), Wait), "it saw everything"


def test_a_short_interval_is_not_made_longer() -> None:
    unseen = inspected(Standing(), OLD, 0.0, whole=False)
    assert next_step(unseen, 10.0, 10.0) == Inspect("the interval is over")


def test_what_is_found_anew_is_delivered_with_it() -> None:
    standing = delivered(at_rest(), 0.0, done=False)
    assert next_step(standing, HOUR, HOUR) == Inspect("the interval is over")


@given(st.lists(st.tuples(st.sampled_from(["look", "change", "fail", "deliver"]), st.floats(0, 5000)), max_size=40))
def test_it_never_waits_longer_than_a_look_nor_no_time_at_all(events: list[tuple[str, float]]) -> None:
    standing, now = at_rest(), 0.0
    for number, (event, passed) in enumerate(events):
        now += passed
        match event:
            case "look":
                standing = looked(standing, standing.stamps, now)
            case "change":
                standing = looked(standing, {"host": number + 10}, now)
            case _:
                standing = delivered(standing, now, done=event == "deliver")
        step = next_step(standing, now, HOUR)
        assert not isinstance(step, Wait) or 0 < step.seconds <= LOOK
        if isinstance(step, Inspect):
            standing = inspected(standing, standing.stamps, now)


# -- news ----------------------------------------------------------------------------------------------------------


def told(found: World) -> Report:
    return found.report


def farm(*holders: str, lost: bool = False, kernel: bool = True) -> Report:
    """A site whose pool decrypts; with `lost`, a web.config that nobody could open."""
    unread = ((r"C:\web\web.config", "access denied"),) if lost else ()
    built = server(site(HEADER), pool=SERVICE, creds=True, kernel=kernel, mode="Allow", facts={"unread": unread})
    return told(world(built, ad=ad(computer(), user("contososvc", *holders)), dns="contoso A 10.0.5.2"))


BOTH = ("HTTP/contoso.test.com", "HTTP/contoso")


def subjects(changes: object) -> set[tuple[str, str]]:
    assert isinstance(changes, list | tuple)
    return {(one.what, one.name or str(one.spn or "")) for one in changes}


def test_the_first_report_is_no_news_and_the_same_again_is_none() -> None:
    assert news(None, None, farm(*BOTH)) == ()
    assert news(None, farm(*BOTH), farm(*BOTH)) == []


def test_what_changed_is_news_the_worst_first() -> None:
    changes = news(None, farm(*BOTH), farm(BOTH[1]))
    assert ("requirement", BOTH[0]) in subjects(changes)
    assert [one.severity for one in changes] == sorted(
        (one.severity for one in changes), key=["error", "warning", "info"].index
    )


def test_what_happened_while_not_everything_was_seen_is_told_once() -> None:
    """The report between them is silent about it, and the silence would swallow it."""
    first, between, after = farm(*BOTH), farm(*BOTH, lost=True), farm(*BOTH, kernel=False)
    assert first.complete
    assert not between.complete
    lost = news(None, first, between)
    assert ("finding", "content-unread") in subjects(lost)
    found = news(first, between, after)
    assert ("setting", "kernel_mode") in subjects(found)
    assert ("setting", "kernel_mode") in subjects(news(None, first, after)), "as if nothing had come between them"
    assert news(first, after, after) == []


def test_what_stays_unseen_is_not_told_again() -> None:
    first, lost = farm(*BOTH), farm(*BOTH, lost=True)
    assert news(first, lost, lost) == []


def test_that_everything_is_seen_again_is_news() -> None:
    first, lost = farm(*BOTH), farm(*BOTH, lost=True)
    assert ("finding", "content-unread") in subjects(news(first, lost, first))


# -- events --------------------------------------------------------------------------------------------------------


def change(severity: str) -> Change:
    return Change(kind="appeared", what="finding", severity=severity, because="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("severities", "kind"),
    [(["info"], "info"), (["warning", "info"], "warning"), (["info", "error", "warning"], "error")],
)
def test_an_event_is_as_bad_as_the_worst_change(severities: list[str], kind: str) -> None:
    assert kind_of([change(one) for one in severities]) == KINDS[kind]  # type: ignore[index]


def test_numbers_and_types_of_events() -> None:
    """EVENTLOG_ERROR_TYPE 1, _WARNING_TYPE 2, _INFORMATION_TYPE 4; EventCreate.exe has the messages 1 to 1000."""
    assert {kind: tuple(row) for kind, row in KINDS.items()} == {"info": (1, 4), "warning": (2, 2), "error": (3, 1)}


def test_the_text_of_an_event_is_taken_as_it_is() -> None:
    """ReportEvent: strings with %n, as in an IPv6 address with its zone, are taken for insertions."""
    assert text_of("fe80::1%12, 100 %, %windir%") == "fe80::1% 12, 100 %, %windir%"
    assert len(text_of("x" * 100_000)) <= MAXIMUM_TEXT + 10 < 31_839
