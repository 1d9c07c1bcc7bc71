"""An example or two under the help of every command; each is a line that can be typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Example(NamedTuple):
    """A command line, and what it is for."""

    line: str
    why: str


EXAMPLES: Mapping[str, Sequence[Example]] = {
    "inspect": (
        Example("iis-spn inspect", "this server, and the domain it is in"),
        Example("iis-spn inspect WEB01 --ad directory.ldif --dns zone.txt", "a snapshot, and what was exported"),
        Example("iis-spn inspect snapshots --ad ldap://dc1.test.com --all", "a farm, server by server"),
    ),
    "sweep": (
        Example("iis-spn sweep web01 web02 --ad ldap://dc1.test.com", "ask two servers, and a domain controller"),
        Example(r'iis-spn sweep --inventory farm.txt --user "TEST\admin" --to snapshots', "many, and keep what came"),
    ),
    "collect": (
        Example("iis-spn collect web[01:20] --to snapshots", "twenty snapshots, to inspect elsewhere"),
        Example("iis-spn collect --print-script > collect.ps1", "for a server that WinRM does not reach"),
    ),
    "explain": (
        Example("iis-spn explain https://contoso/ WEB01 --ad directory.ldif --dns zone.txt", "why it asks three times"),
    ),
    "probe": (
        Example("iis-spn probe https://contoso/", "with your own ticket: Kerberos or NTLM?"),
        Example("iis-spn probe --report farm.json", "every name of a report of --format json"),
    ),
    "diagnose": (
        Example("iis-spn diagnose event.txt WEB01 --ad directory.ldif", "an event, the server and the directory"),
        Example("some command | iis-spn diagnose -", "a header, klist, setspn: whatever was printed"),
        Example("iis-spn diagnose --names u_ex*.log > names.txt", "names that clients used, for inspect --names"),
    ),
    "plan": (
        Example("iis-spn plan WEB01 --ad directory.ldif", "the steps, in their order"),
        Example("iis-spn plan WEB01 --ad directory.ldif --format ticket", "to hand over to who may do it"),
    ),
    "diff": (
        Example("iis-spn diff yesterday.json today.json", "two reports of --format json"),
        Example("iis-spn diff snapshots.old snapshots --ad directory.ldif", "two folders of snapshots"),
    ),
    "agent": (
        Example(r"iis-spn agent --drop \\files01\iis-spn --event-log", "this server, again and again"),
        Example(r"iis-spn agent --once --prometheus C:\metrics\iis-spn.prom", "for a scheduled task"),
    ),
    "completion": (
        Example("iis-spn completion powershell | Out-String | Invoke-Expression", "in $PROFILE"),
        Example('eval "$(iis-spn completion bash)"', "in ~/.bashrc; with zsh in ~/.zshrc"),
    ),
    "rules": (
        Example("iis-spn rules", "the rule table, and all findings"),
        Example("iis-spn rules spn-misplaced", "the page of one"),
    ),
}


def told(examples: Sequence[Example]) -> str:
    """Each with what it is for above it, as they stand under a help text."""
    lines = [line for each in examples for line in (f"  {each.why}:", f"    {each.line}")]
    return "\n".join([f"example{'s' if len(examples) > 1 else ''}:", *lines])
