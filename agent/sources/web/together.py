"""Many URLs looked at, some at a time."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread

from agent.evidence.observed import Seen
from agent.sources.web.looking import looked_at
from agent.sources.web.tickets import Tickets
from agent.story.probing import Look

_PATIENCE = 0.5
"""Seconds: so often Ctrl-C is listened to, which on Windows does not wake who waits."""


def look_at_all(looks: Sequence[Look], tickets: Tickets, tls: ssl.SSLContext, parallel: int) -> tuple[Seen, ...]:
    """What was seen, in the order of what was to be looked at.

    The threads are daemons: one that waits for a silent KDC does not keep the program from ending.
    """
    waiting: SimpleQueue[tuple[int, Look]] = SimpleQueue()
    done: SimpleQueue[tuple[int, Seen | Exception]] = SimpleQueue()
    for each in enumerate(looks):
        waiting.put(each)
    for _ in range(min(parallel, len(looks))):
        Thread(target=_drain, args=(waiting, done, tickets, tls), daemon=True).start()
    found: dict[int, Seen] = {}
    while len(found) < len(looks):
        try:
            number, seen = done.get(timeout=_PATIENCE)
        except Empty:
            continue
        if isinstance(seen, Exception):
            raise seen
        found[number] = seen
    return tuple(found[number] for number in range(len(looks)))


def _drain(
    waiting: SimpleQueue[tuple[int, Look]],
    done: SimpleQueue[tuple[int, Seen | Exception]],
    tickets: Tickets,
    tls: ssl.SSLContext,
) -> None:
    while True:
        try:
            number, look = waiting.get_nowait()
        except Empty:
            return
        try:
            done.put((number, looked_at(look, tickets, tls)))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            done.put((number, error))
