"""Configuration files in which every value is a canary: what may be left of them, told by another reader of XML."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import strategies as st
from lxml import etree

from agent.iis.schema import READ

CANARY = re.compile(r"Zq[0-9]+qZ")

NAMES = [*sorted({name for names in READ.values() for name in names}), "password", "key", "Path", "x:name", "xml:lang"]
ELEMENTS = [
    *sorted({part for path in READ for part in path.split("/")}),
    "appSettings",
    "Site",
    "x:site",
    "customMetadata",
]

SECRETS = (
    '<appSettings><add key="Url" value="{}" /></appSettings>',
    "<credentials><password>{}</password></credentials>",
    "<clientSecret>{}</clientSecret>",
    '<x conn="Server=a;Uid=b;Password = {};" />',
    "<x conn=\"Server=a;Password='a;{}';\" />",
    "<x conn='Server=a;Password=\"{}\";' />",
    "<!-- password: {} -->",
    "<?secret {}?>",
    "<?{} a?>",
    "<x><![CDATA[<y>{}</y>]]></x>",
    '<x data=\'{{"password":"{}"}}\' />',
    '<aspNetCore arguments="--ApiKey {}" />',
    '<user name="a" pass="{}" key="{}" /><x credential="{}" />',
    '<x endpoint="https://svc:{}@host.example/" />',
    '<appender><password value="{}" /><to>{}</to>{}</appender>',
    '<system.applicationHost><applicationPools><add name="P"><processModel password="{}" /><environmentVariables>'
    '<add name="DB" value="{}" /></environmentVariables></add></applicationPools></system.applicationHost>',
    '<system.applicationHost><sites><site name="A" id="1"><application path="/"><virtualDirectory path="/" '
    'physicalPath="C:\\w" userName="{}" password="{}" /></application></site></sites></system.applicationHost>',
    '<system.applicationHost><customMetadata><key path="{}"><property id="1" value="{}" /></key></customMetadata>'
    "</system.applicationHost>",
    '<configurationRedirection enabled="true" path="\\\\s\\c" userName="{}" password="{}" />',
    '<x:y xmlns:x="urn:{}" xmlns="urn:{}" x:z="{}" />',
    "<x a='{}'\n  b=\"\n{}\r\n{}\n\" />",
)
"""Where secrets stand; `{}` is one."""


class Chain(NamedTuple):
    """Elements within each other, each with its attributes, and what stands in front of it."""

    names: tuple[str, ...]
    attributes: tuple[tuple[str, ...], ...]
    before: tuple[str, ...]


_BETWEEN = st.sampled_from(
    ("", "\n", "  \r\n", "{}", "<!-- {} -->", "<!--\n-->", "<?p {}?>", "<![CDATA[{}<>&]]>", "&lt;{}&#x9;")
)
_VALUE = st.sampled_from(("{}", "{}", "", "a\n{}", "&quot;{}&amp;", "--{}/>", "&lt;b c='{}'&gt;", "{} = {}"))


@st.composite
def _chains(draw: st.DrawFn) -> Chain:
    names = draw(st.sampled_from(sorted(READ))).split("/")
    if draw(st.booleans()):
        names[draw(st.integers(0, len(names) - 1))] = draw(st.sampled_from(ELEMENTS))
    if draw(st.booleans()):
        names.insert(0, "location")
    names = [name for name in names if name] or ["x"]
    attributes = st.lists(st.sampled_from(NAMES), unique=True, max_size=4).map(tuple)
    return Chain(tuple(names), tuple(draw(attributes) for _ in names), tuple(draw(_BETWEEN) for _ in names))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A well-formed file, with canaries in all its values."""
    root = draw(
        st.sampled_from(("configuration", "configuration", "windowsAuthentication", "x:configuration", "other"))
    )
    quote, number = draw(st.sampled_from("\"'")), itertools.count()
    pieces = [draw(st.sampled_from(("", '<?xml version="1.0"?>', "<!-- {} -->\n"))), f'<{root} xmlns:x="urn:{{}}">']
    for chain in draw(st.lists(_chains(), max_size=4)):
        for name, attributes, before in zip(*chain, strict=True):
            values = ((each, draw(_VALUE).replace("'" if quote == "'" else '"', "")) for each in attributes)
            pieces += [before, f"<{name}", *(f"\n {each} = {quote}{value}{quote}" for each, value in values), ">"]
        pieces += [f"</{name}>{{}}" for name in reversed(chain.names)]
    text = f"{''.join(pieces)}</{root}>"
    return re.sub(r"\{\}", lambda _match: f"Zq{next(number)}qZ", text)


def listed(text: str) -> list[str]:
    """The values that may be left, in the order of the document."""
    root = etree.fromstring(text.encode())
    return [value for element in root.iter("*") for name, value in element.items() if name in _allowed(element)]


def _allowed(element: etree._Element) -> frozenset[str]:
    path = list(_path(element))
    if path[0] != "configuration":
        whole = [row for row in READ if "configSource" in READ[row] and row.split("/")[-1] == path[0]]
        return READ.get("/".join([*whole, *path[1:]]), frozenset()) if whole else frozenset()
    while path[1:2] == ["location"] and len(path) > 2:
        del path[1]
    if path[1:2] == ["configSections"]:
        path[2:-1] = [name for name in path[2:-1] if name != "sectionGroup"]
    return READ.get("/".join(path[1:]), frozenset())


def _path(element: etree._Element) -> Iterator[str]:
    above = element.getparent()
    if above is not None:
        yield from _path(above)
    yield etree.QName(element).localname
