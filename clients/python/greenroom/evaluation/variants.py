"""Reads `variants`: ordered name -> value, every value of the flag's type."""

from typing import Any

from greenroom.evaluation import limits
from greenroom.evaluation.findings import Place, shown
from greenroom.evaluation.shapes import is_variant_name

TYPES = ("boolean", "string", "integer", "float", "object")


def read_variants(kind: Any, document: Any, place: Place) -> dict[str, Any]:
    """Name -> value. A float that was written without a point becomes a float."""
    if not isinstance(document, dict) or not document:
        place.report("variants must be an object with at least one member")
        return {}
    if len(document) > limits.MAX_VARIANTS:
        place.report(f"more than {limits.MAX_VARIANTS} variants", "variants", limits.MAX_VARIANTS)
        return {}
    variants = {}
    for name, value in document.items():
        if not is_variant_name(name):
            place.at(name).report("a variant's name has 1 to 100 printable characters")
        elif not has_type(kind, value):
            place.at(name).report(f"{shown(value)} is not of type {kind}")
        else:
            variants[name] = float(value) if kind == "float" else value
    if kind == "boolean" and document != {"on": True, "off": False}:
        place.report("a boolean flag has the variants on = true and off = false")
    return variants


def has_type(kind: Any, value: Any) -> bool:
    """Whether a JSON value is of a flag's type; an integer is a float, nothing else is two things."""
    match kind:
        case "boolean":
            return type(value) is bool
        case "string":
            return type(value) is str
        case "integer":
            return type(value) is int
        case "float":
            return type(value) is float or type(value) is int
        case "object":
            return type(value) is dict
        case _:
            return True
