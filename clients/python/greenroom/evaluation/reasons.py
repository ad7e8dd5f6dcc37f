"""The reasons, error codes and causes that an evaluation can carry: OpenFeature's own names and no others."""

from typing import Final

STATIC: Final = "STATIC"
DEFAULT: Final = "DEFAULT"
TARGETING_MATCH: Final = "TARGETING_MATCH"
SPLIT: Final = "SPLIT"
DISABLED: Final = "DISABLED"
ERROR: Final = "ERROR"

FLAG_NOT_FOUND: Final = "FLAG_NOT_FOUND"
PARSE_ERROR: Final = "PARSE_ERROR"
TYPE_MISMATCH: Final = "TYPE_MISMATCH"
TARGETING_KEY_MISSING: Final = "TARGETING_KEY_MISSING"
GENERAL: Final = "GENERAL"

CAUSE_PREREQUISITE: Final = "prerequisite"
"""Metadata `cause` of a flag that is dark because a prerequisite was not met."""
