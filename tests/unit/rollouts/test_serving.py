"""What steps serve, by the engine that serves it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenroom.evaluation import evaluate, read_snapshot
from greenroom_server.rollouts.plan import Reach
from greenroom_server.rollouts.serving import Owner, Part, lights_when_enabled, narrowed, wanted

OWNER = Owner("autumn", "staff")
PART = Part("checkout", "on", group="autumn")
OFF: dict[str, Any] = {
    "enabled": False,
    "off_variant": "off",
    "prerequisites": [],
    "rules": [],
    "fallthrough": {"variant": "on"},
}
SEGMENTS = {
    "staff": {"key": "staff", "version": 1, "when": {"attribute": "staff", "op": "in", "values": [True]}},
    "beta": {"key": "beta", "version": 1, "when": {"attribute": "beta", "op": "in", "values": [True]}},
}
PLUS = {"id": "plus", "when": {"attribute": "plan", "op": "in", "values": ["plus"]}, "serve": {"variant": "other"}}
ON: dict[str, Any] = {**OFF, "enabled": True, "rules": [PLUS], "fallthrough": {"variant": "other"}}


def served(config: dict[str, Any], context: dict[str, Any]) -> str:
    """The variant that the engine serves."""
    flag = {"key": "checkout", "type": "string", "variants": {"off": "off", "on": "on", "other": "other"}, "version": 1}
    document = {
        "schema": 1,
        "project": "shop",
        "environment": "production",
        "epoch": "e",
        "revision": 1,
        "published_at": "2026-01-01T00:00:00.000Z",
        "flags": {"checkout": {**flag, "client_visible": False, "track_exposures": "none", **config}},
        "segments": SEGMENTS,
    }
    found = evaluate(read_snapshot(document), "checkout", context, 0)
    return str(found.variant)


reaches = st.builds(
    Reach,
    is_internal=st.booleans(),
    segments=st.sampled_from([(), ("beta",), ("beta", "staff")]),
    percent=st.integers(0, 99_999),
    is_everyone=st.booleans(),
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "targetingKey": st.text(min_size=1, max_size=8),
        "staff": st.booleans(),
        "beta": st.booleans(),
        "plan": st.sampled_from(["plus", "free"]),
    },
)


@given(st.sampled_from([OFF, ON]), st.lists(reaches, min_size=1, max_size=4), contexts)
def test_a_later_step_takes_the_variant_from_nobody(
    base: dict[str, Any], steps: list[Reach], context: dict[str, Any]
) -> None:
    """Audiences add up: whoever was served it by a step is served it by all after it."""
    reach, current, had_it = Reach(), base, False
    for step in steps:
        reach = reach | step
        current = wanted(OWNER, PART, reach, base, current)
        has_it = served(current, context) == "on"
        assert has_it or not had_it
        had_it = has_it


@given(st.sampled_from([OFF, ON]), st.lists(reaches, min_size=1, max_size=4), contexts)
def test_before_the_release_is_where_a_way_back_ends(
    base: dict[str, Any], steps: list[Reach], context: dict[str, Any]
) -> None:
    """Taken back, the configuration is the very one that stood there."""
    current = base
    for reach in steps:
        current = wanted(OWNER, PART, reach, base, current)

    assert wanted(OWNER, PART, Reach(), base, current) == base


@given(reaches, contexts)
def test_whom_a_step_does_not_name_is_served_as_before(reach: Reach, context: dict[str, Any]) -> None:
    """What a flag served keeps being served, and a flag that was off serves the dark variant."""
    for base in (OFF, ON):
        found = served(wanted(OWNER, PART, reach, base, base), context)
        assert found in ("on", served(base, context))


def test_rules_that_were_there_stay_in_front() -> None:
    """The release's own come last, under ids that nobody else uses."""
    config = wanted(OWNER, PART, Reach(is_internal=True, segments=("beta",), percent=5_000), ON, ON)

    assert config["rules"] == [
        PLUS,
        {
            "id": "release.autumn",
            "when": {"any": [{"segment": "staff"}, {"segment": "beta"}]},
            "serve": {"variant": "on"},
        },
        {
            "id": "release.autumn.share",
            "rollout": {"percent": 5_000, "group": "autumn"},
            "serve": {"variant": "on"},
        },
    ]


def test_a_way_back_switches_nothing_on_that_somebody_switched_off() -> None:
    """And leaves the fallthrough that somebody else wrote."""
    written = wanted(OWNER, PART, Reach(percent=5_000), OFF, OFF)
    theirs = {**written, "enabled": False, "fallthrough": {"variant": "other"}}
    back = narrowed(wanted(OWNER, PART, Reach(percent=1_000), OFF, theirs), written, theirs)

    assert (back["enabled"], back["fallthrough"]) == (False, {"variant": "other"})
    assert back["rules"][0]["rollout"]["percent"] == 1_000


def test_a_flag_that_is_off_may_have_rules_that_would_light_it() -> None:
    """Those that serve the dark variant would not."""
    dark = {"id": "not-there", "serve": {"variant": "off"}}

    assert lights_when_enabled({**OFF, "rules": [PLUS]})
    assert not lights_when_enabled({**OFF, "rules": [dark]})
    assert not lights_when_enabled(ON)
