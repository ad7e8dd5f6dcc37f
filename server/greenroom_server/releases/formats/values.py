"""Single values out of foreign documents: digests, commits, moments, links and texts to show."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from packageurl import PackageURL

from greenroom_server.releases.formats.limits import MAX_LISTED, MAX_TEXT, MAX_URL
from greenroom_server.web.times import moment_in

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LINK: Final = re.compile(r"https?://[^\s\x00-\x20\x7f<>\"]+", re.IGNORECASE)
_UNSHOWABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def digest_of_bytes(data: bytes) -> str:
    """`sha256:` and the hash of what was read."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_of_parts(digests: Iterable[str]) -> str:
    """One digest for several: SHA-256 over them, a line each; a single one stays as it is."""
    listed = list(digests)
    return listed[0] if len(listed) == 1 else digest_of_bytes("".join(f"{one}\n" for one in listed).encode())


def digest_in(text: str) -> str | None:
    """The SHA-256 digest that a text like `sha256:9F…` is, in small letters; None if it is none."""
    value = text.strip().lower()
    return value if _DIGEST.fullmatch(value) else None


def commit_in(text: str) -> str | None:
    """The full commit hash (SHA-1 or SHA-256) that a text is; None if it is none, abbreviations included."""
    value = text.strip().lower()
    return value if _COMMIT.fullmatch(value) else None


def moment_or_none(text: str) -> datetime | None:
    """The moment that a text names, in UTC; None without an offset, as local times say nothing."""
    try:
        return moment_in(text)
    except ValueError:
        return None


def shown(text: str, limit: int = MAX_TEXT) -> str:
    """The text on one line, without control characters and half characters, cut to `limit`."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", cut)


def listed(texts: Iterable[str]) -> list[str]:
    """The first texts, fit to be shown."""
    return [shown(text) for text, _ in zip(texts, range(MAX_LISTED), strict=False)]


def link_in(text: str | None) -> str | None:
    """A text that is safe as a link: absolute, http or https, not too long. None for anything else."""
    return text if text and len(text) <= MAX_URL and _LINK.fullmatch(text) else None


def artifact_digest_in(artifact: str) -> str | None:
    """The digest that a package URL has as its version or checksum, or that the text itself is.

    Schemes write `pkg:oci/shop@sha256%3A…`; the version of other packages is a number, which binds nothing.
    """
    if not artifact.startswith("pkg:"):
        return digest_in(artifact)
    try:
        package = PackageURL.from_string(artifact)
    except ValueError:
        return None
    checksums = package.qualifiers.get("checksum", "") if isinstance(package.qualifiers, dict) else ""
    candidates = [package.version or "", *checksums.split(",")]
    return next((digest for one in candidates if (digest := digest_in(one))), None)


def package_name_in(artifact: str) -> str | None:
    """The name in a package URL; None if it is none."""
    try:
        return PackageURL.from_string(artifact).name
    except ValueError:
        return None
