"""One connection to a virtual server: logon, sealed messages, operations, and the faults on the way."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from . import envelope, http
from .authentication import Session
from .envelope import FaultError
from .faults import Moment
from .http import Answer, DisconnectError, Request
from .wsman import too_many_shells

if TYPE_CHECKING:
    from .server import Server

_SEALING_ROOM = 65_536
_PAGES = {
    "403": Answer(403, b"<h2>Forbidden</h2>", [("Content-Type", "text/html")]),
    "404": Answer(404, b"<h2>Not Found</h2>", [("Content-Type", "text/html")]),
    "http500": Answer(500),
    "http503": Answer(503, b"<h2>Service Unavailable</h2>", [("Content-Type", "text/html")]),
}


class Connection:
    """Answers until the client goes."""

    def __init__(
        self,
        server: Server,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        bindings: GssChannelBindings | None,
        *,
        secure: bool,
    ) -> None:
        self.server, self.reader, self.writer, self.secure = server, reader, writer, secure
        certificate = writer.get_extra_info("peercert")
        options, domain = server.options, server.behaviour.domain
        self.session = Session(server.name, options, server.count, certificate, bindings, domain)

    async def serve(self) -> None:
        """Raises DisconnectError where the server hangs up."""
        limit = self.server.options.max_envelope + _SEALING_ROOM
        while (request := await http.read_request(self.reader, self.writer, limit)) is not None:
            self.server.count("requests")
            with self.server.counters.requests.one_more():
                await asyncio.sleep(self.server.behaviour.latency)
                await self._serve(request)

    async def _serve(self, request: Request) -> None:
        fresh = ("auth",) if not self.session.user else ()
        answer = await self._disturbed(*fresh)
        if answer is None:
            answer = self._not_logged_on(request)
        if answer is None:
            return await self._operate(request, fresh)
        return await self._send(answer, self._due("answer", *fresh))

    def _due(self, moment: Moment, *stages: str, sealed: bool = False) -> str:
        fault = self.server.faults.due(moment, *stages, sealed=sealed)
        if fault:
            self.server.count(f"injected.{fault}")
        return fault

    async def _disturbed(self, *stages: str) -> Answer | None:
        """The answer that stands for the real one, if there is to be one."""
        fault = self._due("request", *stages)
        if fault == "drop":
            raise DisconnectError
        if fault == "hang":
            await http.hang(self.reader, self.server.behaviour.argument)
        if fault == "slow":
            await asyncio.sleep(self.server.behaviour.argument)
        if fault.startswith("401"):
            self.server.count("401")
            return Answer(401, headers=self.session.challenge(), close=fault == "401close")
        return _PAGES.get(fault)

    def _not_logged_on(self, request: Request) -> Answer | None:
        """The answer to a request that is not (yet) about an operation."""
        if request.method != "POST" or not request.path.lower().startswith("/wsman"):
            return Answer(404)
        if request.headers.get("wsmanidentify", "").lower() == "unauthenticated":
            return Answer(200, envelope.IDENTITY, [("Content-Type", http.SOAP)])
        verdict = self.session.step(request.headers.get("authorization", ""))
        if not verdict.accepted:
            self.server.count("401")
            return Answer(401, headers=verdict.headers)
        if not request.body:
            return Answer(200, headers=verdict.headers)
        if not (self.secure or request.sealed or self.server.options.allow_unencrypted):
            self.server.count("unencrypted")
            return Answer(500, headers=verdict.headers)
        self._verdict = verdict
        return None

    # .. operations ..

    async def _operate(self, request: Request, fresh: tuple[str, ...]) -> None:
        try:
            message = self.session.unseal(request.body) if request.sealed else request.body
        except (SpnegoError, ValueError, ssl.SSLError):
            self.server.count("unseal.failed")
            return await self._send(Answer(400, close=True), "")
        action = envelope.action_of(message)
        answer = await self._disturbed(action)
        if answer is not None:
            return await self._send(answer, "")
        injected = self._fault(self._due("operation", action))
        status, body = await self.server.service.answer(message, self.session.user, injected)
        spoiled = self._due("answer", action, *fresh, sealed=request.sealed)
        answer = self._closed(status, _spoiled(body, spoiled), sealed=request.sealed, spoiled=spoiled)
        return await self._send(answer, spoiled)

    def _fault(self, fault: str) -> FaultError | None:
        """The SOAP fault of that name."""
        code = int(self.server.behaviour.argument) or envelope.SHELL_NOT_FOUND
        return {
            "soapfault": FaultError(code, f"The WinRM service cannot process the request ({code})."),
            "denied": FaultError(envelope.ACCESS_DENIED, "Access is denied.", "w:AccessDenied"),
            "quota": too_many_shells(self.server.options.max_shells),
            "timedout": FaultError(envelope.TIMED_OUT, "The operation has timed out.", "w:TimedOut"),
        }.get(fault)

    def _closed(self, status: int, body: bytes, *, sealed: bool, spoiled: str) -> Answer:
        """The answer, sealed where the request was."""
        kind = http.SOAP
        if sealed and spoiled not in ("plain", "garbage", "empty"):
            body, kind = self.session.seal(body)
        if spoiled == "badsig":
            body = body[:-60] + bytes([body[-60] ^ 1]) + body[-59:]
        status = 200 if spoiled in ("garbage", "empty", "nonsense") else status
        return Answer(status, body, [("Content-Type", kind), *self._verdict.headers])

    # .. answers ..

    async def _send(self, answer: Answer, spoiled: str) -> None:
        argument = self.server.behaviour.argument
        if spoiled == "garbage" and not answer.body:
            answer = Answer(200, http.garbage(), [("Content-Type", http.SOAP)])
        match spoiled:
            case "lost":
                raise DisconnectError
            case "truncate" | "hangmid":
                await self._break_off(answer, argument if spoiled == "hangmid" else None)
            case "drip":
                await http.send_dripping(self.writer, answer, argument)
            case "flood":
                await http.send_flood(self.writer, answer)
            case "chunked":
                await http.send_chunked(self.writer, answer)
            case _:
                await http.send(self.writer, answer)
        if answer.close:
            raise DisconnectError(reset=False)

    async def _break_off(self, answer: Answer, silence: float | None) -> None:
        await http.send_half(self.writer, answer)
        if silence is not None:
            await http.hang(self.reader, silence)
        await asyncio.sleep(0.02)  # RST overtakes data that the client has not read yet
        raise DisconnectError


def _spoiled(body: bytes, fault: str) -> bytes:
    if fault == "wrongrelates":
        return envelope.relating_elsewhere(body)
    wrong = {"garbage": http.garbage(), "nonsense": b"this is not XML " * 20, "empty": b""}
    return wrong.get(fault, body)
