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
