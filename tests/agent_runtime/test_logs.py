"""Logs: whole, in order, with both streams, and resumed anywhere."""

from __future__ import annotations

import asyncio
import time

import pytest

from dryport.agent.runtime.containerd import k8s_log
from dryport.agent.runtime.interface import Runtime, RuntimeFailure
from tests.agent_runtime.conftest import Box
from tests.agent_runtime.daemons import Host

pytestmark = pytest.mark.platform


async def test_both_streams_and_times(box: Box) -> None:
    before = time.time()
    id = await box.run("echo out; sleep 0.05; echo err >&2; sleep 0.05; echo; printf 'no end'")
    await box.end(id)
    lines = [line async for line in box.runtime.logs(id)]
    seen = [(line.stream, line.line) for line in lines]
    assert seen == [("stdout", b"out"), ("stderr", b"err"), ("stdout", b""), ("stdout", b"no end")]
    assert all(before - 1 < line.at < time.time() + 1 for line in lines)
    assert [line.at for line in lines] == sorted(line.at for line in lines)


async def test_megabytes_and_long_lines(box: Box) -> None:
    id = await box.run("seq 1 200000; head -c 300000 /dev/zero | tr '\\0' x; echo; echo last")
    lines = await box.lines(id)
    numbers = [line.line for line in lines[:200000]]
    assert numbers == [str(n).encode() for n in range(1, 200001)]
    rest = b"".join(line.line for line in lines[200000:-1])
    assert rest == b"x" * 300000 and lines[-1].line == b"last"


async def test_resume_after_every_line(box: Box) -> None:
    """Parts of a line on one stream lie between whole lines on the other."""
    script = "printf a; sleep 0.05; echo one >&2; sleep 0.05; printf b; sleep 0.05; echo two >&2; sleep 0.05; echo c"
    id = await box.run(f"{script}; echo end")
    await box.end(id)
    whole = [line async for line in box.runtime.logs(id)]
    assert [line.line for line in whole] == [b"one", b"two", b"abc", b"end"]
    for place, line in enumerate(whole):
        resumed = [each async for each in box.runtime.logs(id, line.cursor)]
        assert [each.line for each in resumed] == [each.line for each in whole[place + 1 :]]


async def test_following_sees_lines_as_they_come(box: Box) -> None:
    id = await box.run("for n in 1 2 3; do echo $n; sleep 0.3; done")
    began = asyncio.get_running_loop().time()
    came = []
    async for line in box.runtime.logs(id, follow=True):
        came.append((line.line, asyncio.get_running_loop().time() - began))
    assert [line for line, _ in came] == [b"1", b"2", b"3"]
    assert came[0][1] < came[1][1] < came[2][1]


async def test_a_new_agent_goes_on_where_the_old_one_was(host: Host, box: Box) -> None:
    id = await box.run("for n in $(seq 1 40); do echo $n; sleep 0.02; done")
    got, cursor = [], ""
    async for line in box.runtime.logs(id, follow=True):
        got.append(int(line.line))
        cursor = line.cursor
        if len(got) == 10:
            break
    await box.runtime.close()
    await asyncio.sleep(0.3)
    agent = host.agent()
    async with asyncio.timeout(20):
        async for line in agent.logs(id, cursor, follow=True):
            got.append(int(line.line))
    await agent.close()
    assert got == list(range(1, 41))
    box.runtime = host.agent()
    await box.runtime.remove(id)
    await box.runtime.close()


async def test_no_such_container(runtime: Runtime) -> None:
    with pytest.raises(RuntimeFailure, match="No such container"):
        _ = [line async for line in runtime.logs("nobody")]


async def test_segments_bound_the_disk(host: Host, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that keeps up loses nothing when conmon begins new files; the disk holds only so many of them."""
    if host.name != "containerd":
        pytest.skip("Docker rotates by itself")
    monkeypatch.setattr(k8s_log, "SEGMENT_SIZE", 200_000)
    id = await box.run("n=0; while [ $n -lt 400 ]; do seq $((n*100)) $((n*100+99)); n=$((n+1)); sleep 0.005; done")
    lines = await box.lines(id)
    assert [int(line.line) for line in lines] == list(range(40000))
    home = host.home / "runtime/containerd/containers" / id
    numbers = k8s_log.segments(home)
    assert len(numbers) == k8s_log.KEPT and numbers[0] > 1
    kept = [line async for line in box.runtime.logs(id)]
    assert [line.line for line in kept] == [line.line for line in lines[-len(kept) :]]
