"""YAML in, read as what it looks like: the JSON subset of YAML 1.2, within the same limits as JSON.

PyYAML alone follows YAML 1.1, where the variant name `on` is a boolean and `2026-01-31` a date, and where aliases
make a few hundred bytes unfold into gigabytes. Here only `true`, `false`, `null` and numbers are no texts, and
aliases are refused.
"""

import json
import re
from typing import Any, Final

import yaml

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.web.codec import MAX_DEPTH, read_json

_BOOLEAN: Final = re.compile(r"^(?:true|false)$")
_NULL: Final = re.compile(r"^(?:null|~|)$")
_INTEGER: Final = re.compile(r"^-?(?:0|[1-9][0-9]*)$")
_FLOAT: Final = re.compile(r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$")


class _Loader(yaml.CSafeLoader):
    """Refuses duplicate keys and tags; knows JSON's scalars only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's interface)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refusal("keys are texts", key_node.start_mark)
            # A key is a text, however it looks: `1: a` and `true: b` are members `1` and `true`, as in JSON.
            key_node.tag = "tag:yaml.org,2002:str"
            if key_node.value in keys:
                raise _refusal(f"the key `{key_node.value}` is there twice", key_node.start_mark)
            keys.add(key_node.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.CSafeDumper):
    """Quotes what YAML 1.1 or the reader above would take for something else than a text, and makes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", _BOOLEAN, "tf"),
    ("tag:yaml.org,2002:null", _NULL, ["~", "n", ""]),
    ("tag:yaml.org,2002:int", _INTEGER, "-0123456789"),
    ("tag:yaml.org,2002:float", _FLOAT, "-0123456789"),
):
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))
    _Dumper.add_implicit_resolver(_tag, _pattern, list(_first))


def write_yaml(document: Any) -> bytes:
    """JSON-shaped Python as YAML that `read_yaml`, and any other reader of YAML, reads as the same."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text.encode()


def read_yaml(data: bytes, *, nodes: int, depth: int = MAX_DEPTH) -> Any:
    """The document as JSON-shaped Python; raises `Invalid` with the line, or `LimitExceeded`."""
    try:
        text = data.decode()
        _check_events(text, depth)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader with less in it)
        return read_json(json.dumps(document, allow_nan=False, ensure_ascii=False).encode(), nodes=nodes, depth=depth)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except (TypeError, ValueError, RecursionError):
        raise Invalid("the body holds what JSON cannot express, or is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        raise _refusal(error.problem or "not YAML", error.problem_mark) from None
    except yaml.YAMLError:
        raise Invalid("the body is not YAML") from None


def _check_events(text: str, most: int) -> None:
    """Refuses aliases, and nesting so deep that building the document would need an endless stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases are not taken", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > most:
                raise LimitExceeded("json_depth", most)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refusal(why: str, mark: Any) -> Invalid:
    place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return Invalid(errors=[FieldError("", f"the body is not YAML that can be read here: {why}{place}")])
