"""Which endpoint of the distribution API a path is. Pure.

Source: OCI distribution specification 1.1, "Endpoints".
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

_PATH = re.compile(
    r"/v2/(?P<name>.+)/(?:"
    r"(?P<manifests>manifests)/(?P<reference>[^/]+)"
    r"|(?P<uploads>blobs/uploads)(?:/(?P<upload>[^/]*))?"
    r"|(?P<blobs>blobs)/(?P<digest>[^/]+)"
    r"|(?P<tags>tags/list)"
    r"|(?P<referrers>referrers)/(?P<subject>[^/]+)"
    r")"
)


class Route(NamedTuple):
    """``kind`` is ``base``, ``catalog``, ``manifests``, ``blobs``, ``uploads``, ``tags`` or ``referrers``.

    ``name`` is the repository, ``target`` the tag, digest or upload that the path ends in. Neither is checked yet.
    """

    kind: str
    name: str = ""
    target: str = ""


def parse(path: str) -> Route | None:
    """The endpoint of a percent-encoded path, or ``None`` where there is none."""
    path = unquote(path, errors="replace")
    if path in ("/v2", "/v2/"):
        return Route("base")
    if path == "/v2/_catalog":
        return Route("catalog")
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    kind = next(kind for kind in ("manifests", "uploads", "blobs", "tags", "referrers") if match[kind])
    target = match["reference"] or match["upload"] or match["digest"] or match["subject"] or ""
    return Route(kind, match["name"], target)
