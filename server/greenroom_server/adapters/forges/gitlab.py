"""GitLab's deployment approvals: a bot user that an approval rule of the environment names approves or rejects.

GitLab tells nobody when a deployment begins to wait, so blocked deployments are looked for (`GET …/deployments`), and
its deployment webhook, where there is one, is a hint to look at once. The answer is
`POST …/deployments/{id}/approval`; somebody still has to start the job, as GitLab wants it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from greenroom_server.adapters.forges.asked import Account, Ask, Asked, Unreadable, Verdict, document_of, text_of
from greenroom_server.webhooks.client import Question

URL: Final = "https://gitlab.com"
HEADER: Final = "x-gitlab-token"
MAX_LISTED: Final = 50
MAX_LIST_BYTES: Final = 2 * 1024 * 1024
# GitLab lets a deployment wait for ever; a build is old after that.
LIFETIME: Final = timedelta(days=30)
_COMMIT: Final = "[0-9a-f]{40}|[0-9a-f]{64}"


def list_question(account: Account) -> Question:
    """Which deployments wait, newest first."""
    url = f"{_project(account)}/deployments?status=blocked&order_by=id&sort=desc&per_page={MAX_LISTED}"
    return Question("GET", url, _headers(account), most=MAX_LIST_BYTES)


def read_list(body: bytes) -> list[Asked]:
    """The deployments in the answer; raises `Unreadable`."""
    listed = document_of(body)
    if not isinstance(listed, list):
        raise Unreadable("the answer is no list of deployments")
    return [_asked(one) for one in listed[:MAX_LISTED]]


class GitLab:
    """Approves as the bot user whose access token is the credential; the account's name is the project's id or path."""

    max_comment = 1000
    max_notes = 0

    async def headers(self, account: Account, reply: Mapping[str, str], ask: Ask, now: datetime) -> dict[str, str]:
        return _headers(account)

    def answer(self, account: Account, reply: Mapping[str, str], verdict: Verdict, comment: str) -> tuple[str, Any]:
        status = "approved" if verdict == "allow" else "rejected"
        body = {"status": status, "comment": comment}
        if account.represented_as is not None:
            body["represented_as"] = account.represented_as
        return f"{_project(account)}/deployments/{reply['deployment']}/approval", body

    def note(self, reply: Mapping[str, str], comment: str) -> tuple[str, Any] | None:
        return None


def _asked(deployment: Any) -> Asked:
    number = text_of(deployment, "id", pattern="[0-9]{1,20}")
    return Asked(
        ticket=number,
        environment=text_of(deployment, "environment", "name"),
        lifetime=LIFETIME,
        commit=text_of(deployment, "sha", pattern=_COMMIT),
        reply={"deployment": number},
    )


def _project(account: Account) -> str:
    return f"{account.url}/api/v4/projects/{quote(account.name, safe='')}"


def _headers(account: Account) -> dict[str, str]:
    return {"PRIVATE-TOKEN": account.credential, "Content-Type": "application/json"}
