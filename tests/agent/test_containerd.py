"""The agent on Fargate's runtime: restarts, ends of tasks that never ran, and a daemon that goes away."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.agent.settings import Settings
from dryport.host import cgroups, namespaces
from dryport.platform import containerd
from tests.agent.conftest import Agent, container, task
from tests.agent.control import Control
from tests.agent_runtime.daemons import ContainerdHost
from tests.agent_runtime.registry import Registry, base

pytestmark = pytest.mark.platform
GROUP = "containerd-test"


class Fargate(Agent):
    """An agent with a containerd of its own (``daemon``), and the name of an image that it can pull."""

    daemon: ContainerdHost
    image: str

    def container(self, name: str, script: str, **members: Any) -> dict[str, Any]:
        """A container whose output is shipped."""
        options = {"awslogs-group": GROUP, "awslogs-region": "us-east-1", "awslogs-stream": name}
        host = {"LogConfig": {"Type": "awslogs", "Config": options}}
        return container(name, script, self.image, host=host, **members)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    home = Path(tempfile.mkdtemp(prefix="dpr-", dir="/tmp"))
    served = Registry(home / "registry")
    for name in ("app", "other"):
        served.push(name, [base()], Env=["PATH=/bin"])
    yield served
    served.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def agent(control: Control, state_dir: Path, registry: Registry) -> AsyncIterator[Fargate]:
    daemon = await asyncio.to_thread(ContainerdHost, state_dir)
    control.groups[GROUP] = defaultdict(list)
    made = Fargate(
        control,
        state_dir,
        *("--runtime", "containerd", "--runtime-address", str(containerd.socket(state_dir))),
        *("--runtime-root", str(containerd.registries(state_dir))),
    )
    made.daemon, made.image = daemon, f"{registry.host}/app:1"
    await made.start()
    try:
        await control.connected()
        yield made
    except TimeoutError:
        pytest.fail(made.log())
    finally:
        runtime = daemon.agent()
        await made.kill()
        for state in await runtime.containers():
            await runtime.remove(state.id)
        await runtime.close()
        await asyncio.to_thread(daemon.stop)
        settings = Settings(endpoint="", state_dir=state_dir)
        for name in namespaces.entries(f"dpa{settings.slug}-"):
            namespaces.delete(name)
        cgroups.delete(f"dryport/{settings.slug}")
        cgroups.delete(settings.cgroup)


async def test_a_container_is_started_again(agent: Fargate, control: Control) -> None:
    script = "echo >> /runs; n=$(wc -l < /runs); echo run $n; sleep 1.2; test $n = 3 && exit 5; exit 1"
    policy = {"enabled": True, "restartAttemptPeriod": 1, "ignoredExitCodes": [5]}
    wanted = task(agent.container("main", script, restartPolicy=policy))
    await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["containers"][0]["exitCode"] == 5
    assert [change["status"] for change in control.changes(wanted["arn"])] == ["RUNNING", "STOPPED"]
    assert control.lines(GROUP, "main") == ["run 1", "run 2", "run 3"]


async def test_a_container_that_ends_too_early_is_not_started_again(agent: Fargate, control: Control) -> None:
    policy = {"enabled": True, "restartAttemptPeriod": 60}
    wanted = task(agent.container("main", "echo once; exit 1", restartPolicy=policy))
    await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["containers"][0]["exitCode"] == 1
    assert control.lines(GROUP, "main") == ["once"]


async def test_restarts_go_on_through_deaths_of_the_agent(agent: Fargate, control: Control) -> None:
    script = "echo >> /runs; n=$(wc -l < /runs); echo run $n; sleep 2; test $n = 5 && exit 7; exit 1"
    wanted = task(agent.container("main", script, restartPolicy={"enabled": True, "restartAttemptPeriod": 1}))
    wanted["containers"][0]["restartPolicy"]["ignoredExitCodes"] = [7]
    await control.payload(wanted)
    await control.status(wanted["arn"], "RUNNING")
    for pause in (1.9, 2.1, 1.2):
        await asyncio.sleep(pause)
        await agent.kill()
        await agent.start()
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["containers"][0]["exitCode"] == 7
    assert set(control.lines(GROUP, "main")) == {f"run {n}" for n in range(1, 6)}


async def test_a_task_that_stops_is_not_started_again(agent: Fargate, control: Control) -> None:
    policy = {"enabled": True, "restartAttemptPeriod": 1}
    wanted = task(agent.container("main", "trap 'exit 3' TERM; while :; do sleep 0.1; done", restartPolicy=policy))
    await control.payload(wanted)
    await control.status(wanted["arn"], "RUNNING")
    await asyncio.sleep(1.2)
    await control.payload({"arn": wanted["arn"], "desiredStatus": "STOPPED", "containers": []})
    assert (await control.status(wanted["arn"], "STOPPED"))["containers"][0]["exitCode"] == 3


async def test_a_task_that_never_ran_stops_at_once(agent: Fargate, control: Control) -> None:
    """Nothing waits for output or an end of what was never started; the time-outs there are take 30 s."""
    wrong = task(agent.container("main", "true", command=["/bin/none"]))
    refused = task(
        agent.container("main", "true", dockerConfig={"version": "1.24", "hostConfig": '{"CapAdd": ["NONE"]}'})
    )
    for wanted in (wrong, refused):
        began = time.monotonic()
        await control.payload(wanted)
        stopped = await control.status(wanted["arn"], "STOPPED")
        assert stopped["reason"] and "exitCode" not in stopped["containers"][0], stopped
        assert time.monotonic() - began < 15
    reason = control.changes(wrong["arn"])[-1]["reason"]
    assert reason.startswith("CannotStartContainerError: ") and "/bin/none" in reason


async def test_the_daemon_goes_while_a_task_runs_and_while_one_starts(agent: Fargate, control: Control) -> None:
    script = "trap 'exit 4' TERM; echo up; while :; do sleep 0.1; done"
    running, starting = task(agent.container("running", script)), task(agent.container("starting", script))
    starting["containers"][0]["image"] = agent.image.replace("/app:", "/other:")  # which is not here yet
    await control.payload(running)
    await control.status(running["arn"], "RUNNING")
    await asyncio.to_thread(agent.daemon.kill)
    await control.payload(starting)
    await control.until(lambda: len(control.messages("AckRequest")) == 2)
    await asyncio.sleep(1)
    assert [change["status"] for change in control.changes(running["arn"])] == ["RUNNING"]
    assert control.changes(starting["arn"]) == []
    await asyncio.to_thread(agent.daemon.start)
    await control.status(starting["arn"], "RUNNING")
    for wanted in (running, starting):
        await control.payload({"arn": wanted["arn"], "desiredStatus": "STOPPED", "containers": []})
        assert (await control.status(wanted["arn"], "STOPPED"))["containers"][0]["exitCode"] == 4
    assert control.lines(GROUP, "running") == control.lines(GROUP, "starting") == ["up"]


async def test_it_leaves_nothing(agent: Fargate, control: Control) -> None:
    wanted = task(agent.container("main", "exit 0"), launchType="FARGATE")
    await control.payload(wanted)
    await control.status(wanted["arn"], "STOPPED")
    async with asyncio.timeout(20):
        while any((agent.state_dir / "runtime/containerd/containers").iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await agent.stop() == 0
    slug = Settings(endpoint="", state_dir=agent.state_dir).slug
    assert namespaces.names(f"dpa{slug}-") == []
    mounts = subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
    assert f"{agent.state_dir}/runtime/containerd/containers" not in mounts
    assert not os.path.exists(agent.state_dir / "tasks" / wanted["arn"].rpartition("/")[2])
    await agent.start()


async def test_volumes_of_a_kind_that_is_not_there_are_refused(agent: Fargate, control: Control) -> None:
    for kind in ("fsx", "docker"):
        wanted = task(agent.container("main", "true"), volumes=[{"name": "data", "type": kind}])
        await control.payload(wanted)
        stopped = await control.status(wanted["arn"], "STOPPED")
        assert (
            stopped["reason"] == f"ResourceInitializationError: volume data: volumes of type {kind} are not supported"
        )


async def test_containers_that_share_processes_start_after_the_first(agent: Fargate, control: Control) -> None:
    wanted = task(
        agent.container("first", "sleep 100 & trap 'exit 0' TERM; while :; do sleep 0.1; done"),
        agent.container("second", "ps | grep -q '[s]leep 100' && echo seen", essential=False),
        pidMode="task",
    )
    await control.payload(wanted)
    await control.until(lambda: control.lines(GROUP, "second"))
    assert control.lines(GROUP, "second") == ["seen"]
    await control.payload({"arn": wanted["arn"], "desiredStatus": "STOPPED", "containers": []})
    await control.status(wanted["arn"], "STOPPED")
