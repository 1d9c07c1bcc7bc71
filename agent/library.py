"""The same from Python: `inspect`, `explain`, `plan` and `diff`, with the options of the command line as keywords.

Nothing that is given is passed over in silence: what cannot be used is a UsageError, what cannot be read stands in the
report, which is then not complete (docs/library.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

from msgspec.structs import replace

from agent import story
from agent.errors import UsageError
from agent.history import Difference, compare
from agent.inspection.sources import Only, Sources
from agent.inspection.stages import Analysis, analyse, clients_named, demand_domains
from agent.model import Explanation, Report
from agent.names import address_of, fold, host_fault, host_name, netbios_fault, printable
from agent.sources import option_files
from agent.sources.names_file import names_file
from agent.sources.report_file import is_report, read_report
from agent.sources.selected import DirectorySource, LiveLogon, directory_source, name_source
from agent.sources.snapshots import targets as target_files
from agent.sources.text_file import is_there
from agent.spn.nameservice import AskNames
from agent.spn.question import Typed

Word = str | os.PathLike[str]
Words = Word | Iterable[Word]
"""One or many, as texts or Paths."""


class Options(TypedDict, total=False):
    """The keywords of `inspect`, `explain`, `plan` and `diff`. None is the same as not given.

    `ad`, `dns`, `farm`, `names`, `accept`, `clients` and `computer` take the words of the options of the command line
    that are called so; but nobody is asked about SPNs where `ad` is not given (`"auto"` asks this machine's domain).
    `servers` and `sites` say which of all that is judged stand in the report (`--server`, `--site`).
    `ad_user` logs on to a live directory with what `ad_password` returns, `ca` has the certificates to trust there.
    `netbios_domains` has NetBIOS names by DNS domain name, under "" the one of every domain. `now`, with its time zone,
    is when passwords and logons are old, and acceptances over.
    """

    ad: Words | None
    ad_user: str | None
    ad_password: Callable[[], str] | None
    ca: Words | None
    dns: Words | None
    farm: Words | None
    names: Words | None
    accept: Words | None
    clients: Words | None
    servers: Words | None
    sites: Words | None
    computer: str | None
    netbios_domains: Mapping[str, str] | None
    now: datetime | None


def inspect(targets: Words, **options: Unpack[Options]) -> Report:
    """Say which SPN each site needs, on which account it must live, and whether that is so.

    `targets` are applicationHost.config files, snapshot folders or files, folders of snapshots, or patterns of such
    names; `Options` says what the keywords are. Raises UsageError where an argument is wrong or would be ignored; what
    cannot be read is in the report, whose `complete` is then False.
    """
    return _analysis(targets, options).report


def explain(url: str, targets: Words, **options: Unpack[Options]) -> Explanation:
    """Tell for one URL what each kind of client asks for, whom the KDC picks, who decrypts and what happens.

    The rest is as for `inspect`; of its findings those that concern the URL.
    """
    if not isinstance(url, str):
        raise UsageError(f"url: a text belongs here, not {_kind(url)}")
    return story.explain(_analysis(targets, options, [story.read_url(url).typed]), url)


def plan(targets: Words, *, want: Words | None = None, **options: Unpack[Options]) -> Report:
    """Say in which order what is wrong is mended: `plan` of the report that `inspect` makes of the same arguments.

    With `want`, files of what is wanted, the steps lead there instead (`plan.wanted`). The report comes with it, for it
    says whether to act: whether all was read (`complete`), and what each step and what is blocked is for (`findings`).
    Changes nothing.
    """
    return _analysis(targets, options, want=want).report


def diff(old: Report | Word, new: Report | Word, **options: Unpack[Options]) -> Difference:
    """Say what changed from `old` to `new`: order, line numbers and times never do.

    Each is a `Report`, the file of a JSON report of any release, a snapshot folder or file, or a folder of snapshots.
    Snapshots are inspected with the same options; two reports need none and take none. Raises UsageError too where a
    file is no report, with its line.
    """
    taken = [side if isinstance(side, Report) else _side(name, side) for name, side in (("old", old), ("new", new))]
    if options and all(isinstance(side, Report) for side in taken):
        raise UsageError(f"{next(iter(options))}: two reports say already what was found")
    before, after = (side if isinstance(side, Report) else inspect(side, **options) for side in taken)
    called = [name if isinstance(side, Report) else os.fspath(side) for name, side in (("OLD", old), ("NEW", new))]
    return compare(before, after, (called[0], called[1]))


def _side(name: str, given: object) -> Report | str:
    word = _word("targets", given) if isinstance(given, str | os.PathLike) else None
    if word is None:
        raise UsageError(f"{name}: a Report, a text or a Path belongs here, not {_kind(given)}")
    return read_report(word) if is_report(word) else word


def _analysis(targets: Words, options: Options, typed: Sequence[Typed] = (), *, want: Words | None = None) -> Analysis:
    _refuse_unknown(options)
    words = _words("targets", targets)
    paths = target_files.expand(words)
    computer = _computer(options.get("computer"), len(paths))
    netbios = _netbios_names(options.get("netbios_domains"))
    wants = [each for path in _paths("want", want) for each in option_files.want_file(path)]
    sources = _sources(options, netbios)
    sources = replace(sources, typed=typed, wants=wants, read=(*sources.read, *option_files.told_of_wants(wants)))
    swept = target_files.sweep_folders(words)
    analysis = analyse(target_files.read_targets(paths, computer, netbios, swept=swept), sources)
    demand_domains(netbios, analysis)
    return analysis


def _refuse_unknown(options: Options) -> None:
    for name in options:
        if name not in Options.__annotations__:
            raise TypeError(f"there is no option {name!r}; known: {', '.join(Options.__annotations__)}")


def _sources(options: Options, netbios: Mapping[str, str]) -> Sources:
    directory = _directory(options, netbios)
    dns = _words("dns", options.get("dns"), ("system" if directory.is_live else "off",))
    farm, accept = _paths("farm", options.get("farm")), _paths("accept", options.get("accept"))
    logged = _paths("names", options.get("names"))
    return Sources(
        directory=directory.ask,
        names=_names(dns),
        farm=[name for path in farm for name in option_files.farm_file(path)],
        logged=[names_file(path) for path in logged],
        accepted=[acceptance for path in accept for acceptance in option_files.accept_file(path)],
        clients=clients_named(_words("clients", options.get("clients"), ())),
        only=Only(
            tuple(_words("servers", options.get("servers"), ())), tuple(_words("sites", options.get("sites"), ()))
        ),
        now=_moment(options.get("now")),
        read=option_files.told_of(farm=farm, names=logged, accept=accept),
    )


# -- words ---------------------------------------------------------------------------------------------------------


def _words(option: str, given: object, missing: Sequence[str] | None = None) -> Sequence[str]:
    """One or many as texts, `missing` for None. Raises UsageError for anything else, and for none at all."""
    if given is None and missing is not None:
        return missing
    many = (given,) if isinstance(given, str | os.PathLike) else given
    if not isinstance(many, Iterable) or isinstance(many, bytes | Mapping):
        raise UsageError(f"{option}: a text or a Path belongs here, or several, not {_kind(given)}")
    words = [_word(option, each) for each in many]
    if not words:
        raise UsageError(f"{option}: the list is empty")
    return words


def _word(option: str, given: object) -> str:
    word = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(word, str):
        raise UsageError(f"{option}: a text or a Path belongs here, not {_kind(given)}")
    if not word.strip():
        raise UsageError(f"{option}: the text is empty")
    if isinstance(given, os.PathLike) and option != "targets":  # a target that is not there stands in the report
        _file(option, word)
    return word


def _paths(option: str, given: object) -> Sequence[Path]:
    return [_file(option, word) for word in _words(option, given, ())]


def _file(option: str, word: str) -> Path:
    path = Path(word)
    if not is_there(path):
        raise UsageError(f"{option}: there is no file '{printable(word)}'")
    return path


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"


# -- sources -------------------------------------------------------------------------------------------------------


def _directory(options: Options, netbios: Mapping[str, str]) -> DirectorySource:
    words = _words("ad", options.get("ad"), ("off",))
    live = [word for word in words if "://" in word or fold(word) == "auto"]
    for word in words:
        if word not in live and fold(word) != "off":
            _file("ad", word)
    return directory_source(words, _logon(options, is_live=bool(live)), netbios)


def _logon(options: Options, *, is_live: bool) -> LiveLogon:
    """The password comes from a function, so that it stands in no traceback."""
    user, password = _text("ad_user", options.get("ad_user")), options.get("ad_password")
    certificates = _paths("ca", options.get("ca"))
    if not is_live and (user or password is not None or certificates):
        raise UsageError("ad_user, ad_password and ca are for a live directory, such as ad='ldap://dc1.test.com'")
    if (user is None) is not (password is None) or not (password is None or callable(password)):
        raise UsageError("ad_user and ad_password belong together; ad_password is a function that returns the password")
    return LiveLogon(user, password or str, certificates)


def _names(words: Sequence[str]) -> AskNames:
    """What is no file has to be an address: a slip in its name must not ask the network."""
    for word in words:
        if fold(word) not in {"off", "system"} and not _is_endpoint(word):
            _file("dns", word)
    return name_source(words)


def _is_endpoint(word: str) -> bool:
    return (address_of(word) or address_of(word.rpartition(":")[0])) is not None


# -- single values -------------------------------------------------------------------------------------------------


def _computer(given: object, targets: int) -> str | None:
    if given is not None and targets > 1:
        raise UsageError(f"computer names one server, but there are {targets} targets")
    return _text("computer", given)


def _text(option: str, given: object) -> str | None:
    if given is None or (isinstance(given, str) and given.strip()):
        return given
    raise UsageError(f"{option}: a text that is not empty belongs here, not {_kind(given)}")


def _netbios_names(given: object) -> Mapping[str, str]:
    """By folded DNS domain name."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"netbios_domains: a mapping of DNS domain names to NetBIOS names, not {_kind(given)}")
    names: dict[str, str] = {}
    for domain, name in given.items():
        fault = _domain_fault(domain, name)
        if fault is not None:
            raise UsageError(f"netbios_domains: {fault}")
        if names.setdefault(fold(host_name(domain).text), name) != name:
            raise UsageError(f"netbios_domains: '{printable(domain)}' has two names")
    return names


def _domain_fault(domain: object, name: object) -> str | None:
    if not isinstance(domain, str) or not isinstance(name, str):
        return f"a text leads to a text, not {_kind(domain)} to {_kind(name)}"
    if domain and host_fault(host_name(domain)) is not None:
        return f"'{printable(domain)}' is not a DNS name"
    return netbios_fault(name)


def _moment(given: object) -> datetime | None:
    if given is not None and not (isinstance(given, datetime) and given.utcoffset() is not None):
        raise UsageError("now: a datetime with its time zone belongs here, such as datetime.now(UTC)")
    return given
