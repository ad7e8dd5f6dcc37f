"""LaunchDarkly's server SDK on its file source, without events, and with those it sends by default."""

import logging
from contextlib import ExitStack
from typing import Any

from ldclient import Config, Context, LDClient
from ldclient.integrations import Files
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, STRINGS, Clause, Flag, attributes, flags
from tests.bench.peers.peer import Loopback, Peer, Read, file_of

DEFAULTS: Json = {"W1": False, "W2": "v0", "W3": False, "W4": False, "W5": None}
OPERATORS = {
    "in": ("in", False),
    "eq": ("in", False),
    "semver_gte": ("semVerLessThan", True),
    "ends_with": ("endsWith", False),
    "gt": ("greaterThan", False),
}


def _clause(clause: Clause) -> Json:
    operator, negate = OPERATORS[clause.op]
    values = clause.operand if isinstance(clause.operand, list) else [clause.operand]
    return _native_clause(clause.attribute, operator, values, negate=negate)


def _native_clause(attribute: str, operator: str, values: list[Any], *, negate: bool = False) -> Json:
    return {"contextKind": "user", "attribute": attribute, "op": operator, "negate": negate, "values": values}


def _rollout(weights: list[int]) -> Json:
    variations = [{"variation": number, "weight": weight} for number, weight in enumerate(weights)]
    return {"rollout": {"contextKind": "user", "bucketBy": "key", "variations": variations}}


def _rule(id_: str, variation: int, clauses: list[Json]) -> Json:
    return {"id": id_, "variation": variation, "trackEvents": False, "clauses": clauses}


def _flag(flag: Flag) -> Json:
    made: Json = {"key": flag.key, "version": 1, "on": flag.is_on, "salt": f"salt-{flag.key}", "trackEvents": False}
    made |= {"targets": [], "contextTargets": [], "prerequisites": [], "rules": []}
    made |= {"variations": [True, False], "offVariation": 1, "fallthrough": {"variation": 0}}
    if flag.kind == "w2":
        rules = [
            _rule(f"r{number}", STRINGS.index(rule.variant), [_clause(clause) for clause in rule.clauses])
            for number, rule in enumerate(flag.rules)
        ]
        return {**made, "variations": STRINGS, "offVariation": 0, "rules": rules}
    if flag.kind == "w3":
        return {**made, "fallthrough": _rollout([25_000, 75_000])}
    if flag.kind == "w4":
        listed = _native_clause("", "segmentMatch", [flag.segment])
        return {**made, "fallthrough": {"variation": 1}, "rules": [_rule("r0", 0, [listed])]}
    if flag.kind == "w5":
        made |= {"variations": [*PAYLOADS.values(), None], "offVariation": 4}
        made |= {"prerequisites": [{"key": flag.prerequisite, "variation": 0}]}
        return {**made, "fallthrough": _rollout([share * 1000 for share in SHARES.values()])}
    return made


def _document() -> Json:
    segment: Json = {"version": 1, "excluded": [], "rules": [], "deleted": False}
    return {
        "flags": {flag.key: _flag(flag) for flag in flags()},
        "segments": {key: {**segment, "key": key, "salt": key, "included": ids} for key, ids in SEGMENTS.items()},
    }


class Adapter(Peer):
    packages = ("launchdarkly-server-sdk",)

    def __init__(self) -> None:
        logging.getLogger("ldclient").setLevel(logging.ERROR)
        self._stack = ExitStack()

    def events(self) -> Json:
        return {"send_events": False}

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        path = self._stack.enter_context(file_of(_document()))
        source = Files.new_data_source([str(path)])
        config = Config("sdk-key", update_processor_class=source, diagnostic_opt_out=True, **self.events())
        client = LDClient(config, start_wait=30)
        self._stack.callback(client.close)
        users, asking = [_context(one) for one in people], [_context(one) for one in probes]
        reads = {
            workload: Read(f"read({key!r}, c, {DEFAULTS[workload]!r})", {"read": client.variation}, users, asking)
            for workload, key in KEYS.items()
        }
        names = {"client": client}
        reads["W6"] = Read("client.all_flags_state(c).to_values_map()", names, users[:10])
        return reads

    def close(self) -> None:
        self._stack.close()


class Events(Adapter):
    """Events as by default, taken by a loopback server."""

    def events(self) -> Json:
        sink = Loopback({})
        self._stack.callback(sink.close)
        return {"events_uri": sink.url}


def _context(who: Json) -> Any:
    builder = Context.builder(who["targetingKey"])
    for name, value in attributes(who).items():
        builder.set(name, value)
    return builder.build()
