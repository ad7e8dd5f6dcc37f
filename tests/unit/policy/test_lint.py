"""What the linter refuses, what it warns of, and where it says so. The example of the guide has neither."""

from typing import Any

import pytest
from tests.unit.policy.documents import environment, more, rule, shop, without

from greenroom_server.policy.lint import lint
from greenroom_server.policy.reading import read_document
from greenroom_server.policy.remarks import Remark

Document = dict[str, Any]
SHOP = shop()
TEST = {"name": "a", "fixture": "green-build", "at": "2026-11-17T10:00", "action": "deploy", "to": "production"}


def remarks(document: Document) -> list[tuple[str, str, str]]:
    return [(one.severity, one.path, one.message) for one in lint(read_document(document)[0])]


def calendars(**specs: Any) -> Document:
    """The example with other calendars, all of them used by the rule `hours`."""
    return rule(without({**SHOP, "calendars": specs}, "freeze"), "hours", use=list(specs))


def with_tests(*changes: Any) -> Document:
    return {**SHOP, "tests": [{**TEST, "expect": "wait", "name": str(at), **one} for at, one in enumerate(changes)]}


def glass(**members: Any) -> Document:
    return {**SHOP, "break_glass": {**SHOP["break_glass"], **members}}


def suite(key: str, **members: Any) -> Document:
    return {**SHOP, "suites": {**SHOP["suites"], key: {**SHOP["suites"].get(key, {}), **members}}}


def conditions_without(condition: str) -> Document:
    return without(SHOP, *(one["id"] for one in SHOP["rules"] if one.get("condition") == condition))


ONLY_STAGING = {
    **environment(SHOP, "staging", parity=None),
    "environments": {"staging": {"order": 1, "tier": "staging"}},
    "tests": [{**TEST, "to": "staging", "expect": "wait"}],
}

ERRORS: list[tuple[Document, str, str]] = [
    # names
    ({**SHOP, "time_zone": "Berlin"}, "/time_zone", "`Berlin` is no time zone: write an IANA name such as"),
    (
        more(SHOP, kind="veto", actions=["deploy"]) | {"rules": [*SHOP["rules"], SHOP["rules"][0]]},
        "/rules/14/id",
        "of rule 0 already",
    ),
    (
        rule(SHOP, "order", environments=["prod"]),
        "/rules/6/environments/0",
        "there is no environment `prod` in this policy; there is: `production`, `staging`",
    ),
    (rule(SHOP, "c1-suite", require=["unit", "smoke"]), "/rules/0/require/1", "there is no suite `smoke`"),
    (rule(SHOP, "hours", use=["office", "night"]), "/rules/8/use/1", "there is no calendar `night`"),
    (rule(SHOP, "soak", **{"in": "stage"}), "/rules/7/in", "there is no environment `stage`"),
    (rule(SHOP, "live", build_live_in="stage"), "/rules/11/build_live_in", "there is no environment `stage`"),
    (
        environment(SHOP, "production", after=["stage"]),
        "/environments/production/after/0",
        "there is no environment `stage`",
    ),
    (
        environment(SHOP, "staging", parity={"of": "live", "max_age": "7d"}),
        "/environments/staging/parity/of",
        "there is no environment `live`",
    ),
    (
        environment(SHOP, "staging", parity={"of": "staging", "max_age": "7d"}),
        "/environments/staging/parity/of",
        "always like itself",
    ),
    (environment(SHOP, "staging", after=["production"]), "/environments/staging/after", "`staging` comes after itself"),
    (environment(SHOP, "production", slots=["a", "a"]), "/environments/production/slots", "`a` is listed 2 times"),
    (rule(SHOP, "order", actions=["deploy", "deploy"]), "/rules/6/actions", "`deploy` is listed 2 times"),
    (suite("unit", environment={"keys": ["lab"]}), "/suites/unit/environment/keys/0", "there is no environment `lab`"),
    (glass(never=["origin", "c4"]), "/break_glass/never/1", "there is no rule `c4`"),
    # calendars
    (calendars(a={"type": "allow", "weekly": ["Mon 10:00-10:00"]}), "/calendars/a/weekly/0", "ends where it starts"),
    (calendars(a={"type": "allow"}), "/calendars/a", "either `weekly`, or `from` and `to`"),
    (calendars(a={"type": "freeze", "from": "2026-13-01T00:00", "to": "x"}), "/calendars/a/from", "on no calendar"),
    (calendars(a={"type": "freeze", "from": "2026-12-01T00:00", "to": "x"}), "/calendars/a/to", "`x` is no local time"),
    (
        calendars(a={"type": "freeze", "from": "2026-12-01T00:00", "to": "2026-11-01T00:00"}),
        "/calendars/a",
        "must be after",
    ),
    # rules
    (rule(SHOP, "c3-button", all_of=["sbom"]), "/rules/2", "write either `evidence: test.security` or `all_of"),
    (rule(SHOP, "c3-button", evidence=None), "/rules/2", "write either"),
    (
        more(SHOP, kind="flags_dark", actions=["release"]),
        "/rules/14/actions",
        "never applies to these: it is for deploy, rollback, switch",
    ),
    (more(SHOP, kind="veto", actions=["darken"]), "/rules/14/actions", "`darken` is always allowed"),
    (ONLY_STAGING, "/rules/0", "applies nowhere: without `environments`"),
    (rule(SHOP, "new-sbom", effective_from="2027-01-01"), "/rules/13/effective_from", "is no local time"),
    (rule(SHOP, "soak", **{"in": "production"}), "/rules/7/in", "cannot soak in `production` before it may go there"),
    (
        more(environment(SHOP, "staging", parity=None, production_like=True), kind="parity", actions=["deploy"]),
        "/rules/14",
        "no environment is held in parity with `production`: give one `parity: {of: production",
    ),
    (
        more(SHOP, kind="parity", actions=["deploy"], of="staging"),
        "/rules/14/of",
        "no environment is held in parity with `staging`",
    ),
    (glass(max_ttl="5h"), "/break_glass/max_ttl", "is at most 4h"),
    (suite("unit", environment={"tier": "development"}), "/suites/unit/environment", "no environment fits"),
    (
        {key: value for key, value in SHOP.items() if key != "suites"},
        "/rules/0",
        "requires suites, but none is declared",
    ),
    # coverage
    (
        conditions_without("C1"),
        "/rules",
        "C1 is not shown before a release in `production` (mode delivery): add {id: c1-suite, kind: suites",
    ),
    (conditions_without("C2"), "/rules", "C2 is not shown"),
    (conditions_without("C3"), "/rules", "C3 is not shown"),
    (rule(SHOP, "c2-demo", actions=["deploy"]), "/rules", "C2 is not shown"),
    (
        rule(SHOP, "c2-demo", modes=["delivery"]),
        "/rules",
        "(mode deployment): add {id: c2-demo, kind: demo, condition: C2, actions: [release]}, without `modes`",
    ),
    (rule(SHOP, "c2-demo", effective_from="2026-01-01T00:00"), "/rules", "C2 is not shown"),
    (rule(SHOP, "c2-demo", environments=["staging"]), "/rules", "C2 is not shown before a release in `production`"),
    (
        more(rule(SHOP, "c2-demo", condition=None), kind="veto", actions=["release"], condition="C2"),
        "/rules",
        "C2 is not shown",
    ),
    # tests
    (with_tests({"fixture": "green"}), "/tests/0/fixture", "there is no fixture `green`"),
    (with_tests({"at": "noon"}), "/tests/0/at", "`noon` is no local time"),
    (with_tests({"at": "2026-02-30T10:00Z"}), "/tests/0/at", "is on no calendar or clock"),
    (with_tests({"at": "0001-01-01T00:00+14:00"}), "/tests/0/at", "is on no calendar or clock"),
    (with_tests({"expect": "allow", "because": "ok"}), "/tests/0/because", "nothing holds up what is allowed"),
    (with_tests({"because": "calendar.shut"}), "/tests/0/because", "`calendar.shut`"),
    (with_tests({"because": "calendar.close"}), "/tests/0/because", "did you mean `calendar.closed`?"),
    (with_tests({"to": "stage"}), "/tests/0/to", "there is no environment `stage`"),
    (with_tests({"name": "a"}, {"name": "a"}), "/tests/1/name", "`a` is the name of another test"),
    (
        with_tests({"facts": {"evidence": {"test.unit": {}}}}),
        "/tests/0/facts/evidence/test.unit",
        "there is no suite or evidence",
    ),
    (
        with_tests({"facts": {"approvals": {"boss": {}}}}),
        "/tests/0/facts/approvals/boss",
        "there is no approval by role `boss`",
    ),
    (
        with_tests({"facts": {"deployments": {"lab": {}}}}),
        "/tests/0/facts/deployments/lab",
        "there is no environment `lab`",
    ),
    (with_tests({"facts": {"scheduled_for": "later"}}), "/tests/0/facts/scheduled_for", "`later` is no local time"),
]

WARNINGS: list[tuple[Document, str, str]] = [
    (environment(SHOP, "staging", order=20), "/environments/production/after/0", "does not have the lower `order`"),
    # calendars
    (rule(SHOP, "freeze", use=["weekend"]), "/calendars/xmas", "no rule uses the calendar `xmas`"),
    (
        calendars(a={"type": "allow", "weekly": ["Mon 09:00-12:00", "Mon-Fri 11:00-14:00"]}),
        "/calendars/a/weekly/1",
        "`Mon-Fri 11:00-14:00` overlaps another window",
    ),
    (calendars(a={"type": "freeze", "weekly": ["Mon-Sun"]}), "/calendars/a/weekly", "frozen all of the time"),
    (calendars(a={"type": "allow", "weekly": ["Mon-Sun"]}), "/calendars/a/weekly", "never closed"),
    (
        calendars(a={"type": "freeze", "from": "2026-03-29T02:00", "to": "2026-03-29T02:30"}),
        "/calendars/a",
        "the clock changes just then",
    ),
    (
        calendars(a=SHOP["calendars"]["office"], b=SHOP["calendars"]["xmas"]),
        "/rules/8/use",
        "opens and freezes in one rule",
    ),
    (
        calendars(a=SHOP["calendars"]["office"], b=SHOP["calendars"]["office"]),
        "/rules/8/use",
        "any one of these calendars opens",
    ),
    (rule(SHOP, "hours", runway="7h"), "/rules/8/runway", "no window is longer than that"),
    (
        calendars(a={"type": "allow", "from": "2026-03-29T03:00", "to": "2026-03-29T03:10"}),
        "/rules/8/runway",
        "no window is longer than that",
    ),
    # rules
    (more(SHOP, kind="veto", actions=["deploy"], modes=["hold"]), "/rules/14/modes", "on hold nothing goes"),
    (environment(SHOP, "staging", order=30), "/rules/7/in", "does not have a lower `order` than `production`"),
    (more(SHOP, kind="veto", actions=["deploy", "darken"]), "/rules/14/actions", "leave it out"),
    (rule(SHOP, "hours", actions=["deploy", "rollback"]), "/rules/8/actions", "holds a rollback up by its calendar"),
    (
        more(
            SHOP,
            kind="evidence",
            evidence="sbom",
            condition="C3",
            actions=["deploy"],
            effective_from="2027-01-01T00:00",
        ),
        "/rules/14/effective_from",
        "only warns before 2027-01-01T00:00",
    ),
    (rule(SHOP, "soak", **{"for": "30d"}), "/rules/7/for", "the evidence of `c3-ilities` lasts, which is stale before"),
    (rule(SHOP, "soak", **{"for": "14d"}), "/rules/7/for", "the suite `acceptance` lasts, which is stale before"),
    (rule(SHOP, "business-go", distinct_from=["author"]), "/rules/12", "write `distinct_from: [author, requester]`"),
    (rule(SHOP, "business-go", modes=None), "/rules/12", "in mode deployment builds go by themselves"),
    (rule(SHOP, "business-go", count=2), "/rules/12/count", "unless 2 different people have the role `product`"),
    (
        more(
            SHOP,
            kind="approval",
            role="product",
            actions=["deploy"],
            modes=["delivery"],
            distinct_from=["author", "requester"],
        ),
        "/rules/14/role",
        "needs another person with role `product` than `business-go`",
    ),
    (more(SHOP, kind="slot", actions=["deploy"], environments=["staging"]), "/rules/14", "`staging` has no `slots`"),
    (suite("component", bind="commit"), "/suites/component/bind", "write `bind: digest`"),
    (glass(confirm_by=1), "/break_glass/confirm_by", "one person alone"),
    (glass(roles=["product"]), "/break_glass/roles/0", "`product` also approves"),
    (
        rule(glass(never=["c1-suite"]), "c1-suite", waivable=False),
        "/break_glass/never",
        "`c1-suite` can be neither waived nor overridden",
    ),
    # coverage
    (ONLY_STAGING, "/environments", "no environment has the tier `production`"),
    (
        rule(SHOP, "c1-suite", require=["unit"]),
        "/rules/0/require",
        "this leaves out `acceptance`, `component`: write `require: all`",
    ),
    (
        without(more(SHOP, kind="evidence", evidence="test.all", condition="C1", actions=["release"]), "c1-suite"),
        "/suites",
        "no rule of kind `suites` requires them",
    ),
    ({**SHOP, "suites": {"unit": SHOP["suites"]["unit"]}}, "/suites", "tests: no `component` or `acceptance`"),
    (
        {**SHOP, "suites": {"unit": SHOP["suites"]["unit"], "component": {"kind": "test.component"}}},
        "/suites",
        "tests: no `acceptance`",
    ),
    (without(SHOP, "dark"), "/rules", "unfinished stories may be deployed without being dark in `production`"),
    (without(SHOP, "live"), "/rules", "before the build that has its story is live in `production`"),
    (
        rule(SHOP, "origin", condition="C1"),
        "/rules/5/condition",
        "a rule of kind `provenance` does not show C1: that is for kind `evidence` or `suites`",
    ),
    # tests
    ({key: value for key, value in SHOP.items() if key != "tests"}, "/tests", "there are no tests"),
    (with_tests({"expect": "allow"}), "/tests", "no test expects `wait` or `deny`"),
]


@pytest.mark.parametrize(("document", "path", "message"), ERRORS)
def test_error(document: Document, path: str, message: str) -> None:
    """The document is refused where the mistake is, with what to write instead."""
    found = remarks(document)

    assert any(severity == "error" and at == path and message in text for severity, at, text in found), found


@pytest.mark.parametrize(("document", "path", "message"), WARNINGS)
def test_warning(document: Document, path: str, message: str) -> None:
    """The document is taken, and its author told what is doubtful."""
    found = remarks(document)

    assert any(severity == "warning" and at == path and message in text for severity, at, text in found), found
    if document is not ONLY_STAGING:
        assert [one for one in found if one[0] == "error"] == []


def test_errors_come_first() -> None:
    """Remarks are in a fixed order, so that two runs say the same."""
    document, _ = read_document(rule(without(SHOP, "dark"), "hours", use=["night"]))

    found = lint(document)

    assert [one.severity for one in found] == sorted(one.severity for one in found)
    assert found[0] == Remark("/rules/8/use/0", found[0].message)
    assert found == lint(document)


@pytest.mark.parametrize(
    "document",
    [
        environment(SHOP, "production", after=["staging"], tier="production"),
        more(SHOP, kind="parity", actions=["deploy"], of="production", condition="C2"),
        more(SHOP, kind="slot", actions=["deploy"]),
        more(
            SHOP,
            kind="approval",
            role="product",
            actions=["deploy"],
            modes=["delivery"],
            reuse_person=True,
            distinct_from=["author", "requester"],
        ),
        with_tests({"to": "nowhere", "because": "policy.none", "expect": "deny"}),
        with_tests(
            {"facts": {"evidence": {"unit": {"outcome": "fail"}, "sbom": {"age": "1d"}}, "approvals": {"product": {}}}}
        ),
        with_tests({"at": "2026-11-17T10:00:00.5+01:00"}),
        rule(SHOP, "freeze", runway="1h"),
    ],
)
def test_nothing_to_say(document: Document) -> None:
    """What is right is not remarked on."""
    assert remarks(document) == []


def test_long_lists_are_cut() -> None:
    """Of many names that could be meant, some are listed."""
    many = {f"place-{at:02}": {"order": 1, "tier": "development"} for at in range(20)}
    document = rule({**SHOP, "environments": {**SHOP["environments"], **many}}, "order", environments=["prod"])

    [(_, path, text)] = remarks(document)

    assert path == "/rules/6/environments/0"
    assert text.endswith(
        "there is: `place-00`, `place-01`, `place-02`, `place-03`, `place-04`, `place-05`, `place-06`, "
        "`place-07`, `place-08`, `place-09` and 12 more"
    )
