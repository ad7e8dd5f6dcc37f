"""Permits at the gate: only a signed permit for what was asked ends with 0, and only one that holds is verified."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.cli.terminal import Ended, Inside
from tests.unit.cli.scripted import Said, serving
from tests.unit.cli.test_gate_answers import CHECK, DIGEST, POLICY, RULES, ask, decision

from greenroom_server.permits.signing import SigningKey, envelope_of, new_key
from greenroom_server.permits.statements import Granted, Verifier, break_glass_statement, verdict_statement

PERMIT = {
    "id": "019ab9d8-7c10-7d4d-8b0c-6f1f5f9f2d12",
    "state": "open",
    "action": "deploy",
    "service": "web",
    "environment": "production",
    "slot": None,
    "digest": DIGEST,
    "break_glass": None,
    "expires_at": "2026-11-20T11:15:00.000Z",
}
ENVELOPE = {"payloadType": "x", "payload": "eA==", "signatures": []}
VERIFIER = Verifier("https://greenroom.example", "0.1.0")
SOON = datetime.now(UTC) + timedelta(hours=12)
GLASS = {
    "id": "1",
    "action": "deploy",
    "environment": "production",
    "reason": "customers cannot pay",
    "ticket": "INC-1",
    "opened_by": "ada@shop.example",
    "confirmed_by": [{"person": "bo@shop.example", "at": "2026-11-20T11:00:00Z", "comment": ""}],
    "until": "2026-11-20T12:00:00Z",
}


def answer(verdict: str = "allow", *, permit: Any = None, attestation: Any = None, **members: Any) -> dict[str, Any]:
    return {
        "permit": permit,
        "decision": decision(verdict, **members),
        "attestation": attestation,
        "break_glass_record": None,
    }


def test_an_allow_ends_with_0_and_the_permit(tmp_path: Path) -> None:
    """The envelope is written, and `--quiet` prints the id for the step that deploys."""
    file, output = tmp_path / "permit.json", tmp_path / "outputs"
    with serving(Said(201, answer(permit=PERMIT, attestation=ENVELOPE))) as server:
        ended = ask(server, "permit", *CHECK, "-q", "-o", str(file), GITHUB_OUTPUT=str(output)).expect(0)

    assert ended.out == f"{PERMIT['id']}\n"
    assert json.loads(file.read_text()) == ENVELOPE
    assert f"permit={PERMIT['id']}\n" in output.read_text()
    assert json.loads(server.asked[0].body)["valid_for_s"] == 900


@pytest.mark.parametrize(("verdict", "code", "signed"), [("wait", 10, None), ("deny", 20, ENVELOPE)])
def test_without_an_allow_no_old_permit_is_left(tmp_path: Path, verdict: str, code: int, signed: Any) -> None:
    """It ends like `check`; a denial that was signed is written, and what an earlier run wrote is gone."""
    file = tmp_path / "permit.json"
    file.write_text("an old one")
    with serving(Said(200, answer(verdict, rules=RULES, attestation=signed))) as server:
        ask(server, "permit", *CHECK, "--attest-denial", "--output", str(file)).expect(code)

    assert file.exists() is (signed is not None)


@pytest.mark.parametrize(
    "body",
    [
        answer(),
        answer(permit=PERMIT),
        answer(permit=PERMIT, attestation="signed"),
        answer(permit="yes", attestation=ENVELOPE),
        answer("wait", permit=PERMIT, attestation=ENVELOPE),
        *(
            answer(permit={**PERMIT, **other}, attestation=ENVELOPE)
            for other in (
                {"digest": f"sha256:{'b' * 64}"},
                {"environment": "staging"},
                {"service": "api"},
                {"action": "rollback"},
                {"slot": "green"},
                {"state": "revoked"},
                {"id": 7},
            )
        ),
        decision(),
    ],
)
def test_what_is_no_permit_lets_nothing_through(body: Any) -> None:
    """An allow alone is not enough: there must be an open, signed permit for exactly what was asked."""
    with serving(Said(201, body)) as server:
        ended = ask(server, "permit", *CHECK, "-q").expect(3)

    assert ended.out == ""


def test_it_waits_for_the_permit() -> None:
    """While the answer is wait it asks again as soon as there is news."""
    waits = Said(200, answer("wait", rules=RULES[:2]))
    allowed = Said(201, answer(permit=PERMIT, attestation=ENVELOPE))
    with serving(waits, Said(body={"changed": True, "seq": 2}), allowed, POLICY) as server:
        ended = ask(server, "permit", *CHECK, "--wait", "1m", "-q").expect(0)

    assert ended.out == f"{PERMIT['id']}\n"
    assert [one.path.rpartition("/")[2].partition("?")[0] for one in server.asked] == ["permits", "news", "permits"]
    assert server.asked[0].headers["idempotency-key"] != server.asked[2].headers["idempotency-key"]


def test_a_permit_for_longer_is_a_usage_error() -> None:
    """Nothing is asked."""
    with serving(Said()) as server:
        ask(server, "permit", *CHECK, "--valid-for", "16m").expect(2)

    assert server.asked == []


class Signed:
    """A key, and envelopes that it signed, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key: SigningKey = new_key()
        self.pem = folder / "greenroom.pem"
        self.pem.write_text(self.key.public_key)

    def granted(self, **members: Any) -> Granted:
        made: dict[str, Any] = decision(**members)
        return Granted("shop", made, "/decisions/1", datetime.now(UTC), permit="/permits/1", expires_at=SOON)

    def write(self, statement: dict[str, Any], name: str = "permit.json", key: SigningKey | None = None) -> Path:
        key = key or self.key
        file = self.folder / name
        file.write_bytes(envelope_of(statement, key.key_id, key.private_key))
        return file

    def verified(self, file: Path, *more: str, **variables: str) -> Ended:
        """No server is there, and nobody is logged in."""
        where = ("--project", "shop", *CHECK, "--verifier", VERIFIER.id, "--key", str(self.pem))
        return Inside(GREENROOM_URL="", GREENROOM_TOKEN="", **variables).run("gate", "verify", str(file), *where, *more)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


def test_a_permit_is_verified_without_a_server(signed: Signed) -> None:
    """A pinned key has signed it, and all of it is as wanted."""
    file = signed.write(verdict_statement(VERIFIER, signed.granted()))

    assert signed.verified(file).expect(0).out.startswith("verified: greenroom://shop/web/production?action=deploy")


@pytest.mark.parametrize(
    "other",
    [
        ("--environment", "staging"),
        ("--project", "another"),
        ("--service", "api"),
        ("--slot", "green"),
        ("--action", "rollback"),
        ("--digest", f"sha256:{'b' * 64}"),
        ("--verifier", "https://evil.example"),
    ],
)
def test_a_permit_for_something_else_is_refused(signed: Signed, other: tuple[str, str]) -> None:
    """A pass for one place, build or action is none for another."""
    file = signed.write(verdict_statement(VERIFIER, signed.granted()))

    assert "refused: " in signed.verified(file, *other).expect(20).out


def test_mutated_bytes_are_refused(signed: Signed) -> None:
    """Whatever byte of what was signed is another one, nothing is believed."""
    file = signed.write(verdict_statement(VERIFIER, signed.granted()))
    envelope = json.loads(file.read_text())
    payload = base64.b64decode(envelope["payload"])
    for at in range(0, len(payload), 97):
        changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        file.write_text(json.dumps({**envelope, "payload": base64.b64encode(changed).decode()}))
        assert "none of the keys" in signed.verified(file).expect(20).out
    file.write_text(json.dumps({**envelope, "payloadType": "application/vnd.in-toto+xml"}))
    assert "none of the keys" in signed.verified(file).expect(20).out


def _is_expired(statement: dict[str, Any]) -> None:
    statement["predicate"]["greenroom_expiresAt"] = "2026-01-01T00:00:00+00:00"


def _is_failed(statement: dict[str, Any]) -> None:
    statement["predicate"]["verificationResult"] = "FAILED"


def _has_no_permit(statement: dict[str, Any]) -> None:
    del statement["predicate"]["greenroom_permit"]


def _is_of_another_kind(statement: dict[str, Any]) -> None:
    statement["predicateType"] = "https://slsa.dev/provenance/v1"


def _is_no_statement(statement: dict[str, Any]) -> None:
    statement["_type"] = "https://in-toto.io/Statement/v0.1"


def _has_no_predicate(statement: dict[str, Any]) -> None:
    statement["predicate"] = "PASSED"


@pytest.mark.parametrize(
    "change", [_is_expired, _is_failed, _has_no_permit, _is_of_another_kind, _is_no_statement, _has_no_predicate]
)
def test_what_was_signed_must_say_the_right_thing(signed: Signed, change: Callable[[dict[str, Any]], None]) -> None:
    """A good signature under the wrong statement is no permit."""
    statement = verdict_statement(VERIFIER, signed.granted())
    change(statement)

    signed.verified(signed.write(statement)).expect(20)


def test_another_key_has_not_signed_it(signed: Signed) -> None:
    """A key of somebody else signs for nobody here, whatever key id the envelope names."""
    other = new_key()
    forged = SigningKey(signed.key.key_id, other.private_key, other.public_key)

    signed.verified(signed.write(verdict_statement(VERIFIER, signed.granted()), key=forged)).expect(20)


def test_an_older_one_is_taken_when_asked(signed: Signed) -> None:
    """What runs already is checked by its age, and not by until when it could be deployed."""
    statement = verdict_statement(VERIFIER, signed.granted())
    _is_expired(statement)
    file = signed.write(statement)

    signed.verified(file, "--max-age", "1h").expect(0)
    statement["predicate"]["timeVerified"] = "2026-01-01T00:00:00+00:00"
    signed.verified(signed.write(statement), "--max-age", "1h").expect(20)


def test_a_break_glass_is_taken_only_when_asked(signed: Signed) -> None:
    """It failed; with the record of the break-glass that let this very permit through it is taken."""
    granted = signed.granted(break_glass="1")
    file = signed.write(verdict_statement(VERIFIER, granted))
    record = signed.write(break_glass_statement(VERIFIER, granted, GLASS), "record.json")
    other = break_glass_statement(VERIFIER, granted, GLASS)
    other["predicate"]["greenroom_permit"] = "/permits/2"

    signed.verified(file).expect(20)
    assert "by break-glass" in signed.verified(file, "--break-glass", str(record)).expect(0).out
    signed.verified(file, "--break-glass", str(file)).expect(20)
    signed.verified(file, "--break-glass", str(signed.write(other, "other.json"))).expect(20)


@pytest.mark.parametrize("content", ["{}", "[]", "null", "no JSON", '{"payloadType": "x", "payload": "?"}'])
def test_what_is_no_envelope_is_refused(signed: Signed, content: str) -> None:
    """Whatever is in the file, it is not believed and not stumbled over."""
    file = signed.folder / "permit.json"
    file.write_text(content)

    signed.verified(file).expect(20)


def test_what_is_no_key_is_a_usage_error(signed: Signed) -> None:
    """A wrong key must not look like a wrong permit."""
    file = signed.write(verdict_statement(VERIFIER, signed.granted()))
    signed.pem.write_text("no key")

    signed.verified(file).expect(2)
