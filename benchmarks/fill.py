"""Fill the domain of a controller that is not running: thousands of users and computers in seconds.

/usr/bin/python3 -I benchmarks/fill.py DIRECTORY USER_DN COMPUTER_DN COUNT

Under Debian's own Python, which alone can import `ldb`. Every second new account is a copy of the user, the others of
the computer, written into the partition's file below all checks and replication: it can be searched, and nothing else.
User n holds `HTTP/appN` and `HTTP/appN.<domain>`, computer n what joining a domain writes.
"""

from __future__ import annotations

import struct
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import ldb

Values = dict[str, list[bytes]]


def partition(directory: Path, base: str) -> ldb.Ldb:
    """The file of the domain partition; its cache of index lists must hold what one transaction changes."""
    path = directory / "private" / "sam.ldb.d" / f"{base.upper()}.ldb"
    return ldb.Ldb(str(path), options=["transaction_index_cache_size:200000"])


def copies(count: int, user: ldb.Message, computer: ldb.Message, base: str) -> Iterator[tuple[str, Values]]:
    """The DN of each new account and all its attributes."""
    domain = ".".join(part.partition("=")[2] for part in base.split(",")).lower()
    for number in range(count):
        is_user = number % 2 == 0
        name = f"svc{number // 2:05}" if is_user else f"SRV{number // 2:05}"
        template = user if is_user else computer
        values = {key: list(template[key]) for key in template.keys() if key not in {"dn", "distinguishedName"}}  # noqa: SIM118
        values |= _user(number // 2, domain) if is_user else _computer(number // 2, domain)
        values |= {key: [name.encode()] for key in ("cn", "name")}
        values["sAMAccountName"] = [name.encode() if is_user else f"{name}$".encode()]
        values["objectGUID"] = [uuid.uuid4().bytes_le]
        values["objectSid"] = [values["objectSid"][0][:-4] + struct.pack("<I", 100_000 + number)]
        yield f"CN={name},CN=Users,{base}" if is_user else f"CN={name},CN=Computers,{base}", values


def _user(number: int, domain: str) -> Values:
    host = f"app{number:05}"
    return {
        "servicePrincipalName": [f"HTTP/{host}".encode(), f"HTTP/{host}.{domain}".encode()],
        "userPrincipalName": [f"svc{number:05}@{domain}".encode()],
    }


def _computer(number: int, domain: str) -> Values:
    short, full = f"SRV{number:05}", f"srv{number:05}.{domain}"
    names = [f"{service}/{host}" for service in ("HOST", "RestrictedKrbHost", "TERMSRV") for host in (short, full)]
    return {"servicePrincipalName": [name.encode() for name in names], "dNSHostName": [full.encode()]}


def add(database: ldb.Ldb, accounts: Iterator[tuple[str, Values]]) -> None:
    """All of them in one transaction, the index made once at its end: kept up to date, it takes minutes."""
    index = database.search("@INDEXLIST", scope=ldb.SCOPE_BASE)[0]
    attributes, one_level = list(index["@IDXATTR"]), list(index.get("@IDXONE", []))
    _set_index(database, [b"sAMAccountName"], [])
    database.transaction_start()
    for dn, values in accounts:
        message = ldb.Message()
        message.dn = ldb.Dn(database, dn)
        for name, found in values.items():
            message[name] = ldb.MessageElement(found, 0, name)
        database.add(message)
    database.transaction_commit()
    _set_index(database, attributes, one_level)


def _set_index(database: ldb.Ldb, attributes: list[bytes], one_level: list[bytes]) -> None:
    message = ldb.Message()
    message.dn = ldb.Dn(database, "@INDEXLIST")
    message["attributes"] = ldb.MessageElement(attributes, ldb.FLAG_MOD_REPLACE, "@IDXATTR")
    message["one_level"] = ldb.MessageElement(one_level, ldb.FLAG_MOD_REPLACE, "@IDXONE")
    database.modify(message)


def main() -> None:
    directory, user_dn, computer_dn, count = sys.argv[1:]
    base = user_dn[user_dn.upper().index("DC=") :]
    database = partition(Path(directory), base)
    user, computer = (database.search(dn, scope=ldb.SCOPE_BASE)[0] for dn in (user_dn, computer_dn))
    add(database, copies(int(count), user, computer, base))


if __name__ == "__main__":
    main()
