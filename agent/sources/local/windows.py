"""What Windows says of the machine it runs on."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from agent.iis.snapshot import Machine


class Windows(Protocol):
    """What is asked of Windows."""

    def environment(self) -> Mapping[str, str]:
        """The variables of the process."""

    def machine(self) -> Machine:
        """Names, domain, addresses, registry values, services and worker processes, as far as Windows tells them."""

    def real(self, physical: str) -> Path:
        """What to open for a Windows path."""

    def certificates(self) -> Mapping[str, bytes] | None:
        """The certificates of http.sys (DER) by endpoint (`agent.sources.certificates`); None where it does not say."""


if sys.platform == "win32":
    import ctypes
    import socket
    import winreg
    from ctypes import wintypes

    import psutil

    from agent.iis.snapshot import Membership, WorkerProcess
    from agent.names import fold, ip_address
    from agent.sources import certificates
    from agent.sources.local.facts import Answer, Fact, gathered, pool_of
    from agent.sources.local.paths import openable

    _LSA = r"SYSTEM\CurrentControlSet\Control\Lsa"
    _HTTP = r"SYSTEM\CurrentControlSet\Services\HTTP\Parameters"
    _REGISTRY = {
        "BackConnectionHostNames": rf"{_LSA}\MSV1_0",
        "DisableLoopbackCheck": _LSA,
        "MaxFieldLength": _HTTP,
        "MaxRequestBytes": _HTTP,
    }
    _SERVICES = ("W3SVC", "WAS", "WMSVC", "WinRM")
    _NETBIOS_NAME, _DNS_NAME = 4, 7  # COMPUTER_NAME_FORMAT: ComputerNamePhysicalNetBIOS, ...DnsFullyQualified
    _MEMBER_ROLES, _CONTROLLER_ROLES = {1, 3}, {4, 5}  # DSROLE_MACHINE_ROLE

    class _DomainInfo(ctypes.Structure):
        """DSROLE_PRIMARY_DOMAIN_INFO_BASIC."""

        _fields_ = (
            ("role", ctypes.c_int),
            ("flags", wintypes.ULONG),
            ("flat", wintypes.LPWSTR),
            ("dns", wintypes.LPWSTR),
            ("forest", wintypes.LPWSTR),
            ("guid", ctypes.c_byte * 16),
        )

    class ThisWindows:
        """The server this program runs on."""

        def environment(self) -> Mapping[str, str]:
            return os.environ

        def real(self, physical: str) -> Path:
            return Path(openable(physical))

        def certificates(self) -> Mapping[str, bytes] | None:
            return certificates.bound()

        def machine(self) -> Machine:
            return gathered(_FACTS)

    def _names() -> Answer:
        return Answer({"name": _computer_name(_NETBIOS_NAME), "dns_name": _computer_name(_DNS_NAME)})

    def _computer_name(form: int) -> str | None:
        size = wintypes.DWORD(1024)
        buffer = ctypes.create_unicode_buffer(size.value)
        answered = ctypes.windll.kernel32.GetComputerNameExW(form, buffer, ctypes.byref(size))
        return buffer.value or None if answered else None

    def _membership() -> Answer:
        role, netbios, domain = _role()
        is_member = role in _MEMBER_ROLES | _CONTROLLER_ROLES
        return Answer(
            {
                "domain": domain if is_member else None,
                "netbios_domain": netbios if is_member else None,
                "membership": "domain" if is_member else _without_domain(),
                "domain_controller": role in _CONTROLLER_ROLES,
            }
        )

    def _role() -> tuple[int, str | None, str | None]:
        """The machine's role, and its domain's NetBIOS and DNS name."""
        answer = ctypes.POINTER(_DomainInfo)()
        status = ctypes.windll.netapi32.DsRoleGetPrimaryDomainInformation(None, 1, ctypes.byref(answer))
        if status != 0:
            raise OSError(0, f"Windows does not say which domain it is in (error {status})", None, status)
        try:
            info = answer.contents
            return info.role, info.flat, info.dns
        finally:
            ctypes.windll.netapi32.DsRoleFreeMemory(answer)

    def _without_domain() -> Membership:
        try:
            with _key(r"SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo") as key:
                return "entra" if winreg.QueryInfoKey(key)[0] else "workgroup"
        except FileNotFoundError:
            return "workgroup"

    def _key(path: str) -> winreg.HKEYType:
        return winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY)

    def _registry() -> Answer:
        """All values or none: one that may not be read must not look as if it were absent."""
        values: dict[str, object] = {}
        for name, path in _REGISTRY.items():
            try:
                with _key(path) as key:
                    value = winreg.QueryValueEx(key, name)[0]
            except FileNotFoundError:
                continue
            if isinstance(value, list if name == "BackConnectionHostNames" else int):  # no other type is heeded
                values[name] = value
        return Answer({"registry": values})

    def _addresses() -> Answer:
        every = [each for interface in psutil.net_if_addrs().values() for each in interface]
        found = [ip_address(each.address) for each in every if each.family in {socket.AF_INET, socket.AF_INET6}]
        return Answer(
            {"addresses": tuple(each for each in found if each and each != "::1" and not each.startswith("127."))}
        )

    def _services() -> Answer:
        found: dict[str, str] = {}
        for name in _SERVICES:
            try:
                found[name] = psutil.win_service_get(name).status()
            except psutil.NoSuchProcess:
                continue  # not installed
            except psutil.AccessDenied:
                raise PermissionError from None
        return Answer({"services": found})

    def _workers() -> Answer:
        """Only an administrator sees the command lines and accounts of other people's processes."""
        own_words = _well_known()
        found: list[WorkerProcess] = []
        denied = 0
        for process in psutil.process_iter(["name"]):
            if fold(process.info["name"] or "") != "w3wp.exe":
                continue
            try:
                pool, account = pool_of(process.cmdline()), process.username()
            except psutil.AccessDenied:
                denied += 1
            except psutil.Error:
                continue  # it has ended
            else:
                if pool is not None:
                    found.append(WorkerProcess(pool, process.pid, own_words.get(fold(account), account)))
        if denied and not found:
            raise PermissionError
        less = f"{denied} of the w3wp.exe processes may not be looked at: it takes {_DEBUGGER}" if denied else None
        return Answer({"worker_processes": tuple(found)}, less)

    def _well_known() -> dict[str, str]:
        """What Windows calls the accounts below NT AUTHORITY in its own language, folded, and their English names."""
        names = {18: "SYSTEM", 19: "LOCAL SERVICE", 20: "NETWORK SERVICE"}
        return {fold(called): rf"NT AUTHORITY\{name}" for rid, name in names.items() if (called := _account(rid))}

    def _account(rid: int) -> str | None:
        """`DOMAIN\\name` of S-1-5-RID."""
        sid = bytes([1, 1, 0, 0, 0, 0, 0, 5]) + rid.to_bytes(4, "little")
        name, domain = ctypes.create_unicode_buffer(256), ctypes.create_unicode_buffer(256)
        sizes, use = (wintypes.DWORD(256), wintypes.DWORD(256)), wintypes.DWORD()
        answered = ctypes.windll.advapi32.LookupAccountSidW(
            None, sid, name, ctypes.byref(sizes[0]), domain, ctypes.byref(sizes[1]), ctypes.byref(use)
        )
        return rf"{domain.value}\{name.value}" if answered else None

    _DEBUGGER = "a local administrator in an elevated prompt"
    _FACTS = (
        Fact("names", _names, "what the server is called"),
        Fact("domain", _membership, "whether it is in a domain, and in which"),
        Fact("addresses", _addresses, "which names of DNS lead to it"),
        Fact("registry", _registry, "what http.sys and the loopback check are set to"),
        Fact("services", _services, "which services run", _DEBUGGER),
        Fact("worker processes", _workers, "whether pools run as they are configured", _DEBUGGER),
    )
