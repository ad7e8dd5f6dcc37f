"""Seals: the checksum covers the exact bytes before it."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.evaluation import sealed, verify_seal

WHOLE = b'{"schema":1,"revision":17}'


def test_the_checksum_is_the_last_member() -> None:
    """SHA-256 of the bytes up to, not including, its comma."""
    made = json.loads(sealed(WHOLE))

    assert list(made) == ["schema", "revision", "checksum"]
    assert made["checksum"] == "sha256:" + hashlib.sha256(WHOLE[:-1]).hexdigest()
    assert verify_seal(sealed(WHOLE))


@given(st.dictionaries(st.text(), st.text() | st.integers(), min_size=1))
def test_what_was_sealed_is_verified(members: dict[str, str | int]) -> None:
    """Whatever stands in it."""
    assert verify_seal(sealed(json.dumps(members, separators=(",", ":")).encode()))


@given(st.integers(0, len(sealed(WHOLE)) - 1), st.integers(1, 255))
def test_one_changed_byte_is_found(at: int, change: int) -> None:
    """Anywhere, the seal itself included."""
    data = bytearray(sealed(WHOLE))
    data[at] ^= change

    assert not verify_seal(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"{}", WHOLE, sealed(WHOLE)[1:], sealed(WHOLE)[:-1], sealed(WHOLE) + b"\n", b" " + sealed(WHOLE)]
)
def test_what_is_not_sealed_is_not_verified(data: bytes) -> None:
    """Missing, cut off, longer."""
    assert not verify_seal(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{ "a":1}', b'{"a":1', b'"a"'])
def test_only_a_compact_object_with_members_can_be_sealed(data: bytes) -> None:
    """The member could not be appended."""
    with pytest.raises(ValueError, match="only a compact object"):
        sealed(data)
