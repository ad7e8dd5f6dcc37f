"""Who is asking."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from greenroom_server.errors import Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a token, as the rest of the server sees it.

    `projects` and `environments` are the keys to which the token is limited, None for no limit. SDK keys belong to one
    environment and carry its id and keys. `person` is who holds the token, in small letters (None: nobody in
    particular), and `roles` are those that an administrator gave them for release policies.
    """

    token_id: UUID
    name: str
    kind: str
    permissions: frozenset[str]
    projects: frozenset[str] | None = None
    environments: frozenset[str] | None = None
    environment_id: UUID | None = None
    project_key: str | None = None
    environment_key: str | None = None
    expires_at: datetime | None = None
    person: str | None = None
    roles: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return f"{self.kind}:{self.token_id}"

    def allows(self, permission: str) -> bool:
        return permission in self.permissions

    def sees_project(self, key: str) -> bool:
        return self.projects is None or key in self.projects

    def sees_environment(self, key: str) -> bool:
        return self.environments is None or key in self.environments

    def require(self, permission: str) -> None:
        """Raises `Forbidden` unless the permission is held."""
        if permission not in self.permissions:
            raise Forbidden(f"a token of kind `{self.kind}` lacks the permission `{permission}`")

    def require_unlimited(self, what: str) -> None:
        """Raises `Forbidden` if the token is limited to projects or environments: `what` reaches past any limit."""
        if self.projects is not None or self.environments is not None:
            raise Forbidden(f"{what} takes a token without limits to projects or environments")

    def require_scope(self, project: str | None, environment: str | None) -> None:
        """Raises `NotFound` for what lies outside the token's limits: its existence is not told either."""
        if project is not None and not self.sees_project(project):
            raise NotFound(f"there is no project `{project}`")
        if environment is not None and not self.sees_environment(environment):
            raise NotFound(f"there is no environment `{environment}`")

    def require_project_within(self, key: str) -> None:
        """Raises `Forbidden` if the caller may make or write no project of this key, whether there is one or not."""
        if not self.sees_project(key):
            raise Forbidden("this token is limited to other projects")
