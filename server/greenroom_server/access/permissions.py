"""What each kind of token may do. Every route names one of these permissions.

The rule behind the table: developers put code and dark flags everywhere, but what production serves is the
business's to start. So a developer may change what non-production environments serve and may *stop* anything
anywhere, while starting something in an environment of the tier `production` takes `production.write`. And whom
production served what is about people: `exposures.read` shows it, there only together with `production.subjects`.
"""

from typing import Final

READ: Final = frozenset(
    {"self.read", "projects.read", "flags.read", "releases.read", "policies.read", "decisions.read", "guardrails.read"}
)
AUTHOR: Final = READ | {
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
# The word of the business on a release, and on what stops one. Machines never have it: a pipeline reports and asks.
JUDGE: Final = frozenset(
    {"judgements.write", "modes.write", "gates.write", "evidence.revoke", "policies.activate", "guardrails.write"}
)

PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "admin": AUTHOR
    | JUDGE
    | {
        "flags.delete",
        "production.write",
        "production.subjects",
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
    },
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
    "server": frozenset({"self.read", "evaluate", "snapshot.read", "exposures.write"}),
    "client": frozenset({"self.read", "evaluate", "exposures.write"}),
}
SDK_KINDS: Final = frozenset({"server", "client"})
MACHINE_KINDS: Final = SDK_KINDS | {"pipeline"}
