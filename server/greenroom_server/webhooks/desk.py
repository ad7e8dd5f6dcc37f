"""What the verbs and the sender share: where may be sent to, and how secrets are kept."""

from dataclasses import dataclass

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.sealing import Sealer
from greenroom_server.webhooks.address import Egress, Refused


@dataclass(frozen=True, slots=True)
class Desk:
    """Made once by the composition root."""

    egress: Egress
    sealer: Sealer

    def check_url(self, url: str, *, at: str = "/url") -> None:
        """Raises `Invalid`, naming the member `at`, for a URL that nothing may be sent to, as far as its text tells."""
        try:
            self.egress.target_of(url)
        except Refused as error:
            raise Invalid(errors=[FieldError(at, f"`url`: {error}")]) from None
