"""Event logs as Windows keeps them (EVTX), read by the extra `evtx`: each record as the XML that `wevtutil` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from evtx import PyEvtxParser

from agent.errors import MalformedError
from agent.evidence.page import Page


def records(stream: BinaryIO, source: str) -> Iterator[Page]:
    """Each record, with its number in place of a line. Raises MalformedError where the file is no event log."""
    try:
        parser = PyEvtxParser(stream)
        for record in filter(None, parser.records()):
            yield Page(source, record["data"], int(record["event_record_id"]))
    except (RuntimeError, OSError) as error:
        raise MalformedError(source, None, f"the event log is damaged: {str(error)[:200]}") from None
