"""Which reader reads a file of `--ad`: each kind is known by its beginning, told, and read."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import pytest
from test_docs import commands

import agent.sources.ad
from agent.names import spn
from agent.sources.ad.collector import Collector
from agent.sources.ad.exports import READERS, read_exports
from agent.spn.directory import Question

LDIF = "dn: CN=svc,DC=test,DC=com\nobjectClass: user\nsAMAccountName: svc\nservicePrincipalName: HTTP/a.test.com\n"
SAMPLES = {
    "LDIF": [
        LDIF,
        f"version: 1\n\n{LDIF}",
        f"# extended LDIF\n#\n# LDAPv3\n\n{LDIF}\n# search result\nsearch: 2\nresult: 0 Success\n",
        f"# a remark of somebody\n{LDIF.replace('dn: CN', 'DN:CN')}",
    ],
    "setspn text": [
        "CN=svc,DC=test,DC=com\n\tHTTP/a.test.com\n\nExisting SPN found!\n",
        "Dienstprinzipalnamen (SPN) sind registriert:\nCN=svc,DC=test,DC=com\n\tHTTP/a.test.com\n",
    ],
}
"""Files of each kind that say: svc holds HTTP/a.test.com."""
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be")
CASES = [(name, text, encoding) for name, texts in SAMPLES.items() for text in texts for encoding in ENCODINGS]


def test_every_kind_has_its_samples() -> None:
    assert [reader.name for reader in READERS] == list(SAMPLES)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "text", "encoding"), CASES)
def test_a_file_is_read_by_the_reader_of_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, encoding: str, line_end: str
) -> None:
    path, asked = tmp_path / "file", []
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes(f"{mark}{text}".replace("\n", line_end).encode(encoding))
    told = [reader._replace(read=noted(reader.name, reader.read, asked)) for reader in READERS]
    monkeypatch.setattr("agent.sources.ad.exports.READERS", told)
    directory = read_exports([path], Question(spns=frozenset({spn("HTTP/a.test.com")})))
    assert asked == [name]
    assert [holder.name.name for holder in directory.seen(spn("HTTP/a.test.com"))] == ["svc"]


def noted(name: str, reader: object, asked: list[str]) -> object:
    def reads(stream: BinaryIO, collector: Collector) -> None:
        asked.append(name)
        assert callable(reader)
        reader(stream, collector)

    return reads


def test_no_reader_is_left_out() -> None:
    found = set()
    for module in pkgutil.iter_modules(agent.sources.ad.__path__, "agent.sources.ad."):
        for _, function in inspect.getmembers(import_module(module.name), inspect.isfunction):
            own = function.__module__ == module.name and not function.__name__.startswith("_")
            if own and list(function.__annotations__.values()) == ["BinaryIO", "Collector", "None"]:
                found.add(function)
    assert found == {reader.read for reader in READERS}


def test_every_kind_is_documented() -> None:
    named = ", ".join(reader.name for reader in READERS)
    text = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `--ad SOURCE`")]
    assert f"({named})" in row
    assert f"({named})" in commands()["inspect"].format_help().replace("\n", " ").replace("  ", "")
