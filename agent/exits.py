"""The exit codes, as the public contract fixes them."""

CLEAN = 0
"""Nothing at or above `--fail-on`."""

FINDINGS = 1
"""At least one finding at or above `--fail-on`."""

INCOMPLETE = 2
"""A server, a file or the directory could not be read; what was read is reported. Wins over FINDINGS."""

USAGE = 64
"""The command line is wrong (EX_USAGE of sysexits.h)."""

INTERRUPTED = 130
"""A second Ctrl-C: what was begun is not even tidied up (128 and the number of SIGINT, as shells say it)."""

BUG = 70
"""A fault of this program (EX_SOFTWARE of sysexits.h)."""
