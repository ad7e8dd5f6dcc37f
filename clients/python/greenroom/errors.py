"""All errors of the SDK. Evaluating raises none of them.

GreenroomError
├── ConfigurationError (ValueError)   what a constructor was given cannot work
├── Unusable (ValueError)             bytes are no snapshot or change that can be used; what was good stays
├── OverridesRefused (ValueError)     local overrides are malformed, forged or of another environment
└── SourceError                       a request got no answer at all
    └── NotConnected                  there was not even a connection
"""


class GreenroomError(Exception):
    """the SDK could not do what it was asked to"""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.__class__.__doc__)


class ConfigurationError(GreenroomError, ValueError):
    """what the client was given cannot work"""


class Unusable(GreenroomError, ValueError):
    """the document cannot be used"""


class OverridesRefused(GreenroomError, ValueError):
    """the local overrides are not in force"""


class SourceError(GreenroomError):
    """there was no answer"""


class NotConnected(SourceError):
    """there was no connection"""
