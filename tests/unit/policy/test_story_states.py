"""Where a story stands, from where its work runs and whom its flags reach."""

import pytest
from tests.unit.policy.situations import DAY, NOW

from greenroom_server.policy.story_states import HidingFlag, StoryState, story_state


def flag(state: str, days: float = 1, *, is_expired: bool = False) -> HidingFlag:
    """A flag that has stood so for some days."""
    return HidingFlag(state, NOW - round(days * DAY), is_expired)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([flag("dark"), flag("dark")], "dark_in_production"),
        ([flag("dark"), flag("all")], "being_rolled_out"),
        ([flag("some")], "being_rolled_out"),
        ([flag("all"), flag("some", is_expired=True)], "being_rolled_out"),
        ([flag("all")], "released"),
        ([], "released"),
        ([flag("all", 14)], "to_be_cleaned_up"),
        ([flag("all", 14), flag("all", 13.9)], "released"),
        ([flag("all"), flag("all", is_expired=True)], "to_be_cleaned_up"),
        ([flag("dark", 99, is_expired=True)], "dark_in_production"),
    ],
)
def test_state_of_a_live_story(flags: list[HidingFlag], expected: StoryState) -> None:
    """All flags dark, some people, all people, and all people for long enough or past the flag's date."""
    assert story_state(is_live=True, flags=flags, now=NOW) == expected


@pytest.mark.parametrize("flags", [[], [flag("dark")], [flag("all", 99, is_expired=True)]])
def test_what_is_not_live_is_in_work(flags: list[HidingFlag]) -> None:
    """Whatever its flags say."""
    assert story_state(is_live=False, flags=flags, now=NOW) == "in_work"
