"""The life of a deployment that shifts traffic: in whatever happens, who serves is well, and every life has an end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dryport.ecs.services import stages
from dryport.ecs.services.model import Hook, Progress
from dryport.ecs.services.stages import Seen

configurations = st.one_of(
    st.just({"strategy": "BLUE_GREEN"}),
    st.builds(
        lambda percent, minutes: {
            "strategy": "CANARY",
            "canaryConfiguration": {"canaryPercent": percent / 10, "canaryBakeTimeInMinutes": minutes},
        },
        st.integers(1, 1000),
        st.integers(0, 20),
    ),
    st.builds(
        lambda percent, minutes: {
            "strategy": "LINEAR",
            "linearConfiguration": {"stepPercent": percent / 10, "stepBakeTimeInMinutes": minutes},
        },
        st.integers(30, 1000),
        st.integers(0, 20),
    ),
)


def begun(configuration: dict[str, Any], bake: int = 0, *, several: bool = False) -> Progress:
    made = stages.begin(
        {**configuration, "bakeTimeInMinutes": bake}, blue="blue", several=several, balanced=True, now=0.0
    )
    assert made is not None
    return made


@given(configurations)
def test_shares_rise_to_all(configuration: dict[str, Any]) -> None:
    shares = stages.shares(configuration)
    assert shares == sorted(set(shares)) and shares[-1] == 100.0 and shares[0] > 0
    steps = [after - before for before, after in zip([0.0, *shares], shares, strict=False)]
    if configuration["strategy"] == "LINEAR":
        percent = configuration["linearConfiguration"]["stepPercent"]
        assert all(step == pytest.approx(percent) for step in steps[:-1]) and steps[-1] <= percent + 1e-9
    else:
        assert len(shares) <= 2


@settings(max_examples=300)
@given(configurations, st.integers(0, 60), st.booleans(), st.data())
def test_green_gets_traffic_only_while_it_is_whole_and_blue_goes_last(
    configuration: dict[str, Any], bake: int, several: bool, data: st.DataObject
) -> None:
    progress = begun(configuration, bake, several=several)
    now, shifted = 0.0, None
    for _ in range(200):
        seen = Seen(strays=data.draw(st.booleans()), full=data.draw(st.booleans()))
        after = stages.advance(progress, seen, now, lambda _: [])
        assert after is not None
        if after.production != progress.production:
            assert seen.full and after.production > progress.production and after.test == 100.0
            if shifted is not None:
                assert now - shifted >= progress.pause
            shifted = now
        if after.stage == stages.CLEAN_UP and progress.stage != stages.CLEAN_UP:
            assert seen.full and after.production == 100.0 and now - (shifted or 0.0) >= 60.0 * bake
        forward = stages.ORDER.index(after.stage) - stages.ORDER.index(progress.stage)
        assert forward in (0, 1) or after.step == progress.step + 1
        assert progress.stage != stages.RECONCILE_SERVICE or forward == 0 or not seen.strays
        progress = after
        now += data.draw(st.sampled_from((0.0, 1.0, 30.0, 600.0)))


@given(configurations, st.integers(0, 1440), st.booleans())
def test_every_life_comes_to_its_end(configuration: dict[str, Any], bake: int, several: bool) -> None:
    """By waiting just as long as it says."""
    progress, now = begun(configuration, bake, several=several), 0.0
    for _ in range(500):
        if progress.stage == stages.CLEAN_UP:
            break
        after = stages.advance(progress, Seen(strays=False, full=True), now, lambda _: [])
        assert after is not None
        left = stages.left(progress, now)
        assert (after == progress) == (left > 0)
        progress, now = after, now + left
        assert not stages.failure(progress, now)
    assert (progress.stage, progress.production) == (stages.CLEAN_UP, 100.0)


@given(st.sampled_from(stages.ORDER[1:-2]), st.sampled_from(["IN_PROGRESS", "AWAITING_ACTION", "SUCCEEDED", "FAILED"]))
def test_a_stage_waits_for_its_hooks(stage: str, status: str) -> None:
    hook = Hook(id="h", stage=stage, status=status, expires_at=50.0)
    progress = replace(begun({"strategy": "BLUE_GREEN"}), stage=stage, production=0.0, hooks=[hook])
    after = stages.advance(progress, Seen(strays=False, full=True), 1000.0, lambda _: [])
    assert (after != progress) == (status == "SUCCEEDED")
    assert bool(stages.failure(progress, 1000.0)) == (status == "FAILED")
    late = replace(progress, hooks=stages.expire(progress.hooks, 60.0))
    waited = status in stages.OPEN
    assert bool(stages.failure(late, 60.0)) == (waited or status == "FAILED")
    going_on = replace(late, hooks=[replace(each, timeout_action="CONTINUE") for each in late.hooks])
    assert not waited or stages.advance(going_on, Seen(strays=False, full=True), 1000.0, lambda _: []) != going_on


def test_a_stage_that_lasts_too_long_fails() -> None:
    progress = replace(begun({"strategy": "BLUE_GREEN"}), stage=stages.SCALE_UP)
    assert not stages.failure(progress, stages.LONGEST_STAGE - 1)
    assert "SCALE_UP lifecycle stage timed out" in stages.failure(progress, stages.LONGEST_STAGE)


def test_a_rolling_deployment_after_several_only_waits_for_those() -> None:
    configuration = {"strategy": "ROLLING", "bakeTimeInMinutes": 0}
    assert stages.begin(configuration, blue="b", several=False, balanced=True, now=0.0) is None
    progress = stages.begin(configuration, blue="b", several=True, balanced=True, now=0.0)
    assert progress is not None
    assert stages.advance(progress, Seen(strays=True, full=False), 0.0, lambda _: []) == progress
    assert stages.advance(progress, Seen(strays=False, full=False), 0.0, lambda _: []) is None
