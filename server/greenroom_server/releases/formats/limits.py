"""How much the readers read; published in docs/evidence.md. Past a limit they refuse with its name and value."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one submission. Those of XML count over all of its files together, except depth and tag."""

    total_bytes: int = 16 * MIB
    files: int = 2_000
    xml_elements: int = 250_000
    xml_depth: int = 64
    xml_tag_bytes: int = 512 * 1024
    xml_names: int = 1_000
    report_groups: int = 4_096
    json_nodes: int = 300_000
    json_depth: int = 64
    envelope_bytes: int = 2 * MIB
    signatures: int = 16
    subjects: int = 1_000
    events: int = 1_000


DEFAULT: Final = Limits()

# What is kept of what was read.
MAX_TEXT: Final = 300
MAX_URL: Final = 2_000
MAX_LISTED: Final = 100
