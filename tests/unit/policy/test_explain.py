"""Decisions in plain words, and the table of codes."""

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from tests.unit.policy import worlds
from tests.unit.policy.situations import HOUR, NOW, asking, changed, decided, facts, green, only
from tests.unit.policy.test_decide import GLASS
from tests.unit.policy.test_laws import LAW

from greenroom_server.policy.codes import CODES
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.explain import STEPS, headline, markdown, next_steps, sentences, text
from greenroom_server.policy.facts import Obstacle, Scope, Veto, Waiver
from greenroom_server.policy.fixtures import FLAG, NEW, Situation

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "server" / "greenroom_server" / "policy"


def test_terminal() -> None:
    """The verdict, each rule that speaks, when it may go, and who can do what."""
    situation = facts(green(at=NOW + 10 * HOUR), approvals=())

    told = text(decided(situation, only("hours", "business-go", "c3-open")))

    assert told == (
        "wait: deploy of shop sha256:bbbbbbbbbbbb to production (green) may not go yet\n"
        "business-go: 1 with the role `product` must approve, 0 did [approval.missing]\n"
        "hours: outside of `office`; opens: Wed 18 Nov 2026 09:00 Europe/Berlin [calendar.closed]\n"
        "time alone changes nothing\n"
        "\n"
        "next:\n"
        "  - somebody with the role product: approve\n"
    )


def test_moments() -> None:
    """How long an allow holds, or when to ask again."""
    open_now, shut = decided(green(), only("hours")), decided(green(at=NOW + 10 * HOUR), only("hours"))

    assert sentences(open_now)[-1] == "this holds until 2026-11-17T14:50:00.000Z, unless facts change"
    assert sentences(shut)[-1] == "with the same facts it may go at 2026-11-18T08:00:00.000Z"
    assert text(decided(green(), only("c3-open"))) == headline(decided(green())) + "\n"


def test_release() -> None:
    """A release names flag and audience."""
    plain = asking(green("release"), audience=None)

    assert headline(decided(green("release"))) == (
        f"allow: release of the flag {FLAG} to everybody in production may go"
    )
    assert headline(decided(plain)) == f"wait: release of the flag {FLAG} in production may not go yet"
    assert headline(decided(asking(green(), digest=None, slot=None))) == "deny: deploy of shop to production may not go"
    by_commit = asking(green(), digest=None, slot=None, commit="f6" * 20)
    assert headline(decided(by_commit)) == "deny: deploy of shop f6f6f6f6f6f6f6f6f6f to production may not go"


def test_softened_and_overridden() -> None:
    """Waivers, later beginnings, scheduled instants and break-glass are told."""
    red = facts(green(), evidence=changed(green().snapshot.evidence, "acceptance", outcome="fail"))
    waiver = Waiver("w1", "c1-suite", Scope("shop", "production"), NOW + HOUR, "pat@example.com", NOW, 1)
    no_sbom = facts(green(), evidence=tuple(one for one in green().snapshot.evidence if one.kind != "sbom"))
    later = asking(green(), scheduled_for=NOW + 10 * HOUR)

    assert "c1-suite: waived by w1: " in text(decided(facts(red, waivers=(waiver,))))
    assert "c1-suite: overridden by break-glass bg1: " in text(decided(facts(red, break_glasses=(GLASS,))))
    assert "new-sbom: not in force yet: " in text(decided(no_sbom))
    assert "hours: at 2026-11-17T19:00:00.000Z: " in text(decided(later))


def test_markdown() -> None:
    """A table of all rules; what users wrote cannot become markup."""
    veto = Veto("v", Scope(), "zoe@example.com", NOW, 1, "see <img src=x> | [here](http://x)\n# now")

    told = markdown(decided(facts(green(), vetoes=(veto,)), only("c3-open", "soak", "hours")))

    assert told.startswith("**deny: deploy of shop sha256:bbbbbbbbbbbb to production \\(green\\) may not go**\n")
    assert "| ✓ | soak |  | `ok` |  |\n" in told
    row = next(line for line in told.splitlines() if "c3-open" in line)
    assert row == (
        "| ✗ | c3-open | C3 | `veto` | "
        "zoe@example.com forbids it: see \\<img src=x\\> \\| \\[here\\]\\(http://x\\) \\# now |"
    )
    assert "- zoe@example.com: withdraw the veto v, if it is settled\n" in told
    assert told.endswith("Policy shop version 1, mode delivery, as of 2026-11-17T09:00:00.000Z.\n")


def test_markdown_of_an_allow() -> None:
    """Nothing is left to do, or flags must go dark first."""
    owing = facts(green("rollback"), flags=())

    without = decide(green().snapshot, green().request, None, NOW)

    assert "Next:" not in markdown(decided(green()))
    assert markdown(without).endswith("No policy, mode delivery, as of 2026-11-17T09:00:00.000Z.\n")
    assert f"- before traffic moves, the flags {FLAG} must be dark in production" in markdown(decided(owing))


@given(worlds.situations(), worlds.policies())
@LAW
def test_everything_can_be_told(situation: Situation, policy: Policy) -> None:
    """Every decision has its words, in both forms, and each next step is a sentence."""
    decision = decided(situation, policy)

    assert text(decision).startswith(decision.verdict)
    assert markdown(decision).count("\n| ") == len(decision.rules) + 1
    assert len(next_steps(decision)) <= len(decision.next) + len(decision.obligations)


def test_all_steps_have_words() -> None:
    """Every step that a finding may ask for is explained, and no other."""
    asked = {name for source in sources() for name in re.findall(r'"do": "([a-z_]+)"', source)}

    assert asked == set(STEPS)


def test_every_step_reads_well() -> None:
    """Each kind of step, with all that it may carry."""
    steps = (
        {"do": "accept", "demo": "d", "roles": ["customer", "product"]},
        {"do": "approve", "role": "product", "count": 2},
        {"do": "deploy", "environment": "staging", "slot": "blue"},
        {"do": "deploy", "story": "shop-1"},
        {"do": "supply", "kind": "provenance", "digest": NEW, "signed": True},
        {"do": "supply", "kind": "test.unit", "suite": "unit"},
        {"do": "supply", "kind": "health", "source": "errors", "environment": "production"},
        {"do": "supply", "kind": "parity", "environment": "staging"},
    )

    assert next_steps(replace(decided(green()), next=steps)) == (
        "somebody with a role of customer, product: accept the demonstration d",
        "2 persons with the role product: approve",
        "the pipeline: deploy the build to staging (blue)",
        "the pipeline: deploy a build with the story shop-1 as it is now",
        "the pipeline: report new evidence of provenance, signed by a pinned key",
        "the pipeline: report new evidence of test.unit (suite unit)",
        "the source of health errors: report how production is",
        "whoever runs staging: compare it with what it stands for, and report the drift",
    )


def test_codes_are_the_ones_that_are_used() -> None:
    """The table has every code that rules give, and no other."""
    areas = {code.partition(".")[0] for code in CODES if "." in code}
    found = {code for source in sources() for code in re.findall(r'"([a-z]+\.[a-z_]+)"', source)}

    assert {code for code in found if code.partition(".")[0] in areas} == {code for code in CODES if "." in code}


def test_codes_are_documented() -> None:
    """The guide has the same table, word for word."""
    guide = (ROOT / "docs" / "release-policy.md").read_text("utf-8")
    rows = [f"| `{code}` | {meaning} | {remedy} |" for code, (meaning, remedy) in CODES.items()]

    assert "\n".join(rows) in guide
    assert list(CODES) == ["ok", *sorted(set(CODES) - {"ok"})]


def sources() -> list[str]:
    """What rules and checks are written in."""
    names = ("asking", "checks", "conditions", "decide", "duties", "judge", "obligations")
    files = [SOURCES / f"{name}.py" for name in names]
    return [path.read_text("utf-8") for path in (*files, *sorted((SOURCES / "rules").glob("*.py")))]


def test_obstacle_without_words() -> None:
    """An obstacle or a veto may have no text."""
    bare = facts(green(), obstacles=(Obstacle("o", Scope(), NOW, 1),), vetoes=(Veto("v", Scope(), "zoe", NOW, 1),))

    assert "c3-open: zoe forbids it [veto]" in text(decided(bare))
