"""Which bucket a subject falls into, bit-compatible with Unleash at whole percents and whole per milles.

Text is encoded before it is hashed: `mmh3.hash` given a `str` with a lone surrogate ends the process.
"""

from typing import Any, Final

from mmh3 import mmh3_32_uintdigest

ROLLOUT_SEED: Final = 0
SPLIT_SEED: Final = 86028157

_MAX_BITS = 1024  # past every float; keeps `str` of an integer cheap


def text_form(value: Any) -> str | None:
    """The text that is hashed for an attribute's value; None if it has none and counts as missing."""
    if isinstance(value, str):
        text = str.__str__(value)
        return text if text.isascii() or _is_well_formed(text) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value) if value.bit_length() <= _MAX_BITS else None
    if isinstance(value, float) and value.is_integer():
        return int.__repr__(int(value))
    return None


def _is_well_formed(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def rollout_bucket(group: str, text: str) -> int:
    """0..99999; inside a rollout of `percent` if below it. `h % 100` is Unleash's choice of whole percents."""
    number: int = mmh3_32_uintdigest(f"{group}:{text}".encode(), ROLLOUT_SEED)
    return number % 100 * 1000 + number // 100 % 1000


def split_bucket(group: str, text: str) -> int:
    """0..99999; the first variant whose running sum of weights exceeds it is served."""
    number: int = mmh3_32_uintdigest(f"{group}:{text}".encode(), SPLIT_SEED)
    return number % 1000 * 100 + number // 1000 % 100
