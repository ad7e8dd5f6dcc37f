"""The published limits, enforced by author, server and SDK alike.

Every document is measured on its own: the depth of a flag counts from the flag (depth 1), the depth of a segment from
the segment. `MAX_SNAPSHOT_BYTES` is for whoever holds the bytes; the engine sees objects and cannot count them.
"""

from typing import Final

SCHEMA: Final = 1
"""The version of the snapshot and change documents that this engine reads."""

MAX_FLAGS: Final = 2_000
MAX_SEGMENTS: Final = 2_000
MAX_SNAPSHOT_BYTES: Final = 4 * 1024 * 1024
MAX_VARIANTS: Final = 100
MAX_RULES: Final = 100
MAX_CONDITION_PARTS: Final = 1_000
MAX_CLAUSE_VALUES: Final = 10_000
MAX_PREREQUISITES: Final = 100
MAX_JSON_DEPTH: Final = 32
MAX_STRING_BYTES: Final = 8192
MAX_INTEGER: Final = 2**53
MAX_PATTERN_LENGTH: Final = 512
MAX_PATTERNS: Final = 100
MAX_PATTERN_MEMORY: Final = 256 * 1024
"""What RE2 may use for one pattern: `\\pL{100}` would otherwise take a tenth of a second to compile."""

MAX_NAME_LENGTH: Final = 100
MAX_PREREQUISITE_DEPTH: Final = 8
MAX_SEGMENT_DEPTH: Final = 8

FULL: Final = 100_000
"""A hundred percent: percents and weights are integers of this."""

MAX_FINDINGS: Final = 100
"""Findings past this are not collected: a document with ten thousand mistakes is answered shortly."""
