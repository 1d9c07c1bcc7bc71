"""How it is seen after a change that Kerberos is used: one real request for each name that is repaired."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.commands import word
from agent.model import ApplicationRef, Report, Url
from agent.names import HostName

PROBE = "See what is used then, as any user of the domain on a client (needs iis-spn[ldap] there)."
MOST_URLS = 8
_REPORT = "iis-spn probe --report after.json"
_MANY = "These are many names: inspect again first, with --format json --output after.json."
_BROKEN = frozenset({"modified", "duplicate", "impossible", "ntlm-fallback"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def probes(report: Report) -> tuple[str, ...]:
    """What to say and the command, for what the steps of a plan repair; nothing where there is no step."""
    urls = list(_urls(report)) if report.plan.steps else []
    if not urls:
        return ()
    return (PROBE, _MANY, _REPORT) if len(urls) > MOST_URLS else (PROBE, f"iis-spn probe {' '.join(urls)}")


def _urls(report: Report) -> Iterator[str]:
    """One for each name, as people type it; a name of no URL that was seen is taken to be http's."""
    for page in dict.fromkeys(_pages(report)):
        if (told := word(page)) is not None:
            yield told


def _pages(report: Report) -> Iterator[str]:
    """Where the SPNs are asked for that do not work today, or that a step registers."""
    reached: dict[ApplicationRef, dict[HostName, Url]] = {}
    for application in report.applications:
        urls = reached.setdefault(application.reference, {})
        for url in application.urls or ():
            urls.setdefault(url.host, url)
    required = {each.spn: each for each in report.requirements}
    broken = [each.spn for each in report.requirements if each.matters and each.outcome in _BROKEN]
    added = [step.spn for step in report.plan.steps if step.kind == "spn-add" and step.spn is not None]
    for spn in dict.fromkeys((*broken, *added)):
        places = required[spn].applications if spn in required else ()
        by_name = [reached.get(place, {}) for place in places]
        same = [urls[spn.host] for urls in by_name if spn.host in urls]
        aliases = [next(iter(urls.values())) for urls in by_name if urls]  # clients asked for the end of these
        pages = [_text(url) for url in same[:1] or aliases]
        yield from pages or [f"http://{spn.host.spn_text}/"]


def _text(url: Url) -> str:
    port = "" if url.port == _DEFAULT_PORTS[url.scheme] else f":{url.port}"
    return f"{url.scheme}://{url.host.spn_text}{port}{url.path}"
