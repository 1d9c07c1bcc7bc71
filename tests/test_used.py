"""Every public function and method of the package is used by the package: none is there for the tests alone."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef

ALLOWED = {
    "agent.sources.security_context.NtlmPassword.supported_protocols": "spnego asks it",
    "agent.sources.web.exchange._Bounded.makefile": "http.client asks it",
    "agent.model.Report.to_json": "for programs that import the package",
}
"""What the package itself does not call, and the reason: people's own programs do, or another package."""


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(root: Path = ROOT) -> dict[str, ast.Module]:
    files = sorted((root / "agent").rglob("*.py"))
    return {module(path): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def functions(body: list[ast.stmt]) -> Iterator[Function]:
    """The public ones of a module or class; some stand below `if sys.platform == ...`."""
    for node in body:
        if isinstance(node, ast.If):
            yield from functions([*node.body, *node.orelse])
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def asked_of_modules(trees: Mapping[str, ast.Module]) -> set[tuple[str, str]]:
    """(module, name) where another module imports the name, or asks the module for it."""
    asked = set()
    for tree in trees.values():
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    asked.add((node.module or "", alias.name))
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                asked.add((modules.get(node.value.id, ""), node.attr))
    return asked


def unused(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    asked = asked_of_modules(trees)
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    for name, tree in trees.items():
        for function in functions(tree.body):
            own = set(ast.walk(function))
            here = any(isinstance(n, ast.Name) and n.id == function.name and n not in own for n in ast.walk(tree))
            # a module that is loaded by its name is asked by name too
            by_name = name in texts and (function.name in texts or any(a.attr == function.name for a in attributes))
            if not (here or by_name or (name, function.name) in asked):
                yield f"{name}.{function.name}"
        for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            for method in functions(kind.body):
                own = set(ast.walk(method))
                called = any(node.attr == method.name and node not in own for node in attributes)
                if not (called or method.name in texts or is_called_from_outside(name, kind.name, method.name)):
                    yield f"{name}.{kind.name}.{method.name}"


def is_called_from_outside(module_name: str, kind: str, method: str) -> bool:
    """Whether it overrides a method of another package, which then calls it."""
    found = getattr(importlib.import_module(module_name), kind, None)
    bases = found.__mro__[1:] if isinstance(found, type) else ()
    return any(hasattr(base, method) for base in bases if not base.__module__.startswith("agent"))


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return read()


def test_nothing_public_is_there_for_the_tests_alone(trees: dict[str, ast.Module]) -> None:
    assert set(unused(trees)) == set(ALLOWED)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def lonely(): pass", {"agent.new.lonely"}),
        ("def lonely(): return lonely()", {"agent.new.lonely"}),
        ("class Kind:\n    @property\n    def lonely(self): return self.lonely", {"agent.new.Kind.lonely"}),
        ("def called(): pass\nclass Kind:\n    value = called()", set()),
        ("def _private(): pass", set()),
    ],
)
def test_the_test_finds_one(source: str, found: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", lambda _name: None)
    assert set(unused({"agent.new": ast.parse(source)})) == found


def test_a_function_is_used_where_another_module_imports_it_or_asks_its_module_for_it() -> None:
    new = ast.parse("def wanted(): pass")
    for user in ("from agent.new import wanted", "from agent import new\nnew.wanted()"):
        assert set(unused({"agent.new": new, "agent.user": ast.parse(user)})) == set()
    assert set(unused({"agent.new": new, "agent.user": ast.parse("from agent import old\nold.wanted()")})) == {
        "agent.new.wanted"
    }
