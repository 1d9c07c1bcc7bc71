"""A disposable Active Directory domain controller on a loopback address: Samba's, from Debian's packages.

    with running(DomainController(tmp)) as dc:
        dc.apply(computer("IIS01"), user("svc-web", spns=["HTTP/www.test.com"]))

It listens on the standard ports (KDC 88, LDAP 389, LDAPS 636, GC 3268 and 3269), which needs root or a user namespace.
`samba_admin` does what needs python3-samba.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

INSTALL = (
    "apt-get install -y --no-install-recommends samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules"
    " python3-samba krb5-user openssl gcc python3-dev libkrb5-dev && make --always-make .venv/.installed"
)
ADMIN_SCRIPT = Path(__file__).with_name("samba_admin.py")
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"])
PORTS = (88, 389, 636, 3268, 3269)
START_SECONDS = 60
AES_AND_RC4 = 28

Value = str | bytes


# -- changes -------------------------------------------------------------------------------------------------------


class Change(TypedDict, total=False):
    """One line of work for `DomainController.apply`; made by the functions below."""

    change: str
    dn: str
    attributes: dict[str, list[Value]]
    password: str
    target: str
    how: str
    attribute: str
    values: list[Value]
    raw: bool


def computer(name: str, *, spns: Iterable[str] | None = None, cn: str | None = None, **more: Value) -> Change:
    """A member server; without `spns` it gets HOST/ with its short name and its name in `test.com`.

    Its CN is not its host name: for HOST/x Samba's KDC also takes a computer whose CN is x, though no SPN says so.
    """
    host = f"{name.lower()}.{{dns_domain}}"
    return _account(
        f"CN={cn or name + ' object'},CN=Computers,{{base}}",
        "computer",
        f"{name}$",
        [f"HOST/{name}", f"HOST/{host}"] if spns is None else spns,
        {"userAccountControl": "4096", "dNSHostName": host, **more},
    )


def user(name: str, *, spns: Iterable[str] = (), **more: Value) -> Change:
    """A user whose password never expires; `password_of` tells it."""
    fixed = {"userAccountControl": str(0x200 | 0x10000), "userPrincipalName": f"{name}@{{dns_domain}}"}
    return _account(f"CN={name},CN=Users,{{base}}", "user", name, spns, {**fixed, **more})


def managed_account(name: str, *, spns: Iterable[str] = (), **more: Value) -> Change:
    """A group managed service account; Samba 4.17 has no managed passwords, so it gets a common one."""
    fixed = {
        "userAccountControl": "4096",
        "dNSHostName": f"{name.lower()}.{{dns_domain}}",
        "msDS-ManagedPasswordInterval": "30",
    }
    dn = f"CN={name} object,CN=Managed Service Accounts,{{base}}"
    return _account(dn, "msDS-GroupManagedServiceAccount", f"{name}$", spns, {**fixed, **more})


def _account(dn: str, object_class: str, sam: str, spns: Iterable[str], more: dict[str, Value]) -> Change:
    # Without msDS-SupportedEncryptionTypes Samba issues RC4 tickets.
    single = {"sAMAccountName": sam, "msDS-SupportedEncryptionTypes": str(AES_AND_RC4), **more}
    attributes = {name: [value] for name, value in single.items()}
    return create(
        dn, objectClass=[object_class], servicePrincipalName=list(spns), password=password_of(sam), **attributes
    )


def password_of(sam: str) -> str:
    """The password of every account made here."""
    return f"Passw0rd!{sam.removesuffix('$')}"


def create(dn: str, *, password: str = "", **attributes: list[Value]) -> Change:
    """Any object; `{base}` in the DN and `{dns_domain}` in a text value are filled in."""
    return {"change": "create", "dn": dn, "attributes": attributes, "password": password}


def delete(target: str) -> Change:
    """Delete the object meant by a sAMAccountName or a DN."""
    return {"change": "delete", "target": target}


def set_attribute(target: str, attribute: str, *values: Value, how: str = "replace", raw: bool = False) -> Change:
    """Replace (or `add`, or `delete`) values of any attribute; no value removes it. `raw` goes past every check."""
    return {
        "change": "modify",
        "target": target,
        "attribute": attribute,
        "values": list(values),
        "how": how,
        "raw": raw,
    }


def add_spn(target: str, *spns: str, raw: bool = False) -> Change:
    """Add values as `setspn -S` does; a duplicate needs `raw`, since Samba refuses it."""
    return set_attribute(target, "servicePrincipalName", *spns, how="add", raw=raw)


def delete_spn(target: str, *spns: str, raw: bool = False) -> Change:
    """Delete values as `setspn -D` does; Samba refuses to delete one of a duplicate unless `raw`."""
    return set_attribute(target, "servicePrincipalName", *spns, how="delete", raw=raw)


def replace_spns(target: str, *spns: str, raw: bool = False) -> Change:
    """These values and no others."""
    return set_attribute(target, "servicePrincipalName", *spns, raw=raw)


# -- what this machine has -----------------------------------------------------------------------------------------


def program(name: str) -> str | None:
    """The path of a program, `/usr/sbin` included, which is not on every user's PATH."""
    return shutil.which(name, path=SEARCH_PATH)


@functools.cache
def samba_python() -> str | None:
    """The Python that can import `samba`: the distribution's, since python3-samba is on no package index."""
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3", "python3"):
        path = program(candidate)
        if path and not subprocess.run([path, "-c", "import samba.samdb"], capture_output=True, check=False).returncode:
            return path
    return None


def obstacle() -> str | None:
    """One sentence on why no domain controller can run here and what to do about it, or None."""
    missing = [name for name in ("samba", "kinit", "openssl") if not program(name)]
    if not importlib.util.find_spec("gssapi"):
        missing.append("python-gssapi")
    if not Path("/usr/share/samba/setup/ad-schema").is_dir():
        missing.append("samba-ad-provision")
    if not samba_python():
        missing.append("python3-samba")
    if missing:
        return f"{', '.join(missing)} not found: {INSTALL}"
    try:
        free_address()
    except PermissionError:
        return (
            "ports below 1024 are closed to this user: run as root or inside unshare -Urn (see tests/live/conftest.py)"
        )
    return None


def free_address() -> str:
    """A loopback address on which nobody listens on the standard ports; any number of controllers run side by side."""
    for _ in range(100):
        address = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        if _is_free(address):
            return address
    raise RuntimeError("no free loopback address in 100 tries")


def _is_free(address: str) -> bool:
    try:
        for port in PORTS:
            socket.create_server((address, port)).close()
    except PermissionError:
        raise
    except OSError:
        return False
    return True


# -- the domain controller -----------------------------------------------------------------------------------------


class DomainController:
    """One domain with one controller, `dc1`; `create` makes it, `start` and `stop` work any number of times."""

    def __init__(self, directory: Path, *, realm: str = "TEST.COM", netbios_domain: str = "TEST") -> None:
        self.directory = directory.resolve()
        self.realm = realm.upper()
        self.netbios_domain = netbios_domain.upper()
        self.dns_domain = realm.lower()
        self.host = f"dc1.{self.dns_domain}"
        self.base_dn = ",".join(f"DC={label}" for label in self.dns_domain.split("."))
        self.address = free_address()
        self.admin_password = "Passw0rd!Administrator"
        self.ca_file = self.directory / "tls" / "ca.pem"
        # Whoever reaches this socket is the system account, without a bind.
        self.ldapi = f"ldapi://{quote(str(self.directory / 'private' / 'ldap_priv' / 'ldapi'), safe='')}"
        self.environment = {
            "TDB_NO_FSYNC": "1",  # a disposable directory need not survive a power cut
            "KRB5_CONFIG": str(self.directory / "krb5.conf"),
            "KRB5RCACHENAME": "none:",
            "LDAPSASL_NOCANON": "on",
            "LDAPTLS_CACERT": str(self.ca_file),
        }
        self.seconds: dict[str, float] = {}
        self._admin_log = self.directory / "admin.out"
        self._samba: subprocess.Popen[bytes] | None = None
        self._admin: subprocess.Popen[str] | None = None

    # .. life ..

    def create(self, cache: Path | None = None) -> DomainController:
        """Make the domain, or copy it from `cache`, where a new one is kept for the next time."""
        kept = cache / f"{self.dns_domain}-{self._recipe()}" if cache else None
        begun = time.monotonic()
        if kept and kept.is_dir():
            _copy(kept, self.directory)
            self._write_configuration()
        else:
            self._provision()
            if kept:
                _keep(self.directory, kept)
        self.seconds["create"] = time.monotonic() - begun
        self._issue_certificate()
        # The `dnsupdate` service would register these, but we do not run it. By address: for clients without DNS.
        names = [f"ldap/{self.host}", f"ldap/{self.host}/{self.dns_domain}", "ldap/DC1", f"ldap/{self.address}"]
        self.apply(add_spn("DC1$", *names, f"GC/{self.host}/{self.dns_domain}"))
        return self

    def start(self) -> None:
        """Run Samba and return when all its ports answer."""
        begun = time.monotonic()
        configuration = str(self.directory / "etc" / "smb.conf")
        command = [str(program("samba")), "-s", configuration, "-i", "-M", "single", "--no-process-group"]
        with (self.directory / "samba.out").open("ab") as log:
            # On a pipe, `samba -i` ends when this process does, however that ends.
            self._samba = subprocess.Popen(
                [*command, "--debug-stdout"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._full_environment(),
            )
        for port in PORTS:
            self._await(port, begun + START_SECONDS)
        self.seconds["start"] = time.monotonic() - begun

    def stop(self) -> None:
        """End Samba, so that clients meet a closed port; the directory stays."""
        _end(self._samba)
        self._samba = None

    def close(self) -> None:
        """End everything that was started here."""
        self.stop()
        _end(self._admin)
        self._admin = None

    # .. contents ..

    def apply(self, *changes: Change) -> None:
        """Change the directory, whether it runs or not; the next question to it sees all of it."""
        self._ask({"job": "apply", "changes": [self._filled_in(change) for change in changes]})

    def keytab(self, sam: str) -> Path:
        """The account's present keys, written anew at each call."""
        path = self.directory / f"{sam}.keytab"
        path.unlink(missing_ok=True)
        self._ask({"job": "keytab", "account": sam, "path": str(path)})
        return path

    def kinit(self, name: str, password: str | None = None) -> Path:
        """A new credential cache (`FILE:`) with a TGT; Administrator and accounts made here need no password."""
        path = self.directory / f"{name}-{secrets.token_hex(4)}.ccache"
        known = self.admin_password if name.lower() == "administrator" else password_of(name)
        subprocess.run(
            [str(program("kinit")), "-c", f"FILE:{path}", f"{name}@{self.realm}"],
            input=f"{password or known}\n",
            text=True,
            capture_output=True,
            check=True,
            env=self._full_environment(),
        )
        return path

    # .. inside ..

    def _full_environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": SEARCH_PATH, **self.environment}

    def _filled_in(self, change: Change) -> Change:
        text = json.dumps(change, default=_encoded)
        filled: Change = json.loads(text.replace("{base}", self.base_dn).replace("{dns_domain}", self.dns_domain))
        return filled

    def _ask(self, job: dict[str, Any]) -> None:
        self._admin = self._admin or self._start_admin()
        assert self._admin.stdin
        assert self._admin.stdout
        print(json.dumps(job), file=self._admin.stdin, flush=True)
        line = self._admin.stdout.readline()
        answer = json.loads(line) if line else {"error": f"samba_admin has died:\n{self._admin_log.read_text()}"}
        if "error" in answer:
            raise RuntimeError(answer["error"])

    def _start_admin(self) -> subprocess.Popen[str]:
        # -I: the script's own directory holds a samba.py, this one.
        command = [str(samba_python()), "-I", str(ADMIN_SCRIPT), str(self.directory)]
        environment = {**self._full_environment(), "SMB_CONF_PATH": str(self.directory / "etc" / "smb.conf")}
        with self._admin_log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )

    def _provision(self) -> None:
        self._write_configuration()
        self._ask(
            {
                "job": "provision",
                "realm": self.realm,
                "netbios_domain": self.netbios_domain,
                "admin_password": self.admin_password,
                "host_name": "dc1",
                "address": self.address,
            }
        )

    def _recipe(self) -> str:
        """What a kept domain depends on besides its name."""
        version = subprocess.run([str(program("samba")), "--version"], capture_output=True, check=True).stdout
        parts = [version, ADMIN_SCRIPT.read_bytes(), Path(__file__).read_bytes(), self.netbios_domain.encode()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]

    def _await(self, port: int, deadline: float) -> None:
        assert self._samba
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((self.address, port), 5).close()
                return
            if self._samba.poll() is not None or time.monotonic() > deadline:
                log = (self.directory / "samba.out").read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"Samba does not answer on port {port}: {log[-3000:]}")
            time.sleep(0.01)

    def _write_configuration(self) -> None:
        for name in ("etc", "log", "run", "state", "private", "tls"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        values = {
            "directory": self.directory,
            "address": self.address,
            "realm": self.realm,
            "netbios_domain": self.netbios_domain,
            "dns_domain": self.dns_domain,
        }
        (self.directory / "etc" / "smb.conf").write_text(SMB_CONF.format(**values))
        (self.directory / "krb5.conf").write_text(KRB5_CONF.format(**values))

    def _issue_certificate(self) -> None:
        """A certificate authority of our own and a certificate for this host name and address."""
        tls = self.directory / "tls"
        names = f"subjectAltName=DNS:{self.host},IP:{self.address}"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        new = ["openssl", "req", "-x509", "-days", "30", *key]
        authority = ["-subj", "/CN=Lab CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        leaf = ["-subj", f"/CN={self.host}", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
        signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-addext", "extendedKeyUsage=serverAuth"]
        for command in (
            [*new, *authority, "-keyout", "ca-key.pem", "-out", "ca.pem"],
            [*new, *leaf, *signed, "-keyout", "key.pem", "-out", "cert.pem"],
        ):
            subprocess.run(command, cwd=tls, capture_output=True, check=True, env={**os.environ, "PATH": SEARCH_PATH})
        (tls / "key.pem").chmod(0o600)  # else Samba refuses it


@contextlib.contextmanager
def running(dc: DomainController, cache: Path | None = None) -> Iterator[DomainController]:
    """Create, start and at the end close a domain controller."""
    try:
        dc.create(cache).start()
        yield dc
    finally:
        dc.close()


def _end(process: subprocess.Popen[Any] | None) -> None:
    if process is None:
        return
    process.terminate()
    process.wait(15)
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def _encoded(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"no JSON for {value!r}")


def _keep(directory: Path, kept: Path) -> None:
    """Put a copy in the cache in one step; whoever comes second throws his away."""
    beside = kept.with_name(f".{kept.name}-{os.getpid()}")
    _copy(directory, beside)
    try:
        beside.rename(kept)
    except OSError:
        shutil.rmtree(beside)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=_sockets, dirs_exist_ok=True)


def _sockets(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if stat.S_ISSOCK((Path(directory) / name).lstat().st_mode)}


SMB_CONF = """\
[global]
    workgroup = {netbios_domain}
    realm = {realm}
    netbios name = DC1
    server role = active directory domain controller
    server services = ldap, cldap, kdc
    interfaces = {address}/8
    bind interfaces only = yes
    ldap server require strong auth = allow_sasl_over_tls
    tls enabled = yes
    tls keyfile = {directory}/tls/key.pem
    tls certfile = {directory}/tls/cert.pem
    tls cafile = {directory}/tls/ca.pem
    private dir = {directory}/private
    lock directory = {directory}
    state directory = {directory}/state
    cache directory = {directory}/cache
    binddns dir = {directory}/bind-dns
    pid directory = {directory}/run
    ncalrpc dir = {directory}/run/ncalrpc
    winbindd socket directory = {directory}/run/winbindd
    ntp signd socket directory = {directory}/run/ntp_signd
    log file = {directory}/log/log.%m
[sysvol]
    path = {directory}/state/sysvol
    read only = no
[netlogon]
    path = {directory}/state/sysvol/{dns_domain}/scripts
    read only = no
"""

KRB5_CONF = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_realm = false
    dns_lookup_kdc = false
    dns_canonicalize_hostname = false
    rdns = false
[realms]
    {realm} = {{
        kdc = {address}:88
    }}
[domain_realm]
    .{dns_domain} = {realm}
    {dns_domain} = {realm}
"""
