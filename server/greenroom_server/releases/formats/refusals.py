"""Why input is not read. All are `Invalid`, so they name the place; each has a code of its own.

Invalid
├── Unreadable              not what its format says
│   ├── ForbiddenConstruct  a construct that no report needs and attackers use
│   ├── UnknownFormat       no reader for this format or version
│   └── BadSignature        not signed by a pinned key
└── LimitExceeded
    └── Oversized           past a limit of the reader
"""

from greenroom_server.errors import FieldError, Invalid, LimitExceeded


class Unreadable(Invalid):
    """this cannot be read as the format that it is said to be"""

    code = "evidence_malformed"

    def __init__(self, detail: str | None = None, *, field: str = "") -> None:
        super().__init__(detail, errors=[FieldError(field, detail or type(self).__doc__ or "")] if field else ())


class ForbiddenConstruct(Unreadable):
    """this holds a construct that is not read here"""

    code = "evidence_forbidden_construct"


class UnknownFormat(Unreadable):
    """there is no reader for this format"""

    code = "evidence_unknown_format"


class BadSignature(Unreadable):
    """this is not signed by a pinned key"""

    code = "evidence_signature"


class Oversized(LimitExceeded):
    """this is past a limit of the reader"""

    code = "evidence_too_large"
