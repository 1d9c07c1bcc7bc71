"""Ansible inventories: which hosts WinRM would be used for, and how their variables say they are asked.

INI, YAML and the JSON of `ansible-inventory --list`, with the `group_vars` and `host_vars` beside the file. What is
left out or not honoured is said in a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from agent.errors import UsageError
from agent.names import printable
from agent.sources.endpoint import HTTP_PORT, Defaults, Endpoint, Transport, host_of, port_of
from agent.sources.inventory import ansible_ini, ansible_json, ansible_variable_files, ansible_yaml
from agent.sources.inventory.ansible_groups import Host, Precedence, Tree
from agent.sources.inventory.ansible_variables import (
    CLIENT_CERTIFICATE,
    CONNECTION,
    NOT_HONOURED,
    PASSWORDS,
    PLUGINS,
    VALIDATIONS,
    VariableError,
    Variables,
    last,
)

Format = Literal["ini", "yaml", "json"]


class Found(NamedTuple):
    """The servers to ask, each with the place that names it, and sentences on what was left out."""

    servers: list[tuple[Endpoint, str]]
    notes: list[str]


def read_ansible(text: str, kind: Format, place: str, folder: Path | None, defaults: Defaults) -> Found:
    """The hosts of an inventory that Ansible would reach by winrm or psrp. Raises UsageError with file and line.

    `folder` is where `group_vars` and `host_vars` are looked for. A host without ansible_connection is asked unless
    another one of the inventory has winrm or psrp: Ansible's own default is ssh.
    """
    return _servers_in(_tree(text, kind, place, folder), defaults)


def _tree(text: str, kind: Format, place: str, folder: Path | None) -> Tree:
    tree = Tree(place)
    if kind == "json" and ansible_json.read_json(text, tree):
        return tree  # ansible-inventory has merged the files of variables already
    if kind == "ini":
        ansible_ini.read_ini(text, tree)
    else:
        ansible_yaml.read_yaml(text, tree)
    if folder is not None:
        ansible_variable_files.read_beside(folder, tree)
    return tree


# -- which hosts ---------------------------------------------------------------------------------------------------


def _servers_in(tree: Tree, defaults: Defaults) -> Found:
    precedence = Precedence(tree)
    every = [(name, host, precedence.variables(host)) for name, host in tree.hosts.items()]
    connections = [_connection(variables) for _, _, variables in every]
    unsaid = "winrm" if PLUGINS.keys().isdisjoint(connections) else "ssh, as Ansible's default"
    servers: list[tuple[Endpoint, str]] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for (name, host, variables), connection in zip(every, connections, strict=True):
        if connection == _UNTOLD or (connection or unsaid) in PLUGINS:
            servers.append((_endpoint(name, host, variables, connection, defaults), host.place))
            seen |= variables.keys() - _harmless(variables)
        else:
            left_out[connection or unsaid] += 1
    return Found(servers, [*tree.notes, *_notes(tree.place, left_out, seen, empty=not servers)])


_UNTOLD = "?"
"""In the place of a plugin's name where the variable cannot be used: the host is told with it."""


def _connection(variables: Variables) -> str | None:
    """The plugin's name without its collection: `ansible.builtin.winrm` is winrm."""
    try:
        text = last(variables, CONNECTION)
    except VariableError:
        return _UNTOLD
    return text.rpartition(".")[2] if text else None


def _harmless(variables: Variables) -> set[str]:
    """The variables that ask for the validation of certificates, which takes place anyway."""
    return {name for name in VALIDATIONS & variables.keys() if variables[name].parts != ("ignore",)}


def _notes(place: str, left_out: Counter[str], seen: set[str], *, empty: bool) -> Iterator[str]:
    if left_out:
        kinds = ", ".join(f"{count} {printable(kind)}" for kind, count in left_out.most_common())
        count = left_out.total()
        subject = "1 host is" if count == 1 else f"{count} hosts are"
        yield f"{place}: {subject} not asked, ansible_connection is neither winrm nor psrp: {kinds}"
    if empty and not left_out:
        yield f"{place}: no host is named"
    if seen & PASSWORDS:
        yield f"{place}: passwords of an inventory are not read; they come from a prompt or --password-stdin"
    if seen & VALIDATIONS:
        yield f"{place}: certificates are always validated, 'ignore' is not honoured; name the authority with --ca FILE"
    if seen & NOT_HONOURED:
        yield f"{place}: not honoured: {', '.join(sorted(seen & NOT_HONOURED))}"


# -- from variables to endpoints -----------------------------------------------------------------------------------


def _endpoint(name: str, host: Host, variables: Variables, connection: str | None, defaults: Defaults) -> Endpoint:
    """How the host is asked, or why it cannot be: what is wrong with one costs no other anything."""
    try:
        return _usable(name, variables, connection, defaults)
    except VariableError as error:
        fault = str(error)
    except UsageError as error:
        fault = f"{host.place}: {error}"
    return Endpoint(name=name, host=name, fault=fault)


def _usable(name: str, variables: Variables, connection: str | None, defaults: Defaults) -> Endpoint:
    last(variables, CONNECTION)
    plugin = PLUGINS[connection or "winrm"]
    address = last(variables, *plugin.host) or name
    port_text = last(variables, *plugin.port)
    scheme = last(variables, plugin.scheme)
    kerberos_host = last(variables, plugin.kerberos_host)
    port = port_of(port_text, f"{name}:{port_text}") if port_text else None
    tls = _tls(scheme, plugin.scheme)
    if connection and tls is None:
        port, tls = _as_ansible(port, defaults)
    return defaults.endpoint(
        name,
        host_of(address),
        port=port,
        tls=tls,
        transport=_transport(variables, plugin.transport) if defaults.transport == "auto" else None,
        user=last(variables, *plugin.user) if defaults.user is None else None,
        kerberos_host=host_of(kerberos_host) if kerberos_host else None,
    )


def _tls(scheme: str | None, name: str) -> bool | None:
    if scheme not in {None, "http", "https"}:
        raise UsageError(f"{name} is http or https, not '{printable(scheme or '')}'")
    return None if scheme is None else scheme == "https"


def _as_ansible(port: int | None, defaults: Defaults) -> tuple[int | None, bool]:
    """Where winrm or psrp is said and no scheme: TLS unless the port is 5985, which is not the default."""
    port = port or defaults.port
    return port, defaults.tls or port != HTTP_PORT


_TRANSPORTS: dict[str, Transport] = {
    "kerberos": "kerberos",
    "ntlm": "ntlm",
    "credssp": "credssp",
    "certificate": "certificate",
    "basic": "basic",
    "ssl": "basic",
    "negotiate": "auto",
}
"""pywinrm's and pypsrp's words. Its `ssl` is Basic within TLS, or the client's certificate where one is named."""


def _transport(variables: Variables, name: str) -> Transport | None:
    """The transport, None where none is said; of several, `auto` where it tries the same ones, else the first."""
    value = variables.get(name)
    if value is None:
        return None
    words = [word.strip() for text in value.texts() for word in text.lower().split(",") if word.strip()]
    for word in words:
        if word == "plaintext":
            raise VariableError(f"{value.place}: {name}: plaintext sends the password in clear; use kerberos or ntlm")
        if word not in _TRANSPORTS:
            raise VariableError(f"{value.place}: {name}: '{printable(word)}' is no transport that is known here")
    ssl: Transport = "certificate" if CLIENT_CERTIFICATE in variables else "basic"
    found = [ssl if word == "ssl" else _TRANSPORTS[word] for word in words]
    if len(set(found)) > 1 and set(found) <= {"auto", "kerberos", "ntlm"}:
        return "auto"
    return found[0] if found else None
