"""What each kind of token may do, pinned: a change of this table is a decision."""

from greenroom_server.access.permissions import MACHINE_KINDS, PERMISSIONS

READ = {
    "self.read",
    "projects.read",
    "flags.read",
    "releases.read",
    "policies.read",
    "decisions.read",
    "guardrails.read",
}
AUTHOR = READ | {
    "flags.write",
    "configurations.write",
    "segments.write",
    "audit.read",
    "exposures.read",
    "services.write",
    "stories.write",
    "facts.write",
    "policies.write",
    "rollouts.write",
    "decisions.write",
    "permits.write",
    "break_glass.write",
    "change_requests.write",
    "change_requests.approve",
}
JUDGE = {
    "judgements.write",
    "modes.write",
    "gates.write",
    "evidence.revoke",
    "policies.activate",
    "guardrails.write",
}


def test_the_table() -> None:
    """Developers write flags everywhere but neither start production nor see whom it served; SDK keys write none."""
    admin_only = {
        "projects.write",
        "projects.import",
        "environments.write",
        "tokens.read",
        "tokens.write",
        "metrics.read",
        "exposures.erase",
        "webhooks.read",
        "webhooks.write",
        "integrations.read",
        "integrations.write",
        "people.write",
        "producers.write",
        "policies.settings",
        "permits.keys",
        "change_requests.settings",
    }

    assert {kind: set(allowed) for kind, allowed in PERMISSIONS.items()} == {
        "admin": AUTHOR | JUDGE | admin_only | {"flags.delete", "production.write", "production.subjects"},
        "manager": AUTHOR | JUDGE | {"production.write", "production.subjects"},
        "developer": AUTHOR | {"flags.delete"},
        "pipeline": READ
        | {
            "metrics.read",
            "facts.write",
            "decisions.write",
            "permits.write",
            "change_requests.write",
            "change_requests.approve",
        },
        "server": {"self.read", "evaluate", "snapshot.read", "exposures.write"},
        "client": {"self.read", "evaluate", "exposures.write"},
    }


def test_only_sdk_keys_evaluate() -> None:
    """People's tokens are for authoring: one that leaks from an application must not be able to author."""
    assert {kind for kind, allowed in PERMISSIONS.items() if "evaluate" in allowed} == {"server", "client"}


def test_browser_keys_never_read_snapshots() -> None:
    """A snapshot holds every rule and segment."""
    assert "snapshot.read" not in PERMISSIONS["client"]


def test_machines_report_and_do_not_judge() -> None:
    """A pipeline's token says what it found; the word of the business on a release is a person's."""
    assert "facts.write" in PERMISSIONS["pipeline"]
    for kind in MACHINE_KINDS:
        assert not PERMISSIONS[kind] & (JUDGE | {"people.write", "producers.write", "stories.write"})
