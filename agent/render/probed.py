"""What `probe` saw as text: how many used Kerberos, then each that did not, step by step."""

from __future__ import annotations

from agent.evidence.diagnosis import PossibleCause
from agent.evidence.probed import KerberosError, Probe
from agent.render.findings import write_sentence
from agent.render.layout import LOOKS, Page
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown
from agent.render.wording import NO_TICKET, WORDS
from agent.story.probed import Probing


def to_text(probing: Probing, width: int, color: bool, shown: Shown = "all", _: Following = NOTHING_FOLLOWS) -> str:
    """The verdict, what needs somebody first, and one line for each that used Kerberos as predicted.

    With `all` the steps of these too.
    """
    page = Page(width)
    page.prose(verdict(probing), look="bold")
    if shown == "verdict":
        return page.text(color)
    for gap in probing.gaps:
        page.prose(f"Not read: {gap}")
    for probe in in_order(probing):
        is_fine = probe.used == "kerberos" and probe.predicted in {None, probe.observed}
        _told(page, probe, is_short=is_fine and shown == "causes" and len(probing.probes) > 1)
    if probing.findings:
        page.heading("What to do", "")
    for finding in probing.findings:
        page.prose(finding.message, 11, first=("  ERROR", "bold red"))
        page.prose(f"{finding.id}: observed is not what was predicted", 11)
        for number, sentence in enumerate(finding.fix):
            page.prose(f"- {sentence}", 11, first="" if number else ("  do", "bold"))
    page.blank()
    page.prose(verdict(probing), look="bold")
    return page.text(color)


def verdict(probing: Probing) -> str:
    """`KERBEROS 3, NTLM 1 of 4 requests`, and how many were not what was predicted."""
    probes = probing.probes
    counts = {
        "NOT SEEN": sum(not probe.was_seen for probe in probes),
        "NO KERBEROS": sum(probe.was_seen and probe.used == "none" for probe in probes),
        "NTLM": sum(probe.used == "ntlm" for probe in probes),
        "KERBEROS": sum(probe.used == "kerberos" for probe in probes),
    }
    told = ", ".join(f"{word} {count}" for word, count in counts.items() if count)
    other = f"; {len(probing.findings)} not as predicted" if probing.findings else ""
    return f"{told} of {len(probes)} request{'s' if len(probes) != 1 else ''}{other}"


def in_order(probing: Probing) -> list[Probe]:
    """Those that need somebody first, else as they were asked for."""
    ranks = {"none": 0, "ntlm": 1, "kerberos": 2}
    return sorted(probing.probes, key=lambda probe: (probe.observed == probe.predicted, ranks[probe.used]))


def _told(page: Page, probe: Probe, *, is_short: bool) -> None:
    word = outcome_word(probe)
    look = "bold" if probe.observed is None else LOOKS[probe.observed]
    page.blank()
    page.line((f"{probe.url}  {probe.client}", "bold"), "  ", (word, look), _predicted(probe))
    if is_short:
        return
    for number, step in enumerate(probe.because, 1):
        page.prose(step, 6, first=f"  {number}.".ljust(6))
    for cause in probe.causes[:1]:
        _cause(page, cause)
    if probe.decrypts_as is not None and probe.used == "kerberos":
        page.prose(f"{probe.decrypts_as} decrypts: the directory says that it holds the SPN.", 6)


def _cause(page: Page, cause: PossibleCause) -> None:
    """The likeliest; the others are possible at best, and `--format json` has them all."""
    page.prose(f"{cause.likelihood} cause: {cause.id}", 6, look="bold")
    if cause.decide is not None:
        page.prose(f"It is decided by: {cause.decide}", 6)
    for number, sentence in enumerate(cause.fix):
        write_sentence(page, sentence, 6, first="" if number else ("  do", "bold"))


def outcome_word(probe: Probe) -> str:
    """What was observed, as a table has it."""
    return NO_TICKET if probe.observed is None else "NOT SEEN" if not probe.was_seen else WORDS[probe.observed]


def _predicted(probe: Probe) -> str:
    if probe.predicted is None:
        return ""
    return ", as predicted" if probe.predicted == probe.observed else f", predicted: {WORDS[probe.predicted]}"


def error_told(error: KerberosError) -> str:
    """`KRB_AP_ERR_MODIFIED (41) by contososvc of TEST.COM`."""
    name = f"{error.error_name} ({error.error_code})" if error.error_name else str(error.error_code)
    return f"{name} by {error.server} of {error.realm}" if error.server else f"{name} by the KDC"
