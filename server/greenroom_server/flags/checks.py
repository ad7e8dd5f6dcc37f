"""The author's checks: what the engine finds wrong, as the errors of this server."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from greenroom.evaluation import Finding, check_condition, check_configuration, check_variants
from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.flags.wire import FlagIn

_MUST_EXPIRE = frozenset({"release", "experiment"})
_BOOLEAN = {"on": True, "off": False}
_MOST_SHOWN = 20


def checked_variants(wanted: FlagIn, type_before: str | None = None) -> dict[str, Any]:
    """The flag's variants, complete and typed: a boolean flag always has `on` and `off`, a float value is a float.

    Raises `Invalid` with all that is wrong with the flag, also if its type was another one before.
    """
    if type_before not in (None, wanted.type):
        raise Invalid(errors=[FieldError("/type", "a flag's type stays: applications ask for it")])
    errors = []
    if wanted.purpose in _MUST_EXPIRE and wanted.expires_on is None:
        errors.append(
            FieldError("/expires_on", f"a flag of purpose `{wanted.purpose}` says on which day it should be gone")
        )
    variants = wanted.variants
    if variants is None:
        variants = dict(_BOOLEAN) if wanted.type == "boolean" else {}
    if wanted.type == "float":
        variants = {name: float(v) if type(v) is int else v for name, v in variants.items()}
    refuse(check_variants(wanted.type, variants), "/variants", errors)
    if wanted.value_schema is not None:
        if wanted.type != "object":
            raise Invalid(errors=[FieldError("/value_schema", "only flags of type `object` have a schema")])
        # JSON Schema takes 3 MiB of memory, and few flags have one.
        from greenroom_server.flags.value_schema import check_value_schema

        schema_errors = check_value_schema(wanted.value_schema, variants)
        if schema_errors:
            raise Invalid(errors=schema_errors)
    return variants


def check_configuration_of(document: Mapping[str, Any], type_: str, variants: Mapping[str, Any]) -> None:
    """Raises `Invalid` or `LimitExceeded` for what is wrong with a configuration in itself."""
    refuse(check_configuration(document, type=type_, variants=variants), "")


def check_condition_of(when: Mapping[str, Any]) -> None:
    """Raises `Invalid` or `LimitExceeded` for a bad condition."""
    refuse(check_condition(when), "/when")


def refuse(findings: Iterable[Finding], at: str, also: Iterable[FieldError] = ()) -> None:
    """Raise what the engine found, if anything: the limit by name if one was passed, else everything at once."""
    found = list(findings)
    for finding in found:
        if finding.limit is not None and finding.maximum is not None:
            raise LimitExceeded(finding.limit, finding.maximum, field=at + finding.pointer, detail=finding.detail)
    errors = [*also, *(FieldError(at + finding.pointer, finding.detail) for finding in found)]
    if errors:
        raise Invalid(errors=errors[:_MOST_SHOWN])


@contextmanager
def under(pointer: str) -> Iterator[None]:
    """What is refused in this block is refused at `pointer` of a larger document."""
    try:
        yield
    except Invalid as error:
        error.errors = tuple(FieldError(pointer + one.pointer, one.detail) for one in error.errors)
        raise
