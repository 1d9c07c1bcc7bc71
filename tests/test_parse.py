"""XML to sections: exact lines, what is refused, and that no password comes through."""

import codecs
import re

import pytest
from configurations import SITE, configuration, element, location, windows
from hypothesis import given
from hypothesis import strategies as st
from work import peak

from agent.errors import MalformedError
from agent.iis.parse import MAXIMUM_DEPTH, MAXIMUM_SIZE, ROWS, Document, Node, below, parse, parse_section
from agent.iis.schema import APPLICATION_POOLS, READ, REDIRECTION, SITES, WINDOWS_AUTHENTICATION


def read(text: str) -> Document:
    return parse(text.encode(), "applicationHost.config")


def section(document: Document, path: str) -> Node:
    node = document.section(path)
    assert node is not None
    return node


def refusal(data: bytes) -> MalformedError:
    with pytest.raises(MalformedError) as raised:
        parse(data, "applicationHost.config")
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("applicationHost.config")
    return raised.value


# -- lines ---------------------------------------------------------------------------------------------------------

SPREAD = """\
<?xml version="1.0"?>
<configuration>
  <system.applicationHost>
    <!-- two
         lines -->
    <sites>
      <site name="A"
            id="1">
        <bindings>
          <binding
              protocol="http"
              bindingInformation="*:80:" /><binding protocol="https" bindingInformation="*:443:" />
        </bindings>
      </site>
    </sites>
  </system.applicationHost>
  <location
      path="A">
    <system.webServer><security><authentication>

      <windowsAuthentication
          enabled="true">
        <providers>
          <add value="NTLM" /></providers>
      </windowsAuthentication>
    </authentication></security></system.webServer>
  </location>
</configuration>
"""


def check_lines(document: Document, moved: int = 0) -> None:
    sites = section(document, SITES)
    (site,) = sites.children
    bindings = site.children[0]
    assert [sites.line, site.line, bindings.line] == [6 + moved, 7 + moved, 9 + moved]
    assert [binding.line for binding in bindings.children] == [10 + moved, 12 + moved]
    (found,) = document.locations[1:]
    assert (found.path, found.line) == ("A", 17 + moved)
    ((name, node),) = found.sections
    assert (name, node.line) == (WINDOWS_AUTHENTICATION, 21 + moved)
    assert [child.line for child in (node.children[0], *node.children[0].children)] == [23 + moved, 24 + moved]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-1"])
def test_the_line_is_that_of_the_start_tag(line_end: str, encoding: str) -> None:
    declared = {"utf-16-le": "utf-16", "utf-16-be": "utf-16", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = SPREAD.replace("\n", line_end).replace('version="1.0"', f'version="1.0" encoding="{declared}"')
    bom = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    check_lines(parse(bom + text.encode(encoding), "applicationHost.config"))


@pytest.mark.parametrize("above", [65_530, 70_000])
def test_lines_beyond_65535(above: int) -> None:
    text = SPREAD.replace("<configuration>", "<configuration>" + "\n" * above)
    check_lines(read(text), above)


def test_comments_and_processing_instructions_are_passed_over() -> None:
    document = read(SPREAD.replace("<bindings>", "<bindings><!-- <binding/> --><?x y?><!--\n-->"))
    bindings = section(document, SITES).children[0].children[0]
    assert [(binding.name, binding.line) for binding in bindings.children] == [("binding", 11), ("binding", 13)]


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=30))
def test_every_line_is_exact_whatever_stands_between(gaps: list[int]) -> None:
    text = "<configuration><system.applicationHost><applicationPools>"
    expected = []
    for number, gap in enumerate(gaps):
        text += "\n" * gap
        expected.append(text.count("\n") + 1)
        inside = "\n" * (gap % 3)
        text += f'<add {inside}name="P{number}"{inside}/>'
    text += "</applicationPools></system.applicationHost></configuration>"
    assert [pool.line for pool in section(read(text), APPLICATION_POOLS).children] == expected


# -- what is refused -----------------------------------------------------------------------------------------------

LAUGHS = (
    '<?xml version="1.0"?>\n<!DOCTYPE configuration [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True))
    + ']>\n<configuration name="&j;">&j;</configuration>'
)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", 1, "empty"),
        (b" \r\n ", 1, "empty"),
        (codecs.BOM_UTF8, 1, "empty"),
        (codecs.BOM_UTF16_LE, 1, "empty"),
        (b"<configuration>\n<sites>\n</configuration>", 3, "not well-formed"),
        (b"<configuration>\n<sites>", 2, "not well-formed"),
        (b"<configuration>\n<sites>\n", 2, "not well-formed"),
        (b"<!-- nothing -->\n", 1, "not well-formed"),
        (b"\n\nnot xml", 3, "not well-formed"),
        (b'<configuration>\n<add a="1" a="2"/></configuration>', 2, "not well-formed"),
        (b"<configuration>\n\0</configuration>", 2, "not well-formed"),
        (b"<configuration>\n&nope;</configuration>", 2, "not well-formed"),
        (b"\n<x:configuration/>", 2, "not well-formed"),
        (b'<!DOCTYPE configuration SYSTEM "file:///etc/passwd">\n<configuration/>', 1, "DTD"),
        (b"<!DOCTYPE configuration>\n<configuration/>", 1, "DTD"),
        (LAUGHS.encode(), 2, "DTD"),
        (LAUGHS.encode("utf-16"), 2, "DTD"),
        (b"<?xml version='1.0' encoding='utf-8'?>\n<configuration a='\xe4'/>", 2, "not well-formed"),
        (b"<?xml version='1.0' encoding='utf-16'?><configuration/>", 1, "not well-formed"),
        (b"<?xml version='1.0' encoding='no-such-thing'?><configuration/>", 1, "not well-formed"),
        (b"<!-- x -->\n<httpCompression/>", 2, "<httpCompression>"),
        (b"<site name='A'/>", 1, "not <configuration>"),
        (b"<Configuration/>", 1, "not <configuration>"),
        (b'\n<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"/>', 2, "XDT"),
        (b"PK\x03\x04" + bytes(range(256)), 1, "not well-formed"),
    ],
)
def test_refused(data: bytes, line: int, words: str) -> None:
    error = refusal(data)
    assert error.line == line
    assert words in error.reason


def test_an_external_entity_is_not_opened() -> None:
    text = '<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/hostname">]><configuration>&x;</configuration>'
    assert "DTD" in refusal(text.encode()).reason


def test_too_deep_is_refused_and_not_a_crash() -> None:
    error = refusal(b"<configuration>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</configuration>")
    assert error.line == 1


@pytest.mark.parametrize("inner", ["<a>", "<location>", "<configSections><sectionGroup>", "<x:location xmlns:x='y'>"])
def test_as_deep_as_is_read_and_no_deeper(inner: str) -> None:
    start, end = inner * (MAXIMUM_DEPTH - 1), ""
    for tag in reversed(re.findall(r"<([\w:]+)", start)[: MAXIMUM_DEPTH - 1]):
        end += f"</{tag}>"
    start = "".join(re.findall("<[^>]+>", start)[: MAXIMUM_DEPTH - 1])
    assert read(f"<configuration>{start}{end}</configuration>")
    assert "deep" in refusal(f"<configuration>{start}<b/>{end}</configuration>".encode()).reason


def test_more_elements_than_are_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.iis.parse.MAXIMUM_ELEMENTS", 60)
    assert len(section(read(configuration(pools="<add/>" * 30)), APPLICATION_POOLS).children) == 30
    assert "more than 60 elements" in refusal(configuration(pools="<add/>" * 90).encode()).reason


@pytest.mark.parametrize("inner", ["<a/>", "<z><a/><a/></z>", "<location/>"])
def test_more_elements_than_a_file_may_have_are_refused(monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    monkeypatch.setattr("agent.iis.parse.MAXIMUM_TAGS", 31)
    assert read(f"<configuration>{inner * (30 // inner.count('<'))}</configuration>")
    assert "more than 31 elements" in refusal(f"<configuration>{inner * 31}</configuration>".encode()).reason


@pytest.mark.parametrize(
    "text",
    [
        "<configuration><z>{}</z></configuration>",
        "<configuration>{}</configuration>",
        "<configuration><appSettings>{}</appSettings></configuration>",
        "<configuration><system.applicationHost><sites><site>{}</site></sites></system.applicationHost></configuration>",
        "<configuration><location path='a'><x>{}</x></location></configuration>",
        "<z>{}</z>",
    ],
)
def test_what_is_not_read_costs_nothing(text: str) -> None:
    """39 KB of snapshot took 2.3 GB: an object for each of ten million elements that nobody reads. Left is the text."""
    less, more = (text.format("<a b='c'>d</a>" * count).encode() for count in (3_000, 6_000))
    grown = peak(lambda: parse(more, "x")) - peak(lambda: parse(less, "x"))
    assert grown < 2 * (len(more) - len(less))


def test_too_large_is_refused_unread() -> None:
    assert "64 MB" in refusal(b" " * (MAXIMUM_SIZE + 1)).reason


@pytest.mark.parametrize(
    "encoding", ["rot13", "hex", "idna", "punycode", "undefined", "utf-7", "cp037", "ucs-4", "x" * 300]
)
def test_strange_encodings_never_crash(encoding: str) -> None:
    data = f"<?xml version='1.0' encoding='{encoding}'?>\n<configuration/>".encode()
    assert refusal(data).line is not None


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_bytes_are_read_or_refused(junk: bytes, at: int) -> None:
    data = configuration().encode()
    try:
        document = parse(data[:at] + junk + data[at + len(junk) :], "x.config")
    except MalformedError as error:
        assert error.line is None or error.line >= 1  # noqa: PT017  # the other outcome is as good
    else:
        assert document.file == "x.config"


def test_a_section_file_must_hold_that_section() -> None:
    assert parse_section(b"\n<windowsAuthentication enabled='true'/>", "win.config", "windowsAuthentication").line == 2
    with pytest.raises(MalformedError, match=r"win\.config:1: the root element is <basic>"):
        parse_section(b"<basic/>", "win.config", "windowsAuthentication")


# -- structure -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["xmlns", "xmlns:x"])
def test_a_namespace_on_the_root_changes_nothing(names: str) -> None:
    text = configuration(body=location("Site", windows(enabled="true")))
    spaced = text.replace(
        "<configuration>", f'<configuration {names}="http://schemas.microsoft.com/.NetConfiguration/v2.0">'
    )
    assert read(spaced)[1:] == read(text)[1:]


def test_foreign_sections_are_left_alone() -> None:
    runtime = '<runtime><assemblyBinding xmlns="urn:schemas-microsoft-com:asm.v1"><x/></assemblyBinding></runtime>'
    document = read(configuration(body=runtime + "<system.webServer><modules/></system.webServer>"))
    assert document.faults == ()
    assert [path for path, _ in document.others] == ["runtime", "system.webServer/modules"]


@pytest.mark.parametrize(
    ("path", "attributes", "words"),
    [
        ("A", {"overrideMode": "Allow", "allowOverride": "true"}, "both allowOverride and overrideMode"),
        (".", {"overrideMode": "Deny", "allowOverride": "false"}, "both allowOverride and overrideMode"),
        ("A", {"overrideMode": "Maybe"}, "overrideMode must be one of"),
        ("A", {"allowOverride": "maybe"}, "allowOverride must be true or false"),
        ("A", {"inheritInChildApplications": "0"}, "inheritInChildApplications must be true or false"),
        ("A", {"inheritChildApplications": "false"}, "unrecognized attribute 'inheritChildApplications'"),
        ("/A", {}, "empty segment"),
        ("A/", {}, "empty segment"),
        ("A//b", {}, "empty segment"),
        ("A\\b", {}, "backslash"),
        (" A", {}, "blank"),
        ("./A", {}, "dot"),
        ("A/*", {}, "wildcard"),
    ],
)
def test_a_location_that_ii_s_refuses_is_told_with_its_line(path: str, attributes: dict[str, str], words: str) -> None:
    document = read(configuration(body="\n\n" + location(path, windows(), **attributes)))
    (fault,) = document.faults
    assert words in fault.reason
    assert fault.line == 3


@pytest.mark.parametrize("attribute", ["overrideMode", "allowOverride", "inheritInChildApplications"])
def test_values_on_a_location_compare_without_case(attribute: str) -> None:
    word = "aLLoW" if attribute == "overrideMode" else "TRUE"
    document = read(configuration(body=location("A", windows(), **{attribute: word})))
    assert document.faults == ()
    assert document.locations[1].override == (None if attribute == "inheritInChildApplications" else "Allow")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (location("A", location("b", windows())), "a <location> inside a <location>"),
        ("<system.webserver/>", "unrecognized element <system.webserver>"),
        (windows().replace("windowsA", "WindowsA"), "IIS knows <windowsAuthentication>"),
        ("<configSections/>", "<configSections>"),
    ],
)
def test_what_ii_s_refuses_in_the_body(body: str, words: str) -> None:
    (fault,) = read(configuration(body="\n" + body)).faults
    assert words in fault.reason
    assert fault.line == 2


def test_config_sections_must_come_first() -> None:
    (fault,) = read("<configuration><runtime/>\n<configSections/></configuration>").faults
    assert fault.line == 2


def test_a_section_declared_twice() -> None:
    twice = '<section name="windowsAuthentication" />\n<section name="windowsAuthentication" />'
    (fault,) = read(element("configuration", element("configSections", twice))).faults
    assert (fault.line, "declared twice" in fault.reason) == (2, True)


# -- passwords -----------------------------------------------------------------------------------------------------

SECRET = st.text(st.characters(codec="ascii", categories=["Lu", "Ll", "Nd"]), min_size=12, max_size=20)
ELEMENTS = ("site", "application", "virtualDirectory", "virtualDirectoryDefaults", "processModel", "add", "provider")
NAMES = ("password", "Password", "PASSWORD", "oldPassword", "connectionPassword")


def escaped(secret: str) -> str:
    return f"Zq{secret}"  # long and odd enough not to occur by itself


@given(
    secret=SECRET.map(escaped), where=st.sampled_from(ELEMENTS), name=st.sampled_from(NAMES), encrypted=st.booleans()
)
def test_no_password_is_in_any_object(secret: str, where: str, name: str, encrypted: bool) -> None:
    value = f"[enc:AesProvider:{secret}:enc]" if encrypted else secret
    inner = element(where, **{name: value, "x": secret})
    sections = element("system.applicationHost", element("sites", inner) + element("applicationPools", inner))
    redirection = element("configurationRedirection", inner, path="x", **{name: value})
    document = read(element("configuration", sections + redirection + windows(inner, **{name: value})))
    assert section(document, REDIRECTION).attributes == {"path": "x"}
    assert secret not in repr(document)


ENCRYPTED = {"[enc:": "[enc:AesProvider:QUJD:enc]", "&#91;enc:": "&#91;enc:AesProvider:QUJD:enc]"}


@pytest.mark.parametrize("beside", ["", ' password="[enc:AesProvider:QUJD:enc]"', ' note="&#65;"'])
@pytest.mark.parametrize("written", [*ENCRYPTED.values(), "svc", "a[enc:", "[ENC:x", "password=&quot;[enc:"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "utf-16-le"])
def test_an_encrypted_value_is_kept_nowhere_however_it_is_written(written: str, beside: str, encoding: str) -> None:
    """Files in which only passwords are encrypted are known by their bytes, and not looked through value by value."""
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-le")}"?>'
    model = f'<add name="P"><processModel userName="{written}"{beside} /></add>'
    document = parse((declared + configuration(pools=model)).encode(encoding), "x")
    kept = section(document, APPLICATION_POOLS).children[0].children[0].attributes
    assert ("userName" in kept) is (written not in ENCRYPTED.values())
    assert set(kept) <= {"userName"}


def test_no_attribute_that_is_read_is_called_like_a_password() -> None:
    assert not any(name.endswith("password") for names in READ.values() for name in names)


def test_rows_lead_where_the_table_of_what_is_read_says() -> None:
    names = {path.rpartition("/")[2] for path in READ} - {""}
    for path in READ:
        inside = {name: found for name in names if (found := below(path, name)) is not None}
        assert {name: each.listed for name, each in ROWS[path].inside.items()} == {
            name: READ[found] for name, found in inside.items()
        }


def test_an_encrypted_value_is_a_secret_under_any_name() -> None:
    pool = '<add name="P"><processModel identityType="SpecificUser" userName="[enc:AesProvider:QUJD:enc]" /></add>'
    assert "QUJD" not in repr(read(configuration(pools=pool)))


def test_environment_variables_of_a_pool_are_not_kept() -> None:
    pool = '<add name="P"><environmentVariables><add name="DB_PASSWORD" value="hunter2" /></environmentVariables></add>'
    document = read(configuration(pools=pool))
    assert "hunter2" not in repr(document)
    assert [child.attributes["name"] for child in section(document, APPLICATION_POOLS).children] == ["P"]


def test_no_password_is_in_an_error_message() -> None:
    text = configuration(sites=SITE.replace("<bindings>", '<bindings password="hunter2" password="hunter2">'))
    assert "hunter2" not in str(refusal(text.encode()))


def test_evidence_shows_no_control_characters() -> None:
    node = section(read(configuration(sites='<site name="a&#x9;b&#x202e;c" id="1" />')), SITES).children[0]
    assert node.text == '<site name="a\\u0009b\\u202ec" id="1">'


# -- what was left open --------------------------------------------------------------------------------------------

CLOSED_BY = "<configuration>\n<a>\n<site>\n</sites>\n</a></configuration>"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (CLOSED_BY, 4, "<site> of line 3 is not closed where </sites> comes"),
        ("<configuration>\n<a>\n<site>\n", 3, "<site> of line 3 is not closed where the file ends"),
        ("<configuration>\n<a><b/></a>", 2, "<configuration> of line 1 is not closed where the file ends"),
    ],
)
def test_a_tag_left_open_is_named_with_its_line(text: str, line: int, told: str, encoding: str) -> None:
    with pytest.raises(MalformedError) as refused:
        parse(text.encode(encoding), "web.config")
    assert refused.value.line == line
    assert refused.value.reason.endswith(told)


@pytest.mark.parametrize(
    "text", ['<configuration><a password="S3cret" S3cret"/></configuration>', "<S3cret", "</S3cret>"]
)
def test_of_a_damaged_file_no_other_word_is_told(text: str) -> None:
    with pytest.raises(MalformedError) as refused:
        parse(text.encode(), "web.config")
    assert "S3cret" not in refused.value.reason


def test_beyond_the_last_line_that_libxml2_counts_nothing_is_told() -> None:
    text = "<configuration>" + "\n" * 70_000 + "<a>\n</configuration>"
    with pytest.raises(MalformedError) as refused:
        parse(text.encode(), "web.config")
    assert (refused.value.line, "not closed" in refused.value.reason) == (70_002, False)
