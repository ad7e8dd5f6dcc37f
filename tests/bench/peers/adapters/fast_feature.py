"""fast-feature's engine on flags in a dictionary. No prerequisites; lists stand inside the flags."""

from fast_feature.core.flag import Flag as Native
from fast_feature.engine import TargetingEngine
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.adapters.json_logic import string_targeting
from tests.bench.peers.flags import PAYLOADS, SEGMENTS, SHARES, STRINGS, Flag, flags
from tests.bench.peers.peer import Peer, Read


def _flag(flag: Flag) -> Json:
    made: Json = {"key": flag.key, "variants": {"on": True, "off": False}, "default_variant": "off"}
    if flag.kind == "w1":
        return {**made, "default_variant": "on" if flag.is_on else "off"}
    if flag.kind == "w2":
        variants = {one: one for one in STRINGS}
        return {**made, "variants": variants, "default_variant": "v0", "targeting": string_targeting(flag)}
    if flag.kind == "w3":
        return {**made, "targeting": {"fractional": [["on", 25], ["off", 75]]}}
    if flag.kind == "w4":
        return {**made, "targeting": {"if": [{"in": [{"var": "targetingKey"}, SEGMENTS[flag.segment]]}, "on", "off"]}}
    shares = [[variant, share] for variant, share in SHARES.items()]
    return {**made, "variants": PAYLOADS, "default_variant": "a", "targeting": {"fractional": shares}}


class Adapter(Peer):
    packages = ("fast-feature-engine",)
    has_prerequisites = False

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        names = {
            "evaluate": TargetingEngine().evaluate,
            "flags": {flag.key: Native(**_flag(flag)) for flag in flags()},
        }
        reads = {
            workload: Read(f"evaluate(flags[{key!r}], c).value", names, people, probes)
            for workload, key in KEYS.items()
        }
        reads["W6"] = Read("{k: evaluate(f, c).value for k, f in flags.items()}", names, people[:10])
        return reads
