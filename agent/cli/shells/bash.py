"""For bash, of any version: what is no option and no word of ours is the name of a file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from agent.cli.shells import choices, valued
from agent.cli.vocabulary import Command


def script(commands: Sequence[Command]) -> str:
    values = [
        _case([f"{command.name} {name}" for name in option.names], option.words) for command, option in valued(commands)
    ]
    words = [_case([command.name], (word for word, _ in choices(command))) for command in commands]
    return _SCRIPT.replace("@values", "\n".join(values)).replace("@words", "\n".join(words))


def _case(patterns: Iterable[str], words: Iterable[str]) -> str:
    return f"        {'|'.join(map(shlex.quote, patterns))}) words={shlex.quote(' '.join(words))} ;;"


_SCRIPT = """\
# bash completion for iis-spn. In ~/.bashrc:  eval "$(iis-spn completion bash)"
_iis_spn() {
    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} command= words= at
    # bash takes --option=value apart at the sign
    if [[ $current == = ]]; then current=; elif [[ $option == = ]]; then option=${COMP_WORDS[COMP_CWORD-2]}; fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -* ]] || { command=${COMP_WORDS[at]}; break; }
    done
    case "$command $option" in
@values
        *) case $command in
@words
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    # options only where one was begun; else files, where the command has no words
    [[ $current == -* ]] || COMPREPLY=($(printf '%s\\n' "${COMPREPLY[@]}" | grep -v '^-'))
}
complete -o default -F _iis_spn iis-spn
"""
