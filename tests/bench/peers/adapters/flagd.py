"""flagd's core in process. It has no prerequisites; lists are shared as `$evaluators`."""

import json

from openfeature.contrib.tools.flagd.core import FlagdCore
from tests.bench.engine.workload import Json
from tests.bench.peers.adapters.json_logic import string_targeting
from tests.bench.peers.adapters.openfeature_context import openfeature_reads
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, STRINGS, Flag, flags
from tests.bench.peers.peer import Peer, Read


def _flag(flag: Flag) -> Json:
    made: Json = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    if flag.kind == "w1":
        return {**made, "defaultVariant": "on" if flag.is_on else "off"}
    if flag.kind == "w2":
        variants = {one: one for one in STRINGS}
        return {**made, "variants": variants, "defaultVariant": "v0", "targeting": string_targeting(flag)}
    if flag.kind == "w3":
        return {**made, "targeting": {"fractional": [["on", 25], ["off", 75]]}}
    if flag.kind == "w4":
        return {**made, "targeting": {"if": [{"$ref": flag.segment}, "on", "off"]}}
    shares = [[variant, share] for variant, share in SHARES.items()]
    return {**made, "variants": PAYLOADS, "defaultVariant": "a", "targeting": {"fractional": shares}}


class Adapter(Peer):
    packages = ("openfeature-flagd-core",)
    has_prerequisites = False

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        core = FlagdCore()
        shared = {key: {"in": [{"var": "targetingKey"}, ids]} for key, ids in SEGMENTS.items()}
        core.set_flags(json.dumps({"flags": {flag.key: _flag(flag) for flag in flags()}, "$evaluators": shared}))
        return openfeature_reads(core, "resolve_{}_value", ".value", people, probes)
