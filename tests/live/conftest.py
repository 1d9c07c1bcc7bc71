"""What live tests share: one domain controller per session.

As root the tests just run. Anyone else can be root in a network of his own:

    unshare -Urn sh -c 'ip link set lo up; exec .venv/bin/pytest tests/live'

IIS_SPN_REQUIRE_LIVE=1   fail where a part is missing, instead of skipping (tests/conftest.py)
IIS_SPN_LAB_CACHE=DIR    keep the new domain there: the next session starts in less than a second
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import samba

if TYPE_CHECKING:
    from .kdc import Observation

    Observe = Callable[[str, str], Observation]


@pytest.fixture(scope="session")
def domain_controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[samba.DomainController]:
    """A running controller of TEST.COM; accounts that a test makes stay until the end of the session."""
    if obstacle := samba.obstacle():
        pytest.skip(f"no Active Directory: {obstacle}")
    cache = os.environ.get("IIS_SPN_LAB_CACHE")
    dc = samba.DomainController(tmp_path_factory.mktemp("dc"))
    with samba.running(dc, Path(cache) if cache else None), pytest.MonkeyPatch.context() as patch:
        for name, value in dc.environment.items():
            patch.setenv(name, value)
        yield dc


@pytest.fixture(scope="session")
def observe(domain_controller: samba.DomainController) -> Observe:
    """`kdc.observe` for this controller: `observe("HTTP/www.test.com", "svc-web").kind`."""
    from . import kdc

    return functools.partial(kdc.observe, domain_controller)
