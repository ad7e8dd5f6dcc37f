"""Forks: being told of one, in the child, and leaving nothing half done for it."""

import codecs
import importlib.resources
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


def load_early() -> None:
    """Load what a thread would load when it first needs it.

    A fork in the middle of an import leaves a child with a module that never loads again, and a codec that was not
    found once is never looked for again: a worker that was forked while its parent made its first connection had no
    names for ever.
    """
    codecs.lookup("idna")
    importlib.resources.files("tzdata.zoneinfo").joinpath("UTC").read_bytes()
