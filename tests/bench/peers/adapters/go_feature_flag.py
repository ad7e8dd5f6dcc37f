"""GO Feature Flag, evaluated in process (WebAssembly) through OpenFeature. No prerequisites; lists inside the flags."""

from gofeatureflag_python_provider.options import GoFeatureFlagOptions
from gofeatureflag_python_provider.provider import GoFeatureFlagProvider
from openfeature import api
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.adapters.openfeature_context import openfeature_reads
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, STRINGS, Clause, Flag, flags
from tests.bench.peers.peer import Loopback, Peer, Read, wait_until


def _query(clause: Clause) -> str:
    operand = clause.operand
    if clause.op == "in":
        listed = ", ".join(f'"{one}"' for one in operand)
        return f"{clause.attribute} in [{listed}]"
    operator = {"eq": "eq", "semver_gte": "ge", "ends_with": "ew", "gt": "gt"}[clause.op]
    return f"{clause.attribute} {operator} " + (f'"{operand}"' if clause.op in ("eq", "ends_with") else f"{operand}")


def _flag(flag: Flag) -> Json:
    made: Json = {"variations": {"on": True, "off": False}, "defaultRule": {"variation": "off"}, "trackEvents": False}
    if flag.kind == "w1":
        return {**made, "defaultRule": {"variation": "on" if flag.is_on else "off"}}
    if flag.kind == "w2":
        targeting = [
            {
                "name": f"r{number}",
                "query": " and ".join(f"({_query(clause)})" for clause in rule.clauses),
                "variation": rule.variant,
            }
            for number, rule in enumerate(flag.rules)
        ]
        variations = {one: one for one in STRINGS}
        return {**made, "variations": variations, "defaultRule": {"variation": "v0"}, "targeting": targeting}
    if flag.kind == "w3":
        return {**made, "defaultRule": {"percentage": {"on": 25, "off": 75}}}
    if flag.kind == "w4":
        query = _query(Clause("targetingKey", "in", SEGMENTS[flag.segment]))
        return {**made, "targeting": [{"name": "r", "query": query, "variation": "on"}]}
    return {**made, "variations": PAYLOADS, "defaultRule": {"percentage": SHARES}}


class Adapter(Peer):
    packages = ("gofeatureflag-python-provider", "openfeature-sdk")
    has_prerequisites = False

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        document = {"flags": {flag.key: _flag(flag) for flag in flags()}, "evaluationContextEnrichment": {}}
        self._relay = Loopback(document)
        options = GoFeatureFlagOptions(
            endpoint=self._relay.url, disable_data_collection=True, flag_config_poll_interval_seconds=3600
        )
        api.set_provider(GoFeatureFlagProvider(options=options))
        client = api.get_client()
        wait_until(lambda: client.get_boolean_value(KEYS["W1"], False), "GO Feature Flag is not ready")
        return openfeature_reads(client, "get_{}_value", "", people, probes)

    def close(self) -> None:
        api.shutdown()
        self._relay.close()
