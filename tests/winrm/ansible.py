"""What Ansible's own helper scripts print on a virtual server, where no PowerShell is there to run them.

On standard input Ansible sends its wrapper, a document with the name of the script and its parameters, and the pieces
of a file that is copied, each in base64; four zeros stand between these (ansible-core, executor/powershell).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

_START, _BETWEEN = b'{"name": "exec_wrapper"', b"\n\0\0\0\0\n"


def helper_output(given: bytes) -> bytes | None:
    """What the helper script prints whose name was given; None where anything else is to run."""
    if not given.startswith(_START):
        return None
    _wrapper, manifest, *pieces = given.split(_BETWEEN)
    action: dict[str, Any] = json.loads(manifest)["actions"][0]
    if action["name"] == "powershell_mkdtemp.ps1":
        return f"C:\\Temp\\{action['params']['Name']}\r\n".encode()
    if action["name"] == "winrm_put_file.ps1":
        copied = b"".join(base64.b64decode(line) for piece in pieces for line in piece.split())
        return b'{"sha1":"%s"}\r\n' % hashlib.sha1(copied, usedforsecurity=False).hexdigest().encode()
    return None
