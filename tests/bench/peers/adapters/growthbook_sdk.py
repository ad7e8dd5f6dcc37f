"""GrowthBook: its asynchronous client, and the core below it with contexts made beforehand."""

import re
from typing import Any

from growthbook import GrowthBookClient, Options
from growthbook.common_types import EvaluationContext, GlobalContext, StackContext, UserContext, features_from_dict
from growthbook.core import eval_feature
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, Clause, Flag, attributes, flags
from tests.bench.peers.peer import LOOP, Peer, Read


def _condition(clause: Clause) -> Json:
    operand = clause.operand
    wanted: Any = {
        "in": {"$in": operand},
        "eq": operand,
        "semver_gte": {"$vgte": operand},
        "ends_with": {"$regex": re.escape(str(operand)) + "$"},
        "gt": {"$gt": operand},
    }[clause.op]
    return {clause.attribute: wanted}


def _feature(flag: Flag) -> Json:
    by_id = {"hashAttribute": "id", "hashVersion": 2}
    if flag.kind == "w1":
        return {"defaultValue": flag.is_on, "rules": []}
    if flag.kind == "w2":
        rules = []
        for number, rule in enumerate(flag.rules):
            condition: Json = {}
            for clause in rule.clauses:
                condition |= _condition(clause)
            rules.append({"id": f"r{number}", "condition": condition, "force": rule.variant})
        return {"defaultValue": "v0", "rules": rules}
    if flag.kind == "w3":
        return {"defaultValue": False, "rules": [{"id": "r", "force": True, "coverage": 0.25, **by_id}]}
    if flag.kind == "w4":
        listed = {"id": "r", "condition": {"id": {"$inGroup": flag.segment}}, "force": True}
        return {"defaultValue": False, "rules": [listed]}
    experiment = {
        "id": "r",
        "key": flag.key,
        "coverage": 1,
        "parentConditions": [{"id": flag.prerequisite, "condition": {"value": True}, "gate": True}],
        "variations": list(PAYLOADS.values()),
        "weights": [share / 100 for share in SHARES.values()],
        "meta": [{"key": variant} for variant in SHARES],
        **by_id,
    }
    return {"defaultValue": None, "rules": [experiment]}


class Adapter(Peer):
    packages = ("growthbook",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        client = GrowthBookClient(Options(enabled=True))
        features = {flag.key: _feature(flag) for flag in flags()}
        LOOP.run_until_complete(client.set_payload({"features": features, "savedGroups": SEGMENTS}))
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        names = {"read": client.eval_feature, "keys": [flag.key for flag in flags()]}
        reads = {
            workload: Read(f"(await read({key!r}, c)).value", names, users, asking, is_async=True)
            for workload, key in KEYS.items()
        }
        reads["W6"] = Read("{k: (await read(k, c)).value for k in keys}", names, users[:10], is_async=True)
        return reads


class Core(Peer):
    packages = ("growthbook",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        features = features_from_dict({flag.key: _feature(flag) for flag in flags()})
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        names = {
            "read": eval_feature,
            "E": EvaluationContext,
            "S": StackContext,
            "g": GlobalContext(options=Options(), features=features, saved_groups=SEGMENTS),
            "keys": [flag.key for flag in flags()],
        }
        # The evaluation's context carries a stack of its own for each call.
        context = "E(user=c, global_ctx=g, stack=S(evaluated_features=set()))"
        reads = {
            workload: Read(f"read({key!r}, {context}).value", names, users, asking) for workload, key in KEYS.items()
        }
        reads["W6"] = Read("{k: read(k, %s).value for k in keys}" % context, names, users[:10])  # noqa: UP031
        return reads


def _user(who: Json) -> Any:
    return UserContext(attributes={**attributes(who), "id": who["targetingKey"]})
