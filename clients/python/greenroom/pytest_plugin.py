"""The pytest fixture that comes with the package. Nothing is loaded before a test asks for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from greenroom.testing import InMemoryFlags


@pytest.fixture
def greenroom_flags() -> Iterator["InMemoryFlags"]:
    """Flags of this test's own: none at first, `greenroom_flags.set("key", value)` makes them."""
    from greenroom.testing import InMemoryFlags

    with InMemoryFlags() as flags:
        yield flags
