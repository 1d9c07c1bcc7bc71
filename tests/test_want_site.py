"""Which site is to answer a name that is wanted, where the want does not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.program import main

SERVER = """<configuration><system.applicationHost>
  <applicationPools><add name="P">
    <processModel identityType="SpecificUser" userName="TEST\\svc"/></add></applicationPools>
  <sites>
    {sites}
  </sites>
</system.applicationHost></configuration>
"""
SITE = """<site name="{name}" id="{number}"><application path="/" applicationPool="P">
  <virtualDirectory path="/" physicalPath="C:\\inetpub"/></application>
  <bindings><binding protocol="http" bindingInformation="{information}"/></bindings></site>"""


def planned(folder: Path, *bindings: str) -> int:
    """The exit code, with sites S1, S2 ... of one binding each."""
    sites = [SITE.format(name=f"S{n}", number=n, information=text) for n, text in enumerate(bindings, start=1)]
    (folder / "applicationHost.config").write_text(SERVER.format(sites="".join(sites)))
    want = '[[want]]\nhost = "portal.test.com"\nservers = ["iis01"]\naccount = "TEST\\\\svc"\n'
    (folder / "want.toml").write_text(want)
    given = [
        str(folder / "applicationHost.config"),
        "--computer",
        "iis01.test.com",
        "--want",
        str(folder / "want.toml"),
    ]
    return main(["plan", *given, "--ad", "off", "--format", "json"])


@pytest.mark.parametrize(
    "bindings",
    [
        ("*:80:portal.test.com", "*:8080:"),
        ("*:8080:", "*:80:portal.test.com", "*:80:"),
        ("*:80:", "*:8080:"),
        ("*:80:other.test.com", "*:80:"),
    ],
)
def test_the_nearest_answer_counts(bindings: tuple[str, ...], tmp_path: Path) -> None:
    assert planned(tmp_path, *bindings) != 64


@pytest.mark.parametrize("bindings", [("*:8080:", "*:8081:"), ("*:80:a.test.com", "*:80:b.test.com")])
def test_of_two_that_are_alike_one_has_to_be_named(
    bindings: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(tmp_path, *bindings) == 64
    assert "Give site; known: S1, S2" in capsys.readouterr().err
