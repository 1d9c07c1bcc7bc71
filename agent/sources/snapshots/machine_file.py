"""machine.json, the facts of a server beside its configuration, and the names that follow from what it says.

A value that is not what it should be is a `Problem` and taken as not given (docs/snapshot.schema.json).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar, cast, get_args

import msgspec
from msgspec.structs import replace

from agent.errors import MalformedError
from agent.iis.snapshot import CertificateNames, Machine, Membership, SourceFile, WorkerProcess, unopened
from agent.model import Problem
from agent.names import (
    Address,
    Guess,
    HostName,
    fold,
    host_fault,
    host_name,
    ip_address,
    netbios_fault,
    netbios_name,
    printable,
)

MAXIMUM_VALUES = 2_000_000
"""Most brackets, commas and strings of a JSON document: each becomes an object of up to a hundred bytes."""
MACHINE = "machine.json"

T = TypeVar("T")


class WrongError(Exception):
    """A value of a snapshot is not what it should be; the text says what is wrong with it."""


def problem(reason: str, file: str, line: int | None = None) -> Problem:
    """What is wrong with a file of a snapshot."""
    return Problem(id="config-malformed", message=reason, file=file, line=line)


def read_machine(file: SourceFile) -> tuple[Machine, Sequence[Problem]]:
    """Read machine.json. Never raises for what stands in it."""
    if file.error is not None:
        return Machine(), (unopened(file.name, file.error, is_refused=file.is_refused),)
    try:
        return machine_of(decoded(file.data, file.name), file.name)
    except MalformedError as error:
        return Machine(), (problem(error.reason, error.file, error.line),)


# -- JSON ----------------------------------------------------------------------------------------------------------

_VALUE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def decoded(data: bytes, file: str) -> object:
    """Decode JSON in UTF-8 or UTF-16. Raises MalformedError with the line."""
    if not data.strip():
        raise MalformedError(file, 1, "the file is empty")
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedError(file, line, f"not JSON: not {error.encoding} text") from None
    if _has_too_many_values(text):
        raise MalformedError(file, None, f"not a snapshot: more than {MAXIMUM_VALUES} values")
    with contextlib.suppress(
        msgspec.DecodeError, RecursionError
    ):  # json says what is wrong, or takes it: NaN, half a pair
        return cast("object", msgspec.json.decode(text))
    try:
        return cast("object", json.loads(text))
    except json.JSONDecodeError as error:
        raise MalformedError(file, error.lineno, f"not JSON: {error.msg}") from None
    except RecursionError:
        raise MalformedError(file, None, "not JSON: nested too deeply") from None
    except ValueError as error:
        raise MalformedError(file, None, f"not JSON: {error}") from None


def _has_too_many_values(text: str) -> bool:
    """Counted exactly only where all the signs of a value together, those within strings too, are too many."""
    if len(text) <= MAXIMUM_VALUES or sum(map(text.count, '[]{},"')) <= MAXIMUM_VALUES:
        return False
    return next(islice(_VALUE.finditer(text), MAXIMUM_VALUES, None), None) is not None


# -- facts ---------------------------------------------------------------------------------------------------------


class _Facts:
    """One JSON object, read key by key: a value of the wrong kind is told and taken as not given."""

    def __init__(self, values: Mapping[str, object], file: str) -> None:
        self._values = values
        self._file = file
        self.problems: list[Problem] = []

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def take(self, key: str, reader: Callable[[object], T], missing: T) -> T:
        value = self._values.get(key)
        if value is None:
            return missing
        try:
            return reader(value)
        except WrongError as error:
            self.problems.append(problem(f"key '{key}' is ignored: {error}", self._file))
            return missing


def machine_of(value: object, file: str) -> tuple[Machine, Sequence[Problem]]:
    """The facts of a decoded machine.json; `file` is where they stand."""
    if not isinstance(value, dict):
        return Machine(), (problem("not the facts of a machine: a JSON object is expected", file),)
    facts = _Facts(value, file)
    content = facts.take("content", _looked, None)
    machine = Machine(
        name=facts.take("name", _short_name, None),
        dns_name=facts.take("dns_name", _dns_name, None),
        domain=facts.take("domain", _dns_name, None),
        netbios_domain=facts.take("netbios_domain", _netbios, None),
        membership=facts.take("membership", _membership, None),
        # who describes a machine says it of a controller; where nobody described it, it is not known
        domain_controller=facts.take("domain_controller", _boolean, missing=False),
        addresses=facts.take("addresses", _addresses, ()),
        environment=facts.take("environment", _texts, {}),
        registry=facts.take("registry", _registry, None),
        services=facts.take("services", _texts, None),
        worker_processes=facts.take("worker_processes", _worker_processes, None),
        additional_kerberos_accounts=facts.take("additional_kerberos_accounts", _accounts, None),
        certificate_names=facts.take("certificate_names", _certificate_names, None),
        content_looked=content is not None and content[0],
        unread=content[1] if content is not None else (),
        facts_unread=facts.take("facts_unread", _facts_unread, ()),
        collected_at=facts.take("collected_at", _moment, None),
    )
    if not facts.has("name"):
        facts.problems.append(problem("key 'name' is missing from the facts of the machine", file))
    return machine, facts.problems


def _text(value: object) -> str:
    return _as_written(value).strip()


def _as_written(value: object) -> str:
    if not isinstance(value, str):
        raise WrongError("it must be a text")
    if printable(value) != value:
        raise WrongError("it holds a control or invisible character")
    return value


def _short_name(value: object) -> str:
    text = _text(value)
    if "." in text or host_fault(host_name(text)) is not None:
        raise WrongError(f"'{text[:80]}' is not a short computer name")
    return text


def _dns_name(value: object) -> str:
    host = host_name(_text(value))
    if host.is_address or host.is_wildcard or host_fault(host) is not None:
        raise WrongError(f"'{host.text[:80]}' is not a DNS name")
    return host.text


def _netbios(value: object) -> str:
    text = _text(value)
    fault = netbios_fault(text)
    if fault is not None:
        raise WrongError(fault)
    return text


def _membership(value: object) -> Membership:
    known = get_args(Membership)
    if fold(_text(value)) not in known:
        raise WrongError(f"it must be one of {', '.join(known)}")
    return cast("Membership", fold(_text(value)))


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongError("it must be true or false")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongError("it must be a whole number")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise WrongError("it must be a list")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise WrongError("it must be an object")
    return value


def _addresses(value: object) -> tuple[Address, ...]:
    return tuple(dict.fromkeys(_address(_text(item)) for item in _list(value)))


def _address(text: str) -> Address:
    found = ip_address(text)
    if found is None:
        raise WrongError(f"'{text[:80]}' is not an IP address")
    return found


def _texts(value: object) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in _mapping(value).items()}


def _registry(value: object) -> dict[str, object]:
    """The values by name; null means the same as no value."""
    values = {_text(name): given for name, given in _mapping(value).items() if given is not None}
    for name, given in values.items():
        reader = _REGISTRY.get(fold(name))
        try:
            values[name] = given if reader is None else reader(given)
        except WrongError as error:
            raise WrongError(f"{name}: {error}") from None
    return values


_REGISTRY: Mapping[str, Callable[[object], object]] = {
    "backconnectionhostnames": lambda value: [_text(item) for item in _list(value)],
    "disableloopbackcheck": _number,
    "maxfieldlength": _number,
    "maxrequestbytes": _number,
}


def _worker_processes(value: object) -> tuple[WorkerProcess, ...]:
    each = [_mapping(item) for item in _list(value)]
    return tuple(
        WorkerProcess(_text(item.get("pool")), _number(item.get("pid")), _text(item.get("account"))) for item in each
    )


def _accounts(value: object) -> tuple[str, ...]:
    return tuple(_account(_text(item)) for item in _list(value))


def _account(text: str) -> str:
    domain, backslash, name = text.partition("\\")
    if not (domain and backslash and name):
        raise WrongError(f"'{text[:80]}' is not an account such as DOMAIN\\name")
    return text


def _certificate_names(value: object) -> tuple[CertificateNames, ...]:
    each = [_mapping(item) for item in _list(value)]
    return tuple(
        CertificateNames(_text(item.get("site")), tuple(_text(name) for name in _list(item.get("names"))))
        for item in each
    )


def _looked(value: object) -> tuple[bool, tuple[tuple[str, str], ...]]:
    content = _mapping(value)
    each = [_mapping(item) for item in _list(content.get("unread", []))]
    unread = tuple((_as_written(item.get("path")), _text(item.get("why", "not said"))) for item in each)
    return _boolean(content.get("looked", False)), unread


def _facts_unread(value: object) -> tuple[tuple[str, str], ...]:
    each = [_mapping(item) for item in _list(value)]
    return tuple((_text(item.get("fact")), _text(item.get("why"))) for item in each)


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        raise WrongError("it must be a time such as 2026-11-22T10:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


# -- what is not said ----------------------------------------------------------------------------------------------


def complete(
    machine: Machine, computer: str | None, called: str | None, netbios: Mapping[str, str]
) -> tuple[Machine, tuple[Problem, ...]]:
    """Fill in the names that follow from others, from `computer` (an FQDN) and from the target's own name.

    What does not follow is a Guess: that the folder is called after the computer, that its full name ends in the name
    of its domain.
    """
    given, doubt = _given(machine, computer)
    dns_name = machine.dns_name or (given.text if given is not None and given.suffix else None)
    said = given.text if given is not None else dns_name if isinstance(dns_name, str) else None
    name = machine.name or _first_of(said) or (Guess(called) if called else None)
    domain = machine.domain or (_suffix(dns_name) if machine.joined and isinstance(dns_name, str) else None)
    if dns_name is None and name is not None and domain is not None:
        dns_name = Guess(fold(f"{name}.{domain}"))
    netbios_domain = machine.netbios_domain or (_netbios_of(domain, netbios) if machine.joined else None)
    whole = replace(machine, name=name, dns_name=dns_name, domain=domain, netbios_domain=netbios_domain)
    return whole, () if doubt is None else (Problem(id="machine-unknown", message=doubt),)


def _given(machine: Machine, computer: str | None) -> tuple[HostName | None, str | None]:
    """The name from elsewhere, or why it is not used."""
    if computer is None:
        return None, None
    host = host_name(computer)
    if host.is_address or host.is_wildcard or host_fault(host) is not None:
        return None, f"'{printable(computer)}' is not the name of a computer"
    if isinstance(machine.name, str) and fold(netbios_name(host.text)) != fold(netbios_name(machine.name)):
        return None, f"it is {machine.name}, not {host.text}, which is ignored"
    return host, None


def _first_of(host: str | None) -> str | None:
    """`IIS01` of `iis01.test.com`, as Windows writes a computer's name."""
    return netbios_name(host).upper() if host else None


def _suffix(host: str | None) -> str | None:
    return (host_name(host).suffix or None) if host else None


def _netbios_of(domain: str | None, netbios: Mapping[str, str]) -> str | None:
    return netbios.get(fold(domain or "")) or netbios.get("")
