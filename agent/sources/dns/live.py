"""What live name servers say about names that are known already: never a zone transfer, never a guess.

Two ways to ask: the system's resolver, which sees what a client on this machine sees (hosts file included), and one
chosen name server, which shows the whole chain of aliases. Both work within a deadline, whatever the network does.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.reversename
import dns.rrset
from msgspec import Struct

from agent.errors import SourceError, UsageError
from agent.model import Problem, SourceRead
from agent.names import Address, HostName, address_of, host_fault, host_name, ip_address, printable, without_user
from agent.spn.nameservice import NameService, Resolution

UNANSWERED = "dns-incomplete"
LONGEST_CHAIN = 16
_THREADS = 32
_TRIES = 2
_PATIENCE = 2.0
_FOR_POINTERS = 0.25
"""The part of the time that names leave to the look-ups that need their addresses."""

_Job = TypeVar("_Job", bound=Hashable)
_Result = TypeVar("_Result")


def ask(
    hosts: Iterable[HostName],
    addresses: Iterable[str],
    *,
    server: str | None,
    suffixes: tuple[str, ...],
    deadline: float,
) -> NameService:
    """Look up these names, the PTR names of these addresses and of those found, within `deadline` seconds.

    `server` None asks the system. Short names are asked for below every suffix; no suffix given means the system's
    search list. UsageError where `server` is not `host`, `host:port` or `[address]:port`.
    """
    ends = time.monotonic() + deadline
    names_end = ends - deadline * _FOR_POINTERS
    where = endpoint(server) if server is not None else None
    search = suffixes or search_list()
    names = _full_names(hosts, search)
    source = f"name server {server}" if where else "system resolver"
    read = (SourceRead(kind="dns", source=source),)
    try:
        asker: _System | _Server = _server(where, names_end) if where else _System()
    except SourceError as error:
        failed: dict[HostName, Resolution | SourceError] = dict.fromkeys(names, error)
        return NameService(source=source, suffixes=search, problems=_problems(source, "names", failed), read=read)
    found = {host: _impossible(host) for host in names if host_fault(host)}
    asked = _all([host for host in names if host not in found], asker.name, names_end)
    answers = found | {host: answer for host, result in asked.items() if (answer := _answer(result))}
    zones = _all(_parents(answers), asker.zone, names_end) if isinstance(asker, _Server) else {}
    behind = (address for answer in answers.values() for address in answer.addresses or ())
    pointed = _all(_distinct_addresses((*addresses, *behind)), asker.pointer, ends)
    return NameService(
        source=source,
        suffixes=search,
        zones=tuple(dict.fromkeys(zone for zone in zones.values() if isinstance(zone, HostName))),
        answers=answers,
        names_by_address=_names_by_address(answers),
        pointers={address: name for address, name in pointed.items() if isinstance(name, HostName)},
        problems=(*_problems(source, "names", asked), *_problems(source, "addresses", pointed)),
        read=read,
    )


def search_list() -> tuple[str, ...]:
    """The suffixes that this system tries for short names: its search list, else its own domain."""
    try:
        resolver = dns.resolver.Resolver()
    except (dns.exception.DNSException, OSError):
        return ()
    names = resolver.search or [resolver.domain]
    return tuple(dict.fromkeys(name.to_text(omit_final_dot=True) for name in names if name != dns.name.root))


def endpoint(server: str) -> tuple[str, int]:
    """Host name or address, and port, of a name server as people write it."""
    if address_of(server):
        return server.strip("[]"), 53
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+(?:%\w+)?)\](?::(\d{1,5}))?|([^\s:\[\]/]+)(?::(\d{1,5}))?", server)
    if found is None:
        raise UsageError(f"'{without_user(server)}' is no name server: give an address or a name, with :port if not 53")
    host, port = found[1] or found[3], int(found[2] or found[4] or 53)
    if not 0 < port < 65536 or (found[1] and not address_of(host)):
        raise UsageError(f"'{without_user(server)}' is no name server: the port or the address cannot be")
    return host, port


# -- what to ask, what came of it ----------------------------------------------------------------------------------


def _full_names(hosts: Iterable[HostName], suffixes: tuple[str, ...]) -> list[HostName]:
    """What DNS can be asked about: no addresses, no wildcards, short names below each suffix."""
    names: dict[HostName, None] = {}
    for host in hosts:
        if not (host.is_address or host.is_wildcard or not host.key):
            names.update(dict.fromkeys([host.under(suffix) for suffix in suffixes] if host.is_short else [host]))
    return list(names)


def _parents(answers: Mapping[HostName, Resolution]) -> list[HostName]:
    """What stands above the names whose record may have to change: aliases, and names without an address."""
    names = (host for host, answer in answers.items() if answer.is_alias or not answer.addresses)
    return list(dict.fromkeys(host_name(host.suffix) for host in names if host.suffix))


def _distinct_addresses(texts: Iterable[str]) -> list[Address]:
    return list(dict.fromkeys(found for text in texts if (found := ip_address(text))))


def _impossible(host: HostName) -> Resolution:
    """The answer for a name that DNS can never know: no need to ask."""
    return Resolution(chain=(host,), addresses=(), exists=False)


def _answer(result: Resolution | SourceError) -> Resolution | None:
    if isinstance(result, _CircleError):
        return Resolution(chain=result.chain, addresses=(), exists=False)
    if isinstance(result, _BrokenOffError):
        return Resolution(chain=result.chain, addresses=None)
    return None if isinstance(result, SourceError) else result


def _names_by_address(answers: Mapping[HostName, Resolution]) -> dict[Address, tuple[HostName, ...]]:
    """The names asked about, by the addresses they lead to; other names may lead there too."""
    names: dict[Address, tuple[HostName, ...]] = {}
    for host, answer in answers.items():
        for address in answer.addresses or ():
            names[address] = (*names.get(address, ()), host)
    return names


def _problems(source: str, what: str, results: Mapping[_Job, _Result | SourceError]) -> tuple[Problem, ...]:
    """One sentence for everything that stayed without an answer, and why."""
    failed = {job: str(result) for job, result in results.items() if isinstance(result, SourceError)}
    if not failed:
        return ()
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(failed.values()).most_common())
    first = printable(str(next(iter(failed))))
    message = f"{source}: {len(failed)} of {len(results)} {what} could not be asked, {first} first ({reasons})"
    return (Problem(id=UNANSWERED, message=message),)


def _all(
    jobs: Sequence[_Job], work: Callable[[_Job, float], _Result], ends: float
) -> dict[_Job, _Result | SourceError]:
    """Do the work for every job, some at a time, and return at the deadline even when threads hang in the system.

    The threads are daemons: one that never comes back does not keep the program from ending.
    """
    waiting: SimpleQueue[_Job] = SimpleQueue()
    done: SimpleQueue[tuple[_Job, _Result | Exception]] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    for _ in range(min(_THREADS, len(jobs))):
        threading.Thread(target=_drain, args=(waiting, done, work, ends), daemon=True).start()
    results: dict[_Job, _Result | SourceError] = dict.fromkeys(jobs, SourceError("no answer in time"))
    for _ in jobs:
        try:
            job, result = done.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            break
        if isinstance(result, Exception) and not isinstance(result, SourceError):
            raise result
        results[job] = result
    return results


def _drain(
    waiting: SimpleQueue[_Job],
    done: SimpleQueue[tuple[_Job, _Result | Exception]],
    work: Callable[[_Job, float], _Result],
    ends: float,
) -> None:
    while time.monotonic() < ends:
        try:
            job = waiting.get_nowait()
        except Empty:
            return
        try:
            done.put((job, work(job, ends)))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            done.put((job, error))


# -- the system's resolver -----------------------------------------------------------------------------------------

_NO_SUCH_NAME = socket.EAI_NONAME
_NO_ADDRESS = getattr(socket, "EAI_NODATA", None)


class _System:
    """What programs on this machine see: hosts file, DNS, whatever else is set up. Only both ends of a chain show."""

    def name(self, host: HostName, _ends: float) -> Resolution:
        try:
            rows = socket.getaddrinfo(host.spn_text, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        except socket.gaierror as error:
            if error.errno not in {_NO_SUCH_NAME, _NO_ADDRESS}:
                raise SourceError(_reason(error)) from None
            return Resolution(chain=(host,), addresses=(), exists=error.errno != _NO_SUCH_NAME)
        except (OSError, UnicodeError) as error:
            raise SourceError(_reason(error)) from None
        canonical = host_name(next((row[3] for row in rows if row[3]), host.text))
        return Resolution(
            chain=(host,) if canonical == host else (host, canonical),
            addresses=tuple(_distinct_addresses(str(row[4][0]) for row in rows)),
        )

    def pointer(self, address: str, _ends: float) -> HostName | None:
        try:
            return host_name(socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0])
        except socket.gaierror as error:
            if error.errno in {_NO_SUCH_NAME, _NO_ADDRESS}:
                return None
            raise SourceError(_reason(error)) from None
        except (OSError, UnicodeError) as error:
            raise SourceError(_reason(error)) from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


# -- one name server -----------------------------------------------------------------------------------------------


class _CircleError(SourceError):
    """Aliases that lead in a circle, or further than anyone follows."""

    def __init__(self, chain: tuple[HostName, ...]) -> None:
        super().__init__("aliases in a circle")
        self.chain = chain


class _BrokenOffError(SourceError):
    """An alias whose end the server does not tell: it may be another server's, or does not answer."""

    def __init__(self, reason: str, chain: tuple[HostName, ...]) -> None:
        super().__init__(reason)
        self.chain = chain


def _server(where: tuple[str, int], ends: float) -> _Server:
    """The server at this host and port; its own name, if it is one, is looked up by the system."""
    host, port = where
    if address_of(host):
        return _Server(host, port)
    found = _all([host_name(host)], _System().name, ends)[host_name(host)]
    if isinstance(found, SourceError):
        raise SourceError(f"the name server's own name: {found}")
    if not found.addresses:
        raise SourceError("the name server's own name is not known")
    return _Server(found.addresses[0], port)


class _Server(Struct, frozen=True):
    """Asks one name server, by UDP and, where the answer does not fit, TCP (RFC 7766)."""

    address: str
    port: int

    def name(self, host: HostName, ends: float) -> Resolution:
        """IPv4 and IPv6 addresses together; a server that fails for AAAA only still answers for A."""
        four = self._follow(host, dns.rdatatype.A, ends)
        if not four.exists:
            return four
        try:
            six = self._follow(host, dns.rdatatype.AAAA, ends)
        except SourceError:
            if four.addresses:
                return four
            raise
        chain = six.chain if six.addresses and not four.addresses else four.chain
        return Resolution(chain=chain, addresses=(*(four.addresses or ()), *(six.addresses or ())))

    def pointer(self, address: str, ends: float) -> HostName | None:
        """The first PTR name of an address."""
        reply = self._exchange(dns.reversename.from_address(address), dns.rdatatype.PTR, ends)
        names = [data.target for rrset in _records(reply, dns.rdatatype.PTR) for data in rrset]
        return _host(names[0]) if names else None

    def zone(self, parent: HostName, ends: float) -> HostName | None:
        """The zone with the records below a name, where this server has it: an SOA shows it (RFC 2308 section 3)."""
        reply = self._exchange(dns.name.from_text(parent.key), dns.rdatatype.SOA, ends)
        if not reply.flags & dns.flags.AA:
            return None  # another server's: nobody can change a record here
        kind = (dns.rdataclass.IN, dns.rdatatype.SOA)
        owners = (_host(each.name) for each in (*reply.answer, *reply.authority) if (each.rdclass, each.rdtype) == kind)
        return next((zone for zone in owners if zone.key and f".{parent.key}".endswith(f".{zone.key}")), None)

    def _follow(self, host: HostName, kind: dns.rdatatype.RdataType, ends: float) -> Resolution:
        """The chain of aliases to its end, over several answers where one does not hold it whole (RFC 1034 3.6.2)."""
        chain = [host]
        while True:
            known = len(chain)
            try:
                reply = self._exchange(dns.name.from_text(chain[-1].key), kind, ends)
            except SourceError as error:
                raise (_BrokenOffError(str(error), tuple(chain)) if known > 1 else error) from None
            aliases, owners = _sections(reply, kind)
            while target := aliases.get(chain[-1]):
                if target in chain or len(chain) > LONGEST_CHAIN:
                    raise _CircleError(tuple(chain))
                chain.append(target)
            addresses = owners.get(chain[-1], ())
            exists = reply.rcode() != dns.rcode.NXDOMAIN
            if addresses or not exists or len(chain) == known:
                return Resolution(chain=tuple(chain), addresses=tuple(addresses), exists=exists)

    def _exchange(self, name: dns.name.Name, kind: dns.rdatatype.RdataType, ends: float) -> dns.message.Message:
        """One question and its answer; SourceError says why there is none."""
        reason = "no answer in time"
        for _ in range(_TRIES):
            left = min(_PATIENCE, ends - time.monotonic())
            if left <= 0:
                break
            try:
                query = dns.message.make_query(name, kind)
                reply, _tcp = dns.query.udp_with_fallback(query, self.address, left, self.port, ignore_unexpected=True)
            except dns.exception.Timeout:
                reason = "no answer in time"
            except (dns.exception.DNSException, ValueError, EOFError):
                reason = "an answer that is no DNS message"
            except OSError as error:
                reason = _reason(error)
            else:
                return _accepted(reply)
        raise SourceError(reason)


def _accepted(reply: dns.message.Message) -> dns.message.Message:
    """The reply, where it answers: SERVFAIL, REFUSED and a referral to other servers do not (RFC 1035 section 4.1)."""
    if reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise SourceError(dns.rcode.to_text(reply.rcode()))
    if not reply.answer and not reply.flags & (dns.flags.AA | dns.flags.RA):
        raise SourceError("referred to other servers")
    return reply


def _sections(
    reply: dns.message.Message, kind: dns.rdatatype.RdataType
) -> tuple[dict[HostName, HostName], dict[HostName, list[Address]]]:
    """The aliases and the addresses of an answer, by owner."""
    aliases = {_host(rrset.name): _host(rrset[0].target) for rrset in _records(reply, dns.rdatatype.CNAME)}
    owners = {_host(rrset.name): _distinct_addresses(data.address for data in rrset) for rrset in _records(reply, kind)}
    return aliases, owners


def _records(reply: dns.message.Message, kind: dns.rdatatype.RdataType) -> Iterator[dns.rrset.RRset]:
    """Those of the class Internet, which was asked for: of another class an A record is no IPv4 address."""
    return (each for each in reply.answer if (each.rdclass, each.rdtype) == (dns.rdataclass.IN, kind))


def _host(name: dns.name.Name) -> HostName:
    return host_name(name.to_text(omit_final_dot=True))
