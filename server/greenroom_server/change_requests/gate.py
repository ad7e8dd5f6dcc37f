"""The gates on what environments serve: the one that everybody stands before, and those of this area's own work."""

from collections.abc import Collection

from greenroom_server.change_requests.service_settings import demands_of
from greenroom_server.errors import ApprovalRequired
from greenroom_server.flags.place import Environment, Project
from greenroom_server.flags.service_projects import environment_path
from greenroom_server.flags.work import Work


class FourEyes:
    """Lets nobody change alone what an environment serves that asks for others."""

    async def require(self, work: Work, project: Project, environments: list[Environment]) -> None:
        demands = await demands_of(work.session, [one.id for one in environments])
        keys = sorted(one.key for one in environments if one.id in demands)
        if keys:
            raise ApprovalRequired(keys, requests_path(project.key, keys[0]))


class Agreed:
    """Lets what was agreed to go through where it was: everywhere else it is as for everybody."""

    def __init__(self, environments: Collection[str]) -> None:
        self._environments = frozenset(environments)

    async def require(self, work: Work, project: Project, environments: list[Environment]) -> None:
        others = [one for one in environments if one.key not in self._environments]
        await FourEyes().require(work, project, others)


class Asked:
    """Lets everything go through and remembers where: for trying out."""

    def __init__(self) -> None:
        self.environments: set[str] = set()

    async def require(self, work: Work, project: Project, environments: list[Environment]) -> None:
        self.environments |= {one.key for one in environments}


def requests_path(project_key: str, environment_key: str) -> str:
    return f"{environment_path(project_key, environment_key)}/change-requests"
