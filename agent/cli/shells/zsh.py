"""For zsh: with what each word is for."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from agent.cli.shells import choices, valued
from agent.cli.vocabulary import Command, Option


def script(commands: Sequence[Command]) -> str:
    values = [
        f"        ({_patterns(f'{command.name} {name}' for name in option.names)}) {_value(option)} ;;"
        for command, option in valued(commands)
    ]
    words = [f"        ({shlex.quote(command.name)}) known=({_described(choices(command))}) ;;" for command in commands]
    return _SCRIPT.replace("@values", "\n".join(values)).replace("@words", "\n".join(words))


def _patterns(these: Iterable[str]) -> str:
    return "|".join(map(shlex.quote, these))


def _value(option: Option) -> str:
    if option.words:
        return f"compadd -- {' '.join(map(shlex.quote, option.words))}"
    return "_files" if option.takes_file else f"_message {shlex.quote(option.takes or '')}"


def _described(words: Iterable[tuple[str, str]]) -> str:
    """As `_describe` takes them: a colon stands between word and description."""
    return " ".join(shlex.quote(f"{word}:{told}" if told else word) for word, told in words)


_SCRIPT = """\
#compdef iis-spn
# zsh completion for iis-spn. In ~/.zshrc, after compinit:  eval "$(iis-spn completion zsh)"
_iis_spn() {
    local command= option=$words[CURRENT-1] at
    local -a known
    for ((at = 2; at < CURRENT; at++)); do
        [[ $words[at] == -* ]] || { command=$words[at]; break }
    done
    if [[ $PREFIX == --*=* ]]; then
        option=${PREFIX%%=*}
        compset -P 1 '*='
    fi
    case "$command $option" in
@values
        (*)
        case $command in
@words
        esac
        if [[ $PREFIX == -* ]]; then
            known=(${(M)known:#-*})
            _describe -o option known
        else
            known=(${known:#-*})
            if (( $#known )); then _describe word known; else _files; fi
        fi ;;
    esac
}
if [[ $funcstack[1] == _iis_spn ]]; then _iis_spn "$@"; else compdef _iis_spn iis-spn; fi
"""
