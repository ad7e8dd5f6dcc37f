"""Policies as the core sees them: compiled once for each stored version, and kept while they are asked for."""

from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

import orjson

from greenroom_server.decisions.tables import PolicyVersionRow
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.policy.compiled import Policy, compile_policy, load_policy
from greenroom_server.policy.remarks import PolicyRefused

_KEPT: Final = 64


class PolicyShelf:
    """The compiled policies of the versions that were asked for last. Versions never change, so they never go stale."""

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, Policy] = OrderedDict()

    def policy_of(self, row: PolicyVersionRow) -> Policy:
        """The version's policy."""
        found = self._kept.get(row.id)
        if found is None:
            found = self._kept[row.id] = load_policy(orjson.loads(row.document), row.version)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row.id)
        return found

    def kept(self, version_id: UUID) -> Policy | None:
        """The policy of the version with this id, if it was asked for."""
        found = self._kept.get(version_id)
        if found is not None:
            self._kept.move_to_end(version_id)
        return found


def compiled(authored: Any, version: int, *, at: str = "") -> Policy:
    """The policy that somebody sent; raises `Invalid` naming every error, below the pointer `at`."""
    try:
        return compile_policy(authored, version)
    except PolicyRefused as refused:
        errors = [FieldError(at + one.path, one.message) for one in refused.remarks]
        raise Invalid("this is no policy that can decide", errors=errors, code="policy_refused") from None
