"""Snapshots and requests as JSON and back, so that a stored decision can be computed again from what it was made of.

Facts are written sorted, so that their order in a snapshot changes no byte. Instants stay whole milliseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from greenroom_server.policy.facts import JsonObject, Request, Snapshot

_T = TypeVar("_T")
_Convert: TypeAlias = Callable[[Any], Any]

# What tells two facts of one kind apart; the first of these that they have.
_ORDERS: Final = (("id", "seq"), ("key", "environment"), ("source", "environment", "at", "seq"), ("key",))


def write_snapshot(snapshot: Snapshot) -> JsonObject:
    """Plain JSON data; equal for snapshots that differ only in the order of their facts."""
    written = _writer(Snapshot)(snapshot)
    for name, order in _sorted_members():
        if len(held := getattr(snapshot, name)) > 1:
            kind: Any = type(held[0])
            write = _writer(kind)
            written[name] = [write(fact) for fact in sorted(held, key=order)]
    return written


def read_snapshot(written: Any) -> Snapshot:
    """The snapshot. Raises ValueError for anything that `write_snapshot` does not write."""
    snapshot: Snapshot = _reader(Snapshot)(written)
    return snapshot


def write_request(request: Request) -> JsonObject:
    return _writer(Request)(request)


def read_request(written: Any) -> Request:
    """The request. Raises ValueError for anything that `write_request` does not write."""
    request: Request = _reader(Request)(written)
    return request


@cache
def _sorted_members() -> tuple[tuple[str, _Convert], ...]:
    """The members of a snapshot that are facts of a kind, and how to sort these."""
    members = []
    for name, hint in get_type_hints(Snapshot).items():
        if get_origin(hint) is tuple:
            names = {field.name for field in fields(get_args(hint)[0])}
            members.append((name, attrgetter(*next(order for order in _ORDERS if names.issuperset(order)))))
    return tuple(members)


@cache
def _writer(kind: Any) -> Callable[[Any], JsonObject]:
    """Writes objects of a dataclass, member by member."""
    hints = get_type_hints(kind)
    names = tuple(field.name for field in fields(kind))
    get = attrgetter(*names)
    special = [(name, convert) for name in names if (convert := _to_json(hints[name])) is not None]

    def write(thing: Any) -> JsonObject:
        written = dict(zip(names, get(thing), strict=True))
        for name, convert in special:
            written[name] = convert(written[name])
        return written

    return write


def _to_json(hint: Any) -> _Convert | None:
    """How a value of the type is written; None where it is JSON already."""
    hint, is_optional = _without_none(hint)
    origin = get_origin(hint)
    if hasattr(hint, "__dataclass_fields__"):
        write = _writer(hint)
        return (lambda value: None if value is None else write(value)) if is_optional else write
    if origin is tuple:
        each = _to_json(get_args(hint)[0])
        return list if each is None else (lambda values: [each(value) for value in values])
    if origin is frozenset:
        return sorted
    if origin is Mapping:
        return lambda values: sorted(list(pair) for pair in values.items())
    return None


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
