"""Being told of a fork, in the child."""

import os
import weakref
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=object)


def call_after_fork(owner: T, react: Callable[[T], None]) -> None:
    """Call `react(owner)` in every child, if the owner lives then: the hook cannot be taken back, and keeps nobody."""
    reference = weakref.ref(owner)

    def hook() -> None:
        living = reference()
        if living is not None:
            react(living)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=hook)
