"""What makes a finding the same one in each run: no line, no message, no date."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from agent.model import Finding, Report, Server
from agent.names import fold
from agent.render.wording import shortened


def fingerprints(report: Report) -> Iterator[str]:
    """One for each finding of the report, in its order: 64 hexadecimal digits."""
    servers = {server.name: server for server in report.servers}
    seen = Counter[str]()
    for found in report.findings:
        key = _key(found, servers.get(found.server or ""))
        seen[key] += 1
        yield hashlib.sha256(f"{key}\n{seen[key]}".encode(errors="replace")).hexdigest()


def _key(found: Finding, server: Server | None) -> str:
    files = {shortened(line.file, server) for line in found.evidence if line.file is not None}
    about = (found.id, found.server, found.site, found.path, found.spn, found.account)
    told = sorted(files) if found.spn is None and found.site is None else []
    return fold("\n".join(("" if each is None else str(each)) for each in (*about, *told)))
