"""Targets in slots: none lost, none twice, none moved; the commands lead where the slots say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.elb.dataplane.plan import Target
from dryport.elb.dataplane.slots import Slots, assign, commands

TARGETS = st.dictionaries(st.integers(1, 30), st.booleans(), max_size=20).map(
    lambda found: [Target(address=f"10.0.0.{host}", port=80, draining=draining) for host, draining in found.items()]
)


@given(st.lists(TARGETS, min_size=1, max_size=8))
def test_targets_keep_their_slots(history: list[list[Target]]) -> None:
    slots: Slots = ()
    for targets in history:
        before, slots = slots, assign(slots, targets)
        held = [slot for slot in slots if slot is not None]
        assert sorted(held, key=repr) == sorted(targets, key=repr)
        wanted = {target.key for target in targets}
        for place, slot in enumerate(before):
            if slot is not None and slot.key in wanted:
                now = slots[place]
                assert now is not None and now.key == slot.key


@given(st.lists(TARGETS, min_size=1, max_size=8))
def test_commands_lead_to_the_slots(history: list[list[Target]]) -> None:
    slots: Slots = (None,) * 64
    servers = {place: ["0.0.0.0:80", "maint"] for place in range(1, 65)}
    for targets in history:
        before, slots = slots, assign(slots, targets)
        for command in commands("b", before, slots):
            found = re.fullmatch(r"set server b/s(\d+) (?:addr (\S+) port (\d+)|state (\w+)|health down)", command)
            assert found
            server = servers[int(found[1])]
            if found[2]:
                assert server[1] == "maint"  # a serving server's address never changes under its requests
                server[0] = f"{found[2]}:{found[3]}"
            elif found[4]:
                server[1] = found[4]
        for place, slot in enumerate(slots, 1):
            serving = slot is not None and not slot.draining
            assert servers[place][1] == ("ready" if serving else "maint")
            if slot is not None and serving:
                assert servers[place][0] == slot.key


@given(st.integers(1, 250))
def test_all_targets_can_be_replaced_without_a_reload(count: int) -> None:
    old, new = ([Target(address=f"10.0.{part}.{n}", port=80) for n in range(count)] for part in (1, 2))
    slots = assign((), old)
    assert len(assign(slots, old + new)) == len(slots)
    assert len(slots) <= max(64, min(8 * count, 512))


def test_another_size_takes_a_reload() -> None:
    with pytest.raises(ValueError, match="has 8 slots, not 16"):
        list(commands("b", (None,) * 8, (None,) * 16))
