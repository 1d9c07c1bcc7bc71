"""The options that commands share, group by group: how each is given, and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agent.cli import formats, options
from agent.cli.values import LEVELS, count, hours, name, one_of, port, seconds
from agent.errors import UsageError
from agent.names import fold, printable
from agent.sources.endpoint import Transport
from agent.spn.clients import CLIENTS
from agent.sweep.options import Asking, Keeping, Logon, Whom, Winrm

if TYPE_CHECKING:
    from agent.render.screen import Shown

TRANSPORTS = get_args(Transport)


# -- where to look -------------------------------------------------------------------------------------------------


def add_targets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "targets",
        nargs="*",
        default=[],
        metavar="TARGET",
        help="an applicationHost.config, a snapshot folder or file, or a folder of snapshots; may hold * and ?. "
        "None: this server (Windows)",
    )


def add_expected(command: argparse.ArgumentParser) -> None:
    what = command.add_argument_group("what the snapshots should be")
    what.add_argument(
        "--inventory",
        action="append",
        default=[],
        metavar="FILE",
        help="names in a text file, or an Ansible inventory (INI, YAML, JSON): a server in it without a snapshot is "
        "told; - is stdin; may be given more than once",
    )
    what.add_argument("--stale-after", type=hours, metavar="HOURS", help="a snapshot that is older is told")


def add_looking(command: argparse.ArgumentParser, *, with_names: bool = True) -> None:
    where = command.add_argument_group("where to look")
    where.add_argument(
        "--ad",
        action="append",
        default=[],
        metavar="SOURCE",
        help="who holds which SPN: auto, off, ldap://DC[:PORT], ldaps://DC, gc://DC, or a file (LDIF, setspn text); "
        "may be given more than once. Default: auto",
    )
    where.add_argument(
        "--dns",
        action="append",
        default=[],
        metavar="SOURCE",
        help="system, off, the address of a name server, or a zone file; files may be given more than once. "
        "Default: system when --ad is live, else off",
    )
    where.add_argument(
        "--farm",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="names that the configuration cannot show (TOML); may be given more than once",
    )
    if with_names:
        where.add_argument(
            "--names",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="host names that clients were seen to use, one on a line; may be given more than once",
        )
    where.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="NAME",
        type=one_of(*CLIENTS),
        choices=tuple(CLIENTS),
        help=f"a client kind that matters, instead of the default ones; may be given more than once: "
        f"{', '.join(CLIENTS)}",
    )
    where.add_argument("--computer", metavar="FQDN", help="the server's full name, where the file does not say it")
    add_netbios_domain(where)
    add_logon(where)


def add_netbios_domain(where: argparse._ArgumentGroup) -> None:
    where.add_argument(
        "--netbios-domain",
        action="append",
        default=[],
        metavar="NAME[=DNS.DOMAIN]",
        help="the NetBIOS name of the domain, where it is not the first label of its DNS name",
    )


def netbios_of(given: argparse.Namespace) -> Mapping[str, str]:
    """NetBIOS names by folded domain, "" for any. Raises UsageError for two names of one domain."""
    known: dict[str, str] = {}
    for text in given.netbios_domain:
        netbios, _, domain = text.partition("=")
        first = known.setdefault(fold(domain), netbios)
        if first != netbios:
            raise UsageError(f"--netbios-domain: one domain, but two names: {printable(first)}, {printable(netbios)}")
    return known


def looking_of(given: argparse.Namespace) -> options.Looking:
    return options.Looking(
        ad=tuple(given.ad),
        dns=tuple(given.dns),
        farm=tuple(given.farm),
        names=tuple(given.names),
        accept=tuple(given.accept),
        clients=tuple(given.client),
        computer=given.computer,
        netbios=netbios_of(given),
        servers=tuple(getattr(given, "server", ())),
        sites=tuple(getattr(given, "site", ())),
    )


def add_logon(where: argparse._ArgumentGroup) -> None:
    where.add_argument("--ad-user", metavar="USER", help="logon for LDAP; asks for a password")
    where.add_argument(
        "--password-stdin", action="store_true", help="read passwords from stdin, a line each: KDC or WinRM, then LDAP"
    )
    where.add_argument(
        "--ca",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="certificates to trust for ldaps, https and WinRM over TLS; may be given more than once",
    )


def logon_of(given: argparse.Namespace) -> Logon:
    return Logon(ad_user=given.ad_user, password_stdin=given.password_stdin, ca=tuple(given.ca))


# -- what to print -------------------------------------------------------------------------------------------------


def _add_format(command: argparse.ArgumentParser, name: formats.Command) -> argparse._ArgumentGroup:
    known = tuple(formats.known_by(name))
    out = command.add_argument_group("what to print")
    out.add_argument(
        "--format", type=one_of(*known), choices=known, default=known[0], metavar="F", help=", ".join(known)
    )
    return out


def add_printing(command: argparse.ArgumentParser, name: formats.Command) -> None:
    """What is printed where the exit code does not hang on the severity of findings."""
    out = _add_format(command, name)
    out.add_argument("-q", "--quiet", action="store_true", help="of a table the verdict alone")
    out.add_argument("--all", action="store_true", help="of a table the steps of what is as it should be, too")
    out.add_argument("--output", type=Path, metavar="FILE", help="write there instead of stdout, atomically")


def printing_of(given: argparse.Namespace, command: formats.Command) -> options.Output:
    from agent.render.screen import NOTHING_FOLLOWS  # `--help` loads no renderer

    if given.quiet and given.all:
        raise UsageError("--quiet contradicts --all")
    return options.Output(
        format=formats.known_by(command)[given.format],
        file=given.output,
        fail_on=options.FailOn(severities=frozenset({"error"}), unchecked=False),
        shown="verdict" if given.quiet else "all" if given.all else "causes",
        following=NOTHING_FOLLOWS,
    )


def add_output(command: argparse.ArgumentParser, name: formats.Command) -> None:
    out = _add_format(command, name)
    out.add_argument("-q", "--quiet", action="store_true", help="of a table the verdict alone")
    more = "; and a line on stderr for each server as it answers" if name == "sweep" else ""
    out.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help=f"of a table also the servers that need somebody, with the line that sets each value{more}",
    )
    out.add_argument("--all", action="store_true", help="of a table every server and application")
    out.add_argument("--output", type=Path, metavar="FILE", help="write there instead of stdout, atomically")
    add_judging(out)
    if name != "diff":
        for part in ("server", "site"):
            out.add_argument(
                f"--{part}",
                action="append",
                default=[],
                metavar="NAME",
                help=f"only this {part}, of all that is judged: in the report, its counts and the exit code; * and ? "
                "stand for any letters; may be given more than once",
            )
        out.add_argument(
            "--write-accept",
            type=Path,
            metavar="FILE",
            help="write the findings as accepted ones, whose reasons are to be given; what stands in FILE stays",
        )


def add_judging(out: argparse._ArgumentGroup) -> None:
    out.add_argument(
        "--fail-on",
        action="append",
        type=one_of(*LEVELS),
        choices=LEVELS,
        default=[],
        metavar="LEVEL",
        help="exit with 1 from this severity on: error (default), warning, info, never; and with unchecked, which may "
        "be given besides, where an SPN that matters was not checked or is uncertain",
    )
    out.add_argument(
        "--accept",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="accepted findings (TOML); may be given more than once",
    )


def output_of(given: argparse.Namespace, command: formats.Command) -> options.Output:
    from agent.cli.following import following  # `--help` loads no model

    form = formats.known_by(command)[given.format]
    return options.Output(
        format=form,
        file=given.output,
        fail_on=fail_on_of(given.fail_on),
        write_accept=getattr(given, "write_accept", None),
        shown=_shown_of(given),
        following=following(given.words, getattr(given, "to", None)),
    )


def _shown_of(given: argparse.Namespace) -> Shown:
    """Raises UsageError for all that contradicts the verdict alone."""
    if given.quiet and (given.all or given.verbose):
        raise UsageError(f"--quiet contradicts {'--all' if given.all else '--verbose'}")
    return "verdict" if given.quiet else "all" if given.all else "origins" if given.verbose else "causes"


def fail_on_of(levels: Sequence[str]) -> options.FailOn:
    """Of several severities the lowest counts. Raises UsageError for one beside `never`."""
    from agent.model import SEVERITIES  # `--help` loads no model

    named = {level for level in levels if level != "unchecked"} or {"error"}
    if "never" in named and len(named) > 1:
        raise UsageError(f"--fail-on {min(named - {'never'})} contradicts --fail-on never")
    lowest = max((SEVERITIES.index(severity) for severity in SEVERITIES if severity in named), default=-1)
    return options.FailOn(severities=frozenset(SEVERITIES[: lowest + 1]), unchecked="unchecked" in levels)


# -- which servers, and how they are asked -------------------------------------------------------------------------


def add_asking(command: argparse.ArgumentParser, to: Path | None) -> None:
    whom = command.add_argument_group("which servers")
    whom.add_argument(
        "hosts",
        nargs="*",
        default=[],
        metavar="HOST",
        help="a server: web01, web[01:20], web01:5986, https://web01",
    )
    whom.add_argument(
        "--inventory",
        action="append",
        default=[],
        metavar="FILE",
        help="names in a text file, or an Ansible inventory (INI, YAML, JSON); - is stdin; may be given more than once",
    )
    whom.add_argument("--from-ad", metavar="OU", help="the computers below this OU: OU=Web,DC=test,DC=com")
    whom.add_argument("--only-iis", action="store_true", help="of those, only the ones with traces of IIS in AD")
    _add_winrm(command)
    _add_keeping(command, to)


def _add_winrm(command: argparse.ArgumentParser) -> None:
    how = command.add_argument_group("how they are asked")
    how.add_argument("--user", metavar="USER", help=r"logon for WinRM (DOMAIN\user, user@domain); asks for a password")
    how.add_argument("--password-env", metavar="NAME", help="read the WinRM password from this environment variable")
    how.add_argument(
        "--transport",
        type=one_of(*TRANSPORTS),
        choices=TRANSPORTS,
        default="auto",
        metavar="T",
        help=f"{', '.join(TRANSPORTS)}. Default: auto, Kerberos where a ticket can be had, else NTLM",
    )
    how.add_argument("--port", type=port, metavar="N", help="5985 (default), or 5986 for TLS")
    how.add_argument("--cert", type=Path, metavar="FILE", help="client certificate, for --transport certificate (PEM)")
    how.add_argument("--cert-key", type=Path, metavar="FILE", help="its key (PEM)")
    how.add_argument(
        "--jea",
        type=name,
        metavar="NAME",
        help="call Get-IisSpnSnapshot of this JEA endpoint instead of sending collect.ps1; needs iis-spn[jea]",
    )
    how.add_argument("--parallel", type=count, default=64, metavar="N", help="servers asked at once. Default: 64")
    how.add_argument("--timeout", type=seconds, default=120.0, metavar="S", help="seconds for one server. Default: 120")
    how.add_argument(
        "--continue-on-denied", action="store_true", help="go on when servers refuse the logon: accounts may get locked"
    )


def _add_keeping(command: argparse.ArgumentParser, to: Path | None) -> None:
    keep = command.add_argument_group("what is kept")
    keep.add_argument("--to", type=Path, default=to, metavar="DIR", help="write each snapshot there as it arrives")
    keep.add_argument("--resume", action="store_true", help="ask only the servers whose snapshot is missing or stale")
    keep.add_argument(
        "--stale-after", type=hours, default=24.0, metavar="HOURS", help="a snapshot is stale then. Default: 24"
    )


def asking_of(given: argparse.Namespace) -> Asking:
    """Who names a server asks that one, whatever inventory a file of options has."""
    return Asking(
        whom=_whom_of(given.typed if given.hosts or getattr(given, "forget", ()) else given),
        winrm=_winrm_of(given),
        keeping=Keeping(to=given.to, resume=given.resume, stale_after=given.stale_after),
        logon=logon_of(given),
    )


def _whom_of(given: argparse.Namespace) -> Whom:
    return Whom(
        hosts=tuple(given.hosts), inventory=tuple(given.inventory), from_ad=given.from_ad, only_iis=given.only_iis
    )


def _winrm_of(given: argparse.Namespace) -> Winrm:
    return Winrm(
        user=given.user,
        password_env=given.password_env,
        transport=given.transport,
        port=given.port,
        cert=given.cert,
        cert_key=given.cert_key,
        jea=given.jea,
        parallel=given.parallel,
        timeout=given.timeout,
        continue_on_denied=given.continue_on_denied,
        verbose=given.verbose,
    )
