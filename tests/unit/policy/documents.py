"""Policy documents for the tests, as an author's JSON."""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


def shop() -> dict[str, Any]:
    """The example of the guide: a fresh copy."""
    document: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text())
    return document


def without(document: dict[str, Any], *rules: str) -> dict[str, Any]:
    """The document without some of its rules."""
    return {**document, "rules": [rule for rule in document["rules"] if rule["id"] not in rules]}


def rule(document: dict[str, Any], rule_id: str, **changes: Any) -> dict[str, Any]:
    """The document with members of one rule set, or taken away where they are None."""
    rules = [
        {key: value for key, value in {**one, **changes}.items() if value is not None} if one["id"] == rule_id else one
        for one in document["rules"]
    ]
    return {**document, "rules": rules}


def more(document: dict[str, Any], **rule: Any) -> dict[str, Any]:
    """The document with one more rule, the last."""
    return {**document, "rules": [*document["rules"], {"id": "more", **rule}]}


def environment(document: dict[str, Any], key: str, **members: Any) -> dict[str, Any]:
    """The document with members of one environment set, or taken away where they are None."""
    merged = {**document["environments"].get(key, {}), **members}
    made = {name: value for name, value in merged.items() if value is not None}
    return {**document, "environments": {**document["environments"], key: made}}
