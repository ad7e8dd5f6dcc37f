"""What an application would report."""

from collections.abc import Mapping

from tests.api.exposures.batches import batch, count, exposure
from tests.blackbox.authoring import Author
from tests.blackbox.cli.conftest import Shop


def report(shop: Shop, project: str, *, subjects: Mapping[str, str], flag: str, build: str = "") -> None:
    """Each subject was served its variant of the flag in production just now."""
    with Author(shop.server.url, shop.tokens["ADMIN_TOKEN"]) as author:
        key = author.sdk_key(project, "production")
    document = batch(
        exposures=[exposure(subject, flag=flag, variant=variant) for subject, variant in subjects.items()],
        counts=[count(1, flag=flag, variant=variant) for variant in subjects.values()],
    )
    document["instance"]["build"] = build
    with Author(shop.server.url, key) as application:
        application.send("POST", "/api/v1/sdk/exposures", document)
