"""Web servers on loopback for what needs no KDC: what they answer is written down, byte by byte."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from threading import Thread

Answer = Callable[[socket.socket, bytes], None]
"""Gets the connection and the request that came on it."""


def saying(*texts: str) -> Answer:
    """These answers, one for each connection, the last one again and again."""
    left = list(texts)

    def answer(connection: socket.socket, _request: bytes) -> None:
        connection.sendall((left.pop(0) if len(left) > 1 else left[0]).encode("latin-1"))

    return answer


def head(status: str, *lines: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Content-Length: 0", "", ""])


_METHODS = (b"HEAD ", b"GET ")


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[tuple[int, list[str]]]:
    """A port of 127.0.0.1, and the requests that come."""
    server = socket.create_server(("127.0.0.1", 0))
    requests: list[str] = []
    thread = Thread(target=_serve, args=(server, answer, requests), daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], requests
    finally:
        server.close()


def _serve(server: socket.socket, answer: Answer, requests: list[str]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            while request.startswith(_METHODS) and b"\r\n\r\n" not in request and (more := connection.recv(65536)):
                request += more
            if request:  # else it was only looked whether somebody listens
                requests.append(request.decode("latin-1"))
                answer(connection, request)
