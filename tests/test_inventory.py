"""Which servers an inventory means; the values of Ansible's variables are what ansible-core 2.19 itself gives."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UsageError
from agent.names import printable
from agent.sources import text_file
from agent.sources.endpoint import Defaults, Endpoint
from agent.sources.inventory import ansible_groups, ansible_yaml_nodes, servers
from agent.sources.inventory.servers import Inventory, combined, read_inventory, words
from agent.sources.snapshots.store import stem

NONE = Defaults()


def written(folder: Path, text: str | bytes, name: str = "farm.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return path


def listed(folder: Path, text: str | bytes, name: str = "farm.txt", defaults: Defaults = NONE) -> Inventory:
    return read_inventory(written(folder, text, name), defaults)


def refusal(folder: Path, text: str | bytes, name: str = "farm.txt", defaults: Defaults = NONE) -> str:
    path = written(folder, text, name)
    with pytest.raises(UsageError) as caught:
        read_inventory(path, defaults)
    return str(caught.value).replace(str(path), "FILE")


def fault(folder: Path, text: str, name: str) -> str:
    """Why one host, the last, cannot be asked, or why the whole file is refused."""
    path = written(folder, text, name)
    try:
        said = read_inventory(path, NONE).endpoints[-1].fault
    except UsageError as error:
        said = str(error)
    return (said or "").replace(str(path), "FILE")


def notes(folder: Path, found: Inventory) -> list[str]:
    return [note.replace(f"{folder}{os.sep}", "DIR/") for note in found.notes]


def shown(found: Inventory) -> list[tuple[str, str, int, bool]]:
    return [(one.name, one.host, one.port, one.tls) for one in found.endpoints]


def names(found: Inventory) -> list[str]:
    return [one.name for one in found.endpoints]


# -- words and text files ------------------------------------------------------------------------------------------


def test_words() -> None:
    found = words(["web[01:02]", "sql:5986", "WEB01"], Defaults(user="u"))
    assert shown(found) == [
        ("web01", "web01", 5985, False),
        ("web02", "web02", 5985, False),
        ("sql", "sql", 5986, True),
    ]
    assert {one.user for one in found.endpoints} == {"u"}
    assert found.places == ("command line",) * 3


TEXT = """\
    # the farm
    web01, web02.test.com   10.0.0.5 ; and its neighbours
    \t
    https://web[03:04].test.com:5986
    ;web99
    [fe80::1]:5985
    """


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_text_file(tmp_path: Path, encoding: str, ending: str) -> None:
    found = listed(tmp_path, dedent(TEXT).replace("\n", ending).encode(encoding))
    assert names(found) == ["web01", "web02.test.com", "10.0.0.5", "web03.test.com", "web04.test.com", "fe80::1"]
    assert [place.rpartition(":")[2] for place in found.places] == ["2", "2", "2", "4", "4", "6"]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web01\nweb 02/x\n", "FILE:2: '02/x' is no server"),
        ("web01\n\n[01:02\n", "FILE:3: '[01:02' is no server"),
        ("web[1:2:x]\n", "FILE:1: 'web[1:2:x]': a range is written"),
        (b"web01\nb\xfccher\n", "FILE:2: not UTF-8 text"),
        (b"w" * (text_file.MAXIMUM_SIZE + 1), "FILE: larger than 16 MB"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6433\n", "FILE:1: the whole file is vaulted"),
    ],
)
def test_slip_in_a_text_file(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["absent.txt", "."])
def test_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_inventory(tmp_path / name, NONE)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"web01\nweb02\n")))
    found = read_inventory("-", NONE)
    assert (names(found), found.places) == (["web01", "web02"], ("standard input:1", "standard input:2"))


def test_a_file_that_names_nobody(tmp_path: Path) -> None:
    assert listed(tmp_path, "# nobody yet\n") == Inventory()


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        read_inventory(path, NONE)
    except UsageError as error:
        assert str(path) in str(error) or "stands for two hosts" in str(error)  # noqa: PT017


# -- each server once ----------------------------------------------------------------------------------------------


def test_duplicates_are_merged_and_the_first_counts(tmp_path: Path) -> None:
    text = "web01.test.com\nhttps://sql\nWEB01.test.com.\nsql:5986\nfe80::1\n[FE80:0::1]\n"
    assert names(listed(tmp_path, text)) == ["web01.test.com", "sql", "fe80::1"]


def test_one_host_at_several_ports_is_told_apart() -> None:
    found = words(["127.0.0.1:5001", "web01", "127.0.0.1:5002", "[::1]:1", "[::1]:2"], NONE)
    assert names(found) == ["127.0.0.1:5001", "web01", "127.0.0.1:5002", "[::1]:1", "[::1]:2"]
    assert [one.host for one in found.endpoints] == ["127.0.0.1", "web01", "127.0.0.1", "::1", "::1"]


def test_several_inventories_are_one(tmp_path: Path) -> None:
    one = words(["web01"], Defaults(user="first"))
    two = listed(tmp_path, "web02\nweb01\n")
    both = combined([one, two])
    assert [(e.name, e.user) for e in both.endpoints] == [("web01", "first"), ("web02", None)]
    assert both.places == ("command line", f"{tmp_path / 'farm.txt'}:1")


def test_one_name_for_two_hosts_is_refused(tmp_path: Path) -> None:
    one = listed(tmp_path, "web01\n")
    two = listed(tmp_path, "\nWeb01 ansible_host=10.0.0.5\n", "hosts.ini")
    with pytest.raises(UsageError) as caught:
        combined([one, two])
    assert str(caught.value).replace(f"{tmp_path}{os.sep}", "DIR/") == (
        "the name 'Web01' stands for two hosts: web01 (DIR/farm.txt:1) and 10.0.0.5 (DIR/hosts.ini:2)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "web01 ansible_host=10.0.0.5\nWEB01. ansible_host=10.0.0.6\n",
            "the snapshots of 'web01' and 'WEB01.' would be one file: 10.0.0.5 (FILE:1) and 10.0.0.6 (FILE:2)",
        ),
        (
            "fe80::1 ansible_host=10.0.0.5\nFE80:0::1 ansible_host=10.0.0.6\n",
            "the snapshots of 'fe80::1' and 'FE80:0::1' would be one file: 10.0.0.5 (FILE:1) and 10.0.0.6 (FILE:2)",
        ),
        (
            "\u00fc1 ansible_host=10.0.0.5\nu\u03081 ansible_host=10.0.0.6\n",
            "the snapshots of '\u00fc1' and 'u\u03081' would be one file: 10.0.0.5 (FILE:1) and 10.0.0.6 (FILE:2)",
        ),
    ],
)
def test_two_names_for_one_file_are_refused(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text, "h.ini") == said


def test_a_name_with_a_port_of_its_own_is_not_made_a_second_time(tmp_path: Path) -> None:
    ports = words(["web01", "web01:5986"], NONE)
    text = '{"_meta": {"hostvars": {"web01:5985": {"ansible_host": "10.0.0.5"}}}, "a": {"hosts": ["web01:5985"]}}'
    alone = listed(tmp_path, text, "h.json")
    assert names(alone) == ["web01:5985"]
    with pytest.raises(UsageError, match=r"'web01:5985' stands for two hosts: web01 \(command line\) and 10\.0\.0\.5"):
        combined([ports, alone])
    with pytest.raises(UsageError, match=r"'web01:5985' stands for two hosts: "):
        combined([alone, words(["web01"], NONE), words(["web01:5986"], NONE)])


def test_same_address_in_two_zones_is_two_servers() -> None:
    found = words(["fe80::1%eth0", "fe80::1%eth1", "[fe80::1%eth1]:5986"], NONE)
    assert names(found) == ["fe80::1%eth0", "[fe80::1%eth1]:5985", "[fe80::1%eth1]:5986"]
    assert [stem(name) for name in names(found)] == ["fe80==1%eth0", "[fe80==1%eth1]=5985", "[fe80==1%eth1]=5986"]


def test_one_host_at_two_ports_has_two_files() -> None:
    found = words(["web02", "https://web02:5986", "10.0.0.5:1", "10.0.0.5:2"], NONE)
    assert [stem(name) for name in names(found)] == ["web02=5985", "web02=5986", "10.0.0.5=1", "10.0.0.5=2"]
    assert combined([found, words(["web02"], NONE)]) == found


@pytest.mark.parametrize(
    "name", ["web 01", "../evil", "a/b", "a\\b", "\x1b[2J", "con", "a\0b", "a\u202eb", "fe80::1%../x"]
)
def test_a_name_that_no_file_can_have_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    variables = {"ansible_host": "10.0.0.5"}
    text = json.dumps({"_meta": {"hostvars": {"w1": {}, name: variables}}, "a": {"hosts": ["w1", name]}}, indent=1)
    said = refusal(tmp_path, text, "h.json")
    assert said == f"FILE:5: '{printable(name)}' is not the name of a server that a file can be called after"
    assert said.isprintable()
    assert "FILE:1: 'con' is not the name" in refusal(tmp_path, "con\n")


# -- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("web[1:2]\n", "x", "text"),
        ("[a:f]\n", "x", "text"),
        ("[01:02].test.com\n", "x", "text"),
        ("web1\n[web]\nweb2\n", "x", "ini"),
        ("web1\n", "x.ini", "ini"),
        ("web1 ansible_port=5986\n", "x", "ini"),
        ("# c\n---\nall:\n", "x", "yaml"),
        ("all:\n  hosts:\n", "x", "yaml"),
        ("web1\n", "x.YML", "yaml"),
        ('\n {"all": {}}', "x", "json"),
        ("", "x.json", "json"),
    ],
)
def test_format(text: str, name: str, expected: str) -> None:
    assert servers._format(text, Path(name).suffix) == expected


# -- Ansible: INI --------------------------------------------------------------------------------------------------

INI = r"""
    ; the hosts of `ansible-inventory --list`, each with its variables
    db01 ansible_connection=ssh
    jump ansible_connection=local
    [web]
    web[01:02].test.com ansible_port=5985   # trailing
    web[a:b]:5986 ansible_user='CORP\svc spn'
    alias01 ansible_host=10.0.0.5 ansible_winrm_transport=kerberos,ntlm
    [old]
    old[1:4:3] ansible_user="bob # not comment" # comment
    [windows:children]
    web
    old
    [windows:vars]
    ansible_connection=winrm
    ansible_user=parent@TEST.COM
    ansible_port=8443
    ansible_winrm_transport=["kerberos"]
    ansible_password=S3cret
    ansible_winrm_server_cert_validation = ignore
    [old:vars]
    ansible_user = 'child'
    ansible_port = 5985 # inline
    [zz]
    web01.test.com ansible_user=later
    [zz:vars]
    ansible_winrm_transport=ntlm
    ansible_user=zz
    [all:vars]
    ansible_user=all
    ansible_connection=ssh
    """


def endpoint(name: str, port: int, user: str, transport: str = "kerberos", host: str | None = None) -> Endpoint:
    return Endpoint(name=name, host=host or name, port=port, tls=port != 5985, user=user, transport=transport)  # type: ignore[arg-type]


ASKED = [
    endpoint("web01.test.com", 5985, "later", "ntlm"),
    endpoint("web02.test.com", 5985, "parent@TEST.COM"),
    endpoint("weba", 5986, "CORP\\svc spn"),
    endpoint("webb", 5986, "CORP\\svc spn"),
    endpoint("alias01", 8443, "parent@TEST.COM", "auto", "10.0.0.5"),
    endpoint("old1", 5985, "bob # not comment"),
    endpoint("old4", 5985, "bob # not comment"),
]


def test_ini(tmp_path: Path) -> None:
    found = listed(tmp_path, INI, "hosts.ini")
    assert list(found.endpoints) == ASKED
    assert notes(tmp_path, found) == [
        "DIR/hosts.ini: 2 hosts are not asked, ansible_connection is neither winrm nor psrp: 1 ssh, 1 local",
        "DIR/hosts.ini: passwords of an inventory are not read; they come from a prompt or --password-stdin",
        "DIR/hosts.ini: certificates are always validated, 'ignore' is not honoured; name the authority with --ca FILE",
    ]
    assert "S3cret" not in repr(found)


def test_port_of_a_pattern(tmp_path: Path) -> None:
    """A host's own variable counts more, and the port only where the host is new (as ansible-inventory shows)."""
    text = "[a]\nw[1:2]:5986 ansible_port=7\n[b]\nw1:9\nw3:9\n[fe80::1]:5985\n"
    assert [(e.name, e.port) for e in listed(tmp_path, text, "h.ini").endpoints] == [
        ("w1", 7),
        ("w2", 7),
        ("w3", 9),
        ("fe80::1", 5985),
    ]


def test_ungrouped_counts_for_hosts_in_no_group_only(tmp_path: Path) -> None:
    text = "w0\n[a]\nw1\n[a:hosts]\nw2\n[ungrouped]\nw1\n[ungrouped:vars]\nansible_user=un\n"
    assert [(e.name, e.user) for e in listed(tmp_path, text, "h.ini").endpoints] == [
        ("w0", "un"),
        ("w1", None),
        ("w2", None),
    ]


def test_depth_counts_before_priority_and_name(tmp_path: Path) -> None:
    text = """\
        [a]
        w1
        [z]
        w1
        [deep]
        w1
        [top:children]
        deep
        [a:vars]
        ansible_user=a
        ansible_port=1
        ansible_winrm_scheme=http
        ansible_group_priority=9
        [z:vars]
        ansible_user=z
        ansible_port=2
        [deep:vars]
        ansible_user=deep
        """
    (found,) = listed(tmp_path, text, "h.ini").endpoints
    assert (found.user, found.port) == ("deep", 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a:children]\nb\n[b:children]\na\n", "FILE: groups stand within themselves: a, b"),
        ("[a:children]\na\n", "FILE: groups stand within themselves: a"),
        ("[a]\nw1\n[a:children]\nall\n", "groups stand within themselves"),
        ("w1\n[a:children]\nnope\n", "FILE:3: there is no group [nope] in this file"),
        ("w1\n[b:vars]\nx=1\n", "FILE:2: there is no group [b] in this file"),
        ("[a:kind]\n", "FILE:1: [a:kind]: only :children and :vars are known"),
        ("[a b]\n", "FILE:1: a section is written"),
        ("[a:vars]\nnonsense\n", "FILE:2: in [a:vars] each line is name=value"),
        ("w1 ansible_port=x\n", "FILE:1: 'w1:x' is no server: a port is"),
        ("w1 ansible_port=99999\n", "a port is a number from 1 to 65535"),
        ("w1 ansible_host=a..b\n", "FILE:1: 'a..b' is no server"),
        ("w1 ansible_host=10.0.0.5:5986\n", "FILE:1: '10.0.0.5:5986' is no server"),
        ("w1 ansible_winrm_scheme=ftp\n", "ansible_winrm_scheme is http or https, not 'ftp'"),
        ("w1 ansible_winrm_transport=plaintext\n", "FILE:1: ansible_winrm_transport: plaintext sends the password"),
        ("w1 ansible_winrm_transport=magic\n", "FILE:1: ansible_winrm_transport: 'magic' is no transport"),
        ("w1 ansible_winrm_transport=basic ansible_port=5985\n", "FILE:1: Basic over TLS only"),
        ("w1 ansible_user={{me}}\n", "FILE:1: ansible_user is a template that only Ansible can fill in"),
        ("w1 ansible_connection={{c}}\n", "FILE:1: ansible_connection is a template"),
        ("[a]\nw1\n[a:vars]\nansible_port=$ANSIBLE_VAULT;1.1\n", "FILE:4: ansible_port is vaulted, and vaults are not"),
        ("[a]\nw1\n[a:vars]\nansible_group_priority=high\n", "FILE:4: ansible_group_priority is a number"),
        ("w1 ansible_user='a\\nb'\n[x]\nw1\n[x:vars]\nansible_user='a\\nb'\n", None),
        ("[x]\nw1\n[x:vars]\nansible_user='a\\nb'\n", "FILE:4: ansible_user is not one line of text"),
        ("web[5:1]\n", "FILE:1: 'web[5:1]': the range [5:1] holds no name"),
    ],
)
def test_slip_in_an_ini(tmp_path: Path, text: str, said: str | None) -> None:
    if said is None:
        assert listed(tmp_path, text, "h.ini").endpoints[0].user == "a\\nb"
    else:
        assert said in fault(tmp_path, text, "h.ini")


@pytest.mark.parametrize("line", ["w1 ansible_password=S3cret word", "w1 ansible_password='S3cret", "w1 S3cret"])
def test_no_message_repeats_a_line(tmp_path: Path, line: str) -> None:
    assert "S3cret" not in refusal(tmp_path, line + "\n", "h.ini")


def test_what_is_vaulted_elsewhere_does_not_matter(tmp_path: Path) -> None:
    text = """\
        w1 ansible_user=me ansible_password='$ANSIBLE_VAULT;1.1'
        db ansible_connection=ssh ansible_host={{x}}
        [a]
        w1 other={{x}}
        [a:vars]
        ansible_user={{overridden}}
        ansible_connection=winrm
        """
    found = listed(tmp_path, text, "h.ini")
    assert [(e.name, e.user) for e in found.endpoints] == [("w1", "me")]


# -- Ansible: which hosts, and how ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("w1", 5985, False, "auto")),
        ("ansible_port=5986", ("w1", 5986, True, "auto")),
        ("ansible_connection=winrm", ("w1", 5986, True, "auto")),
        ("ansible_connection=ansible.builtin.winrm ansible_port=5985", ("w1", 5985, False, "auto")),
        ("ansible_connection=winrm ansible_port=15985", ("w1", 15985, True, "auto")),
        ("ansible_connection=winrm ansible_winrm_scheme=http", ("w1", 5985, False, "auto")),
        ("ansible_connection=winrm ansible_winrm_host=a ansible_host=b ansible_winrm_port=1", ("a", 1, True, "auto")),
        ("ansible_connection=psrp ansible_psrp_protocol=http ansible_psrp_auth=ntlm", ("w1", 5985, False, "ntlm")),
        ("ansible_connection=psrp ansible_winrm_transport=basic", ("w1", 5986, True, "auto")),
        ("ansible_connection=psrp ansible_psrp_auth=negotiate", ("w1", 5986, True, "auto")),
        ("ansible_winrm_transport=ssl", ("w1", 5986, True, "basic")),
        ("ansible_winrm_transport=ssl ansible_winrm_cert_pem=c.pem", ("w1", 5986, True, "certificate")),
        ("ansible_winrm_transport=certificate", ("w1", 5986, True, "certificate")),
        ("ansible_winrm_transport=credssp,ntlm", ("w1", 5985, False, "credssp")),
        ("ansible_winrm_transport=ntlm,kerberos", ("w1", 5985, False, "auto")),
    ],
)
def test_how_a_host_is_asked(tmp_path: Path, line: str, expected: tuple[str, int, bool, str]) -> None:
    (one,) = listed(tmp_path, f"w1 {line}\n", "h.ini").endpoints
    assert (one.host, one.port, one.tls, one.transport) == expected


def test_name_for_the_kdc(tmp_path: Path) -> None:
    text = "w1 ansible_host=10.0.0.5 ansible_winrm_kerberos_hostname_override=web01.test.com\n"
    (one,) = listed(tmp_path, text, "h.ini").endpoints
    assert (one.name, one.host, one.kerberos_host) == ("w1", "10.0.0.5", "web01.test.com")


def test_command_line_fills_what_is_open_and_a_user_and_a_transport_of_it_count_more(tmp_path: Path) -> None:
    own = "ansible_port=5986 ansible_user=own ansible_winrm_transport=kerberos"
    text = f"w1 ansible_connection=winrm\nw2 ansible_connection=winrm {own}\n"
    for line, second in (
        (Defaults(port=5985, user="u", transport="ntlm"), ("u", "ntlm")),
        (Defaults(port=5985, user="u"), ("u", "kerberos")),
        (Defaults(port=5985, transport="ntlm"), ("own", "ntlm")),
        (Defaults(port=5985), ("own", "kerberos")),
    ):
        found = listed(tmp_path, text, "h.ini", line)
        assert [(e.port, e.tls, e.user, e.transport, e.fault) for e in found.endpoints] == [
            (5985, False, line.user, line.transport, None),
            (5986, True, *second, None),
        ]


ODD = (
    ("ansible_user={{me}}", Defaults(user="u")),
    ("ansible_winrm_transport=basic ansible_port=5985", Defaults(transport="kerberos")),
    ("ansible_winrm_transport=magic", Defaults(transport="ntlm")),
    ("ansible_host={{me}}", None),
    ("ansible_port=x", None),
    ("ansible_connection={{me}}", None),
)
"""What is wrong with one host, and what of the command line takes its place."""


@pytest.mark.parametrize(("variables", "instead"), ODD)
def test_what_is_wrong_with_one_host_costs_no_other(tmp_path: Path, variables: str, instead: Defaults | None) -> None:
    text = f"w1 ansible_connection=winrm\nodd ansible_connection=winrm {variables}\nw3 ansible_connection=winrm\n"
    found = listed(tmp_path, text, "h.ini")
    assert names(found) == ["w1", "odd", "w3"]
    assert [one.fault is None for one in found.endpoints] == [True, False, True]
    assert (found.endpoints[1].fault or "").startswith(f"{tmp_path / 'h.ini'}:2: ")
    if instead is not None:
        assert [one.fault for one in listed(tmp_path, text, "h.ini", instead).endpoints] == [None] * 3


def test_a_host_without_connection_is_sshs_where_another_says_winrm(tmp_path: Path) -> None:
    found = listed(tmp_path, "w1 ansible_connection=winrm\ndb01\n", "h.ini")
    assert names(found) == ["w1"]
    assert notes(tmp_path, found) == [
        "DIR/h.ini: 1 host is not asked, ansible_connection is neither winrm nor psrp: 1 ssh, as Ansible's default"
    ]


def test_what_is_not_honoured_is_told(tmp_path: Path) -> None:
    found = listed(tmp_path, "w1 ansible_winrm_path=/x ansible_psrp_cert_validation=validate\n", "h.ini")
    assert notes(tmp_path, found) == ["DIR/h.ini: not honoured: ansible_winrm_path"]


# -- Ansible: YAML -------------------------------------------------------------------------------------------------

YAML = """\
    all:
      vars: &v
        ansible_user: all
      hosts:
        mail.test.com:
        web[01:02].test.com:5986:
          ansible_user: here
      children:
        windows:
          vars:
            <<: *v
            ansible_connection: ansible.builtin.winrm
            ansible_port: 5986
          children:
            iis:
              hosts:
                web01.test.com:
                web02.test.com:
                  ansible_port: 5985
                "10.0.0.7":
              vars:
                ansible_connection: psrp
                ansible_psrp_auth: negotiate
                ansible_group_priority: 5
            sql:
              hosts: db01.test.com
              vars: {ansible_psrp_auth: ntlm, ansible_port: 5985}
        azure:
          children:
            iis:
          vars: {ansible_user: azure, ansible_port: 443}
        other:
          hosts:
            web01.test.com:
          vars: {ansible_port: 1, ansible_user: other}
    """


def test_yaml(tmp_path: Path) -> None:
    """Of two parents of one depth the later name counts: windows (5986, all) after azure (443)."""
    found = listed(tmp_path, YAML, "h.yml")
    assert [(e.name, e.port, e.user) for e in found.endpoints] == [
        ("web01.test.com", 5986, "here"),
        ("web02.test.com", 5985, "here"),
        ("10.0.0.7", 5986, "all"),
        ("db01.test.com", 5985, "all"),
    ]
    assert found.places[0].endswith("h.yml:6")
    assert "1 ssh, as Ansible's default" in found.notes[0]


def test_yaml_tags(tmp_path: Path) -> None:
    text = """\
        all:
          hosts:
            w1:
              ansible_user: !unsafe '{{ literal }}'
              ansible_password: !vault |
                $ANSIBLE_VAULT;1.1;AES256
                6433
              other: !vault x
              strange: !!python/object/apply:os.system [exit]
        """
    found = listed(tmp_path, text, "h.yml")
    assert found.endpoints[0].user == "{{ literal }}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all:\n  hosts: [a, b]\n", "FILE:2: a mapping (name: ...) is expected here"),
        ("- a\n", "FILE:1: a mapping"),
        ("all:\n  hosts:\n    a:\n    a:\n", "FILE:4: 'a' stands here a second time, the first is in line 3"),
        ("all: {hosts: {a: {ansible_port: 1, ansible_port: 2}}}\n", "FILE:1: 'ansible_port' stands here a second time"),
        ("all:\n\thosts:\n", "FILE:2: not YAML"),
        ("all: *nobody\n", "FILE:1: not YAML: the alias *nobody names no anchor"),
        ("a:\n---\nb:\n", "FILE:3: a second YAML document"),
        ("plugin: azure.azcollection.azure_rm\n", "FILE:1: this configures an inventory plugin"),
        ("all:\n  hosts:\n    w1:\n      ansible_user: !vault |\n        x\n", "FILE:4: ansible_user is vaulted"),
        ("all:\n  hosts:\n    w1:\n      ansible_user: !x y\n", "FILE:4: ansible_user is neither a text nor"),
        ("all:\n  hosts:\n    w1: {ansible_host: {a: b}}\n", "FILE:3: ansible_host is neither a text nor"),
        ("all:\n  hosts:\n    w1: {ansible_host: '{{a}}'}\n", "FILE:3: ansible_host is a template"),
        ("all:\n  hosts:\n    'web[3:1]':\n", "FILE:3: 'web[3:1]': the range"),
        ("all:\n  hosts:\n    ? [a]\n    : b\n", "FILE:3: a name is expected here"),
        ("a: &a\n  children:\n    b: *a\n", "groups are nested too deeply, or stand within themselves"),
        ("a: &a {vars: {<<: *a}}\n", None),
        ("a: &a {<<: *a}\n", "merge keys are nested too deeply"),
        ("a: {<<: text}\n", "FILE:1: only mappings can be merged"),
        ("[\n" * 400_000, "FILE:101: too large, or nested too deeply"),
        ("[" * 400_000, "FILE:1: "),  # in one line libyaml looks ahead for a key, and may refuse it by itself
        ("x: " + "[" * 400_000 + "]" * 400_000, "FILE:1: "),
        ("all:\n  hosts:\n    w1: \x01\n", "not YAML"),
    ],
)
def test_slip_in_a_yaml(tmp_path: Path, text: str, said: str | None) -> None:
    if said is None:
        assert listed(tmp_path, text, "h.yml").endpoints == ()
    else:
        assert said in fault(tmp_path, text, "h.yml")


def nine_times(first: str, many: str) -> str:
    """Twelve lines, each of which names the one before nine times: 9 ** 11 in all."""
    inside = [", ".join(many.format(i=i, last=n - 1) for i in range(9)) for n in range(1, 12)]
    head, tail = ("{children: {", "}}") if "{i}" in many else ("{<<: [", "]}")
    return "\n".join([first, *(f"g{n}: &g{n} {head}{line}{tail}" for n, line in enumerate(inside, 1))])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (nine_times("g0: &g0 {hosts: {w1: }}", "c{i}: *g{last}"), "too large for an inventory, its aliases counted"),
        (nine_times("g0: &g0 {vars: {x: y}}", "*g{last}"), "too large for an inventory, its aliases counted"),
        ("all: {vars: {x: [" + "1," * 20_001 + "]}}", "too large, or nested too deeply"),
    ],
)
def test_a_small_file_that_means_much(tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansible_yaml_nodes, "MOST_NODES", 20_000)
    assert said in refusal(tmp_path, text, "h.yml")


def test_the_yaml_parser_without_its_c_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    assert names(listed(tmp_path, YAML, "h.yml"))[0] == "web01.test.com"
    assert "FILE:101: too large, or nested too deeply" in refusal(tmp_path, "[\n" * 20_000, "h.yml")


def test_unknown_key_of_a_group_is_told(tmp_path: Path) -> None:
    found = listed(tmp_path, "web:\n  host:\n    w1:\n  hosts:\n    w2:\n", "h.yml")
    assert names(found) == ["w2"]
    assert notes(tmp_path, found) == [
        "DIR/h.yml:2: 'host' in a group is passed over; known are hosts, children and vars"
    ]


# -- Ansible: JSON -------------------------------------------------------------------------------------------------

SHARED = {"ansible_connection": "winrm", "ansible_user": "parent@TEST.COM", "ansible_password": "S3cret"}
LIST_OUTPUT = {
    "_meta": {
        "hostvars": {
            "alias01": {**SHARED, "ansible_host": "10.0.0.5", "ansible_winrm_transport": "kerberos,ntlm"},
            "db01": {"ansible_connection": "ssh"},
            "w2": {**SHARED, "ansible_port": 5985, "ansible_winrm_transport": ["kerberos"]},
        },
        "profile": "inventory_legacy",
    },
    "all": {"children": ["ungrouped", "windows"]},
    "ungrouped": {"hosts": ["db01"]},
    "windows": {"hosts": ["alias01", "w2"]},
}


def test_output_of_ansible_inventory(tmp_path: Path) -> None:
    found = listed(tmp_path, json.dumps(LIST_OUTPUT, indent=4), "h.json")
    assert list(found.endpoints) == [
        endpoint("alias01", 5986, "parent@TEST.COM", "auto", "10.0.0.5"),
        endpoint("w2", 5985, "parent@TEST.COM"),
    ]
    assert [note.partition(": ")[2].split(",")[0] for note in found.notes] == [
        "1 host is not asked",
        "passwords of an inventory are not read; they come from a prompt or --password-stdin",
    ]
    assert found.places[0].endswith("h.json:4")


def test_output_of_an_inventory_script(tmp_path: Path) -> None:
    """Without _meta, a group may be a list; variables of groups count (docs: "Developing dynamic inventory")."""
    text = json.dumps({"web": ["w1", "w2"], "iis": {"children": ["web"], "vars": {"ansible_port": 5986}}})
    assert shown(listed(tmp_path, text)) == [("w1", "w1", 5986, True), ("w2", "w2", 5986, True)]


def test_the_yaml_form_as_json(tmp_path: Path) -> None:
    text = json.dumps({"all": {"hosts": {"web[1:2]": {"ansible_port": 5986}}}})
    assert names(listed(tmp_path, text)) == ["web1", "web2"]


VAULTED = '{"_meta": {"hostvars": {"w1": {},\n"w2":\n{"ansible_user":\n{"__ansible_vault": "x"}}}}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "FILE:1: not JSON"),
        ('{"a":\n]}', "FILE:2: not JSON"),
        ("[]", "FILE: no inventory"),
        ('{"a": ' + "[" * 200_000, "FILE: not JSON: nested too deeply"),
        ('{"a": ' + "9" * 5_000 + "}", "thousands of digits"),
        ('{"_meta": {}, "a": {"hosts": [1]}}', "the group 'a' must list names"),
        ('{"_meta": {}, "a": {"children": "b"}}', "the group 'a' must list names"),
        ('{"_meta": {"hostvars": []}, "a": {"vars": [1]}}', "an object is expected for 'a'"),
        ('{"_meta": {"hostvars": {"w": 3}}}', "an object is expected for 'w'"),
        (VAULTED, "FILE:3: ansible_user is vaulted"),
        ('{"_meta": {"hostvars": {"w1": {"ansible_host": "{{x}}"}}}}', "FILE:1: ansible_host is a template"),
        ('{"a": ["w"], "b": {"children": ["c"]}, "c": {"children": ["b"]}}', "groups stand within themselves: b, c"),
    ],
)
def test_slip_in_a_json(tmp_path: Path, text: str, said: str) -> None:
    assert said in fault(tmp_path, text, "h.json")


def test_json_values_that_ansible_marks(tmp_path: Path) -> None:
    own = {"ansible_user": {"__ansible_unsafe": "{{x}}"}, "ansible_password": {"__ansible_vault": "x"}}
    found = listed(tmp_path, json.dumps({"_meta": {"hostvars": {"w1": own}}}), "h.json")
    assert found.endpoints[0].user == "{{x}}"


# -- group_vars and host_vars --------------------------------------------------------------------------------------


def test_variable_files(tmp_path: Path) -> None:
    """They count more than all groups of the inventory, the host's own more than they, host_vars most."""
    written(tmp_path, "ansible_connection: winrm\nansible_port: 1\n", "group_vars/all.yml")
    written(tmp_path, "ansible_winrm_scheme: http\n", "group_vars/windows/a.yaml")
    written(tmp_path, '{"ansible_winrm_scheme": "https"}', "group_vars/windows/b.json")
    written(tmp_path, "ansible_winrm_scheme: ftp\n", "group_vars/windows/c.txt")
    written(tmp_path, "ansible_winrm_scheme: ftp\n", "group_vars/windows/.hidden.yml")
    written(tmp_path, "ansible_port: 3\nansible_host: other\n", "host_vars/w2")
    text = "[windows]\nw1 ansible_host=own\nw2 ansible_host=own\n[windows:vars]\nansible_port=2\n"
    assert shown(listed(tmp_path, text, "hosts")) == [("w1", "own", 1, True), ("w2", "other", 3, True)]


def test_a_vaulted_variable_file_is_told(tmp_path: Path) -> None:
    written(tmp_path, "$ANSIBLE_VAULT;1.1;AES256\n64\n", "group_vars/all/vault.yml")
    found = listed(tmp_path, "[a]\nw1\n", "hosts")
    assert names(found) == ["w1"]
    assert "group_vars/all/vault.yml is vaulted and passed over" in notes(tmp_path, found)[0].replace("\\", "/")


def test_a_groups_name_leads_nowhere_else(tmp_path: Path) -> None:
    written(tmp_path, "ansible_user: stranger\n", "secret.yml")
    (tmp_path / "inv" / "group_vars").mkdir(parents=True)
    (found,) = listed(tmp_path, "[../../secret]\nw1\n", "inv/hosts").endpoints
    assert found.user is None


# -- size ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["w[1:30]\nx[1:21]\n", "[web]\nw[1:30]\nx[1:21]\n"])
def test_too_many_servers(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (servers, ansible_groups):
        monkeypatch.setattr(module, "MOST_NAMES", 50)
    assert len(listed(tmp_path, text.replace("21", "20")).endpoints) == 50
    assert "more than 50 servers" in refusal(tmp_path, text)


def test_the_output_of_ansible_inventory_is_held_to_the_same_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible_groups, "MOST_NAMES", 2)
    path = tmp_path / "list.json"
    path.write_text('{"_meta": {"hostvars": {}}, "a": {"hosts": ["x", "y", "z"]}}', encoding="utf-8")
    with pytest.raises(UsageError, match="more than 2 servers"):
        servers.read_inventory(path, Defaults())


def test_the_line_of_a_letter_that_is_not_utf_8_is_counted_after_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "farm.txt"
    path.write_bytes(b"\xef\xbb\xbfa\n\xff")
    with pytest.raises(UsageError, match=r"farm\.txt:2: "):
        servers.read_inventory(path, Defaults())
