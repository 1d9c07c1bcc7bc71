"""What a URL says of the request: scheme, host, port and path."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from agent.errors import UsageError
from agent.names import HostName, host_name, printable, without_user
from agent.spn.question import Typed

_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """A URL as far as it decides anything; `text` is what of it people are shown."""

    text: str
    scheme: str
    host: HostName
    port: int
    path: str

    @property
    def typed(self) -> Typed:
        """What the name service and the directory are asked about it."""
        return Typed(self.host, self.port)

    def by(self, scheme: str, port: int) -> str:
        """The same page over another scheme or port, as people type it."""
        shown = "" if _PORTS.get(scheme) == port else f":{port}"
        return f"{scheme}://{self.host}{shown}{self.path}"

    def __str__(self) -> str:
        return self.by(self.scheme, self.port)


def read_url(text: str) -> Url:
    """Take a URL apart; a bare host is an http URL. Raises UsageError.

    Its text has no user, no query and no fragment: they decide nothing here, and may be secret.
    """
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError:  # whose words repeat the text
        raise UsageError(f"'{without_user(text)}' is not a URL: a host, or a port that is no number") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError(f"'{without_user(text)}' is not an http or https URL with a host")
    place = parts.netloc.rpartition("@")[2]
    host = host_name(place.removesuffix(f":{port}") if port else parts.hostname)
    shown = f"{place}{parts.path}" if "://" not in text else f"{parts.scheme}://{place}{parts.path}"
    return Url(printable(shown), parts.scheme, host, port or _PORTS[parts.scheme], unquote(parts.path) or "/")
