"""What a web server answers to `probe`, judged and told."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace

from agent.evidence.known import Known
from agent.evidence.observed import Reply, Seen, Sent
from agent.evidence.probed import judged
from agent.evidence.tokens import challenges, read_token
from agent.model import Tool
from agent.model.document import json_pieces
from agent.names import printable, spn
from agent.render.probed import to_text
from agent.render.probed_markdown import to_markdown
from agent.sources.web.exchange import read_reply
from agent.story.probed import SCHEMA, Probing, with_causes
from tests import made_tokens as made

SEEDS = [
    f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate {token}\r\nWWW-Authenticate: NTLM\r\n\r\n".encode()
    for token in (made.REFUSED, made.ACCEPTED, made.NTLM_CHALLENGE)
]
_ASKED = Seen(
    url="http://iis01.test.com/",
    client="edge",
    spn=spn("HTTP/iis01.test.com"),
    first=Reply(status=401, offers=challenges("Negotiate, NTLM")),
    sent=Sent(token=read_token(made.ASKED), ends=None),
)
_WHEN = "2026-11-22T10:00:00Z"


class _Socket:
    """A connection on which these bytes come, and then nothing more."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def settimeout(self, _seconds: float) -> None: ...

    def recv_into(self, buffer: memoryview) -> int:
        part = self._data[: len(buffer)]
        buffer[: len(part)] = part
        self._data = self._data[len(part) :]
        return len(part)


def web(data: bytes) -> None:
    """Raises SourceError for what is not HTTP."""
    reply = read_reply(cast(Any, _Socket(data)), lambda: 1.0, "HEAD")
    for seen in (replace(_ASKED, reply=reply), replace(_ASKED, first=reply, sent=None)):
        probe = with_causes(judged(seen), Known(()))
        probing = Probing(
            schema=SCHEMA, tool=Tool("iis-spn", "0"), started=_WHEN, finished=_WHEN, probes=(probe,), findings=()
        )
        for text in (to_text(probing, 80, False), to_markdown(probing), "".join(json_pieces(probing))):
            assert all(printable(line) == line for line in text.split("\n"))
