"""Processes of the platform that die while instances boot, run and end, and Docker that dies in one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Platform, make_platform
from tests.platform.fleet import Fleet
from tests.platform.support import eventually, push
from tests.platform.traces import traces

pytestmark = pytest.mark.platform
FOREVER = "trap 'exit 0' TERM; while true; do sleep 0.2; done"


@pytest.fixture(scope="module")
def bad_platform() -> Iterator[Platform]:
    """A platform of this module's own: its processes are killed."""
    yield from make_platform()


@pytest.fixture(scope="module")
def fleet(bad_platform: Platform, busybox: str) -> Fleet:
    return Fleet(bad_platform, push(bad_platform, busybox, "busybox"))


@pytest.fixture
def instance(fleet: Fleet) -> Iterator[str]:
    """The id of a connected instance."""
    made = fleet.launch()["InstanceId"]
    yield made
    fleet.terminate(made)


def state(fleet: Fleet, instance_id: str) -> str:
    """An instance's state, "" while the control plane does not answer."""
    try:
        return str(fleet.instance(instance_id)["State"]["Name"])
    except (BotoCoreError, ClientError):
        return ""


def connected(fleet: Fleet, instance_id: str) -> bool:
    try:
        return bool(fleet.container_instance(instance_id).get("agentConnected"))
    except (BotoCoreError, ClientError):
        return False


def test_down_while_instances_boot(fleet: Fleet, bad_platform: Platform) -> None:
    booting = [fleet.boot() for _ in range(2)]
    bad_platform.down()
    assert traces(bad_platform) == []
    bad_platform.up()
    for each in booting:
        eventually(lambda id=each: connected(fleet, id))  # type: ignore[misc]
    fleet.ec2.terminate_instances(InstanceIds=booting)
    os.kill(bad_platform.pid("control"), signal.SIGKILL)
    for each in booting:
        eventually(lambda id=each: state(fleet, id) == "terminated")  # type: ignore[misc]


def test_the_host_driver_is_killed_while_an_instance_boots(fleet: Fleet, bad_platform: Platform) -> None:
    booting = fleet.boot()
    os.kill(bad_platform.pid("host"), signal.SIGKILL)
    eventually(lambda: connected(fleet, booting))
    fleet.ec2.terminate_instances(InstanceIds=[booting])
    eventually(lambda: state(fleet, booting) == "terminated")


def test_a_host_that_dies_while_nobody_looks(fleet: Fleet, bad_platform: Platform, instance: str) -> None:
    init = fleet.init(instance)
    os.kill(bad_platform.pid("host"), signal.SIGKILL)
    os.kill(init, signal.SIGKILL)
    eventually(lambda: state(fleet, instance) == "stopped")
    assert "ended unexpectedly" in fleet.instance(instance)["StateReason"]["Message"]


@pytest.mark.parametrize("how", ["kill -9 $(pidof dockerd)", "systemctl restart docker"])
def test_docker_of_an_instance_ends(fleet: Fleet, instance: str, how: str) -> None:
    arn = fleet.run("docker", FOREVER)
    fleet.running(arn)
    fleet.inside(instance, "sh", "-c", how)
    # A daemon that comes back ends what ran before it; the task says so, and the next one runs.
    stopped = fleet.stopped(arn)
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert connected(fleet, instance)
    after = fleet.run("docker", FOREVER)
    fleet.running(after)
    assert [task for task in fleet.containers(instance).values() if task] == [after]
    fleet.stop(after)


def test_nothing_is_left(bad_platform: Platform, instance: str) -> None:
    os.kill(bad_platform.pid("supervisor"), signal.SIGKILL)
    eventually(lambda: not any("process" in each and "-m dryport" in each for each in traces(bad_platform)))
    bad_platform.up()
    bad_platform.down()
    assert traces(bad_platform) == []
    bad_platform.up()
