"""Debian's Chromium, driven by Playwright: a new profile for each session, and a proxy that hears every request."""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WAYS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    return next((found for name in WAYS if (found := shutil.which(name))), None)


def obstacle() -> str | None:
    """One sentence on why no browser can run here, or None."""
    if not importlib.util.find_spec("playwright") or not importlib.util.find_spec("axe_playwright_python"):
        return "the extra `live` is not installed"
    return None if program() else "chromium not found: apt-get install chromium"


class Driven(NamedTuple):
    """A browser, and the first bytes of whatever it sent to anywhere."""

    browser: Browser
    heard: list[bytes]

    def sent(self) -> list[bytes]:
        """But for what a browser asks its maker on its own account."""
        return [
            each
            for each in self.heard
            if not re.match(rb"[A-Z]+ (http://)?[a-z.]+\.(google|googleapis)\.com[:/]", each)
        ]


@contextmanager
def running() -> Iterator[Driven]:
    """A browser that reaches nothing but files: all else goes to a proxy here, which takes note and hangs up."""
    from playwright.sync_api import sync_playwright

    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy, sync_playwright() as playwright:
        threading.Thread(target=_listen, args=(proxy, heard), daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=program(),
            args=list(FLAGS),
            proxy={"server": f"http://127.0.0.1:{proxy.getsockname()[1]}", "bypass": "<-loopback>"},
        )
        yield Driven(browser, heard)
        browser.close()


def _listen(proxy: socket.socket, heard: list[bytes]) -> None:
    while True:
        try:
            connection, _ = proxy.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            heard.append(connection.recv(200))


def axe() -> str:
    """The script of axe-core, as a package brings it."""
    import axe_playwright_python

    return Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def serious(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or critical, by these rules or all: rule, and where."""
    page.evaluate(axe())
    only = {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("options => axe.run(document, options)", {"resultTypes": ["violations"], **only})
    return [
        f"{rule['id']}: {node['target']}"
        for rule in found["violations"]
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"][:3]
    ]
