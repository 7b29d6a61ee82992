"""With whom an image or a snapshot is shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def shared(
    public: bool, accounts: Iterable[str], add: Iterable[Mapping[str, str]], remove: Iterable[Mapping[str, str]]
) -> tuple[bool, list[str]]:
    """Whether everybody has it, and the accounts that have it, after permissions (``Group``, ``UserId``) changed."""
    listed = dict.fromkeys(accounts)
    for each in add:
        public = public or "Group" in each
        if "UserId" in each:
            listed[each["UserId"]] = None
    for each in remove:
        public = public and "Group" not in each
        listed.pop(each.get("UserId", ""), None)
    return public, list(listed)
