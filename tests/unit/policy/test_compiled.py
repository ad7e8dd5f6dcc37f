"""A document becomes a policy, or is refused with everything that is wrong."""

import pytest
from tests.unit.policy.documents import rule, shop, without

from greenroom_server.policy.compiled import compile_policy, load_policy
from greenroom_server.policy.remarks import PolicyRefused


def test_policy_of_the_guide() -> None:
    """The example of the guide compiles, with its calendars and the rule that is not yet in force."""
    policy = compile_policy(shop(), 7)

    assert (policy.name, policy.version, policy.zone.key) == ("shop", 7, "Europe/Berlin")
    assert set(policy.calendars) == {"office", "weekend", "xmas"}
    assert policy.effective_from == {"new-sbom": 1_798_758_000_000}
    assert policy.warnings == ()


def test_everything_that_is_wrong() -> None:
    """What the linter refuses is no policy, and its warnings are not among the reasons."""
    document = rule(rule(shop(), "order", environments=["prod"]), "hours", use=["night"])

    with pytest.raises(PolicyRefused) as refused:
        compile_policy(document, 1)

    assert [one.path for one in refused.value.remarks] == ["/rules/6/environments/0", "/rules/8/use/0"]


def test_warnings_are_kept() -> None:
    """A policy that is doubtful is one, and says what its author should hear."""
    [warning] = compile_policy(without(shop(), "dark"), 1).warnings

    assert (warning.path, warning.severity) == ("/rules", "warning")


def test_version_that_was_accepted_once() -> None:
    """A linter that has learned since does not take a stored version out of force; only its shape must be known."""
    document = without(shop(), "c2-demo")

    assert load_policy(document, 3).document.rules[1].id == "c3-button"
    with pytest.raises(PolicyRefused):
        load_policy({**document, "colour": "red"}, 3)


def test_digest_names_what_was_authored() -> None:
    """The order of keys does not matter to the digest, while a default that is written out does."""
    document = shop()
    turned = dict(reversed(document.items()))
    written = {**document, "rules": [{**rule, "waivable": rule.get("waivable", True)} for rule in document["rules"]]}

    digests = [compile_policy(one, 1).digest for one in (document, turned, written)]

    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("sha256:")
    assert len(digests[0]) == 71
