"""The checksum of snapshots and changes: the last member, over the exact bytes before it.

A receiver checks bytes before it parses them, so nothing depends on how a number or a space is written.
"""

import hashlib
import re
from typing import Final

_MEMBER: Final = b',"checksum":"sha256:'
_TAIL = re.compile(rb',"checksum":"sha256:([0-9a-f]{64})"\}')
_TAIL_LENGTH: Final = len(_MEMBER) + 64 + len(b'"}')


def sealed(data: bytes) -> bytes:
    """The same JSON object with its checksum appended as the last member.

    The object must be compact, have at least one member and no checksum yet; ValueError if it cannot be.
    """
    if not data.startswith(b'{"') or not data.endswith(b"}"):
        raise ValueError("only a compact object with members can be sealed")
    body = data[:-1]
    return body + _MEMBER + hashlib.sha256(body).hexdigest().encode() + b'"}'


def verify_seal(data: bytes) -> bool:
    """Whether the bytes end with a checksum that agrees with all bytes before it."""
    match = _TAIL.fullmatch(data, max(0, len(data) - _TAIL_LENGTH))
    return match is not None and hashlib.sha256(data[: match.start()]).hexdigest().encode() == match[1]
