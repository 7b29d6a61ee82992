"""Tasks on Fargate, from the outside: what they run, what binds them, what is told of them."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.conftest import Platform
from tests.platform.support import TASK_ROLE, Tasks, container_of, eventually

pytestmark = pytest.mark.platform


def test_a_task_runs_logs_and_tells_its_exit_code(tasks: Tasks) -> None:
    task = tasks.finish(tasks.container("echo one; echo two >&2; exit 7"))
    main = container_of(task)
    assert main["exitCode"] == 7
    assert main["imageDigest"].startswith("sha256:")
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert sorted(tasks.output(task["taskArn"])) == ["one", "two"]
    times = [
        "createdAt",
        "connectivityAt",
        "pullStartedAt",
        "pullStoppedAt",
        "startedAt",
        "executionStoppedAt",
        "stoppedAt",
    ]
    assert [task[name] for name in times] == sorted(task[name] for name in times)


def test_a_container_exit_leaves_no_line_behind(tasks: Tasks) -> None:
    task = tasks.finish(tasks.container("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"))
    logs = tasks.platform.client("logs")
    stream = f"t/main/{task['taskArn'].rsplit('/', 1)[1]}"
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/tests/tasks", logStreamNames=[stream])
    assert [event["message"] for page in pages for event in page["events"]] == [f"line {i}" for i in range(3000)]


def test_the_settings_of_a_container_arrive(tasks: Tasks) -> None:
    script = (
        "pwd; id -u; echo $COLOR; ulimit -n; touch /x 2>&1; df -m /scratch | tail -1 | awk '{print $2}'; cat /data/a"
    )
    task = tasks.finish(
        tasks.container("echo shared > /data/a", name="first", essential=False, mountPoints=[_mount()]),
        tasks.container(
            script,
            workingDirectory="/tmp",
            user="1000",
            environment=[{"name": "COLOR", "value": "blue"}],
            ulimits=[{"name": "nofile", "softLimit": 777, "hardLimit": 888}],
            readonlyRootFilesystem=True,
            mountPoints=[_mount(), {"sourceVolume": "scratch", "containerPath": "/scratch"}],
            dependsOn=[{"containerName": "first", "condition": "SUCCESS"}],
        ),
        volumes=[{"name": "data"}, {"name": "scratch"}],
    )
    lines = tasks.output(task["taskArn"])
    assert lines[:4] == ["/tmp", "1000", "blue", "777"]
    assert "Read-only file system" in lines[4]
    assert lines[-1] == "shared"


def _mount() -> dict[str, Any]:
    return {"sourceVolume": "data", "containerPath": "/data"}


def test_overrides_win(tasks: Tasks) -> None:
    definition = tasks.define(tasks.container("echo not me", environment=[{"name": "A", "value": "1"}]))
    overrides = {
        "containerOverrides": [
            {"name": "main", "command": ["sh", "-c", "echo $A $B"], "environment": [{"name": "B", "value": "2"}]}
        ]
    }
    arn = tasks.run(definition, overrides=overrides)[0]
    tasks.until(arn, "STOPPED")
    assert tasks.output(arn) == ["1 2"]


def test_memory_binds_the_task(tasks: Tasks) -> None:
    # A string that doubles: the shell itself grows past the task's 512 MiB.
    task = tasks.finish(tasks.container("a=0123456789abcdef; while true; do a=$a$a; done"))
    main = container_of(task)
    assert main["exitCode"] == 137
    assert main["reason"].startswith("OutOfMemoryError")


def test_stop_sends_sigterm_and_then_sigkill(tasks: Tasks) -> None:
    obedient = tasks.container("trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.1; done")
    stubborn = tasks.container("trap '' TERM; echo ready; while true; do sleep 0.1; done")
    for container, code in ((obedient, 3), (stubborn, 137)):
        arn = tasks.run(tasks.define(container))[0]
        eventually(lambda arn=arn: "ready" in tasks.output(arn))  # type: ignore[misc]
        task = tasks.stop(arn)
        assert container_of(task)["exitCode"] == code
        assert task["stopCode"] == "UserInitiated"
        assert task["stoppedReason"] == "Task stopped by user"


def test_health_is_told_and_a_task_of_no_service_goes_on(tasks: Tasks) -> None:
    # "If a task is run manually, and not as part of a service, the task will continue its lifecycle regardless of its
    # health status": HealthCheck, ECS API reference.
    check = {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "timeout": 2, "retries": 1}
    script = "touch /tmp/well; sleep 6; rm /tmp/well; sleep 600"
    arn = tasks.run(tasks.define(tasks.container(script, healthCheck=check)))[0]
    eventually(lambda: tasks.describe(arn)["healthStatus"] == "HEALTHY")
    eventually(lambda: tasks.describe(arn)["healthStatus"] == "UNHEALTHY")
    assert tasks.describe(arn)["lastStatus"] == "RUNNING"
    tasks.stop(arn)


def test_secrets_reach_the_environment(tasks: Tasks, platform: Platform) -> None:
    platform.client("ssm").put_parameter(Name="/tests/password", Value="swordfish", Type="SecureString")
    secret = platform.client("secretsmanager").create_secret(
        Name="tests/db", SecretString='{"user": "ann", "port": "5"}'
    )
    task = tasks.finish(
        tasks.container(
            "echo $PASSWORD $USER_NAME",
            secrets=[
                {"name": "PASSWORD", "valueFrom": "/tests/password"},
                {"name": "USER_NAME", "valueFrom": f"{secret['ARN']}:user::"},
            ],
        )
    )
    assert tasks.output(task["taskArn"]) == ["swordfish ann"]
    for path in (platform.state_dir / "log").glob("*.log"):
        assert "swordfish" not in path.read_text(errors="replace")


def test_a_missing_secret_stops_the_task_and_says_so(tasks: Tasks) -> None:
    task = tasks.finish(tasks.container("true", secrets=[{"name": "X", "valueFrom": "/tests/not-there"}]))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError")
    assert "/tests/not-there" in task["stoppedReason"]


def test_environment_files_come_from_s3(tasks: Tasks, platform: Platform) -> None:
    s3 = platform.client("s3")
    s3.create_bucket(Bucket="tests-env-files")
    s3.put_object(Bucket="tests-env-files", Key="a.env", Body=b"# a comment\nCOLOR=green\nSIZE=9\n")
    files = [{"type": "s3", "value": "arn:aws:s3:::tests-env-files/a.env"}]
    environment = [{"name": "SIZE", "value": "1"}]
    task = tasks.finish(tasks.container("echo $COLOR $SIZE", environmentFiles=files, environment=environment))
    assert tasks.output(task["taskArn"]) == ["green 1"]


def test_an_image_that_is_not_there(tasks: Tasks) -> None:
    task = tasks.finish(tasks.container("true", image=tasks.image.replace(":latest", ":missing")))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")
    assert "not found" in task["stoppedReason"]


def test_metadata_and_credentials_inside(tasks: Tasks, platform: Platform) -> None:
    script = (
        "wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task; echo; "
        "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo; "
        "wget -qO- http://169.254.170.2/v2/credentials/another 2>&1; echo; echo $AWS_ENDPOINT_URL; sleep 600"
    )
    arn = tasks.run(tasks.define(tasks.container(script), taskRoleArn=TASK_ROLE))[0]
    eventually(lambda: len(tasks.output(arn)) > 3)
    lines = tasks.output(arn)
    metadata, key = json.loads(lines[0]), json.loads(lines[1])
    assert metadata["TaskARN"] == arn
    assert metadata["LaunchType"] == "FARGATE"
    assert metadata["Limits"] == {"CPU": 0.25, "Memory": 512}
    assert metadata["Containers"][0]["Networks"][0]["IPv4Addresses"]
    assert key["RoleArn"] == TASK_ROLE
    assert "404" in lines[2] or "400" in lines[2]
    assert lines[3] == platform.config.endpoint_in_vpc

    names = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    sts = boto3.client("sts", "us-east-1", endpoint_url=platform.endpoint, aws_session_token=key["Token"], **names)
    assert sts.get_caller_identity()["Arn"].startswith("arn:aws:sts::000000000000:assumed-role/taskRole/")
    tasks.stop(arn)
    with pytest.raises(sts.exceptions.ClientError, match=r"InvalidClientTokenId|ExpiredToken"):
        sts.get_caller_identity()
