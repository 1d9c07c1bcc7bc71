"""The counters see what takes the square of its size, whoever does it: the program, or the interpreter for it."""

from __future__ import annotations

import pytest
from stepping import FUNCTIONS, compiled, taken

SQUARED = (
    "[n for n in many if n in many]",
    "[n for n in many if n not in tuple(many)]",
    "[many.index(n) for n in many]",
    "[many.count(n) for n in many]",
    "[many[n:] for n in many]",
    "[sorted(many) for n in many]",
    "[n for n in many if n not in one | other]",
    "[[*many] for n in many]",
    "[{**known} for n in many]",
    "[sum(x for x in many) for n in many]",
    "[max(many) for n in many]",
    "[many.insert(0, n) for n in list(many)]",
    "[many.pop(0) for n in list(many)]",
    "[','.join(texts) for n in many]",
    "[text.find('y') for n in many]",
    "['y' in text for n in many]",
    "[f'{text}{n}' for n in many]",
    "[text.replace('y', 'z') for n in many]",
    "[text[n:] for n in many]",
    "[many + [n] for n in many]",
)
IN_PROPORTION = (
    "[n for n in many if n in one]",
    "[known[n] for n in many]",
    "[text[n : n + 1] for n in many]",
    "[text.find('x', n) for n in many]",
    "[many.append(n) for n in list(many)]",
    "[many.pop() for n in list(many)]",
    "sorted(n for n in many)",
    "','.join(f'{n}' for n in many)",
    "[*many, *many]",
)


def growth(body: str) -> float:
    """How many times the steps twice as much takes."""
    source = f"""
def work(size):
    many, text = list(range(size)), "x" * size
    texts, one, other, known = list(map(str, many)), set(many), {{-1}}, dict.fromkeys(many)
    {body}
"""
    known = dict(FUNCTIONS)
    exec(compiled(source, "given.py", "given"), known)  # our own few lines
    small, large = (taken(lambda size=size: known["work"](size)).total() for size in (1_000, 2_000))  # type: ignore[misc]
    return large / small


@pytest.mark.parametrize("expression", SQUARED)
def test_what_is_squared_shows(expression: str) -> None:
    assert growth(expression) > 2.6


@pytest.mark.parametrize("expression", IN_PROPORTION)
def test_what_is_in_proportion_shows(expression: str) -> None:
    assert growth(expression) == pytest.approx(2, rel=0.02)


def test_a_tuple_that_is_added_to_is_made_anew_and_a_list_is_not() -> None:
    lengthened = "\n    ".join(("whole = {}", "for n in many:", "    whole += {}"))
    assert growth(lengthened.format("()", "(n,)")) > 3
    assert growth(lengthened.format("[]", "[n]")) == pytest.approx(2, rel=0.02)


def test_the_steps_stand_at_the_function_that_takes_them() -> None:
    known = dict(FUNCTIONS)
    exec(compiled("class A:\n    def b(self, c):\n        return 1 in c\n", "x.py", "x"), known)
    found = {name: steps for name, steps in taken(lambda: known["A"]().b([0] * 99)).items() if steps}
    assert found == {"x:A.b": 1 + 99}
