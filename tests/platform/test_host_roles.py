"""A host may do what its instance profile's role may: register, pull, log; where it may not, it says so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.conftest import Platform
from tests.iam.accounts import document, statement, trust
from tests.platform.roles import INSTANCE
from tests.platform.support import LOG_GROUP, Tasks, eventually
from tests.platform.test_instance_tasks import Shippers

pytestmark = pytest.mark.platform
ROLE = "boundHost"
LOG = "/var/log/ecs/ecs-agent.log"
_numbers = itertools.count(1)


class Host(Shippers):
    """One instance, whose role has no policies at first."""

    def __init__(self, platform: Platform, image: str) -> None:
        super().__init__(platform, image, "bound", "bound")
        self.iam = platform.client("iam")
        self.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust("ec2"))
        self.iam.create_instance_profile(InstanceProfileName=ROLE)
        self.iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
        self.id = self.boot(IamInstanceProfile={"Name": ROLE})

    def may(self, *actions: str) -> None:
        text = document(statement("Allow", list(actions)))
        self.iam.put_role_policy(RoleName=ROLE, PolicyName="own", PolicyDocument=text)

    def may_nothing(self) -> None:
        self.iam.delete_role_policy(RoleName=ROLE, PolicyName="own")
        self.iam.detach_role_policy(RoleName=ROLE, PolicyArn=INSTANCE)

    def said(self, action: str) -> bool:
        """Whether the agent's log has the refusal of an action."""
        what = f"assumed-role/{ROLE}/{self.id} is not authorized to perform: {action} "
        return what in self.inside(self.id, "sh", "-c", f"cat {LOG} 2>/dev/null; true")

    def connected(self) -> bool:
        return bool(self.container_instance(self.id).get("agentConnected"))

    def start(self, script: str, image: str) -> str:
        """A task without roles of its own: the instance's pulls, and logs."""
        options = {"awslogs-group": LOG_GROUP, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "h"}
        family = f"bound-{next(_numbers)}"
        logging = {"logDriver": "awslogs", "options": options | {"awslogs-create-group": "true"}}
        container = {"name": "main", "image": image, "memory": 32, "command": ["sh", "-c", script]}
        self.ecs.register_task_definition(
            family=family, containerDefinitions=[container | {"logConfiguration": logging, "stopTimeout": 2}]
        )
        answer = self.ecs.run_task(cluster=self.cluster, taskDefinition=family)
        assert not answer["failures"], answer["failures"]
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def lines(self, arn: str) -> list[str]:
        logs = self.platform.client("logs")
        name = f"h/main/{arn.rpartition('/')[2]}"
        try:
            events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=name, startFromHead=True)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]


@pytest.fixture
def host(platform: Platform, tasks: Tasks) -> Iterator[Host]:
    made = Host(platform, tasks.image)
    yield made
    made.ec2.terminate_instances(InstanceIds=[made.id])
    eventually(lambda: made.instance(made.id)["State"]["Name"] == "terminated")


def test_a_host_may_do_what_its_role_may(host: Host) -> None:
    """No policy: not registered. Without ECR: nothing pulled. With AWS's policy: all is well. Taken away: no logs."""
    eventually(lambda: host.ready(host.id))
    eventually(lambda: host.said("ecs:RegisterContainerInstance"))
    assert not host.container_instance(host.id)
    host.may("ecs:*", "logs:*")
    eventually(host.connected)
    refused = host.stopped(host.start("echo never", host.image))
    assert refused["stopCode"] == "TaskFailedToStart"
    reason = refused["containers"][0]["reason"]
    assert reason.startswith("CannotPullECRContainerError") and "ecr:GetAuthorizationToken" in reason
    host.iam.attach_role_policy(RoleName=ROLE, PolicyArn=INSTANCE)
    host.may("logs:CreateLogGroup")
    arn = host.start("while true; do date +%s; sleep 0.2; done", host.image)
    host.running(arn)
    eventually(lambda: host.lines(arn))
    host.may_nothing()
    eventually(lambda: host.said("logs:PutLogEvents"))
    before = host.inside(host.id, "sh", "-c", f"grep -c RegisterContainerInstance {LOG}")
    host.inside(host.id, "systemctl", "restart", "ecs")
    again = f"grep -c RegisterContainerInstance {LOG}"
    eventually(lambda: int(host.inside(host.id, "sh", "-c", again)) > int(before))
    eventually(lambda: not host.connected())
    # What waited is sent once it may be: no line is lost.
    host.iam.attach_role_policy(RoleName=ROLE, PolicyArn=INSTANCE)
    host.may("logs:CreateLogGroup")
    eventually(host.connected)
    stopped = host.stop(arn)
    assert stopped["lastStatus"] == "STOPPED"
    times = [int(line) for line in eventually(lambda: host.lines(arn))]
    assert all(later - earlier <= 2 for earlier, later in itertools.pairwise(times)), times
