"""Live look-ups against a real name server on loopback: chains, failures of every kind, and the deadline."""

import socket
import struct
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from waiting import PATIENCE

from agent.errors import UsageError
from agent.names import HostName, host_name
from agent.sources.dns import live as live
from agent.spn.nameservice import NameService, Resolution

RECORDS = {
    ("iis01.test.com.", "A"): ["iis01.test.com. 60 IN A 10.0.5.2"],
    ("iis01.test.com.", "AAAA"): ["iis01.test.com. 60 IN AAAA fe80::5:2"],
    ("contoso.test.com.", "*"): ["contoso.test.com. 60 IN CNAME IIS01.test.com.", "IIS01.test.com. 60 IN A 10.0.5.2"],
    ("step.test.com.", "*"): ["step.test.com. 60 IN CNAME iis01.test.com."],
    ("loop.test.com.", "*"): ["loop.test.com. 60 IN CNAME pool.test.com."],
    ("pool.test.com.", "*"): ["pool.test.com. 60 IN CNAME loop.test.com."],
    ("dangling.test.com.", "*"): ["dangling.test.com. 60 IN CNAME nobody.test.com."],
    ("out.test.com.", "*"): ["out.test.com. 60 IN CNAME step2.test.com."],
    ("step2.test.com.", "*"): ["step2.test.com. 60 IN CNAME refused.balancer.example."],
    ("lame.test.com.", "*"): ["lame.test.com. 60 IN CNAME referral.balancer.example."],
    ("big.test.com.", "A"): [f"big.test.com. 60 IN A 10.1.{i // 250}.{i % 250}" for i in range(400)],
    ("2.5.0.10.in-addr.arpa.", "PTR"): ["2.5.0.10.in-addr.arpa. 60 IN PTR iis01.test.com."],
    ("9.9.0.10.in-addr.arpa.", "PTR"): ["9.9.0.10.in-addr.arpa. 60 IN PTR vip.test.com."],
    ("halfdead.test.com.", "A"): ["halfdead.test.com. 60 IN A 10.0.5.3"],
}
EXISTING = {name for name, _ in RECORDS}
RCODES = {"servfail": dns.rcode.SERVFAIL, "refused": dns.rcode.REFUSED}


def reply_to(wire: bytes) -> bytes | None:
    """What the server says, by the first label of the name asked for."""
    query = dns.message.from_wire(wire)
    (question,) = query.question
    name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
    first = name.partition(".")[0]
    if first.startswith("silent"):
        return None
    if first == "garbage":
        return wire[:2] + b"\x84\x00\xff\xff garbage"
    reply = dns.message.make_response(query, recursion_available=first != "referral")
    if first in RCODES or (first == "halfdead" and kind == "AAAA"):
        reply.set_rcode(RCODES.get(first, dns.rcode.SERVFAIL))
    elif name not in EXISTING and first != "referral":
        reply.set_rcode(dns.rcode.NXDOMAIN)
    for line in RECORDS.get((name, kind), RECORDS.get((name, "*"), [])):
        owner, ttl, rdclass, rdtype, data = line.split()
        if rdtype in {"CNAME", kind}:
            reply.find_rrset(
                reply.answer,
                dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, data).name,
                dns.rdataclass.from_text(rdclass),
                dns.rdatatype.from_text(rdtype),
                create=True,
            ).update(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, data))
    if kind == "SOA" and name.endswith("test.com."):
        shown = reply.answer if name == "test.com." else reply.authority
        shown.append(
            dns.rrset.from_text("test.com.", 60, "IN", "SOA", "dc1.test.com. h.test.com. 1 900 600 86400 3600")
        )
        reply.flags |= dns.flags.AA
    return reply.to_wire(max_size=65535)


def one_port() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket with the same free port number."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return udp, tcp


class NameServer:
    """UDP and TCP on one port; a UDP answer over 512 octets is cut and marked (RFC 1035 section 4.2.1)."""

    def __init__(self) -> None:
        self.udp, self.tcp = one_port()
        self.port = self.udp.getsockname()[1]
        self.asked: list[bytes] = []
        self.over_tcp: list[bytes] = []
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.run_udp, self.run_tcp)]
        for thread in self.threads:
            thread.start()

    def run_udp(self) -> None:
        while True:
            wire, peer = self.udp.recvfrom(65535)
            if not wire:
                return
            self.asked.append(wire)
            reply = reply_to(wire)
            if reply and len(reply) > 512:
                cut = dns.message.make_response(dns.message.from_wire(wire))
                cut.flags |= dns.flags.TC
                reply = cut.to_wire()
            if reply:
                self.udp.sendto(reply, peer)

    def run_tcp(self) -> None:
        while True:
            connection, _ = self.tcp.accept()
            with connection:
                head = connection.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                wire = connection.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
                self.over_tcp.append(wire)
                reply = reply_to(wire) or b""
                connection.sendall(struct.pack("!H", len(reply)) + reply)

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", ("127.0.0.1", self.port))
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self.threads:
            thread.join(5)
        self.udp.close()
        self.tcp.close()


@pytest.fixture
def server() -> Iterator[NameServer]:
    running = NameServer()
    yield running
    running.stop()


def ask(server: NameServer, *names: str, addresses: tuple[str, ...] = (), deadline: float = 10) -> NameService:
    return live.ask(
        [host_name(name) for name in names],
        addresses,
        server=f"127.0.0.1:{server.port}",
        suffixes=("test.com",),
        deadline=deadline,
    )


def texts(found: Resolution | None) -> list[str] | None:
    return None if found is None else [str(host) for host in found.chain]


def test_addresses_aliases_and_pointers(server: NameServer) -> None:
    service = ask(server, "iis01.test.com", "contoso", "step.test.com", addresses=("10.0.9.9",))
    assert service.problems == ()
    assert service.suffixes == ("test.com",)
    assert service.resolve(host_name("iis01")).addresses == ("10.0.5.2", "fe80::5:2")
    assert texts(service.resolve(host_name("contoso"))) == ["contoso.test.com", "IIS01.test.com"]
    assert texts(service.resolve(host_name("step"))) == ["step.test.com", "iis01.test.com"]
    assert service.resolve(host_name("step")).addresses == ("10.0.5.2", "fe80::5:2")
    assert service.pointers == {"10.0.5.2": host_name("iis01.test.com"), "10.0.9.9": host_name("vip.test.com")}
    assert service.names_by_address["10.0.5.2"] == tuple(
        map(host_name, ("iis01.test.com", "contoso.test.com", "step.test.com"))
    )
    assert service.resolve(host_name("never-asked")) is None


def test_the_zone_of_an_alias_is_known_where_the_server_has_it(server: NameServer) -> None:
    """Its SOA stands in the answer about the zone's own name, and beside the one that a name below has none."""
    found = ask(server, "contoso.test.com", "new.sub.test.com", "nobody.balancer.example", "iis01.test.com")
    assert found.zones == (host_name("test.com"),)
    assert found.zone_of(host_name("contoso.test.com")) == host_name("test.com")
    assert found.zone_of(host_name("nobody.balancer.example")) is None, "another server has it"
    assert ask(server, "iis01.test.com").zones == (), "nothing would have to change"


def test_names_that_do_not_exist(server: NameServer) -> None:
    service = ask(server, "nobody", "dangling", f"{'x' * 64}.test.com", "*.test.com", "10.0.0.1")
    assert service.problems == ()
    assert service.resolve(host_name("nobody")) == Resolution(
        chain=(host_name("nobody.test.com"),), addresses=(), exists=False
    )
    assert not service.resolve(host_name("dangling")).exists
    assert texts(service.resolve(host_name("dangling"))) == ["dangling.test.com", "nobody.test.com"]
    assert not service.resolve(host_name(f"{'x' * 64}.test.com")).exists
    assert len(service.answers) == 3


def test_a_circle_does_not_exist_and_is_told(server: NameServer) -> None:
    service = ask(server, "loop")
    assert service.resolve(host_name("loop")) == Resolution(
        chain=(host_name("loop.test.com"), host_name("pool.test.com")), addresses=(), exists=False
    )
    assert "circle" in service.problems[0].message


@pytest.mark.parametrize(("name", "reason"), [("out", "REFUSED"), ("lame", "referred")])
def test_a_chain_that_breaks_off_ends_where_nobody_answered(server: NameServer, name: str, reason: str) -> None:
    service = ask(server, name, "iis01")
    found = service.resolve(host_name(name))
    assert found is not None
    assert (found.addresses, found.exists, found.canonical.suffix) == (None, True, "balancer.example")
    assert service.aliases_by_end == {found.canonical: (host_name(f"{name}.test.com"),)}
    (problem,) = service.problems
    assert reason in problem.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("servfail", "SERVFAIL"),
        ("refused", "REFUSED"),
        ("garbage", "no DNS message"),
        ("referral", "referred"),
        ("silent", "in time"),
    ],
)
def test_what_could_not_be_asked_is_counted_with_its_reason(server: NameServer, name: str, reason: str) -> None:
    service = ask(server, name, "iis01", deadline=2)
    assert service.resolve(host_name(name)) is None
    assert service.resolve(host_name("iis01")).exists
    (problem,) = service.problems
    assert problem.id == live.UNANSWERED
    assert reason in problem.message
    assert f"1 of 2 names could not be asked, {name}.test.com first" in problem.message


def test_a_server_that_fails_for_ipv6_only_still_answers(server: NameServer) -> None:
    service = ask(server, "halfdead")
    assert service.problems == ()
    assert service.resolve(host_name("halfdead")).addresses == ("10.0.5.3",)


def test_a_cut_answer_is_asked_for_again_over_tcp(server: NameServer) -> None:
    service = ask(server, "big")
    assert len(service.resolve(host_name("big")).addresses) == 400
    assert server.over_tcp


def test_the_deadline_holds_for_many_silent_names(server: NameServer) -> None:
    """Those that wait are given up, the others are not even asked for."""
    service = ask(server, *(f"silent{i}" for i in range(200)), deadline=0.5)
    assert service.answers == {}
    assert "200 of 200 names" in service.problems[0].message
    assert len(server.asked) < 200


def test_a_closed_port_is_a_problem() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = live.ask(
        [host_name("iis01.test.com")], (), server=f"127.0.0.1:{port}", suffixes=("test.com",), deadline=1
    )
    assert service.answers == {}
    assert "1 of 1 names" in service.problems[0].message


def test_server_by_name(server: NameServer) -> None:
    service = live.ask([host_name("iis01")], (), server=f"localhost.:{server.port}", suffixes=("test.com",), deadline=3)
    assert set(service.answers) <= {host_name("iis01.test.com")}
    assert bool(service.answers) != bool(service.problems), "localhost may mean ::1 here, where nobody listens"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("dc1.test.com", ("dc1.test.com", 53)),
        ("dc1.test.com:5353", ("dc1.test.com", 5353)),
    ],
)
def test_endpoint(text: str, expected: tuple[str, int]) -> None:
    assert live.endpoint(text) == expected


@pytest.mark.parametrize("text", ["", ":53", "a b", "host:", "host:0", "host:70000", "[dead]:53", "http://x", "a:1:2"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(UsageError):
        live.endpoint(text)


# -- the system's resolver, which is replaced: nothing here may ask the network ---------------------------------------


def system(monkeypatch: pytest.MonkeyPatch, known: dict[str, tuple[str, str]]) -> threading.Event:
    """What it knows; a name that hangs does so until the event is set."""
    released = threading.Event()

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host.startswith("hang"):
            assert released.wait(PATIENCE)
        if host.startswith("again"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        canonical, address = known[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, canonical, (address, 0))]

    def getnameinfo(where: tuple[str, int], _: int) -> tuple[str, str]:
        for canonical, address in known.values():
            if address == where[0]:
                return canonical, "0"
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "getnameinfo", getnameinfo)
    return released


def ask_system(*names: str, suffixes: tuple[str, ...] = ("test.com",), deadline: float = 5) -> NameService:
    return live.ask(
        [host_name(name) for name in names], ["10.9.9.9"], server=None, suffixes=suffixes, deadline=deadline
    )


def test_the_system_tells_both_ends_of_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"contoso.test.com": ("iis01.test.com", "10.0.5.2"), "iis01.test.com": ("IIS01.test.com", "10.0.5.2")}
    system(monkeypatch, known)
    service = ask_system("contoso", "iis01", "nobody")
    assert service.problems == ()
    assert texts(service.resolve(host_name("contoso"))) == ["contoso.test.com", "iis01.test.com"]
    assert texts(service.resolve(host_name("iis01"))) == ["iis01.test.com"]
    assert not service.resolve(host_name("nobody")).exists
    assert service.pointers == {"10.0.5.2": host_name("iis01.test.com")}


def test_a_system_that_hangs_or_fails_costs_its_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    released = system(monkeypatch, {"iis01.test.com": ("iis01.test.com", "10.0.5.2")})
    service = ask_system("hang", "again", "iis01", deadline=2)
    released.set()
    assert set(service.answers) == {host_name("iis01.test.com")}
    assert "2 of 3 names" in service.problems[0].message
    assert "Temporary failure" in service.problems[0].message


def test_the_system_s_search_list_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, {"iis01.corp.test": ("iis01.corp.test", "10.0.5.2")})
    monkeypatch.setattr(live, "search_list", lambda: ("first.test", "corp.test"))
    service = ask_system("iis01", suffixes=())
    assert service.suffixes == ("first.test", "corp.test")
    assert service.resolve(host_name("iis01")).canonical == host_name("iis01.corp.test")


def test_the_search_list_holds_no_root_and_no_dot() -> None:
    assert all(suffix and not suffix.endswith(".") for suffix in live.search_list())


def test_a_bug_in_a_thread_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Resolution:
        raise KeyError("bug")

    monkeypatch.setattr(live._System, "name", broken)
    with pytest.raises(KeyError, match="bug"):
        ask_system("iis01")


def test_no_more_threads_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    running: set[int] = set()
    all_there = threading.Barrier(live._THREADS, timeout=PATIENCE)

    def slow(_: object, host: HostName, __: float) -> Resolution:
        running.add(threading.get_ident())
        all_there.wait()
        return Resolution(chain=(host,), addresses=())

    monkeypatch.setattr(live._System, "name", slow)
    count = 10 * live._THREADS
    assert len(ask_system(*(f"h{i}" for i in range(count)), deadline=PATIENCE).answers) == count
    assert len(running) == live._THREADS == 32
