"""The agent on Docker: what a task of a container instance is and does."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.agent.conftest import Agent, container, docker, task
from tests.agent.control import CLUSTER, Control

pytestmark = pytest.mark.platform

ROLE = {
    "credentialsId": "11111111-aaaa",
    "roleArn": "arn:aws:iam::000000000000:role/task",
    "accessKeyId": "ASIATASK",
    "secretAccessKey": "task-secret",
    "sessionToken": "task-token",
    "expiration": "2030-01-01T00:00:00Z",
}
EXECUTION = ROLE | {"credentialsId": "22222222-bbbb", "accessKeyId": "ASIAEXEC"}


def only(change: dict[str, Any], name: str) -> dict[str, Any]:
    """The last word on one container of a change."""
    found: dict[str, Any] = [c for c in change["containers"] if c["containerName"] == name][-1]
    return found


def output(change: dict[str, Any], name: str) -> str:
    return docker("logs", only(change, name)["runtimeId"])


async def test_a_task_runs_and_its_exit_code_is_told(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "exit 7", image))
    message = await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert only(stopped, "main")["exitCode"] == 7
    assert stopped["reason"] == ""
    assert stopped["executionStoppedAt"]
    running = control.changes(wanted["arn"])[0]
    assert running["status"] == "RUNNING"
    assert running["pullStartedAt"] <= running["pullStoppedAt"]
    name = running["containers"][0]["runtimeId"]
    assert name.startswith("ecs-hello-3-main-")
    assert control.messages("AckRequest")[0]["messageId"] == message
    assert docker("inspect", "--format", '{{index .Config.Labels "com.amazonaws.ecs.task-arn"}}', name) == wanted["arn"]
    assert [c["status"] for c in control.changes(wanted["arn"])] == ["RUNNING", "STOPPED"]


async def test_stop_asks_first_and_kills_after_the_stop_timeout(agent: Agent, control: Control, image: str) -> None:
    polite = task(container("main", "trap 'exit 3' TERM; while :; do sleep 0.1; done", image))
    stubborn = task(container("main", "trap '' TERM; while :; do sleep 0.1; done", image, stopTimeout=2))
    await control.payload(polite, stubborn)
    for wanted in (polite, stubborn):
        await control.status(wanted["arn"], "RUNNING")
    stop = {"desiredStatus": "STOPPED", "containers": [], "volumes": []}
    await control.payload({"arn": polite["arn"]} | stop, {"arn": stubborn["arn"]} | stop)
    assert only(await control.status(polite["arn"], "STOPPED"), "main")["exitCode"] == 3
    assert only(await control.status(stubborn["arn"], "STOPPED"), "main")["exitCode"] == 137


async def test_a_stop_for_an_unknown_task_is_answered(agent: Agent, control: Control) -> None:
    unknown = task()["arn"]
    await control.payload({"arn": unknown, "desiredStatus": "STOPPED", "containers": []})
    await control.status(unknown, "STOPPED")


async def test_order_of_start_and_stop(agent: Agent, control: Control, image: str) -> None:
    wanted = task(
        container("init", "sleep 0.5; exit 0", image, essential=False),
        container("db", "trap 'exit 0' TERM; while :; do sleep 0.1; done", image),
        container(
            "app",
            "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done",
            image,
            dependsOn=[
                {"containerName": "init", "condition": "SUCCESS"},
                {"containerName": "db", "condition": "START"},
            ],
        ),
    )
    await control.payload(wanted)
    running = await control.status(wanted["arn"], "RUNNING")
    assert only(running, "app")["status"] == "RUNNING"
    await control.payload({"arn": wanted["arn"], "desiredStatus": "STOPPED", "containers": []})
    stopped = await control.status(wanted["arn"], "STOPPED")
    ends = {
        c["containerName"]: docker("inspect", "-f", "{{.State.FinishedAt}}", c["runtimeId"])
        for c in stopped["containers"]
    }
    begins = {
        c["containerName"]: docker("inspect", "-f", "{{.State.StartedAt}}", c["runtimeId"])
        for c in stopped["containers"]
    }
    assert begins["app"] > ends["init"]
    assert begins["app"] > begins["db"]
    assert ends["db"] > ends["app"]


async def test_a_dependency_that_fails_stops_the_task(agent: Agent, control: Control, image: str) -> None:
    needs = [{"containerName": "init", "condition": "SUCCESS"}]
    wanted = task(
        container("init", "exit 1", image, essential=False), container("app", "sleep 100", image, dependsOn=needs)
    )
    await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert only(stopped, "app")["reason"].startswith("TaskDependencyError: ")
    assert "exitCode" not in only(stopped, "app")
    assert only(stopped, "init")["exitCode"] == 1


async def test_an_image_that_is_not_there(agent: Agent, control: Control) -> None:
    wanted = task(container("main", "true", "127.0.0.1:1/none:1"))
    await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["reason"].startswith("CannotPullContainerError: ")
    assert only(stopped, "main")["reason"] == stopped["reason"]


async def test_environment_by_its_precedence(agent: Agent, control: Control, image: str) -> None:
    control.parameters["/prod/pw"] = "from ssm"
    secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf"
    control.secrets[secret] = json.dumps({"user": "admin", "port": 5432})
    control.objects["bucket/dir/app.env"] = b"# comment\nONE=file\nTWO=file=two\n\nTHREE= x \n"
    wanted = task(
        container(
            "main",
            "env",
            image,
            environment={"ONE": "definition"},
            environmentFiles=[{"value": "arn:aws:s3:::bucket/dir/app.env", "type": "s3"}],
            secrets=[
                {"name": "PW", "valueFrom": "/prod/pw", "region": "us-east-1", "provider": "ssm"},
                {"name": "DBUSER", "valueFrom": f"{secret}:user::", "region": "us-east-1", "provider": "asm"},
                {"name": "DBPORT", "valueFrom": f"{secret}:port::", "region": "us-east-1", "provider": "asm"},
            ],
        ),
        roleCredentials=ROLE,
        executionRoleCredentials=EXECUTION,
    )
    await control.payload(wanted)
    lines = output(await control.status(wanted["arn"], "STOPPED"), "main").splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    assert found["ONE"] == "definition"
    assert found["TWO"] == "file=two"
    assert found["THREE"] == " x "
    assert (found["PW"], found["DBUSER"], found["DBPORT"]) == ("from ssm", "admin", "5432")
    assert found["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == "/v2/credentials/11111111-aaaa"
    assert found["AWS_ENDPOINT_URL"] == control.endpoint
    assert found["ECS_CONTAINER_METADATA_URI_V4"].startswith("http://169.254.170.2/v4/")
    assert "from ssm" not in agent.log()
    assert b"from ssm" not in (agent.state_dir / "agent.db").read_bytes()
    assert (agent.state_dir / "agent.db").stat().st_mode & 0o777 == 0o600


async def test_a_secret_that_is_not_there(agent: Agent, control: Control, image: str) -> None:
    secrets = [{"name": "PW", "valueFrom": "/none", "region": "us-east-1", "provider": "ssm"}]
    wanted = task(container("main", "true", image, secrets=secrets), executionRoleCredentials=EXECUTION)
    await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["reason"] == (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
        "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /none"
    )


async def test_what_docker_is_asked_for(agent: Agent, control: Control, image: str) -> None:
    script = (
        "id -u; pwd; hostname; ulimit -n; touch /x; df /mem | tail -1; cat /shared/f; ls /ro; touch /ro/x; echo $0 $1"
    )
    wanted = task(
        container(
            "writer",
            "echo from writer > /out/f",
            image,
            essential=False,
            mountPoints=[{"sourceVolume": "shared", "containerPath": "/out"}],
        ),
        container(
            "main",
            script,
            image,
            entryPoint=["sh", "-c", script, "first"],
            command=["second"],
            memory=64,
            cpu=128,
            mountPoints=[{"sourceVolume": "shared", "containerPath": "/shared"}],
            volumesFrom=[{"sourceContainer": "source", "readOnly": True}],
            dependsOn=[{"containerName": "writer", "condition": "COMPLETE"}],
            config={"User": "12", "WorkingDir": "/tmp", "Hostname": "boxed", "Labels": {"my": "label"}},
            host={
                "ReadonlyRootfs": True,
                "Ulimits": [{"Name": "nofile", "Soft": 123, "Hard": 456}],
                "Tmpfs": {"/mem": "size=2m"},
                "MemoryReservation": 32 << 20,
            },
        ),
        container(
            "source",
            "sleep 100",
            image,
            essential=False,
            stopTimeout=1,
            mountPoints=[{"sourceVolume": "shared", "containerPath": "/ro"}],
        ),
        volumes=[{"name": "shared", "type": "host", "host": {"sourcePath": ""}}],
    )
    await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    lines = output(stopped, "main").splitlines()
    assert lines[:4] == ["12", "/tmp", "boxed", "123"]
    assert any(line.split()[1:2] == ["2048"] for line in lines)
    assert "from writer" in lines
    assert "f" in lines
    assert lines[-1] == "first second"
    shown = json.loads(docker("inspect", only(stopped, "main")["runtimeId"]))[0]
    assert shown["HostConfig"]["Memory"] == 64 << 20
    assert shown["HostConfig"]["MemoryReservation"] == 32 << 20
    assert shown["HostConfig"]["CpuShares"] == 128
    assert shown["Config"]["Labels"]["my"] == "label"


async def test_the_tasks_own_limit_binds(agent: Agent, control: Control, image: str) -> None:
    hungry = "x=a; while :; do x=$x$x; done"
    wanted = task(container("main", hungry, image), cpu=0.25, memory=32)
    await control.payload(wanted)
    main = only(await control.status(wanted["arn"], "STOPPED"), "main")
    assert main["exitCode"] == 137
    assert main["reason"] == "OutOfMemoryError: Container killed due to memory usage"


async def test_health_is_told_at_once(agent: Agent, control: Control, image: str) -> None:
    second = 1_000_000_000
    check = {"Test": ["CMD-SHELL", "test -e /tmp/ok"], "Interval": second, "Timeout": second, "Retries": 1}
    wanted = task(
        container(
            "main", "sleep 1; touch /tmp/ok; sleep 3; rm /tmp/ok; sleep 100", image, config={"Healthcheck": check}
        )
    )

    def told(status: str) -> bool:
        return any(
            c["healthStatus"] == status
            for f in control.telemetry
            if f["type"] == "PublishHealthRequest"
            for t in f["message"]["tasks"]
            if t["taskArn"] == wanted["arn"]
            for c in t["containers"]
        )

    await control.payload(wanted)
    await control.until(lambda: told("HEALTHY"), 15)
    await control.until(lambda: told("UNHEALTHY"), 15)


async def test_a_dynamic_port_is_told(agent: Agent, control: Control, image: str) -> None:
    wanted = task(
        container(
            "web",
            "mkdir /tmp/w; echo served > /tmp/w/index.html; httpd -f -p 80 -h /tmp/w",
            image,
            portMappings=[{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
        ),
        networkMode="bridge",
    )
    await control.payload(wanted)
    binding = only(await control.status(wanted["arn"], "RUNNING"), "web")["networkBindings"][0]
    assert (binding["containerPort"], binding["protocol"]) == (80, "tcp")

    def fetch() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{binding['hostPort']}/", timeout=5) as answer:
            return bytes(answer.read())

    async with asyncio.timeout(10):
        while True:
            try:
                assert await asyncio.to_thread(fetch) == b"served\n"
                break
            except OSError:
                await asyncio.sleep(0.1)


async def test_a_range_of_ports_is_contiguous_on_the_host(agent: Agent, control: Control, image: str) -> None:
    script = "mkdir /tmp/w; echo served > /tmp/w/index.html; httpd -p 9001 -h /tmp/w; httpd -f -p 9004 -h /tmp/w"
    mappings = [
        {"containerPortRange": "9000-9004", "protocol": "tcp"},
        {"containerPortRange": "9001-9002", "protocol": "udp"},
        {"containerPort": 80, "hostPort": 0, "protocol": "tcp"},
    ]
    wanted = task(container("web", script, image, portMappings=mappings), networkMode="bridge")
    await control.payload(wanted)
    bindings = only(await control.status(wanted["arn"], "RUNNING"), "web")["networkBindings"]
    ranges = {each["containerPortRange"]: each for each in bindings if "containerPortRange" in each}
    assert len(bindings) == 3 and set(ranges) == {"9000-9004", "9001-9002"}
    assert ranges["9001-9002"]["protocol"] == "udp"
    first, last = map(int, ranges["9000-9004"]["hostPortRange"].split("-"))
    assert first >= 32768 and last == first + 4 <= 60999

    def fetch(port: int) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return bytes(answer.read())

    for port in (first + 1, first + 4):
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await asyncio.to_thread(fetch, port) == b"served\n"
                    break
                except OSError:
                    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "agent_settings", [{"ECS_DYNAMIC_HOST_PORT_RANGE": "47810-47812", "ECS_ENABLE_CONTAINER_METADATA": "true"}]
)
async def test_ports_of_the_range_in_the_settings(agent: Agent, control: Control, image: str) -> None:
    def wanted(*ports: dict[str, Any]) -> dict[str, Any]:
        made = container("web", "cat $ECS_CONTAINER_METADATA_FILE; sleep 60", image, portMappings=list(ports))
        return task(made, networkMode="bridge")

    two = wanted({"containerPort": 80, "hostPort": 0}, {"containerPort": 81, "hostPort": 0})
    await control.payload(two)
    bindings = only(await control.status(two["arn"], "RUNNING"), "web")["networkBindings"]
    assert len({each["hostPort"] for each in bindings} & {47810, 47811, 47812}) == 2
    more = wanted({"containerPortRange": "90-91"})
    await control.payload(more)
    stopped = only(await control.status(more["arn"], "STOPPED"), "web")
    assert "2 contiguous host ports are unavailable between 47810 and 47812" in stopped["reason"]
    await control.payload(two | {"desiredStatus": "STOPPED"})
    await control.status(two["arn"], "STOPPED")
    again = wanted({"containerPortRange": "90-92"})
    await control.payload(again)
    bindings = only(await control.status(again["arn"], "RUNNING"), "web")["networkBindings"]
    assert [each["hostPortRange"] for each in bindings] == ["47810-47812"]


@pytest.mark.parametrize("agent_settings", [{"ECS_ENABLE_CONTAINER_METADATA": "true"}])
async def test_the_metadata_file_of_a_container(agent: Agent, control: Control, image: str) -> None:
    script = "until grep -q READY $ECS_CONTAINER_METADATA_FILE; do sleep 0.1; done; sleep 60"
    made = container("web", script, image, portMappings=[{"containerPort": 80, "hostPort": 0}])
    wanted = task(made, networkMode="bridge")
    await control.payload(wanted)
    only(await control.status(wanted["arn"], "RUNNING"), "web")
    (name,) = docker("ps", "-q", "--filter", f"label=com.amazonaws.ecs.task-arn={wanted['arn']}").split()

    def seen() -> dict[str, Any]:
        return dict(json.loads(docker("exec", name, "sh", "-c", "cat $ECS_CONTAINER_METADATA_FILE")))

    told = seen()
    for _ in range(100):
        if told.get("MetadataFileStatus") == "READY":
            break
        await asyncio.sleep(0.1)
        told = seen()
    assert (told["TaskARN"], told["ContainerName"], told["ImageName"]) == (wanted["arn"], "web", image)
    assert [each["ContainerPort"] for each in told["PortMappings"]] == [80]


async def test_metadata_and_credentials(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "sleep 100", image, memory=64), roleCredentials=ROLE)
    await control.payload(wanted)
    running = await control.status(wanted["arn"], "RUNNING")
    name = only(running, "main")["runtimeId"]
    variables = json.loads(docker("inspect", "-f", "{{json .Config.Env}}", name))
    environment = dict(v.partition("=")[::2] for v in variables)
    base = f"http://127.0.0.1:{agent.metadata_port}"
    path = environment["ECS_CONTAINER_METADATA_URI_V4"].removeprefix("http://169.254.170.2")

    def get(where: str) -> Any:
        with urllib.request.urlopen(base + where, timeout=5) as answer:
            return json.loads(answer.read())

    own = await asyncio.to_thread(get, path)
    assert (own["DockerId"], own["Name"], own["KnownStatus"]) == (name, "main", "RUNNING")
    whole = await asyncio.to_thread(get, f"{path}/task")
    assert (whole["Cluster"], whole["TaskARN"], whole["Revision"]) == (CLUSTER, wanted["arn"], "3")
    tagged = await asyncio.to_thread(get, f"{path}/taskWithTags")
    assert tagged["TaskTags"] == {"team": "port"}
    counters = await asyncio.to_thread(get, f"{path}/stats")
    assert counters["memory_stats"]["usage"] > 0
    found = await asyncio.to_thread(get, environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"])
    assert found == {
        "RoleArn": ROLE["roleArn"],
        "AccessKeyId": "ASIATASK",
        "SecretAccessKey": "task-secret",
        "Token": "task-token",
        "Expiration": "2030-01-01T00:00:00Z",
    }
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(get, "/v2/credentials/33333333")
    assert refused.value.code == 400

    renewed = ROLE | {"accessKeyId": "ASIANEW"}
    message = {"taskArn": wanted["arn"], "roleType": "TaskApplication", "roleCredentials": renewed}
    await control.send("IAMRoleCredentialsMessage", message)
    await control.until(lambda: len(control.messages("IAMRoleCredentialsAckRequest")) == 2)
    found = await asyncio.to_thread(get, environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"])
    assert found["AccessKeyId"] == "ASIANEW"


async def test_a_proxy_that_cannot_be_told_does_not_keep_the_agent_from_other_tasks(
    agent: Agent, control: Control, image: str
) -> None:
    """As when a task ends, and its files with it, just while its Service Connect proxy is told of a change."""
    egress = {"service": "srv-a", "alias": "web", "address": "127.255.0.1", "port": 80, "listener": 61002}
    ways = {"name": "DryportProxy", "value": json.dumps({"egress": [egress]})}
    attached = {"attachmentArn": "a", "attachmentType": "serviceconnectdetail", "attachmentProperties": [ways]}
    first = task(container("main", "sleep 60", image, stopTimeout=0), attachments=[attached])
    await control.payload(first)
    await control.status(first["arn"], "RUNNING")
    home = agent.state_dir / "tasks" / first["arn"].rpartition("/")[2] / "connect"
    home.rename(home.with_name("gone"))
    home.touch()
    news = {"taskArn": first["arn"], "reached": {"srv-a": [["10.0.0.1", 80, 1]]}}
    await control.send("DryportServiceConnectEndpointsMessage", news)
    second = task(container("main", "exit 3", image))
    await control.payload(second, first | {"desiredStatus": "STOPPED"})
    assert only(await control.status(second["arn"], "STOPPED", 20), "main")["exitCode"] == 3
    await control.status(first["arn"], "STOPPED", 20)
