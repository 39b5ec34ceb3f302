"""From a path to the functions that serve it.

The path is split at its slashes first and percent-decoded segment by segment afterwards (RFC 3986, section 2.4): `%2f` is part of a
segment, never a boundary between two.
"""

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from shared.faas.declarations import EndpointDeclaration


class Route:
    """One declaration with what can be worked out beforehand."""

    __slots__ = ("body", "declaration", "list_parameters", "query")

    def __init__(self, declaration: EndpointDeclaration) -> None:
        self.declaration = declaration
        self.body = declaration.body if isinstance(declaration.body, type) else None
        self.query = declaration.query
        self.list_parameters = frozenset(
            field.alias or name
            for name, field in (self.query.model_fields.items() if self.query else ())
            if "list[" in str(field.annotation) or "tuple[" in str(field.annotation)
        )


class _Node:
    __slots__ = ("children", "parameter", "parameter_name", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.parameter_name = ""
        self.routes: dict[str, Route] = {}


Match = tuple[dict[str, Route], dict[str, str]]


class Router:
    """Finds routes by path, then method. A literal segment wins over a parameter before the method is looked at."""

    def __init__(self, declarations: Iterable[EndpointDeclaration]) -> None:
        self._literal: dict[bytes, dict[str, Route]] = {}
        self._root = _Node()
        for declaration in declarations:
            route = Route(declaration)
            for path in (declaration.path, *declaration.also):
                self._add(route, path)

    def find(self, raw_path: bytes) -> Match | None:
        """The methods that are served at the path as it was sent, and the path's parameters; or None."""
        literal = self._literal.get(raw_path)
        if literal is not None:
            return literal, {}
        node = self._root
        parameters: dict[str, str] = {}
        if not raw_path.startswith(b"/"):
            return None
        for raw_segment in raw_path[1:].split(b"/"):
            segment = _decoded(raw_segment)
            if segment is None:
                return None
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    return None
                parameters[node.parameter_name] = segment
            node = child
        return (node.routes, parameters) if node.routes else None

    def _add(self, route: Route, path: str) -> None:
        node = self._root
        for segment in path[1:].split("/"):
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter, node.parameter_name = _Node(), segment[1:-1]
                if node.parameter_name != segment[1:-1]:
                    raise ValueError(f"{path}: this place in the path is already called {node.parameter_name}")
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        if route.declaration.method in node.routes:
            raise ValueError(f"{route.declaration.method} {path} is declared twice")
        node.routes[route.declaration.method] = route
        if "{" not in path:
            self._literal[path.encode()] = node.routes


def _decoded(segment: bytes) -> str | None:
    """A segment's text; None if it is not UTF-8, holds a NUL, or would mean another folder to a program further on."""
    try:
        text = (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        return None
    return None if text in (".", "..") or "\0" in text else text
