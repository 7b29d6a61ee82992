"""Users' text in HAProxy's configuration: patterns mean what AWS's mean, and nothing else means anything."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.elb.dataplane.words import regex
from dryport.host.haproxy_words import quoted

TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=12)
PATTERN = st.text(st.sampled_from("ab/.*?$'\"\\ "), max_size=8)


def _matches(pattern: str, text: str) -> bool:
    """The patterns' meaning, the plain way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_matches(pattern[1:], text[place:]) for place in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and _matches(pattern[1:], text[1:])


@given(PATTERN, st.text(st.sampled_from("ab/.$'\"\\ "), max_size=6))
def test_stars_and_question_marks(pattern: str, text: str) -> None:
    found = re.fullmatch(regex(pattern), text, re.DOTALL)
    assert (found is not None) == _matches(pattern, text)


@given(TEXT)
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    escaped = "".join(f"\\{character}" for character in text)
    assert re.fullmatch(regex(escaped, escapes=True), text, re.DOTALL)
    assert not re.fullmatch(regex(escaped, escapes=True), text + "x", re.DOTALL)


@given(st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"])))
def test_nothing_ends_a_word(text: str) -> None:
    word = quoted(text)
    inside = word[1:-1]
    assert not set(inside) & set("\"$'\n\r#")
    assert re.sub(rb"\\x(..)", lambda found: bytes([int(found[1], 16)]), inside.encode()).decode() == text


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")
