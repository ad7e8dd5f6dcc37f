"""Shapes that are refused, where, and what is said about them."""

from typing import Any

import pytest
from tests.unit.policy.documents import environment, more, rule, shop

from greenroom_server.errors import Invalid
from greenroom_server.policy.compiled import compile_policy
from greenroom_server.policy.reading import read_document
from greenroom_server.policy.remarks import PolicyRefused, path_of
from greenroom_server.web.yaml_codec import read_yaml

SHOP = shop()


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({**SHOP, "colour": "red"}, "/colour", "`colour` is no key that is known here"),
        (rule(SHOP, "soak", for_="1d"), "/rules/7/for_", "`for_` is no key that is known here; did you mean `for`?"),
        (rule(SHOP, "order", enviroments=["a"]), "/rules/6/enviroments", "did you mean `environments`?"),
        ({key: SHOP[key] for key in SHOP if key != "time_zone"}, "/time_zone", "`time_zone` is missing"),
        (rule(SHOP, "order", kind=None), "/rules/6", "needs a `kind`"),
        (rule(SHOP, "order", kind="sequence"), "/rules/6", "has a `kind` that is none of 'suites', 'evidence'"),
        (rule(SHOP, "c3-button", max_age="soon"), "/rules/2/max_age", "`soon` is no duration such as `10m`"),
        (rule(SHOP, "c3-button", max_age=30), "/rules/2/max_age", "must be text such as `10m`"),
        (rule(SHOP, "c3-button", max_age="0s"), "/rules/2/max_age", "must be more than nothing"),
        (rule(SHOP, "c3-button", max_age="1h1h"), "/rules/2/max_age", "names a unit twice"),
        (
            rule(SHOP, "c3-button", evidence="Deploy"),
            "/rules/2/evidence",
            "`Deploy` must be dotted lower-case words",
        ),
        (rule(SHOP, "order", id="Order!"), "/rules/6/id", "`Order!` must be lower-case letters, digits"),
        (rule(SHOP, "order", actions=[]), "/rules/6/actions", "must not be empty: leave it out, or list at least one"),
        (rule(SHOP, "order", actions="deploy"), "/rules/6/actions", "must be a list"),
        (rule(SHOP, "order", actions=["ship"]), "/rules/6/actions/0", "must be 'deploy', 'switch', 'release'"),
        (rule(SHOP, "order", waivable="no"), "/rules/6/waivable", "must be true or false"),
        (rule(SHOP, "order", environments=[str(at) for at in range(101)]), "/rules/6/environments", "limited to 100"),
        (environment(SHOP, "staging", order="1"), "/environments/staging/order", "must be a whole number"),
        (environment(SHOP, "staging", order=-1), "/environments/staging/order", "must be at least 0"),
        (environment(SHOP, "staging", order=1001), "/environments/staging/order", "must be at most 1000"),
        (environment(SHOP, "a b"), "/environments/a b", "`a b` must be lower-case"),
        ({**SHOP, "environments": []}, "/environments", "must be an object"),
        ({**SHOP, "rules": [1]}, "/rules/0", "must be an object"),
        ({**SHOP, "time_zone": ""}, "/time_zone", "must not be empty"),
        ({**SHOP, "time_zone": "x" * 501}, "/time_zone", "is limited to 500 characters"),
        ({**SHOP, "name": 1}, "/name", "must be text"),
        (
            more(SHOP, kind="order", actions=["deploy"], environments=None),
            "/rules/14/environments",
            "is empty: give it a",
        ),
        ({**SHOP, "rules": None}, "/rules", "is empty: give it a value, or leave it out"),
        (rule(SHOP, "c1-suite", max_skipped_percent=float("nan")), "", "cannot be written as canonical JSON"),
        (rule(SHOP, "c1-suite", max_skipped_percent=1.5), "/rules/0/max_skipped_percent", "must be a whole number"),
        (rule(SHOP, "c1-suite", max_skipped_percent=2**60), "", "cannot be written as canonical JSON"),
        ([], "", "must be an object"),
    ],
)
def test_shape_that_is_refused(document: Any, path: str, message: str) -> None:
    """The path leads to the mistake, and the message to what to write instead."""
    with pytest.raises(PolicyRefused) as refused:
        read_document(document)

    found = refused.value.remarks
    assert any(one.path == path and message in one.message for one in found), found


def test_all_mistakes_at_once() -> None:
    """An author hears of every mistake, in the text of the error too."""
    with pytest.raises(PolicyRefused, match=r"^/name: must be text; /time_zone: .*; /colour: "):
        compile_policy({**SHOP, "colour": 1, "name": 1, "time_zone": 1}, 1)


def test_paths_are_json_pointers() -> None:
    """What a pointer uses itself is escaped."""
    assert path_of("a/b", 0, "c~d") == "/a~1b/0/c~0d"


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a: &x [1]\nb: *x", "a: !!python/name:os.system"])
def test_yaml_that_is_refused(text: str) -> None:
    """Keys given twice, aliases and tags do not get as far as a policy."""
    with pytest.raises(Invalid):
        read_yaml(text.encode(), nodes=100)
