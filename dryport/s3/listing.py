"""Pages of keys. Pure.

Source: API reference of ListObjectsV2 and "Organizing objects using prefixes", S3 user guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Page:
    """Keys and common prefixes of a page, and ``last``, the entry after which the next one starts, if there is one."""

    keys: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str | None = None

    @property
    def count(self) -> int:
        return len(self.keys) + len(self.prefixes)


def page(keys: Iterable[str], prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Up to ``limit`` entries, in order of their UTF-8 bytes, that start with ``prefix`` and come after ``after``.

    Keys that have ``delimiter`` beyond the prefix are rolled up to one entry that ends with it.
    """
    made = Page()
    seen = after
    rolled = after.find(delimiter, len(prefix)) if delimiter and after.startswith(prefix) else -1
    skip = after if rolled >= 0 and rolled + len(delimiter) == len(after) else None
    for key in sorted((key for key in keys if key.startswith(prefix)), key=str.encode):
        if after and key.encode() <= after.encode():
            continue
        if skip and key.startswith(skip):
            continue  # within a common prefix that the page before ended with
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if end < 0 else key[: end + len(delimiter)]
        if end >= 0 and made.prefixes and made.prefixes[-1] == entry:
            continue
        if made.count >= limit:
            made.last = seen
            return made
        (made.keys if end < 0 else made.prefixes).append(entry)
        seen = entry
    return made
