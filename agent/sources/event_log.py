"""Event logs as Windows keeps them (EVTX), read by the extra `evtx`: each record as the XML that `wevtutil` prints."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from evtx import PyEvtxParser

from agent.errors import MalformedError
from agent.evidence.page import Page

_NEXT_RECORD = 24
"""Where the file says which number its next record will have: 1 in a log that never held one."""

LARGEST_PIPE = 256 << 20
"""Bytes that are kept of a log that comes through a pipe, in which the parser cannot go back."""


def records(stream: BinaryIO, source: str) -> Iterator[Page]:
    """Each record, with its number in place of a line. Raises MalformedError where the file is damaged."""
    if not stream.seekable():
        data = stream.read(LARGEST_PIPE + 1)
        if len(data) > LARGEST_PIPE:
            raise MalformedError(source, None, f"larger than {LARGEST_PIPE >> 20} MB: give the file itself")
        stream = io.BytesIO(data)
    following = int.from_bytes(stream.read(_NEXT_RECORD + 8)[_NEXT_RECORD:], "little")
    stream.seek(0)
    number = None
    try:
        for record in filter(None, PyEvtxParser(stream).records()):
            xml, number = record["data"], int(record["event_record_id"])
            yield Page(source, xml[xml.find("<Event") :], number)
    except (RuntimeError, OSError, ValueError) as error:
        raise MalformedError(source, None, f"the event log is damaged: {str(error)[:200]}") from None
    if number is None and following != 1:
        raise MalformedError(source, None, "the event log is damaged: none of its events could be read")
