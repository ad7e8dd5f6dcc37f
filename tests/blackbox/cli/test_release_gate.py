"""Lighting a flag by the command line while a release policy is in force: refused with reasons, warned, let through."""

import pytest
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside
from tests.blackbox.decisions.scene import POLICY, put_in_force


@pytest.fixture
def product(shop: Shop, copy: str) -> Inside:
    """A product manager in a project with a policy in force, and a flag that no story names."""
    project = f"/api/v1/projects/{copy}"
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as admin:
        put_in_force(admin, project, POLICY)
        body = {"key": "unready", "purpose": "release", "type": "boolean", "expires_on": "2030-01-01"}
        admin.send("POST", f"{project}/flags", body)
        token = admin.token("manager", projects=[copy], person="ada@shop.example", roles=["product"])
    return Inside(GREENROOM_URL=shop.server.url, GREENROOM_PROJECT=copy, GREENROOM_TOKEN=token)


def test_a_refused_release_says_why_and_what_next(product: Inside) -> None:
    """Exit code 10 for wait and 20 for deny; nothing is changed, and the decision can be looked up."""
    place = ("-e", "production")
    assert "production: enforce, as is usual" in product.run("policy", "gate", *place).expect(0).out

    refused = product.run("flags", "enable", "unready", *place, "--yes").expect(10)
    assert "`unready` is not released to `all` in `production`" in refused.err
    assert "next: the team: link the stories behind the flag unready to it" in refused.err
    id_ = product.run("flags", "enable", "unready", *place, "--yes", "-q").expect(10).err
    id_ = id_.partition("greenroom gate show ")[2].split()[0]
    assert "wait: release of the flag unready" in product.run("gate", "show", id_).out
    assert product.json("flags", "show", "unready")["configurations"]["production"]["enabled"] is False

    product.run("policy", "gate", "warn", *place, "--reason", "a week of looking", "--yes").expect(0)
    warned = product.run("flags", "enable", "unready", *place, "--yes").expect(0)
    assert "the release policy says wait to `unready` in `production`, and does not hold it" in warned.err
    product.run("flags", "disable", "unready", *place, "--yes").expect(0)

    product.run("policy", "gate", "enforce", *place, "--yes").expect(0)
    product.run("veto", "--reason", "not this year", *place).expect(0)
    assert "forbids it" in product.run("flags", "enable", "unready", *place, "--yes").expect(20).err
    product.run("flags", "disable", "unready", *place, "--yes").expect(0)
