"""What the metadata service answers to a request. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from dryport.host.messages import Metadata
from dryport.host.metadata.tokens import LONGEST, Tokens

TOKEN = "x-aws-ec2-metadata-token"
TTL = "x-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_PATH = "latest/api/token"
_VERSIONS = (
    "1.0",
    *("2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01"),
    *("2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20"),
    *("2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01"),
    *("2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24", "2024-04-11", "latest"),
)
_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Not Allowed",
}


class Question(NamedTuple):
    """A request: header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Reply(NamedTuple):
    """An answer. ``hop_limit`` is the IP TTL that it leaves with, 0 for the usual one."""

    status: int
    body: bytes
    kind: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    hop_limit: int = 0


def reply(question: Question, instance_id: str, metadata: Metadata, tokens: Tokens, now: float) -> Reply:
    """The answer to an instance."""
    path = question.path.partition("?")[0].lstrip("/")
    if not metadata.enabled:
        return _refusal(403)
    if path.rstrip("/") == _TOKEN_PATH:
        return _token(question, instance_id, metadata, tokens, now)
    if question.method not in ("GET", "HEAD"):
        return _refusal(405, ("Allow", "OPTIONS, GET, HEAD"))
    headers: tuple[tuple[str, str], ...] = ()
    if TOKEN in question.headers:
        left = tokens.left(question.headers[TOKEN], instance_id, now)
        if not left:
            return _refusal(401)
        headers = (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", str(left)),)
    elif metadata.tokens_required:
        return _refusal(401)
    body = _find(path, metadata)
    return _refusal(404) if body is None else Reply(200, body, headers=headers)


def _token(question: Question, instance_id: str, metadata: Metadata, tokens: Tokens, now: float) -> Reply:
    if question.method != "PUT":
        return _refusal(405, ("Allow", "OPTIONS, PUT"))
    if "x-forwarded-for" in question.headers:
        return _refusal(403)
    ttl = question.headers.get(TTL, "")
    if not (ttl.isascii() and ttl.isdigit() and 1 <= int(ttl) <= LONGEST):
        return _refusal(400)
    made = tokens.issue(instance_id, int(ttl), now)
    told = (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl),)
    return Reply(200, made.encode(), headers=told, hop_limit=metadata.hop_limit)


def _find(path: str, metadata: Metadata) -> bytes | None:
    """A leaf's value, or a directory's listing, below any version; ``None`` where there is nothing."""
    if not path:
        return "\n".join(_VERSIONS).encode()
    version, _, rest = path.partition("/")
    if version not in _VERSIONS:
        return None
    if rest == "user-data":
        return metadata.user_data
    leaf = metadata.tree.get(rest)
    if leaf is not None:
        return leaf.encode()
    listed = _directories(frozenset(metadata.tree), metadata.user_data is not None).get(rest.rstrip("/"))
    return None if listed is None else listed.encode()


@functools.lru_cache(maxsize=64)
def _directories(leaves: frozenset[str], user_data: bool) -> dict[str, str]:
    """Every directory's listing: directories in it end with a slash."""
    found: dict[str, set[str]] = {"": {"user-data"} if user_data else set()}
    for leaf in leaves:
        parts = leaf.strip("/").split("/")
        for depth, name in enumerate(parts):
            above = "/".join(parts[:depth])
            found.setdefault(above, set()).add(name if depth == len(parts) - 1 else f"{name}/")
    # Where a directory's own listing was given (``meta-data/public-keys/``), it is a leaf whose name ends so.
    for leaf in leaves:
        if leaf.endswith("/"):
            above, _, name = leaf.rstrip("/").rpartition("/")
            found[above] = found[above] - {name} | {f"{name}/"}
    # The top is listed without slashes.
    found[""] = {name.rstrip("/") for name in found[""]}
    return {path: "\n".join(sorted(names)) for path, names in found.items()}


def _refusal(status: int, *headers: tuple[str, str]) -> Reply:
    title = f"{status} - {_REASONS[status]}"
    page = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">\n'
        f" <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n </body>\n</html>\n"
    )
    return Reply(status, page.encode(), "text/html", headers)
