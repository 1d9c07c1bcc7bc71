"""For Windows PowerShell 5.1 and PowerShell 7: with what each word is for; where no word is known, names of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.cli.shells import choices, valued
from agent.cli.vocabulary import Command


def script(commands: Sequence[Command]) -> str:
    values = [
        f"        {_quoted(f'{command.name} {name}')} = @({_list(option.words)})"
        for command, option in valued(commands)
        for name in option.names
    ]
    words = [
        f"        {_quoted(command.name)} = @({_list(f'{word}|{told}' for word, told in choices(command))})"
        for command in commands
    ]
    return _SCRIPT.replace("@values", "\n".join(values)).replace("@words", "\n".join(words))


def _list(words: Iterable[str]) -> str:
    return ", ".join(map(_quoted, words))


def _quoted(text: str) -> str:
    """A text in which nothing is expanded; PowerShell takes curly quotes for straight ones."""
    for quote in "'\u2018\u2019\u201a\u201b":
        text = text.replace(quote, quote * 2)
    return f"'{text}'"


_SCRIPT = """\
# PowerShell completion for iis-spn. In $PROFILE:  iis-spn completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName 'iis-spn', 'iis-spn.exe' -ScriptBlock {
    param($current, $line, $position)
    $values = @{
@values
    }
    $words = @{
@words
    }
    $typed = @($line.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { "$_" })
    $command = "$($typed | Select-Object -Skip 1 | Where-Object { $_ -notlike '-*' } | Select-Object -First 1)"
    $option, $lead, $begun = $typed[-1], '', "$current"
    if ($begun -match '^(--[^=]+)=(.*)$') { $option, $lead, $begun = $Matches[1], "$($Matches[1])=", $Matches[2] }
    if ($values.ContainsKey("$command $option")) { $known = $values["$command $option"] }
    else { $known = @($words[$command] | Where-Object { ($_ -like '-*') -eq ($begun -like '-*') }) }
    $pattern = [System.Management.Automation.WildcardPattern]::Escape($begun) + '*'
    $known | Where-Object { $_ -like $pattern } | ForEach-Object {
        $word, $told = $_ -split '\\|', 2
        if (-not $told) { $told = $word }
        [System.Management.Automation.CompletionResult]::new("$lead$word", $word, 'ParameterValue', $told)
    }
}
"""
