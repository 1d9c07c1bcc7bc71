"""A word that nobody knows, and the one that was meant."""

from __future__ import annotations

from collections.abc import Iterable

from agent.names import fold

_LONGEST = 64
"""Characters; no word of ours is longer, and finding the nearest takes time in proportion to both."""


def meant(word: str, known: Iterable[str]) -> str | None:
    """The known word that one may be a slip of, letters' case aside; None where none is near."""
    from difflib import get_close_matches

    by_folded = {fold(each): each for each in known}
    near = get_close_matches(fold(word)[:_LONGEST], by_folded, n=1)
    return by_folded[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question to put behind a sentence that refuses a word: `: did you mean X?`, or nothing."""
    found = meant(word, known)
    return f": did you mean {found}?" if found is not None else ""
