"""What the OpenFeature SDK wants to be given, for the SDKs that are used through it or through its types."""

from typing import Any

from openfeature.evaluation_context import EvaluationContext
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.flags import attributes, flags
from tests.bench.peers.peer import Read

TYPES = {"w1": "boolean", "w2": "string", "w3": "boolean", "w4": "boolean", "w5": "object"}
DEFAULTS: Json = {"boolean": False, "string": "v0", "object": {}}


def openfeature_reads(client: Any, form: str, suffix: str, people: list[Json], probes: list[Json]) -> dict[str, Read]:
    """Reads through methods named by `form` (`get_{}_value`), one for each type; there is no bulk call."""
    users, asking = [_context(one) for one in people], [_context(one) for one in probes]
    methods = {kind: getattr(client, form.format(type_)) for kind, type_ in TYPES.items()}
    defaults = {kind: DEFAULTS[type_] for kind, type_ in TYPES.items()}
    reads = {}
    for workload, key in KEYS.items():
        kind = workload.lower()
        names = {"read": methods[kind], "default": defaults[kind]}
        reads[workload] = Read(f"read({key!r}, default, c){suffix}", names, users, asking)
    todo = [(flag.key, methods[flag.kind], defaults[flag.kind]) for flag in flags()]
    reads["W6"] = Read("{k: read(k, d, c)%s for k, read, d in todo}" % suffix, {"todo": todo}, users[:10])  # noqa: UP031
    return reads


def _context(who: Json) -> Any:
    return EvaluationContext(who["targetingKey"], attributes(who))
