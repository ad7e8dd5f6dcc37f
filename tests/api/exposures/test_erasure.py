"""Erasing a subject: every row of theirs, nobody else's, and no trace of the key."""

import pytest
from tests.api.exposures.batches import event, exposure
from tests.api.exposures.conftest import Application, rows_of
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
CANARY = "canary@shop.example"


async def remaining(url: str, subject: str) -> int:
    query = (
        "SELECT (SELECT count(*) FROM exposure WHERE targeting_key = :subject)"
        " + (SELECT count(*) FROM outcome WHERE targeting_key = :subject) AS rows"
    )
    return int((await rows_of(url, query, subject=subject))[0]["rows"])


async def test_a_subject_is_erased_everywhere(stage: Stage, application: Application) -> None:
    """All of their rows are gone, others stay, and the audit log holds no word of the key."""
    await application.reports(exposures=[exposure(CANARY), exposure("somebody else")], events=[event("order", CANARY)])
    reply = await stage.admin.post(f"{stage.project}/subjects/erase", json={"targeting_key": CANARY})

    assert (reply.status_code, reply.json()) == (200, {"exposures": 1, "outcomes": 1})
    assert await remaining(application.url, CANARY) == 0
    assert await remaining(application.url, "somebody else") >= 1
    (noted,) = (await stage.got(stage.audit, action="subject.erase"))["items"]
    assert noted["changes"][0]["from"] == {"exposures": 1, "outcomes": 1}
    assert "canary" not in str(noted)


async def test_a_dry_run_erases_nothing(stage: Stage, application: Application) -> None:
    """It tells how many rows there are."""
    subject = f"dry {stage.key}"
    await application.reports(exposures=[exposure(subject)])
    reply = await stage.admin.post(
        f"{stage.project}/subjects/erase", json={"targeting_key": subject}, params={"dry_run": "true"}
    )
    assert reply.json()["result"] == {"exposures": 1, "outcomes": 0}
    assert await remaining(application.url, subject) == 1


async def test_other_projects_keep_theirs(stage: Stage, application: Application) -> None:
    """A subject of the same key in another project is another subject."""
    subject = f"twin {stage.key}"
    await application.reports(exposures=[exposure(subject)])
    await stage.admin.post("/api/v1/projects", json={"key": f"other-{stage.key}", "name": "Other"})
    reply = await stage.admin.post(
        f"/api/v1/projects/other-{stage.key}/subjects/erase", json={"targeting_key": subject}
    )
    assert reply.json() == {"exposures": 0, "outcomes": 0}
    assert await remaining(application.url, subject) == 1
