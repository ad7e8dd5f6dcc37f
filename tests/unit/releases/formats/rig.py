"""What the tests of the readers share: a sender's words, a statement, and a check of a refusal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from greenroom_server.errors import Invalid, LimitExceeded
from greenroom_server.releases.formats.drafts import About, Run, Subject

DIGEST: Final = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
OTHER_DIGEST: Final = f"sha256:{'ab' * 32}"
COMMIT: Final = "c0ffee" * 6 + "c0de"
ABOUT: Final = About(kind="test.unit", suite="unit", run=Run("build-7", 2), subject=Subject(digest=DIGEST))


def statement(kind: str, predicate: Any, **changed: Any) -> bytes:
    """An in-toto statement about one artifact."""
    made = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": DIGEST.removeprefix("sha256:")}}],
        "predicateType": kind,
        "predicate": predicate,
    }
    return json.dumps(made | changed).encode()


@contextmanager
def refusing(code: str, field: str | None = None, limit: str | None = None) -> Iterator[None]:
    """The block must refuse its input with this code, at this place, because of this limit."""
    with pytest.raises(Invalid) as refusal:
        yield
    found = refusal.value
    assert found.code == code, found.detail
    if field is not None:
        assert [one.pointer for one in found.errors] == [field]
    if limit is not None:
        assert isinstance(found, LimitExceeded)
        assert found.limit == limit
