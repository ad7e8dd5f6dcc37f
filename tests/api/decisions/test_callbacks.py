"""Asking to be called back; that it happens is shown in tests/blackbox/decisions/test_callbacks.py."""

import base64
from typing import Any, Final

import pytest
from tests.api.decisions.conftest import Deciding, question
from tests.api.releases.conftest import done

pytestmark = pytest.mark.asyncio(loop_scope="session")

URL: Final = "https://hooks.example.com/greenroom"
SECRET: Final = "whsec_" + base64.b64encode(b"s" * 32).decode()


async def _asked(deciding: Deciding, callback: dict[str, Any], **headers: str) -> dict[str, Any]:
    body = question(callback=callback)
    return done(await deciding.pipeline.post(deciding.decisions, json=body, headers=headers))


async def _destination(deciding: Deciding, **members: Any) -> None:
    body = {"key": "ops", "url": URL, "events": ["flag.*"], **members}
    done(await deciding.releases.admin.post(f"{deciding.project}/webhooks", json=body))


async def test_a_wait_opens_a_callback(deciding: Deciding) -> None:
    """The answer names it and says how long it is open; a secret is shown only if it was made here."""
    await deciding.ruled_by()
    await deciding.releases.built(1)
    await _destination(deciding)

    by_key = await _asked(deciding, {"webhook": "ops"})
    to_url = await _asked(deciding, {"url": URL, "expires_in_hours": 1})
    own_secret = await _asked(deciding, {"url": URL, "secret": SECRET})

    assert by_key["decision"] == "wait"
    assert by_key["callback"]["secret"] is own_secret["callback"]["secret"] is None
    assert to_url["callback"]["secret"].startswith("whsec_")
    assert by_key["callback"]["expires_at"] > to_url["callback"]["expires_at"]
    read = done(await deciding.pipeline.get(f"{deciding.decisions}/{to_url['id']}"))
    assert "callback" not in read


async def test_there_is_nothing_to_tell_of_an_answer_that_is_final(deciding: Deciding) -> None:
    """Allow and deny open no callback, and a question without one gets no such member."""
    await deciding.ruled_by()
    denied = await _asked(deciding, {"url": URL})
    await deciding.green()
    allowed = await _asked(deciding, {"url": URL})

    assert (denied["decision"], denied["callback"]) == ("deny", None)
    assert (allowed["decision"], allowed["callback"]) == ("allow", None)
    assert "callback" not in await deciding.asked()


async def test_a_repetition_opens_no_second_one_and_shows_no_secret(deciding: Deciding) -> None:
    """The same `Idempotency-Key` gets the same answer, but for the secret, which is stored nowhere in plain."""
    await deciding.ruled_by()
    await deciding.releases.built(1)

    first = await _asked(deciding, {"url": URL}, **{"Idempotency-Key": "once"})
    again = await _asked(deciding, {"url": URL}, **{"Idempotency-Key": "once"})

    assert again["callback"] == {**first["callback"], "secret": None}


async def test_a_dry_run_opens_none(deciding: Deciding) -> None:
    """It shows the decision and nothing else."""
    await deciding.ruled_by()
    await deciding.releases.built(1)

    body = question(callback={"url": URL})
    shown = done(await deciding.pipeline.post(deciding.decisions, json=body, params={"dry_run": "true"}))

    assert "callback" not in shown["result"]


@pytest.mark.parametrize(
    ("callback", "pointer"),
    [
        ({}, "/callback"),
        ({"webhook": "ops", "url": URL}, "/callback"),
        ({"webhook": "nobody"}, "/callback/webhook"),
        ({"webhook": "ops", "secret": SECRET}, "/callback/secret"),
        ({"url": "http://hooks.example.com/"}, "/callback/url"),
        ({"url": "https://127.0.0.1/"}, "/callback/url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "/callback/url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "/callback/url"),
        ({"url": URL, "secret": "whsec_" + "A" * 33}, "/callback/secret"),
        ({"url": URL, "secret": "hush"}, "/callback/secret"),
        ({"url": URL, "expires_in_hours": 0}, "/callback/expires_in_hours"),
        ({"url": URL, "expires_in_hours": 721}, "/callback/expires_in_hours"),
        ({"url": URL, "retries": 3}, "/callback/retries"),
    ],
)
async def test_a_callback_that_cannot_be_made_is_refused(
    deciding: Deciding, callback: dict[str, Any], pointer: str
) -> None:
    """Before anything is decided, and naming what is wrong with it."""
    await deciding.ruled_by()
    await _destination(deciding)

    refused = await deciding.pipeline.post(deciding.decisions, json=question(callback=callback))

    assert refused.status_code == 400
    assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]
    assert done(await deciding.pipeline.get(deciding.decisions))["items"] == []


async def test_a_webhook_that_is_switched_off_is_told_nothing(deciding: Deciding) -> None:
    """So nobody can wait for it."""
    await deciding.ruled_by()
    await _destination(deciding, enabled=False)

    refused = await deciding.pipeline.post(deciding.decisions, json=question(callback={"webhook": "ops"}))

    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")


async def test_so_many_are_open_in_a_project_at_most(deciding: Deciding, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, with the decision, and the limit is named."""
    monkeypatch.setattr("greenroom_server.decisions.service_callbacks.MAX_OPEN", 1)
    await deciding.ruled_by()
    await deciding.releases.built(1)
    await _asked(deciding, {"url": URL})

    refused = await deciding.pipeline.post(deciding.decisions, json=question(callback={"url": URL}))

    assert refused.json()["limit"] == "decision_callbacks_per_project"
    assert len(done(await deciding.pipeline.get(deciding.decisions))["items"]) == 1


async def test_a_simulation_takes_none(deciding: Deciding) -> None:
    """It keeps nothing, so there is nothing to come back to."""
    await deciding.ruled_by()

    refused = await deciding.pipeline.post(f"{deciding.decisions}/simulate", json=question(callback={"url": URL}))

    assert refused.status_code == 400
