"""Many keys, one timer: every key's time comes once, when it should."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.control.agenda import Agenda


class VirtualClock:
    """Time that goes on only when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def time(self) -> float:
        return self.now

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.now + seconds, event))
        await event.wait()

    async def go(self, seconds: float) -> None:
        """Let so many seconds pass, and whoever waits for them wake."""
        end = self.now + seconds
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            due = [each for each in self._sleepers if each[0] <= end]
            if not due:
                break
            first = min(due, key=lambda each: each[0])
            self.now = max(self.now, first[0])
            self._sleepers.remove(first)
            first[1].set()
        self.now = end


operation = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 4), st.integers(0, 50)),
    st.tuples(st.just("drop"), st.integers(0, 4), st.just(0)),
    st.tuples(st.just("go"), st.just(0), st.integers(0, 30)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(operation, max_size=40))
def test_every_time_comes_once(operations: list[tuple[str, int, int]]) -> None:
    async def live() -> None:
        clock, rung = VirtualClock(), list[tuple[str, float]]()
        agenda = Agenda(clock, lambda key: rung.append((key, clock.now)))
        expected: dict[str, float] = {}
        wanted: list[tuple[str, float]] = []
        running = asyncio.create_task(agenda.run())
        for kind, number, seconds in operations:
            key = str(number)
            if kind == "set":
                agenda.set(key, seconds)
                expected[key] = clock.now + seconds
            elif kind == "drop":
                agenda.drop(key)
                expected.pop(key, None)
            else:
                await clock.go(seconds)
                due = [each for each, at in expected.items() if at <= clock.now]
                wanted += [(each, expected.pop(each)) for each in due]
                assert sorted(rung) == sorted(wanted)
            assert len(agenda) == len(expected)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(live())
