"""One target under atheris: `python -m tests.fuzz.one TARGET FOLDER [OPTION OF LIBFUZZER ...]`.

A fault does not end the run: its input is written to FOLDER, one for each place in the program where it came out.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import traceback
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["agent", "sansldap", "h11"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.mutations import mutated, tokens_of


def main() -> None:
    name, folder, *options = sys.argv[1:]
    target, faults = TARGETS[name], Path(folder)
    logging.disable(logging.CRITICAL)
    words = sorted({token for seed in target.seeds() for token in tokens_of(seed) if len(token) > 1})
    places: set[str] = set()

    def tried(data: bytes) -> None:
        try:
            target.holds(data)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
            place = _place_of(error)
            if place not in places:
                places.add(place)
                _keep(faults, data, error)

    def changed(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)  # nobody has to be surprised by it
        if random.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, random, words)[:most]

    atheris.Setup(["fuzz", *options], tried, custom_mutator=changed)
    atheris.Fuzz()


def _place_of(error: Exception) -> str:
    """Its kind, and the last line of the program that it went through; what an assertion says of a place tells more."""
    if isinstance(error, AssertionError):
        return str(error)[:60]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/agent/" in frame.filename]
    return f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else repr(error)[:60]


def _keep(folder: Path, data: bytes, error: Exception) -> None:
    name = hashlib.sha256(data).hexdigest()[:12]
    (folder / name).write_bytes(data)
    (folder / f"{name}.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()
