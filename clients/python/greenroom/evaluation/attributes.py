"""How the value of an attribute is found in a context: the exact name first, then dotted into nested mappings.

None and a look-up that fails are both a missing attribute.
"""

from collections.abc import Mapping
from typing import Any

LISTS = (list, tuple, set, frozenset)
"""What counts as a list of alternatives in a context."""


def attribute_of(context: Any, name: str) -> Any:
    """The attribute's value, or None if it is missing."""
    value = context.get(name)
    if value is None and "." in name:
        first, *rest = name.split(".")
        value = context.get(first)
        for part in rest:
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
    return value


def guarded_attribute_of(context: Any, name: str) -> Any:
    """As `attribute_of`, for contexts whose look-ups may raise."""
    try:
        return attribute_of(context, name)
    except Exception:
        return None
