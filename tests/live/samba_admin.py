"""The half of the lab that needs python3-samba: one JSON job per line on stdin, one JSON answer per line on stdout.

It runs under Debian's own Python, which alone can import `samba`, and knows nothing of pytest. Arguments: the
directory of the domain controller. It ends when its stdin does.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ldb
import samba.dckeytab  # noqa: F401 - adds Net.export_keytab
from samba import dsdb
from samba.auth import system_session
from samba.credentials import Credentials
from samba.net import Net
from samba.param import LoadParm
from samba.provision import provision as provision_domain
from samba.samdb import SamDB

Job = dict[str, Any]
FLAGS = {"add": ldb.FLAG_MOD_ADD, "delete": ldb.FLAG_MOD_DELETE, "replace": ldb.FLAG_MOD_REPLACE}
NEVER = str(-0x8000000000000000)


class Lab:
    """The open databases of one domain controller; it may be running or not."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.configuration = str(directory / "etc" / "smb.conf")
        self._directory_database: SamDB | None = None
        self._partition: ldb.Ldb | None = None

    @property
    def parameters(self) -> LoadParm:
        parameters = LoadParm()
        parameters.load(self.configuration)
        return parameters

    @property
    def sam(self) -> SamDB:
        """The directory with every check a client would meet, as the system account."""
        if self._directory_database is None:
            parameters = self.parameters
            self._directory_database = SamDB(
                url=str(self.directory / "private" / "sam.ldb"), session_info=system_session(parameters), lp=parameters
            )
        return self._directory_database

    @property
    def partition(self) -> ldb.Ldb:
        """The domain partition's file below all checks: Samba refuses duplicate SPNs, and to mend them, above."""
        if self._partition is None:
            name = f"{str(self.sam.domain_dn()).upper()}.ldb"
            self._partition = ldb.Ldb(str(self.directory / "private" / "sam.ldb.d" / name))
        return self._partition

    def dn(self, target: str) -> str:
        """The object meant by a sAMAccountName or by a DN."""
        if "=" in target:
            return target
        expression = f"(sAMAccountName={ldb.binary_encode(target)})"
        found = self.sam.search(self.sam.domain_dn(), expression=expression, attrs=["cn"])
        if len(found) != 1:
            raise LookupError(f"{len(found)} accounts are named {target}")
        return str(found[0].dn)


# -- jobs ----------------------------------------------------------------------------------------------------------


def provision(lab: Lab, job: Job) -> None:
    """Make a new domain from the smb.conf that the caller wrote."""
    logger = logging.getLogger("provision")
    logger.setLevel(logging.ERROR)
    provision_domain(
        logger,
        system_session(),
        smbconf=lab.configuration,
        lp=lab.parameters,
        realm=job["realm"],
        domain=job["netbios_domain"],
        adminpass=job["admin_password"],
        hostname=job["host_name"],
        hostip=job["address"],
        serverrole="active directory domain controller",
        dns_backend="NONE",
        dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2008_R2,
        skip_sysvolacl=True,
        useeadb=True,
        batch_mode=True,
    )
    # A domain kept in a cache must not expire.
    modify(lab, {"target": str(lab.sam.domain_dn()), "how": "replace", "attribute": "maxPwdAge", "values": [NEVER]})


def apply(lab: Lab, job: Job) -> None:
    """All changes in their order, each committed at once: raw ones go past the transaction of the others."""
    for change in job["changes"]:
        CHANGES[change["change"]](lab, change)


def export_keytab(lab: Lab, job: Job) -> None:
    """All keys of one account, under its own name."""
    parameters = lab.parameters
    credentials = Credentials()
    credentials.guess(parameters)
    Net(credentials, parameters).export_keytab(keytab=job["path"], principal=job["account"])


JOBS: dict[str, Callable[[Lab, Job], None]] = {"provision": provision, "apply": apply, "keytab": export_keytab}


# -- changes -------------------------------------------------------------------------------------------------------


def create(lab: Lab, change: Job) -> None:
    attributes = {name: [_value(value) for value in values] for name, values in change["attributes"].items()}
    base = str(lab.sam.domain_dn())
    dn = change["dn"].replace("{base}", base)
    lab.sam.add({"dn": dn, **{name: values for name, values in attributes.items() if values}})
    if change["password"]:
        quoted = f'"{change["password"]}"'.encode("utf-16-le")
        _modify(lab.sam, dn, "replace", "unicodePwd", [quoted])


def modify(lab: Lab, change: Job) -> None:
    database = lab.partition if change.get("raw") else lab.sam
    values = [_value(value) for value in change["values"]]
    _modify(database, lab.dn(change["target"]), change["how"], change["attribute"], values)


def delete(lab: Lab, change: Job) -> None:
    lab.sam.delete(lab.dn(change["target"]))


CHANGES: dict[str, Callable[[Lab, Job], None]] = {"create": create, "modify": modify, "delete": delete}


def _modify(database: ldb.Ldb, dn: str, how: str, attribute: str, values: list[str | bytes]) -> None:
    message = ldb.Message()
    message.dn = ldb.Dn(database, dn)
    message["change"] = ldb.MessageElement(values, FLAGS[how], attribute)
    database.modify(message)


def _value(value: str | dict[str, str]) -> str | bytes:
    return value if isinstance(value, str) else base64.b64decode(value["base64"])


# -- service -------------------------------------------------------------------------------------------------------


def answer(lab: Lab, line: str) -> dict[str, str]:
    """`{}` when the job is done, else `{"error": ...}`."""
    job = json.loads(line)
    try:
        JOBS[job["job"]](lab, job)
    except Exception as error:  # noqa: BLE001 - the caller raises it again, on the other side of the pipe
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def main() -> None:
    # Whatever Samba's libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lab = Lab(Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(answer(lab, line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
