"""From parsed JSON to a pydantic model, with errors that a person can act on."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from greenroom_server.errors import FieldError, Invalid, LimitExceeded
from greenroom_server.web.codec import pointer_to

MAX_ERRORS: Final = 20
# Pydantic makes all of its errors at once, and a small body can have hundreds of thousands.
_TOO_MANY: Final = 10_000

ModelT = TypeVar("ModelT", bound=BaseModel)

_UNITS: Final = {"length": "characters", "items": "items", "maximum": ""}
# pydantic's error type -> (what is limited, where pydantic says the maximum)
_LIMITS: Final = {
    "string_too_long": ("length", "max_length"),
    "bytes_too_long": ("length", "max_length"),
    "too_long": ("items", "max_length"),
    "less_than_equal": ("maximum", "le"),
}


def parse(model: type[ModelT], data: Any) -> ModelT:
    """`data` as `model`; raises `Invalid`, or `LimitExceeded` if one of the errors is a limit, listing all errors."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _refusal(error, data) from None


def _refusal(error: ValidationError, data: Any) -> Invalid:
    if error.error_count() > _TOO_MANY:
        return Invalid(f"the request is not valid: {error.error_count()} errors, too many to list")
    details = error.errors(include_url=False)[:MAX_ERRORS]
    fields = [FieldError(_pointer(one, data), _message(one)) for one in details]
    for one, field in zip(details, fields, strict=True):
        what, where = _LIMITS.get(one["type"], ("", ""))
        maximum = one.get("ctx", {}).get(where)
        if isinstance(maximum, int):
            exceeded = LimitExceeded(f"{_name_of(one)}.{what}", maximum, field=field.pointer, detail=field.detail)
            exceeded.errors = tuple(fields)
            return exceeded
    return Invalid("the request is not valid" if len(fields) > 1 else fields[0].detail, errors=fields)


def _pointer(error: ErrorDetails, data: Any) -> str:
    # A location also names the branches of unions that pydantic tried; the data tells which parts are really there.
    pointer, here = "", data
    for part in error["loc"]:
        if _holds(here, part):
            pointer, here = pointer_to(pointer, part), here[part]
    if error["type"] == "missing":
        pointer = pointer_to(pointer, error["loc"][-1])
    return pointer


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _name_of(error: ErrorDetails) -> str:
    names = [part for part in error["loc"] if isinstance(part, str) and part != "[key]"]
    return names[-1] if names else "body"


def _message(error: ErrorDetails) -> str:
    name, kind, context = _name_of(error), error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"`{name}` is not a member that is known here"
    if kind == "missing":
        return f"`{name}` is missing"
    if kind in _LIMITS:
        unit, where = _LIMITS[kind]
        return f"`{name}` is limited to {context[where]} {_UNITS[unit]}".rstrip()
    if kind == "string_pattern_mismatch":
        return f"`{name}` must match the pattern `{context['pattern']}`"
    if kind == "value_error":
        return str(context["error"])
    message = error["msg"]
    return f"`{name}`: {message[:1].lower()}{message[1:]}"
