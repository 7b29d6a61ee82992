"""Which tags may be moved to another image. Pure.

Source: "Preventing image tags from being overwritten in Amazon ECR", ECR user guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dryport.ecr.model import Repository

MAX_WILDCARDS = 2  # in one exclusion filter


def matches(pattern: str, tag: str) -> bool:
    """Whether a tag fits a filter, in which ``*`` stands for any characters, none included."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), tag) is not None


def _excluded(patterns: Iterable[str], tag: str) -> bool:
    return any(matches(pattern, tag) for pattern in patterns)


def is_immutable(repository: Repository, tag: str) -> bool:
    """Whether a tag that exists must stay with its image."""
    match repository.tag_mutability:
        case "IMMUTABLE":
            return True
        case "IMMUTABLE_WITH_EXCLUSION":
            return not _excluded(repository.tag_exclusions, tag)
        case "MUTABLE_WITH_EXCLUSION":
            return _excluded(repository.tag_exclusions, tag)
        case _:
            return False
