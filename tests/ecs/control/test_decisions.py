"""What is done next, as a table of snapshots; and the agent's view of a container definition."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dryport.ecs import ebs
from dryport.ecs.acs import docker_config, payload
from dryport.ecs.acs.instructions import Instruction, confirmed_stops, instruction
from dryport.ecs.controllers import decisions
from dryport.ecs.controllers.decisions import HostView, InterfaceView, Snapshot, VolumeView, next_step
from dryport.ecs.model import Attachment, Container, Task, TaskDefinition

CONNECTED = HostView(registered=True)
TASK = Task(
    arn="arn:aws:ecs:us-east-1:000000000000:task/demo/1",
    cluster_arn="c",
    account="000000000000",
    region="us-east-1",
    task_definition_arn="d",
    family="f",
    attachments=[Attachment(id="a", status="ATTACHING")],
    instance_arn="i",
    created_at=1000.0,
)
RUNNING = replace(TASK, last_status="RUNNING", attachments=[Attachment(id="a", status="ATTACHED")])


def step(task: Task, **view: Any) -> decisions.Step:
    return next_step(Snapshot(task=task, **{"now": 1001.0, "host": CONNECTED, "granted": True, **view}))


LEAVING = replace(
    RUNNING, last_status="DEACTIVATING", desired_status="STOPPED", stopping_at=1000.0, registration="leaving"
)
WITH_VOLUME = replace(RUNNING, attachments=[*RUNNING.attachments, Attachment(id="b", type=ebs.TYPE)])


@pytest.mark.parametrize(
    ("task", "view", "expected"),
    [
        (replace(TASK, instance_arn=None), {"granted": False, "host": None, "capacity": True}, "Provision"),
        (replace(TASK, instance_arn=None), {"granted": False, "host": None}, "Wait"),
        (replace(TASK, instance_arn=None), {"granted": False, "host": None, "now": 1060.0}, "Fail"),
        (TASK, {"interface": InterfaceView(device="wanted")}, "Wait"),
        (TASK, {"interface": InterfaceView(device="wanted"), "now": 1180.0}, "Fail"),
        (TASK, {"interface": InterfaceView(device="plugged")}, "Connect"),
        (TASK, {"interface": InterfaceView(device="failed")}, "Fail"),
        (RUNNING, {}, "Wait"),
        (replace(LEAVING, last_status="RUNNING"), {}, "Advance"),
        (LEAVING, {}, "Wait"),
        (replace(LEAVING, registration="registered"), {}, "Wait"),
        (replace(LEAVING, registration="registered"), {"now": 1100.0}, "Wait"),  # it was not even deregistered
        (LEAVING, {"now": 1010.0}, "Advance"),  # long enough
        (replace(LEAVING, left_at=1005.0), {"now": 1010.0}, "Wait"),
        (LEAVING, {"drained_at": 1300.0, "now": 1309.0}, "Wait"),
        (LEAVING, {"drained_at": 1300.0, "now": 1310.0}, "Advance"),
        (
            replace(LEAVING, last_status="STOPPED", stopped_at=1.0, registration="registered"),
            {"granted": False, "now": 9000.0},
            "Wait",
        ),
        (replace(LEAVING, registration="gone"), {}, "Advance"),
        (LEAVING, {"host": None}, "Abandon"),
        (WITH_VOLUME, {"volume": VolumeView(attached=False)}, "Wait"),
        (WITH_VOLUME, {"volume": VolumeView(attached=False), "now": 1180.0}, "FailVolume"),
        (WITH_VOLUME, {"volume": VolumeView(attached=False, error="full")}, "FailVolume"),
        (WITH_VOLUME, {"volume": VolumeView(attached=True)}, "UseVolume"),
        (
            replace(WITH_VOLUME, last_status="DEPROVISIONING"),
            {"granted": False, "volume": VolumeView(attached=False)},
            "Wait",
        ),
        (RUNNING, {"credentials_expire": 4600.0}, "Renew"),
        (RUNNING, {"host": HostView(registered=True, away_for=299.0)}, "Wait"),
        (RUNNING, {"host": HostView(registered=True, away_for=300.0)}, "Fail"),
        (replace(RUNNING, launch_type="EC2"), {"host": HostView(registered=True, away_for=3000.0)}, "Wait"),
        (RUNNING, {"host": HostView(registered=False)}, "Fail"),
        (replace(RUNNING, desired_status="STOPPED"), {}, "Advance"),
        (replace(RUNNING, desired_status="STOPPED", last_status="STOPPING"), {}, "Wait"),
        (replace(RUNNING, desired_status="STOPPED"), {"host": HostView(registered=False)}, "Abandon"),
        (replace(RUNNING, last_status="DEPROVISIONING"), {}, "Release"),
        (
            replace(RUNNING, last_status="DEPROVISIONING"),
            {"granted": False, "interface": InterfaceView(device="unplugging")},
            "Wait",
        ),
        (replace(RUNNING, last_status="DEPROVISIONING"), {"granted": False}, "Finish"),
        (replace(RUNNING, last_status="STOPPED", stopped_at=1000.0), {}, "Release"),
        (replace(RUNNING, last_status="STOPPED", stopped_at=1000.0), {"granted": False}, "Wait"),
        (replace(RUNNING, last_status="STOPPED", stopped_at=1000.0), {"granted": False, "now": 4600.0}, "Forget"),
    ],
)
def test_next_step(task: Task, view: dict[str, Any], expected: str) -> None:
    assert type(step(task, **view)).__name__ == expected


@pytest.mark.parametrize("how", ["stopped", "terminated"])
def test_an_instance_that_ended_is_named(how: str) -> None:
    host = HostView(registered=True, ec2_instance_id="i-1", ended=how, away_for=1.0)
    on_ec2 = replace(RUNNING, launch_type="EC2")
    assert step(on_ec2, host=host) == decisions.Fail("TerminationNotice", f"Host EC2 (instance i-1) {how}.")
    assert step(replace(on_ec2, desired_status="STOPPED"), host=host) == decisions.Abandon()
    away = HostView(registered=True, ec2_instance_id="i-1", away_for=3600.0)
    assert isinstance(step(on_ec2, host=away), decisions.Wait)  # it may come back


def test_a_task_waits_for_its_volume() -> None:
    waiting = replace(TASK, attachments=[Attachment(id="b", type=ebs.TYPE, status="ATTACHING")])
    assert instruction(waiting, "i", None) is None
    there = ebs.use(waiting, "/mounts/vol-1")
    assert instruction(there, "i", None) is Instruction.START and there.volume["path"] == "/mounts/vol-1"


def test_an_agent_is_told_of_a_volume_once_it_is_on_the_instance() -> None:
    volume = Attachment(id="b", type=ebs.TYPE, status="CREATED")
    task = replace(TASK, launch_type="EC2", attachments=[replace(TASK.attachments[0], status="ATTACHED"), volume])
    view = VolumeView(attached=False)
    assert instruction(task, "i", None) is None
    assert isinstance(step(task, volume=view), decisions.Wait)
    assert step(task, volume=VolumeView(attached=False, error="gone")) == decisions.FailVolume("gone")
    view = VolumeView(attached=True)
    assert step(task, volume=view) == decisions.OfferVolume()
    offered = ebs.offer(task)
    assert isinstance(step(offered, volume=view), decisions.Wait)
    assert instruction(offered, "i", None) is Instruction.CONFIRM
    assert instruction(offered, "i", Instruction.ATTACH) is Instruction.CONFIRM
    assert instruction(offered, "i", Instruction.CONFIRM) is None
    assert instruction(ebs.use(offered), "i", Instruction.CONFIRM) is Instruction.START
    late = step(offered, volume=view, now=TASK.created_at + decisions.DEVICE_WAIT)
    assert late == decisions.FailVolume(ebs.TIMEOUT)


def test_instructions() -> None:
    assert instruction(TASK, "i", None) is Instruction.START
    assert instruction(TASK, "other", None) is None
    assert instruction(TASK, "i", Instruction.START) is None
    assert instruction(replace(TASK, sent=True), "i", None) is None
    stopping = replace(TASK, desired_status="STOPPED")
    assert instruction(stopping, "i", None) is Instruction.STOP
    assert instruction(stopping, "i", Instruction.START) is Instruction.STOP
    assert instruction(stopping, "i", Instruction.STOP) is None
    assert instruction(replace(stopping, last_status="STOPPED"), "i", None) is None


def test_only_what_is_not_wanted_stops() -> None:
    known = {TASK.arn: TASK}
    candidates = [{"taskArn": TASK.arn, "taskClusterArn": "c"}, {"taskArn": "x", "taskClusterArn": "c"}]
    assert confirmed_stops(candidates, known, "i") == [("x", "c")]
    assert confirmed_stops(candidates, known, "other") == [(TASK.arn, "c"), ("x", "c")]


def test_docker_configuration() -> None:
    definition = {
        "hostname": "h",
        "pseudoTerminal": True,
        "interactive": True,
        "privileged": True,
        "readonlyRootFilesystem": True,
        "dnsServers": ["10.0.0.2"],
        "dockerSecurityOptions": ["no-new-privileges"],
        "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.9"}],
        "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
        "systemControls": [{"namespace": "net.core.somaxconn", "value": "9"}],
        "healthCheck": {"command": ["CMD", "x"], "startPeriod": 7},
        "linuxParameters": {
            "capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]},
            "initProcessEnabled": True,
            "sharedMemorySize": 64,
            "maxSwap": 10,
            "swappiness": 0,
            "tmpfs": [{"containerPath": "/t", "size": 5, "mountOptions": ["noexec"]}],
            "devices": [{"hostPath": "/dev/fuse", "permissions": ["read", "write"]}],
        },
    }
    config = docker_config.config(definition)
    assert (config["Hostname"], config["Tty"], config["OpenStdin"]) == ("h", True, True)
    assert config["Healthcheck"] == {
        "Test": ["CMD", "x"],
        "Interval": 30 * 10**9,
        "Timeout": 5 * 10**9,
        "Retries": 3,
        "StartPeriod": 7 * 10**9,
    }
    log = {"Type": "none", "Config": {}}
    mib = 1024 * 1024
    assert docker_config.host_config(
        definition, network_mode="host", memory=100, memory_reservation=50, log_config=log
    ) == {
        "NetworkMode": "host",
        "CapAdd": ["SYS_PTRACE"],
        "CapDrop": ["ALL"],
        "LogConfig": log,
        "Privileged": True,
        "ReadonlyRootfs": True,
        "Dns": ["10.0.0.2"],
        "SecurityOpt": ["no-new-privileges"],
        "MemoryReservation": 50 * mib,
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        "ExtraHosts": ["db:10.0.0.9"],
        "Sysctls": {"net.core.somaxconn": "9"},
        "Init": True,
        "ShmSize": 64 * mib,
        "MemorySwap": 110 * mib,
        "MemorySwappiness": 0,
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rw"}],
        "Tmpfs": {"/t": "size=5m,noexec"},
    }


def test_secrets_and_sizes() -> None:
    asm = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:x"
    container = {
        "name": "main",
        "image": "busybox",
        "secrets": [{"name": "A", "valueFrom": "/p"}, {"name": "B", "valueFrom": asm}],
        "logConfiguration": {"logDriver": "splunk", "secretOptions": [{"name": "t", "valueFrom": "/q"}]},
    }
    body = {"networkMode": "awsvpc", "containerDefinitions": [container]}
    definition = TaskDefinition(arn="d", family="f", revision=2, account="0", region="us-east-1", body=body)
    task = replace(TASK, cpu="1 vCPU", memory="2 GB")
    sent = payload.start(payload.Source(task, definition, "http://e"))
    assert (sent["cpu"], sent["memory"], sent["version"]) == (1.0, 2048, "2")
    found = [(s["name"], s["region"], s["provider"], s["target"]) for s in sent["containers"][0]["secrets"]]
    assert found == [
        ("A", "us-east-1", "ssm", "CONTAINER"),
        ("B", "eu-west-1", "asm", "CONTAINER"),
        ("t", "us-east-1", "ssm", "LOG_DRIVER"),
    ]


@pytest.mark.parametrize(
    ("setting", "options", "sent"),
    [
        (None, {}, None),
        ("blocking", {}, "blocking"),
        ("non-blocking", {"mode": "blocking"}, "blocking"),
    ],
)
def test_the_log_mode_of_the_account_holds_where_a_container_says_nothing(
    setting: str | None, options: dict[str, str], sent: str | None
) -> None:
    container = {"name": "main", "image": "busybox", "logConfiguration": {"logDriver": "awslogs", "options": options}}
    definition = TaskDefinition(
        arn="d", family="f", revision=1, account="0", region="us-east-1", body={"containerDefinitions": [container]}
    )
    task = replace(TASK, log_driver_mode=setting)
    message = payload.start(payload.Source(task, definition, "http://e"))
    host_config = json.loads(message["containers"][0]["dockerConfig"]["hostConfig"])
    assert host_config["LogConfig"]["Config"].get("mode") == sent


def test_gpus_are_associated_with_their_containers() -> None:
    containers = [{"name": name, "image": "busybox"} for name in ("one", "two")]
    definition = TaskDefinition(
        arn="d", family="f", revision=1, account="0", region="us-east-1", body={"containerDefinitions": containers}
    )
    given = {"one": ["GPU-1"], "two": ["GPU-2", "GPU-3"]}
    task = replace(
        TASK, containers=[Container(arn=n, name=n, image="busybox", gpu_ids=ids) for n, ids in given.items()]
    )
    sent = payload.start(payload.Source(task, definition, "http://e"))["associations"]
    assert [(each["type"], each["name"], each["containers"]) for each in sent] == [
        ("gpu", "GPU-1", ["one"]),
        ("gpu", "GPU-2", ["two"]),
        ("gpu", "GPU-3", ["two"]),
    ]
