"""Where in a spec a difference comes from: the line of the path, parameter, pager or type that made it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from connectory.errors import Fault
from connectory.invoke import Engine
from connectory.operation import path_names
from connectory.spec.language import Auth, Operation, Spec
from connectory.spec.load import Loaded
from connectory.spec.trees import Array, Node, Table, Text, as_written, locate
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, TypeExpr
from connectory.spec.words import Slot
from connectory.testing.recorded.cassettes import tree_text
from connectory.testing.recorded.matching import Asked, Mismatch

Path = tuple[str | int, ...]

_TALK: Final = frozenset({"about", "examples", "deprecated", "sources", "assumed"})  # changes no request
TOKEN: Final = "(token)"
"""The exchange of a token, among the names of operations."""
_SHARED: Final = ("servers", "auth", "send", "wire", "errors", "outcomes")


def parts_of(loaded: Loaded, operation: str) -> dict[str, str]:
    """The parts of a spec that a call of an operation uses: place to text, as the file writes it."""
    spec = loaded.spec
    parts: dict[str, str] = {}
    for name in related(spec, operation):
        parts |= _texts(loaded.tree, ("operations", name))
    for pager in dict.fromkeys(spec.operations[name].pages for name in related(spec, operation)):
        if pager:
            parts |= _texts(loaded.tree, ("pagers", pager))
    for section in _SHARED:
        parts |= _texts(loaded.tree, (section,))
    if parts.pop("auth/token", None):
        parts |= _texts(loaded.tree, ("auth", "token"))
    for name in types_of(spec, operation):
        if node := _at(loaded.tree, ("types", name)):
            parts[f"types/{name}"] = tree_text(node)
    return parts


def related(spec: Spec, operation: str) -> list[str]:
    """The operation and those that a call of it calls too."""
    if operation not in spec.operations:
        return []
    known = spec.operations[operation]
    linked = [known.merge, *(link.operation for link in (known.detail, known.parent) if link is not None)]
    return list(dict.fromkeys([operation, *(name for name in linked if name and name in spec.operations)]))


def types_of(spec: Spec, operation: str) -> list[str]:
    """Every named type that an operation's parameters and answer lead to."""
    found: dict[str, None] = {}
    waiting = [kind for name in related(spec, operation) for kind in _expressions(spec.operations[name])]
    while waiting:
        match waiting.pop():
            case ListOf(item=inner) | MapOf(value=inner):
                waiting.append(inner)
            case Either(types=types):
                waiting += types
            case Named(name=name) if name not in found:
                found[name] = None
                waiting += [field.type for field in spec.types.get(name, {}).values()]
    return sorted(found)


def _expressions(operation: Operation) -> Iterator[TypeExpr]:
    yield operation.returns
    if operation.body is not None:
        yield operation.body
    for spot in ("path", "query", "headers", "fields", "variables"):
        yield from (field.type for field in getattr(operation, spot).values())


def _texts(tree: Table, path: Path) -> dict[str, str]:
    """The texts below a place, one for each key; of a list or a text as a whole."""
    node = _at(tree, path)
    place = "/".join(map(str, path))
    if isinstance(node, Table):
        return {f"{place}/{key}": tree_text(value) for key, value in node.items() if key not in _TALK}
    return {} if node is None else {place: tree_text(node)}


def _at(tree: Table, path: Path) -> Node | None:
    node: Any = tree
    for step in path:
        if isinstance(node, Array):
            node = node[int(step)] if str(step).isdecimal() and int(step) < len(node) else None
        else:
            node = node.get(Text(str(step))) if isinstance(node, Table) else None
    found: Node | None = node
    return found


@attrs.frozen
class Change:
    """A part of the spec that is not what it was when a cassette was recorded. `before` or `now` is empty where it
    was not there."""

    place: Fault
    before: str
    now: str

    def __str__(self) -> str:
        where = f"{self.place.file}:{self.place.line}:{self.place.column} {self.place.path}"
        if not self.now:
            return f"{where}: is gone, was {self.before}"
        return f"{where}: was {self.before}, is {self.now}" if self.before else f"{where}: is new: {self.now}"


def changes_since(loaded: Loaded, operation: str, before: Mapping[str, str]) -> list[Change]:
    """What of the spec that a call uses differs from what a cassette says was used."""
    now = parts_of(loaded, operation)
    return [
        Change(fault_at(loaded, _split(place), ""), before.get(place, ""), now.get(place, ""))
        for place in dict.fromkeys([*now, *before])
        if before.get(place) != now.get(place)
    ]


def _split(place: str) -> Path:
    """A place as steps; names of operations hold dots and never slashes."""
    return tuple(place.split("/"))


def fault_at(loaded: Loaded, path: Path, message: str, *, at_key: bool = True) -> Fault:
    """A fault of the spec at a place, or at the nearest one around it that is written."""
    written = as_written(loaded.tree, path)
    while written and _at(loaded.tree, written) is None:
        written = written[:-1]
    file, line, column = locate(loaded.tree, written, at_key=at_key)
    return Fault(file, max(line, 1), max(column, 1), "/" + "/".join(map(str, written)) if written else "", message)


@attrs.frozen
class Blame:
    """Finds the lines of one spec."""

    loaded: Loaded
    engine: Engine

    def request(self, operation: str, asked: Asked, mismatch: Mismatch) -> Fault:
        """The place that a difference of a request comes from; `asked` is the request made."""
        owner = self.owner(operation, asked)
        if owner is None and mismatch.spot not in ("scheme", "host"):
            return self._fault(self._token(mismatch))
        return self._fault(self._of(owner or operation, mismatch))

    def operation(self, operation: str, *keys: str) -> Fault:
        """An operation's line, or that of the first of these keys which it has."""
        path: Path = ("operations", operation)
        return self._fault(next((p for key in keys if self._is(p := (*path, key))), path))

    def limits(self, operation: str) -> Fault:
        """What says which limits an operation spends: its own key, else those of the vendor."""
        own = ("operations", operation, "limits")
        everybodys = ("limits",) if self._is(("limits",)) else ("operations", operation)
        return self._fault(own if self._is(own) else everybodys)

    def walk(self, operation: str) -> Fault:
        """What says how many calls an operation makes: its pager or its batch."""
        known = self.loaded.spec.operations[operation]
        if known.pages:
            return self._fault(("pagers", known.pages))
        return self.operation(operation, "batch", "merge", known.method)

    def records(self, operation: str) -> Fault:
        """What says where the records are."""
        known = self.loaded.spec.operations[operation]
        path = ("operations", operation, "records")
        if known.pages and not self._is(path):
            return self._fault(("pagers", known.pages, "records"))
        return self.operation(operation, "records", "record", "returns", known.method)

    def total(self, operation: str) -> Fault:
        """What says where the vendor's own count is."""
        pages = self.loaded.spec.operations[operation].pages
        return self._fault(("pagers", pages, "total_records")) if pages else self.operation(operation)

    def token(self) -> Fault:
        """What says how a token is got and where it is in the answer."""
        return self._fault(self._token(Mismatch("", "", "", ""))[:-1] or ("auth",))

    def words(self, operation: str, key: str) -> Fault:
        """What says where an error's `message` or `code` is."""
        path = ("operations", operation, "errors", key)
        return self._fault(path if self._is(path) else ("errors", key))

    def outcome(self, operation: str) -> Fault:
        """What says which answers are errors, and how they read."""
        path = ("operations", operation, "outcomes")
        return self._fault(next((p for p in (path, ("outcomes",), ("errors",)) if self._is(p)), path[:2]))

    def owner(self, operation: str, asked: Asked) -> str | None:
        """The operation that a request belongs to; None for the exchange of a token. What fits none belongs to the
        operation that is called."""
        found = self.known(operation, asked)
        return None if found == TOKEN else found or operation

    def known(self, operation: str, asked: Asked) -> str | None:
        """The operation whose method and path a request has, or `TOKEN`; None where it is none of these."""
        path = urlsplit(asked.url).path
        for name in related(self.loaded.spec, operation):
            if self._fits(name, asked.method, path):
                return name
        return TOKEN if self._is_token(path) else None

    def _fits(self, operation: str, method: str, path: str) -> bool:
        plan = self.engine.plan(operation)
        url = urlsplit(self.engine.url(plan)).path
        pattern = re.escape(url)
        for name in path_names(url):
            pattern = pattern.replace(re.escape("{" + name + "}"), "[^/]+")
        verb = "POST" if plan.operation.graphql is not None else plan.operation.method.upper()
        return verb == method and re.fullmatch(pattern, path) is not None

    def _is_token(self, path: str) -> bool:
        line = self.engine.line
        if line.token is None:
            return False
        url = line.address(str(line.token.get or line.token.post), self.engine.settings)
        return urlsplit(url).path == path

    def _of(self, operation: str, mismatch: Mismatch) -> Path:
        known = self.loaded.spec.operations[operation]
        here: Path = ("operations", operation)
        name = re.split(r"[\[.]", mismatch.name)[0] if mismatch.name else ""
        match mismatch.spot:
            case "method" | "path":
                return (*here, known.method)
            case "scheme" | "host":
                return (*here, "server") if known.server else ("servers",)
            case "query":
                spots = [(*here, "query", name), (*here, "send", "query", name), ("send", "query", name)]
                spots += [
                    self._slot(known, "query", mismatch.name),
                    *self._auth("query", name),
                    (*here, "fields", name),
                ]
            case "header":
                spots = [(*here, "headers", name), (*here, "send", "headers", name), ("send", "headers", name)]
                spots += [self._slot(known, "headers", name), *self._auth("headers", name), *self._media(here, name)]
            case _:
                spots = [self._batch(here, known, mismatch), (*here, "fields", name)]
                spots += [(*here, "send", "fields", name), ("send", "fields", name)]
                spots += [self._slot(known, "fields", mismatch.name), (*here, "variables", name)]
                spots += [(*here, "document"), (*here, "body"), (*here, "wire")]
        return next((spot for spot in spots if spot and self._is(spot)), (*here, known.method))

    def _batch(self, here: Path, known: Operation, mismatch: Mismatch) -> Path:
        """A batch of another size, or in another wrapper."""
        return (*here, "batch", "largest") if known.batch and mismatch.made.endswith(" values") else ()

    def _slot(self, operation: Operation, spot: str, name: str) -> Path:
        """The key of the pager that fills this parameter."""
        pager = self.loaded.spec.pagers.get(operation.pages or "")
        if pager is None or not operation.pages:
            return ()
        options = pager.options if attrs.has(type(pager.options)) else None
        keys = {f.name: getattr(options, f.name) for f in attrs.fields(type(options))} if options else {}
        for key, slot in {"size": pager.size, **keys}.items():
            if isinstance(slot, Slot) and getattr(slot, spot) == name:
                return ("pagers", operation.pages, key)
        return ()

    def _auth(self, spot: str, name: str) -> list[Path]:
        """Where a credential of this name is written."""
        paths: list[Path] = []
        for number, auth in enumerate(self.loaded.spec.auth):
            paths += [("auth", number, *keys) for keys in self._credentials(auth, spot, name)]
        return [as_written(self.loaded.tree, path) for path in paths]

    def _credentials(self, auth: Auth, spot: str, name: str) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        if any(name.lower() == known.lower() for known in getattr(auth, spot)):
            found.append((spot, next(known for known in getattr(auth, spot) if known.lower() == name.lower())))
        if spot == "headers" and name.lower() == "authorization":
            found += [(key,) for key in ("bearer", "basic") if getattr(auth, key) is not None]
        if spot == "headers" and name.lower() == "cookie":
            found.append(("cookies",))
        return [*found, ("use",)] if auth.use else found

    def _media(self, here: Path, name: str) -> list[Path]:
        if name.lower() == "content-type":
            return [(*here, "wire", "body"), ("wire", "body")]
        return [(*here, "wire", "answer"), ("wire", "answer")] if name.lower() == "accept" else []

    def _token(self, mismatch: Mismatch) -> Path:
        """The part of `auth` that an exchange of a token is made of."""
        numbers = [number for number, auth in enumerate(self.loaded.spec.auth) if auth.token is not None]
        here = as_written(self.loaded.tree, ("auth", next(iter(numbers), 0), "token"))
        keys = {"query": "query", "header": "headers", "form field": "fields", "body": "fields"}
        spot = keys.get(mismatch.spot, "get")
        name = re.split(r"[\[.]", mismatch.name)[0]
        for path in ((*here, spot, name), (*here, spot), (*here, "get"), (*here, "post"), here, ("auth",)):
            if self._is(path):
                return path
        return ("auth",)

    def _is(self, path: Path) -> bool:
        return _at(self.loaded.tree, path) is not None

    def _fault(self, path: Path) -> Fault:
        return fault_at(self.loaded, path, "")
