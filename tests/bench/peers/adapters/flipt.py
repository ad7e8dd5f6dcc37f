"""Flipt's client (its core is Rust, reached with JSON), fed by a loopback server.

No prerequisites and no versions: W2 compares the major version as a number. Values of a context are texts.
"""

import datetime
import json
from typing import Any

from flipt_client import FliptClient
from flipt_client.models import ClientOptions, EvaluationRequest
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, Clause, Flag, attributes, flags
from tests.bench.peers.peer import Loopback, Peer, Read

TEXT, NUMBER = "STRING_CONSTRAINT_COMPARISON_TYPE", "NUMBER_CONSTRAINT_COMPARISON_TYPE"
ENTITY = "ENTITY_ID_CONSTRAINT_COMPARISON_TYPE"


def _constraint(clause: Clause) -> Json:
    operand = clause.operand
    if clause.op == "semver_gte":
        return {"type": NUMBER, "property": "major", "operator": "gte", "value": operand.split(".")[0]}
    type_, operator, value = {
        "in": (TEXT, "isoneof", json.dumps(operand)),
        "eq": (TEXT, "eq", operand),
        "ends_with": (TEXT, "suffix", operand),
        "gt": (NUMBER, "gt", str(operand)),
    }[clause.op]
    return {"type": type_, "property": clause.attribute, "operator": operator, "value": value}


def _segment(key: str, constraints: list[Json]) -> Json:
    numbered = [{"id": f"{key}-{number}", **one} for number, one in enumerate(constraints)]
    match = {"matchType": "ALL_SEGMENT_MATCH_TYPE", "constraints": numbered}
    return {"key": key, "name": key, "description": "", **match}


def _rule(id_: str, rank: int, segment: Json, distributions: list[tuple[str, int, str]]) -> Json:
    return {
        "id": id_,
        "rank": rank,
        "segmentOperator": "OR_SEGMENT_OPERATOR",
        "segments": [segment],
        "distributions": [
            {
                "id": f"{id_}-{variant}",
                "ruleId": id_,
                "variantId": variant,
                "variantKey": variant,
                "variantAttachment": attachment,
                "rollout": share,
            }
            for variant, share, attachment in distributions
        ],
    }


def _flag(flag: Flag) -> Json:
    key = flag.key
    made: Json = {"key": key, "name": key, "description": "", "enabled": flag.is_on, "rules": [], "rollouts": []}
    boolean, variant = {**made, "type": "BOOLEAN_FLAG_TYPE"}, {**made, "type": "VARIANT_FLAG_TYPE"}
    if flag.kind == "w1":
        return boolean
    if flag.kind == "w2":
        rules = [
            _rule(
                f"{key}-r{number}",
                number + 1,
                _segment(f"{key}-s{number}", [_constraint(clause) for clause in rule.clauses]),
                [(rule.variant, 100, "")],
            )
            for number, rule in enumerate(flag.rules)
        ]
        return {**variant, "rules": rules}
    if flag.kind == "w3":
        threshold = {"type": "THRESHOLD_ROLLOUT_TYPE", "rank": 1, "threshold": {"percentage": 25, "value": True}}
        return {**boolean, "enabled": False, "rollouts": [threshold]}
    listed = {"type": ENTITY, "property": "entityId"}
    if flag.kind == "w4":
        members = {**listed, "operator": "isoneof", "value": json.dumps(SEGMENTS[flag.segment])}
        segment = {
            "value": True,
            "segmentOperator": "OR_SEGMENT_OPERATOR",
            "segments": [_segment(flag.segment, [members])],
        }
        rollout = {"type": "SEGMENT_ROLLOUT_TYPE", "rank": 1, "segment": segment}
        return {**boolean, "enabled": False, "rollouts": [rollout]}
    everyone = _segment(f"{key}-all", [{**listed, "operator": "notempty", "value": ""}])
    shares = [(one, share, json.dumps(PAYLOADS[one])) for one, share in SHARES.items()]
    return {**variant, "rules": [_rule(f"{key}-r", 1, everyone, shares)]}


class Adapter(Peer):
    packages = ("flipt-client",)
    has_prerequisites = False
    is_close = True

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        self._server = Loopback({"namespace": {"key": "default"}, "flags": [_flag(flag) for flag in flags()]})
        options = ClientOptions(url=self._server.url, update_interval=datetime.timedelta(hours=2))
        self._client = client = FliptClient(options)
        users = [_user(one) for one in people]
        keys = [flag.key for flag in flags()]
        names = {"on": client.evaluate_boolean, "which": client.evaluate_variant, "loads": json.loads}
        reads = {
            workload: Read(f"on({KEYS[workload]!r}, c[0], c[1]).enabled", names, users)
            for workload in ("W1", "W3", "W4")
        }
        reads["W2"] = Read(f"which({KEYS['W2']!r}, c[0], c[1]).variant_key", names, users)
        reads["W5"] = Read(f"loads(which({KEYS['W5']!r}, c[0], c[1]).variant_attachment)", names, users)
        reads["W6"] = Read(
            "read_all([R(flag_key=k, entity_id=c[0], context=c[1]) for k in keys])",
            {"read_all": client.evaluate_batch, "R": EvaluationRequest, "keys": keys},
            users[:10],
            plain=_plain,
        )
        return reads

    def close(self) -> None:
        self._client.close()
        self._server.close()


def _user(who: Json) -> tuple[str, Json]:
    texts = {name: str(value) for name, value in attributes(who).items()}
    return who["targetingKey"], {**texts, "major": who["appVersion"].split(".")[0]}


def _plain(answer: Any) -> Json:
    found: Json = {}
    for one in answer.responses:
        boolean, variant = one.boolean_evaluation_response, one.variant_evaluation_response
        if boolean is not None:
            found[boolean.flag_key] = boolean.enabled
        elif variant.flag_key.startswith("w5"):
            found[variant.flag_key] = json.loads(variant.variant_attachment)
        else:
            found[variant.flag_key] = variant.variant_key
    return found
