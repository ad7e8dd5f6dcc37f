"""Snapshots and requests as JSON and back, so that a stored decision can be computed again from what it was made of.

Facts are written sorted, so that their order in a snapshot changes no byte. Instants stay whole milliseconds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from greenroom_server.policy.facts import JsonObject, Request, Snapshot

_T = TypeVar("_T")
_Convert: TypeAlias = Callable[[Any], Any]
_Write: TypeAlias = Callable[[Any], JsonObject]

# What tells two facts of one kind apart; the first of these that they have.
_ORDERS: Final = (("id", "seq"), ("key", "environment"), ("source", "environment", "at", "seq"), ("key",))


def write_snapshot(snapshot: Snapshot) -> JsonObject:
    """Plain JSON data; equal for snapshots that differ only in the order of their facts."""
    written = _WRITE_REST(snapshot)
    for name, write, order in _FACTS:
        held = getattr(snapshot, name)
        written[name] = [write(fact) for fact in (sorted(held, key=order) if len(held) > 1 else held)]
    return written


def read_snapshot(written: Any) -> Snapshot:
    """The snapshot. Raises ValueError for anything that `write_snapshot` does not write."""
    snapshot: Snapshot = _reader(Snapshot)(written)
    return snapshot


def write_request(request: Request) -> JsonObject:
    """Plain JSON data; `commit` is left out where there is none, as older servers knew none."""
    written = _writer(Request)(request)
    if request.commit is None:
        del written["commit"]
    return written


def read_request(written: Any) -> Request:
    """The request. Raises ValueError for anything that `write_request` does not write."""
    request: Request = _reader(Request)(written)
    return request


@cache
def _writer(kind: Any) -> _Write:
    return _compiled(_written(kind, "it"))


def _compiled(expression: str) -> _Write:
    """A function of one expression, made once, as `dataclasses` makes its methods."""
    space: dict[str, Any] = {}
    exec(f"def write(it): return {expression}", space)  # noqa: S102 (out of our own classes alone)
    write: _Write = space["write"]
    return write


def _written(hint: Any, source: str) -> str:
    """The expression that writes what `source` evaluates to, which is of the type."""
    hint, is_optional = _without_none(hint)
    text = _written_present(hint, source)
    return f"(None if {source} is None else {text})" if is_optional and text != source else text


def _written_present(hint: Any, source: str) -> str:
    origin = get_origin(hint)
    if hasattr(hint, "__dataclass_fields__"):
        return _members(hint, source, {field.name for field in fields(hint)})
    if origin is tuple:
        each = _written(get_args(hint)[0], "each")
        return f"list({source})" if each == "each" else f"[{each} for each in {source}]"
    if origin is frozenset:
        return f"sorted({source})"
    return f"sorted(map(list, {source}.items()))" if origin is Mapping else source


def _members(kind: Any, source: str, names: set[str]) -> str:
    hints = get_type_hints(kind)
    parts = (f"{name!r}: {_written(hints[name], f'{source}.{name}')}" for name in sorted(names))
    return f"{{{', '.join(parts)}}}"


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return kinds[0], True
    return hint, False


@cache
def _reader(kind: Any) -> _Convert:
    """Reads objects of a dataclass. What has a default may be absent, so that older ones can be read."""
    hints = get_type_hints(kind)
    reads = {field.name: _from_json(hints[field.name]) for field in fields(kind)}
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def read(written: Any) -> Any:
        if not isinstance(written, dict) or not required <= written.keys() <= reads.keys():
            raise ValueError(f"no {kind.__name__} as it is written")
        return kind(**{name: reads[name](value) for name, value in written.items()})

    return read


def _from_json(hint: Any) -> _Convert:
    hint, is_optional = _without_none(hint)
    read = _from_present(hint)
    return (lambda value: None if value is None else read(value)) if is_optional else read


def _from_present(hint: Any) -> _Convert:
    origin = get_origin(hint)
    if hasattr(hint, "__dataclass_fields__"):
        return _reader(hint)
    if origin is tuple:
        each = _from_json(get_args(hint)[0])
        return lambda values: tuple(each(value) for value in _checked(values, list))
    if origin is frozenset:
        return lambda values: frozenset(_checked(value, str) for value in _checked(values, list))
    if origin is Literal:
        return lambda value: _one_of(value, get_args(hint))
    if origin is not None:
        return lambda pairs: MappingProxyType(dict(_pair(pair) for pair in _checked(pairs, list)))
    return lambda value: _checked(value, hint)


def _checked(value: Any, kind: type[_T]) -> _T:
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__} instead of {type(value).__name__}")
    return value


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"expected one of {', '.join(map(str, allowed))}")
    return value


def _pair(pair: Any) -> tuple[str, str]:
    name, main = _checked(pair, list)
    return _checked(name, str), _checked(main, str)


def _facts() -> Iterator[tuple[str, _Write, _Convert]]:
    """The members of a snapshot that are facts of a kind, how these are written, and what they are sorted by."""
    for name, hint in get_type_hints(Snapshot).items():
        if get_origin(hint) is tuple:
            kind = get_args(hint)[0]
            names = {field.name for field in fields(kind)}
            yield name, _writer(kind), attrgetter(*next(order for order in _ORDERS if names.issuperset(order)))


_FACTS: Final = tuple(_facts())
_WRITE_REST: Final = _compiled(
    _members(Snapshot, "it", {field.name for field in fields(Snapshot)} - {name for name, *_ in _FACTS})
)
