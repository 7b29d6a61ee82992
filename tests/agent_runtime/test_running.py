"""Starting, ending, limits: the same for every runtime."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dryport.agent.runtime.cgroups import Cgroups
from dryport.agent.runtime.interface import Exited, Mount, Resources, Runtime, RuntimeFailure, Ulimit
from tests.agent_runtime.conftest import Box
from tests.agent_runtime.daemons import Host

pytestmark = pytest.mark.platform
PARENT = "/dryport-test"


async def test_exit_codes_and_times(box: Box) -> None:
    id = await box.run("exit 7", labels={"a": "b"})
    state = await box.end(id)
    assert (state.exit_code, state.out_of_memory, state.labels, state.pid) == (7, False, {"a": "b"}, None)
    assert state.started_at and state.finished_at and state.started_at <= state.finished_at


async def test_create_and_start_are_idempotent(box: Box) -> None:
    spec = box.spec("sleep 60")
    await box.runtime.create(spec)
    await box.runtime.create(spec)
    made = await box.runtime.inspect(spec.id)
    assert made is not None and made.status == "created"
    first = await box.runtime.start(spec.id)
    again = await box.runtime.start(spec.id)
    assert first.status == "running" and first.pid == again.pid
    await box.runtime.remove(spec.id)
    await box.runtime.remove(spec.id)
    assert await box.runtime.inspect(spec.id) is None


async def test_signals(box: Box) -> None:
    id = await box.run("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    async with asyncio.timeout(20):
        async for _ in box.runtime.logs(id, follow=True):
            break
    await box.runtime.signal(id, "SIGTERM")
    assert (await box.end(id)).exit_code == 9
    await box.runtime.signal(id, "SIGTERM")  # nothing where it no longer runs

    id = await box.run("trap '' TERM; sleep 60")
    await box.runtime.signal(id, "SIGKILL")
    assert (await box.end(id)).exit_code == 137


async def test_out_of_memory(box: Box) -> None:
    resources = Resources(cgroup_parent=PARENT, memory=16 << 20, swap=16 << 20 if _has_swap_accounting() else None)
    id = await box.run("x=; while :; do x=$x$x$(head -c 100000 /dev/zero | tr '\\0' x)x; done", resources=resources)
    state = await box.end(id)
    assert (state.exit_code, state.out_of_memory) == (137, True)


async def test_exits_are_told_and_told_again(box: Box) -> None:
    early = await box.run("exit 1")
    await box.end(early)
    seen: dict[str, Exited] = {}
    late = box.spec("sleep 0.3; exit 2")

    async def watch() -> None:
        async for end in box.runtime.exits():
            seen[end.id] = end
            if {early, late.id} <= set(seen):
                return

    watching = asyncio.create_task(watch())
    await box.runtime.create(late)
    await box.runtime.start(late.id)
    await asyncio.wait_for(watching, 20)
    assert (seen[early].exit_code, seen[late.id].exit_code) == (1, 2)


async def test_environment_directory_and_user(box: Box) -> None:
    script = "echo $FROM_IMAGE $MINE; pwd; id -u; id -g"
    text = await box.output(script, environment={"MINE": "ours", "FROM_IMAGE": "yes"}, working_directory="/tmp")
    assert text.split() == ["yes", "ours", "/tmp", "0", "0"]
    text = await box.output("pwd; id; echo $HOME", user="app")
    assert text.splitlines()[0] == "/var"
    assert "uid=1000" in text and "gid=1001" in text and "1002" in text and text.endswith("/home")
    assert (await box.output("id -u; id -g", user="4000:4001")).split() == ["4000", "4001"]


async def test_read_only_root_and_tmpfs(box: Box) -> None:
    script = "touch /x 2>&1 || echo refused; touch /scratch/x && echo written; grep scratch /proc/mounts"
    mounts = [Mount(target="/scratch", kind="tmpfs", size=1 << 20)]
    text = await box.output(script, read_only_root=True, mounts=mounts)
    assert "Read-only file system" in text and "refused" in text and "written" in text and "size=1024k" in text


async def test_bind_mounts(box: Box, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    mounts = [
        Mount(target="/in", source=str(tmp_path), read_only=True),
        Mount(target="/out", source=str(tmp_path)),
    ]
    text = await box.output("cat /in/file; touch /in/no 2>&1 || echo; echo back > /out/made", mounts=mounts)
    assert "from the host" in text and "Read-only" in text
    assert (tmp_path / "made").read_text() == "back\n"


async def test_ulimits_capabilities_and_security_options(box: Box) -> None:
    script = "ulimit -n; grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status"
    text = await box.output(
        script,
        ulimits=[Ulimit(name="nofile", soft=77, hard=99)],
        drop_capabilities=["ALL"],
        add_capabilities=["SYS_PTRACE"],
        security_options=["no-new-privileges"],
    )
    words = text.split()
    assert words[0] == "77"
    assert words[2] == f"{1 << 19:016x}"
    assert words[words.index("Seccomp:") + 1] == "2" and words[words.index("NoNewPrivs:") + 1] == "1"


async def test_default_capabilities_and_refused_system_calls(box: Box) -> None:
    text = await box.output("grep CapEff /proc/self/status; mount -t tmpfs x /tmp 2>&1 || echo refused")
    assert "00000000a80425fb" in text and "refused" in text
    assert "ermission denied" in text or "not permitted" in text


async def test_limits_bind(box: Box) -> None:
    resources = Resources(
        cgroup_parent=PARENT,
        memory=64 << 20,
        memory_reservation=32 << 20,
        cpu_shares=256,
        cpu_quota=0.5,
        pids=20,
        shm_size=1 << 20,
    )
    id = await box.run("grep shm /proc/mounts; sleep 60", resources=resources)
    state = await box.runtime.inspect(id)
    assert state is not None and state.pid is not None
    limits = {name: _limit(state.pid, *files) for name, files in _FILES.items()}
    assert limits["memory"] == str(64 << 20)
    assert limits["pids"] == "20"
    assert limits["quota"].split()[0] == "50000"
    if not Cgroups().unified:
        assert limits["shares"] == "256" and limits["soft"] == str(32 << 20)
    assert PARENT in Path(f"/proc/{state.pid}/cgroup").read_text()
    stats = await box.runtime.stats(id)
    assert stats is not None and stats.memory_limit == 64 << 20 and 0 < stats.memory < 64 << 20
    async with asyncio.timeout(20):
        async for line in box.runtime.logs(id, follow=True):
            if b"size=1024k" in line.line:
                break
    await box.runtime.signal(id, "SIGKILL")
    await box.end(id)
    assert await box.runtime.stats(id) is None


async def test_init_reaps_and_passes_signals_on(box: Box) -> None:
    text = await box.output("cat /proc/1/cmdline | tr '\\0' ' '", init=True)
    assert "docker-init" in text


async def test_shared_namespaces(box: Box) -> None:
    first = await box.run("sleep 60 & echo here > /dev/shm/mark; sleep 60")
    modes = {"pid_mode": f"container:{first}", "ipc_mode": f"container:{first}", "network": f"container:{first}"}
    text = await box.output("ps 2>/dev/null; ls /proc | grep -c '^[0-9]'; cat /dev/shm/mark", **modes)
    assert int(text.split()[-2]) >= 3 and text.endswith("here")


async def test_execute(box: Box) -> None:
    id = await box.run("sleep 60", environment={"MINE": "1"}, user="app")
    done = await box.runtime.execute(id, ["/bin/sh", "-c", "echo $MINE; id -u; echo bad >&2; exit 4"], 20)
    assert done.exit_code == 4 and set(done.output.split()) == {b"1", b"1000", b"bad"}
    done = await box.runtime.execute(id, ["/bin/sh", "-c", "yes | head -c 1000000"], 20)
    assert (done.exit_code, len(done.output)) == (0, 4096)
    with pytest.raises(TimeoutError):
        await box.runtime.execute(id, ["/bin/sh", "-c", "sleep 55 & sleep 54; echo"], 0.5)
    await asyncio.sleep(0.2)
    left = await box.runtime.execute(id, ["/bin/sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], 20)
    assert b"sleep 54" not in left.output and b"sleep 55" not in left.output and b"sleep 60" in left.output


async def test_cannot_start(box: Box) -> None:
    spec = box.spec("", argv=["/nowhere"])
    with pytest.raises(RuntimeFailure) as failure:
        await box.runtime.create(spec)  # Docker does not look before ``start``
        await box.runtime.start(spec.id)
    assert failure.value.kind == "CannotStartContainerError"
    assert 'exec: "/nowhere"' in failure.value.message and "no such file or directory" in failure.value.message
    await box.runtime.remove(spec.id)


async def test_cannot_create_without_image(box: Box) -> None:
    with pytest.raises(RuntimeFailure, match="No such image") as failure:
        await box.runtime.create(box.spec("", image="localhost/none:1"))
    assert failure.value.kind == "CannotCreateContainerError"


async def test_removing_leaves_nothing(box: Box, host: Host) -> None:
    ids = [await box.run("sleep 60 & sleep 60") for _ in range(3)]
    states = [await box.runtime.inspect(id) for id in ids]
    pids = [state.pid for state in states if state is not None]
    await asyncio.gather(*(box.runtime.remove(id) for id in ids))
    assert await box.runtime.containers() == []
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    for id in ids:
        assert f"/{id}/" not in Path("/proc/mounts").read_text()
        assert not list(Path("/sys/fs/cgroup").rglob(id))
        if host.name == "containerd":
            assert not list((host.home / "runtime").rglob(f"{id}*"))


async def test_many_at_once(box: Box) -> None:
    ids = await asyncio.gather(*(box.run(f"exit {n}") for n in range(20)))
    states = await asyncio.gather(*(box.end(id) for id in ids))
    assert [state.exit_code for state in states] == list(range(20))


async def test_root_size_binds(box: Box) -> None:
    if _docker(box):
        pytest.skip("Docker cannot bound a writable layer on this file system")
    text = await box.output("dd if=/dev/zero of=/big bs=1M count=64 2>&1 || echo refused", root_size=32 << 20)
    assert "No space left" in text and "refused" in text


async def test_published_ports(box: Box) -> None:
    if not _docker(box):
        pytest.skip("published by Docker only: Fargate's tasks have an address of their own")
    ports: list[dict[str, object]] = [{"containerPort": 80, "hostPort": 0}, {"containerPort": 81, "protocol": "udp"}]
    id = await box.run("sleep 60", network="bridge", published_ports=ports)
    state = await box.runtime.inspect(id)
    assert state is not None
    bindings = {(each["containerPort"], each["protocol"]): each["hostPort"] for each in state.network_bindings}
    assert set(bindings) == {(80, "tcp"), (81, "udp")} and all(bindings.values())
    _, writer = await asyncio.open_connection("127.0.0.1", int(str(bindings[80, "tcp"])))
    writer.close()


async def test_refused_by_name(box: Box) -> None:
    refused = {"network": "/run/netns/x"} if _docker(box) else {"network": "bridge"}
    with pytest.raises(RuntimeFailure) as failure:
        await box.runtime.create(box.spec("true", **refused))
    assert refused["network"] in failure.value.message


async def test_ping_is_a_version(runtime: Runtime) -> None:
    assert (await runtime.ping())[0].isdigit()


_FILES = {
    "memory": ("memory", "memory.limit_in_bytes", "memory.max"),
    "soft": ("memory", "memory.soft_limit_in_bytes", "memory.low"),
    "pids": ("pids", "pids.max", "pids.max"),
    "quota": ("cpu", "cpu.cfs_quota_us", "cpu.max"),
    "shares": ("cpu", "cpu.shares", "cpu.weight"),
}


def _limit(pid: int, controller: str, old: str, new: str) -> str:
    """A limit as the kernel has it for a process."""
    cgroups = Cgroups()
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (cgroups.unified and not controllers) or controller in controllers.split(","):
            return (cgroups.directory(path, controller) / (new if cgroups.unified else old)).read_text().strip()
    raise AssertionError(f"{pid} has no cgroup for {controller}")


def _has_swap_accounting() -> bool:
    return Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()


def _docker(box: Box) -> bool:
    return box.runtime.name == "docker"
