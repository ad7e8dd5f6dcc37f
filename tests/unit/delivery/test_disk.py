"""Copies on disk: whole or not at all, and only our own."""

import os
from pathlib import Path

import pytest

from greenroom_server.delivery.disk import DiskCopies

DOCUMENT = b'{"flags":{"a":{"document":1}},"text":"\xc3\xa4"}'


@pytest.fixture
def copies(tmp_path: Path) -> DiskCopies:
    return DiskCopies(tmp_path / "snapshots", "installation-1")


def file_of(copies: DiskCopies, tmp_path: Path) -> Path:
    copies.save("one", DOCUMENT)
    return tmp_path / "snapshots" / "one.json"


def test_saved_document_comes_back_byte_for_byte(copies: DiskCopies) -> None:
    """What is loaded is what was saved."""
    copies.save("one", DOCUMENT)

    assert copies.load("one") == DOCUMENT


def test_later_copy_replaces_the_earlier(copies: DiskCopies) -> None:
    """There is one copy by a name."""
    copies.save("one", b"{}")
    copies.save("one", DOCUMENT)

    assert copies.load("one") == DOCUMENT
    assert copies.names() == ["one"]


def test_only_the_owner_can_read(copies: DiskCopies, tmp_path: Path) -> None:
    """The file has mode 0600 and its folder 0700."""
    file = file_of(copies, tmp_path)

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_missing_copy_is_none(copies: DiskCopies) -> None:
    """No copy, and no folder either, is not an error."""
    assert copies.load("one") is None
    assert copies.names() == []


def test_every_truncation_is_refused(copies: DiskCopies, tmp_path: Path) -> None:
    """A file cut off at any byte is not used."""
    file = file_of(copies, tmp_path)
    whole = file.read_bytes()

    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert copies.load("one") is None, length


def test_every_flipped_bit_is_refused(copies: DiskCopies, tmp_path: Path) -> None:
    """One wrong bit anywhere is noticed."""
    file = file_of(copies, tmp_path)
    whole = file.read_bytes()

    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            file.write_bytes(damaged)
            assert copies.load("one") is None, (position, bit)


def test_copy_of_another_installation_is_refused(copies: DiskCopies, tmp_path: Path) -> None:
    """A data folder copied from elsewhere does not serve somebody else's flags."""
    copies.save("one", DOCUMENT)

    assert DiskCopies(tmp_path / "snapshots", "installation-2").load("one") is None


def test_copy_under_another_name_is_refused(copies: DiskCopies, tmp_path: Path) -> None:
    """One environment's file does not serve another environment."""
    file = file_of(copies, tmp_path)
    file.rename(file.with_name("two.json"))

    assert copies.load("two") is None


def test_failed_write_leaves_the_copy_before(
    copies: DiskCopies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails while writing costs nothing that was there."""
    file = file_of(copies, tmp_path)

    def fail(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        copies.save("one", b'{"new":1}')

    assert copies.load("one") == DOCUMENT
    assert [path.name for path in file.parent.iterdir()] == ["one.json"]


def test_removed_copy_is_gone(copies: DiskCopies) -> None:
    """A copy can be forgotten, twice as well."""
    copies.save("one", DOCUMENT)
    copies.remove("one")
    copies.remove("one")

    assert copies.load("one") is None
