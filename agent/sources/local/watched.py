"""When this server's configuration changes: what its files look like, and waiting until they look otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.iis.redirection import APPLICATION_HOST, REDIRECTION_FILE
from agent.iis.snapshot import Snapshot
from agent.sources.local.paths import CONFIGURATION, configuration_folder
from agent.sources.local.reading import Stamp, stamp
from agent.sources.local.windows import Windows
from agent.sources.shares import Shares


class Watched:
    """The configuration's own files. A web.config is looked at when the whole server is."""

    def __init__(self, windows: Windows, shares: Shares) -> None:
        self._windows = windows
        self._shares = shares
        folder = configuration_folder(windows.environment())
        self._own = tuple(rf"{folder}\{name}" for name in (CONFIGURATION, REDIRECTION_FILE))
        self._shared: tuple[str, ...] = ()
        self._stamps: dict[str, Stamp] = {}
        self.wait: Callable[[float], None] = waiting(windows.real(folder))

    def follow(self, found: Snapshot) -> None:
        """Watch the shared configuration, too, that the server was seen to use."""
        shared = (file.name for key, file in found.files.items() if key.endswith(f"/{APPLICATION_HOST}"))
        self._shared = tuple(shared)

    def stamps(self) -> Mapping[str, Stamp]:
        """What each file looks like; one on a share that does not answer is as it was."""
        return {physical: self._stamp(physical) for physical in (*self._own, *self._shared)}

    def _stamp(self, physical: str) -> Stamp:
        try:
            self._stamps[physical] = self._shares.ask(physical, lambda: stamp(self._windows.real(physical)))
        except TimeoutError:
            self._stamps.setdefault(physical, None)
        return self._stamps[physical]


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _NAMES_SIZES_WRITES = 0x1 | 0x8 | 0x10  # FILE_NOTIFY_CHANGE_FILE_NAME, _SIZE, _LAST_WRITE
    _SIGNALED = 0
    _NONE = wintypes.HANDLE(-1).value
    _BREATH = 0.1
    """Seconds: however often somebody writes there, the files are looked at no more than ten times a second."""

    def waiting(folder: Path) -> Callable[[float], None]:
        """Waits so many seconds, or until a file of the folder changes (FindFirstChangeNotification)."""
        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel32.FindFirstChangeNotificationW.restype = wintypes.HANDLE
        handles: list[wintypes.HANDLE] = []

        def wait(seconds: float) -> None:
            if not handles:
                opened = kernel32.FindFirstChangeNotificationW(str(folder), False, _NAMES_SIZES_WRITES)
                handles.extend([wintypes.HANDLE(opened)] if opened not in {None, _NONE} else [])
            if not handles:
                time.sleep(seconds)
                return
            answer = kernel32.WaitForSingleObject(handles[0], int(seconds * 1000))
            if answer == _SIGNALED:
                time.sleep(_BREATH)
            is_lost = answer not in {_SIGNALED, _TIMEOUT} or (
                answer == _SIGNALED and not kernel32.FindNextChangeNotification(handles[0])
            )
            if is_lost:  # the folder went away: from now on it is looked at, until it can be watched again
                kernel32.FindCloseChangeNotification(handles.pop())
                time.sleep(_BREATH)

        return wait

    _TIMEOUT = 258

else:

    def waiting(folder: Path) -> Callable[[float], None]:  # noqa: ARG001
        """Waits so many seconds: only Windows is asked to tell when a folder changes."""
        return time.sleep
