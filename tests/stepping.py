"""The program with each of its steps counted, at the function that takes it.

A call that Python makes is one step; so is each element that a loop, `in`, `index`, `sorted`, `tuple`, `*` or a slice
goes over, and every 64 characters of a text that is searched, joined or copied. What the interpreter goes over in C
counts like what the program does itself: `x in many` is one call, and as many comparisons as there are elements.

Modules of `agent` that are imported after `count()` are compiled with the counters in them; so it is for a process of
its own (`tests/growing.py`). What libraries do is not seen here: `tests/work.py` counts their calls.
"""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

CHARACTERS = 64
"""Of a text, for one step."""

_steps: list[int] = []
_places: list[str] = []


def count() -> None:
    """From here on modules of the program are imported with counters."""
    assert not any(name.partition(".")[0] == "agent" for name in sys.modules), "imported without counters"
    sys.meta_path.insert(0, _Finder())


def taken(work: Callable[[], object]) -> Counter[str]:
    """The steps of each function until the work is done."""
    before = [*_steps]
    work()
    return Counter({_places[at]: steps - (before[at] if at < len(before) else 0) for at, steps in enumerate(_steps)})


# -- what is counted -----------------------------------------------------------------------------------------------

_CONTAINERS = (list, tuple, set, frozenset, dict, deque, type({}.keys()), type({}.values()), type({}.items()))
_TEXTS = (str, bytes, bytearray)


def _size(value: Any) -> int:
    if isinstance(value, _CONTAINERS):
        return len(value)
    return len(value) // CHARACTERS if isinstance(value, _TEXTS) else 0


def _each(at: int, values: Iterable[Any]) -> Iterator[Any]:
    """What is gone over one by one."""
    return _counted(at, iter(values))


def _counted(at: int, values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        _steps[at] += 1
        yield value


def _fed(at: int, values: Any) -> Any:
    """What is gone over as a whole, if it is of the kind that can be."""
    if isinstance(values, (*_CONTAINERS, *_TEXTS)):
        _steps[at] += _size(values)
        return values
    return _each(at, values) if isinstance(values, Iterator) else values


def _made(at: int, value: Any) -> Any:
    """What comes out has to be copied."""
    _steps[at] += _size(value)
    return value


def _in(at: int, value: Any, values: Any) -> bool:
    if isinstance(values, list | tuple | deque):
        for place, each in enumerate(values, 1):
            if each is value or each == value:
                _steps[at] += place
                return True
        _steps[at] += len(values)
        return False
    if isinstance(values, (*_TEXTS, type({}.values()))):
        _steps[at] += _size(values)
    elif isinstance(values, Iterator):
        values = _counted(at, values)
    return value in values


def _added(at: int, one: Any, other: Any) -> Any:
    return _made(at, one + other)


def _merged(at: int, one: Any, other: Any) -> Any:
    _steps[at] += (_size(one) + _size(other)) if isinstance(one, (*_CONTAINERS, Counter)) else 0
    return one | other


def _grown(at: int, whole: Any, more: Any) -> Any:
    """`whole += more`: a tuple is made anew. CPython lengthens a text where it stands, if nobody else has it."""
    _steps[at] += _size(whole) if isinstance(whole, tuple) else 0
    return _fed(at, more)


# fmt: off
_SEARCHING = {"index", "find", "rfind"}
_GOING_THROUGH = {
    "lower", "upper", "casefold", "strip", "lstrip", "rstrip", "replace", "split", "rsplit",
    "splitlines", "partition", "rpartition", "encode", "decode", "translate", "count", "copy",
    "sort", "reverse", "remove",
}
_TAKING = {
    "join", "extend", "update", "union", "difference", "intersection", "issubset", "issuperset",
    "isdisjoint", "difference_update", "intersection_update", "fromkeys", "writelines",
    "extendleft",
}
_EATERS = {"list", "tuple", "set", "frozenset", "dict", "sorted", "min", "max", "sum", "any", "all", "Counter", "deque"}
# fmt: on
_METHODS = _SEARCHING | _GOING_THROUGH | _TAKING | {"insert", "pop"}


def _called(at: int, whole: Any, name: str, *given: Any, **named: Any) -> Any:
    method = getattr(whole, name)
    if isinstance(whole, (*_CONTAINERS, *_TEXTS)) or name == "fromkeys":
        if name in _TAKING:
            given = tuple(_fed(at, each) for each in given)
        elif name in {"insert", "pop"} and isinstance(whole, list):
            _steps[at] += len(whole) - given[0] if given and given[0] >= 0 else 0
        elif name in _SEARCHING:
            found = method(*given, **named)
            first, last = (*given[1:], *(0, len(whole))[len(given) - 1 :])
            length = last - first if found < 0 else last - found if name == "rfind" else found - first
            _steps[at] += length // CHARACTERS if isinstance(whole, _TEXTS) else length
            return found
        elif name in _GOING_THROUGH:
            _steps[at] += _size(whole[slice(*given[1:])] if name == "count" and len(given) > 1 else whole)
    return method(*given, **named)


FUNCTIONS = {
    "__steps__": _steps,
    **{f"__{each.__name__[1:]}__": each for each in (_each, _fed, _made, _in, _added, _merged, _grown, _called)},
}


# -- where it is put in --------------------------------------------------------------------------------------------


class _Counting(ast.NodeTransformer):
    """Puts the counters in; each function has a number of its own."""

    def __init__(self, module: str) -> None:
        self._names = [module]
        self._at = _place(module)

    def _within(self, node: Any, name: str) -> None:
        outer = self._at
        self._names.append(name)
        self._at = _place(":".join((self._names[0], ".".join(self._names[1:]))))
        node.body = [self.visit(each) for each in node.body] if isinstance(node.body, list) else self.visit(node.body)
        self._step = ast.parse(f"__steps__[{self._at}] += 1").body[0]
        self._names.pop()
        self._at = outer

    def visit_FunctionDef(self, node: Any) -> Any:
        node.args = self.visit(node.args)
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        self._within(node, node.name)
        node.body.insert(1 if ast.get_docstring(node) is not None else 0, self._step)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: Any) -> Any:
        self._names.append(node.name)
        node.body = [self.visit(each) for each in node.body]
        self._names.pop()
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.value = self.visit(node.value) if node.value is not None else None
        return node

    def visit_match_case(self, node: ast.match_case) -> Any:
        node.guard = self.visit(node.guard) if node.guard is not None else None
        node.body = [self.visit(each) for each in node.body]
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Any:
        node.value = self.visit(node.value)
        return node

    def visit_For(self, node: Any) -> Any:
        self.generic_visit(node)
        node.iter = self._by("each", node.iter)
        return node

    def visit_comprehension(self, node: Any) -> Any:
        self.generic_visit(node)
        if not node.is_async:
            node.iter = self._by("each", node.iter)
        return node

    def visit_Compare(self, node: Any) -> Any:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            found = self._by("in", node.left, node.comparators[0])
            return found if isinstance(node.ops[0], ast.In) else ast.UnaryOp(ast.Not(), found)
        return node

    def visit_BinOp(self, node: Any) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.BitOr):
            return self._by("added" if isinstance(node.op, ast.Add) else "merged", node.left, node.right)
        return node

    def visit_AugAssign(self, node: Any) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name | ast.Attribute):
            whole = ast.parse(ast.unparse(node.target), mode="eval").body
            node.value = self._by("grown", whole, node.value)
        return node

    def visit_Call(self, node: Any) -> Any:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name) and function.id in _EATERS and len(node.args) == 1:
            if not isinstance(node.args[0], ast.GeneratorExp | ast.Starred):
                node.args = [self._by("fed", node.args[0])]
        elif isinstance(function, ast.Attribute) and function.attr in _METHODS and not _is_super(function.value):
            name = ast.Constant(function.attr)
            return self._by("called", function.value, name, *node.args, keywords=node.keywords)
        for keyword in node.keywords:
            if keyword.arg is None:
                keyword.value = self._by("fed", keyword.value)
        return node

    def visit_Starred(self, node: Any) -> Any:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = self._by("fed", node.value)
        return node

    def visit_Dict(self, node: Any) -> Any:
        self.generic_visit(node)
        pairs = zip(node.keys, node.values, strict=True)
        node.values = [self._by("fed", value) if key is None else value for key, value in pairs]
        return node

    def visit_Subscript(self, node: Any) -> Any:
        self.generic_visit(node)
        is_copy = isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load)
        return self._by("made", node) if is_copy else node

    def visit_JoinedStr(self, node: Any) -> Any:
        self.generic_visit(node)
        return self._by("made", node)

    def _by(self, name: str, *given: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.expr:
        arguments = [ast.Constant(self._at), *given]
        return ast.Call(ast.Name(f"__{name}__", ast.Load()), arguments, list(keywords))


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _place(name: str) -> int:
    _steps.append(0)
    _places.append(name)
    return len(_places) - 1


def compiled(source: str | bytes, path: str, name: str) -> Any:
    """A module with the counters in it, which runs where `FUNCTIONS` are known."""
    tree = _Counting(name).visit(ast.parse(source, path))
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class _Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:
        return compiled(data, path, self.name.removeprefix("agent."))

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.get_data(self.get_filename(fullname)), self.path)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(FUNCTIONS)
        super().exec_module(module)


class _Finder:
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.partition(".")[0] != "agent":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec
