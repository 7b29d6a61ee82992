"""kill -9 of the agent and of the daemon: containers go on, and everything is found again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess

import pytest

from dryport.agent.runtime.interface import PullError, Runtime, RuntimeFailure
from dryport.agent.runtime.processes import process
from tests.agent_runtime.conftest import Box
from tests.agent_runtime.daemons import Host

pytestmark = pytest.mark.platform


async def test_a_new_agent_finds_everything(host: Host, box: Box) -> None:
    running = await box.run("sleep 60", labels={"task": "1"})
    ending = await box.run("sleep 0.3; exit 5")
    made = box.spec("true")
    await box.runtime.create(made)
    before = await box.runtime.inspect(running)
    await box.runtime.close()  # as far as containers go, the same as kill -9: nothing is written at the end
    await asyncio.sleep(0.6)

    agent = host.agent()
    states = {state.id: state for state in await agent.containers()}
    assert {id: state.status for id, state in states.items()} == {
        running: "running",
        ending: "exited",
        made.id: "created",
    }
    assert before is not None and states[running].pid == before.pid and states[running].labels == {"task": "1"}
    assert states[running].started_at == before.started_at
    assert states[ending].exit_code == 5
    async with asyncio.timeout(20):
        async for end in agent.exits():
            assert (end.id, end.exit_code) == (ending, 5)
            break
    await agent.start(made.id)
    await agent.signal(running, "SIGKILL")
    assert (await Box(agent, box.image).end(running)).exit_code == 137
    for id in states:
        await agent.remove(id)
    assert await agent.containers() == []
    await agent.close()


async def test_the_daemon_goes_and_returns(host: Host, box: Box) -> None:
    running = await box.run("echo before; sleep 1.5; echo after; sleep 60")
    ending = await box.run("sleep 1; exit 6")
    following = asyncio.create_task(_first_lines(box.runtime, running, 2))

    async def watch() -> None:
        async for end in box.runtime.exits():
            if end.id == ending:
                return

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.3)
    await asyncio.to_thread(host.kill)
    with pytest.raises(RuntimeFailure):
        await box.runtime.ping()
    await asyncio.sleep(1)
    await asyncio.to_thread(host.start)
    await box.runtime.ping()
    state = await box.runtime.inspect(running)
    assert state is not None and state.status == "running"
    assert (await box.end(ending)).exit_code in ((6,) if host.name == "containerd" else (0, 6, 137, 255))
    assert await asyncio.wait_for(following, 20) == [b"before", b"after"]
    await asyncio.wait_for(watching, 20)
    fresh = await box.run("exit 8")
    assert (await box.end(fresh)).exit_code == 8


async def test_a_killed_monitor_ends_its_container(host: Host, box: Box) -> None:
    if host.name != "containerd":
        pytest.skip("conmon belongs to the other runtime")
    id = await box.run("sleep 60")
    state = await box.runtime.inspect(id)
    assert state is not None and state.pid is not None
    home = host.home / "runtime/containerd/containers" / id
    os.kill(int((home / "conmon.pid").read_text()), signal.SIGKILL)
    ended = await box.end(id)
    assert ended.exit_code == 137 and "monitor" in ended.error
    await asyncio.sleep(0.1)
    assert not process(state.pid).alive()


async def test_an_agent_that_died_while_it_started_a_container(host: Host, box: Box) -> None:
    """After ``runc create`` and before ``runc start``, and after both but before it was written down."""
    if host.name != "containerd":
        pytest.skip("Docker does both at once")
    waiting, started = await box.run("sleep 60"), await box.run("echo once; sleep 60")
    pid = (await box.runtime.inspect(started)).pid  # type: ignore[union-attr]
    await box.runtime.close()
    containers = host.home / "runtime/containerd/containers"
    for id in (waiting, started):
        (containers / id / "started.json").unlink()
    runc = ["runc", f"--root={host.home}/runtime/containerd/runc"]
    # Put the first one back to where ``runc create`` leaves it.
    await _run(*runc, "delete", "--force", waiting)
    await _run(*runc, "create", "--bundle", str(containers / waiting), waiting)

    agent = host.agent()
    states = {state.id: state for state in await agent.containers()}
    assert states[waiting].status == "created" and states[started].status == "running"
    assert states[started].pid == pid
    assert (await agent.start(waiting)).status == "running"
    again = Box(agent, box.image)
    await agent.signal(started, "SIGKILL")
    assert (await again.end(started)).exit_code == 137
    assert [line.line async for line in agent.logs(started)] == [b"once"]
    for id in states:
        await agent.remove(id)
    await agent.close()


async def test_a_start_that_was_cut_short_can_be_repeated(box: Box) -> None:
    for delay in (0.0, 0.005, 0.02, 0.04):
        spec = box.spec("echo once; sleep 60")
        await box.runtime.create(spec)
        starting = asyncio.create_task(box.runtime.start(spec.id))
        await asyncio.sleep(delay)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert (await box.runtime.start(spec.id)).status == "running"
        await box.runtime.signal(spec.id, "SIGKILL")
        await box.end(spec.id)
        assert [line.line for line in await box.lines(spec.id)][-1:] in ([b"once"], [])


async def test_a_full_disk(host: Host, box: Box) -> None:
    if host.name != "containerd":
        pytest.skip("Docker's own affair")
    containers = host.home / "runtime/containerd/containers"
    await box.output("true")
    nothing_free = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "x", str(containers)])
    assert nothing_free.returncode == 0
    try:
        spec = box.spec("true")
        with pytest.raises(RuntimeFailure, match="No space left on device") as failure:
            await box.runtime.create(spec)
        assert failure.value.kind == "CannotCreateContainerError"
        assert await box.runtime.inspect(spec.id) is None and list(containers.iterdir()) == []
    finally:
        subprocess.run(["umount", str(containers)], check=True)


async def test_half_made_containers_are_cleared_away(host: Host, runtime: Runtime) -> None:
    if host.name != "containerd":
        pytest.skip("Docker's own affair")
    half = host.home / "runtime/containerd/containers/half"
    (half / "root").mkdir(parents=True)
    agent = host.agent()
    assert await agent.inspect("half") is None
    assert not half.exists()
    await agent.close()


async def test_launches_do_not_need_the_daemon(host: Host, box: Box) -> None:
    if host.name != "containerd":
        pytest.skip("Docker is the daemon")
    await box.output("true")
    await asyncio.to_thread(host.kill)
    try:
        assert await box.output("echo alone") == "alone"
        await box.runtime.pull(box.image, None)  # the registry says that it is still what is here
        with pytest.raises(PullError, match="away") as failure:
            await box.runtime.pull(f"{box.image}-other", None)
        assert failure.value.retryable
    finally:
        await asyncio.to_thread(host.start)


async def _first_lines(runtime: Runtime, id: str, count: int) -> list[bytes]:
    lines = []
    async for line in runtime.logs(id, follow=True):
        lines.append(line.line)
        if len(lines) == count:
            break
    return lines


async def _run(*command: str) -> None:
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    assert await child.wait() == 0


async def test_a_container_that_has_ended_runs_again(host: Host, box: Box) -> None:
    """With what it has written, its log going on, and each end told."""
    ends: list[int] = []

    async def watch(id: str) -> None:
        async for end in box.runtime.exits():
            if end.id == id:
                ends.append(end.exit_code)

    script = "echo >> /runs; n=$(wc -l < /runs); echo run $n; printf unfinished >&2; exit $((n + 3))"
    spec = box.spec(script)
    watching = asyncio.create_task(watch(spec.id))
    await box.runtime.create(spec)
    states = []
    for run in (1, 2, 3):
        started = await box.runtime.start(spec.id)
        assert (started.finished_at or 2**40) >= (started.started_at or 0)
        states.append(await box.end(spec.id))
        async with asyncio.timeout(20):
            while len(ends) < run:  # noqa: ASYNC110 (the runtime's own list is what is under test)
                await asyncio.sleep(0.01)
    watching.cancel()
    assert [state.exit_code for state in states] == ends == [4, 5, 6]
    times = [at for state in states for at in (state.started_at, state.finished_at)]
    assert times == sorted(times, key=lambda at: at or 0) and len(set(times)) >= 3
    lines = await box.lines(spec.id)
    assert [line.line for line in lines if line.stream == "stdout"] == [b"run 1", b"run 2", b"run 3"]
    unfinished = [line.line for line in lines if line.stream == "stderr"]
    # Docker's own log knows no end of a run.
    assert unfinished == ([b"unfinished"] * 3 if host.name == "containerd" else [b"unfinished" * 3])


async def test_a_restart_that_fails_leaves_the_end_as_it_was(host: Host, box: Box) -> None:
    if host.name != "containerd":
        pytest.skip("needs a program that the runtime finds only once")
    id = await box.run("rm /bin/sh /bin/busybox; exit 4")
    before = await box.end(id)
    with pytest.raises(RuntimeFailure) as failure:
        await box.runtime.start(id)
    assert failure.value.kind == "CannotStartContainerError"
    after = await box.runtime.inspect(id)
    assert after is not None and (after.status, after.exit_code) == ("exited", 4)
    assert after.finished_at == before.finished_at


async def test_an_agent_that_died_while_it_started_a_container_again(host: Host, box: Box) -> None:
    """Between forgetting the first run and noting the second: the second one is found, or can be started."""
    if host.name != "containerd":
        pytest.skip("Docker does it at once")
    found, lost = await box.run("sleep 60"), await box.run("exit 3")
    await box.end(lost)
    await box.runtime.close()
    for id in (found, lost):
        home = host.home / "runtime/containerd/containers" / id
        for name in ("started.json", "ended.json"):
            (home / name).unlink(missing_ok=True)
        if id == lost:
            (home / "conmon.pid").unlink()
    agent = host.agent()
    states = {state.id: state.status for state in await agent.containers()}
    assert states == {found: "running", lost: "created"}
    await agent.start(lost)
    assert (await Box(agent, box.image).end(lost)).exit_code == 3
    await agent.close()
