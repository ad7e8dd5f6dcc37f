"""Whatever an author writes is refused as a whole or can decide; nothing breaks."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.policy.documents import shop

from greenroom_server.policy.compiled import Policy, compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.fixture_changes import FIXTURES
from greenroom_server.policy.fixtures import green_build
from greenroom_server.policy.initial import TEMPLATES, render_template
from greenroom_server.policy.remarks import PolicyRefused
from greenroom_server.policy.testing import run_tests
from greenroom_server.policy.zones import read_moment
from greenroom_server.web.yaml_codec import read_yaml

ACTIONS = ("deploy", "switch", "release", "darken", "rollback")
DOCUMENTS = [
    shop(),
    *(read_yaml(render_template(name, name="a", time_zone="UTC").encode(), nodes=10_000) for name in TEMPLATES),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all members and entries."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in entries:
        yield (*path, key)
        yield from places(member, (*path, key))


def values(value: Any) -> Iterator[Any]:
    for path in places(value):
        yield at(value, path)


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


PLACES = [list(places(document)) for document in DOCUMENTS]
VALUES = [one for document in DOCUMENTS for one in values(document)]
OTHERS: st.SearchStrategy[Any] = st.sampled_from(VALUES) | st.sampled_from(
    [None, True, 0, 1, 10**6, "", "x", "1ms", "3660d", [], {}, 1.5]
)


@st.composite
def edited(draw: st.DrawFn) -> Any:
    """A document in which some members are gone, or have the value of another one."""
    which = draw(st.integers(0, len(DOCUMENTS) - 1))
    document = copy.deepcopy(DOCUMENTS[which])
    for path in draw(st.lists(st.sampled_from(PLACES[which]), min_size=1, max_size=4)):
        try:
            holder = at(document, path[:-1])
            if draw(st.booleans()):
                holder[path[-1]] = copy.deepcopy(draw(OTHERS))
            else:
                del holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an edit before took the place away
    return document


def exercise(policy: Policy) -> None:
    moment = read_moment("2026-11-17T10:00", policy.zone)
    for environment in policy.document.environments:
        for action in ACTIONS:
            green = green_build(policy, moment, action, environment)  # type: ignore[arg-type]
            for name, (_, change) in FIXTURES.items():
                one = change(green)
                codes = {found.finding.code for found in decide(one.snapshot, one.request, policy, one.now).rules}
                assert "rule.error" not in codes, (name, action, environment)
    assert len(run_tests(policy, decide)) == len(policy.document.tests)


@given(document=edited())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_refused_or_able_to_decide(document: Any) -> None:
    """An edited document is refused with a reason, or every fixture can be decided by it, without an error."""
    try:
        policy = compile_policy(document, 1)
    except PolicyRefused as refused:
        remarks = refused.remarks
    else:
        exercise(policy)
        return

    assert remarks
    assert all(one.severity == "error" and one.message for one in remarks)


def test_the_documents_themselves() -> None:
    """Unedited, all of them can decide."""
    for document in DOCUMENTS:
        exercise(compile_policy(document, 1))
