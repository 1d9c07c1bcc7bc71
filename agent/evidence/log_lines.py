"""Lines of an IIS log that stand in a text with other things."""

from __future__ import annotations

import re

from agent.evidence.page import Page
from agent.evidence.w3c_columns import DEFAULT_FIELDS, Columns
from agent.evidence.w3c_log import Log

_LINE = re.compile(r"^[ \t]*(?P<fields>#Fields:[^\n]*)|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S[^\n]*", re.MULTILINE)


def log_lines(page: Page) -> Log:
    """What they say together. Without their `#Fields:` line they are read if they have the columns of the default."""
    log = Log(page.source)
    for found in _LINE.finditer(page.text):
        line = found.group().strip().encode()
        if found["fields"] is None and not log.columns.names:
            names = DEFAULT_FIELDS.get(line.count(b" ") + 1)
            if names is None or Columns(names).values(line) is None:
                continue
            log.columns = Columns(names)
        log.take([line + b"\n"], page.line(found.start()))
    return log
