"""Conditions, rules and configurations in words. Whatever this version does not know is shown as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

FULL: Final = 100_000
_SHOWN_VALUES: Final = 8
_VERBS: Final = {
    "in": "is",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches",
    "eq": "=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "before": "is before",
    "after": "is after",
    "semver_eq": "is version",
    "semver_gt": "is a version above",
    "semver_gte": "is at least version",
    "semver_lt": "is a version below",
    "semver_lte": "is at most version",
    "cidr": "is in the network",
}

Document = Mapping[str, Any]


def condition(when: Document) -> str:
    """`plan is "plus" and not in segment staff`."""
    match when:
        case {"segment": key}:
            return f"in segment {key}"
        case {"not": inner}:
            return f"not ({condition(inner)})"
        case {"all": parts}:
            return _joined(parts, " and ", "everybody")
        case {"any": parts}:
            return _joined(parts, " or ", "nobody")
        case {"op": "exists", "attribute": attribute}:
            return f"{attribute} is there"
        case {"op": "within", "values": windows}:
            return f"the time is within {_listed([_window(one) for one in windows])}"
        case {"op": op, "attribute": attribute, "values": values} if op in _VERBS:
            text = f"{attribute} {_VERBS[op]} {_listed([_value(one) for one in values])}"
            return f"{text} (in any case)" if when.get("ignore_case") else text
    return _value(when)


def serve(served: Document) -> str:
    """`on`, or `50 % control, 50 % buy-now`."""
    if "split" not in served:
        return str(served.get("variant"))
    parts = ", ".join(f"{percent(one['weight'])} {one['variant']}" for one in served["split"])
    return f"{parts}{_bucket(served)}"


def rule(one: Document) -> str:
    """A rule without its id: who it is for, and what they get."""
    when, rollout = one.get("when"), one.get("rollout")
    who = "everybody" if when is None else f"if {condition(when)}"
    if rollout is not None:
        who = f"{percent(rollout['percent'])}{_bucket(rollout)}"
        if when is not None:
            who += f" of those {'' if 'segment' in when else 'where '}{condition(when)}"
    text = f"{who}: {serve(one['serve'])}"
    described = one.get("description")
    return f"{text}  ({described})" if described else text


def configuration(document: Document) -> Iterator[str]:
    """How a flag is served, line by line."""
    yield (
        f"on, reaches {document['reach']}" if document["enabled"] else f"off: everybody gets {document['off_variant']}"
    )
    indent = "  " if document["enabled"] else "  once on, "
    for needed in document["prerequisites"]:
        yield f"{indent}needs {needed['flag']} to serve {' or '.join(needed['variants'])}"
    for number, one in enumerate(document["rules"], 1):
        yield f"{indent}{number}. [{one['id']}] {rule(one)}"
    who = "everybody else" if document["rules"] else "everybody"
    yield f"{indent}{who}: {serve(document['fallthrough'])}"


def percent(thousandths: int) -> str:
    """Of 100000 parts: `12.5 %`."""
    return f"{thousandths * 100 / FULL:.3f}".rstrip("0").rstrip(".") + " %"


def _joined(parts: Sequence[Document], word: str, nothing: str) -> str:
    texts = [condition(one) for one in parts]
    if not texts:
        return nothing
    wrapped = (
        f"({text})" if len(texts) > 1 and isinstance(one.get("any", one.get("all")), list) else text
        for one, text in zip(parts, texts, strict=True)
    )
    return word.join(wrapped)


def _bucket(drawn: Document) -> str:
    by, group = drawn.get("bucket_by"), drawn.get("group")
    return (f" by {by}" if by else "") + (f" in group {group}" if group else "")


def _listed(texts: Sequence[str]) -> str:
    shown = [*texts[:_SHOWN_VALUES]]
    if len(texts) > _SHOWN_VALUES:
        shown.append(f"{len(texts) - _SHOWN_VALUES} more")
    return " or ".join(shown) or "nothing"


def _window(one: Any) -> str:
    match one:
        case {"from": begin, "to": end, "zone": zone}:
            return f"{','.join(one.get('days', []))} {begin}-{end} {zone}".lstrip()
    return _value(one)


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
