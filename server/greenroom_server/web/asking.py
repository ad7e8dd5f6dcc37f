"""Query parameters that must look as they should."""

import re

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.web.call import Call


def text_of(call: Call, name: str, pattern: re.Pattern[str]) -> str:
    """A parameter that must be there; raises `Invalid`."""
    value = call.query.get(name)
    if value is None or pattern.fullmatch(value) is None:
        detail = f"`{name}` is needed" if value is None else f"`{name}` is not what a {name} looks like"
        raise Invalid(detail, errors=[FieldError(name, detail)])
    return value


def number_of(call: Call, name: str, *, default: int, most: int, least: int = 1) -> int:
    """A whole number within bounds; raises `Invalid`."""
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 6) or not least <= int(text) <= most:
        detail = f"`{name}` must be a whole number from {least} to {most}"
        raise Invalid(detail, errors=[FieldError(name, detail)])
    return int(text)
