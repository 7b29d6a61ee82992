"""A failed pull in the words that Fargate uses.

The source of the words: "CannotPullContainer task errors in Amazon ECS", Amazon ECS Developer Guide. Fargate shows
containerd's own message after how often it tried.
"""

from __future__ import annotations

import re

_WRAPPED = re.compile(r'^failed to pull and unpack image "[^"]*": ')
_RESOLVE = re.compile(r'failed to resolve reference "([^"]*)"')
# Worth another try: the registry was not reached, or was not well. Everything else stays as it is.
_TRANSIENT = re.compile(
    r"connection refused|connection reset|i/o timeout|TLS handshake timeout|EOF|no route to host|network is unreachable"
    r"|Temporary failure in name resolution|server misbehaving|unexpected status code \S+: 5\d\d|status: 5\d\d|\b429\b"
)


def words(message: str, retries: int) -> str:
    """containerd's message as Fargate shows it after ``retries`` further attempts."""
    inner = _WRAPPED.sub("", message)
    if _RESOLVE.search(inner):
        what = "pull image manifest"
        inner = _RESOLVE.sub(r"failed to resolve ref \1", inner)
    else:
        what = "ref pull"
    return f"{what} has been retried {retries} time(s): {inner}"


def transient(message: str) -> bool:
    """Whether the same pull may succeed a little later."""
    return bool(_TRANSIENT.search(message))
