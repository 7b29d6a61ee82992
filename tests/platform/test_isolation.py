"""From inside a task: other tasks' credentials, the control plane's files, daemons' sockets, disks: all are tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Platform
from tests.platform.support import EXECUTION_ROLE, TASK_ROLE, Tasks, eventually
from tests.platform.test_instance_tasks import GROUP, Shippers

pytestmark = pytest.mark.platform
ENDPOINT = "http://169.254.170.2"
MARK = "-- end --"
LOGGING = {
    "awslogs-group": GROUP,
    "awslogs-region": "us-east-1",
    "awslogs-stream-prefix": "i",
    "awslogs-create-group": "true",
}


def reaching(urls: list[str]) -> str:
    """A script that says of each URL whether it answers well, and what."""
    return "; ".join(f"timeout 5 wget -qO- '{url}' 2>/dev/null && echo 'reached {url}'" for url in urls)


# What a program could try that wants out: every disk of the machine, by a node that it makes; the daemons' sockets; the
# file systems and processes of the machine. Each line that says "reached" is a way out.
def ways_out(platform: Platform) -> str:
    state = platform.state_dir
    return f"""
for path in {state} {state}/control.db {state}/credentials.json {state}/sealing.key {state}/run \\
    /run/docker.sock /var/run/docker.sock /run/containerd /run/dryport /host /proc/1/root{state} \\
    /proc/1/cwd/..{state} /work /root/.aws; do
  ls -d $path 2>/dev/null && echo "reached $path"
done
grep -v ':0 ' /proc/partitions 2>/dev/null | while read major minor blocks name; do
  test -n "$name" && test "$major" -gt 0 2>/dev/null || continue
  mknod /tmp/disk b $major $minor 2>/dev/null && head -c 512 /tmp/disk >/dev/null 2>&1 && echo "reached disk $name"
  rm -f /tmp/disk
done
for pid in $(ls /proc | grep '^[0-9]'); do
  grep -E 'python|docker|containerd|haproxy' /proc/$pid/comm 2>/dev/null && echo "reached process $pid"
done
mount -t proc proc /mnt 2>/dev/null && echo "reached mount"
mount -t cgroup -o devices none /mnt 2>/dev/null && echo "reached cgroups"
cat /proc/sys/kernel/panic 2>/dev/null > /proc/sys/kernel/panic && echo "reached sysctl"
nsenter -t 1 -m true 2>/dev/null && nsenter -t 1 -m ls {state} 2>/dev/null && echo "reached namespace"
chroot /proc/1/root ls {state} 2>/dev/null && echo "reached root"
echo '{MARK}'
"""


def test_a_fargate_task_finds_no_way_out(tasks: Tasks, platform: Platform) -> None:
    arn = tasks.run(tasks.define(tasks.container(ways_out(platform)), taskRoleArn=TASK_ROLE))[0]
    tasks.until(arn, "STOPPED")
    said = tasks.output(arn)
    assert said[-1] == MARK
    assert not [line for line in said if line.startswith("reached")], said


def test_a_fargate_task_has_its_own_credentials_alone(tasks: Tasks) -> None:
    """What another one's address is does not help; nor is there an instance to ask about."""
    script = "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo $ECS_CONTAINER_METADATA_URI_V4; sleep 600"
    definition = tasks.define(tasks.container(script), taskRoleArn=TASK_ROLE)
    other = tasks.run(definition)[0]
    address = next(
        detail["value"]
        for detail in tasks.until(other, "RUNNING")["attachments"][0]["details"]
        if detail["name"] == "privateIPv4Address"
    )
    eventually(lambda: len(tasks.output(other)) == 2)
    credentials, metadata = tasks.output(other)
    assert credentials.startswith("/v2/credentials/") and metadata.startswith(ENDPOINT)
    foreign = [
        ENDPOINT + credentials,
        metadata,
        f"{ENDPOINT}/v2/credentials/",
        f"{ENDPOINT}/v2/credentials/../credentials",
        f"http://{address}{credentials}",
        f"http://{address}:51679{credentials}",
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    ]
    own = f"timeout 5 wget -qO- {ENDPOINT}$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI >/dev/null && echo own"
    mine = tasks.run(tasks.define(tasks.container(f"{own}; {reaching(foreign)}; true"), taskRoleArn=TASK_ROLE))[0]
    tasks.until(mine, "STOPPED")
    assert tasks.output(mine) == ["own"]
    tasks.stop(other)


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Iterator[tuple[Shippers, str]]:
    """An instance that blocks its metadata for awsvpc tasks, as AWS's guide on security has it."""
    made = Shippers(platform, tasks.image, "isolated", "isolated")
    made.user_data += "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config\n"
    instance = made.launch()["InstanceId"]
    yield made, instance
    made.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: made.instance(instance)["State"]["Name"] == "terminated")


def begun(hosts: Shippers, script: str, mode: str) -> str:
    """The ARN of a task in a mode of the network."""
    if mode == "bridge":
        return hosts.begun("isolated-bridge", script)
    hosts.ecs.register_task_definition(
        family="isolated-awsvpc",
        networkMode="awsvpc",
        taskRoleArn=TASK_ROLE,
        executionRoleArn=EXECUTION_ROLE,
        containerDefinitions=[
            {
                "name": "main",
                "image": hosts.image,
                "memory": 64,
                "command": ["sh", "-c", script],
                "logConfiguration": {"logDriver": "awslogs", "options": LOGGING},
            }
        ],
    )
    subnets = [each["SubnetId"] for each in hosts.ec2.describe_subnets()["Subnets"]]
    answer = hosts.ecs.run_task(
        cluster=hosts.cluster,
        taskDefinition="isolated-awsvpc",
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets}},
    )
    assert not answer["failures"], answer["failures"]
    arn: str = answer["tasks"][0]["taskArn"]
    return arn


@pytest.mark.parametrize("mode", ["bridge", "awsvpc"])
def test_a_task_on_an_instance_finds_no_way_out(fleet: tuple[Shippers, str], platform: Platform, mode: str) -> None:
    """Neither of the host (its Docker, its agent's files) nor of the machine beneath."""
    hosts, _ = fleet
    host = """
for path in /var/lib/ecs /var/lib/docker /etc/ecs/ecs.config /proc/1/root/var/lib/ecs; do
  ls -d $path 2>/dev/null && echo "reached $path"
done
"""
    asked = [f"{ENDPOINT}/v2/credentials/", f"{ENDPOINT}/v2/credentials", f"{ENDPOINT}/v3/", f"{ENDPOINT}/v4/"]
    if mode == "awsvpc":
        asked.append("http://169.254.169.254/latest/meta-data/iam/security-credentials/")
    script = f"{host}\n{reaching(asked)}\n{ways_out(platform)}"
    arn = begun(hosts, script, mode)
    hosts.stopped(arn)
    said = eventually(lambda: (lines := hosts.output(arn)) and lines[-1] == MARK and lines)
    assert not [line for line in said if line.startswith("reached")], said


def test_the_ways_out_are_ways_out(fleet: tuple[Shippers, str], platform: Platform) -> None:
    """Where a task is given what opens them, the same script says so."""
    hosts, _ = fleet
    hosts.ecs.register_task_definition(
        family="isolated-open",
        executionRoleArn=EXECUTION_ROLE,
        volumes=[{"name": "socket", "host": {"sourcePath": "/run/docker.sock"}}],
        containerDefinitions=[
            {
                "name": "main",
                "image": hosts.image,
                "memory": 64,
                "privileged": True,
                "command": ["sh", "-c", ways_out(platform)],
                "mountPoints": [{"sourceVolume": "socket", "containerPath": "/run/docker.sock"}],
                "logConfiguration": {"logDriver": "awslogs", "options": LOGGING},
            }
        ],
    )
    answer = hosts.ecs.run_task(cluster=hosts.cluster, taskDefinition="isolated-open")
    arn = answer["tasks"][0]["taskArn"]
    hosts.stopped(arn)
    said = eventually(lambda: (lines := hosts.output(arn)) and lines[-1] == MARK and lines)
    assert {"reached /run/docker.sock", "reached sysctl"} <= set(said)
