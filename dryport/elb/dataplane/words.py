"""Text of users' as words of HAProxy's configuration: nothing in it can end a word, a line or an expression. Pure."""

from __future__ import annotations

import string

from dryport.host.haproxy_words import quoted

_PLAIN = frozenset((string.ascii_letters + string.digits).encode())


def template(text: str, values: dict[str, str]) -> str:
    """A log-format word: ``text`` literally, but for the ``#{…}`` of ``values``, which become expressions."""
    word = quoted(text.replace("%", "%%"))
    for keyword, expression in values.items():
        word = word.replace(quoted(keyword)[1:-1], expression)
    return word


def regex(pattern: str, many: str = ".*", one: str = ".", escapes: bool = False) -> str:
    """The regular expression, without its ends, of a pattern with ``*`` and ``?``.

    With ``escapes`` a backslash makes the character after it plain. Other characters stand as bytes, so that none means
    anything to HAProxy or to PCRE.
    """
    out: list[str] = []
    characters = iter(pattern)
    for character in characters:
        plain = character
        if escapes and character == "\\":
            plain = next(characters, "\\")
        elif character in "*?":
            out.append(many if character == "*" else one)
            continue
        out.extend(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in plain.encode())
    return "".join(out)
