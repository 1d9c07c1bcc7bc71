"""collect.ps1: what it may run, that its table of secrets is Python's, and, where there is a pwsh, what it answers."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell
from canaries import CANARY, SECRETS, documents
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree
from parts import MAY_LIST_ALL, PWSH, corpus, needs_powershell
from work import Counted, Tally

from agent.errors import MalformedError
from agent.iis.parse import parse, tree
from agent.iis.redirection import configuration_file
from agent.iis.schema import READ, READ_SECTIONS, TRANSPARENT
from agent.iis.snapshot import Snapshot, file_key, full_path
from agent.iis.xml_text import ENCODINGS
from agent.sources.local import content
from agent.sources.snapshots.blanking import blanked
from agent.sources.snapshots.framed import unframe
from agent.sources.snapshots.targets import from_document, read_target

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "agent" / "sources" / "snapshots" / "collect.ps1"
SAMPLES = sorted(ROOT.glob("sample_configs/**/*.config"))
TEXT = SCRIPT.read_bytes().decode("ascii")
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def nodes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.named_children)


def words(node: tree_sitter.Node | None) -> str:
    assert node is not None
    assert node.text is not None
    return node.text.decode()


@pytest.fixture(scope="module")
def script() -> tree_sitter.Node:
    root = PARSER.parse(TEXT.encode()).root_node
    assert not root.has_error, [words(node) for node in nodes(root) if node.type == "ERROR" or node.is_missing]
    return root


def above(node: tree_sitter.Node, kind: str) -> Iterator[tree_sitter.Node]:
    outer = node.parent
    while outer is not None:
        if outer.type == kind:
            yield outer
        outer = outer.parent


def function_of(node: tree_sitter.Node) -> str | None:
    outer = next(above(node, "function_statement"), None)
    return None if outer is None else words(next(n for n in outer.named_children if n.type == "function_name"))


# -- what it may run -----------------------------------------------------------------------------------------------

CMDLETS = {
    *("Get-ChildItem", "Get-CimInstance", "Get-Content", "Get-Date", "Get-Item", "Get-ItemProperty", "Get-Service"),
    *("Select-String", "Select-Xml", "Test-Path", "ConvertTo-Json", "ForEach-Object", "Where-Object"),
    *("Invoke-CimMethod", "New-Object", "Set-StrictMode"),
}
"""All of them only read, or set what holds for the script alone; Invoke-CimMethod asks a process for its owner,
New-Object is for Full Language."""
OF_EXCHANGE = {"Get-ClientAccessService"}
"""Reads, too; Exchange's own shell has it as a function."""
FULL_LANGUAGE_ONLY = {"Read-Exactly", "ConvertTo-Base64", "Get-ShortDomain", "Compress-Text"}


def test_it_is_ascii_of_readable_lines() -> None:
    assert re.fullmatch(r"[\n -~]+", TEXT)
    assert max(map(len, TEXT.splitlines())) <= 120


def test_it_runs_cmdlets_that_read_and_nothing_else(script: tree_sitter.Node) -> None:
    functions = {words(node) for node in nodes(script) if node.type == "function_name"}
    commands = {words(node) for node in nodes(script) if node.type == "command_name"}
    assert commands - functions <= CMDLETS | OF_EXCHANGE
    assert functions <= commands, "none is left over"
    lines = [words(node) for node in nodes(script) if node.type == "command"]
    methods = [line.partition(" -")[2] for line in lines if line.startswith("Invoke-CimMethod")]
    assert methods == ["InputObject $worker -MethodName GetOwner"]
    assert not re.search(
        r"(?i)\b(exit|param|PSScriptRoot|Set-(?!StrictMode -Off)|Remove-|New-Item|Out-File|WebRequest|Add-Type|iex)\b",
        TEXT,
    )
    assert not [node for node in nodes(script) if node.type in {"redirection", "command_invokation_operator"}]


def test_what_only_exchange_has_is_looked_for_first(script: tree_sitter.Node) -> None:
    for node in nodes(script):
        if node.type == "command_name" and words(node) in OF_EXCHANGE:
            conditions = [words(outer) for outer in above(node, "if_statement")]
            assert any(text.startswith(f"if (Test-Path -LiteralPath 'function:{words(node)}')") for text in conditions)


def test_dotnet_is_called_in_full_language_only(script: tree_sitter.Node) -> None:
    calls = [node for node in nodes(script) if node.type == "invokation_expression"]
    calls += [node for node in nodes(script) if node.type == "command_name" and words(node) == "New-Object"]
    assert calls
    outside = {words(node) for node in calls if function_of(node) not in FULL_LANGUAGE_ONLY}
    assert outside == {"(Get-Date).ToUniversalTime()"}, "a method of a type that Constrained Language allows"


def test_types_named_elsewhere_are_allowed_in_constrained_language(script: tree_sitter.Node) -> None:
    types = {words(n) for n in nodes(script) if n.type == "type_literal" and function_of(n) not in FULL_LANGUAGE_ONLY}
    assert types <= {"[string]", "[int]", "[char]", "[switch]", "[xml]"}


def test_what_takes_full_language_is_asked_for_it_first(script: tree_sitter.Node) -> None:
    for node in nodes(script):
        if node.type == "command_name" and words(node) in FULL_LANGUAGE_ONLY:
            conditions = [words(outer) for kind in ("if_statement", "elseif_clause") for outer in above(node, kind)]
            assert any(re.match(r"(?:else)?if \(\$isFull\)", text) for text in conditions), words(node)


def test_progress_is_off_before_anything_runs() -> None:
    code = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    assert all(line.startswith("$") and "Preference" in line for line in code[:3])


def test_bounds_and_registry_are_those_of_local() -> None:
    said = dict(re.findall(r"^\$(maximum\w+) = (\d+)", TEXT, re.MULTILINE))
    assert int(said["maximumDirectories"]) == content.MAXIMUM_DIRECTORIES
    assert float(said["maximumSeconds"]) == content.MAXIMUM_SECONDS
    for name in ("BackConnectionHostNames", "DisableLoopbackCheck", "MaxFieldLength", "MaxRequestBytes"):
        assert f"'{name}'" in TEXT
    assert any(section.endswith("/windowsAuthentication") for section in READ_SECTIONS)


# -- what leaves the server: the same table, and the same scan run as Python ------------------------------------------


def constant(name: str) -> str:
    """The string that a variable of the script holds."""
    (found,) = re.findall(rf"^\${name} = '((?:[^'\n]|'')*)'$", TEXT, re.MULTILINE)
    return str(found).replace("''", "'")


def rows() -> dict[str, frozenset[str]]:
    """The table of the script: the attributes that keep their values, by row."""
    block = TEXT[TEXT.index("$readIn = @{") : TEXT.index("$rowNames = ")]
    found = re.findall(r"^    '([^']*)' =((?:\s+'[^']*'(?: \+)?)+)$", block, re.MULTILINE)
    values = {path: "".join(re.findall("'([^']*)'", value)) for path, value in found}
    assert len(values) == block.count(" =") - 1
    return {path: frozenset(filter(None, value.split("|"))) for path, value in values.items()}


def test_what_is_read_is_what_python_reads() -> None:
    assert rows() == READ
    within = dict(re.findall(r"'([^']+)' = '([^']*)'", re.findall(r"\$within = @\{(.+)\}", TEXT)[0]))
    assert within == TRANSPARENT
    narrow = constant("narrow").removeprefix(r"\A(?:").removesuffix(r")\z")
    assert narrow.replace("utf-8", "utf-(8|16(le|be)?)") == ENCODINGS


NET = {r"\z": r"\Z", "(?>[^>\"']+|\"[^\"]*\"|'[^']*')+>)": "(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')++>)"}
"""What Python writes in another way; an atomic group of repeats is one of possessive repeats."""


def pattern(name: str) -> str:
    text = constant(name)
    for net, python in NET.items():
        text = text.replace(net, python)
    return text


class HideUnread:
    """Hide-Unread of the script, step by step: the patterns and the table are read out of it."""

    def __init__(self) -> None:
        names = ("markup", "quoted", "otherVersion", "namespaces")
        self.markup, self.quoted, self.other_version, self.namespaces = (re.compile(pattern(name)) for name in names)
        self.rows = rows()

    def __call__(self, text: str) -> str:
        open_rows: list[str | None] = []
        pieces = self.markup.split(text)
        return "".join(self.piece(piece, bool(index % 2), open_rows) for index, piece in enumerate(pieces))

    def piece(self, piece: str, is_markup: bool, open_rows: list[str | None]) -> str:
        breaks = re.sub(r"[^\r\n]+", "", piece)
        if not is_markup:
            return breaks if re.search(r"[^ \t\r\n]", piece) else piece
        if piece.startswith("</"):
            open_rows.pop()
            return piece
        for start, end, shown in (("<!--", "-->", "<!--"), ("<![", "]]>", "<![CDATA[")):
            if piece.startswith(start):
                return f"{shown}{breaks}{end}"
        if re.match(r"<\?xml\s", piece):
            return self.other_version.sub(r"\g<1>1.0", piece)
        return f"<?x{breaks}?>" if piece.startswith("<?") else self.start(piece, open_rows)

    def start(self, tag: str, open_rows: list[str | None]) -> str:
        named = re.match(r"<(?:[^\s/>]*:)?([^\s/>]+)", tag)
        if named is None:
            return tag
        row = self.row(open_rows[-1] if open_rows else None, named[1], not open_rows)
        if not tag.endswith("/>"):
            open_rows.append(row)
        return self.hide_value(tag, "|".join(self.rows.get(row or "", ())) if row is not None else "")

    def row(self, above: str | None, name: str, is_root: bool) -> str | None:
        if is_root:
            whole = [row for row, listed in self.rows.items() if "configSource" in listed]
            return "" if name == "configuration" else next((row for row in whole if row.split("/")[-1] == name), None)
        row = None if above is None else f"{TRANSPARENT.get(above, above)}/{name}".removeprefix("/")
        return row if row in self.rows else None

    def hide_value(self, tag: str, listed: str) -> str:
        keeps = rf"\s(?:{listed})\s*=\s*\Z" if listed else "(?!)"
        parts = self.quoted.split(tag)
        for index in range(1, len(parts), 2):
            before, part = parts[index - 1], parts[index]
            space = re.search(r"\sxmlns(?::([^\s=]+))?\s*=\s*\Z", before)
            if not re.search(keeps, before) and not (space and self.namespaces.match(part)):
                breaks = re.sub(r"[^\r\n]+", "", part)
                parts[index] = f"{part[0]}{(space and space[1]) or ''}{breaks}{part[0]}"
        return "".join(parts)


@pytest.fixture(scope="module")
def hide_unread() -> HideUnread:
    return HideUnread()


@given(documents())
def test_any_file_is_blanked_alike_on_both_sides(hide_unread: HideUnread, text: str) -> None:
    """Of a line that ends within a value the server knows nothing: what it sends is refused as the file would be."""
    sent = hide_unread(text).encode()
    try:
        expected = blanked(text.encode())
    except MalformedError:
        with pytest.raises(MalformedError):
            blanked(sent)
    else:
        assert sent == expected


@pytest.mark.parametrize("secret", SECRETS)
def test_server_lets_no_secret_out(hide_unread: HideUnread, secret: str) -> None:
    text = f"\ufeff<?xml version='3'?>\n<configuration>{secret.format(*('Zq1qZ' for _ in range(9)))}</configuration>"
    assert hide_unread(text).encode() == blanked(text.encode())
    assert not CANARY.search(hide_unread(text))


@pytest.mark.parametrize("file", [*SAMPLES, *corpus("*.config")])
def test_real_files_are_blanked_alike_on_both_sides(hide_unread: HideUnread, file: Path) -> None:
    data = file.read_bytes()
    assert hide_unread(data.decode()).encode() == blanked(data)


@pytest.mark.parametrize("name", ["markup", "quoted"])
@pytest.mark.parametrize(
    "piece", ["<a/>", "<a b='>' c=\"'\"/>", "x > y", "<!-- - -->", "<![CDATA[]] >]]>", "<?x ? >?>"]
)
def test_cost_is_in_proportion_to_the_length(name: str, piece: str) -> None:
    tally = Tally()
    counted = Counted(re.compile(pattern(name).replace("(\\A\ufeff|", "(")), tally)
    assert tally.growth(lambda size: list(counted.finditer(f"<x>{piece * size}</x>")), 100) < 2.05


@pytest.mark.parametrize(
    ("text", "has_one"),
    [
        ("<!DOCTYPE a><a/>", True),
        ("\ufeff<?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE a>", True),
        ("<a><!-- <!DOCTYPE b> --></a>", False),
        ("<!-- <!DOCTYPE b> --><a/>", False),
    ],
)
def test_a_dtd_is_seen_where_one_can_stand(text: str, has_one: bool) -> None:
    (found,) = re.findall(r"\$text -cmatch '(.+)<!DOCTYPE'", TEXT)
    assert bool(re.match(found.replace("\\ufeff", "\ufeff") + "<!DOCTYPE", text)) is has_one


@pytest.mark.parametrize(
    ("first", "wide"),
    [
        (b"\xff\xfe", "Unicode"),
        (b"<\0", "Unicode"),
        (b"\n\0", "Unicode"),
        (b"\xfe\xff", "BigEndianUnicode"),
        (b"\0<", "BigEndianUnicode"),
        (b"<a", None),
        (b"\xef\xbb", None),
        (b"", None),
    ],
)
def test_utf_16_is_known_by_its_beginning(first: bytes, wide: str | None) -> None:
    body = TEXT[TEXT.index("function Get-WideEncoding") : TEXT.index("$declared = ")]
    tried = re.findall(r"-cmatch '(.+?)'\) \{ '(\w+)' \}", body)
    said = " ".join(map(str, first))
    assert next((name for found, name in tried if re.match(found.replace(r"\z", r"\Z"), said)), None) == wide


# -- how it is printed ----------------------------------------------------------------------------------------------


def test_constrained_language_escapes_what_is_not_printable_ascii() -> None:
    pattern, again = re.findall(r"-(?:csplit|cmatch) '\(?(\[.+?\])\)?'", TEXT[TEXT.index("# -- the answer") :])
    assert pattern == again
    escaped = {character for character in range(0x10000) if re.match(pattern, chr(character))}
    assert escaped == {*range(0x20), ord("|"), *range(0x7F, 0x10000)}


def test_lines_hold_200_characters() -> None:
    assert "-split '(.{1,200})'" in TEXT
    assert [len(piece) for piece in re.split("(.{1,200})", "x" * 450) if piece] == [200, 200, 50]


# -- which folder a physical path means: the same answer as Python's --------------------------------------------------


def path_on_the_server(written: str, variables: dict[str, str]) -> str | None:
    """Expand-PhysicalPath of the script: its patterns, read out of it and run by Python's engine."""
    body = TEXT[TEXT.index("function Expand-PhysicalPath") : TEXT.index("function Select-Value")]
    body = body.replace(r"\z", r"\Z")  # what .NET calls the very end
    if any(name.lower() not in variables for name in re.findall("%([^%]+)%", written)):
        return None
    path = re.sub("%([^%]+)%", lambda match: variables[match[1].lower()], written)
    replacements = re.findall(r"-replace '([^']+)'(?:, '([^']+)')?", body)
    assert len(replacements) == 4
    for pattern, replacement in replacements:
        path = re.sub(pattern, lambda _match, new=replacement: new, path, flags=re.IGNORECASE)  # type: ignore[misc]
    refusals = re.findall(r"-(match|notmatch) '([^']+)'\) \{ throw '", body)
    assert len(refusals) == 3
    refused = [bool(re.search(pattern, path, re.IGNORECASE)) is (operator == "match") for operator, pattern in refusals]
    return None if any(refused) else path


PATHS = st.lists(
    st.sampled_from(
        [*"\\\\\\/:.? cCdx\n", "..", "C:", "UNC", "\\\\", "\\\\?\\", "\\\\.\\", "%Root%", "%nobody%", "srv", "web"]
    ),
    max_size=9,
).map("".join)


@given(PATHS)
@example(r"\\?\UNC\srv\share\app")
@example("C:\\web \\")
@example("%ROOT%/web/.")
@example("C:\n")
@example("C:\\web\\\n")
def test_physical_path_leads_where_python_says(written: str) -> None:
    variables = {"root": r"D:\Root"}
    found = path_on_the_server(written, variables)
    expected = full_path(written, variables)
    assert (found is None) is (expected is None)
    if found is not None:
        assert file_key(found, {}) == (file_key(written, variables) or "").rstrip("/")


def test_path_of_which_no_folder_can_be_told_is_unread_as_it_is_written(script: tree_sitter.Node) -> None:
    (root,) = [words(n) for n in nodes(script) if n.type == "function_statement" and "function Get-Root" in words(n)]
    assert "try { $path = Expand-PhysicalPath $physical } catch { $unread[$physical] = Get-Reason $_; return }" in root


# -- names in certificates, accounts of Exchange --------------------------------------------------------------------


def test_https_bindings_follow_the_name_of_their_site() -> None:
    xpath, https = (re.findall(rf"\${name} = '(.+)'\n", TEXT)[0] for name in ("xpath", "https"))
    binding = '<binding protocol="{}" bindingInformation="{}" />'
    text = "<configuration><system.applicationHost><sites><siteDefaults name='no' />"
    for site, protocols in (("A", ("http", "https", "HTTPS")), ("B", ("net.tcp",)), ("C", ("https",))):
        each = "".join(binding.format(protocol, f"*:{port}:") for port, protocol in enumerate(protocols))
        text += f'<site id="1" name="{site}"><application path="/" /><bindings>{each}</bindings></site>'
    tree = etree.fromstring(f"{text}</sites></system.applicationHost></configuration>")
    assert tree.xpath(f"{xpath}/@name | {xpath}{https}") == ["A", "*:1:", "*:2:", "B", "C", "*:0:"]


@pytest.mark.parametrize(
    ("information", "parts"),
    [
        ("*:443:", ("*", "443", "")),
        (":443:www.test.com", ("", "443", "www.test.com")),
        ("10.0.0.5:8443:", ("10.0.0.5", "8443", "")),
        ("[fe80::5]:443:a", ("[fe80::5]", "443", "a")),
        ("nonsense", None),
    ],
)
def test_binding_is_taken_apart(information: str, parts: tuple[str, ...] | None) -> None:
    (pattern,) = re.findall(r'elseif \("\$\(\$found\.Node\.Value\)" -match \'(.+)\'\) \{', TEXT)
    match = re.search(pattern, information)
    assert (match and match.groups()) == parts


def test_accounts_of_exchange_in_what_its_cmdlet_says() -> None:
    (pattern,) = re.findall(r"-InputObject \$told -Pattern '(.+)' -AllMatches", TEXT)
    said = "Latest: 1/12/2026 10:37:59 AM, tailspin\\EXASA$\r\nPrevious: 12.01.2026 10:19:22, TEST\\Alt-1$\r\n    ..."
    assert re.findall(pattern, said) == [r"tailspin\EXASA$", r"TEST\Alt-1$"]
    assert re.findall(pattern, "Latest: <Not set>\r\nPrevious: <Not set>") == []


# -- which web.config files come along -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", corpus("**/*web*.config"))
def test_web_config_that_is_left_out_says_nothing(file: Path) -> None:
    wanted = re.findall(r"if \(\$text -match '([^']+)'\) \{ return \$true \}", TEXT)
    assert len(wanted) == 2
    data = file.read_bytes()
    if any(re.search(pattern, data.decode("latin-1"), re.IGNORECASE) for pattern in wanted):
        return
    try:
        document = parse(data, file.name)
    except MalformedError:
        return  # what is no XML, or has another root element, is sent
    assert document.faults == ()
    assert not document.definitions
    assert not any(location.sections for location in document.locations)
    assert not [path for path, _ in document.others if path.startswith("system.webServer/")]


# -- run for real --------------------------------------------------------------------------------------------------

WINDOWS = r"""
foreach ($drive in 'C', 'D') {
    $null = New-PSDrive -Name $drive -PSProvider FileSystem -Root "ROOT/$drive" -Scope Global
}
$env:windir = 'C:\Windows'; $env:SystemRoot = 'C:\Windows'; $env:SystemDrive = 'C:'; $env:DATA = 'D:'
$env:COMPUTERNAME = 'WEB01'; $env:USERDOMAIN = 'TEST'; $env:USERDNSDOMAIN = 'TEST.COM'; $env:UNUSED = 'geheim'
$hives = @{     # no name that the script has: what it calls is run in its own scope
    'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters' = @{ Hostname = 'web01'; Domain = 'test.com' }
    'HKLM:\SYSTEM\CurrentControlSet\Control\Lsa\MSV1_0' = @{ BackConnectionHostNames = [string[]]@('www.test.com') }
    'HKLM:\SYSTEM\CurrentControlSet\Services\HTTP\Parameters' = @{ MaxFieldLength = 65534 }
}
function Get-ItemProperty($LiteralPath, $Name, $ErrorAction) {
    if ($hives[$LiteralPath]) { [pscustomobject]$hives[$LiteralPath] }
}
function Get-CimInstance($ClassName, $Filter, $Property) {
    switch ($ClassName) {
        'Win32_ComputerSystem' { [pscustomobject]@{ Domain = 'test.com'; DomainRole = [uint16]3 } }
        'Win32_NetworkAdapterConfiguration' { [pscustomobject]@{ IPAddress = @('10.0.5.2', 'fe80::5:2%7', '::1') } }
        'Win32_Process' { [pscustomobject]@{ ProcessId = [uint32]4242; CommandLine = 'w3wp -ap "Contoso" -v "v4"' } }
    }
}
function Invoke-CimMethod($InputObject, $MethodName) { [pscustomobject]@{ Domain = 'TEST'; User = 'contososvc' } }
function Get-Service($Name, $ErrorAction) {
    if ($Name -eq 'W3SVC') { [pscustomobject]@{ Status = 'Running' } }
    if ($Name -eq 'WMSVC') { [pscustomobject]@{ Status = 'StopPending' } }
}
. 'ROOT/more.ps1'
$code = [IO.File]::ReadAllText('SCRIPT')
$ExecutionContext.SessionState.LanguageMode = 'MODE'
Invoke-Expression $code
"""

WEB = """<configuration><system.webServer><security><authentication>
  <windowsAuthentication {} />
</authentication></security></system.webServer></configuration>"""
HOST = r"""<configuration><system.applicationHost>
  <applicationPools>
    <add name="Contoso"><processModel userName="TEST\Grüße" password="geheim" /></add>
  </applicationPools>
  <sites><site name="A" id="1"><application path="/">
    <virtualDirectory path="/" physicalPath="%SystemDrive%\inetpub\wwwroot\" />
    <virtualDirectory path="/data" physicalPath="%DATA%/sites" />
    <virtualDirectory path="/gone" physicalPath="C:\gone" />
    <virtualDirectory path="/far" physicalPath="\\srv\share\app" />
    <virtualDirectory path="/nobody" physicalPath="%Nobody%\x" />
  </application></site></sites>
</system.applicationHost></configuration>"""
CONFIG_FOLDER = "C/Windows/System32/inetsrv/config"
REDIRECTION = '<configuration><configurationRedirection enabled="true" path="{}" password="geheim" /></configuration>'


def put(path: Path, data: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def server(root: Path) -> Path:
    put(root / CONFIG_FOLDER / "applicationHost.config", HOST)
    put(root / CONFIG_FOLDER / "administration.config", "<configuration/>")
    put(root / "C/inetpub/wwwroot/web.config", WEB.format('enabled="true"'))
    put(root / "C/inetpub/wwwroot/plain/web.config", "<configuration><appSettings/></configuration>")
    put(root / "C/inetpub/wwwroot/broken/web.config", "<configuration>\n<a password='geheim'>\n</configuration>")
    put(root / "C/inetpub/wwwroot/a/b/c/web.config", WEB.format('configSource="auth.config"'))
    put(root / "C/inetpub/wwwroot/a/b/c/auth.config", '<windowsAuthentication enabled="true" />')
    put(root / "D/sites/web.config", b"\xff\xfe" + WEB.format("").encode("utf-16-le"))
    put(root / "D/sites/latin/web.config", b"<!-- windowsAuthentication \xe9 -->")
    put(root / "D/sites/folder/web.config/x", "")
    return root


def printed(root: Path, mode: str, more: str = "") -> bytes:
    """What the script prints on a make-believe Windows, started as WinRM starts it: the code comes on stdin.

    `more` is what this Windows has besides, as PowerShell; in a file, as Out-String wraps its lines.
    """
    put(root / "more.ps1", more)
    prelude = WINDOWS.replace("ROOT", str(root)).replace("SCRIPT", str(SCRIPT)).replace("MODE", mode)
    assert PWSH is not None
    done = subprocess.run(
        [PWSH, "-NoProfile", "-NonInteractive", "-Command", "$input | Out-String | Invoke-Expression"],
        input=prelude.encode(),
        capture_output=True,
        check=True,
        timeout=120,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.stderr == b""
    return done.stdout


@pytest.fixture(scope="module", params=["FullLanguage", "ConstrainedLanguage"])
def answer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return printed(server(tmp_path_factory.mktemp("server")), request.param)


@pytest.fixture(scope="module")
def found(answer: bytes) -> Snapshot:
    return from_document(unframe(answer, "WEB01"), "WEB01", None, {})


@needs_powershell
def test_answer_is_ascii_in_a_frame_and_holds_no_secret(answer: bytes) -> None:
    assert re.fullmatch(rb"[\r\n -~]+", answer)
    document = unframe(answer, "x")
    assert b"geheim" not in document
    assert json.loads(document).keys() == {"schema", "machine", "files"}


@needs_powershell
def test_files_of_the_server(found: Snapshot) -> None:
    assert found.problems == ()
    assert configuration_file(found).file is not None
    assert sorted(found.files) == [
        "applicationhost.config",
        "files/c/inetpub/wwwroot/a/b/c/auth.config",
        "files/c/inetpub/wwwroot/a/b/c/web.config",
        "files/c/inetpub/wwwroot/broken/web.config",
        "files/c/inetpub/wwwroot/web.config",
        "files/d/sites/web.config",
    ]
    assert found.files["applicationhost.config"].data == blanked(HOST.encode())
    broken = found.files["files/c/inetpub/wwwroot/broken/web.config"].malformed
    assert broken is not None
    assert (broken.reason, broken.line) == ("not well-formed XML", 3)
    unread = dict(found.machine.unread)
    assert re.match("its (text is not utf-8|characters cannot be told)", unread.pop(r"D:\sites\latin\web.config"))
    assert sorted(unread.items()) == [
        (r"%Nobody%\x", "the variable %Nobody% is not known"),
        (r"D:\sites\folder\web.config", "a folder, not a file"),
        (r"\\srv\share\app\web.config", "not found"),
    ]


@needs_powershell
def test_full_language_keeps_every_byte(tmp_path: Path) -> None:
    found = from_document(unframe(printed(server(tmp_path), "FullLanguage"), "WEB01"), "WEB01", None, {})
    name = "sites/web.config"
    assert found.files[f"files/d/{name}"].data == blanked((tmp_path / "D" / name).read_bytes())


SPREAD = [text.format(*(f"Zq{number}qZ" for number in range(9))) for text in SECRETS if "urn:" not in text]


@needs_powershell
@pytest.mark.parametrize("mode", ["FullLanguage", "ConstrainedLanguage"])
def test_the_server_itself_blanks_as_python_does(tmp_path: Path, mode: str) -> None:
    text = HOST.replace("<system.applicationHost>", "".join(SPREAD) + "<system.applicationHost>", 1)
    put(server(tmp_path) / CONFIG_FOLDER / "applicationHost.config", text)
    answer = unframe(printed(tmp_path, mode), "WEB01")
    assert not CANARY.search(answer.decode())
    assert from_document(answer, "x", None, {}).files["applicationhost.config"].data == blanked(text.encode())


@needs_powershell
@pytest.mark.parametrize("mode", ["FullLanguage", "ConstrainedLanguage"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "windows-1252"])
def test_what_is_not_utf_8_is_read_rightly_or_not_at_all(tmp_path: Path, mode: str, encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding == "windows-1252" else ""
    put(server(tmp_path) / CONFIG_FOLDER / "applicationHost.config", (declared + HOST).encode(encoding))
    found = from_document(unframe(printed(tmp_path, mode), "WEB01"), "WEB01", None, {})
    file = found.files["applicationhost.config"]
    if file.error is not None:
        assert (mode, encoding) == ("ConstrainedLanguage", "windows-1252")
        assert file.error.startswith("its characters cannot be told")
    else:
        pool = next(node for node in tree(file.data, "x").children[0].children if node.name == "applicationPools")
        assert pool.children[0].children[0].attributes["userName"] == r"TEST\Grüße"


@needs_powershell
def test_facts_of_the_server(found: Snapshot) -> None:
    machine = found.machine
    assert (machine.name, machine.dns_name, machine.domain) == ("WEB01", "web01.test.com", "test.com")
    assert (machine.netbios_domain, machine.membership, machine.domain_controller) == ("TEST", "domain", False)
    assert machine.addresses == ("10.0.5.2", "fe80::5:2")
    assert machine.registry == {"BackConnectionHostNames": ["www.test.com"], "MaxFieldLength": 65534}
    assert machine.services == {"W3SVC": "running", "WMSVC": "stop_pending"}
    assert machine.worker_processes == (("Contoso", 4242, r"TEST\contososvc"),)
    assert {name.lower() for name in machine.environment} == {"systemdrive", "systemroot", "windir", "data"}
    assert machine.content_looked
    assert machine.collected_at is not None


@needs_powershell
def test_server_without_iis_is_an_answer_too(tmp_path: Path) -> None:
    (tmp_path / "C").mkdir()
    (tmp_path / "D").mkdir()
    found = from_document(unframe(printed(tmp_path, "ConstrainedLanguage"), "WEB01"), "WEB01", None, {})
    assert (found.files["applicationhost.config"].error or "").startswith("not found: IIS is not installed")
    assert not found.machine.content_looked


@needs_powershell
@pytest.mark.parametrize("mode", ["FullLanguage", "ConstrainedLanguage"])
def test_shared_configuration_is_followed(tmp_path: Path, mode: str) -> None:
    put(server(tmp_path) / "D/iis/applicationHost.config", HOST)
    put(tmp_path / CONFIG_FOLDER / "redirection.config", REDIRECTION.format(r"%DATA%\iis" + "\\"))
    found = from_document(unframe(printed(tmp_path, mode), "WEB01"), "WEB01", None, {})
    file = configuration_file(found).file
    assert file is not None
    assert file.name == "WEB01/files/D/iis/applicationHost.config"
    put(tmp_path / CONFIG_FOLDER / "redirection.config", REDIRECTION.format(r"\\srv\gone"))
    found = from_document(unframe(printed(tmp_path, mode), "WEB01"), "WEB01", None, {})
    assert (configuration_file(found).file, found.machine.content_looked) == (None, False)
    assert found.machine.unread == ((r"\\srv\gone\applicationHost.config", "not found"),)


@needs_powershell
def test_folder_that_may_not_be_listed_is_unread(tmp_path: Path) -> None:
    closed = server(tmp_path) / "C/inetpub/wwwroot/a"
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip(MAY_LIST_ALL)
        found = from_document(unframe(printed(tmp_path, "ConstrainedLanguage"), "WEB01"), "WEB01", None, {})
    finally:
        closed.chmod(0o700)
    assert (r"C:\inetpub\wwwroot\a\web.config", "access denied") in found.machine.unread


@needs_powershell
def test_links_that_go_in_circles_end(tmp_path: Path) -> None:
    site = server(tmp_path) / "C/inetpub/wwwroot"
    (site / "up").symlink_to(site)
    found = from_document(unframe(printed(tmp_path, "ConstrainedLanguage"), "WEB01"), "WEB01", None, {})
    assert "files/c/inetpub/wwwroot/web.config" in found.files
    assert len(found.files) < 30


@needs_powershell
def test_output_written_to_a_file_is_inspected(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "WEB01.snapshot"
    path.write_bytes(answer.decode().encode("utf-16"))
    assert read_target(path, None, {}).machine.name == "WEB01"
