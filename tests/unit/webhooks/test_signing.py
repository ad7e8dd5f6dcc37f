"""What we sign is what Standard Webhooks' own library takes."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from greenroom_server.webhooks.signing import headers_of, mint, sign

BODY: Final = b'{"test": 2432232314}'


def test_the_published_vector() -> None:
    """The specification's example gives the specification's signature."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_minted_secret_is_32_random_bytes() -> None:
    """`whsec_` and the base64 of 32 bytes, another one each time."""
    first, second = mint(), mint()

    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_either_of_two_live_secrets_verifies() -> None:
    """While two secrets live, a receiver that has either takes the message; one that has neither does not."""
    old, new = mint(), mint()

    headers = headers_of([new, old], "0c4f6a0e", datetime.now(UTC), BODY)

    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(mint()).verify(BODY, headers)


@pytest.mark.parametrize("part", ["body", "id", "time"])
def test_whatever_is_changed_on_the_way_is_found_out(part: str) -> None:
    """Body, id and time are all signed."""
    secret = mint()
    headers = headers_of([secret], "0c4f6a0e", datetime.now(UTC), BODY)
    changed = {
        "id": {"webhook-id": "another"},
        "time": {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
    }

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b"{}" if part == "body" else BODY, headers | changed.get(part, {}))


def test_an_old_message_is_refused() -> None:
    """A message sent again by somebody else, six minutes later, is not taken."""
    secret = mint()
    headers = headers_of([secret], "0c4f6a0e", datetime.now(UTC) - timedelta(minutes=6), BODY)

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers)
