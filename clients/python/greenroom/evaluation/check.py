"""The author's checks: shape, meaning and limits in one place, for the API, imports and the command line.

They run the readers that loading runs, so whatever they accept can be loaded. Every finding has a JSON Pointer
relative to the document that was checked.
"""

from collections.abc import Mapping
from typing import Any

from greenroom.evaluation.bounds import within_bounds
from greenroom.evaluation.conditions import read_condition
from greenroom.evaluation.configurations import Outcomes, read_configuration
from greenroom.evaluation.findings import Finding, Place
from greenroom.evaluation.variants import TYPES, read_variants


def check_variants(type: Any, variants: Any) -> list[Finding]:  # noqa: A002  the flag's own member is called so
    """What is wrong with a flag's variants."""
    place = Place([])
    if type not in TYPES:
        place.report(f"the type must be one of {', '.join(TYPES)}")
    elif within_bounds(variants, place, depth=2):
        read_variants(type, variants, place)
    return place.found


def check_configuration(document: Any, *, type: Any, variants: Any) -> list[Finding]:  # noqa: A002
    """What is wrong with a flag's configuration in itself; what it names elsewhere is for `check_references`.

    The variants must have passed `check_variants`.
    """
    place = Place([])
    if within_bounds(document, place):
        names: Mapping[str, Any] = variants if isinstance(variants, Mapping) else {}
        read_configuration(document, place, Outcomes("", type, 0, names))
    return place.found


def check_condition(document: Any) -> list[Finding]:
    """What is wrong with a segment's condition in itself."""
    place = Place([])
    if within_bounds(document, place, depth=2):
        read_condition(document, place)
    return place.found
