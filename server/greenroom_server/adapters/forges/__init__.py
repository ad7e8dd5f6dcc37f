"""What forges ask and are told, each in a file. Bytes in, questions and answers out.

No SQL, no clock, no sockets: whoever calls sends what is written here and hands in what came back.
"""

from collections.abc import Mapping
from typing import Final

from greenroom_server.adapters.forges.asked import Forge
from greenroom_server.adapters.forges.azure import Azure
from greenroom_server.adapters.forges.github import GitHub
from greenroom_server.adapters.forges.gitlab import GitLab

FORGES: Final[Mapping[str, Forge]] = {"github": GitHub(), "gitlab": GitLab(), "azure": Azure()}
