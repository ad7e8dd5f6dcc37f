"""What the verbs on permits share."""

from dataclasses import dataclass

from greenroom_server.decisions.service_look import Shelves
from greenroom_server.permits.statements import Verifier
from greenroom_server.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Desk:
    """Made once by the composition root."""

    shelves: Shelves
    sealer: Sealer
    verifier: Verifier
