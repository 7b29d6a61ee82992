"""Staging labels, whatever is done to them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.secretsmanager import stages

VERSIONS = st.sampled_from(["v1", "v2", "v3", "v4"])
LABELS = st.sampled_from([stages.CURRENT, stages.PREVIOUS, "AWSPENDING", "mine"])
STEPS = st.one_of(
    st.tuples(st.just("add"), VERSIONS, st.none() | st.lists(LABELS, min_size=1)),
    st.tuples(st.just("move"), LABELS, st.tuples(st.none() | VERSIONS, st.none() | VERSIONS)),
)


@given(st.lists(STEPS, max_size=30))
def test_there_is_always_a_current_version_once_there_is_one(steps: list[tuple[str, Any, Any]]) -> None:
    now: dict[str, str] = {}
    for kind, first, second in steps:
        before = dict(now)
        try:
            now = stages.add(now, first, second) if kind == "add" else stages.move(now, first, *second)
        except ServiceError:
            continue
        if stages.CURRENT in before:
            assert stages.CURRENT in now
            if now[stages.CURRENT] != before[stages.CURRENT] and kind == "move":
                assert now[stages.PREVIOUS] == before[stages.CURRENT]
        if kind == "add":
            assert stages.CURRENT in now
        by_version = stages.by_version(now)
        assert sorted(label for labels in by_version.values() for label in labels) == sorted(now)
