"""Regular expressions of filter patterns, by RE2: their cost is linear in the message, whatever the expression."""

from __future__ import annotations

import re
from collections.abc import Callable

from dryport.aws.errors import ServiceError

# The user guide's list: alphanumerics, symbols and operators; no groups, no spaces, nothing beyond ASCII.
_SYNTAX = re.compile(r"(?:[A-Za-z0-9_:#=@/;,\-^$?\[\]{}|*+.]|\\[dDsSwW]|\\x[0-9a-fA-F]{2}|\\[^A-Za-z0-9\s])+")


def compiled(expression: str) -> Callable[[str], bool]:
    """Whether a text holds a match. Raises ServiceError where the expression is not supported."""
    import re2  # only where a pattern has one: it takes memory

    supported = _SYNTAX.match(expression)
    end = supported.end() if supported else 0
    if end < len(expression) or not expression:
        raise ServiceError("InvalidParameterException", f"Invalid character(s) in term '{expression[end : end + 1]}'")
    options = re2.Options()
    options.log_errors = False
    try:
        # On bytes (which it takes as UTF-8), for which its wrapper does not work out positions in the text.
        search = re2.compile(expression.encode(), options=options).search
    except re2.error as error:
        raise ServiceError("InvalidParameterException", "Invalid regular expression in the filter pattern") from error
    return lambda text: search(text.encode()) is not None
