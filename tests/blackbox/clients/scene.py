"""What the real clients are asked and must answer: every type with every reason, and every error, as one table.

The variant of a split is worked out here from the published formula, not by the server's engine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import mmh3

Json = Any

PROJECT: Final = "acceptance"
ENVIRONMENT: Final = "production"
TYPES: Final = ("boolean", "string", "integer", "float", "object")

DARK: Final = {"boolean": False, "string": "", "integer": -(2**53), "float": 0.5, "object": {}}
LIVE: Final[dict[str, Json]] = {
    "boolean": True,
    "string": 'Räumungsverkauf ✓ \\ "quoted"',
    "integer": 2**53,
    "float": 10.0,
    "object": {"title": "Sale", "percent": 12.5, "ends": None, "steps": [1, "two", {"three": [True]}]},
}
# What the application says itself; for a boolean there is no third value, so it is the dark one.
FALLBACK: Final[dict[str, Json]] = {
    "boolean": False,
    "string": "fallback",
    "integer": 7,
    "float": 7.5,
    "object": {"fallback": True},
}

HOLLAND: Final = {"targetingKey": "user-1", "country": "nl"}
GERMANY: Final = {"targetingKey": "user-1", "country": "de"}
NOBODY: Final = {"country": "de"}

HIDDEN: Final = "hidden-from-clients"
UNREADABLE: Final = "from-the-future"
UNMET: Final = "with-unmet-prerequisite"
LIVELY: Final = "switched-by-tests"

_FULL: Final = 100_000
_SPLIT_SEED: Final = 86028157
_WEIGHTS: Final = (("live", 30_000), ("dark", 70_000))


@dataclass(frozen=True)
class Case:
    """One question and its answer; `variant` and `value` are the caller's own if there is an `error`."""

    name: str
    flag: str
    type: str
    context: Mapping[str, Json]
    value: Json
    variant: str | None
    reason: str
    error: str | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def fallback(self) -> Json:
        return FALLBACK[self.type]


def cases() -> Iterator[Case]:
    """All questions that every client can ask."""
    for type_ in TYPES:
        yield _live(type_, "static", GERMANY, "STATIC")
        yield _live(type_, "default", GERMANY, "DEFAULT")
        yield _live(type_, "targeting-match", HOLLAND, "TARGETING_MATCH")
        yield _live(type_, "rollout", GERMANY, "SPLIT")
        yield from (_split(type_, {"targetingKey": key}) for key in ("user-1", "user-2", "üser-3"))
        yield _dark(type_, "disabled", GERMANY, "DISABLED")
        yield _failed(type_, "absent", GERMANY, "FLAG_NOT_FOUND")
        yield _failed(type_, f"{type_}-split", NOBODY, "TARGETING_KEY_MISSING")
    yield Case("prerequisite-unmet", UNMET, "boolean", GERMANY, False, "off", "DISABLED")
    yield _failed("boolean", UNREADABLE, GERMANY, "PARSE_ERROR")


def mismatches(*, numbers_are_one: bool) -> Iterator[tuple[str, str]]:
    """Pairs of a type asked for and another that the flag has, as far as the client's language tells them apart."""
    for asked in TYPES:
        for actual in TYPES:
            both_numbers = {asked, actual} == {"integer", "float"}
            if asked != actual and not (numbers_are_one and both_numbers):
                yield asked, actual


def document() -> Json:
    """The whole scene, as the import takes it."""
    flags = [_flag(f"{type_}-{name}", type_, **parts) for type_ in TYPES for name, parts in _configurations(type_)]
    on = {"variant": "on"}
    unmet = [{"flag": "boolean-disabled", "variants": ["off"]}, {"flag": HIDDEN, "variants": ["dark"]}]
    flags += [
        _flag(HIDDEN, "string", client_visible=False, fallthrough={"variant": "live"}),
        _flag(UNREADABLE, "boolean", fallthrough=on),
        _flag(LIVELY, "boolean", enabled=False, fallthrough=on),
        _flag(UNMET, "boolean", fallthrough=on, prerequisites=unmet),
    ]
    return {
        "format": "greenroom.project/1",
        "project": {"key": PROJECT, "name": "Acceptance"},
        "environments": [{"key": ENVIRONMENT, "name": "Production", "tier": "production", "production_like": True}],
        "segments": [{"key": "dutch", "when": _clause("country", "nl")}],
        "flags": flags,
    }


# A server of this version must live with a flag that a later one wrote: an operator that nobody knows yet.
STORE_UNREADABLE_FLAG: Final = f"""
UPDATE flag_configuration SET rules = '[
  {{"id": "r-1", "when": {{"attribute": "country", "op": "sounds_like", "values": ["nl"]}},
    "serve": {{"variant": "on"}}}}]'
WHERE flag_id = (SELECT id FROM flag WHERE key = '{UNREADABLE}')
"""


def variant_of(type_: str, name: str) -> str:
    """The variant's name in flags of this type: a boolean flag's are given."""
    return {"live": "on", "dark": "off"}[name] if type_ == "boolean" else name


def split_variant(flag: str, key: str) -> str:
    """`live` or `dark`, by the formula of the published contract."""
    number = mmh3.hash(f"{flag}:{key}".encode(), _SPLIT_SEED, signed=False)
    bucket = number % 1000 * 100 + number // 1000 % 100
    reached = 0
    for name, weight in _WEIGHTS:
        reached += weight
        if bucket < reached:
            return name
    raise AssertionError("the weights do not add up")


def _configurations(type_: str) -> Iterator[tuple[str, Json]]:
    live, dark = ({"variant": variant_of(type_, name)} for name in ("live", "dark"))
    split = [{"variant": variant_of(type_, name), "weight": weight} for name, weight in _WEIGHTS]
    yield "static", {"fallthrough": live}
    yield "default", {"rules": [_rule(dark)], "fallthrough": live}
    yield "targeting-match", {"rules": [_rule(live)], "fallthrough": dark}
    yield "rollout", {"rules": [{"id": "r-1", "rollout": {"percent": _FULL}, "serve": live}], "fallthrough": dark}
    yield "split", {"fallthrough": {"split": split}}
    yield "disabled", {"enabled": False, "rules": [_rule(live)], "fallthrough": live}


def _flag(key: str, type_: str, *, client_visible: bool = True, **parts: Json) -> Json:
    configuration = {"enabled": True, "off_variant": variant_of(type_, "dark"), **parts}
    flag = {"key": key, "type": type_, "purpose": "operational", "client_visible": client_visible}
    if type_ != "boolean":
        flag["variants"] = {"dark": DARK[type_], "live": LIVE[type_]}
    return {**flag, "configurations": {ENVIRONMENT: configuration}}


def _rule(serve: Json) -> Json:
    return {"id": "r-1", "when": {"any": [{"segment": "dutch"}, _clause("country", "be")]}, "serve": serve}


def _clause(attribute: str, value: str) -> Json:
    return {"attribute": attribute, "op": "in", "values": [value]}


def _live(type_: str, name: str, context: Mapping[str, Json], reason: str) -> Case:
    flag = f"{type_}-{name}"
    return Case(flag, flag, type_, context, LIVE[type_], variant_of(type_, "live"), reason)


def _dark(type_: str, name: str, context: Mapping[str, Json], reason: str) -> Case:
    flag = f"{type_}-{name}"
    return Case(flag, flag, type_, context, DARK[type_], variant_of(type_, "dark"), reason)


def _split(type_: str, context: Mapping[str, str]) -> Case:
    flag, key = f"{type_}-split", context["targetingKey"]
    name = split_variant(flag, key)
    value = (LIVE if name == "live" else DARK)[type_]
    return Case(f"{flag}-{key}", flag, type_, context, value, variant_of(type_, name), "SPLIT")


def _failed(type_: str, flag: str, context: Mapping[str, Json], error: str) -> Case:
    name = f"{type_}-{error.lower().replace('_', '-')}"
    return Case(name, flag, type_, context, FALLBACK[type_], None, "ERROR", error)
