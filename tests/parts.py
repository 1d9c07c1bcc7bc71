"""The parts that a machine may lack when the tests run there, and the one sentence of a test that goes without.

Where everything else must be there (IIS_SPN_REQUIRE_LIVE=1, as in .ci/run) no other skip is taken: conftest.py.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
"""Real configuration files of other people, which may not be copied into the project."""
PWSH = shutil.which("pwsh")

NO_CORPUS = "../shared/corpus is not there"
NO_POWERSHELL = "no pwsh on PATH: PowerShell scripts are read and parsed here, not run"
WINDOWS_PYTHON = os.environ.get("IIS_SPN_WINDOWS_PYTHON")
"""A folder with `wpy`, which runs Windows programs, and first of all a Windows Python, under wine."""
NO_WINDOWS_PYTHON = "IIS_SPN_WINDOWS_PYTHON names no folder with a Windows Python under wine (.ci/windows makes one)"
MAY_LIST_ALL = "with pwsh, but as the super-user, who may list every folder"
NOT_WINDOWS = "asks Windows itself"
NO_MAKE_BELIEVE = "asks a Windows with a make-believe IIS (IIS_SPN_MAKE_BELIEVE_IIS=1): .ci/windows makes one"
PERMITTED = frozenset({NO_CORPUS, NO_POWERSHELL, MAY_LIST_ALL, NOT_WINDOWS, NO_WINDOWS_PYTHON, NO_MAKE_BELIEVE})
"""No package index has PowerShell, the corpus and the Windows Python stand beside the project, and Windows can only be
asked on Windows.
"""

needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason=NO_CORPUS)
needs_powershell = pytest.mark.skipif(PWSH is None, reason=NO_POWERSHELL)
ANSIBLE = Path(os.environ.get("IIS_SPN_ANSIBLE") or Path(__file__).parents[1] / ".venv-ansible" / "bin")
"""Where its programs are: in an environment of their own, which `make .venv-ansible/.done` makes."""
needs_ansible = pytest.mark.skipif(
    not (ANSIBLE / "ansible-lint").exists(), reason="no Ansible: make .venv-ansible/.done installs it"
)
needs_windows_python = pytest.mark.skipif(WINDOWS_PYTHON is None, reason=NO_WINDOWS_PYTHON)
needs_make_believe = pytest.mark.skipif("IIS_SPN_MAKE_BELIEVE_IIS" not in os.environ, reason=NO_MAKE_BELIEVE)
needs_windows = pytest.mark.skipif(sys.platform != "win32", reason=NOT_WINDOWS)


def corpus(*patterns: str, without: str | None = None) -> list[Any]:
    """One parameter for each file of the corpus, or one that skips where there is none."""
    return list(_found(patterns, without)) or [pytest.param(None, id="absent", marks=needs_corpus)]


def _found(patterns: tuple[str, ...], without: str | None) -> Iterator[Any]:
    for path in sorted({path for pattern in patterns for path in CORPUS.glob(pattern)}):
        if without is None or without not in path.name:
            yield pytest.param(path, id=path.name.rpartition("__")[2])
