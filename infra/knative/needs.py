"""Which groups of settings a function needs, found in its code: what it can reach decides, and nobody has to keep a list.

From the function's own file, every name that code refers to is followed into `shared/` (a function that is named may be called; a method
may be if its class and its name are both referred to). Each attribute that is called like a setting counts as reading it. What the one path
of every request reads depends on the declaration alone and stands here (`_of_every_request`).

Too much is safe (a key more than needed), too little is not silent: a setting outside the groups that a process was given raises when it is
read (`shared.config`), and tests boot each function with its groups alone.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from infra.functions import ROOT
from shared.config import GROUP_OF
from shared.faas.declarations import EndpointDeclaration, EventDeclaration

Definition = tuple[str, str]
"""A module's name and that of something at its top: a function, a class, a value; or `Class.method`."""

_PATH_OF_EVERY_REQUEST = "shared.faas"
_BY_NAME = re.compile(r"(shared(?:\.\w+)+):(\w+)")
"""What is imported by its name when it is needed."""


def groups(declaration: EndpointDeclaration | EventDeclaration) -> frozenset[str]:
    """The groups of `shared.config.GROUPS` that the function's process must be given."""
    path = Path(declaration.handler.__code__.co_filename)
    code = _code()
    name = code.add(path)
    return _of_every_request(declaration) | frozenset(GROUP_OF[setting] for setting in code.read_from(name))


def _of_every_request(declaration: EndpointDeclaration | EventDeclaration) -> frozenset[str]:
    """The address is signed by the gateway and counted in Redis, events are signed by the broker; who calls stands in PostgreSQL."""
    if isinstance(declaration, EventDeclaration):
        return frozenset({"keys"})
    if declaration.of_process:
        return frozenset({"keys"})
    signed_in = declaration.auth in ("user", "admin") or declaration.idempotent
    return frozenset({"keys", "redis", "database"} if signed_in else {"keys", "redis"})


@dataclass
class _UsedBy:
    """What one node refers to."""

    names: set[Definition] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)


class _SourceCode:
    """All of `shared/`, and the functions that are added, as pieces that refer to one another."""

    def __init__(self) -> None:
        self._pieces: dict[Definition, _UsedBy] = {}
        self._methods: dict[Definition, dict[str, Definition]] = defaultdict(dict)
        self._imported: dict[str, dict[str, Definition]] = {}
        self._modules: dict[str, Path] = {}
        for path in sorted((ROOT / "shared").rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            self._modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        for module in self._modules:
            self._read(module, self._modules[module])

    def add(self, path: Path) -> str:
        """Adds a function's file, as a module of that name; the name."""
        name = f"functions.{path.parent.name}.{path.stem}"
        if name not in self._modules:
            self._modules[name] = path
            self._read(name, path)
        return name

    def read_from(self, module: str) -> set[str]:
        """The settings (those that are in a group) which the module's code may come to read."""
        seen: set[Definition] = set()
        attributes: set[str] = set()
        classes: set[Definition] = set()
        waiting: list[Definition] = [node for node in self._pieces if node[0] == module]
        while waiting:
            while waiting:
                node = self._resolved(waiting.pop())
                if node in seen or node[0].startswith(_PATH_OF_EVERY_REQUEST) or node[0] == "shared.config":
                    continue
                seen.add(node)
                if node in self._methods:
                    classes.add(node)
                piece = self._pieces.get(node)
                if piece is not None:
                    attributes |= piece.attributes
                    waiting += piece.names
            waiting = [
                method
                for owner in classes
                for name, method in self._methods[owner].items()
                if method not in seen and (name in attributes or name.startswith("__"))
            ]
        return attributes & GROUP_OF.keys()

    def _resolved(self, node: Definition) -> Definition:
        """The node itself, if another module only hands it on."""
        for _ in range(8):
            module, name = node
            if node in self._pieces or name not in self._imported.get(module, {}):
                break
            node = self._imported[module][name]
        return node

    def _read(self, module: str, path: Path) -> None:
        tree = ast.parse(path.read_text())
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        names = self._imported[module] = dict(self._imports(tree.body, package))
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                self._piece((module, statement.name), statement, names, package)
            elif isinstance(statement, ast.ClassDef):
                self._class(module, statement, names, package)
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        self._piece((module, target.id), statement, names, package)

    def _class(self, module: str, statement: ast.ClassDef, names: dict[str, Definition], package: str) -> None:
        own = (module, statement.name)
        self._methods[own] = {}
        rest = ast.Module([], [])
        rest.body = [each for each in statement.body if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        rest.body += [ast.Expr(value) for value in (*statement.bases, *statement.decorator_list)]
        self._piece(own, rest, names, package)
        for method in statement.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                node = self._methods[own][method.name] = (module, f"{statement.name}.{method.name}")
                self._piece(node, method, names, package)

    def _piece(self, node: Definition, tree: ast.AST, names: dict[str, Definition], package: str) -> None:
        piece = self._pieces.setdefault(node, _UsedBy())
        inside = [each for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom)]
        names = names | dict(self._imports(inside, package))
        annotations = {id(inner) for each in _annotations(tree) for inner in ast.walk(each)}
        for each in ast.walk(tree):
            if id(each) in annotations:
                continue  # naming a type makes nothing of it
            if isinstance(each, ast.Attribute):
                piece.attributes.add(each.attr)
                if isinstance(each.value, ast.Name) and each.value.id in names:
                    module = ".".join(filter(None, names[each.value.id]))
                    if module in self._modules:
                        piece.names.add((module, each.attr))
            elif isinstance(each, ast.Name):
                piece.names.add(names.get(each.id, (node[0], each.id)))
            elif isinstance(each, ast.Constant) and isinstance(each.value, str) and (named := _BY_NAME.fullmatch(each.value)):
                piece.names.add((named[1], named[2]))

    def _imports(self, statements: list[ast.stmt] | list[ast.Import | ast.ImportFrom], package: str) -> Iterator[tuple[str, Definition]]:
        for statement in statements:
            if isinstance(statement, ast.ImportFrom) and not statement.level and (statement.module or "").startswith("shared"):
                for alias in statement.names:
                    yield alias.asname or alias.name, (statement.module or "", alias.name)


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    for each in ast.walk(tree):
        if isinstance(each, ast.arg | ast.AnnAssign) and each.annotation is not None:
            yield each.annotation
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.returns is not None:
            yield each.returns


@lru_cache(maxsize=1)
def _code() -> _SourceCode:
    return _SourceCode()
