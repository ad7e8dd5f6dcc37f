"""DevCycle's local bucketing (WebAssembly), fed by a loopback server. No prerequisites; lists are audiences."""

from typing import Any

from devcycle_python_sdk import DevCycleLocalClient, DevCycleLocalOptions
from devcycle_python_sdk.models.user import DevCycleUser
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, STRINGS, Clause, Flag, flags
from tests.bench.peers.peer import Loopback, Peer, Read, wait_until

TYPES = {"w1": "Boolean", "w2": "String", "w3": "Boolean", "w4": "Boolean", "w5": "JSON"}
DEFAULTS: Json = {"W1": False, "W2": "v0", "W3": False, "W4": False, "W5": {"x": 1}}
COMPARATORS = {"in": "=", "eq": "=", "semver_gte": ">=", "ends_with": "endWith", "gt": ">"}
EVERYONE: list[Json] = [{"type": "all", "values": [], "filters": []}]


def _id(number: int) -> str:
    return f"{number:024x}"


def _filter(clause: Clause) -> Json:
    values = clause.operand if isinstance(clause.operand, list) else [clause.operand]
    made: Json = {"type": "user", "comparator": COMPARATORS[clause.op], "values": values, "filters": []}
    if clause.attribute in ("country", "email", "appVersion"):
        return {**made, "subType": clause.attribute}
    type_ = "Number" if clause.attribute == "age" else "String"
    return {**made, "subType": "customData", "dataKey": clause.attribute, "dataKeyType": type_}


def _values(flag: Flag) -> Json:
    if flag.kind == "w2":
        return {one: one for one in STRINGS}
    return PAYLOADS if flag.kind == "w5" else {"on": True, "off": False}


def _targets(flag: Flag) -> list[tuple[list[Json], dict[str, float]]]:
    """Who gets what, first match first: filters, and the share of each variation."""
    if flag.kind == "w1":
        return [(EVERYONE, {"on" if flag.is_on else "off": 1})]
    if flag.kind == "w2":
        rules = [([_filter(clause) for clause in rule.clauses], {rule.variant: 1.0}) for rule in flag.rules]
        return [*rules, (EVERYONE, {"v0": 1.0})]
    if flag.kind == "w3":
        return [(EVERYONE, {"on": 0.25, "off": 0.75})]
    if flag.kind == "w4":
        audience = _id(900_000 + list(SEGMENTS).index(flag.segment))
        match = {"type": "audienceMatch", "comparator": "=", "_audiences": [audience], "filters": []}
        return [([match], {"on": 1.0}), (EVERYONE, {"off": 1.0})]
    return [(EVERYONE, {variant: share / 100 for variant, share in SHARES.items()})]


def _feature(flag: Flag) -> Json:
    number, values = flag.number, _values(flag)
    ids = {name: _id(200_000 + number * 10 + position) for position, name in enumerate(values)}
    variable = _id(100_000 + number)
    targets = [
        {
            "_id": _id(500_000 + number * 10 + position),
            "_audience": {
                "_id": _id(700_000 + number * 10 + position),
                "filters": {"operator": "and", "filters": filters},
            },
            "distribution": [{"_variation": ids[name], "percentage": share} for name, share in shares.items()],
        }
        for position, (filters, shares) in enumerate(_targets(flag))
    ]
    return {
        "_id": _id(300_000 + number),
        "key": f"f-{flag.key}",
        "type": "release",
        "variations": [
            {"_id": ids[name], "key": name, "name": name, "variables": [{"_var": variable, "value": value}]}
            for name, value in values.items()
        ],
        "configuration": {"_id": _id(400_000 + number), "targets": targets, "forcedUsers": {}},
    }


def _config() -> Json:
    colors = {"primary": "", "secondary": ""}
    opt_in = {"enabled": False, "title": "", "description": "", "imageURL": "", "colors": colors}
    settings = {"edgeDB": {"enabled": False}, "optIn": opt_in, "disablePassthroughRollouts": False}
    audiences = {}
    for number, ids in enumerate(SEGMENTS.values()):
        listed = {"type": "user", "subType": "user_id", "comparator": "=", "values": ids, "filters": []}
        audiences[_id(900_000 + number)] = {"filters": {"operator": "and", "filters": [listed]}}
    return {
        "project": {"_id": _id(1), "key": "p", "a0_organization": "org", "settings": settings},
        "environment": {"_id": _id(2), "key": "production"},
        "features": [_feature(flag) for flag in flags()],
        "variables": [
            {"_id": _id(100_000 + flag.number), "key": flag.key, "type": TYPES[flag.kind]} for flag in flags()
        ],
        "audiences": audiences,
        "variableHashes": {flag.key: flag.number + 1 for flag in flags()},
    }


class Adapter(Peer):
    packages = ("devcycle-python-server-sdk",)
    has_prerequisites = False
    omits_off = True

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        self._server = Loopback(_config(), {"ETag": "e1", "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
        options = DevCycleLocalOptions(
            config_cdn_uri=f"{self._server.url}/",
            events_api_uri=f"{self._server.url}/",
            disable_automatic_event_logging=True,
            disable_custom_event_logging=True,
            disable_realtime_updates=True,
            config_polling_interval_ms=3_600_000,
            event_flush_interval_ms=3_600_000,
        )
        client = DevCycleLocalClient("dvc_server_x", options)
        # It says that it is initialised before its module has taken the config.
        wait_until(lambda: client.is_initialized() and client.local_bucketing.get_config_metadata(), "not ready")
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        reads = {
            workload: Read(
                f"read(c, {key!r}, default)",
                {"read": client.variable_value, "default": DEFAULTS[workload]},
                users,
                asking,
            )
            for workload, key in KEYS.items()
        }
        reads["W6"] = Read("read_all(c)", {"read_all": client.all_variables}, users[:10], plain=_plain)
        return reads

    def close(self) -> None:
        self._server.close()


def _user(who: Json) -> Any:
    return DevCycleUser(
        user_id=who["targetingKey"],
        email=who["email"],
        country=who["country"],
        appVersion=who["appVersion"],
        customData={"plan": who["plan"], "age": who["age"]},
    )


def _plain(answer: Json) -> Json:
    return {key: variable.value for key, variable in answer.items()}
