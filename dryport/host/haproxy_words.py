"""Text of users' as a word of HAProxy's configuration: nothing in it can end the word or the line. Pure."""

from __future__ import annotations

import string

_PLAIN = frozenset((string.ascii_letters + string.digits).encode()) | frozenset(b" -_./:,;=<>()")


def quoted(text: str) -> str:
    """A literal word. Raises ``ValueError`` for a NUL, which HAProxy cannot hold."""
    if "\0" in text:
        raise ValueError("a NUL is not possible here")
    return '"' + "".join(chr(b) if b in _PLAIN else f"\\x{b:02x}" for b in text.encode()) + '"'
