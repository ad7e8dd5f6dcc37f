"""Named releases from the command line: made, shown, moved with a look before, and taken back."""

from tests.blackbox.cli.conftest import Shop
from tests.blackbox.cli.terminal import Inside, Terminal

PLAN = """
key: autumn
environment: production
flags: [{flag: express-delivery}, {flag: recommendations}]
steps:
  - {name: friends, audience: {segment: beta-testers}, advance: {approval: {role: product}}}
  - {audience: {percent: 5}, flags: {recommendations: {percent: 12.5}}, advance: {after: 2h, guardrails: [errors]}}
  - {audience: everyone}
"""
SHORT = ("release", "create", "short", "-e", "staging", "--flag", "gift-cards", "--flag", "checkout-button=pay")


def test_a_release_from_its_plan_to_its_undoing(admin: Terminal, shop: Shop, copy: str) -> None:
    """The plan is a file; going on and back is shown first, and needs somebody to agree."""
    file = admin.write("autumn.yaml", PLAN)
    admin.run("release", "create", "--file", str(file), "--dry-run").expect(0)
    admin.run("release", "create", "--file", str(file)).expect(0)
    told = admin.run("release", "show", "autumn").expect(0).out
    assert "recommendations: 12.5 %" in told
    assert "after 2h and while errors is well" in told
    assert "waits for somebody to say go" in told

    shown = admin.run("release", "go", "autumn", "--dry-run").expect(0).out
    assert "`autumn` in production: step 1, segment beta-testers" in shown
    assert "flags/express-delivery/enabled: false → true" in shown
    assert "must be confirmed" in admin.run("release", "go", "autumn").expect(2).err
    assert "running, step 1 of 3" in admin.run("release", "go", "autumn", "--yes").expect(0).out
    assert "409 approval_missing" in admin.run("release", "go", "autumn", "--yes").expect(1).err
    assert "waits for 0 of 1 approvals by product" in admin.run("release", "show", "autumn").expect(0).out

    made = admin.json(
        "tokens", "create", "cleo", "--kind", "manager", "--project", copy, "--person", "cleo@shop.example"
    )
    cleo = admin.having(GREENROOM_TOKEN=made["token"])
    assert "403 role_needed" in cleo.run("release", "approve", "autumn", "--yes").expect(1).err
    admin.run("release", "hold", "autumn", "--reason", "lunch").expect(0)
    assert "by_hand: lunch" in admin.run("release", "show", "autumn").expect(0).out
    admin.run("release", "resume", "autumn", "--yes").expect(0)
    admin.run("release", "abort", "autumn", "--yes").expect(0)
    assert "express-delivery/enabled: true → false" in admin.run("release", "undo", "autumn", "--dry-run").expect(0).out
    assert admin.json("release", "undo", "autumn", "--yes")["state"] == "undone"


def test_a_short_release_out_of_options(inside: Inside) -> None:
    """Flags, steps and how they go on; a time, and taking it away."""
    steps = ("--step", "internal", "--step", "segment:staff", "--step", "12.5%", "--step", "everyone")
    inside.run(*SHORT, *steps, "--after", "1h", "--approval", "product").expect(0)

    made = inside.json("release", "show", "short")
    assert [one["variant"] for one in made["flags"]] == ["on", "pay"]
    assert [one["audience"] for one in made["steps"]] == [
        "internal",
        {"segment": "staff"},
        {"percent": 12.5},
        "everyone",
    ]
    assert [one["advance"] is None for one in made["steps"]] == [False, False, False, True]
    inside.run("release", "schedule", "short", "--at", "2h", "--yes").expect(0)
    when = ("--local", "2027-01-04T09:00", "--zone", "Europe/Berlin")
    inside.run("release", "schedule", "short", *when, "--yes").expect(0)
    assert inside.json("release", "list", "--state", "scheduled")["items"][0]["due_at"] == "2027-01-04T08:00:00Z"
    inside.run("release", "schedule", "short", "--never").expect(0)
    assert inside.run("release", "list", "--in", "staging", "-q").expect(0).out == "short\n"


def test_a_plan_is_changed_by_a_file(inside: Inside, admin: Terminal) -> None:
    """What the file names, after a look."""
    inside.run(*SHORT, "--step", "everyone").expect(0)
    file = admin.write("short.yaml", "steps: [{audience: {percent: 1}}, {audience: everyone}]\n")

    shown = inside.run("release", "update", "short", "--file", str(file), "--dry-run").expect(0).out
    inside.run("release", "update", "short", "--file", str(file), "--yes").expect(0)

    assert "steps" in shown
    assert len(inside.json("release", "show", "short")["steps"]) == 2


def test_what_is_not_said_is_asked_for(inside: Inside) -> None:
    """A matter of usage, before anything is sent."""
    for arguments in (
        ("release", "create"),
        ("release", "create", "short", "--flag", "gift-cards"),
        (*SHORT, "--step", "five%"),
        (*SHORT, "--file", "plan.yaml"),
        ("release", "update", "short"),
        ("release", "schedule", "short"),
        ("release", "schedule", "short", "--never", "--at", "2h"),
    ):
        inside.run(*arguments).expect(2)
