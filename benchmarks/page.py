"""The page of 50, 500 and 5,000 servers: what writing it takes, and what it does in Chromium.

python -m benchmarks.page [--servers 50 500 5000] [--sites 50]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.render.page.report import to_html
from benchmarks.farm import whole
from benchmarks.measure import peak_memory, table
from tests.live import browser

FIRST = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
CHOSEN = """async ([name, value]) => {
    const tools = document.querySelector("form.tools");
    const begun = performance.now();
    tools.elements[name].value = value;
    tools.elements[name].dispatchEvent(new Event("input", {bubbles: true}));
    await new Promise((done) => setTimeout(done, name === "text" ? 151 : 1));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - begun - (name === "text" ? 151 : 1);
}"""
SCROLLED = """async () => {
    const gaps = [];
    document.querySelector("form.tools").elements.all.click();
    let last = performance.now();
    for (let at = 0; at < 200; at++) {
        scrollBy(0, 300);
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    return gaps.sort((a, b) => a - b);
}"""


def _write(servers: int, sites: int, path: Path) -> None:
    """In a process of its own: CPU seconds, MB of text, and the MiB that it took on top of the report."""
    report = whole(servers, sites).report
    _freed()
    before, begun, size = peak_memory(), time.process_time(), 0
    with path.open("w", encoding="utf-8") as file:
        for piece in to_html(report):
            size += file.write(piece)
    print(time.process_time() - begun, size / 1e6, peak_memory() - before, len(report.applications))


def _freed() -> None:
    """Count the peak from here on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _looked_at(driven: browser.Driven, path: Path) -> list[object]:
    """Milliseconds in the browser: to the first paint, until all is there, to filter and search, between two frames."""
    page: Any = driven.browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri())
    first, loaded = page.evaluate(FIRST), page.evaluate(LOADED)
    words = [("outcome", "modified"), ("outcome", ""), ("text", "www12"), ("text", "")]
    chosen = [page.evaluate(CHOSEN, list(each)) for each in words]
    gaps = page.evaluate(SCROLLED)
    page.close()
    return [*map(round, (first, loaded, chosen[0], max(chosen[1:]), gaps[100], gaps[190]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--sites", type=int, default=50)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        _write(options.servers[0], options.sites, options.write)
        return
    written, shown = [], []
    with tempfile.TemporaryDirectory() as folder, browser.running() as driven:
        for servers in options.servers:
            path = Path(folder) / f"{servers}.html"
            command = [
                sys.executable,
                "-m",
                "benchmarks.page",
                "--servers",
                str(servers),
                "--sites",
                str(options.sites),
            ]
            answer = subprocess.run([*command, "--write", path], check=True, capture_output=True, text=True).stdout
            seconds, size, more, applications = map(float, answer.split())
            written.append([servers, round(applications), seconds, round(size, 1), round(more)])
            shown.append([servers, *_looked_at(driven, path)])
    table(["servers", "applications", "CPU seconds", "MB of text", "MiB more"], written)
    head = ["servers, ms", "first paint", "loaded", "first filter", "others, at most", "frame", "95 % of frames"]
    table(head, shown)


if __name__ == "__main__":
    main()
