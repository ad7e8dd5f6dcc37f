"""What each kind of token may do. Every route names one of these permissions.

The rule behind the table: developers put code and dark flags everywhere, but what production serves is the
business's to start. So a developer may change what non-production environments serve and may *stop* anything
anywhere, while starting something in an environment of the tier `production` takes `production.write`. And whom
production served what is about people: `exposures.read` shows it, there only together with `production.subjects`.
"""

from typing import Final

READ: Final = frozenset({"self.read", "projects.read", "flags.read"})
AUTHOR: Final = READ | {"flags.write", "configurations.write", "segments.write", "audit.read", "exposures.read"}

PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "admin": AUTHOR
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
    },
    "manager": AUTHOR | {"production.write", "production.subjects"},
    "developer": AUTHOR | {"flags.delete"},
    "pipeline": READ | {"metrics.read"},
    "server": frozenset({"self.read", "evaluate", "snapshot.read", "exposures.write"}),
    "client": frozenset({"self.read", "evaluate", "exposures.write"}),
}
SDK_KINDS: Final = frozenset({"server", "client"})
