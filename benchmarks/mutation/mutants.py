"""Small changes to the core, each of which some test should notice.

Left alone: the words of messages (text with a blank in it, and the text within f-strings), annotations, docstrings,
decorators, `__all__` and `__slots__`.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

ROOMS = ("names.py", "iis", "spn", "checks", "change")


@dataclass(frozen=True)
class Mutant:
    """One change. Its name has no line in it, so that it lasts while the code around it moves.

    `lines` are those of the statement, up to what is changed. `function` is the outermost function that it stands in,
    None for what runs at import, which binds the names `bound`. `digest` changes with the text of that function, else
    of the file.
    """

    file: str
    name: str
    position: int
    lines: tuple[int, int]
    function: str | None
    bound: tuple[str, ...]
    digest: str

    @property
    def room(self) -> str:
        return self.file.split("/")[1].removesuffix(".py")


def every(root: Path) -> list[Mutant]:
    """All mutants of the core, in the order of the files."""
    paths = (path for room in ROOMS for path in _files(root / "agent" / room))
    return [mutant for path in paths for mutant in _of(path, path.relative_to(root).as_posix())]


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _of(path: Path, file: str) -> Iterator[Mutant]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    seen: Counter[str] = Counter()
    digests: dict[ast.AST, str] = {}
    for position, change in enumerate(_changes(tree)):
        name = f"{file} {change.scope}: {change.told}".replace("\n", " ")
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} ({seen[name]})"
        at = change.function or tree
        if at not in digests:
            digests[at] = hashlib.sha256(ast.unparse(at).encode()).hexdigest()[:12]
        function = None if change.function is None else change.scope.partition(".<")[0]
        yield Mutant(file, name, position, change.lines, function, change.bound, digests[at])


def mutated(path: Path, mutant: Mutant) -> ast.Module:
    """The file's tree with the change made."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for position, change in enumerate(_changes(tree)):
        if position == mutant.position:
            change.make()
            return ast.fix_missing_locations(tree)
    raise LookupError(mutant.name)


# -- where something can be changed --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scope:
    """Where we are: the function's qualified name, its outermost function, the names that an import binds here, and the
    line where the statement begins.
    """

    name: str = ""
    function: ast.AST | None = None
    bound: tuple[str, ...] = ()
    line: int = 0

    def into(self, node: ast.AST) -> _Scope:
        """Where the node's children are."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{self.name}.<locals>" if self.function is not None else self.name
            name = f"{inner}.{node.name}".lstrip(".")
            is_function = not isinstance(node, ast.ClassDef)
            function = self.function or (node if is_function else None)
            return _Scope(name, function, (*self.bound, node.name), node.lineno)
        if self.function is None and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            return _Scope(self.name, None, (*self.bound, *names), node.lineno)
        return replace(self, line=node.lineno) if isinstance(node, ast.stmt) else self


@dataclass(frozen=True)
class _Change:
    scope: str
    function: ast.AST | None
    bound: tuple[str, ...]
    lines: tuple[int, int]
    told: str
    make: Callable[[], None]


@dataclass(frozen=True)
class _Spot:
    """A node, and how to put another into its place."""

    node: ast.AST
    put: Callable[[ast.AST], None]


_UNTOUCHED = {
    ast.AnnAssign: {"annotation"},
    ast.arg: {"annotation"},
    ast.FunctionDef: {"returns", "decorator_list"},
    ast.AsyncFunctionDef: {"returns", "decorator_list"},
    ast.ClassDef: {"decorator_list", "bases"},
    ast.JoinedStr: {"values"},
    ast.Call: set(),
}


def _changes(tree: ast.Module) -> Iterator[_Change]:
    yield from _below(tree, _Scope())


def _below(node: ast.AST, scope: _Scope) -> Iterator[_Change]:
    for spot in _children(node):
        if _is_left_alone(spot.node, node):
            continue
        inner = scope.into(spot.node)
        for told, new in _replacements(spot.node, node):
            lines = (
                inner.line,
                getattr(spot.node, "end_lineno", inner.line) if isinstance(spot.node, ast.expr) else inner.line,
            )
            yield _Change(inner.name, inner.function, inner.bound, lines, told, partial(spot.put, new))
        if isinstance(spot.node, ast.FunctionDef | ast.AsyncFunctionDef) and scope.function is None:
            yield from _defaults(spot.node, scope)
        yield from _below(spot.node, inner)


def _defaults(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> Iterator[_Change]:
    """A default value is made at import."""
    outside = _Scope(scope.name, None, (*scope.bound, node.name))
    for field in ("defaults", "kw_defaults"):
        for spot in _of_field(node.args, field):
            for told, new in _replacements(spot.node, node.args):
                told = f"{node.name}(...) {told}"
                yield _Change(scope.name, None, outside.bound, (node.lineno, node.lineno), told, partial(spot.put, new))


def _children(node: ast.AST) -> Iterator[_Spot]:
    untouched = _UNTOUCHED.get(type(node), set())
    for field in node._fields:
        if field not in untouched and not (isinstance(node, ast.arguments) and field.endswith("defaults")):
            yield from _of_field(node, field)


def _of_field(node: ast.AST, field: str) -> Iterator[_Spot]:
    value = getattr(node, field, None)
    if isinstance(value, ast.AST):
        yield _Spot(value, partial(setattr, node, field))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            if isinstance(each, ast.AST):
                yield _Spot(each, partial(value.__setitem__, index))


def _is_left_alone(node: ast.AST, parent: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    targets = node.targets if isinstance(node, ast.Assign) else []
    if any(isinstance(each, ast.Name) and each.id in {"__all__", "__slots__"} for each in targets):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Subscript):
        return ast.unparse(node.value.value) in {"Literal", "Callable", "tuple", "dict", "list", "Mapping"}
    is_joined = isinstance(parent, ast.Attribute) and parent.attr == "join"
    return is_joined or (isinstance(parent, ast.Call) and node is parent.func and isinstance(node, ast.Name))


# -- what becomes of it --------------------------------------------------------------------------------------------

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


def _replacements(node: ast.AST, parent: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for new in _new(node, parent):
        yield f"{_text(node)} -> {_text(new)}", new
    if isinstance(node, ast.Set | ast.List | ast.Tuple | ast.Dict) and isinstance(
        getattr(node, "ctx", ast.Load()), ast.Load
    ):
        for told, new in _without_one(node):
            yield f"{told} in {_text(node)}", new


def _text(node: ast.AST) -> str:
    text = ast.unparse(node).replace("\n", "; ")
    return text if len(text) <= 100 else f"{text[:70]} ... {text[-25:]}"


def _new(node: ast.AST, parent: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.expr):
        yield from _new_expression(node, parent)
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value in {None, False}):
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Continue | ast.Break | ast.Raise | ast.AugAssign | ast.Expr):
        yield ast.Pass()
    elif isinstance(node, ast.comprehension) and node.ifs:
        for gone in node.ifs:
            kept = [each for each in node.ifs if each is not gone]
            yield ast.comprehension(node.target, node.iter, kept, node.is_async)


def _new_expression(node: ast.expr, parent: ast.AST) -> Iterator[ast.expr]:
    is_test = isinstance(parent, ast.If | ast.IfExp | ast.While) and parent.test is node
    if is_test:
        yield ast.Constant(False)
        if not isinstance(parent, ast.While):
            yield ast.Constant(True)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _SWAPS:
        yield ast.Compare(node.left, [_SWAPS[type(node.ops[0])]()], node.comparators)  # type: ignore[list-item]
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for gone in node.values:
            kept = [each for each in node.values if each is not gone]
            yield kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif (
        isinstance(node, ast.BinOp) and type(node.op) in _SWAPS and not _is_text(node.left) and not _is_text(node.right)
    ):
        yield ast.BinOp(node.left, _SWAPS[type(node.op)](), node.right)  # type: ignore[arg-type]
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Constant):
        yield from _new_constant(node.value)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _new_constant(value: object) -> Iterator[ast.expr]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and value and " " not in value.strip():
        yield ast.Constant(f"{value}~")


def _without_one(node: ast.Set | ast.List | ast.Tuple | ast.Dict) -> Iterator[tuple[str, ast.AST]]:
    """A collection of constants, or a mapping, without each of its members in turn."""
    if isinstance(node, ast.Dict):
        for index, key in enumerate(node.keys):
            keys, values = [*node.keys], [*node.values]
            del keys[index], values[index]
            yield f"without {_text(key) if key else 'a mapping'}", ast.Dict(keys, values)
        return
    if len(node.elts) > 1 and all(isinstance(each, ast.Constant) for each in node.elts):
        for index, each in enumerate(node.elts):
            kept = [*node.elts[:index], *node.elts[index + 1 :]]
            yield (
                f"without {_text(each)}",
                type(node)(kept, ast.Load()) if not isinstance(node, ast.Set) else ast.Set(kept),
            )
