"""Routes on which forges ask. They put the question in line and answer at once; the gatekeeper does the rest."""

from dataclasses import replace

from greenroom_server.adapters.forges import azure, github, gitlab
from greenroom_server.adapters.forges.asked import Asked
from greenroom_server.adapters.routes import INTEGRATION
from greenroom_server.adapters.service_integrations import get_integration, target_of
from greenroom_server.adapters.service_requests import take_in
from greenroom_server.adapters.tables import IntegrationRow
from greenroom_server.adapters.verifying import integration_of, readable, require_secret, secret_of
from greenroom_server.adapters.wire import TakenIn
from greenroom_server.errors import FieldError, Invalid, NotFound, Unauthenticated
from greenroom_server.flags.answers import answer, work_of
from greenroom_server.flags.work import Outcome
from greenroom_server.web.call import Call
from greenroom_server.web.reply import Reply
from greenroom_server.web.route import MIB, SIGNED, Route
from greenroom_server.webhooks.desk import Desk


class ForgeDoor:
    """The handlers; the desk opens and seals secrets."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> tuple[Route, ...]:
        github_path, gitlab_path, azure_path = (f"{INTEGRATION}/{kind}" for kind in ("github", "gitlab", "azure"))
        return (
            Route("POST", github_path, "ask_from_github", SIGNED, self.ask_from_github, writes=True, max_body=4 * MIB),
            Route("POST", gitlab_path, "poke_from_gitlab", SIGNED, self.poke_from_gitlab, writes=True),
            Route("POST", azure_path, "ask_from_azure", "decisions.write", self.ask_from_azure, writes=True),
        )

    async def ask_from_github(self, call: Call) -> Reply:
        row, headers = await integration_of(call, "github"), call.request.headers
        if not github.is_signed(secret_of(self._desk, row), call.body, headers.get(github.SIGNATURE)):
            raise Unauthenticated
        with readable():
            asked = github.read(headers.get(github.EVENT), call.body, row.url or "")
        return await self._put_in_line(call, row, asked)

    async def poke_from_gitlab(self, call: Call) -> Reply:
        """Nothing of what it says is believed: it is a hint to look at once."""
        row = await integration_of(call, "gitlab")
        require_secret(self._desk, row, call.request.headers.get(gitlab.HEADER))
        row.looked_at = None
        await call.session.flush()
        return _accepted(call, None)

    async def ask_from_azure(self, call: Call) -> Reply:
        project, key = call.params["project"], call.params["integration"]
        row = await get_integration(call.session, project, key)
        if row.kind != "azure" or not row.enabled:
            raise NotFound(f"there is no integration `{key}` for Azure in project `{project}`")
        with readable():
            asked = azure.read(call.json(), row.url or "")
        if not work_of(call).principal.sees_environment(target_of(row, asked.environment).environment):
            raise Invalid(errors=[FieldError("/Environment", "this token is limited to other environments")])
        return await self._put_in_line(call, row, asked)

    async def _put_in_line(self, call: Call, row: IntegrationRow, asked: Asked | None) -> Reply:
        taken = None
        if asked is not None:
            taken = await take_in(call.session, self._desk, row, asked, call.now, again=True)
        return _accepted(call, None if taken is None else str(taken))


def _accepted(call: Call, request: str | None) -> Reply:
    reply = answer(call, Outcome(TakenIn(request=request), ()))
    return reply if call.dry_run else replace(reply, status=202)
