"""Azure Pipelines' check "Invoke REST API" in callback mode: it asks once, and waits for `TaskCompleted`.

What the check sends is what its author wrote into its body; docs/integrations.md has the text to copy. The answer is
"Post Event" of the distributed task API, with the pipeline's own token, which lives two days.
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from greenroom_server.adapters.forges.asked import Account, Ask, Asked, Unreadable, Verdict, text_of

URL: Final = "https://dev.azure.com"
# Azure's token ends after 48 hours, and nothing is taken after it.
LIFETIME: Final = timedelta(hours=47)
_ID: Final = "[0-9a-fA-F-]{36}"
_NAME: Final = "[A-Za-z]{1,40}"


def read(document: Any, url: str) -> Asked:
    """What is asked; `url` is that of the organisation. Raises `Unreadable`."""
    plan_url = text_of(document, "PlanUrl").rstrip("/")
    # The answer carries a token: it goes nowhere but to the organisation.
    if plan_url != url and not plan_url.startswith(f"{url}/"):
        raise Unreadable(f"`PlanUrl` does not begin with `{url}`")
    job, task = (text_of(document, name, pattern=_ID) for name in ("JobId", "TaskInstanceId"))
    project, plan = (text_of(document, name, pattern=_ID) for name in ("ProjectId", "PlanId"))
    hub = text_of(document, "HubName", pattern=_NAME)
    digest, commit = document.get("Digest"), document.get("Commit")
    return Asked(
        ticket=f"{plan} {job} {task}",
        environment=text_of(document, "Environment"),
        lifetime=LIFETIME,
        commit=None if digest or not commit else text_of(document, "Commit", pattern="[0-9a-f]{40}|[0-9a-f]{64}"),
        digest=text_of(document, "Digest", pattern="sha256:[0-9a-f]{64}") if digest else None,
        reply={
            "events": f"{plan_url}/{project}/_apis/distributedtask/hubs/{hub}/plans/{plan}/events",
            "job": job,
            "task": task,
        },
        secret=text_of(document, "AuthToken"),
    )


class Azure:
    """Completes the check's task with the token that came with the question, which is the credential."""

    max_comment = 1000
    max_notes = 0

    async def headers(self, account: Account, reply: Mapping[str, str], ask: Ask, now: datetime) -> dict[str, str]:
        basic = base64.b64encode(f":{account.credential}".encode()).decode()
        return {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}

    def answer(self, account: Account, reply: Mapping[str, str], verdict: Verdict, comment: str) -> tuple[str, Any]:
        result = "succeeded" if verdict == "allow" else "failed"
        body = {"name": "TaskCompleted", "taskId": reply["task"], "jobId": reply["job"], "result": result}
        return f"{reply['events']}?api-version=7.1-preview.1", body

    def note(self, reply: Mapping[str, str], comment: str) -> tuple[str, Any] | None:
        return None
