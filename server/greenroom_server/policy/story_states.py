"""How far a story has come, from where its work runs and whom its flags let see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from greenroom_server.policy.facts import Instant
from greenroom_server.policy.instants import DAY_MS

StoryState: TypeAlias = Literal["in_work", "dark_in_production", "being_rolled_out", "released", "to_be_cleaned_up"]
CLEAN_UP_AFTER_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class HidingFlag:
    """A flag as it stands: `dark`, or served to `some` or `all` since a moment; `is_expired` by its own date."""

    state: Literal["dark", "some", "all"]
    since: Instant
    is_expired: bool = False


def story_state(*, is_live: bool, flags: Iterable[HidingFlag], now: Instant) -> StoryState:
    """Where the story is. `is_live`: its newest work has the traffic, in every service that works on it.

    A story that no flag hides is released once it is live. Its flags are to be removed once everybody has had it for 14
    days, or one of them is past its date.
    """
    held = list(flags)
    if not is_live:
        return "in_work"
    states = {flag.state for flag in held}
    if states == {"dark"}:
        return "dark_in_production"
    if states - {"all"}:
        return "being_rolled_out"
    has_settled = bool(held) and all(now >= flag.since + CLEAN_UP_AFTER_DAYS * DAY_MS for flag in held)
    return "to_be_cleaned_up" if has_settled or any(flag.is_expired for flag in held) else "released"
