"""Pages of keys, conditions and ranges, by their properties."""

from __future__ import annotations

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.s3 import conditions, listing

KEYS = st.lists(st.text(alphabet="ab/é\U0001f600", min_size=1, max_size=6), unique=True, max_size=20)


@example(["/", "/a"], "/", "/", 1)
@given(KEYS, st.text(alphabet="ab/", max_size=2), st.sampled_from(["", "/", "a/"]), st.integers(1, 5))
def test_pages_join_to_the_whole(keys: list[str], prefix: str, delimiter: str, limit: int) -> None:
    whole = listing.page(keys, prefix, delimiter, "", 10_000)
    assert whole.last is None
    found: list[str] = []
    prefixes: list[str] = []
    after = ""
    for _ in range(len(keys) + 1):
        page = listing.page(keys, prefix, delimiter, after, limit)
        assert page.count <= limit
        found += page.keys
        prefixes += page.prefixes
        if page.last is None:
            break
        after = page.last
    assert (found, prefixes) == (whole.keys, whole.prefixes)
    assert found == sorted(found, key=str.encode)
    for key in keys:
        if key.startswith(prefix):
            rolled = [one for one in prefixes if key.startswith(one)]
            assert (key in found) != bool(rolled)


@given(st.text(alphabet="bytes=-0123 ,", max_size=14), st.integers(0, 50))
def test_any_range_is_within_the_object_or_refused(text: str, size: int) -> None:
    with contextlib.suppress(ServiceError):
        wanted = conditions.byte_range(text, size)
        assert wanted is None or 0 <= wanted[0] < wanted[1] <= size
