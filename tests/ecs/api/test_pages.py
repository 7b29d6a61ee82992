"""Pages of lists."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.ecs.api.pages import page

lists = st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=30)


@settings(deadline=None, max_examples=80)
@given(lists, st.integers(1, 10))
def test_all_pages_together_are_the_list(items: list[str], size: int) -> None:
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        chosen, token = page(items, {"maxResults": size, "nextToken": token})
        assert len(chosen) <= size
        seen += chosen
    assert seen == items


@settings(deadline=None, max_examples=80)
@given(lists, st.integers(1, 5), st.sets(st.integers(0, 29)), lists)
def test_what_comes_and_goes_meanwhile_doubles_nothing(
    items: list[str], size: int, gone: set[int], new: list[str]
) -> None:
    first, token = page(items, {"maxResults": size})
    if token is None:
        return
    # Lists are oldest first: what is new comes last.
    later = [item for number, item in enumerate(items) if number not in gone or item == first[-1]]
    later += [item for item in new if item not in items]
    rest, _ = page(later, {"nextToken": token})
    assert not set(first) & set(rest)
    assert [item for item in later if item not in first] == list(rest)


@pytest.mark.parametrize("token", ["?", "bm90IGpzb24=", "WzEsIDJd", "eyJhIjogMX0="])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(ServiceError, match=r"Invalid token\."):
        page(["a"], {"nextToken": token})


@pytest.mark.parametrize("size", [-1, 101])
def test_a_size_that_no_page_has(size: int) -> None:
    with pytest.raises(ServiceError, match="maxResults must be between 1 and 100"):
        page(["a"], {"maxResults": size})
