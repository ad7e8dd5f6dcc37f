"""A document becomes a policy, or is refused with everything that is wrong."""

from tests.unit.policy.documents import shop

from greenroom_server.policy.compiled import compile_policy


def test_policy_of_the_guide() -> None:
    """The example of the guide compiles, with its calendars and the rule that is not yet in force."""
    policy = compile_policy(shop(), 7)

    assert (policy.name, policy.version, policy.zone.key) == ("shop", 7, "Europe/Berlin")
    assert set(policy.calendars) == {"office", "weekend", "xmas"}
    assert policy.effective_from == {"new-sbom": 1_798_758_000_000}
    assert policy.warnings == ()


def test_digest_names_what_was_authored() -> None:
    """The order of keys does not matter to the digest, while a default that is written out does."""
    document = shop()
    turned = dict(reversed(document.items()))
    written = {**document, "rules": [{**rule, "waivable": rule.get("waivable", True)} for rule in document["rules"]]}

    digests = [compile_policy(one, 1).digest for one in (document, turned, written)]

    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("sha256:")
    assert len(digests[0]) == 71
